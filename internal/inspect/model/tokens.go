// Package model tells text that gives orders to an assistant from text that
// does not: a linear model over hashed words, runs of words, and the parts
// that words play. It has no vocabulary of attacks; it is trained by
// internal/inspect/train and looks at each sentence by itself and at how it
// stands out from its neighbours.
package model

import (
	"strings"
	"sync"
)

// Segment is about a sentence: where it lies and what it is made of.
type Segment struct {
	Start, End int
	Features   []uint32 // hashes, good until the next segment
	Signs      Sign
	Mentions   int // words of talking about attacks
	words      int
	last       [classes]uint8 // where each part was seen last, from 1
	telling    uint8          // where telling was forbidden
	addressed  uint8          // where somebody was addressed
	steered    bool
}

// Sign is what the parts of a sentence add up to.
type Sign uint8

// The signs.
const (
	SignOverride  Sign = 1 << iota // to set earlier rules aside
	SignSecrecy                    // not to tell the user
	SignAddressed                  // an assistant is spoken to, and told to act
	SignSteer                      // what the reader's own answer is to say
)

const (
	maxWords    = 40  // of a segment
	minWords    = 4   // before a full stop ends one
	maxFeatures = 560 // more than maxWords can have
	loud        = 6   // features that a sign is worth: it is rarer than words and says more
	maxScanned  = 96  // bytes of a word or link that tell it apart
)

// tokens walks over text.
type tokens struct {
	text string
	at   int

	start      int // of the word
	hash       uint32
	stem, tail uint32 // hashes of how a long word begins and ends, 0 for short ones
	class      class
	newline    bool // a line, or a sentence, ends before the word
	stop       bool
}

// kinds of bytes.
const (
	kindOther = iota
	kindSpace
	kindLetter
	kindDigit
	kindWide // begins or goes on with a character beyond ASCII
)

var kinds = func() (k [256]uint8) {
	for c := range k {
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			k[c] = kindSpace
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			k[c] = kindLetter
		case '0' <= c && c <= '9':
			k[c] = kindDigit
		case c >= 0x80:
			k[c] = kindWide
		}
	}
	return k
}()

// next finds the next word; false at the end.
func (t *tokens) next() bool {
	t.newline, t.stop = false, false
	text := t.text
	for t.at < len(text) && kinds[text[t.at]] == kindSpace {
		if text[t.at] == '\n' {
			t.newline = true
		}
		t.at++
	}
	if t.at >= len(text) {
		return false
	}
	t.start, t.stem, t.tail, t.class = t.at, 0, 0, none
	switch kinds[text[t.at]] {
	case kindOther:
		t.punctuation()
	case kindDigit:
		t.digits()
	default:
		t.letters()
	}
	return true
}

func (t *tokens) letters() {
	text, h, i, masked := t.text, uint32(hashStart), t.at, false
	if c := text[i]; c >= 0xe3 && c <= 0xe9 { // scripts without spaces: a word per character
		end := min(i+3, len(text))
		t.hash, t.at = hashOf(text[i:end]), end
		return
	}
	for ; i < len(text); i++ {
		c := text[i]
		switch kinds[c] {
		case kindLetter:
			c |= 0x20
		case kindDigit:
			c, masked = '0', true
		case kindWide:
			if c >= 0xe3 && c <= 0xe9 {
				goto end
			}
		default:
			goto end
		}
		if i-t.start == 5 {
			t.stem = h
		}
		if i-t.start < maxScanned {
			h = (h ^ uint32(c)) * hashPrime
		}
	}
end:
	n := i - t.start
	if n > 5 {
		t.tail = hashOf("-") ^ uint32(text[i-3]|0x20)<<16 ^ uint32(text[i-2]|0x20)<<8 ^ uint32(text[i-1]|0x20)
	}
	t.at, t.hash = i, h
	switch {
	case n <= 5 && n >= 4 && i+2 < len(text) && text[i] == ':' && text[i+1] == '/' && text[i+2] == '/':
		t.link()
	case masked && n >= 8 || n > 30:
		t.hash, t.stem, t.tail = hashOf("\x01id"), 0, 0
	case !masked:
		t.class = known.of(h)
	}
}

// link reads to the end of a link. Where it points says nothing that a new
// attack would share, whether it carries data does.
func (t *tokens) link() {
	i, query := t.at, false
	for ; i < len(t.text); i++ {
		c := t.text[i]
		if kinds[c] == kindSpace || c == '"' || c == '\'' || c == '<' || c == '>' || c == ')' || c == ']' || c == '`' {
			break
		}
		query = query || c == '?' || c == '{' || c == '$'
	}
	t.at, t.class, t.stem, t.tail = i, link, 0, 0
	t.hash = hashOf("\x01url")
	if query {
		t.hash = hashOf("\x01url?")
	}
}

func (t *tokens) digits() {
	i, letters := t.at, 0
	for ; i < len(t.text); i++ {
		if k := kinds[t.text[i]]; k == kindLetter {
			letters++
		} else if k != kindDigit && (t.text[i] != '.' && t.text[i] != ',' || i+1 == len(t.text) || kinds[t.text[i+1]] != kindDigit) {
			break
		}
	}
	t.at, t.class, t.hash = i, number, hashOf("\x010")
	if letters > 2 {
		t.class, t.hash = none, hashOf("\x01id")
	}
}

// punctuation takes a run of marks as one word, by its first three.
func (t *tokens) punctuation() {
	text, h, i := t.text, uint32(hashStart), t.at
	if text[i] == '@' && i > 0 && kinds[text[i-1]] >= kindLetter && i+1 < len(text) && kinds[text[i+1]] >= kindLetter {
		for i++; i < len(text) && (kinds[text[i]] >= kindLetter || text[i] == '.' || text[i] == '-'); i++ {
		}
		if text[i-1] == '.' {
			i--
		}
		t.at, t.class, t.hash = i, mail, hashOf("\x01mail")
		return
	}
	for ; i < len(text) && kinds[text[i]] == kindOther; i++ {
		if c := text[i]; i-t.at < 3 {
			h = (h ^ uint32(c)) * hashPrime
		}
	}
	last := text[i-1]
	first := text[t.at]
	t.stop = (first == '.' || first == '!' || first == '?' || last == '.' || last == '!' || last == '?') && (i == len(text) || kinds[text[i]] == kindSpace)
	t.at, t.hash = i, h
}

// buffers are reused: structured results are many short texts.
var buffers = sync.Pool{New: func() any { return new([maxFeatures]uint32) }}

// Segments calls f for each segment of text in order.
func Segments(text string, f func(*Segment)) {
	buffer := buffers.Get().(*[maxFeatures]uint32)
	defer buffers.Put(buffer)
	var (
		t      = tokens{text: text}
		s      = Segment{Features: buffer[:0]}
		p1, p2 = uint32(1), uint32(1) // words before
		c1, c2 = begin, begin
		seen   uint32
		end    int
	)
	flush := func() {
		if s.words == 0 {
			return
		}
		s.signs()
		s.pairs(seen)
		s.End = end
		f(&s)
		s = Segment{Features: buffer[:0]}
		p1, p2, c1, c2, seen = 1, 1, begin, begin, 0
	}
	for t.next() {
		if s.words >= maxWords || t.newline && s.words >= minWords {
			flush()
		}
		if s.words == 0 {
			s.Start = t.start
		}
		s.word(&t, p1, p2, c1, c2)
		seen |= 1 << t.class
		p1, p2, c1, c2 = t.hash, p1, t.class, c1
		end = t.at
		if t.stop && s.words >= minWords {
			flush()
		}
	}
	flush()
}

// word adds the features of one word and of what leads to it.
func (s *Segment) word(t *tokens, p1, p2 uint32, c1, c2 class) {
	s.words++
	s.sign(t)
	w, c := t.hash, t.class
	if c == mention {
		s.Mentions++
	}
	if w == p1 || c == number && w == p2 {
		return // columns of numbers and drawn lines say one thing, not forty
	}
	f := append(s.Features, mix(1, w, 0), mix(2, p1, w), mix(3, p2*31+p1, w), mix(4, p2, w))
	if t.stem != 0 {
		f = append(f, mix(5, t.stem, 0), mix(6, t.tail, 0))
	}
	if c != none || c1 != none {
		f = append(f, mix(7, uint32(c1), uint32(c)))
		if c2 != none {
			f = append(f, mix(8, uint32(c2)<<8|uint32(c1), uint32(c)))
		}
	}
	if c1 != none {
		f = append(f, mix(9, uint32(c1), w))
	}
	if c != none {
		f = append(f, mix(10, p1, uint32(c)))
	}
	s.Features = f
}

// sign looks for what the word completes.
func (s *Segment) sign(t *tokens) {
	at, c, last := uint8(s.words), t.class, &s.last
	near := func(part class, most uint8) bool { return last[part] > 0 && at-last[part] <= most }
	yours := near(you, 1) && t.start > 4 && strings.EqualFold(t.text[t.start-5:t.start-1], "your")
	if c == say && yours {
		c = output // "your answer"
	}
	switch c {
	case none:
		if mark := t.text[t.start]; (mark == ':' || mark == '!') && near(addressee, 1) && at <= 5 {
			s.addressed = at
		}
		return
	case rule:
		if near(override, 6) && (last[prior] > last[override] || last[you] > last[override]) && !mundane(t.hash) {
			s.Signs |= SignOverride
		}
	case addressee:
		if t.start > 0 && (t.text[t.start-1] == '_' || t.text[t.start-1] == '-') {
			return // part of a tool's name
		}
		if near(you, 4) && last[you] <= 4 {
			s.addressed = at
		}
	case say:
		if near(secrecy, 2) {
			s.telling = at
		}
	case user:
		if s.telling > 0 && at-s.telling <= 4 {
			s.Signs |= SignSecrecy
		}
	case output:
		s.steered = s.steered || yours
	}
	if s.addressed > 0 && (c == say || c == act || c == override) {
		s.Signs |= SignAddressed
	}
	last[c] = at
	if s.steered && last[say] > 0 {
		s.Signs |= SignSteer
	}
}

// mundane reports rules that people cancel and replace every day.
func mundane(hash uint32) bool {
	switch hash {
	case hashOf("order"), hashOf("orders"), hashOf("task"), hashOf("tasks"), hashOf("filter"), hashOf("filters"), hashOf("policy"), hashOf("policies"), hashOf("command"), hashOf("commands"):
		return true
	}
	return false
}

// signs adds what the sentence's parts added up to.
func (s *Segment) signs() {
	for sign := SignOverride; sign <= SignSteer; sign <<= 1 {
		if s.Signs&sign != 0 {
			for i := range uint32(loud) {
				s.Features = append(s.Features, mix(12, uint32(sign), i))
			}
		}
	}
}

// pairs adds which parts occur together, wherever they stand.
func (s *Segment) pairs(seen uint32) {
	seen &^= 1<<none | 1<<begin
	for a := addressee; a < classes; a++ {
		if seen&(1<<a) == 0 {
			continue
		}
		for b := a + 1; b < classes && len(s.Features) < maxFeatures; b++ {
			if seen&(1<<b) != 0 {
				s.Features = append(s.Features, mix(11, uint32(a), uint32(b)))
			}
		}
	}
}

// mix hashes one feature; its highest bits are the best.
func mix(kind, a, b uint32) uint32 {
	h := (a*0x9e3779b1 ^ kind*0x85ebca77) + b*0xc2b2ae3d
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	return h * 0x297a2d39
}
