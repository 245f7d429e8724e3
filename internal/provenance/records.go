package provenance

import "slices"

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
	type first struct {
		call string
		seq  uint64
	}
	var all []first
	known := map[string]int{}
	for _, s := range m.shelves {
		for i := range s.fields {
			f := &s.fields[i]
			if f.from.call == "" {
				continue
			}
			if k, ok := known[f.from.call]; ok {
				all[k].seq = min(all[k].seq, f.seq)
				continue
			}
			known[f.from.call] = len(all)
			all = append(all, first{f.from.call, f.seq})
		}
	}
	slices.SortFunc(all, func(a, b first) int { return int(int64(a.seq) - int64(b.seq)) })
	calls := make([]string, len(all))
	for i := range all {
		calls[i] = all[i].call
	}
	return calls
}

// Records are what is remembered of one call's result, by the number that a
// source gives; a record that is forgotten has no fields. What is encoded
// within a text is part of that text.
func (m *Memory) Records(call string) []Record {
	var found []*field
	records := 0
	for _, s := range m.shelves {
		for i := range s.fields {
			if f := &s.fields[i]; f.from.call == call && !f.hidden() {
				found = append(found, f)
				records = max(records, int(f.record)+1)
			}
		}
	}
	slices.SortFunc(found, func(a, b *field) int { return int(int64(a.seq) - int64(b.seq)) })
	all := make([]Record, records)
	for _, f := range found {
		r := &all[f.record]
		r.Fields = append(r.Fields, Field{f.place.path, f.text, f.place.sure})
	}
	return all
}
