// Package burn makes a picture of how an account of a limit was used up. It is
// pure: from points in time to SVG.
package burn

import (
	"fmt"
	"strings"
	"time"

	"sallyport/internal/limits"
)

// What the picture measures, in its own units.
const (
	width, height = 720, 260
	left, right   = 74, 14
	top, bottom   = 14, 34
)

// Line is a level that is drawn across, or a time that is drawn down.
type Line struct {
	X, Y  int
	Text  string
	Class string
}

// Picture is a course with places.
type Picture struct {
	Width, Height       int
	Left, Right, Bottom int
	Area, Settled       string // paths
	Estimate            string // "" where nothing came to something else
	Forecast            string // "" for none
	Levels, Times       []Line
	Now                 int
	Reached             []Line
}

// Draw places everything. Times are written in a zone.
func Draw(c *limits.Course, zone *time.Location) Picture {
	s := scale{begins: c.Begins, ends: c.Now, most: 110}
	if c.Ends.After(c.Begins) && !slides(c) {
		s.ends = c.Ends
	}
	if c.Full.After(s.ends) {
		s.ends = c.Full
	}
	for _, p := range c.Points {
		s.most = max(s.most, p.Settled*1.08, p.Estimate*1.08)
	}
	p := Picture{Width: width, Height: height, Left: left, Right: width - right, Bottom: height - bottom, Now: s.x(c.Now)}
	settled := s.stair(c, func(p limits.Point) float64 { return p.Settled })
	p.Settled = "M" + settled
	p.Area = fmt.Sprintf("M%s L%d %d L%d %d Z", settled, p.Now, p.Bottom, left, p.Bottom)
	for _, point := range c.Points {
		if point.Estimate != point.Settled {
			p.Estimate = "M" + s.stair(c, func(p limits.Point) float64 { return p.Estimate })
			break
		}
	}
	if !c.Full.IsZero() && c.Full.After(c.Now) {
		p.Forecast = fmt.Sprintf("M%d %d L%d %d", p.Now, s.y(level(c)), s.x(c.Full), s.y(100))
	}
	for _, percent := range []int{0, 50, 80, 100} {
		p.Levels = append(p.Levels, Line{left, s.y(float64(percent)), fmt.Sprintf("%d %%", percent), fmt.Sprintf("level-%d", percent)})
	}
	for _, r := range c.Reached {
		p.Reached = append(p.Reached, Line{X: s.x(r.At), Y: s.y(float64(r.Percent)), Text: fmt.Sprintf("%d %%", r.Percent)})
	}
	p.Times = s.times(zone)
	return p
}

// slides reports whether what counts is of a time that moves on: then it begins a
// whole window before now, and there is no end to draw.
func slides(c *limits.Course) bool { return strings.HasPrefix(c.Limit.Window, "sliding") }

// level is how much is taken now.
func level(c *limits.Course) float64 {
	if len(c.Points) == 0 {
		return 0
	}
	return c.Points[len(c.Points)-1].Settled
}

type scale struct {
	begins, ends time.Time
	most         float64 // percent
}

func (s scale) x(at time.Time) int {
	whole := s.ends.Sub(s.begins)
	if whole <= 0 {
		return left
	}
	return left + int(float64(width-left-right)*float64(at.Sub(s.begins))/float64(whole)+.5)
}

func (s scale) y(percent float64) int {
	return height - bottom - int(float64(height-top-bottom)*percent/s.most+.5)
}

// stair is a line that goes up where something was taken.
func (s scale) stair(c *limits.Course, value func(limits.Point) float64) string {
	var b strings.Builder
	at := 0.0
	fmt.Fprintf(&b, "%d %d", left, s.y(0))
	for _, p := range c.Points {
		x := s.x(p.At)
		fmt.Fprintf(&b, " L%d %d L%d %d", x, s.y(at), x, s.y(value(p)))
		at = value(p)
	}
	fmt.Fprintf(&b, " L%d %d", s.x(c.Now), s.y(at))
	return b.String()
}

// times are written below: round ones, about five.
func (s scale) times(zone *time.Location) (all []Line) {
	whole := s.ends.Sub(s.begins)
	layout, step := "15:04", time.Minute
	for _, one := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
		24 * time.Hour, 7 * 24 * time.Hour} {
		if step = one; whole/one <= 6 {
			break
		}
	}
	if step >= 24*time.Hour {
		layout = "2 Jan"
	}
	begins := s.begins.In(zone)
	_, offset := begins.Zone()
	local := time.Duration(offset) * time.Second
	for at := begins.Add(local).Truncate(step).Add(-local); !at.After(s.ends); at = at.Add(step) {
		if !at.Before(s.begins) {
			all = append(all, Line{X: s.x(at), Y: height - bottom, Text: at.In(zone).Format(layout)})
		}
	}
	return all
}
