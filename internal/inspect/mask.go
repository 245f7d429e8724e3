package inspect

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport"
)

// Mask returns text with the bytes of each finding replaced by its rule in
// brackets. Give it the findings that are to be masked and no others; their
// Start and End must be of this text. What lies outside of it is ignored.
func Mask(text string, findings []sallyport.Finding) string {
	spans := slices.Clone(findings)
	slices.SortStableFunc(spans, func(a, b sallyport.Finding) int { return a.Start - b.Start })
	var b strings.Builder
	at := 0
	for _, f := range spans {
		start, end := whole(text, f.Start, f.End)
		if end <= at || end <= start {
			continue
		}
		if start >= at {
			b.WriteString(text[at:start])
			b.WriteString("[" + f.Rule + "]")
		}
		at = end
	}
	b.WriteString(text[at:])
	return b.String()
}

// whole widens a span to whole characters within text.
func whole(text string, start, end int) (int, int) {
	start, end = min(max(start, 0), len(text)), min(max(end, 0), len(text))
	for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) {
		start--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	return start, end
}

// Neutralise returns text in which no link, image, form or style reaches
// outside, whoever renders it as HTML or Markdown: schemes, tags and the joint
// of Markdown links are broken so that people can still read them. What has
// been neutralised stays as it is.
func Neutralise(text string) string {
	var b strings.Builder
	from := 0
	bracket := -1 // where what comes next stands behind a bracket that was put here
	put := func(at int, with string, skip int) {
		b.WriteString(text[from:at])
		b.WriteString(with)
		from = at + skip
		if strings.HasSuffix(with, "]") {
			bracket = from
		}
		if strings.HasSuffix(with, "]") && from < len(text) && text[from] == '(' {
			b.WriteByte(' ') // else what was put here would be the text of a link
		}
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case ':':
			// What follows "]:" is where a link leads that stands elsewhere, in more
			// spellings than there are schemes: [a]: /\site.example
			if scheme(text[:i], i+1 == len(text) || text[i+1] == ' ') || i > 0 && text[i-1] == ']' || i == bracket {
				put(i, "[:]", 1)
			}
		case '<':
			if i+1 < len(text) && (isLetter(text[i+1]) || strings.IndexByte("/!?", text[i+1]) >= 0) {
				put(i, "&lt;", 1)
			}
		case '&':
			if colonReference(text[i:]) {
				put(i, "&amp;", 1)
			}
		case '/':
			if i+2 < len(text) && text[i+1] == '/' && runes[text[i+2]]&startsRun != 0 && (i == 0 || strings.IndexByte(" \t\n\"'(=<>[", text[i-1]) >= 0) {
				put(i, "[/]", 1)
			}
		case '.':
			if i >= 3 && strings.EqualFold(text[i-3:i], "www") && (i == 3 || i-3 == bracket || runes[text[i-4]]&inRun == 0) {
				put(i, "[.]", 1)
			}
		case '(':
			if i > 0 && text[i-1] == ']' {
				put(i, " (", 1)
			}
		}
	}
	if from == 0 {
		return text
	}
	b.WriteString(text[from:])
	return b.String()
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// scheme reports whether what ends here names a way to reach out. Browsers
// drop line breaks and tabs within a scheme. Before a blank only scripts run:
// "the data: five boats" is prose.
func scheme(before string, blank bool) bool {
	var name [12]byte
	n := len(name)
	for i := len(before) - 1; i >= 0 && n > 0; i-- {
		c := before[i]
		if c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		if !isLetter(c) && c != '-' {
			break
		}
		n--
		name[n] = c | 0x20
	}
	switch string(name[n:]) {
	case "javascript", "vbscript":
		return true
	case "http", "https", "ftp", "ftps", "ws", "wss", "file", "blob", "data", "view-source":
		return !blank
	}
	return false
}

// colonReference reports a character reference that a browser reads as a colon
// or slash, which would join a broken scheme again.
func colonReference(s string) bool {
	s = s[:min(len(s), 12)]
	if strings.HasPrefix(s, "&colon") || strings.HasPrefix(s, "&sol") || strings.HasPrefix(s, "&Tab") || strings.HasPrefix(s, "&NewLine") {
		return true
	}
	return strings.HasPrefix(s, "&#")
}
