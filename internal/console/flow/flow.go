// Package flow makes a picture of where data went: from agents through the tools
// that read and the data that they gave to the tools that act. It is pure: from
// entries of the log to boxes and lines, and from those to SVG.
package flow

import (
	"cmp"
	"slices"

	"sallyport"
)

// Columns of the picture, from left to right.
const (
	Agents = iota
	Reads
	Data
	Sinks
	columns
)

// Node is one box.
type Node struct {
	Column int    `json:"column"`
	Name   string `json:"name"`
	Calls  int    `json:"calls"`
	// Query is the filter of the log that shows these calls: names and values.
	Query map[string]string `json:"query"`

	x, y int
}

// Edge is one line between two boxes.
type Edge struct {
	From  *Node `json:"-"`
	To    *Node `json:"-"`
	Calls int   `json:"calls"`
	// Blocked and Held are how many of them were refused, and held.
	Blocked int `json:"blocked"`
	Held    int `json:"held"`
	// Labels are what was known of the run: the worst of them colours the line.
	Untrusted bool `json:"untrusted"`
	Private   bool `json:"private"`
}

// Map is what went where.
type Map struct {
	Nodes []*Node `json:"nodes"` // column by column, the busiest first
	Edges []*Edge `json:"edges"`
	Calls int     `json:"calls"`
	Left  int     `json:"left_out"` // boxes that there was no room for
}

// maxRows is how many boxes a column has: a picture of more shows nothing.
const maxRows = 14

type key struct {
	column int
	name   string
}

type builder struct {
	nodes map[key]*Node
	edges map[[2]*Node]*Edge
	read  map[string]map[*Node]bool // by run: data that it has read
}

// Of makes a map of entries, oldest first: intents, refusals and holds of tools.
// origin says what is known of a server's results, such as "private, untrusted".
func Of(entries []sallyport.Entry, origin func(server string) string) Map {
	b := builder{map[key]*Node{}, map[[2]*Node]*Edge{}, map[string]map[*Node]bool{}}
	m := Map{}
	for i := range entries {
		e := &entries[i]
		if e.Kind == sallyport.KindTool && e.Type != sallyport.Change && e.Type != sallyport.Closed {
			b.add(e, origin(e.Server))
			m.Calls++
		}
	}
	m.Nodes, m.Left = b.rows()
	for _, e := range b.edges {
		if slices.Contains(m.Nodes, e.From) && slices.Contains(m.Nodes, e.To) {
			m.Edges = append(m.Edges, e)
		}
	}
	slices.SortFunc(m.Edges, func(a, b *Edge) int {
		return cmp.Or(cmp.Compare(a.From.Column, b.From.Column), cmp.Compare(a.From.Name, b.From.Name), cmp.Compare(a.To.Column, b.To.Column), cmp.Compare(a.To.Name, b.To.Name))
	})
	return m
}

func (b *builder) add(e *sallyport.Entry, origin string) {
	agent := b.node(Agents, e.Principal.Agent, map[string]string{"agent": e.Principal.Agent})
	query := map[string]string{"server": e.Server, "name": e.Name}
	if slices.Equal(e.Effects, []sallyport.Effect{sallyport.Read}) {
		tool := b.node(Reads, e.Server+" / "+e.Name, query)
		b.edge(agent, tool, e)
		if e.Type == sallyport.Intent {
			data := b.node(Data, e.Server+": "+origin, map[string]string{"server": e.Server})
			b.edge(tool, data, e)
			if b.read[e.Run] == nil {
				b.read[e.Run] = map[*Node]bool{}
			}
			b.read[e.Run][data] = true
		}
		return
	}
	sink := b.node(Sinks, e.Server+" / "+e.Name, query)
	for data := range b.read[e.Run] {
		b.edge(data, sink, e)
	}
	if len(b.read[e.Run]) == 0 {
		b.edge(agent, sink, e)
	}
}

func (b *builder) node(column int, name string, query map[string]string) *Node {
	n := b.nodes[key{column, name}]
	if n == nil {
		n = &Node{Column: column, Name: name, Query: query}
		b.nodes[key{column, name}] = n
	}
	n.Calls++
	return n
}

func (b *builder) edge(from, to *Node, e *sallyport.Entry) {
	one := b.edges[[2]*Node{from, to}]
	if one == nil {
		one = &Edge{From: from, To: to}
		b.edges[[2]*Node{from, to}] = one
	}
	one.Calls++
	switch e.Type {
	case sallyport.Refusal:
		one.Blocked++
	case sallyport.Held:
		one.Held++
	}
	one.Untrusted = one.Untrusted || slices.Contains(e.Labels, sallyport.LabelSawUntrusted)
	one.Private = one.Private || slices.Contains(e.Labels, sallyport.LabelSawPrivate)
}

// rows are the boxes that are shown.
func (b *builder) rows() (shown []*Node, left int) {
	for column := range columns {
		var all []*Node
		for k, n := range b.nodes {
			if k.column == column {
				all = append(all, n)
			}
		}
		slices.SortFunc(all, func(a, b *Node) int {
			return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Name, b.Name))
		})
		left += max(0, len(all)-maxRows)
		shown = append(shown, all[:min(len(all), maxRows)]...)
	}
	return shown, left
}
