package provenance

import (
	"slices"
	"strings"

	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

// view is an argument in one of the encodings that were looked through.
type view struct {
	plain.Weighed
	text   string
	via    plain.Through
	outer  *view // that this one was decoded from, nil for the argument itself
	shifts plain.Shifts
	start  int // where outer holds it, when it stands for these bytes as a whole
	end    int

	grams []bloom.Key   // of the gram bytes from here
	parts []bloom.Key   // of the beginnings of words, see part
	on    bloom.Shelves // that may have any of them
	long  bool          // only phrases count, see evidence
}

// prepare fills what is compared, using the memory that the view has. All
// shelves share it: most of an argument is on none of them.
func (v *view) prepare(f *bloom.Filter) {
	v.Weigh(v.text)
	v.long = v.whole() >= longText
	v.grams = f.Grams(v.grams, v.Bytes)
	v.parts = slices.Grow(v.parts[:0], len(v.Bytes))[:len(v.Bytes)]
	v.on = 0
	for i := range v.grams {
		v.on |= v.grams[i].On()
	}
	for i := range v.Words {
		w := &v.Words[i]
		length := w.End - w.Start
		least := min(length, minPart)
		if v.long {
			least = length // no parts of words
		}
		for n := least; n <= length && n < gram; n++ {
			k := f.Look(v.Key(w.Start, n))
			v.parts[w.Start+n-1] = k
			v.on |= k.On()
		}
		if v.guessed(w) && v.part(w, min(length, gram)).Bytes != 0 {
			v.on = ^bloom.Shelves(0)
		}
	}
}

// part is the key of the first n bytes of a word.
func (v *view) part(w *plain.Word, n int) bloom.Key {
	if n == gram && len(v.grams) == 0 { // nothing is on any shelf
		return bloom.Key{}
	}
	if n == gram {
		return v.grams[w.Start]
	}
	return v.parts[w.Start+n-1]
}

// guessed reports whether a word may stand before anything.
func (v *view) guessed(w *plain.Word) bool {
	return w.End-w.Start <= gram && (w.Alone >= minPiece || w.Start == 0 && w.End == len(v.Bytes))
}

// whole is the power of all of it.
func (v *view) whole() int { return v.Power(0, len(v.Bytes)) }

// span gives the bytes of the argument that squeezed[from:to] stands for.
func (v *view) span(from, to int) (start, end int) {
	start = int(v.Places[from])
	end = v.After(v.text, to-1)
	if from == 0 && to == len(v.Bytes) {
		start, end = 0, len(v.text)
	}
	return v.inArgument(start, end)
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
	text     string // of the field
	view     *view
	from, to int // squeezed bytes of the view
	start    int // bytes of the text
	end      int
	via      plain.Through
	same     bool // the same value, and a whole one where it was seen
}

func (m *match) power() int { return m.view.Alone(m.from, m.to) }
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
	return m.covers() && (near(m.text, m.start, m.end) || f.decoded != nil && near(f.decoded.sent, start, end))
}

// judge decides whether a match that covers the view is the same value, not
// merely the same letters: bobsmith@x.com is not bob.smith@x.com, and evil.com
// was not named by who wrote notevil.com.
func (m *match) judge() {
	v, text := m.view, m.text
	first, last := int(v.Places[0]), v.After(v.text, len(v.Bytes)-1)
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
	minPart     = 3   // bytes of a word that are looked up as a word of their own
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
func (s *shelf) search(v *view, found scan) scan {
	found.wholes, found.pieces, found.crowded = found.wholes[:0], found.pieces[:0], false
	if !v.on.Has(s.number) {
		return found
	}
	q := searching{shelf: s, view: v, found: found}
	n := len(v.Bytes)
	most := workPerByte*n + 64*workPerByte
	for i := 0; i < n && len(q.found.wholes) == 0 && q.work <= most; {
		for v.Words[q.at].End <= i {
			q.at++
		}
		q.best = plain.Stretch{}
		w := &v.Words[q.at]
		if w.Start == i {
			q.lookWord(w)
		} else {
			last := min(w.End, len(v.grams))
			for i < last && !v.grams[i].On().Has(s.number) {
				i++
			}
			if i >= last {
				i = w.End
				continue
			}
			q.look(i, gram, w.End, v.grams[i])
		}
		// What says little is left behind as well: a text of one letter would
		// be compared with itself from every place.
		if q.best.To > i {
			telling := v.Alone(q.best.From, q.best.To) >= minPiece
			if telling {
				q.found.pieces = append(q.found.pieces, s.match(v, q.best))
			}
			if telling || q.best.To > i+2*gram {
				q.end = q.best.To
				i = max(i+1, q.best.To-gram+1)
				continue
			}
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
	at      int // number of the word that is looked at
	before  int // where the word before begins, -1 when it was left out
	end     int // of the last piece
	work    int // bytes that were compared
	best    plain.Stretch
	found   scan
	touched byte
	capped  bool // there were more places than were compared
	refuted bool // a word of ours was looked up to the end: the view as a whole is nowhere
}

// lookWord looks for a word. Which words are worth it:
//   - one that tells something by itself, whatever follows it;
//   - the first, and others together with what follows them, in a long text
//     every second one: a phrase holds several words;
//   - parts of it that may be words of their own where one value is joined
//     from several, not in long texts.
func (q *searching) lookWord(w *plain.Word) {
	v, i := q.view, w.Start
	n := min(w.End-i, gram)
	telling := w.Alone >= minPiece
	before := q.before
	if v.long && !telling && i > 0 && before >= 0 {
		q.before = -1
		return
	}
	q.before = i
	if n < gram && i < len(v.grams) { // one word of theirs may be split here
		q.look(i, gram, len(v.Bytes), v.grams[i])
	}
	if n < minPart+1 && i > 0 && !telling && i-before > 3 {
		return // any phrase that matters has a longer word
	}
	for part := minPart; part < n && !v.long; part++ {
		q.look(i, part, w.End, v.part(w, part))
	}
	known := len(v.Bytes)
	if telling {
		known = w.End
	}
	k := v.part(w, n)
	all := q.look(i, n, known, k)
	if w.End-i <= gram && (telling && q.best.To < w.End || i == 0 && w.End == len(v.Bytes)) {
		q.shelf.filter.EachNext(k, q.shelf.number, func(hash uint32) bool {
			all = q.try(i, q.want(i, i+n, 0), hash) && all
			return q.best.To < w.End && len(q.found.wholes) < maxWholes
		})
	}
	if all && i > 0 && len(q.found.wholes) == 0 {
		q.refuted = true
	}
}

// look compares the places of n bytes at i, with this key, where what follows,
// as far as until, follows as well. It reports whether it came to the end.
func (q *searching) look(i, n, until int, k bloom.Key) (all bool) {
	number := q.shelf.number
	if !k.On().Has(number) {
		return true
	}
	want := q.want(i, i+n, until)
	all = true
	if k.Next.Has(number) {
		all = q.try(i, want, k.Before(q.view.Bytes[i+n]))
	}
	if k.Last.Has(number) {
		all = q.try(i, want, k.Before(0)) && all
	}
	return all
}

// wanted is what a place must have around it to be worth the comparison.
type wanted struct {
	end    int // of the bytes that are looked up
	around plain.Around
	near   plain.Around // what of it must be there, as far as the text goes
	alone  plain.Around // what must be there when the match can't begin before
	left   bool         // it may begin before
	any    bool         // place of a word does
}

// want is what must be around squeezed[i:end]. What begins there has to tell
// something, or nobody asks for it.
func (q *searching) want(i, end, until int) wanted {
	v := q.view
	near := min(until-end, 4)
	telling := v.Telling(i, end, min(len(v.Bytes), end+7), minPiece)
	return wanted{end, v.Around(i, end), plain.Behind(near), plain.Behind(telling - end), i > 0, near <= 0 && i > 0}
}

// try compares the places of one hash, and reports whether it came to the end.
func (q *searching) try(i int, want wanted, hash uint32) (all bool) {
	a := q.shelf.newest(hash)
	if a == nil {
		return true
	}
	most := maxChain
	switch {
	case want.any:
		most = 2
	case q.view.long:
		most /= 2
	}
	texts := &q.shelf.texts
	var spots [maxChain]spot
	found := 0
	all = true
	for chain := 0; a != nil; a = q.shelf.older(a) {
		if chain == most {
			q.capped, all = true, false
			break
		}
		chain++
		differ := want.around ^ a.around
		if (differ&want.alone == 0 || want.left && differ&plain.OneBefore == 0) && differ&want.near&a.around.Known() == 0 {
			one := spot{int(a.at - texts.base), len(q.view.Bytes)}
			if !want.left || differ&plain.OneBefore != 0 {
				one.most = want.end + differ.Alike() - i
			}
			q.touched ^= texts.all[one.at] // on its way from memory while the next one is looked for
			spots[found] = one
			found++
		}
	}
	floor := max(0, q.end-overlap)
	for _, one := range spots[:found] {
		if one.most > q.best.To-q.best.From {
			q.compare(q.view.Extend(texts.all, one.at, i, floor), i)
		}
	}
	return all
}

// spot is a place of the texts, and how long a match there can be.
type spot struct{ at, most int }

func (q *searching) compare(m plain.Stretch, i int) {
	q.work += m.To - m.From + 1
	switch {
	case m.To == i:
	case m.From == 0 && m.To == len(q.view.Bytes):
		whole := q.shelf.match(q.view, m)
		whole.judge()
		q.found.keep(whole)
	case m.To-m.From > q.best.To-q.best.From:
		q.best = m
	}
}

// match is the match of a stretch.
func (s *shelf) match(v *view, m plain.Stretch) match {
	f := s.fieldAt(s.texts.base + uint32(m.Start))
	begin := int(s.starts[f] - s.texts.base)
	return match{
		shelf: s, field: &s.fields[f], text: s.text(f), view: v,
		from: m.From, to: m.To, start: m.Start - begin, end: m.End - begin, via: m.Via,
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
