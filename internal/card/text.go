package card

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Visible shows control, bidi and other invisible characters as what they
// are: names and words of servers and agents must not paint over our own
// (CVE-2021-42574 and terminal escapes).
func Visible(text string) string {
	if !strings.ContainsFunc(text, Hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if Hidden(r) {
			fmt.Fprintf(&b, "\\u{%x}", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Hidden reports whether Visible shows a character as what it is: whatever is no
// letter, mark, number, sign or space, as what nobody has given a shape yet.
func Hidden(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }

// Exact is Visible for what a person decides on. It also shows as what they are
// the characters that look like another one, or like nothing: see shows.
func Exact(text string) string {
	if isASCII(text) {
		return Visible(text)
	}
	var b strings.Builder
	runes := []rune(text)
	for start := 0; start < len(runes); {
		end := start
		for end < len(runes) && !separates(runes[end]) {
			end++
		}
		end = min(end+1, len(runes)) // what separates belongs to what is before it
		t := token{latin: slices.ContainsFunc(runes[start:end], isLatin), digits: slices.ContainsFunc(runes[start:end], isDigit)}
		for i := start; i < end; i++ {
			if t.shows(runes, i) {
				fmt.Fprintf(&b, "\\u{%x}", runes[i])
			} else {
				b.WriteRune(runes[i])
			}
		}
		start = end
	}
	return b.String()
}

// token is what stands between two spaces, quotes or brackets: a name with its
// address is one, so that letters of two alphabets in it are noticed although a
// point is between them.
type token struct {
	latin  bool // has Latin letters
	digits bool // has the digits 0 to 9
}

func separates(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune("\"'(),;<>[]{}|!", r) || unicode.Is(typography, r)
}

func isLatin(r rune) bool { return unicode.IsLetter(r) && unicode.Is(unicode.Latin, r) }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// shows reports whether a character is shown as what it is. Of signs those alone
// are left as they are that people write and that look like no other: what is
// missing in that list is legible all the same.
func (t *token) shows(runes []rune, i int) bool {
	switch r := runes[i]; {
	case r <= unicode.MaxASCII:
		return Hidden(r)
	case Hidden(r) || unicode.IsSpace(r) || unicode.In(r, imitating...) || unicode.IsNumber(r):
		return true // a digit of another script can look like another digit
	case unicode.IsMark(r):
		return t.latin || unicode.Is(unicode.Inherited, r) || !bears(runes, i)
	case unicode.IsLetter(r):
		return t.latin && !isLatin(r) || t.digits && !unicode.In(r, unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	case r == '\u2013': // a dash between two words is not taken for a minus
		return i == 0 || i+1 == len(runes) || runes[i-1] != ' ' || runes[i+1] != ' '
	default:
		ofScript := !unicode.In(r, unicode.Common, unicode.Inherited, unicode.Latin)
		return !unicode.Is(typography, r) && (t.latin || t.digits || !ofScript)
	}
}

// maxMarks is how many marks a letter bears: more would rise over other lines.
const maxMarks = 3

// bears reports whether a mark stands upon a letter, with few others.
func bears(runes []rune, i int) bool {
	for n := 1; n <= maxMarks && i-n >= 0; n++ {
		if unicode.IsLetter(runes[i-n]) {
			return true
		}
		if !unicode.IsMark(runes[i-n]) {
			return false
		}
	}
	return false
}

// typography are the signs beyond ASCII that people write and that look like
// no other.
var typography = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00a1, 0x00a1, 1}, {0x00a2, 0x00a5, 1}, {0x00a7, 0x00a7, 1}, {0x00a9, 0x00a9, 1}, {0x00ab, 0x00ab, 1}, {0x00ae, 0x00ae, 1},
		{0x00b0, 0x00b1, 1}, {0x00b6, 0x00b6, 1}, {0x00bb, 0x00bb, 1}, {0x00bf, 0x00bf, 1}, {0x00f7, 0x00f7, 1},
		{0x2014, 0x2014, 1}, {0x2018, 0x2019, 1}, {0x201c, 0x201e, 1}, {0x2020, 0x2022, 1}, {0x2030, 0x2030, 1},
		{0x20a0, 0x20cf, 1}, // currencies
		{0x2122, 0x2122, 1},
		{0x2190, 0x2193, 1}, {0x221e, 0x221e, 1}, {0x2248, 0x2248, 1}, {0x2260, 0x2260, 1}, {0x2264, 0x2265, 1},
		{0x2600, 0x26ff, 1}, {0x2705, 0x2705, 1}, {0x2713, 0x2718, 1}, {0x274c, 0x274c, 1}, {0x2764, 0x2764, 1},
		{0x3001, 0x3002, 1}, {0x3008, 0x3011, 1}, {0x3014, 0x301b, 1}, // of Chinese and Japanese
	},
	R32:         []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1f9ff, 1}, {0x1fa70, 0x1faff, 1}}, // pictures
	LatinOffset: 11,
}

// imitating are letters and marks that show nothing, or show what others do.
var imitating = []*unicode.RangeTable{
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	{
		R16: []unicode.Range16{
			{0x00aa, 0x00aa, 1}, {0x00ba, 0x00ba, 1}, // raised letters
			{0x0138, 0x0138, 1}, {0x017f, 0x017f, 1}, // old ones
			{0x0184, 0x0185, 1}, {0x0196, 0x0196, 1}, {0x01a6, 0x01a8, 1}, {0x01b7, 0x01b7, 1}, // like b, l, R, 2 and 3
			{0x01bb, 0x01c3, 1},                      // like 5, p and clicks like l, = and !
			{0x021c, 0x021d, 1}, {0x0222, 0x0223, 1}, // like 3 and 8
			{0x0250, 0x0252, 1}, {0x0255, 0x0256, 1}, {0x0258, 0x0258, 1}, {0x025a, 0x025a, 1}, {0x025c, 0x0271, 1}, {0x0273, 0x02af, 1}, // phonetic letters, but for those of alphabets
			{0x02b0, 0x02ff, 1},                      // modifier letters
			{0x1d00, 0x1dbf, 1},                      // small capitals and other phonetic letters
			{0x2071, 0x209c, 1},                      // superscripts and subscripts
			{0x2100, 0x2121, 1}, {0x2123, 0x218f, 1}, // letterlike symbols, number forms
			{0x2c60, 0x2c7f, 1},                                                                // letters of old and small books
			{0x3130, 0x318f, 1},                                                                // single letters of Hangul
			{0x4e00, 0x4e00, 1}, {0x4e28, 0x4e28, 1}, {0x4e36, 0x4e36, 1}, {0x4e3f, 0x4e3f, 1}, // strokes
			{0xa720, 0xa7ff, 1}, {0xab30, 0xab6f, 1}, // the same again
			{0xfb00, 0xfb06, 1}, // ligatures
			{0xfe50, 0xfe6f, 1}, // small forms
			{0xff00, 0xffef, 1}, // full and half width
		},
		R32: []unicode.Range32{
			{0x10780, 0x107bf, 1}, {0x1df00, 0x1dfff, 1}, // phonetic letters
			{0x1d400, 0x1d7ff, 1}, // mathematical letters
		},
		LatinOffset: 2,
	},
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// Alphabets names the scripts other than Latin of a text's letters, in order:
// a word all in one of them can look like a Latin word.
func Alphabets(text string) []string {
	seen := map[string]bool{}
	last := ""
	for _, r := range text {
		if r <= unicode.MaxASCII || !unicode.IsLetter(r) || unicode.Is(unicode.Latin, r) || last != "" && unicode.Is(unicode.Scripts[last], r) {
			continue
		}
		for name, table := range unicode.Scripts {
			if unicode.Is(table, r) {
				seen[name], last = true, name
			}
		}
	}
	delete(seen, "Common")
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
