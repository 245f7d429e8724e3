package plain

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// Squeezed is a text as it is compared: its letters and digits in lower case,
// without what separates them.
type Squeezed struct {
	Bytes  []byte
	Places []int32 // of each byte in the text, of the first byte of its character
	Starts []bool  // a word begins here
}

// Squeeze fills q, using the memory that it has.
func (q *Squeezed) Squeeze(text string) {
	q.room(0, len(text)+1)
	letters, places, starts := q.Bytes, q.Places, q.Starts
	n, fresh := 0, true
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf { // written in any case: where words end can't be foreseen
			b := Folded[c]
			letters[n], places[n], starts[n] = b, int32(i), fresh
			fresh = b == 0
			n += int(kept[c])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if InWord(r) {
			q.room(n, n+2*(len(text)-i)+1) // a few letters are longer in lower case
			letters, places, starts = q.Bytes, q.Places, q.Starts
			for range utf8.EncodeRune(letters[n:], unicode.ToLower(r)) {
				places[n], starts[n] = int32(i), fresh
				fresh = false
				n++
			}
		} else {
			fresh = true
		}
		i += size
	}
	q.Bytes, q.Places, q.Starts = letters[:n], places[:n], starts[:n]
}

// room makes q long enough, keeping the first n bytes.
func (q *Squeezed) room(n, size int) {
	if have := cap(q.Bytes); size > have {
		letters, places, starts := make([]byte, size), make([]int32, size), make([]bool, size)
		copy(letters, q.Bytes[:n])
		copy(places, q.Places[:n])
		copy(starts, q.Starts[:n])
		q.Bytes, q.Places, q.Starts = letters, places, starts
	} else {
		q.Bytes, q.Places, q.Starts = q.Bytes[:have], q.Places[:have], q.Starts[:have]
	}
}

// kept is 1 for what is folded to something.
var kept = func() (table [256]uint8) {
	for c, b := range Folded {
		if b != 0 {
			table[c] = 1
		}
	}
	return table
}()

// Gram is how many bytes a key holds at most.
const Gram = 6

// Key is n bytes themselves, at most Gram of them, how many they are, and the byte
// behind them, 0 at the end: no hash that somebody could craft another word
// for.
func (q *Squeezed) Key(i, n int) uint64 {
	var packed uint64
	if i+8 <= len(q.Bytes) {
		packed = binary.BigEndian.Uint64(q.Bytes[i:]) >> (64 - 8*n)
	} else {
		for _, b := range q.Bytes[i : i+n] {
			packed = packed<<8 | uint64(b)
		}
	}
	key := packed | uint64(n)<<48
	if i+n < len(q.Bytes) {
		key = Before(key, q.Bytes[i+n])
	}
	return key
}

// Before is the key that has another byte behind it.
func Before(key uint64, next byte) uint64 {
	return key&^(0xFF<<52) | uint64(next)<<52
}

// Around is what stands around a piece of a text: four bits of each of the seven
// bytes behind it, the first one on top, and of the byte before it. They are
// never 0 of a byte, and differ for different digits.
type Around uint32

// OneBefore are the bits of the byte before.
const OneBefore Around = 15

// Behind are the bits of the first n bytes behind, of all where they are more.
func Behind(n int) Around { return ^Around(0) << (32 - 4*min(max(n, 0), 7)) }

// Around is what stands around Bytes[start:end].
func (q *Squeezed) Around(start, end int) Around {
	var behind uint64
	if end+8 <= len(q.Bytes) {
		behind = binary.BigEndian.Uint64(q.Bytes[end:])
	} else {
		for i, b := range q.Bytes[end:] {
			behind |= uint64(b) << (56 - 8*i)
		}
	}
	a := fours(behind) & Behind(len(q.Bytes)-end)
	if start > 0 {
		a |= fours(uint64(q.Bytes[start-1])) & OneBefore
	}
	return a
}

// fours gives four bits of each byte.
func fours(bytes uint64) Around {
	bytes = (bytes ^ bytes>>4) & 0x0F0F0F0F0F0F0F0F
	bytes = (bytes | bytes>>4) & 0x00FF00FF00FF00FF
	bytes = (bytes | bytes>>8) & 0x0000FFFF0000FFFF
	a := Around(bytes | bytes>>16)
	return a | ^a.Known()
}

// Alike is how many bytes behind may be alike, where a are the bits in which they
// differ; very many when all seven are.
func (a Around) Alike() int {
	if alike := bits.LeadingZeros32(uint32(a)) / 4; alike < 7 {
		return alike
	}
	return math.MaxInt / 2
}

// Known are all bits of the bytes that stand there: behind the end nothing does.
func (a Around) Known() Around {
	a |= a >> 2
	a |= a >> 1
	return a & 0x11111111 * 15
}

// EqualAt is how many bytes the character takes at letters[i], 0 when another
// is there.
func EqualAt(letters []byte, i int, r rune) int {
	var buffer [utf8.UTFMax]byte
	n := utf8.EncodeRune(buffer[:], unicode.ToLower(r))
	if i < 0 || i+n > len(letters) || string(letters[i:i+n]) != string(buffer[:n]) {
		return 0
	}
	return n
}
