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

	bits   []int32     // identifying power of bytes[:i], in hundredths of a bit
	hashes [][2]uint32 // of the keys of gram bytes from here, with the byte behind and without; 0 of those that are nowhere
}

// prepare fills what is compared, using the memory that the view has.
func (v *view) prepare(f *filter) {
	v.Squeeze(v.text)
	v.weigh()
	v.hashes = v.hashes[:0]
	for i := 0; i+gram <= len(v.Bytes); i++ {
		key := v.Key(i, gram)
		v.hashes = append(v.hashes, [2]uint32{f.hash(key), f.hash(plain.Before(key, 0))})
	}
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
		case v.joined(i, end):
			each = joinedBits
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

// joined reports whether a word is part of an address, a path or the like.
func (v *view) joined(from, to int) bool {
	return plain.JoinedBefore(v.text, int(v.Places[from])) || plain.JoinedAfter(v.text, v.after(to-1))
}

func (v *view) power(from, to int) int { return int(v.bits[to]-v.bits[from]) / 100 }

// alone is the power of a piece by itself: of an address one word alone is not
// more than any other word.
func (v *view) alone(from, to int) int {
	for i := from; i < to; i++ {
		if c := v.Bytes[i]; i > from && v.Starts[i] || c < 'a' || c > 'z' {
			return v.power(from, to)
		}
	}
	return min(v.power(from, to), (to-from)*letterBits/100)
}

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

func (m *match) power() int { return m.view.alone(m.from, m.to) }
func (m *match) covers() bool {
	return m.from == 0 && m.to == len(m.view.Bytes)
}

// exact reports whether the argument stands there letter by letter, in the text
// or in what was sent of it: who may choose case, escapes or separators says
// something with them.
func (m *match) exact(argument string, start, end int) bool {
	near := func(text string, start, end int) bool {
		return end <= len(text) && strings.Contains(text[max(0, start-len(argument)):min(len(text), end+len(argument))], argument)
	}
	f := m.field
	return m.covers() && (near(f.text, m.start, m.end) || f.decoded != nil && near(f.decoded.sent, start, end))
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
	minPiece    = 12  // bits from which on a piece is kept
	longText    = 128 // bits from which on only phrases count, see evidence
	maxWholes   = 16
	workPerByte = 32 // bytes compared for each byte of a view, beyond which the search gives up
	overlap     = 64 // bytes that a match may reach back into the one before
)

// search finds the longest matches from left to right. Its time is linear in
// the view: a match is left behind as soon as it is found, no more than
// maxChain places are compared at each step, and a view that is made to be
// compared at length is taken for found.
func (s *shelf) search(v *view) scan {
	q := searching{shelf: s, view: v, long: v.whole() >= longText}
	n := len(v.Bytes)
	most := workPerByte*n + 64*workPerByte
	for i := 0; i < n && len(q.found.wholes) == 0 && q.work <= most; {
		q.best = match{}
		switch {
		case v.Starts[i]:
			q.lookWord(i)
		case i < len(v.hashes) && v.hashes[i] != [2]uint32{}:
			q.look(i, gram, q.wordEnd(i), v.hashes[i])
		}
		// What says little is left behind as well: a text of one letter would
		// be compared with itself from every place.
		if telling := q.best.to > i && q.best.power() >= minPiece; telling || q.best.to > i+2*gram {
			if telling {
				q.found.pieces = append(q.found.pieces, q.best)
			}
			q.end = q.best.to
			i = max(i+1, q.best.to-gram+1)
			continue
		}
		i++
	}
	q.found.crowded = (q.capped && !q.refuted || q.work > most) && len(q.found.wholes) == 0
	return q.found
}

// searching is a search of one view on one shelf.
type searching struct {
	shelf   *shelf
	view    *view
	long    bool
	word    int // where the word before begins, -1 when it was left out
	stop    int // where the word that was looked at last ends
	end     int // of the last piece
	work    int // bytes that were compared
	best    match
	found   scan
	capped  bool // there were more places than were compared
	refuted bool // a word of ours was looked up to the end: the view as a whole is nowhere
}

// lookWord looks for the word that begins at i. Which words are worth it:
//   - one that tells something by itself, whatever follows it;
//   - the first, and others together with what follows them, in a long text
//     every second one: a phrase holds several words;
//   - parts of it that may be words of their own where one value is joined
//     from several, not in long texts.
func (q *searching) lookWord(i int) {
	v := q.view
	end := q.wordEnd(i)
	n := min(end-i, gram)
	telling := v.alone(i, end) >= minPiece
	before := q.word
	if q.long && !telling && i > 0 && before >= 0 {
		q.word = -1
		return
	}
	q.word = i
	if n < gram && i < len(v.hashes) { // one word of theirs may be split here
		q.look(i, gram, len(v.Bytes), v.hashes[i])
	}
	if n <= 3 && i > 0 && !telling && i-before > 3 {
		return // any phrase that matters has a longer word
	}
	for part := 3; part < n && !q.long; part++ {
		q.look(i, part, end, q.hashes(i, part))
	}
	known := len(v.Bytes)
	if telling {
		known = end
	}
	hashes := q.hashes(i, n)
	if n == gram {
		hashes = v.hashes[i]
	}
	all := q.look(i, n, known, hashes)
	if end-i <= gram && (telling && q.best.to < end || i == 0 && end == len(v.Bytes)) {
		q.shelf.filter.eachNext(v.Key(i, n), func(hash uint32) bool {
			all = q.try(i, n, 0, hash) && all
			return q.best.to < end && len(q.found.wholes) < maxWholes
		})
	}
	q.refute(i, all)
}

func (q *searching) hashes(i, n int) [2]uint32 {
	key, f := q.view.Key(i, n), q.shelf.filter
	return [2]uint32{f.hash(key), f.hash(plain.Before(key, 0))}
}

// refute notes that a word of the view was looked up to the end without
// finding all of the view: so that is nowhere.
func (q *searching) refute(i int, all bool) {
	if all && i > 0 && len(q.found.wholes) == 0 {
		q.refuted = true
	}
}

// wordEnd is where the word that holds i ends.
func (q *searching) wordEnd(i int) int {
	if i >= q.stop { // else it is still the same word
		for q.stop = i + 1; q.stop < len(q.view.Bytes) && !q.view.Starts[q.stop]; q.stop++ {
		}
	}
	return q.stop
}

// look compares the places of a key of n bytes at i where what follows, as far
// as until, follows as well. It reports whether it came to the end.
func (q *searching) look(i, n, until int, hashes [2]uint32) (all bool) {
	if hashes == [2]uint32{} {
		return true
	}
	want := q.view.Following(i + n)
	if rest := until - i - n; rest < 4 {
		want &^= ^uint32(0) >> (8 * max(0, rest))
	}
	all = true
	for _, hash := range hashes {
		all = (hash == 0 || q.try(i, n, want, hash)) && all
	}
	return all
}

// try compares the places of one hash, and reports whether it came to the end.
func (q *searching) try(i, n int, want, hash uint32) (all bool) {
	a := q.shelf.newest(hash)
	if a == nil {
		return true
	}
	most := maxChain
	switch {
	case want == 0 && i > 0: // a word alone: any place of it does
		most = 2
	case q.long:
		most /= 2
	}
	floor := max(0, q.end-overlap)
	for chain := 1; a != nil; a = q.shelf.older(a) {
		if chain > most {
			q.capped = true
			return false
		}
		if chain++; plain.GoesOn(want, a.next) {
			q.compare(a, i, floor)
		}
	}
	return true
}

func (q *searching) compare(a *anchor, i, floor int) {
	f, at := q.shelf.fieldAt(a.at)
	m := extend(q.view, f, at, i, floor)
	m.shelf = q.shelf
	q.work += m.to - m.from + 1
	switch {
	case m.to == i:
	case m.covers():
		m.judge()
		q.found.keep(m)
	case m.to-m.from > q.best.to-q.best.from:
		q.best = m
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
