package plain

import (
	"unicode"
	"unicode/utf8"
)

// SameText compares up to case and white space. Spaces that group the digits
// of an account or a telephone number may be there or not.
func SameText(x, y string) (via Through, same bool) {
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
				via |= ViaWhitespace
			}
		case a == b && a < utf8.RuneSelf:
			i++
			j++
		case groups && isSpace(b):
			j++
			via |= ViaJoin
		case groups && isSpace(a):
			i++
			via |= ViaSplit
		case a < utf8.RuneSelf && b < utf8.RuneSelf:
			if Folded[a] == 0 || Folded[a] != Folded[b] {
				return 0, false
			}
			via |= ViaCase
			i++
			j++
		default:
			r, n := utf8.DecodeRuneInString(x[i:])
			s, k := utf8.DecodeRuneInString(y[j:])
			if unicode.ToLower(r) != unicode.ToLower(s) {
				return 0, false
			}
			if r != s {
				via |= ViaCase
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
		case IsDigit(c):
			digits++
		case Folded[c] != 0:
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

// JoinedBefore reports whether text[at:] goes on something that began before.
func JoinedBefore(text string, at int) bool {
	if at == 0 {
		return false
	}
	if endsInWord(text[:at]) {
		r, _ := utf8.DecodeLastRuneInString(text[:at])
		return !WithoutSpaces(r)
	}
	c := text[at-1]
	if isJoiner(c) && c != '=' {
		return endsInWord(text[:at-1]) || at < len(text) && isJoiner(text[at])
	}
	return (c == ',' || c == ':' || c == '\'') && at < len(text) && IsDigit(text[at]) && at > 1 && IsDigit(text[at-2])
}

// JoinedAfter reports whether text[:at] goes on.
func JoinedAfter(text string, at int) bool {
	if at >= len(text) {
		return false
	}
	if beginsInWord(text[at:]) {
		r, _ := utf8.DecodeRuneInString(text[at:])
		return !WithoutSpaces(r)
	}
	c := text[at]
	if isJoiner(c) {
		return beginsInWord(text[at+1:])
	}
	return (c == ',' || c == ':' || c == '\'') && at > 0 && IsDigit(text[at-1]) && at+1 < len(text) && IsDigit(text[at+1])
}

func endsInWord(text string) bool {
	if text == "" {
		return false
	}
	if c := text[len(text)-1]; c < utf8.RuneSelf {
		return Folded[c] != 0
	}
	r, _ := utf8.DecodeLastRuneInString(text)
	return InWord(r)
}

func beginsInWord(text string) bool {
	if text == "" {
		return false
	}
	if c := text[0]; c < utf8.RuneSelf {
		return Folded[c] != 0
	}
	r, _ := utf8.DecodeRuneInString(text)
	return InWord(r)
}
