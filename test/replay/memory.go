package main

import (
	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

// memory shows what a run has seen to scope: records of fields that are fields
// for sure. What somebody may have written to look like one names nothing.
type memory struct {
	*provenance.Memory
	asked map[string]bool // calls that were made with what the user named
	kept  map[string][]scope.Record
}

func newMemory() *memory {
	return &memory{provenance.New(0), map[string]bool{}, map[string][]scope.Record{}}
}

// Records are those of one call.
func (m *memory) Records(call string) []scope.Record {
	if kept, ok := m.kept[call]; ok {
		return kept
	}
	var all []scope.Record
	for _, r := range m.Memory.Records(call) {
		record := scope.Record{Asked: m.asked[call]}
		for _, f := range r.Fields {
			if f.Sure {
				record.Fields = append(record.Fields, scope.Field{Path: f.Path, Text: f.Text})
			}
		}
		all = append(all, record)
	}
	m.kept[call] = all
	return all
}

// declaration is what the harness says of a suite's servers, and it says
// nothing of any tool or field: not looked at, but its text results come from
// a serialiser. All else is by the shape of fields.
var declaration = provenance.Declaration{Trust: provenance.Vetted, Serialised: true}

// result is what a call gave as MCP has it.
func result(text, structured string) (sallyport.Value, error) {
	if structured != "" {
		return sallyport.Parse([]byte(`{"content":[],"structuredContent":` + structured + `}`))
	}
	out := sallyport.AppendString([]byte(`{"content":[{"type":"text","text":`), text)
	return sallyport.Parse(append(out, `}]}`...))
}
