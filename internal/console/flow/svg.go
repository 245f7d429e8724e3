package flow

import "fmt"

// What a picture measures, in its own units.
const (
	boxWidth, boxHeight = 210, 40
	gapX, gapY          = 90, 14
	top                 = 34
	width               = columns*boxWidth + (columns-1)*gapX
)

// Box is a node with its place.
type Box struct {
	*Node
	X, Y, W, H int
}

// Line is an edge with its path, its width and its class.
type Line struct {
	*Edge
	Path  string
	Width int
	Class string
	Title string
}

// Head is the head of a column.
type Head struct {
	X    int
	Text string
}

// Picture is a map with places.
type Picture struct {
	Width, Height int
	Heads         []Head
	Boxes         []Box
	Lines         []Line
}

// Draw places everything. Lines that were blocked are drawn last, on top.
func (m *Map) Draw() Picture {
	p := Picture{Width: width}
	for column, text := range [columns]string{"Agents", "Tools that read", "Data", "Tools that act"} {
		p.Heads = append(p.Heads, Head{column * (boxWidth + gapX), text})
	}
	rows := [columns]int{}
	for _, n := range m.Nodes {
		n.x, n.y = n.Column*(boxWidth+gapX), top+rows[n.Column]*(boxHeight+gapY)
		rows[n.Column]++
		p.Boxes = append(p.Boxes, Box{n, n.x, n.y, boxWidth, boxHeight})
		p.Height = max(p.Height, n.y+boxHeight+4)
	}
	for _, blocked := range []bool{false, true} {
		for _, e := range m.Edges {
			if (e.Blocked+e.Held > 0) == blocked {
				p.Lines = append(p.Lines, e.line())
			}
		}
	}
	return p
}

func (e *Edge) line() Line {
	x1, y1 := e.From.x+boxWidth, e.From.y+boxHeight/2
	x2, y2 := e.To.x, e.To.y+boxHeight/2
	bend := gapX / 2
	l := Line{Edge: e, Class: "calm", Width: 1}
	l.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
	if e.To.Column-e.From.Column > 1 { // below what stands between
		low := max(y1, y2)
		l.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+2*gapX, low, x2-2*gapX, low, x2, y2)
	}
	for n := e.Calls; n > 1 && l.Width < 6; n /= 3 {
		l.Width++
	}
	switch {
	case e.Blocked > 0:
		l.Class = "blocked"
	case e.Held > 0:
		l.Class = "held"
	case e.Untrusted:
		l.Class = "untrusted"
	case e.Private:
		l.Class = "private"
	}
	l.Title = fmt.Sprintf("%s → %s: %d calls, %d blocked, %d held", e.From.Name, e.To.Name, e.Calls, e.Blocked, e.Held)
	return l
}
