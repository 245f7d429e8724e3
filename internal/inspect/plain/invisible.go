package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tags makes a run of tag characters (U+E0020 to U+E007E, a copy of ASCII that
// no font shows) readable. Only the flags of regions need them.
func (m *maker) tags(at int) int {
	m.endWord(at)
	from, flag := at, m.prev == 0x1f3f4
	var hidden []byte
	for at < len(m.source) {
		r, size := utf8.DecodeRuneInString(m.source[at:])
		if r < 0xe0000 || r > 0xe007f {
			break
		}
		if 0xe0020 <= r && r <= 0xe007e {
			hidden = append(hidden, byte(r-0xe0000))
		}
		at += size
	}
	if flag && len(hidden) <= 6 {
		m.even(len(m.out), at)
		return at
	}
	m.note("tags", from, at, 1)
	m.reveal(from, at, hidden)
	return at
}

// isSelector reports variation selectors, of which 256 in a row can carry any
// bytes behind one visible character.
func isSelector(r rune) bool { return 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef }

// selectors drops one variation selector, as emoji and old Han characters have
// them, and reads a run of them as the bytes that it smuggles.
func (m *maker) selectors(at int) int {
	from := at
	var hidden []byte
	for at < len(m.source) {
		r, size := utf8.DecodeRuneInString(m.source[at:])
		if !isSelector(r) {
			break
		}
		if r >= 0xe0100 {
			r = r - 0xe0100 + 16
		} else {
			r -= 0xfe00
		}
		hidden = append(hidden, byte(r))
		at += size
	}
	if len(hidden) == 1 {
		if hidden[0] >= 16 && !unicode.Is(unicode.Han, m.prev) {
			m.note("selectors", from, at, 0.5)
		}
		m.even(len(m.out), at)
		return at
	}
	m.endWord(from)
	m.note("selectors", from, at, 1)
	m.reveal(from, at, hidden)
	return at
}

// reveal writes hidden bytes where they were hidden, in words of their own.
func (m *maker) reveal(from, to int, hidden []byte) {
	for i, c := range hidden {
		if c < 0x20 || c > 0x7e {
			hidden[i] = ' '
		}
	}
	if len(hidden) > 0 {
		m.replace(from, to, " "+string(hidden)+" ")
	} else {
		m.even(len(m.out), to)
	}
	m.word = word{plain: len(m.out), source: to}
}

// isInvisible reports characters that are not seen.
func isInvisible(r rune) bool {
	switch {
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x180e,
		0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		r == 0x3164, r == 0xfeff, r == 0xffa0, 0xfff9 <= r && r <= 0xfffb, 0x1d173 <= r && r <= 0x1d17a:
		return true
	}
	return false
}

// invisible judges one invisible character by its neighbours; end is where it
// ends. Some scripts and emoji can't be written without joiners.
func (m *maker) invisible(r rune, end int) (rule string, score float64) {
	next, _ := utf8.DecodeRuneInString(m.source[end:])
	switch {
	case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		if r == 0x202d || r == 0x202e {
			return "bidi", 1 // overrides show text in another order than it is read
		}
		return "bidi", 0.5
	case r == 0x200e || r == 0x200f || r == 0x61c:
		return "bidi", 0 // marks, which honest mixed text needs
	case r == 0x200c || r == 0x200d:
		if m.prev > 0x2ff && (next > 0x2ff || isSelector(next)) {
			return "zero-width", 0
		}
	case r == 0xfeff && end == 3:
		return "zero-width", 0 // a byte order mark
	case r == 0xad:
		if !unicode.IsLetter(m.prev) || !unicode.IsLetter(next) {
			return "zero-width", 0
		}
		return "zero-width", 0.3 // a soft hyphen within a word
	}
	if unicode.IsLetter(m.prev) && unicode.IsLetter(next) && m.prev < 0x250 {
		return "zero-width", 1 // within a word: hides it from searches
	}
	return "zero-width", 0.5
}

// lookalike is the Latin letter that a Cyrillic, Greek, Armenian, Cherokee or
// Lisu letter is taken for, 0 when there is none. After the
// skeletons of Unicode's TR 39, single letters alone.
func lookalike(r rune) byte {
	if r < twins[0] {
		return 0
	}
	i := sortedIndex(twins, r)
	if i < 0 {
		return 0
	}
	return latin[i]
}

// twins and latin run side by side: twins in the order of Unicode.
var (
	twins = []rune("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορτυχЅІЈАВЕКМНОРСТУХагекмнорстухѕіјѵһӏԁԛԝՍՕհոսօᎪᎫᎳᎷᎻᏃᏎᏒᏙᏚᏞᏟᏢᏳᏴꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓪꓫꓬꓮꓰꓲꓳꓴ")
	latin = "ABEZHIKMNOPTYXayikvoptuxSIJABEKMHOPCTYXarekmhopctyxsijvhldqwUOhnuoAJWMHZSRVSLCPGBBPDTGKJCZFMNLSRVWXYAEIOU"
)

// sortedIndex is where r stands in sorted, -1 when it does not.
func sortedIndex(sorted []rune, r rune) int {
	low, high := 0, len(sorted)
	for low < high {
		if mid := (low + high) / 2; sorted[mid] < r {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(sorted) && sorted[low] == r {
		return low
	}
	return -1
}

// maxReference is the longest character reference that is read.
const maxReference = 10

// referenceAt is the length of the character reference at the start of s, 0
// when there is none.
func referenceAt(s string) int {
	end := strings.IndexByte(s[:min(len(s), maxReference+1)], ';')
	if end < 2 || referenced(s[:end+1]) == 0 {
		return 0
	}
	return end + 1
}

// referenced is the rune that a character reference stands for, 0 for none.
func referenced(s string) rune {
	name := s[1 : len(s)-1]
	switch name {
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "amp":
		return '&'
	case "quot":
		return '"'
	case "apos":
		return '\''
	case "nbsp":
		return ' '
	}
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	base, digits := 10, name[1:]
	if digits[0]|0x20 == 'x' {
		base, digits = 16, digits[1:]
	}
	n, err := strconv.ParseUint(digits, base, 21)
	if err != nil || n > unicode.MaxRune || n == 0 || !utf8.ValidRune(rune(n)) {
		return 0
	}
	return rune(n)
}
