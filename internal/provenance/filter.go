package provenance

// filter tells quickly that a key is on no shelf, which is so for most keys of
// an argument. It may say yes for a key that is nowhere, never no for one that
// is somewhere.
type filter struct {
	bits  []uint64 // a power of two
	marks int      // since it was made
}

const bitsPerMark = 8

func (f *filter) add(hash uint32) {
	f.bits[hash>>6&uint32(len(f.bits)-1)] |= 1 << (hash & 63)
	f.marks++
}

func (f *filter) has(hash uint32) bool {
	return len(f.bits) > 0 && f.bits[hash>>6&uint32(len(f.bits)-1)]&(1<<(hash&63)) != 0
}

// full reports whether it should be made anew before n more keys are added.
func (f *filter) full(n int) bool { return (f.marks+n)*bitsPerMark > 64*len(f.bits) }

// refilter makes the filter of the anchors that are left, with room for as
// many more and n.
func (m *Memory) refilter(n int) {
	live := n
	for _, s := range m.shelves {
		live += int(s.count - s.first)
	}
	size := 16
	for 64*size < 2*bitsPerMark*live {
		size *= 2
	}
	*m.filter = filter{bits: make([]uint64, size)}
	for _, s := range m.shelves {
		for number := s.first; number < s.count; number++ {
			m.filter.add(s.anchor(number).hash)
		}
	}
}
