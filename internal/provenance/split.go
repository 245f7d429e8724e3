package provenance

import (
	"encoding/csv"
	"strings"

	"sallyport"
)

// cell is one value of a result, with its place.
type cell struct {
	record    int
	path      []byte // good until the next cell only
	text      string
	container string // which of several lists holds the record
	how       structure
}

// splitter cuts a result into records and fields.
type splitter struct {
	record int // the next one's number
	yield  func(cell)
}

// result splits what a call gave: structured content by field, text by the
// form that it has, and all else that a result can carry by its path.
func (s *splitter) result(v sallyport.Value) {
	if v.Type() != sallyport.Object {
		s.leaves(v, forgeable, "")
		return
	}
	structuredContent := v.Get("structuredContent")
	for name, member := range v.Members() {
		switch name {
		case "structuredContent":
			s.records(member, structured)
		case "content", "contents", "messages":
			for _, block := range member.Items() {
				s.block(block, structuredContent)
			}
			if member.Type() == sallyport.Object || member.Type() == sallyport.String {
				s.block(member, structuredContent)
			}
		default:
			s.leaves(member, forgeable, "")
		}
	}
}

// block is one item of a result's content, or a prompt's message.
func (s *splitter) block(v, known sallyport.Value) {
	if inner := v.Get("content"); inner.Type() == sallyport.Object {
		v = inner
	}
	if text, ok := v.Text(); ok {
		s.text(text, known)
		return
	}
	if v.Type() != sallyport.Object {
		s.leaves(v, forgeable, "")
		return
	}
	for name, member := range v.Members() {
		text, ok := member.Text()
		switch {
		case name == "type":
		case name == "text" && ok:
			s.text(text, known)
		case name == "resource" && member.Type() == sallyport.Object:
			s.block(member, known)
		default:
			s.leaves(member, forgeable, "")
		}
	}
}

// text splits a text. What is the structured content once more, as the
// protocol advises servers to send it, is not kept twice.
func (s *splitter) text(text string, known sallyport.Value) {
	v, how := parseText(text)
	switch {
	case v.Type() == sallyport.Absent:
		s.cell(cell{record: s.record, text: text, how: forgeable})
		s.record++
	case how == structured && known.Type() != sallyport.Absent && same(v, known):
	default:
		s.records(v, how)
	}
}

func same(a, b sallyport.Value) bool {
	return string(a.AppendCanonical(nil)) == string(b.AppendCanonical(nil))
}

// parseText gives a text as JSON when it has one of the forms we know, else
// the absent value.
func parseText(text string) (sallyport.Value, structure) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return sallyport.Value{}, forgeable
	}
	if trimmed[0] == '{' || trimmed[0] == '[' {
		if v, err := sallyport.Parse([]byte(trimmed)); err == nil {
			return v, structured
		}
		if v, ok := jsonLines(trimmed); ok {
			return v, structured
		}
	}
	for _, form := range []struct {
		convert func(string) ([]byte, bool)
		how     structure
	}{
		{yamlToJSON, serialised}, {csvToJSON, serialised}, {linesToJSON, forgeable},
	} {
		if converted, ok := form.convert(text); ok {
			if v, err := sallyport.Parse(converted); err == nil {
				return v, form.how
			}
		}
	}
	return sallyport.Value{}, forgeable
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

const maxOwnFields = 4 // of what merely wraps a list: a total, a cursor

// records finds the records of a value: the items of its list, or itself.
func (s *splitter) records(v sallyport.Value, how structure) {
	for v.Type() == sallyport.Object && v.Len() == 1 {
		var only sallyport.Value
		for _, only = range v.MemberNodes() {
		}
		if text, ok := only.Text(); ok {
			if inner, innerHow := parseText(text); inner.Type() != sallyport.Absent {
				v, how = inner, innerHow // a text that a framework wrapped
				continue
			}
		}
		if t := only.Type(); t != sallyport.Object && t != sallyport.Array {
			break
		}
		v = only
	}
	switch v.Type() {
	case sallyport.Array:
		s.items(v, how, "")
	case sallyport.Object:
		if !s.lists(v, how) {
			s.leaves(v, how, "")
		}
	default:
		s.leaves(v, how, "")
	}
}

// lists takes an object that wraps lists of records apart.
func (s *splitter) lists(v sallyport.Value, how structure) bool {
	lists, own := 0, 0
	for name, member := range v.Members() {
		if isList(member) {
			lists++
			continue
		}
		own++
		if isIDName(name) {
			return false // a record with a list inside
		}
	}
	if lists == 0 || own > maxOwnFields {
		return false
	}
	var rest []byte
	for name, member := range v.Members() {
		if !isList(member) {
			rest = append(sallyport.AppendString(append(rest, ','), name), ':')
			rest = append(rest, member.Raw()...)
			continue
		}
		container := ""
		if lists > 1 {
			container = name
		}
		s.items(member, how, container)
	}
	if own > 0 {
		rest[0] = '{'
		if wrapper, err := sallyport.Parse(append(rest, '}')); err == nil {
			s.leaves(wrapper, how, "")
		}
	}
	return true
}

func isList(v sallyport.Value) bool {
	for _, item := range v.Items() {
		return item.Type() == sallyport.Object
	}
	return false
}

func (s *splitter) items(v sallyport.Value, how structure, container string) {
	for _, item := range v.Items() {
		s.leaves(item, how, container)
	}
}

// leaves yields the values of one record, and its names that are no
// identifiers, which hold what somebody wrote as well.
func (s *splitter) leaves(v sallyport.Value, how structure, container string) {
	s.names(v)
	for path, leaf := range v.Leaves() {
		text, ok := leaf.Text()
		if !ok {
			if leaf.Type() != sallyport.Number {
				continue // true, false and null say nothing of where they came from
			}
			text = string(leaf.Raw())
		}
		s.cell(cell{s.record, path, text, container, how})
	}
	s.record++
}

// names recurses no deeper than sallyport.MaxDepth.
func (s *splitter) names(v sallyport.Value) {
	for name, member := range v.Members() {
		if !isPlainName(name) {
			s.cell(cell{record: s.record, text: name, how: forgeable})
		}
		s.names(member)
	}
	for _, item := range v.Items() {
		s.names(item)
	}
}

// isPlainName reports whether a name is a few letters, as programs have them.
func isPlainName(name string) bool {
	if len(name) > 32 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c != '_' && c != '-' && (folded[c] == 0 || isDigit(c)) {
			return false
		}
	}
	return true
}

func (s *splitter) cell(c cell) {
	if c.text != "" {
		s.yield(c)
	}
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
	_, end := digits(line, 0, 4)
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
