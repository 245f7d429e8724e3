package plain

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"math/bits"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Through is a set of transformations that were looked through.
type Through uint16

const (
	ViaCase Through = 1 << iota
	ViaWhitespace
	ViaNFKC
	ViaURL
	ViaHTML
	ViaJSON
	ViaBase64
	ViaHex
	ViaInvisible
	ViaJoin
	ViaSplit
	ViaNumber
	ViaDate
	ViaPieces
	ViaPart
	ViaSpelled
)

var throughNames = [...]string{
	"case", "whitespace", "nfkc", "url", "html", "json", "base64", "hex",
	"invisible", "join", "split", "number", "date", "pieces", "part", "spelled",
}

func (t Through) Names() []string {
	if t == 0 {
		return nil
	}
	names := make([]string, 0, bits.OnesCount16(uint16(t)))
	for i, name := range throughNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Shift says that from byte At of a plain text on, it stands for byte Was
// of the text that it was made of.
type Shift struct{ At, Was int32 }

// Shifts say where the bytes of a text came from; nil when none moved.
type Shifts []Shift

// Undone is a text with its escapes undone and its Unicode forms unified.
type Undone struct {
	Text   string
	Shifts Shifts
	Via    Through
}

// Was is which byte of the original byte at stands for.
func (s Shifts) Was(at int) int {
	lo, hi := 0, len(s)
	for lo < hi {
		if mid := (lo + hi) / 2; int(s[mid].At) <= at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return at
	}
	last := s[lo-1]
	return int(last.Was) + at - int(last.At)
}

// special marks the bytes at which undo has something to do.
var special = func() (table [256]bool) {
	table['%'], table['&'], table['\\'] = true, true, true
	for c := 0x80; c < 0x100; c++ {
		table[c] = true
	}
	return table
}()

// Undo decodes URL, HTML and JSON escapes once, drops what nobody can see, and
// unifies Unicode forms. Values that were seen and arguments go through the
// same function, so an escape on either side hides nothing.
func Undo(s string) Undone {
	i := 0
	for i < len(s) && !special[s[i]] {
		i++
	}
	if i == len(s) {
		return Undone{Text: s}
	}
	u := undoer{from: s, out: make([]byte, 0, len(s))}
	u.out = append(u.out, s[:i]...)
	for i < len(s) {
		if !special[s[i]] {
			u.out = append(u.out, s[i])
			i++
			continue
		}
		i = u.step(i)
	}
	return Undone{string(u.out), u.shifts, u.via}
}

type undoer struct {
	from   string
	out    []byte
	shifts Shifts
	via    Through
}

// replace writes with for from[start:end].
func (u *undoer) replace(with string, start, end int, via Through) int {
	u.via |= via
	u.mark(start) // inside the replaced bytes every position stands for their start
	u.out = append(u.out, with...)
	u.mark(end)
	return end
}

func (u *undoer) mark(was int) {
	at := int32(len(u.out))
	if n := len(u.shifts); n > 0 && u.shifts[n-1].At == at {
		u.shifts[n-1].Was = int32(was)
		return
	}
	u.shifts = append(u.shifts, Shift{at, int32(was)})
}

// step handles the special byte at i and returns where to go on.
func (u *undoer) step(i int) int {
	s := u.from
	switch s[i] {
	case '%':
		if text, end := percent(s, i); end > 0 {
			return u.replace(text, i, end, ViaURL)
		}
	case '&':
		if text, end := entity(s, i); end > 0 {
			return u.replace(text, i, end, ViaHTML)
		}
	case '\\':
		if text, end := jsonEscape(s, i); end > 0 {
			return u.replace(text, i, end, ViaJSON)
		}
	default:
		return u.unicode(i)
	}
	u.out = append(u.out, s[i])
	return i + 1
}

// percent decodes a run of %XX that is UTF-8.
func percent(s string, i int) (string, int) {
	var bytes []byte
	for i+2 < len(s) && s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
		bytes = append(bytes, unhex(s[i+1])<<4|unhex(s[i+2]))
		i += 3
	}
	if len(bytes) == 0 || !utf8.Valid(bytes) {
		return "", 0
	}
	return norm.NFKC.String(string(bytes)), i
}

const maxEntity = 34 // bytes of the longest name of an HTML character

func entity(s string, i int) (string, int) {
	end := strings.IndexByte(s[i:min(len(s), i+maxEntity)], ';')
	if end < 2 {
		return "", 0
	}
	name := s[i : i+end+1]
	text := html.UnescapeString(name)
	if text == name || strings.HasSuffix(text, ";") { // unknown, or a name without ";" and more behind it
		return "", 0
	}
	return norm.NFKC.String(text), i + end + 1
}

func jsonEscape(s string, i int) (string, int) {
	if i+1 == len(s) {
		return "", 0
	}
	switch s[i+1] {
	case 'n', 'r', 't':
		return " ", i + 2
	case '"', '\\', '/', '\'':
		return s[i+1 : i+2], i + 2
	case 'u':
		r, end := unicodeEscape(s, i)
		if end == 0 {
			return "", 0
		}
		if utf16.IsSurrogate(r) {
			low, after := unicodeEscape(s, end)
			if r = utf16.DecodeRune(r, low); after == 0 || r == utf8.RuneError {
				return "", 0
			}
			end = after
		}
		return norm.NFKC.String(string(r)), end
	}
	return "", 0
}

func unicodeEscape(s string, i int) (rune, int) {
	if i+6 > len(s) || s[i] != '\\' || s[i+1] != 'u' {
		return 0, 0
	}
	n, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
	if err != nil {
		return 0, 0
	}
	return rune(n), i + 6
}

// unicode handles the characters from i on up to the next ASCII byte.
func (u *undoer) unicode(i int) int {
	s := u.from
	r, size := utf8.DecodeRuneInString(s[i:])
	if invisible(r) {
		return u.replace("", i, i+size, ViaInvisible)
	}
	if norm.NFKC.QuickSpanString(s[i:i+size]) == size && !unicode.Is(unicode.M, r) && r < 0x1100 {
		// One character that is its own form and can't be changed by the next:
		// what can is a mark, which is taken together with this one below.
		if next, _ := utf8.DecodeRuneInString(s[i+size:]); !unicode.Is(unicode.M, next) {
			u.out = append(u.out, s[i:i+size]...)
			return i + size
		}
	}
	start := i
	if n := len(u.out); unicode.Is(unicode.M, r) && n > 0 && u.out[n-1] < utf8.RuneSelf && i > 0 && u.out[n-1] == s[i-1] {
		start, u.out = i-1, u.out[:n-1] // a mark upon an ASCII letter
	}
	end := start + norm.NFKC.NextBoundaryInString(s[start:], true)
	if end <= i { // never: but a loop that stands still would hang the gateway
		end = i + size
	}
	segment := s[start:end]
	form := norm.NFKC.String(segment)
	if form == segment {
		u.out = append(u.out, segment...)
		return end
	}
	return u.replace(form, start, end, ViaNFKC)
}

// invisible characters take no place and are no spaces: attackers put them
// inside of words so that two texts that look the same differ.
func invisible(r rune) bool {
	return r == 0xAD || r == 0x34F || r == 0x61C || r == 0x180E || r == 0xFEFF ||
		r >= 0x200B && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2060 && r <= 0x206F ||
		r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0000 && r <= 0xE0FFF
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// Folded maps the ASCII letters and digits to lower case, all else to 0.
var Folded = func() (table [256]byte) {
	for c := 0; c < 0x80; c++ {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			table[c] = byte(c)
		case c >= 'A' && c <= 'Z':
			table[c] = byte(c) | 0x20
		}
	}
	return table
}()

// InWord reports whether a character beyond ASCII belongs to words.
func InWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.M, r)
}

// WithoutSpaces reports whether a letter belongs to a script that writes words
// without spaces between them: Thai and its neighbours, Chinese, Japanese.
func WithoutSpaces(r rune) bool {
	return r >= 0x0E00 && r <= 0x0EFF || r >= 0x1000 && r <= 0x109F || r >= 0x1780 && r <= 0x17FF || r >= 0x2E80 && r <= 0xABFF || r >= 0xF900 && r <= 0xFAFF || r >= 0x20000 && r <= 0x3FFFF
}

// Hidden is text that was found encoded within another text.
type Hidden struct {
	Text       string
	Start, End int // of the encoded bytes
	Via        Through
}

const (
	MinEncoded = 8 // characters that can be told from a word
	MaxNesting = 3 // encodings within encodings
	wrapped    = 60
)

// encoded[c] is 1 for the letters of both base64 alphabets.
var encoded = func() (table [256]bool) {
	for c := range table {
		table[c] = Folded[c] != 0 || c == '+' || c == '/' || c == '-' || c == '_'
	}
	return table
}()

// Reveal finds base64 and hexadecimal runs of at least atLeast characters that
// hold text. What it yields is together shorter than s.
func Reveal(s string, atLeast int, yield func(Hidden)) {
	for i := 0; i+atLeast <= len(s); {
		last := i + atLeast - 1
		for last >= i && encoded[s[last]] {
			last--
		}
		if last >= i { // no run of so many begins before
			i = last + 1
			continue
		}
		start := i
		i = endOfRun(s, i)
		lines(s, start, i, func(from, to int) bool {
			if to-from < atLeast {
				return false
			}
			text, via := decodeRun(s[from:to])
			if via == 0 {
				return false
			}
			for to < len(s) && s[to] == '=' {
				to++
			}
			yield(Hidden{text, from, to, via})
			return true
		})
		for i < len(s) && s[i] == '=' {
			i++
		}
	}
}

// lines tries a run of encoded characters as one. Where that holds no text its
// last line may be the first word of what follows ("…ZQ\nThanks"), and else each
// line is tried by itself: a line that somebody puts beside hides nothing.
func lines(s string, start, end int, try func(from, to int) bool) {
	if try(start, end) {
		return
	}
	last := strings.LastIndexByte(s[start:end], '\n')
	if last < 0 && strings.IndexByte(s[start:end], '/') < 0 {
		return
	}
	if last < 0 { // the "/" of a path is one of base64's letters: what stands between two is tried by itself
		for part := range strings.SplitSeq(s[start:end], "/") {
			try(start, start+len(part))
			start += len(part) + 1
		}
		return
	}
	if try(start, start+len(strings.TrimSuffix(s[start:start+last], "\r"))) {
		return
	}
	for line := range strings.Lines(s[start:end]) {
		try(start, start+len(strings.TrimRight(line, "\r\n")))
		start += len(line)
	}
}

// Spelled finds what is spelled out, such as "m a l l o r y @ e v i l": at least
// atLeast single characters with one separator between each two. What it yields
// is together shorter than s.
func Spelled(s string, atLeast int, yield func(Hidden)) {
	for i := 0; i+2*atLeast-2 < len(s); i++ {
		last := i + 2*atLeast - 2
		for last > i && (Folded[s[last]] == 0 || Folded[s[last-1]] == 0) {
			last--
		}
		if last > i { // two letters beside each other: nothing so long begins before the second
			i = last - 1
			continue
		}
		if text, end := spelled(s, i); len(text) >= atLeast && tells(text) {
			yield(Hidden{text, i, end, ViaSpelled})
			i = end
		} else if end > 0 {
			i = end - 1
		}
	}
}

// spelled reads what is spelled out from i on, and says where that ends; 0 when
// it is nothing of the sort.
func spelled(s string, i int) (text string, end int) {
	if i+2 >= len(s) || Folded[s[i]] == 0 || Folded[s[i+1]] != 0 || i > 0 && Folded[s[i-1]] != 0 {
		return "", 0
	}
	by := s[i+1]
	end = i + 1
	for end+1 < len(s) && s[end] == by && s[end+1] < utf8.RuneSelf {
		end += 2
	}
	if end < len(s) && Folded[s[end]] != 0 { // a word begins here
		end -= 2
	}
	letters := make([]byte, 0, (end-i+1)/2)
	for ; i < end; i += 2 {
		letters = append(letters, s[i])
	}
	return string(letters), end
}

// tells reports whether a text is more than a few letters again and again.
func tells(text string) bool {
	const few = 5
	different := ""
	for i := 0; i < len(text) && len(different) < few; i++ {
		if strings.IndexByte(different, text[i]) < 0 {
			different += text[i : i+1]
		}
	}
	return len(different) == few
}

// tags is where Unicode has a second ASCII, whose letters nothing shows.
const tags = 0xE0000

// Tagged is the text that stands in tag characters, which a model reads though
// nobody sees it: all of a text's together.
func Tagged(s string) string {
	if !strings.Contains(s, "\xF3\xA0") { // how every one of them begins
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r >= tags+' ' && r < tags+0x7F {
			return r - tags
		}
		return -1
	}, s)
}

// endOfRun is where a run of encoded characters ends; lines of base64 as mail
// wraps them are one run.
func endOfRun(s string, i int) int {
	line := i
	for i < len(s) {
		switch {
		case encoded[s[i]]:
			i++
		case i-line >= wrapped && s[i] == '\n' && i+1 < len(s) && encoded[s[i+1]]:
			i++
			line = i
		case i-line >= wrapped && s[i] == '\r' && i+2 < len(s) && s[i+1] == '\n' && encoded[s[i+2]]:
			i += 2
			line = i
		default:
			return i
		}
	}
	return i
}

// decodeRun decodes one run when what comes out is text. Its ends are tried
// without what joins words, such as the "/" of a path before it.
func decodeRun(run string) (string, Through) {
	if len(run)%2 == 0 && allHex(run) {
		if raw, err := hex.DecodeString(run); err == nil && isText(raw) {
			return string(raw), ViaHex
		}
	}
	if !plausible(run) {
		return "", 0
	}
	compact := make([]byte, 0, len(run))
	for i := range len(run) {
		switch c := run[i]; c {
		case '\r', '\n':
		case '-':
			compact = append(compact, '+')
		case '_':
			compact = append(compact, '/')
		default:
			compact = append(compact, c)
		}
	}
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(compact)))
	n, err := base64.RawStdEncoding.Decode(raw, compact)
	if err != nil { // cut in the middle: what can be decoded
		if n, err = base64.RawStdEncoding.Decode(raw, compact[:len(compact)&^3]); err != nil {
			return "", 0
		}
	}
	if !isText(raw[:n]) {
		return "", 0
	}
	return string(raw[:n]), ViaBase64
}

// plausible decodes the first characters alone: most words fail here.
func plausible(run string) bool {
	var three uint32
	for i := range MinEncoded {
		six := sixes[run[i]]
		if six == noSix {
			return run[i] == '\r' || run[i] == '\n'
		}
		if three = three<<6 | uint32(six); i%4 == 3 {
			for shift := 16; shift >= 0; shift -= 8 {
				if c := byte(three >> shift); c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7F {
					return false
				}
			}
		}
	}
	return true
}

const noSix = 0xFF

// sixes are the six bits that the letters of both base64 alphabets stand for.
var sixes = func() (table [256]byte) {
	for c := range table {
		table[c] = noSix
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		table[c] = byte(i)
	}
	table['-'], table['_'] = 62, 63
	return table
}()

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isText reports whether bytes are UTF-8 without control characters. Noise of
// six bytes passes once in hundreds of times, and then says nothing that was
// seen anywhere.
func isText(raw []byte) bool {
	if len(raw) < 4 {
		return false
	}
	for i := 0; i < len(raw); {
		c := raw[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7F {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size == 1 {
			// A character may be cut at the end.
			return len(raw)-i < utf8.UTFMax && !utf8.FullRune(raw[i:])
		}
		i += size
	}
	return true
}
