package plain

import (
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

// Key is n bytes themselves, at most 6 of them, how many they are, and the byte
// behind them, 0 at the end: no hash that somebody could craft another word
// for.
func (q *Squeezed) Key(i, n int) uint64 {
	var packed uint64
	for _, b := range q.Bytes[i : i+n] {
		packed = packed<<8 | uint64(b)
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

// Following are the four bytes from i on, fewer at the end.
func (q *Squeezed) Following(i int) uint32 {
	var packed uint32
	for j := range 4 {
		packed <<= 8
		if i+j < len(q.Bytes) {
			packed |= uint32(q.Bytes[i+j])
		}
	}
	return packed
}

// GoesOn reports whether two texts can go on alike, by what follows in each.
// Where one ends the other may have anything.
func GoesOn(a, b uint32) bool {
	for shift := 24; shift >= 0; shift -= 8 {
		x, y := byte(a>>shift), byte(b>>shift)
		if x == 0 || y == 0 {
			return true
		}
		if x != y {
			return false
		}
	}
	return true
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
