// Package form finds records and fields in texts: JSON, YAML and CSV as
// serialisers write them, and what people and pasting programs write. It is
// pure, and linear in what it is given.
package form

import (
	"encoding/csv"
	"strings"

	"sallyport"
)

// Structure is how sure it is that a field is a field, and no text of somebody
// who wrote what looks like one.
type Structure uint8

const (
	Forgeable  Structure = iota // key: value lines, Markdown, mail: pasted together
	Serialised                  // YAML, CSV, Python's own
	Written                     // JSON in a text
	Structured                  // structured content
)

// Parse gives a text as JSON when it has one of the forms we know, else
// the absent value.
func Parse(text string) (sallyport.Value, Structure) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return sallyport.Value{}, Forgeable
	}
	if trimmed[0] == '{' || trimmed[0] == '[' {
		if v, err := sallyport.Parse([]byte(trimmed)); err == nil {
			return v, Written
		}
		if v, ok := jsonLines(trimmed); ok {
			return v, Written
		}
	}
	for _, form := range []struct {
		convert func(string) ([]byte, bool)
		how     Structure
	}{
		{pythonToJSON, Serialised}, {yamlToJSON, Serialised}, {csvToJSON, Serialised}, {linesToJSON, Forgeable},
	} {
		if converted, ok := form.convert(text); ok {
			if v, err := sallyport.Parse(converted); err == nil {
				return v, form.how
			}
		}
	}
	return sallyport.Value{}, Forgeable
}

// jsonLines reads one JSON object a line.
func jsonLines(text string) (sallyport.Value, bool) {
	out := make([]byte, 0, len(text)+2)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if line[0] != '{' {
			return sallyport.Value{}, false
		}
		out = append(out, "[,"[min(len(out), 1)])
		out = append(out, line...)
	}
	v, err := sallyport.Parse(append(out, ']'))
	return v, err == nil
}

// csvToJSON reads a table whose first line names the columns.
func csvToJSON(text string) ([]byte, bool) {
	line, _, more := strings.Cut(text, "\n")
	comma := '\t'
	if !strings.Contains(line, "\t") {
		comma = ','
	}
	if !more || !strings.ContainsRune(line, comma) {
		return nil, false
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma
	r.ReuseRecord = true
	first, err := r.Read()
	if err != nil {
		return nil, false
	}
	header := append([]string(nil), first...)
	for _, name := range header {
		if name = strings.TrimSpace(name); name == "" || len(name) > 64 || strings.ContainsAny(name, ".!?") {
			return nil, false // a sentence with commas
		}
	}
	out := []byte{'['}
	rows := 0
	for {
		row, err := r.Read()
		if err != nil {
			if rows == 0 || err.Error() != "EOF" {
				return nil, false
			}
			return append(out, ']'), true
		}
		if rows > 0 {
			out = append(out, ',')
		}
		out = appendObject(out, header, row)
		rows++
	}
}

func appendObject(out []byte, names, values []string) []byte {
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(sallyport.AppendString(out, strings.TrimSpace(name)), ':')
		out = sallyport.AppendString(out, values[i])
	}
	return append(out, '}')
}

// lines reads what people and pasting programs write: headings, list items,
// tables, key: value lines, a mail's headers and body. All of it can be forged
// by who writes one of the values, so nothing of it is trusted by shape.
type lines struct {
	out     []byte
	names   []string // of the record's fields so far
	values  []string
	body    []string // lines that belong to no field
	columns []string // of the table that we are in
	found   int      // structure
}

func linesToJSON(text string) ([]byte, bool) {
	l := lines{out: []byte{'['}}
	for line := range strings.Lines(text) {
		l.line(strings.TrimRight(line, "\r\n"))
	}
	l.flush()
	return append(l.out, ']'), l.found > 0
}

func (l *lines) line(line string) {
	trimmed := strings.TrimSpace(line)
	indented := line != "" && (line[0] == ' ' || line[0] == '\t')
	if !strings.HasPrefix(trimmed, "|") {
		l.columns = nil
	}
	switch {
	case trimmed == "":
		l.blank()
	case trimmed == "---" || trimmed == "***" || trimmed == "===":
		l.flush()
	case strings.HasPrefix(trimmed, "#") && strings.HasPrefix(strings.TrimLeft(trimmed, "#"), " "):
		l.flush()
		l.found++
		l.field("", strings.TrimLeft(trimmed, "# "))
	case strings.HasPrefix(trimmed, "|") && strings.HasSuffix(trimmed, "|") && len(trimmed) > 2:
		l.row(trimmed)
	case !indented && item(trimmed) != trimmed:
		l.flush()
		l.found++
		l.pair(item(trimmed))
	case len(l.body) == 0 && l.pair(item(trimmed)):
	default:
		l.body = append(l.body, trimmed)
	}
}

// blank ends a record of key: value lines, unless they are a mail's headers.
func (l *lines) blank() {
	if len(l.names) == 0 {
		if len(l.body) > 0 {
			l.body = append(l.body, "")
		}
		return
	}
	for _, name := range l.names {
		if strings.EqualFold(name, "subject") {
			l.body = append(l.body, "")
			return
		}
	}
	l.flush()
}

// item takes the mark of a list item off.
func item(line string) string {
	if len(line) > 2 && strings.IndexByte("-*+", line[0]) >= 0 && line[1] == ' ' {
		return strings.TrimSpace(line[2:])
	}
	end := 0
	for end < min(len(line), 4) && line[end] >= '0' && line[end] <= '9' {
		end++
	}
	if end > 0 && end+1 < len(line) && (line[end] == '.' || line[end] == ')') && line[end+1] == ' ' {
		return strings.TrimSpace(line[end+2:])
	}
	return line
}

const maxKey = 40 // bytes of a key: value line's key

// pair reads key: value, **key:** value.
func (l *lines) pair(line string) bool {
	i := strings.IndexByte(line, ':')
	if i < 1 || i > maxKey || i+1 < len(line) && line[i+1] != ' ' && line[i+1] != '*' && line[i+1] != '\t' {
		if len(l.names) == 0 && len(l.body) == 0 && line != "" {
			l.body = append(l.body, line)
			return true
		}
		return false
	}
	name := strings.Trim(line[:i], "*_` ")
	if name == "" || strings.Count(name, " ") > 3 {
		return false
	}
	for _, known := range l.names {
		if strings.EqualFold(known, name) { // the next record, without a line between
			l.flush()
			break
		}
	}
	l.found++
	l.field(name, strings.TrimLeft(line[i+1:], "*_ \t"))
	return true
}

func (l *lines) field(name, value string) {
	l.names = append(l.names, name)
	l.values = append(l.values, value)
	if len(l.names) > 256 { // looking names up must not become slow
		l.flush()
	}
}

func (l *lines) row(line string) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	switch {
	case l.columns == nil:
		l.flush()
		l.columns = cells
	case strings.Trim(line, "|-: \t") == "":
	case len(cells) == len(l.columns):
		l.flush()
		l.found++
		for i, name := range l.columns {
			l.field(name, cells[i])
		}
	default:
		l.body = append(l.body, line)
	}
}

// flush writes the record. A name that comes twice keeps its first value under
// the name, and the others without one.
func (l *lines) flush() {
	if body := strings.TrimSpace(strings.Join(l.body, "\n")); body != "" {
		l.names, l.values = append(l.names, ""), append(l.values, body)
	}
	l.body = l.body[:0]
	if len(l.names) == 0 {
		return
	}
	var nameless []string
	seen := make(map[string]bool, len(l.names))
	if len(l.out) > 1 {
		l.out = append(l.out, ',')
	}
	l.out = append(l.out, '{')
	for i, name := range l.names {
		if name == "" || seen[name] {
			nameless = append(nameless, l.values[i])
			continue
		}
		seen[name] = true
		l.out = append(sallyport.AppendString(l.out, name), ':')
		l.out = append(sallyport.AppendString(l.out, l.values[i]), ',')
	}
	l.out = append(l.out, `"":[`...)
	for i, value := range nameless {
		if i > 0 {
			l.out = append(l.out, ',')
		}
		l.out = sallyport.AppendString(l.out, value)
	}
	l.out = append(l.out, "]}"...)
	l.names, l.values = l.names[:0], l.values[:0]
}
