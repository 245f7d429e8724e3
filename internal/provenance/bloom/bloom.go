// Package bloom tells quickly that a key is on no shelf, which is so for most
// keys of an argument.
package bloom

import (
	"math/bits"
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

// line has of the same bytes on the same shelf two windows, in two of its
// words: one bit for each thing that may be behind the bytes.
type line [lineBits / 64]uint64

const (
	lineBits    = 512
	bitsPerMark = 16
)

// bytesBit says of a line that it has marks of these bytes.
func bytesBit(hash uint32) uint32 { return hash / behinds * 0x9E3779B1 >> 23 }

func (l *line) bit(bit uint32) uint32 { return uint32(l[bit/64%(lineBits/64)] >> (bit % 64) & 1) }

// window says which word of a line one of the windows is, and how far it is turned.
type window struct{ at, turned uint32 }

// windows are those of some bytes on the first shelf; on others they are moved.
func windows(hash uint32) (one, other window) {
	mixed := hash / behinds * 0x9E3779B1
	mixed ^= mixed >> 15
	return window{mixed >> 29, mixed >> 20}, window{mixed >> 26, mixed >> 14}
}

func (w window) on(shelf int) window {
	return window{w.at + uint32(shelf), w.turned + 23*uint32(shelf)}
}

func (w window) of(l *line) uint64 {
	return bits.RotateLeft64(l[w.at%(lineBits/64)], int(w.turned%64))
}

func (w window) set(l *line, kind uint8) {
	l[w.at%(lineBits/64)] |= bits.RotateLeft64(1<<kind, -int(w.turned%64))
}

// Hash is the hash of a key. Its upper bits are those of the bytes, and the rest
// says what is behind them.
func Hash(key uint64) uint32 { return before(hashOfBytes(key), byte(key>>52)) }

// behinds is how many hashes the same bytes have.
const behinds = 512

// hashOfBytes is the hash of a key without what is behind it; never 0.
func hashOfBytes(key uint64) uint32 {
	key = plain.Before(key, 0)
	key ^= key >> 29
	key *= 0xBF58476D1CE4E5B9
	return max(behinds, uint32(key>>32)&^(behinds-1))
}

const (
	spread   = 0x9D  // between the hashes of the same bytes, so that they get slots apart
	unspread = 0x1B5 // what undoes it: both together are 1 of behinds
)

// before is the hash of the same bytes with another byte behind them.
func before(hash uint32, next byte) uint32 {
	return hash&^(behinds-1) | (hash/(32*behinds)+uint32(next)*spread)%behinds
}

// behind is the byte that is behind the bytes of a hash.
func behind(hash uint32) byte {
	return byte((hash - hash/(32*behinds)) * unspread % behinds)
}

func (f *Filter) line(hash uint32) *line { return &f.lines[hash/behinds&uint32(len(f.lines)-1)] }

// Add marks a hash on a shelf. There must be room.
func (f *Filter) Add(hash uint32, shelf int) {
	l := f.line(hash)
	b := bytesBit(hash)
	l[b/64] |= 1 << (b % 64)
	one, other := windows(hash)
	kind := kinds[behind(hash)]
	one.on(shelf).set(l, kind)
	other.on(shelf).set(l, kind)
	f.marks++
	f.shelves = max(f.shelves, shelf+1)
}

// Has reports whether a shelf may have a hash.
func (f *Filter) Has(hash uint32, shelf int) bool {
	return len(f.lines) > 0 && f.behind(hash, shelf)>>kinds[behind(hash)]&1 != 0
}

// behind are the bits that both windows have: whatever may be behind the bytes.
func (f *Filter) behind(hash uint32, shelf int) uint64 {
	l := f.line(hash)
	one, other := windows(hash)
	return one.on(shelf).of(l) & other.on(shelf).of(l)
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
	if len(f.lines) == 0 {
		return Key{}
	}
	k := Key{Bytes: f.known(key)}
	f.spread(&k, byte(key>>52))
	return k
}

// Grams looks up every plain.Gram bytes, using the memory of keys.
func (f *Filter) Grams(keys []Key, bytes []byte) []Key {
	if len(bytes) < plain.Gram || len(f.lines) == 0 {
		return keys[:0]
	}
	keys = slices.Grow(keys[:0], len(bytes))[:len(bytes)-plain.Gram+1]
	var packed uint64
	for i, b := range bytes { // nothing depends on what is found: the processor waits for many lines at once
		packed = packed<<8 | uint64(b)
		if i >= plain.Gram-1 {
			keys[i-plain.Gram+1] = Key{Bytes: f.known(packed&(1<<(8*plain.Gram)-1) | plain.Gram<<48)}
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
	hash := hashOfBytes(key)
	return hash & -f.line(hash).bit(bytesBit(hash))
}

// spread finds the shelves of a key.
func (f *Filter) spread(k *Key, next byte) {
	if k.Bytes == 0 {
		return
	}
	l := f.line(k.Bytes)
	one, other := windows(k.Bytes)
	kind := kinds[next]
	for shelf := range f.shelves {
		behind := one.on(shelf).of(l) & other.on(shelf).of(l)
		k.Last |= Shelves(behind&1) << shelf
		k.Next |= Shelves(behind>>kind&1) << shelf
	}
	if next == 0 {
		k.Next = 0
	}
}

// EachNext yields the hashes that a shelf may have of a key's bytes, with
// whatever is behind them, until yield has enough.
func (f *Filter) EachNext(k Key, shelf int, yield func(hash uint32) bool) {
	if k.Bytes == 0 {
		return
	}
	for left := f.behind(k.Bytes, shelf); left != 0; left &= left - 1 {
		for _, next := range nexts[bits.TrailingZeros64(left)] {
			if !yield(k.Before(next)) {
				return
			}
		}
	}
}

// kinds tells what may be behind the bytes of a key apart: nothing, each digit
// and each letter, and the first bytes of other characters, a few of a kind.
var kinds = func() (kinds [256]uint8) {
	kind := uint8(0)
	for next := range 256 {
		if plain.Folded[next] == byte(next) && next != 0 {
			kind++
			kinds[next] = kind
		}
	}
	for next := 0x80; next < 256; next++ {
		kinds[next] = kind + 1 + uint8(next)%(63-kind)
	}
	return kinds
}()

// nexts are the bytes of each kind with which a word can begin.
var nexts = func() (nexts [64][]byte) {
	for next := range 256 {
		if next == 0 || plain.Folded[next] == byte(next) || next >= 0xC2 {
			nexts[kinds[next]] = append(nexts[kinds[next]], byte(next))
		}
	}
	return nexts
}()
