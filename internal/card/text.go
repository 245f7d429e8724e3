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

// Hidden reports whether Visible shows a character as what it is.
func Hidden(r rune) bool {
	return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}

// Exact is Visible for what a person decides on. It also shows as what they are
// the characters that look like another one or like nothing: spaces that are
// not the space, fillers, marks upon letters of alphabets that need none, forms
// for compatibility, and letters of other alphabets in a Latin word.
func Exact(text string) string {
	if isASCII(text) {
		return Visible(text)
	}
	var b strings.Builder
	runes := []rune(text)
	for start := 0; start < len(runes); {
		end := start
		for end < len(runes) && (unicode.In(runes[end], unicode.L, unicode.M, unicode.N)) {
			end++
		}
		latin := slices.ContainsFunc(runes[start:end], func(r rune) bool { return unicode.Is(unicode.Latin, r) })
		for _, r := range runes[start:end] {
			foreign := latin && unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r)
			spare := unicode.Is(unicode.M, r) && (latin || unicode.Is(unicode.Inherited, r))
			writeExact(&b, r, foreign || spare)
		}
		if end < len(runes) {
			writeExact(&b, runes[end], false)
			end++
		}
		start = end
	}
	return b.String()
}

func writeExact(b *strings.Builder, r rune, shown bool) {
	if shown || Hidden(r) || unicode.In(r, imitating...) || r != ' ' && unicode.IsSpace(r) || unicode.Is(unicode.Zs, r) && r != ' ' {
		fmt.Fprintf(b, "\\u{%x}", r)
	} else {
		b.WriteRune(r)
	}
}

// imitating are characters that show nothing, or show what others do.
var imitating = []*unicode.RangeTable{
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	{
		R16: []unicode.Range16{
			{0x02b0, 0x02ff, 1}, // modifier letters
			{0x2024, 0x2026, 1}, // dot leaders
			{0x2044, 0x2044, 1}, // fraction slash
			{0x2070, 0x209f, 1}, // superscripts and subscripts
			{0x2100, 0x218f, 1}, // letterlike symbols, number forms
			{0x2215, 0x2215, 1}, // division slash
			{0x2236, 0x2236, 1}, // ratio
			{0x2460, 0x24ff, 1}, // enclosed letters and digits
			{0xa789, 0xa789, 1}, // modifier colon
			{0xfb00, 0xfb06, 1}, // ligatures
			{0xfe50, 0xfe6f, 1}, // small forms
			{0xff00, 0xffef, 1}, // full and half width
		},
		R32: []unicode.Range32{
			{0x1d400, 0x1d7ff, 1}, // mathematical letters
			{0x1f100, 0x1f1ff, 1}, // enclosed letters
		},
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
