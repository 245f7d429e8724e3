package provenance

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// view is an argument as it is compared: its letters and digits in lower case,
// without what separates them. A leaf has one view for every encoding that was
// looked through.
type view struct {
	text   string
	via    through
	outer  *view // that this one was decoded from, nil for the argument itself
	shifts []shift
	start  int // where outer holds it, when it stands for these bytes as a whole
	end    int

	squeezed []byte
	places   []int32  // of each squeezed byte in text, of the first byte of its character
	starts   []bool   // a word begins here
	bits     []int32  // identifying power of squeezed[:i], in hundredths of a bit
	hashes   []uint32 // of the keys of gram bytes from here
}

func newView(text string, via through) *view {
	v := &view{text: text, via: via}
	v.squeeze()
	return v
}

// squeeze fills what is compared.
func (v *view) squeeze() {
	n := len(v.text)
	v.squeezed = make([]byte, 0, n)
	v.places = make([]int32, 0, n)
	v.starts = make([]bool, 0, n)
	fresh := true
	for i := 0; i < n; {
		c := v.text[i]
		if c < utf8.RuneSelf {
			if b := folded[c]; b != 0 {
				v.squeezed = append(v.squeezed, b)
				v.places = append(v.places, int32(i))
				v.starts = append(v.starts, fresh)
				fresh = false
			} else {
				fresh = true
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(v.text[i:])
		if inWord(r) {
			from := len(v.squeezed)
			v.squeezed = utf8.AppendRune(v.squeezed, unicode.ToLower(r))
			for range v.squeezed[from:] {
				v.places = append(v.places, int32(i))
				v.starts = append(v.starts, fresh)
				fresh = false
			}
		} else {
			fresh = true
		}
		i += size
	}
	v.weigh()
	if n := len(v.squeezed); n >= gram {
		v.hashes = make([]uint32, n-gram+1)
		var window uint64
		for i, b := range v.squeezed {
			window = (window<<8 | uint64(b)) & (1<<48 - 1)
			if i >= gram-1 {
				v.hashes[i-gram+1] = hashOf(wordKey(window, gram))
			}
		}
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
	v.bits = make([]int32, len(v.squeezed)+1)
	for i := 0; i < len(v.squeezed); {
		end, digits, beyond := i, 0, 0
		for ; end < len(v.squeezed) && (end == i || !v.starts[end]); end++ {
			switch c := v.squeezed[end]; {
			case isDigit(c):
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
			v.bits[i+1] = v.bits[i]
			if i == 0 || v.squeezed[i] != v.squeezed[i-1] { // what repeats tells nothing
				v.bits[i+1] += each
			}
		}
	}
}

func (v *view) power(from, to int) int { return int(v.bits[to]-v.bits[from]) / 100 }

// whole is the power of all of it.
func (v *view) whole() int { return v.power(0, len(v.squeezed)) }

// span gives the bytes of the argument that squeezed[from:to] stands for.
func (v *view) span(from, to int) (start, end int) {
	start = int(v.places[from])
	end = v.after(to - 1)
	if from == 0 && to == len(v.squeezed) {
		start, end = 0, len(v.text)
	}
	return v.inArgument(start, end)
}

// after is where the character of squeezed[i] ends in the text.
func (v *view) after(i int) int {
	place := int(v.places[i])
	_, size := utf8.DecodeRuneInString(v.text[place:])
	return place + size
}

func (v *view) inArgument(start, end int) (int, int) {
	if v.end > 0 {
		start, end = v.start, v.end
	} else {
		start, end = was(v.shifts, start), was(v.shifts, end)
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
	via      through
	same     bool // the same value, and a whole one where it was seen
}

func (m *match) power() int { return m.view.power(m.from, m.to) }
func (m *match) covers() bool {
	return m.from == 0 && m.to == len(m.view.squeezed)
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
	for at := m.end; at < len(text) && m.to < len(v.squeezed) && gap <= maxGap; {
		c := text[at]
		if c < utf8.RuneSelf {
			b := folded[c]
			at++
			if b == 0 {
				gap++
				continue
			}
			if b != v.squeezed[m.to] {
				return
			}
			m.step(v, gap > 0, m.to)
			m.to++
			m.end, gap = at, 0
			continue
		}
		r, size := utf8.DecodeRuneInString(text[at:])
		at += size
		if !inWord(r) {
			gap += size
			continue
		}
		n := equalAt(v.squeezed, m.to, r)
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
			b := folded[c]
			at--
			if b == 0 {
				gap++
				continue
			}
			if b != v.squeezed[m.from-1] {
				return
			}
			m.step(v, gap > 0, m.from)
			m.from--
			m.start, gap = at, 0
			continue
		}
		r, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
		if !inWord(r) {
			gap += size
			continue
		}
		n := utf8.RuneLen(unicode.ToLower(r))
		if m.from-n < floor || equalAt(v.squeezed, m.from-n, r) == 0 {
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
	case gap && !v.starts[i]:
		m.via |= viaJoin
	case !gap && v.starts[i]:
		m.via |= viaSplit
	}
}

// equalAt is how many bytes the character takes at squeezed[i], 0 when another
// is there.
func equalAt(squeezed []byte, i int, r rune) int {
	var buffer [utf8.UTFMax]byte
	n := utf8.EncodeRune(buffer[:], unicode.ToLower(r))
	if i < 0 || i+n > len(squeezed) || string(squeezed[i:i+n]) != string(buffer[:n]) {
		return 0
	}
	return n
}

// judge decides whether a match that covers the view is the same value, not
// merely the same letters: bobsmith@x.com is not bob.smith@x.com, and evil.com
// was not named by who wrote notevil.com.
func (m *match) judge() {
	v, text := m.view, m.field.text
	first, last := int(v.places[0]), v.after(len(v.squeezed)-1)
	before := strings.TrimLeft(v.text[:first], " \n\t")
	after := strings.TrimRight(v.text[last:], " \n\t")
	if (after == "." || after == "!" || after == "?") && strings.IndexByte(v.text, ' ') > 0 {
		after = "" // the end of a sentence
	}
	via, same := sameText(v.text[first:last], text[m.start:m.end])
	if !same || !strings.HasSuffix(text[:m.start], before) || !strings.HasPrefix(text[m.end:], after) {
		return
	}
	start, end := m.start-len(before), m.end+len(after)
	if joinedBefore(text, start) || joinedAfter(text, end) {
		return
	}
	m.same, m.start, m.end = true, start, end
	m.via = m.via&^(viaJoin|viaSplit) | via
}

// sameText compares up to case and white space. Spaces that group the digits
// of an account or a telephone number may be there or not.
func sameText(x, y string) (via through, same bool) {
	groups := groupable(x) || groupable(y)
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		a, b := x[i], y[j]
		switch {
		case isSpace(a) && isSpace(b):
			p, q := i, j
			for i < len(x) && isSpace(x[i]) {
				i++
			}
			for j < len(y) && isSpace(y[j]) {
				j++
			}
			if x[p:i] != y[q:j] {
				via |= viaWhitespace
			}
		case a == b:
			i++
			j++
		case groups && isSpace(b):
			j++
			via |= viaJoin
		case groups && isSpace(a):
			i++
			via |= viaSplit
		case a < utf8.RuneSelf && b < utf8.RuneSelf:
			if folded[a] == 0 || folded[a] != folded[b] {
				return 0, false
			}
			via |= viaCase
			i++
			j++
		default:
			r, n := utf8.DecodeRuneInString(x[i:])
			s, k := utf8.DecodeRuneInString(y[j:])
			if unicode.ToLower(r) != unicode.ToLower(s) {
				return 0, false
			}
			if r != s {
				via |= viaCase
			}
			i += n
			j += k
		}
	}
	return via, i == len(x) && j == len(y)
}

// groupable reports whether a text is digits with some letters, as numbers of
// accounts are.
func groupable(s string) bool {
	digits, letters := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case folded[c] != 0:
			letters++
		case c != ' ' && c != '+':
			return false
		}
	}
	return digits >= 4 && digits >= letters
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// joiner characters belong to the value when letters or digits follow on their
// other side.
func isJoiner(c byte) bool {
	switch c {
	case '.', '-', '_', '+', '/', '\\', '@', '?', '~', '=':
		return true
	}
	return false
}

// joinedBefore reports whether text[at:] goes on something that began before.
func joinedBefore(text string, at int) bool {
	if at == 0 {
		return false
	}
	if endsInWord(text[:at]) {
		r, _ := utf8.DecodeLastRuneInString(text[:at])
		return !withoutSpaces(r)
	}
	c := text[at-1]
	if isJoiner(c) && c != '=' {
		return endsInWord(text[:at-1]) || at < len(text) && isJoiner(text[at])
	}
	return (c == ',' || c == ':' || c == '\'') && at < len(text) && isDigit(text[at]) && at > 1 && isDigit(text[at-2])
}

// joinedAfter reports whether text[:at] goes on.
func joinedAfter(text string, at int) bool {
	if at >= len(text) {
		return false
	}
	if beginsInWord(text[at:]) {
		r, _ := utf8.DecodeRuneInString(text[at:])
		return !withoutSpaces(r)
	}
	c := text[at]
	if isJoiner(c) {
		return beginsInWord(text[at+1:])
	}
	return (c == ',' || c == ':' || c == '\'') && at > 0 && isDigit(text[at-1]) && at+1 < len(text) && isDigit(text[at+1])
}

func endsInWord(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	return size > 0 && (r < utf8.RuneSelf && folded[r] != 0 || r >= utf8.RuneSelf && inWord(r))
}

func beginsInWord(text string) bool {
	r, size := utf8.DecodeRuneInString(text)
	return size > 0 && (r < utf8.RuneSelf && folded[r] != 0 || r >= utf8.RuneSelf && inWord(r))
}

// scan is what one shelf has of one view.
type scan struct {
	wholes  []match // that cover the view, the same value first
	pieces  []match // that do not, in order
	crowded bool    // the view may be there, among more places than were looked at
}

const (
	minPiece  = 12 // bits from which on a piece is kept
	maxWholes = 16
	overlap   = 64 // bytes that a match may reach back into the one before
)

// search finds the longest matches from left to right. Its time is linear in
// the view: a match is left behind as soon as it is found, and no more than
// maxChain places are compared at each step.
func (s *shelf) search(v *view) scan {
	var found scan
	var capped, refuted bool
	n := len(v.squeezed)
	end := 0 // of the last piece
	for i := 0; i < n; {
		best := match{}
		try := func(hash uint32, mine bool) {
			floor, chain := max(0, end-overlap), 0
			for a := s.newest(hash); a != nil; a = s.older(a) {
				if chain++; chain > maxChain {
					capped, mine = true, false
					break
				}
				f := s.fieldAt(a.at)
				m := extend(v, f, int(a.at-f.at), i, floor)
				m.shelf = s
				switch {
				case m.to == i:
				case m.covers():
					m.judge()
					found.keep(m)
				case m.to-m.from > best.to-best.from:
					best = m
				}
			}
			if mine && i > 0 && len(found.wholes) == 0 {
				refuted = true // a word of ours was looked up to the end
			}
		}
		if i < len(v.hashes) {
			try(v.hashes[i], v.starts[i] && inOneWord(v, i, gram))
		}
		if v.starts[i] {
			v.shortKeys(i, try)
		}
		if len(found.wholes) > 0 {
			break
		}
		if best.to > i && best.power() >= minPiece {
			found.pieces = append(found.pieces, best)
			end = best.to
			i = max(i+1, best.to-gram+1)
			continue
		}
		i++
	}
	found.crowded = capped && !refuted && len(found.wholes) == 0
	return found
}

// keep adds a match that covers the view.
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
		if v.starts[j] {
			return false
		}
	}
	return true
}

// shortKeys tries the words of fewer than gram bytes that may begin at i. Very
// short ones are tried only where the argument has that very word.
func (v *view) shortKeys(i int, try func(hash uint32, mine bool)) {
	var window uint64
	for n := 1; n < gram && i+n <= len(v.squeezed); n++ {
		window = window<<8 | uint64(v.squeezed[i+n-1])
		word := i+n == len(v.squeezed) || v.starts[i+n]
		if word && inOneWord(v, i, n) || n >= 3 {
			try(hashOf(wordKey(window, n)), word && inOneWord(v, i, n))
		}
	}
}
