package plain

import (
	"unicode"
	"unicode/utf8"
)

// maxGap is how many bytes of separators within a value are looked over. A
// bound: a megabyte of spaces would otherwise be walked for every word beside.
const maxGap = 64

// Edge is a byte that no text has, and no stretch goes over.
const Edge = 0xFF

// Stretch is where two text are alike.
type Stretch struct {
	From, To   int // bytes of the squeezed one
	Start, End int // bytes of the other
	Via        Through
}

// Extend makes the longest stretch around a place of a text where Bytes[i:] may
// begin. It does not go further left than floor.
func (q *Squeezed) Extend(text string, at, i, floor int) Stretch {
	m := Stretch{From: i, To: i, Start: at, End: at}
	m.right(q, text)
	if m.To > i {
		m.left(q, text, floor)
	}
	return m
}

func (m *Stretch) right(q *Squeezed, text string) {
	letters, to, gap := q.Bytes, m.To, 0
	for at := m.End; at < len(text) && to < len(letters) && gap <= maxGap; {
		c := text[at]
		if c < utf8.RuneSelf {
			b := Folded[c]
			at++
			if b == 0 {
				gap++
				continue
			}
			if b != letters[to] {
				break
			}
			if to > m.From {
				m.step(q, gap > 0, to)
			}
			to++
			m.End, gap = at, 0
			continue
		}
		if c == Edge {
			break
		}
		r, size := utf8.DecodeRuneInString(text[at:])
		at += size
		if !InWord(r) {
			gap += size
			continue
		}
		n := EqualAt(letters, to, r)
		if n == 0 {
			break
		}
		if to > m.From {
			m.step(q, gap > 0, to)
		}
		to += n
		m.End, gap = at, 0
	}
	m.To = to
}

func (m *Stretch) left(q *Squeezed, text string, floor int) {
	letters, from, gap := q.Bytes, m.From, 0
	for at := m.Start; at > 0 && from > floor && gap <= maxGap; {
		c := text[at-1]
		if c < utf8.RuneSelf {
			b := Folded[c]
			at--
			if b == 0 {
				gap++
				continue
			}
			if b != letters[from-1] {
				break
			}
			m.step(q, gap > 0, from)
			from--
			m.Start, gap = at, 0
			continue
		}
		if c == Edge {
			break
		}
		r, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
		if !InWord(r) {
			gap += size
			continue
		}
		n := utf8.RuneLen(unicode.ToLower(r))
		if from-n < floor || EqualAt(letters, from-n, r) == 0 {
			break
		}
		m.step(q, gap > 0, from)
		from -= n
		m.Start, gap = at, 0
	}
	m.From = from
}

// step notes whether both differ in where words begin, before Bytes[i].
func (m *Stretch) step(q *Squeezed, gap bool, i int) {
	switch {
	case gap && !q.Starts[i]:
		m.Via |= ViaJoin
	case !gap && q.Starts[i]:
		m.Via |= ViaSplit
	}
}
