package provenance

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/provenance/plain"
)

// view is an argument in one of the encodings that were looked through.
type view struct {
	plain.Squeezed
	text   string
	via    plain.Through
	outer  *view // that this one was decoded from, nil for the argument itself
	shifts plain.Shifts
	start  int // where outer holds it, when it stands for these bytes as a whole
	end    int

	bits   []int32  // identifying power of bytes[:i], in hundredths of a bit
	hashes []uint32 // of the keys of gram bytes from here, 0 of those that are nowhere
}

// prepare fills what is compared, using the memory that the view has.
func (v *view) prepare(f *filter) {
	v.Squeeze(v.text)
	v.weigh()
	v.hashes = v.hashes[:0]
	for i := 0; i+gram <= len(v.Bytes); i++ {
		hash := hashOf(v.Key(i, gram))
		if !f.has(hash) {
			hash = 0
		}
		v.hashes = append(v.hashes, hash)
	}
}

// The identifying power of characters, in hundredths of a bit. A letter of a
// word of some language says little, one of a random token a lot.
const (
	letterBits = 160
	shortBits  = 80 // of words of three letters at most
	digitBits  = 332
	mixedBits  = 400
	beyondBits = 200 // a byte of a character beyond ASCII
)

// weigh fills bits: how unlikely it is that somebody else wrote the same.
func (v *view) weigh() {
	v.bits = append(v.bits[:0], 0)
	for i := 0; i < len(v.Bytes); {
		end, digits, beyond := i, 0, 0
		for ; end < len(v.Bytes) && (end == i || !v.Starts[end]); end++ {
			switch c := v.Bytes[end]; {
			case plain.IsDigit(c):
				digits++
			case c >= utf8.RuneSelf:
				beyond++
			}
		}
		letters := end - i - digits - beyond
		each := int32(letterBits)
		switch {
		case beyond > 0:
			each = beyondBits
		case digits > 0 && letters > 0:
			each = mixedBits
		case digits > 0:
			each = digitBits
		case letters <= 3:
			each = shortBits
		}
		for ; i < end; i++ {
			more := each
			if i > 0 && v.Bytes[i] == v.Bytes[i-1] {
				more = 0 // what repeats tells nothing
			}
			v.bits = append(v.bits, v.bits[i]+more)
		}
	}
}

func (v *view) power(from, to int) int { return int(v.bits[to]-v.bits[from]) / 100 }

// whole is the power of all of it.
func (v *view) whole() int { return v.power(0, len(v.Bytes)) }

// span gives the bytes of the argument that squeezed[from:to] stands for.
func (v *view) span(from, to int) (start, end int) {
	start = int(v.Places[from])
	end = v.after(to - 1)
	if from == 0 && to == len(v.Bytes) {
		start, end = 0, len(v.text)
	}
	return v.inArgument(start, end)
}

// after is where the character of squeezed[i] ends in the text.
func (v *view) after(i int) int {
	place := int(v.Places[i])
	_, size := utf8.DecodeRuneInString(v.text[place:])
	return place + size
}

func (v *view) inArgument(start, end int) (int, int) {
	if v.end > 0 {
		start, end = v.start, v.end
	} else {
		start, end = v.shifts.Was(start), v.shifts.Was(end)
	}
	if v.outer != nil {
		return v.outer.inArgument(start, end)
	}
	return start, end
}

// entire reports whether the view stands for the argument as a whole.
func (v *view) entire() bool {
	for ; v != nil; v = v.outer {
		if v.end > 0 && (strings.TrimSpace(v.outer.text[:v.start]) != "" || strings.TrimSpace(v.outer.text[v.end:]) != "") {
			return false
		}
	}
	return true
}

// match is a stretch of a view that a field holds as well.
type match struct {
	shelf    *shelf
	field    *field
	view     *view
	from, to int // squeezed bytes of the view
	start    int // bytes of the field's text
	end      int
	via      plain.Through
	same     bool // the same value, and a whole one where it was seen
}

func (m *match) power() int { return m.view.power(m.from, m.to) }
func (m *match) covers() bool {
	return m.from == 0 && m.to == len(m.view.Bytes)
}

// maxGap is how many bytes of separators within a value are looked over. A
// bound: a megabyte of spaces would otherwise be walked for every word beside.
const maxGap = 64

// extend makes the longest match around a place of a field where
// squeezed[i:] may begin. It does not go further left than floor.
func extend(v *view, f *field, at, i, floor int) match {
	m := match{field: f, view: v, from: i, to: i, start: at, end: at}
	extendRight(v, f.text, &m)
	if m.to > i {
		extendLeft(v, f.text, &m, floor)
	}
	return m
}

func extendRight(v *view, text string, m *match) {
	gap := 0
	for at := m.end; at < len(text) && m.to < len(v.Bytes) && gap <= maxGap; {
		c := text[at]
		if c < utf8.RuneSelf {
			b := plain.Folded[c]
			at++
			if b == 0 {
				gap++
				continue
			}
			if b != v.Bytes[m.to] {
				return
			}
			m.step(v, gap > 0, m.to)
			m.to++
			m.end, gap = at, 0
			continue
		}
		r, size := utf8.DecodeRuneInString(text[at:])
		at += size
		if !plain.InWord(r) {
			gap += size
			continue
		}
		n := plain.EqualAt(v.Bytes, m.to, r)
		if n == 0 {
			return
		}
		m.step(v, gap > 0, m.to)
		m.to += n
		m.end, gap = at, 0
	}
}

func extendLeft(v *view, text string, m *match, floor int) {
	gap := 0
	for at := m.start; at > 0 && m.from > floor && gap <= maxGap; {
		c := text[at-1]
		if c < utf8.RuneSelf {
			b := plain.Folded[c]
			at--
			if b == 0 {
				gap++
				continue
			}
			if b != v.Bytes[m.from-1] {
				return
			}
			m.step(v, gap > 0, m.from)
			m.from--
			m.start, gap = at, 0
			continue
		}
		r, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
		if !plain.InWord(r) {
			gap += size
			continue
		}
		n := utf8.RuneLen(unicode.ToLower(r))
		if m.from-n < floor || plain.EqualAt(v.Bytes, m.from-n, r) == 0 {
			return
		}
		m.step(v, gap > 0, m.from)
		m.from -= n
		m.start, gap = at, 0
	}
}

// step notes whether the argument and the field differ in where words begin,
// before squeezed[i].
func (m *match) step(v *view, gap bool, i int) {
	if m.from == m.to || i == 0 {
		return
	}
	switch {
	case gap && !v.Starts[i]:
		m.via |= plain.ViaJoin
	case !gap && v.Starts[i]:
		m.via |= plain.ViaSplit
	}
}

// judge decides whether a match that covers the view is the same value, not
// merely the same letters: bobsmith@x.com is not bob.smith@x.com, and evil.com
// was not named by who wrote notevil.com.
func (m *match) judge() {
	v, text := m.view, m.field.text
	first, last := int(v.Places[0]), v.after(len(v.Bytes)-1)
	before := strings.TrimLeft(v.text[:first], " \n\t")
	after := strings.TrimRight(v.text[last:], " \n\t")
	if (after == "." || after == "!" || after == "?") && strings.IndexByte(v.text, ' ') > 0 {
		after = "" // the end of a sentence
	}
	via, same := plain.SameText(v.text[first:last], text[m.start:m.end])
	if !same || !strings.HasSuffix(text[:m.start], before) || !strings.HasPrefix(text[m.end:], after) {
		return
	}
	start, end := m.start-len(before), m.end+len(after)
	if plain.JoinedBefore(text, start) || plain.JoinedAfter(text, end) {
		return
	}
	m.same, m.start, m.end = true, start, end
	m.via = m.via&^(plain.ViaJoin|plain.ViaSplit) | via
}

// scan is what one shelf has of one view.
type scan struct {
	wholes  []match // that cover the view, the same value first
	pieces  []match // that do not, in order
	crowded bool    // the view may be there, among more places than were looked at
}

const (
	minPiece  = 12  // bits from which on a piece is kept
	longText  = 128 // bits from which on only phrases count, see evidence
	maxWholes = 16
	overlap   = 64 // bytes that a match may reach back into the one before
	firstFew  = 2  // places of a key that are always compared
)

// search finds the longest matches from left to right. Its time is linear in
// the view: a match is left behind as soon as it is found, and no more than
// maxChain places are compared at each step.
func (s *shelf) search(v *view) scan {
	q := searching{shelf: s, view: v, long: v.whole() >= longText}
	n := len(v.Bytes)
	for i := 0; i < n && len(q.found.wholes) == 0; {
		q.best = match{}
		if i < len(v.hashes) && (v.hashes[i] != 0 || v.Starts[i]) {
			q.try(i, gram, v.hashes[i], v.Starts[i] && inOneWord(v, i, gram))
		}
		if v.Starts[i] {
			q.tryShort(i)
		}
		if q.best.to > i && q.best.power() >= minPiece {
			q.found.pieces = append(q.found.pieces, q.best)
			q.end = q.best.to
			i = max(i+1, q.best.to-gram+1)
			continue
		}
		i++
	}
	q.found.crowded = q.capped && !q.refuted && len(q.found.wholes) == 0
	return q.found
}

// searching is a search of one view on one shelf.
type searching struct {
	shelf   *shelf
	view    *view
	long    bool
	word    int // where the word before begins
	end     int // of the last piece
	best    match
	found   scan
	capped  bool // there were more places than were compared
	refuted bool // a word of ours was looked up to the end: the view as a whole is nowhere
}

// try compares the places of one key of n bytes at i; mine says that it is the
// key of a whole word of the view.
func (q *searching) try(i, n int, hash uint32, mine bool) {
	a := q.shelf.newest(hash)
	if a != nil {
		floor, want := max(0, q.end-overlap), q.view.Following(i+n)
		most := maxChain
		if q.long {
			most /= 2
		}
		for chain := 1; a != nil; a = q.shelf.older(a) {
			if chain > most {
				q.capped, mine = true, false
				break
			}
			if chain++; (chain > firstFew || q.long || !mine) && !plain.GoesOn(want, a.next) {
				continue
			}
			q.compare(a, i, floor)
		}
	}
	if mine && i > 0 && len(q.found.wholes) == 0 {
		q.refuted = true
	}
}

func (q *searching) compare(a *anchor, i, floor int) {
	f, at := q.shelf.fieldAt(a.at)
	m := extend(q.view, f, at, i, floor)
	m.shelf = q.shelf
	switch {
	case m.to == i:
	case m.covers():
		m.judge()
		q.found.keep(m)
	case m.to-m.from > q.best.to-q.best.from:
		q.best = m
	}
}

// tryShort tries the words of fewer than gram bytes that may begin at i. Other
// words than the view's own are tried only where they may be joined to one
// value, not in long texts; words of up to three bytes at the beginning and
// beside each other, since any other place that matters has a longer word.
func (q *searching) tryShort(i int) {
	v := q.view
	end := i + 1
	for end < len(v.Bytes) && !v.Starts[end] && end-i < gram {
		end++
	}
	least := 4
	if i == 0 || i-q.word <= 3 {
		least = 1
	}
	q.word = i
	for n := max(least, 3); n < end-i && n < gram && !q.long; n++ {
		q.try(i, n, hashOf(v.Key(i, n)), false)
	}
	if n := end - i; n >= least && n < gram {
		q.try(i, n, hashOf(v.Key(i, n)), true)
	}
}

// keep adds a match that covers the view, the same value before others.
func (f *scan) keep(m match) {
	for i := range f.wholes {
		if f.wholes[i].field == m.field && f.wholes[i].start == m.start {
			return
		}
	}
	switch {
	case len(f.wholes) < maxWholes:
		f.wholes = append(f.wholes, m)
	case m.same && !f.wholes[maxWholes-1].same:
		f.wholes[maxWholes-1] = m
	default:
		return
	}
	for i := len(f.wholes) - 1; i > 0 && f.wholes[i].same && !f.wholes[i-1].same; i-- {
		f.wholes[i], f.wholes[i-1] = f.wholes[i-1], f.wholes[i]
	}
}

func inOneWord(v *view, i, n int) bool {
	for j := i + 1; j < i+n; j++ {
		if v.Starts[j] {
			return false
		}
	}
	return true
}
