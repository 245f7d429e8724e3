// Package plain turns text into what a reader (human or model) makes of it,
// before anything looks for meaning in it: compatibility forms, look-alike
// letters, invisible characters, character references. Each step that an
// honest writer has no need of is an anomaly. One pass, and a second one for tags,
// and every byte of the result knows which bytes it came from.
package plain

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text is a text made plain. The zero Text is empty.
type Text struct {
	// Plain is what is left to read: compatibility forms decomposed, accents
	// and invisible characters gone, words of mixed scripts in the letters that
	// they look like, smuggled characters made visible. Case is kept.
	Plain     string
	Anomalies []Anomaly // in the order of Start, at most MaxAnomalies

	source string
	pieces []piece // nil when Plain is the source itself
}

// Anomaly is one place in the source that no honest writer needs.
type Anomaly struct {
	Rule       string
	Start, End int // bytes of the source
	Score      float64
}

// MaxAnomalies bounds what a hostile text can make us remember. A text with
// more of them is no less suspect for the ones that are not listed.
const MaxAnomalies = 64

// piece says that plain bytes from here on came from these bytes of the
// source: one for one when even, else each of them from the whole span.
type piece struct {
	plain      int32
	start, end int32
	even       bool
}

// Of makes text plain. Text that is plain already costs one look per byte and
// no memory.
func Of(text string) Text {
	t := Text{source: text}
	at := firstOdd(text)
	if at == len(text) {
		t.Plain = text
	} else {
		m := maker{Text: t}
		m.out = make([]byte, 0, len(text)+len(text)/16)
		m.run(at)
		t = m.Text
		t.Plain = string(m.out)
	}
	t.markup()
	sort.SliceStable(t.Anomalies, func(i, j int) bool { return t.Anomalies[i].Start < t.Anomalies[j].Start })
	return t
}

// firstOdd is the place of the first byte that is not plain by itself.
func firstOdd(text string) int {
	for i := 0; i < len(text); i++ {
		if c := text[i]; odd[c] && (c != '&' || referenceAt(text[i:]) > 0) {
			return i
		}
	}
	return len(text)
}

// odd bytes need a closer look.
var odd = func() (o [256]bool) {
	for c := range o {
		o[c] = c >= 0x7f || c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c == '&'
	}
	return o
}()

// Source is where plain bytes came from, in bytes of the source.
func (t *Text) Source(start, end int) (from, to int) {
	if t.pieces == nil {
		return start, end
	}
	from, _ = t.origin(start)
	if end <= start {
		return from, from
	}
	_, to = t.origin(end - 1)
	return from, max(from, to)
}

// origin is the span of the source that one plain byte came from.
func (t *Text) origin(at int) (from, to int) {
	i := sort.Search(len(t.pieces), func(i int) bool { return int(t.pieces[i].plain) > at }) - 1
	if i < 0 {
		return 0, 0
	}
	p := t.pieces[i]
	if !p.even {
		return int(p.start), int(p.end)
	}
	from = min(int(p.start)+at-int(p.plain), len(t.source))
	return from, min(from+1, len(t.source))
}

// note remembers an anomaly; touching ones of one rule are one.
func (t *Text) note(rule string, start, end int, score float64) {
	if n := len(t.Anomalies); n > 0 {
		if last := &t.Anomalies[n-1]; last.Rule == rule && start <= last.End+4 {
			last.End, last.Score = max(last.End, end), max(last.Score, score)
			return
		}
	}
	if len(t.Anomalies) < MaxAnomalies {
		t.Anomalies = append(t.Anomalies, Anomaly{rule, start, end, score})
	}
}

// maker walks the source once.
type maker struct {
	Text
	out   []byte
	marks int  // combining marks in a row
	word  word // the word that is being written
	prev  rune // last rune that was kept
}

// word collects what is needed to tell a word of mixed scripts.
type word struct {
	plain, source  int // where it began
	latin, foreign bool
	folded         [maxWord]fold
	n              int
}

// maxWord bounds the look-alikes remembered of one word.
const maxWord = 24

// fold is one letter of another script and the Latin letter that it looks like.
type fold struct {
	plain int
	size  int
	to    byte
}

func (m *maker) run(at int) {
	m.even(0, 0)
	m.out = append(m.out, m.source[:at]...)
	m.word.plain, m.word.source = at, at
	if at > 0 {
		m.prev = rune(m.source[at-1])
	}
	for at > 0 && m.word.source > 0 && isASCIILetter(m.source[m.word.source-1]) {
		m.word.source--
		m.word.plain--
		m.word.latin = true
	}
	for at < len(m.source) {
		c := m.source[at]
		switch {
		case !odd[c]:
			at = m.ascii(at)
		case c == '&':
			at = m.reference(at)
		case c < utf8.RuneSelf:
			m.note("control", at, at+1, controlScore(c))
			at++
			m.even(len(m.out), at)
		default:
			at = m.wide(at)
		}
	}
	m.endWord(at)
}

// even says that plain and source run side by side from here.
func (m *maker) even(plain, source int) { m.put(piece{int32(plain), int32(source), 0, true}) }

func (m *maker) put(p piece) {
	if n := len(m.pieces); n > 0 && m.pieces[n-1].plain == p.plain {
		m.pieces[n-1] = p
		return
	}
	m.pieces = append(m.pieces, p)
}

// ascii copies plain bytes up to the next odd one, word by word.
func (m *maker) ascii(at int) int {
	for at < len(m.source) && !odd[m.source[at]] {
		from := at
		for at < len(m.source) && isASCIILetter(m.source[at]) {
			at++
		}
		m.out = append(m.out, m.source[from:at]...)
		if at > from {
			m.word.latin, m.prev = true, rune(m.source[at-1])
		}
		if at == len(m.source) || odd[m.source[at]] {
			break
		}
		m.endWord(at)
		from = at
		for at < len(m.source) && !odd[m.source[at]] && !isASCIILetter(m.source[at]) {
			at++
		}
		m.out = append(m.out, m.source[from:at]...)
		m.word.plain, m.word.source = len(m.out), at
	}
	m.marks, m.prev = 0, rune(m.source[at-1])
	return at
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func controlScore(c byte) float64 {
	if c == 0x1b || c == 0x08 || c == 0 {
		return 1 // moves the cursor, rubs out, or ends the string for others
	}
	return 0.5
}

// wide handles one rune beyond ASCII.
func (m *maker) wide(at int) int {
	r, size := utf8.DecodeRuneInString(m.source[at:])
	end := at + size
	switch {
	case r == utf8.RuneError && size == 1:
		m.note("control", at, end, 0.5)
		m.replace(at, end, " ")
	case r < 0xa0:
		score := 0.3 // mostly text that was decoded wrongly
		if r == 0x9b || r == 0x9d || r == 0x90 {
			score = 1 // begins an escape sequence
		}
		m.note("control", at, end, score)
		m.even(len(m.out), end)
	case 0xe0000 <= r && r <= 0xe007f:
		return m.tags(at)
	case isSelector(r):
		return m.selectors(at)
	case isInvisible(r):
		if rule, score := m.invisible(r, end); score > 0 {
			m.note(rule, at, end, score)
		}
		m.even(len(m.out), end)
	case 0x300 <= r && r <= 0x36f:
		if m.marks++; m.marks > 4 {
			m.note("combining", at, end, 0.5)
		}
		m.even(len(m.out), end)
	default:
		m.letter(r, at, end)
	}
	return end
}

// letter writes a rune as its compatibility decomposition without accents.
func (m *maker) letter(r rune, at, end int) {
	m.marks = 0
	if !unicode.IsLetter(r) {
		m.endWord(at)
	} else if to := lookalike(r); to != 0 {
		m.word.foreign = true
		if m.word.n < maxWord {
			m.word.folded[m.word.n] = fold{len(m.out), end - at, to}
			m.word.n++
		}
	} else if !unicode.Is(unicode.Latin, r) && !isCompatible(r) {
		m.word.n = maxWord + 1 // a letter that is nobody's twin: the word is what it is
	}
	m.prev = r
	if d := decomposed(m.source[at:end], r); d != "" {
		m.replace(at, end, d)
	} else {
		m.out = append(m.out, m.source[at:end]...)
	}
	if !unicode.IsLetter(r) {
		m.word.plain, m.word.source = len(m.out), end
	}
}

// isCompatible reports letters whose decomposition is plain Latin.
func isCompatible(r rune) bool { return r >= 0x1d400 && r <= 0x1d7ff || r >= 0xff21 && r <= 0xff5a }

// decomposed is the compatibility decomposition without accents, "" when the
// rune is its own. Hangul syllables stay whole.
func decomposed(s string, r rune) string {
	if r >= 0xac00 && r <= 0xd7a3 || r >= 0x4e00 && r <= 0x9fff {
		return ""
	}
	d := norm.NFKC.PropertiesString(s).Decomposition()
	if d == nil {
		return ""
	}
	text := string(d)
	if strings.IndexFunc(text, isAccent) >= 0 {
		text = strings.Map(func(r rune) rune {
			if isAccent(r) {
				return -1
			}
			return r
		}, text)
	}
	return text
}

func isAccent(r rune) bool { return 0x300 <= r && r <= 0x36f }

// replace writes other text for a span of the source.
func (m *maker) replace(start, end int, with string) {
	if with != "" {
		m.put(piece{int32(len(m.out)), int32(start), int32(end), false})
		m.out = append(m.out, with...)
	}
	m.even(len(m.out), end)
}

// endWord folds the word that ends before source byte at when it mixes Latin
// letters with their twins from other scripts: "pаypal" is read as "paypal".
func (m *maker) endWord(at int) {
	w := &m.word
	if w.latin && w.foreign && w.n > 0 && w.n <= maxWord {
		m.note("homoglyph", w.source, at, 1)
		m.foldWord(w, at)
	}
	*w = word{plain: len(m.out), source: at}
}

// foldWord rewrites the tail of out, which is the word up to source byte at. A
// twin takes one byte where its letter took two or three, so the whole word
// comes from the whole word now: single letters are not worth a map.
func (m *maker) foldWord(w *word, at int) {
	tail := string(m.out[w.plain:])
	for len(m.pieces) > 0 && int(m.pieces[len(m.pieces)-1].plain) > w.plain {
		m.pieces = m.pieces[:len(m.pieces)-1]
	}
	m.put(piece{int32(w.plain), int32(w.source), int32(at), false})
	m.out = m.out[:w.plain]
	from := 0
	for _, f := range w.folded[:w.n] {
		twin := f.plain - w.plain
		m.out = append(append(m.out, tail[from:twin]...), f.to)
		from = twin + f.size
	}
	m.out = append(m.out, tail[from:]...)
	m.even(len(m.out), at)
}

// reference reads a character reference such as &#105; or &lt; as HTML does.
func (m *maker) reference(at int) int {
	n := referenceAt(m.source[at:])
	if n == 0 {
		m.endWord(at)
		m.out = append(m.out, '&')
		m.word.plain, m.word.source = len(m.out), at+1
		return at + 1
	}
	r := referenced(m.source[at : at+n])
	switch {
	case isASCIILetter(byte(r)) && r < utf8.RuneSelf:
		m.note("reference", at, at+n, 0.5) // nobody needs &#105; for i
		m.word.latin = true
	default:
		m.endWord(at)
	}
	if r < 0x20 || r == 0x7f || isInvisible(r) || isSelector(r) || r >= 0xe0000 {
		r = ' '
	}
	m.replace(at, at+n, string(r))
	if r >= utf8.RuneSelf || !isASCIILetter(byte(r)) {
		m.word.plain, m.word.source = len(m.out), at+n
	}
	return at + n
}
