package provenance

import "sallyport/internal/provenance/plain"

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

// hash is the hash of a key, 0 when that is nowhere.
func (f *filter) hash(key uint64) uint32 {
	if hash := hashOf(key); f.has(hash) {
		return hash
	}
	return 0
}

// eachNext yields the hashes of a key with whatever may be behind it: nothing,
// a digit, a letter, the first byte of another character; until yield has
// enough.
func (f *filter) eachNext(key uint64, yield func(hash uint32) bool) {
	for next := range 256 {
		if next == 0 || folded(byte(next)) || next >= 0xC2 {
			if hash := f.hash(plain.Before(key, byte(next))); hash != 0 && !yield(hash) {
				return
			}
		}
	}
}

func folded(c byte) bool { return plain.Folded[c] == c }

// full reports whether it should be made anew before n more keys are added.
func (f *filter) full(n int) bool { return (f.marks+n)*bitsPerMark > 64*len(f.bits) }

// refilter makes the filter of the keys that are left, with room for as
// many more and n.
func (m *Memory) refilter(n int) {
	live := n
	for _, s := range m.shelves {
		live += s.used
	}
	size := 16
	for 64*size < 2*bitsPerMark*live {
		size *= 2
	}
	*m.filter = filter{bits: make([]uint64, size)}
	for _, s := range m.shelves {
		for _, one := range s.slots {
			if one.newest > s.first {
				m.filter.add(one.hash)
			}
		}
	}
}
