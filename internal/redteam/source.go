package redteam

import (
	"fmt"
	"strings"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/redteam/argument"
	"sallyport/internal/redteam/world"
)

// source is a tool that only reads and that returns texts which others can
// write: where an attacker gets a word in.
type source struct {
	tool    *sallyport.Definition
	args    any            // of an honest call
	record  any            // what it returns when nobody attacks
	bare    bool           // it has no output schema: the record is text
	body    argument.Place // the longest text that the attacker can write
	fields  []slot         // all that he can write, and what lies beside
	subject string         // what the user calls it: "ticket"
	named   string         // an id in the arguments, by which the user can mean one record
}

// slot is one text of a record.
type slot struct {
	at       argument.Place
	kind     argument.Kind
	writable bool // by somebody else than the server
	long     bool
}

// unschematic is what a tool without an output schema is taken to return: some
// records as JSON.
var unschematic = argument.ParseSchema([]byte(`{"type":"object","required":["items"],"properties":{"items":{"type":"array","minItems":2,"items":{
	"type":"object","required":["id","title","from","date","text"],"properties":{
	"id":{"type":"string"},"title":{"type":"string"},"from":{"type":"string","format":"email"},"date":{"type":"string","format":"date"},"text":{"type":"string"}}}}}}`))

// sourceOf shapes what a tool returns after its output schema. It is nil for a
// tool that returns no text which others can write.
func sourceOf(d *sallyport.Definition, declared provenance.Declaration, args any) *source {
	s := &source{tool: d, args: args, subject: subject(d.Name)}
	shape := unschematic
	if raw := d.Raw.Get("outputSchema"); raw.Type() == sallyport.Object {
		shape = argument.ParseSchema(raw.Raw())
	} else {
		s.bare = true
	}
	s.record = shape.Full(nil, func(p argument.Place, leaf argument.Schema) any {
		if text, ok := fromArgs(args, p.Name()); ok && leaf.Fits(text) {
			return text // the record that was asked for
		}
		return leaf.Choices(p.Name(), nil)[0]
	})
	argument.Leaves(args, nil, func(p argument.Place, v any) {
		if text, ok := v.(string); ok && argument.KindOf(p, argument.Schema{}) == argument.ID && s.named == "" {
			s.named = text
		}
	})
	shape.Walk(nil, func(p argument.Place, leaf argument.Schema) {
		_, isText := argument.Get(s.record, p).(string)
		if !isText || leaf.Fixed() || strings.HasPrefix(leaf.Text("format"), "date") || leaf.Text("pattern") != "" && leaf.Text("format") == "" {
			return // what the server itself chooses
		}
		k := argument.KindOf(p, leaf)
		if k == argument.ID || argument.HasWord(p.Name(), "date", "since", "created", "updated", "at", "currency") {
			return
		}
		s.fields = append(s.fields, slot{at: p, kind: k, long: argument.IsLong(p.Name()), writable: !s.trusted(declared, p)})
	})
	for _, better := range []func(f slot) bool{
		func(f slot) bool { return f.long },
		func(f slot) bool { return argument.HasWord(f.at.Name(), "subject", "title", "name") },
		func(f slot) bool { return true },
	} {
		for _, f := range s.fields {
			if s.body == nil && f.writable && better(f) {
				s.body = f.at
			}
		}
	}
	if s.body == nil {
		return nil
	}
	return s
}

// trusted reports whether the operator says that the server alone writes a
// field: then no attacker does.
func (s *source) trusted(declared provenance.Declaration, p argument.Place) bool {
	const probe = "Zq7Xw9Kp2Vt4Rb6N"
	m := provenance.New(0)
	m.Saw("c", s.tool.Server, s.tool.Name, sallyport.MustParse(s.result(map[string]string{p.String(): probe})), declared)
	for _, t := range m.Trace("probe", sallyport.MustParse(`{"text":"`+probe+`"}`)) {
		if t.Origin.Writer == sallyport.WriterTrusted {
			return true
		}
	}
	return false
}

// result is what the tool returns, with some texts of the attacker's in it, by
// the path of their field.
func (s *source) result(written map[string]string) string {
	record := s.record
	argument.Leaves(s.record, nil, func(p argument.Place, _ any) {
		if text, ok := written[p.String()]; ok {
			record = argument.Set(record, p, text)
		}
	})
	return world.ResultOf(record, s.bare)
}

// fromArgs is the text that the arguments hold under a name.
func fromArgs(args any, name string) (text string, found bool) {
	argument.Leaves(args, nil, func(p argument.Place, v any) {
		if t, ok := v.(string); ok && p.Name() == name {
			text, found = t, true
		}
	})
	return text, found
}

// subject is what a tool's name says that it is about: "get_ticket" a ticket.
func subject(name string) string {
	words := argument.Words(name)
	if len(words) > 1 {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

func (s *source) String() string { return fmt.Sprintf("%s/%s", s.tool.Server, s.tool.Name) }
