// Package bloom tells quickly that a key is on no shelf, which is so for most
// keys of an argument.
package bloom

import (
	"slices"

	"sallyport/internal/provenance/plain"
)

// Filter may say yes for a key that is nowhere, never no for one that is
// somewhere. All marks of the same bytes, whatever is behind them and on
// whichever shelf they are, lie on one line of the processor's cache. The zero
// Filter has no room: Renew makes some.
type Filter struct {
	lines   []line // a power of two
	marks   int    // since it was made
	shelves int
}

type line [lineBits / 64]uint64

const (
	lineBits    = 512
	bitsPerMark = 8
)

func (l *line) set(bit uint32)        { l[bit/64%(lineBits/64)] |= 1 << (bit % 64) }
func (l *line) bit(bit uint32) uint32 { return uint32(l[bit/64%(lineBits/64)] >> (bit % 64) & 1) }

// Hash is the hash of a key: what is behind its bytes changes the place on the
// line, not the line.
func Hash(key uint64) uint32 { return before(hashOfBytes(key), byte(key>>52)) }

// hashOfBytes is the hash of a key without what is behind it; never 0.
func hashOfBytes(key uint64) uint32 {
	key = plain.Before(key, 0)
	key ^= key >> 29
	key *= 0xBF58476D1CE4E5B9
	return max(1, uint32(key>>32))
}

// before is the hash of the same bytes with another byte behind them.
func before(hash uint32, next byte) uint32 {
	return hash&^(lineBits-1) | (hash+uint32(next)*0x9D)%lineBits
}

func (f *Filter) line(hash uint32) *line { return &f.lines[hash/lineBits&uint32(len(f.lines)-1)] }

// bytesBit says of a line that it has marks of these bytes.
func bytesBit(hash uint32) uint32 { return hash / lineBits * 0x9E3779B1 >> 23 }

// shelfBits are the places of a hash on its line, others for each shelf.
func shelfBits(hash uint32, shelf int) (uint32, uint32) {
	hash += uint32(shelf) * 0x6B
	return hash, hash * 0x85EBCA6B >> 23
}

// Add marks a hash on a shelf. There must be room.
func (f *Filter) Add(hash uint32, shelf int) {
	l := f.line(hash)
	one, other := shelfBits(hash, shelf)
	l.set(bytesBit(hash))
	l.set(one)
	l.set(other)
	f.marks++
	f.shelves = max(f.shelves, shelf+1)
}

// Has reports whether a shelf may have a hash.
func (f *Filter) Has(hash uint32, shelf int) bool {
	if len(f.lines) == 0 {
		return false
	}
	l := f.line(hash)
	one, other := shelfBits(hash, shelf)
	return l.bit(one)&l.bit(other) != 0
}

// Full reports whether it should be made anew before n more keys are added.
func (f *Filter) Full(n int) bool { return (f.marks+n)*bitsPerMark > lineBits*len(f.lines) }

// Renew empties it and makes room for at least n keys.
func (f *Filter) Renew(n int) {
	size := 2
	for lineBits*size < 2*bitsPerMark*n {
		size *= 2
	}
	*f = Filter{lines: make([]line, size)}
}

// Clone is a copy.
func (f *Filter) Clone() *Filter { return &Filter{slices.Clone(f.lines), f.marks, f.shelves} }

// Shelves is a set of shelves by number: there are no more than twelve origins.
type Shelves uint16

// Has reports whether a shelf is among them.
func (s Shelves) Has(shelf int) bool { return s>>shelf&1 != 0 }

// Key says where the same bytes may be.
type Key struct {
	Bytes uint32  // hash of the bytes alone, 0 when they are nowhere
	Next  Shelves // that may have them with the same byte behind
	Last  Shelves // that may have them with nothing behind
}

// Before is the hash of the key with another byte behind it.
func (k Key) Before(next byte) uint32 { return before(k.Bytes, next) }

// On are the shelves that may have the key.
func (k Key) On() Shelves { return k.Next | k.Last }

// Look looks a key up, as it is and as the end of a text.
func (f *Filter) Look(key uint64) Key {
	k := Key{Bytes: f.known(key)}
	f.spread(&k, byte(key>>52))
	return k
}

// Grams looks up every plain.Gram bytes, using the memory of keys.
func (f *Filter) Grams(keys []Key, bytes []byte) []Key {
	keys = slices.Grow(keys[:0], len(bytes))
	var packed uint64
	for i, b := range bytes { // nothing depends on what is found: the processor waits for many lines at once
		packed = (packed<<8 | uint64(b)) & (1<<(8*plain.Gram) - 1)
		if i >= plain.Gram-1 {
			keys = append(keys, Key{Bytes: f.known(packed | plain.Gram<<48)})
		}
	}
	for i := range keys {
		next := byte(0)
		if end := i + plain.Gram; end < len(bytes) {
			next = bytes[end]
		}
		f.spread(&keys[i], next)
	}
	return keys
}

// known is the hash of a key's bytes, 0 when no shelf has them.
func (f *Filter) known(key uint64) uint32 {
	if len(f.lines) == 0 {
		return 0
	}
	hash := hashOfBytes(key)
	return hash & -f.line(hash).bit(bytesBit(hash))
}

// spread finds the shelves of a key.
func (f *Filter) spread(k *Key, next byte) {
	if k.Bytes == 0 {
		return
	}
	k.Last = f.on(k.Bytes)
	if next != 0 {
		k.Next = f.on(k.Before(next))
	}
}

// on are the shelves that may have a hash.
func (f *Filter) on(hash uint32) Shelves {
	l := f.line(hash)
	var on Shelves
	for shelf := range f.shelves {
		one, other := shelfBits(hash, shelf)
		on |= Shelves(l.bit(one)&l.bit(other)) << shelf
	}
	return on
}

// EachNext yields the hashes that a shelf may have of a key's bytes, with
// whatever is behind them, until yield has enough.
func (f *Filter) EachNext(k Key, shelf int, yield func(hash uint32) bool) {
	if k.Bytes == 0 {
		return
	}
	for _, next := range nexts {
		if hash := k.Before(next); f.Has(hash, shelf) && !yield(hash) {
			return
		}
	}
}

// nexts is what may be behind the bytes of a key: nothing, a digit, a letter,
// the first byte of another character.
var nexts = func() (all []byte) {
	for next := range 256 {
		if next == 0 || plain.Folded[next] == byte(next) || next >= 0xC2 {
			all = append(all, byte(next))
		}
	}
	return all
}()
