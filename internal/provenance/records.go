package provenance

import (
	"cmp"
	"maps"
	"slices"
)

// Record is one thing that a call returned, as far as it is remembered.
type Record struct {
	Fields []Field
}

// Field is one value of a record.
type Field struct {
	Path string
	Text string // escapes undone, Unicode forms unified
	// Sure says that it is a field of its own. Else it may be text that
	// somebody wrote to look like one.
	Sure bool
}

// Calls are the calls of whose results something is remembered, oldest first.
func (m *Memory) Calls() []string {
	first := map[string]uint64{}
	for _, s := range m.shelves {
		for i := range s.fields {
			f := &s.fields[i]
			if seq, known := first[f.from.call]; f.from.call != "" && (!known || f.seq < seq) {
				first[f.from.call] = f.seq
			}
		}
	}
	return slices.SortedFunc(maps.Keys(first), func(a, b string) int { return cmp.Compare(first[a], first[b]) })
}

// Records are what is remembered of one call's result, by the number that a
// source gives; a record that is forgotten has no fields. What is encoded
// within a text is part of that text.
func (m *Memory) Records(call string) []Record {
	type kept struct {
		*field
		text string
	}
	var found []kept
	records := 0
	for _, s := range m.shelves {
		for i := range s.fields {
			if f := &s.fields[i]; f.from.call == call && !f.hidden() {
				found = append(found, kept{f, s.text(i)})
				records = max(records, int(f.record)+1)
			}
		}
	}
	slices.SortFunc(found, func(a, b kept) int { return cmp.Compare(a.seq, b.seq) })
	all := make([]Record, records)
	for _, f := range found {
		r := &all[f.record]
		r.Fields = append(r.Fields, Field{f.place.path, f.text, f.place.sure})
	}
	return all
}
