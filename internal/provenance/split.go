package provenance

import (
	"strings"

	"sallyport"
	"sallyport/internal/provenance/form"
	"sallyport/internal/provenance/plain"
)

// cell is one value of a result, with its place.
type cell struct {
	record    int
	path      []byte // good until the next cell only
	text      string
	container string // which of several lists holds the record
	quiet     bool   // text is the name of a value that says nothing, such as true
	how       form.Structure
}

// splitter cuts a result into records and fields.
type splitter struct {
	record int // the next one's number
	cells  int // so far
	yield  func(cell)
}

// result splits what a call gave: structured content by field, text by the
// form that it has, and all else that a result can carry by its path.
func (s *splitter) result(v sallyport.Value) {
	if v.Type() != sallyport.Object {
		s.leaves(v, form.Forgeable, "")
		return
	}
	structuredContent := v.Get("structuredContent")
	for name, member := range v.Members() {
		switch name {
		case "structuredContent":
			s.records(member, form.Structured)
		case "content", "contents", "messages":
			for _, block := range member.Items() {
				s.block(block, structuredContent)
			}
			if member.Type() == sallyport.Object || member.Type() == sallyport.String {
				s.block(member, structuredContent)
			}
		default:
			s.leaves(member, form.Forgeable, "")
		}
	}
}

// block is one item of a result's content, or a prompt's message.
func (s *splitter) block(v, known sallyport.Value) {
	if inner := v.Get("content"); inner.Type() == sallyport.Object {
		v = inner
	}
	if text, ok := v.Text(); ok {
		s.text(text, known)
		return
	}
	if v.Type() != sallyport.Object {
		s.leaves(v, form.Forgeable, "")
		return
	}
	for name, member := range v.Members() {
		text, ok := member.Text()
		switch {
		case name == "type":
		case name == "text" && ok:
			s.text(text, known)
		case name == "resource" && member.Type() == sallyport.Object:
			s.block(member, known)
		default:
			s.leaves(member, form.Forgeable, "")
		}
	}
}

// text splits a text. What is the structured content once more, as the
// protocol advises servers to send it, is not kept twice.
func (s *splitter) text(text string, known sallyport.Value) {
	v, how := form.Parse(text)
	switch {
	case v.Type() == sallyport.Absent:
		s.cell(cell{record: s.record, text: text, how: form.Forgeable})
		s.record++
	case how == form.Written && known.Type() != sallyport.Absent && same(v, known):
	default:
		before := s.cells
		s.records(v, how)
		if s.cells == before && strings.TrimSpace(text) != "" {
			// Names alone, such as "obey:": a form that holds nothing must not
			// hide the words that it is made of.
			s.cell(cell{record: s.record, text: text, how: form.Forgeable})
			s.record++
		}
	}
}

func same(a, b sallyport.Value) bool {
	return string(a.AppendCanonical(nil)) == string(b.AppendCanonical(nil))
}

// wrapping is the name under which frameworks wrap the text that a tool gave.
// Under any other a text is the value of its field, whatever it looks like: a
// mail's body makes no records.
const wrapping = "result"

const maxOwnFields = 4 // of what merely wraps a list: a total, a cursor

// records finds the records of a value: the items of its list, or itself.
func (s *splitter) records(v sallyport.Value, how form.Structure) {
	for v.Type() == sallyport.Object && v.Len() == 1 {
		var name string
		var only sallyport.Value
		for name, only = range v.Members() {
		}
		if text, ok := only.Text(); ok && name == wrapping {
			if inner, innerHow := form.Parse(text); inner.Type() != sallyport.Absent {
				v, how = inner, innerHow // a text that a framework wrapped
				continue
			}
		}
		if t := only.Type(); t != sallyport.Object && t != sallyport.Array {
			break
		}
		if only.Type() == sallyport.Object && s.keyed(v, how) {
			return
		}
		v = only
	}
	switch v.Type() {
	case sallyport.Array:
		s.items(v, how, "")
	case sallyport.Object:
		if !s.lists(v, how) && !s.keyed(v, how) {
			s.leaves(v, how, "")
		}
	default:
		s.leaves(v, how, "")
	}
}

// keyed takes an object apart whose members are records under their names. The
// name is a field of its record, of the path "".
func (s *splitter) keyed(v sallyport.Value, how form.Structure) bool {
	if !form.IsKeyed(v) {
		return false
	}
	for name, member := range v.Members() {
		s.cell(cell{record: s.record, text: name, how: how})
		s.leaves(member, how, "")
	}
	return true
}

// lists takes an object that wraps lists of records apart.
func (s *splitter) lists(v sallyport.Value, how form.Structure) bool {
	lists, own := 0, 0
	for name, member := range v.Members() {
		if isList(member) {
			lists++
			continue
		}
		own++
		if plain.IsIDName(name) {
			return false // a record with a list inside
		}
	}
	if lists == 0 || own > maxOwnFields {
		return false
	}
	var rest []byte
	for name, member := range v.Members() {
		if !isList(member) {
			rest = append(sallyport.AppendString(append(rest, ','), name), ':')
			rest = append(rest, member.Raw()...)
			continue
		}
		container := ""
		if lists > 1 {
			container = name
		}
		s.items(member, how, container)
	}
	if own > 0 {
		rest[0] = '{'
		if wrapper, err := sallyport.Parse(append(rest, '}')); err == nil {
			s.leaves(wrapper, how, "")
		}
	}
	return true
}

func isList(v sallyport.Value) bool {
	for _, item := range v.Items() {
		return item.Type() == sallyport.Object
	}
	return false
}

func (s *splitter) items(v sallyport.Value, how form.Structure, container string) {
	for _, item := range v.Items() {
		s.leaves(item, how, container)
	}
}

// leaves yields the values of one record, and its names that are no
// identifiers, which hold what somebody wrote as well.
func (s *splitter) leaves(v sallyport.Value, how form.Structure, container string) {
	s.names(v)
	for path, leaf := range v.Leaves() {
		text, ok := leaf.Text()
		if !ok {
			if leaf.Type() != sallyport.Number {
				// true, false and null say nothing; who chose the name may have.
				s.cell(cell{record: s.record, path: path, text: lastName(string(path)), container: container, how: how, quiet: true})
				continue
			}
			text = string(leaf.Raw())
		}
		s.cell(cell{record: s.record, path: path, text: text, container: container, how: how})
	}
	s.record++
}

// names recurses no deeper than sallyport.MaxDepth.
func (s *splitter) names(v sallyport.Value) {
	for name, member := range v.Members() {
		if !form.IsPlainName(name) {
			s.cell(cell{record: s.record, text: name, how: form.Forgeable})
		}
		s.names(member)
	}
	for _, item := range v.Items() {
		s.names(item)
	}
}

func (s *splitter) cell(c cell) {
	if c.text != "" {
		if !c.quiet {
			s.cells++
		}
		s.yield(c)
	}
}
