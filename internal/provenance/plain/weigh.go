package plain

import "unicode/utf8"

// Weighed is a squeezed text with its words and what they tell.
type Weighed struct {
	Squeezed
	Words []Word  // one after the other
	bits  []int32 // identifying power of Bytes[:i], in hundredths of a bit
}

// Word is one word of a text.
type Word struct {
	Start, End int // of its squeezed bytes
	Alone      int // its power by itself
}

// The identifying power of characters, in hundredths of a bit. A letter of a
// word of some language says little, one of a random token a lot.
const (
	letterBits = 160
	shortBits  = 80 // of words of three letters at most
	digitBits  = 332
	mixedBits  = 400
	joinedBits = 250 // a letter of a word that is joined to another, as in addresses
	beyondBits = 200 // a byte of a character beyond ASCII
)

// Weigh squeezes a text and says of each piece how unlikely it is that somebody
// else wrote the same.
func (w *Weighed) Weigh(text string) {
	w.Squeeze(text)
	sum := int32(0)
	w.bits, w.Words = append(w.bits[:0], sum), w.Words[:0]
	for start, end := 0, 0; start < len(w.Bytes); start = end {
		digits, beyond := 0, 0
		for end = start; end < len(w.Bytes) && (end == start || !w.Starts[end]); end++ {
			switch c := w.Bytes[end]; {
			case IsDigit(c):
				digits++
			case c >= utf8.RuneSelf:
				beyond++
			}
		}
		letters := end - start - digits - beyond
		each := int32(letterBits)
		switch {
		case beyond > 0:
			each = beyondBits
		case digits > 0 && letters > 0:
			each = mixedBits
		case digits > 0:
			each = digitBits
		case JoinedBefore(text, int(w.Places[start])) || JoinedAfter(text, w.After(text, end-1)):
			each = joinedBits // part of an address, a path or the like
		case letters <= 3:
			each = shortBits
		}
		for i := start; i < end; i++ {
			if i == 0 || w.Bytes[i] != w.Bytes[i-1] { // what repeats tells nothing
				sum += each
			}
			w.bits = append(w.bits, sum)
		}
		alone := w.Power(start, end)
		if letters == end-start {
			alone = min(alone, letters*letterBits/100)
		}
		w.Words = append(w.Words, Word{start, end, alone})
	}
}

// Power is the power of a piece where it stands.
func (w *Weighed) Power(from, to int) int { return int(w.bits[to]-w.bits[from]) / 100 }

// Telling is the first end from this one on with which a piece has a power; it
// looks no further than most.
func (w *Weighed) Telling(from, end, most, power int) int {
	for end < most && int(w.bits[end]-w.bits[from]) < 100*power {
		end++
	}
	return end
}

// Alone is the power of a piece by itself: of an address one word alone is not
// more than any other word.
func (w *Weighed) Alone(from, to int) int {
	for i := from; i < to; i++ {
		if c := w.Bytes[i]; i > from && w.Starts[i] || c < 'a' || c > 'z' {
			return w.Power(from, to)
		}
	}
	return min(w.Power(from, to), (to-from)*letterBits/100)
}

// After is where the character of Bytes[i] ends in the text.
func (w *Weighed) After(text string, i int) int {
	place := int(w.Places[i])
	if text[place] < utf8.RuneSelf {
		return place + 1
	}
	_, size := utf8.DecodeRuneInString(text[place:])
	return place + size
}
