package form

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport"
)

// yaml converts what serialisers write of YAML to JSON: block mappings and
// sequences, scalars in every style, empty flow collections. Whatever else is
// no YAML for us: a text that can be read in two ways must not place a value
// in a field.
type yaml struct {
	s     string
	at    int // start of the current line
	out   []byte
	depth int
}

// yamlToJSON gives ok only for mappings and sequences.
func yamlToJSON(text string) (out []byte, ok bool) {
	y := yaml{s: strings.TrimPrefix(text, "---\n")}
	if !strings.Contains(text, ":") || strings.Contains(text, "\t") || strings.Contains(text, "\r") {
		return nil, false
	}
	indent, rest, more := y.peek()
	if !more || indent != 0 || !isEntry(rest) && keyEnd(rest) < 0 {
		return nil, false
	}
	y.out = make([]byte, 0, len(text)+len(text)/4)
	if !y.block(0) {
		return nil, false
	}
	_, _, more = y.peek()
	return y.out, !more
}

// peek skips empty lines and gives the next one's indentation and content.
func (y *yaml) peek() (indent int, rest string, ok bool) {
	for y.at < len(y.s) {
		line, _, _ := strings.Cut(y.s[y.at:], "\n")
		content := strings.TrimLeft(line, " ")
		if content != "" {
			return len(line) - len(content), content, true
		}
		y.at = min(len(y.s), y.at+len(line)+1)
	}
	return 0, "", false
}

func (y *yaml) nextLine() {
	i := strings.IndexByte(y.s[y.at:], '\n')
	if i < 0 {
		y.at = len(y.s)
		return
	}
	y.at += i + 1
}

// block reads the mapping or sequence that begins in this column.
func (y *yaml) block(column int) bool {
	if y.depth++; y.depth > sallyport.MaxDepth {
		return false
	}
	defer func() { y.depth-- }()
	_, rest, _ := y.peek()
	if isEntry(rest) {
		return y.sequence(column)
	}
	return y.mapping(column, "")
}

func isEntry(rest string) bool { return rest == "-" || strings.HasPrefix(rest, "- ") }

func (y *yaml) sequence(column int) bool {
	open := byte('[')
	for {
		indent, rest, ok := y.peek()
		if !ok || indent != column || !isEntry(rest) {
			if ok && indent > column || open == '[' {
				return false
			}
			y.out = append(y.out, ']')
			return true
		}
		y.out = append(y.out, open)
		open = ','
		content := strings.TrimLeft(rest[1:], " ")
		inner := column + len(rest) - len(content)
		switch {
		case content == "":
			y.nextLine()
			if !y.below(column, false) {
				return false
			}
		case isEntry(content):
			return false // serialisers write those; nobody we know of does
		case keyEnd(content) >= 0:
			if y.depth++; y.depth > sallyport.MaxDepth || !y.mapping(inner, content) {
				return false
			}
			y.depth--
		default:
			if !y.scalar(content, column) {
				return false
			}
		}
	}
}

// mapping reads the mapping in this column; first is its first line's content
// when that stands behind a "- ".
func (y *yaml) mapping(column int, first string) bool {
	open := byte('{')
	for {
		rest := first
		if first == "" {
			indent, next, ok := y.peek()
			if !ok || indent < column || indent == column && isEntry(next) {
				if open == '{' {
					return false
				}
				y.out = append(y.out, '}')
				return true
			}
			if indent > column {
				return false
			}
			rest = next
		}
		first = ""
		end := keyEnd(rest)
		if end < 0 {
			return false
		}
		y.out = append(y.out, open)
		open = ','
		y.out = append(sallyport.AppendString(y.out, unquoteKey(rest[:end])), ':')
		value := strings.TrimLeft(rest[end+1:], " ")
		if value != "" {
			if !y.scalar(value, column) {
				return false
			}
			continue
		}
		y.nextLine()
		if !y.below(column, true) {
			return false
		}
	}
}

// below reads the block under a key or a "-", null when there is none.
func (y *yaml) below(column int, inMapping bool) bool {
	indent, rest, ok := y.peek()
	if !ok || indent < column || indent == column && !(inMapping && isEntry(rest)) {
		y.out = append(y.out, "null"...)
		return true
	}
	if !isEntry(rest) && keyEnd(rest) < 0 {
		return y.scalar(rest, column)
	}
	return y.block(indent)
}

// keyEnd is where the colon behind a key stands, -1 when there is no key.
func keyEnd(rest string) int {
	from := 0
	if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		i := strings.IndexByte(rest[1:], rest[0])
		if i < 0 || strings.IndexByte(rest[:i+1], '\\') >= 0 {
			return -1
		}
		from = i + 2
		if from >= len(rest) || rest[from] != ':' {
			return -1
		}
	} else if rest == "" || strings.IndexByte("[]{}#&*!|>%@`?,", rest[0]) >= 0 {
		return -1
	}
	i := strings.IndexByte(rest[from:], ':')
	if i < 0 || i == 0 && from == 0 || from+i+1 < len(rest) && rest[from+i+1] != ' ' {
		return -1
	}
	return from + i
}

func unquoteKey(key string) string {
	if key[0] == '\'' || key[0] == '"' {
		return key[1 : len(key)-1]
	}
	return key
}

// scalar reads the scalar that begins with content on the current line; lines
// that are indented more than column belong to it.
func (y *yaml) scalar(content string, column int) bool {
	lineEnd := len(y.s)
	if i := strings.IndexByte(y.s[y.at:], '\n'); i >= 0 {
		lineEnd = y.at + i
	}
	y.at = lineEnd
	switch content[0] {
	case '\'', '"':
		return y.quoted(lineEnd-len(content), content[0], column)
	case '|', '>':
		return y.literal(content, column)
	case '[', '{':
		v, err := sallyport.Parse([]byte(content))
		if err != nil {
			return false
		}
		y.out = append(y.out, v.Raw()...)
		return y.endLine()
	case '#', '&', '*', '!', '%', '@', '`', ',', ']', '}':
		return false
	}
	return y.plain(content, column)
}

func (y *yaml) endLine() bool {
	y.at = min(len(y.s), y.at+1)
	return true
}

// plain reads a scalar without quotes, folded over lines.
func (y *yaml) plain(content string, column int) bool {
	text := []byte(strings.TrimRight(content, " "))
	breaks := 0
	for y.endLine(); y.at < len(y.s); y.nextLine() {
		line, _, _ := strings.Cut(y.s[y.at:], "\n")
		trimmed := strings.Trim(line, " ")
		if trimmed == "" {
			breaks++
			continue
		}
		if len(line)-len(strings.TrimLeft(line, " ")) <= column {
			break
		}
		text = fold(text, breaks)
		breaks = 0
		text = append(text, trimmed...)
	}
	s := string(text)
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") {
		return false
	}
	y.out = sallyport.AppendString(y.out, s)
	return true
}

// fold joins lines: one break is a space, more are one less of breaks.
func fold(text []byte, breaks int) []byte {
	if breaks == 0 {
		return append(text, ' ')
	}
	return append(text, strings.Repeat("\n", breaks)...)
}

// quoted reads from the quote at start on.
func (y *yaml) quoted(start int, quote byte, column int) bool {
	var text []byte
	i := start + 1
	for {
		if i >= len(y.s) {
			return false
		}
		switch c := y.s[i]; {
		case c == quote && quote == '\'' && i+1 < len(y.s) && y.s[i+1] == '\'':
			text = append(text, '\'')
			i += 2
		case c == quote:
			y.at = i + 1
			line, _, _ := strings.Cut(y.s[y.at:], "\n")
			if strings.TrimSpace(line) != "" {
				return false
			}
			y.nextLine()
			y.out = sallyport.AppendString(y.out, string(text))
			return true
		case c == '\\' && quote == '"':
			var ok bool
			if text, i, ok = yamlEscape(text, y.s, i); !ok {
				return false
			}
		case c == '\n':
			for len(text) > 0 && text[len(text)-1] == ' ' {
				text = text[:len(text)-1]
			}
			breaks := 0
			indent := 0
			for i++; i < len(y.s) && (y.s[i] == ' ' || y.s[i] == '\n'); i++ {
				if indent++; y.s[i] == '\n' {
					breaks++
					indent = 0
				}
			}
			if i < len(y.s) && indent <= column && column > 0 {
				return false
			}
			text = fold(text, breaks)
		default:
			end := i + 1
			for end < len(y.s) && y.s[end] != quote && y.s[end] != '\\' && y.s[end] != '\n' {
				end++
			}
			text = append(text, y.s[i:end]...)
			i = end
		}
	}
}

func yamlEscape(text []byte, s string, i int) ([]byte, int, bool) {
	if i+1 >= len(s) {
		return nil, 0, false
	}
	if j := strings.IndexByte(`0abtnvfre"/\N_ `, s[i+1]); j >= 0 {
		const means = "\x00\a\b\t\n\v\f\r\x1b\"/\\\u0085\u00a0 "
		at := 0
		for ; j > 0; j-- {
			_, size := utf8.DecodeRuneInString(means[at:])
			at += size
		}
		r, _ := utf8.DecodeRuneInString(means[at:])
		return utf8.AppendRune(text, r), i + 2, true
	}
	width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i+1]]
	switch {
	case s[i+1] == '\n': // the line goes on without a space
		for i += 2; i < len(s) && s[i] == ' '; i++ {
		}
		return text, i, true
	case width == 0 || i+2+width > len(s):
		return nil, 0, false
	}
	r, err := strconv.ParseUint(s[i+2:i+2+width], 16, 31)
	return utf8.AppendRune(text, rune(r)), i + 2 + width, err == nil
}

// literal reads | and > scalars.
func (y *yaml) literal(header string, column int) bool {
	switch header {
	case "|", "|-", "|+", ">", ">-", ">+":
	default:
		return false
	}
	var text []byte
	inner := -1
	for y.endLine(); y.at < len(y.s); y.nextLine() {
		line, _, _ := strings.Cut(y.s[y.at:], "\n")
		content := strings.TrimLeft(line, " ")
		indent := len(line) - len(content)
		switch {
		case content == "":
			text = append(text, '\n')
			continue
		case inner < 0 && indent > column:
			inner = indent
		case indent < inner || inner < 0:
			y.out = sallyport.AppendString(y.out, string(text))
			return true
		}
		text = append(text, line[inner:]...)
		text = append(text, '\n')
	}
	y.out = sallyport.AppendString(y.out, string(text))
	return true
}
