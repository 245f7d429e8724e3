package clientfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// maxDepth bounds nesting in JSON. A project's file may come from a stranger's
// repository, and the parser recurses: without a bound it overflows the stack,
// which no process survives.
const maxDepth = 1000

// jsonFormat is JSON with comments and trailing commas.
type jsonFormat struct{}

// parseJSON parses text.
func parseJSON(text []byte) (hujson.Value, error) {
	if err := checkJSONDepth(text); err != nil {
		return hujson.Value{}, err
	}
	v, err := hujson.Parse(text)
	if err == nil {
		return v, nil
	}
	if v, err := hujson.Parse(endLine(text)); err == nil {
		return v, nil
	}
	return v, jsonParseError(err)
}

// endLine ends the last line of text: clients accept a line comment without a
// line break at the very end, the parser doesn't.
func endLine(text []byte) []byte {
	if bytes.HasSuffix(text, []byte("\n")) {
		return text
	}
	return append(slices.Clip(text), '\n')
}

// packJSON renders v, which was parsed from text and then changed.
func packJSON(v hujson.Value, text []byte) []byte {
	if bytes.HasSuffix(text, []byte("\n")) {
		return v.Pack()
	}
	return bytes.TrimSuffix(v.Pack(), []byte("\n"))
}

var hujsonPosition = regexp.MustCompile(`^hujson: line (\d+), column (\d+): `)

// jsonParseError keeps position and reason of a parser's error, but not the
// literal that it may quote.
func jsonParseError(err error) *ParseError {
	m := hujsonPosition.FindStringSubmatch(err.Error())
	if m == nil {
		return &ParseError{Reason: "not valid JSON"}
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	reason := err.Error()[len(m[0]):]
	if strings.HasPrefix(reason, "invalid literal") {
		reason = "invalid literal" // what follows is the literal
	}
	return &ParseError{Line: line, Column: column, Reason: reason}
}

func checkJSONDepth(text []byte) error {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			end := ""
			if bytes.HasPrefix(text[i:], []byte("//")) {
				end = "\n"
			} else if bytes.HasPrefix(text[i:], []byte("/*")) {
				end = "*/"
			}
			if end == "" {
				continue
			}
			n := bytes.Index(text[i+2:], []byte(end))
			if n < 0 {
				return nil // the parser says it better
			}
			i += 2 + n + len(end) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return parseErrorAt(text, i, fmt.Sprintf("nested deeper than %d levels", maxDepth))
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

func (jsonFormat) Entries(text []byte, tables [][]string) ([]Entry, error) {
	_, text = cutMark(text)
	v, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	root, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, parseErrorAt(text, v.StartOffset, "expected an object")
	}
	var found []Entry
	err = walkJSON(text, root, nil, tables, func(path []string, v hujson.Value) error {
		obj, ok := v.Value.(*hujson.Object)
		if !ok {
			return parseErrorAt(text, v.StartOffset, "expected an object for this server")
		}
		if err := uniqueNames(text, obj); err != nil {
			return err
		}
		raw := text[v.StartOffset:v.EndOffset]
		if !utf8.Valid(raw) {
			return parseErrorAt(text, v.StartOffset, "this server is not valid UTF-8")
		}
		standard, err := hujson.Standardize(bytes.Clone(raw))
		if err != nil {
			return parseErrorAt(text, v.StartOffset, "not valid JSON")
		}
		fields, err := unmarshalJSON(standard)
		if err != nil {
			return parseErrorAt(text, v.StartOffset, "not valid JSON")
		}
		found = append(found, Entry{Path: path, Fields: fields.(map[string]any)})
		return nil
	})
	return found, err
}

// walkJSON calls visit for each member of each table under obj.
func walkJSON(text []byte, obj *hujson.Object, path []string, tables [][]string, visit func([]string, hujson.Value) error) error {
	isTable := HasTable(tables, path)
	leadsTo := slices.ContainsFunc(tables, func(table []string) bool {
		return len(table) > len(path) && HasTable([][]string{table[:len(path)]}, path)
	})
	if !isTable && !leadsTo {
		return nil
	}
	if err := uniqueNames(text, obj); err != nil {
		return err
	}
	for i := range obj.Members {
		member := &obj.Members[i]
		at := append(slices.Clip(path), jsonName(member))
		if isTable {
			if err := visit(at, member.Value); err != nil {
				return err
			}
		} else if child, ok := member.Value.Value.(*hujson.Object); ok {
			if err := walkJSON(text, child, at, tables, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func jsonName(m *hujson.ObjectMember) string { return m.Name.Value.(hujson.Literal).String() }

// uniqueNames refuses a repeated name: clients disagree on which one counts,
// so we might put a server behind Sallyport that the client doesn't start.
func uniqueNames(text []byte, obj *hujson.Object) error {
	seen := make(map[string]bool)
	for i := range obj.Members {
		name := jsonName(&obj.Members[i])
		if seen[name] {
			return parseErrorAt(text, obj.Members[i].Name.StartOffset, fmt.Sprintf("%q is there twice", name))
		}
		seen[name] = true
	}
	return nil
}

// jsonObject returns the object at path.
func jsonObject(v hujson.Value, path []string) (*hujson.Object, error) {
	for i := 0; ; i++ {
		obj, ok := v.Value.(*hujson.Object)
		if !ok {
			return nil, fmt.Errorf("%s is not an object", strings.Join(path[:i], "."))
		}
		if i == len(path) {
			return obj, nil
		}
		at := slices.IndexFunc(obj.Members, func(m hujson.ObjectMember) bool { return jsonName(&m) == path[i] })
		if at < 0 {
			return nil, fmt.Errorf("%s is gone", strings.Join(path[:i+1], "."))
		}
		v = obj.Members[at].Value
	}
}

func (jsonFormat) Point(text []byte, targets []Target, keep func([]byte) bool) ([]byte, error) {
	mark, text := cutMark(text)
	v, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	for _, target := range targets {
		obj, err := jsonObject(v, target.Path)
		if err != nil {
			return nil, err
		}
		var members []hujson.ObjectMember
		for _, s := range target.Settings {
			members = append(members, hujson.ObjectMember{
				Name:  hujson.Value{Value: hujson.Literal(quote(s.Key))},
				Value: hujson.Value{Value: jsonSetting(s)},
			})
		}
		if err := swapMembers(obj, members, true); err != nil {
			return nil, err
		}
		filterComments(obj, keep)
	}
	return slices.Concat(mark, packJSON(v, text)), nil
}

func (jsonFormat) Restore(text, before []byte, path []string) ([]byte, error) {
	mark, text := cutMark(text)
	_, before = cutMark(before)
	v, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	old, err := parseJSON(before)
	if err != nil {
		return nil, err
	}
	obj, err := jsonObject(v, path)
	if err != nil {
		return nil, err
	}
	source, err := jsonObject(old, path)
	if err != nil {
		return nil, err
	}
	var members []hujson.ObjectMember
	for _, m := range source.Members {
		if isConnection(jsonName(&m)) {
			members = append(members, m)
		}
	}
	if err := swapMembers(obj, members, false); err != nil {
		return nil, err
	}
	return slices.Concat(mark, packJSON(v, text)), nil
}

// swapMembers puts members in the place of the connection settings of obj.
// With carry, comments that stood before a removed setting are kept, and the
// new members are laid out like the first one removed.
func swapMembers(obj *hujson.Object, members []hujson.ObjectMember, carry bool) error {
	at := slices.IndexFunc(obj.Members, func(m hujson.ObjectMember) bool { return isConnection(jsonName(&m)) })
	if at < 0 || len(members) == 0 {
		return errors.New("the entry has no connection settings")
	}
	last := &obj.Members[len(obj.Members)-1].Value
	trailingComma := last.AfterExtra != nil

	first := obj.Members[at]
	var kept []hujson.ObjectMember
	var comments hujson.Extra
	for i, m := range obj.Members {
		if !isConnection(jsonName(&m)) {
			m.Name.BeforeExtra = joinExtra(comments, m.Name.BeforeExtra)
			comments = nil
			kept = append(kept, m)
			continue
		}
		if carry {
			if i != at && hasComment(m.Name.BeforeExtra) {
				comments = joinExtra(comments, m.Name.BeforeExtra)
			}
			if hasComment(m.Value.AfterExtra) {
				comments = joinExtra(comments, m.Value.AfterExtra)
			}
		}
	}
	obj.AfterExtra = joinExtra(comments, obj.AfterExtra)

	if carry {
		for i := range members {
			members[i].Name.BeforeExtra = layout(first.Name.BeforeExtra)
			members[i].Value.BeforeExtra = layout(first.Value.BeforeExtra)
		}
		members[0].Name.BeforeExtra = first.Name.BeforeExtra
		if minified := len(first.Value.BeforeExtra) == 0; !minified && len(first.Name.BeforeExtra) == 0 {
			for i := range members[1:] { // {"a": 1} says nothing about what follows a comma
				members[i+1].Name.BeforeExtra = hujson.Extra(" ")
			}
		}
	}
	obj.Members = slices.Insert(kept, at, members...)

	// The parser keeps a trailing comma as an extra after the last value:
	// strict clients fail on one that we would add by moving members around.
	last = &obj.Members[len(obj.Members)-1].Value
	switch {
	case trailingComma && last.AfterExtra == nil:
		last.AfterExtra = hujson.Extra{}
	case !trailingComma && last.AfterExtra != nil:
		obj.AfterExtra = append(last.AfterExtra, obj.AfterExtra...)
		last.AfterExtra = nil
	}
	return nil
}

// joinExtra puts carried comments before next. A line comment needs its line
// break: without one it would swallow the next member.
func joinExtra(comments, next hujson.Extra) hujson.Extra {
	if len(comments) == 0 {
		return next
	}
	joined := bytes.TrimRight(comments, " \t\r\n")
	if !bytes.HasPrefix(bytes.TrimLeft(next, " \t\r"), []byte("\n")) {
		joined = append(slices.Clip(joined), '\n')
	}
	return slices.Concat(joined, next)
}

func hasComment(extra hujson.Extra) bool { return bytes.ContainsRune(extra, '/') }

// layout returns the white space of an extra that repeats well: its last line
// break and what follows, without comments.
func layout(extra hujson.Extra) hujson.Extra {
	start := bytes.LastIndexByte(extra, '\n')
	if start > 0 && extra[start-1] == '\r' {
		start--
	}
	white := extra[max(start, 0):]
	if hasComment(white) {
		return hujson.Extra(" ")
	}
	return bytes.Clone(white)
}

// comment matches one comment and the white space before it.
var comment = regexp.MustCompile(`(?s)[ \t\r\n]*(?://[^\r\n]*|/\*.*?\*/)`)

// filterComments removes the comments in obj that keep refuses.
func filterComments(obj *hujson.Object, keep func([]byte) bool) {
	filter := func(extra *hujson.Extra) {
		if !hasComment(*extra) || keep(*extra) {
			return
		}
		filtered := comment.ReplaceAllFunc(*extra, func(c []byte) []byte {
			if keep(c) {
				return c
			}
			return nil
		})
		*extra = append(hujson.Extra{}, filtered...) // nil would take a trailing comma away
	}
	all := hujson.Value{Value: obj}
	for v := range all.All() {
		filter(&v.BeforeExtra)
		filter(&v.AfterExtra)
		switch c := v.Value.(type) {
		case *hujson.Object:
			filter(&c.AfterExtra)
		case *hujson.Array:
			filter(&c.AfterExtra)
		}
	}
}

// jsonSetting renders a setting on one line.
func jsonSetting(s Setting) hujson.ValueTrimmed {
	switch {
	case s.Table != nil:
		obj := new(hujson.Object)
		for i, kv := range s.Table {
			m := hujson.ObjectMember{
				Name:  hujson.Value{Value: hujson.Literal(quote(kv[0]))},
				Value: hujson.Value{BeforeExtra: hujson.Extra(" "), Value: hujson.Literal(quote(kv[1]))},
			}
			if i > 0 {
				m.Name.BeforeExtra = hujson.Extra(" ")
			}
			obj.Members = append(obj.Members, m)
		}
		return obj
	case s.List != nil:
		arr := new(hujson.Array)
		for i, text := range s.List {
			e := hujson.Value{Value: hujson.Literal(quote(text))}
			if i > 0 {
				e.BeforeExtra = hujson.Extra(" ")
			}
			arr.Elements = append(arr.Elements, e)
		}
		return arr
	default:
		return hujson.Literal(quote(s.Text))
	}
}

func (jsonFormat) Mask(text []byte, secret func(String) bool) []byte {
	mark, text := cutMark(text)
	v, err := parseJSON(text)
	if err != nil {
		return []byte(Hidden + "\n") // show nothing rather than something unread
	}
	maskJSON("", &v, func(s String) bool {
		s.Start, s.End = s.Start+len(mark), s.End+len(mark)
		return secret(s)
	})
	return slices.Concat(mark, packJSON(v, text))
}

// maskJSON hides the secret strings under v, whose name is that of the member
// it is the value of; elements of a list have the name of the list.
func maskJSON(name string, v *hujson.Value, secret func(String) bool) {
	switch t := v.Value.(type) {
	case hujson.Literal:
		if t.Kind() == '"' && secret(String{Name: name, Value: t.String(), Start: v.StartOffset, End: v.EndOffset}) {
			v.Value = hujson.Literal(hidden(t))
		}
	case *hujson.Array:
		for i := range t.Elements {
			maskJSON(name, &t.Elements[i], secret)
		}
	case *hujson.Object:
		for i := range t.Members {
			maskJSON(jsonName(&t.Members[i]), &t.Members[i].Value, secret)
		}
	}
}
