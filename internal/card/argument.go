package card

import (
	"slices"
	"strconv"
	"strings"

	"sallyport"
)

// arguments are all leaves of a question's arguments, an empty list or object
// being one too, with where each came from.
func arguments(q sallyport.Value, origins []string) []Argument {
	all := leaves(q.Get("args"), nil, []Argument{})
	for _, o := range q.Get("origins").Items() {
		path := text(o, "path")
		for i := range all {
			if all[i].Path == path {
				// An unknown word counts as the weakest.
				writer, _ := o.Get("writer").Text()
				readers, _ := o.Get("readers").Text()
				all[i].Writer, all[i].Readers = sallyport.WriterOf(writer).String(), sallyport.ReadersOf(readers).String()
			}
		}
	}
	for _, line := range origins {
		for i := range all {
			if from, ok := strings.CutPrefix(Exact(line), all[i].Path+": "); ok {
				all[i].From = from
			}
		}
	}
	return all
}

// beside are the params beyond the arguments, and beyond the name and the URI
// where they are what the verb says already.
func beside(q sallyport.Value) []Argument {
	name, _ := q.Get("name").Text()
	params := q.Get("params")
	if params.Type() != sallyport.Object {
		return leaves(params, nil, []Argument{})
	}
	all := []Argument{}
	for member, v := range params.Members() {
		if (member == "name" || member == "uri") && v.IsText(name) {
			continue
		}
		all = leaves(v, sallyport.AppendName(nil, member), all)
	}
	return all
}

// leaves recurses no deeper than sallyport.MaxDepth.
func leaves(v sallyport.Value, path []byte, all []Argument) []Argument {
	path = slices.Clip(path)
	switch {
	case v.Type() == sallyport.Absent:
		return all
	case v.Type() == sallyport.Object && v.Len() > 0:
		for name, member := range v.Members() {
			all = leaves(member, sallyport.AppendName(path, name), all)
		}
		return all
	case v.Type() == sallyport.Array && v.Len() > 0:
		for i, item := range v.Items() {
			all = leaves(item, append(strconv.AppendInt(append(path, '['), int64(i), 10), ']'), all)
		}
		return all
	default:
		return append(all, Argument{Path: Exact(string(path)), Value: Exact(string(v.Raw()))})
	}
}

// maxBefore is how many earlier values are shown of an argument.
const maxBefore = 3

// compare says what differs from earlier questions about the same tool.
func (c *Card) compare(a *sallyport.Approval, past []sallyport.Approval) {
	seen := map[string][]string{}
	compared := 0
	for _, p := range past[:min(len(past), MaxPast)] {
		state := p.At(a.Asked).State
		by := p.By
		if by == "" {
			by = p.Approver()
		}
		c.Past.Last = append(c.Past.Last, Decision{p.ID, state.String(), Exact(by), Exact(p.Reason), p.Asked})
		switch state {
		case sallyport.Approved, sallyport.Spent:
			c.Past.Approved++
		case sallyport.Refused:
			c.Past.Refused++
		default:
			c.Past.Expired++
		}
		q, err := sallyport.Parse(p.Question)
		if err != nil || p.State != sallyport.Approved && p.State != sallyport.Spent {
			continue // only what people agreed to makes a value a known one
		}
		compared++
		for _, leaf := range leaves(q.Get("args"), nil, nil) {
			if place := anyIndex(leaf.Path); !slices.Contains(seen[place], leaf.Value) {
				seen[place] = append(seen[place], leaf.Value)
			}
		}
	}
	for i := range c.Arguments {
		before := seen[anyIndex(c.Arguments[i].Path)]
		if slices.Contains(before, c.Arguments[i].Value) {
			continue
		}
		if means := c.Arguments[i].Means; means != "" {
			c.First = append(c.First, "First time: "+means+" "+c.Arguments[i].Value)
		}
		if compared > 0 {
			c.Arguments[i].New, c.Arguments[i].Before = true, before[:min(len(before), maxBefore)]
		}
	}
}

// anyIndex is a path without its indexes: whether somebody is the first or the
// third of a list makes nobody known.
func anyIndex(path string) string {
	var b strings.Builder
	for len(path) > 0 {
		open := strings.IndexByte(path, '[')
		if open < 0 {
			break
		}
		digits := strings.IndexFunc(path[open+1:], func(r rune) bool { return r < '0' || r > '9' })
		if digits > 0 && path[open+1+digits] == ']' {
			b.WriteString(path[:open] + "[]")
			path = path[open+2+digits:]
			continue
		}
		b.WriteString(path[:open+1])
		path = path[open+1:]
	}
	return b.String() + path
}
