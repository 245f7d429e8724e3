package plain

import (
	"encoding/binary"
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
	if cap(q.Bytes) < len(text) {
		q.Bytes = make([]byte, 0, len(text))
		q.Places = make([]int32, 0, len(text))
		q.Starts = make([]bool, 0, len(text))
	}
	letters, places, starts := q.Bytes[:0], q.Places[:0], q.Starts[:0]
	fresh := true
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if b := Folded[c]; b != 0 {
				letters = append(letters, b)
				places = append(places, int32(i))
				starts = append(starts, fresh)
				fresh = false
			} else {
				fresh = true
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if InWord(r) {
			from := len(letters)
			letters = utf8.AppendRune(letters, unicode.ToLower(r))
			for range letters[from:] {
				places = append(places, int32(i))
				starts = append(starts, fresh)
				fresh = false
			}
		} else {
			fresh = true
		}
		i += size
	}
	q.Bytes, q.Places, q.Starts = letters, places, starts
}

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

// Following are the four bytes from i on, as far as until; fewer at the end.
func (q *Squeezed) Following(i, until int) uint32 {
	if until = min(until, i+4); until <= i {
		return 0
	}
	if i+4 <= len(q.Bytes) {
		return binary.BigEndian.Uint32(q.Bytes[i:]) &^ (1<<(8*(i+4-until)) - 1)
	}
	var packed uint32
	for _, b := range q.Bytes[i:until] {
		packed = packed<<8 | uint32(b)
	}
	return packed << (8 * (i + 4 - until))
}

// GoesOn reports whether two texts can go on alike, by what follows in each.
// Where one ends the other may have anything.
func GoesOn(a, b uint32) bool {
	if a == b {
		return true
	}
	place := bits.LeadingZeros32(a^b) / 8 * 8 // of the first byte that differs
	return a<<place>>24 == 0 || b<<place>>24 == 0
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
