package form

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport"
)

// python converts a value as Python prints it ({'a': [1, True, None]}) to
// JSON. Printing quotes every text, so nobody can break out of a field; what
// is more than literals is no value for us.
type python struct {
	s     string
	at    int
	out   []byte
	depth int
}

// pythonToJSON gives ok only for dicts, lists and tuples.
func pythonToJSON(text string) (out []byte, ok bool) {
	p := python{s: strings.TrimSpace(text)}
	if p.s == "" || strings.IndexByte("{[(", p.s[0]) < 0 {
		return nil, false
	}
	if !p.value() {
		return nil, false
	}
	return p.out, p.at == len(p.s)
}

func (p *python) value() bool {
	if p.at == len(p.s) {
		return false
	}
	switch c := p.s[p.at]; {
	case c == '{':
		return p.items('{', '}', true)
	case c == '[':
		return p.items('[', ']', false)
	case c == '(':
		return p.items('[', ')', false)
	case c == '\'' || c == '"':
		return p.text()
	case p.word("True", "true"), p.word("False", "false"), p.word("None", "null"):
		return true
	default:
		return p.number()
	}
}

// items reads what stands between brackets.
func (p *python) items(open, end byte, pairs bool) bool {
	if p.depth++; p.depth > sallyport.MaxDepth {
		return false
	}
	p.at++
	p.out = append(p.out, open)
	for n := 0; ; n++ {
		p.space()
		if p.at < len(p.s) && p.s[p.at] == end {
			break
		}
		if n > 0 {
			if !p.sign(',') {
				return false
			}
			p.out = append(p.out, ',')
			if p.at < len(p.s) && p.s[p.at] == end { // (1,)
				p.out = p.out[:len(p.out)-1]
				break
			}
		}
		if pairs && (p.at == len(p.s) || p.s[p.at] != '\'' && p.s[p.at] != '"' || !p.text() || !p.sign(':')) {
			return false
		}
		if pairs {
			p.out = append(p.out, ':')
		}
		if !p.value() {
			return false
		}
	}
	p.at++
	p.depth--
	if open == '{' {
		p.out = append(p.out, '}')
	} else {
		p.out = append(p.out, ']')
	}
	return true
}

func (p *python) space() {
	for p.at < len(p.s) && (p.s[p.at] == ' ' || p.s[p.at] == '\n') {
		p.at++
	}
}

// sign reads one sign with the space around it.
func (p *python) sign(c byte) bool {
	p.space()
	if p.at == len(p.s) || p.s[p.at] != c {
		return false
	}
	p.at++
	p.space()
	return true
}

func (p *python) word(python, json string) bool {
	if !strings.HasPrefix(p.s[p.at:], python) {
		return false
	}
	p.at += len(python)
	p.out = append(p.out, json...)
	return true
}

func (p *python) number() bool {
	start := p.at
	for p.at < len(p.s) && strings.IndexByte("+-.0123456789eE", p.s[p.at]) >= 0 {
		p.at++
	}
	p.out = append(p.out, p.s[start:p.at]...) // the JSON parser behind us refuses what is no number
	return p.at > start
}

// text reads a quoted text with Python's escapes.
func (p *python) text() bool {
	quote := p.s[p.at]
	var text []byte
	for p.at++; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; c {
		case quote:
			p.at++
			p.out = sallyport.AppendString(p.out, string(text))
			return utf8.Valid(text)
		case '\n':
			return false
		case '\\':
			var ok bool
			if text, ok = p.escape(text); !ok {
				return false
			}
		default:
			text = append(text, c)
		}
	}
	return false
}

// escape reads one escape; afterwards p.at is at its last byte.
func (p *python) escape(text []byte) ([]byte, bool) {
	p.at++
	if p.at == len(p.s) {
		return nil, false
	}
	digits := 0
	switch c := p.s[p.at]; c {
	case 'n':
		return append(text, '\n'), true
	case 't':
		return append(text, '\t'), true
	case 'r':
		return append(text, '\r'), true
	case '\\', '\'', '"':
		return append(text, c), true
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		return nil, false
	}
	if p.at+digits >= len(p.s) {
		return nil, false
	}
	r, err := strconv.ParseUint(p.s[p.at+1:p.at+1+digits], 16, 32)
	if err != nil || !utf8.ValidRune(rune(r)) {
		return nil, false
	}
	p.at += digits
	return utf8.AppendRune(text, rune(r)), true
}
