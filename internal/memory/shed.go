package memory

import "container/list"

// Bounds of all memories together. A run that is dropped is read from the record
// again when it is asked for: that costs time and loses nothing.
const (
	maxRuns = 16_384
	maxHeld = 512 << 20 // bytes

	runCost   = 8 << 10 // of a memory without what it has seen
	turnsKept = 16      // between two looks at how much there is
)

// weigh notes how many bytes a memory takes. The caller holds its mu.
func (r *memory) weigh() { r.bytes.Store(int64(runCost + r.seen.Size() + r.size)) }

// touch makes a run the one that was used last, and now and then drops those that
// were not used for longest. The caller holds mu.
func (m *Memories) touch(id string, r *memory) {
	if r.place == nil {
		r.place = m.used.PushBack(id)
	} else {
		m.used.MoveToBack(r.place)
	}
	if m.turns++; m.turns%turnsKept == 0 || len(m.runs) > maxRuns {
		m.shed(r.place)
	}
}

// shed drops memories until all are within their bounds, but for the one at keep.
func (m *Memories) shed(keep *list.Element) {
	held := int64(0)
	for _, r := range m.runs {
		held += r.bytes.Load()
	}
	for m.used.Front() != keep && (held > m.most || len(m.runs) > maxRuns) {
		id := m.used.Remove(m.used.Front()).(string)
		if r := m.runs[id]; r != nil {
			held -= r.bytes.Load()
			delete(m.runs, id)
		}
	}
}
