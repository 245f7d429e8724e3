package clientfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlFormat is TOML, edited by the byte offsets that the parser reports.
type tomlFormat struct{}

// tomlExpr is one top-level expression: a table header or a key with its
// value. It occupies whole lines, as TOML demands.
type tomlExpr struct {
	path              []string // from the root; for a header, the table
	header            bool
	own               []string   // for a key: its parts as written on this line
	start, end        int        // the lines it occupies; unset inside an inline table
	valueAt, valueEnd int        // for a key: its value
	inline            bool       // the value is an inline table
	members           []tomlExpr // the keys of the inline table
}

// parseTOML returns the expressions and comments of a text that decodes.
func parseTOML(text []byte) (exprs []tomlExpr, comments []tomlExpr, err error) {
	p := unstable.Parser{KeepComments: true}
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Comment:
			comments = append(comments, lines(text, int(node.Raw.Offset), int(node.Raw.Offset+node.Raw.Length)))
		case unstable.Table, unstable.ArrayTable:
			path, _, at := tomlKey(&p, node)
			table = path
			e := lines(text, at, at)
			e.header, e.path = true, path
			exprs = append(exprs, e)
		case unstable.KeyValue:
			e := tomlKeyValue(&p, text, node, table)
			whole := lines(text, int(node.Raw.Offset), e.valueEnd)
			e.start, e.end = whole.start, whole.end
			exprs = append(exprs, e)
		}
	}
	if p.Error() != nil {
		return nil, nil, &ParseError{Reason: "not valid TOML"}
	}
	return exprs, comments, nil
}

// tomlKey returns the decoded and raw parts of a node's key, and where it ends.
func tomlKey(p *unstable.Parser, node *unstable.Node) (parts, raws []string, end int) {
	for it := node.Key(); it.Next(); {
		key := it.Node()
		parts = append(parts, string(key.Data))
		raws = append(raws, string(p.Raw(key.Raw)))
		end = int(key.Raw.Offset + key.Raw.Length)
	}
	return parts, raws, end
}

func tomlKeyValue(p *unstable.Parser, text []byte, node *unstable.Node, table []string) tomlExpr {
	parts, raws, keyEnd := tomlKey(p, node)
	e := tomlExpr{path: slices.Concat(table, parts), own: raws, valueEnd: int(node.Raw.Offset + node.Raw.Length)}
	afterKey := bytes.TrimLeft(text[keyEnd:e.valueEnd], " \t=")
	e.valueAt = e.valueEnd - len(afterKey)
	value := node.Value()
	if value.Kind == unstable.InlineTable {
		e.inline = true
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				e.members = append(e.members, tomlKeyValue(p, text, it.Node(), e.path))
			}
		}
	}
	return e
}

// lines widens a range to the whole lines it touches.
func lines(text []byte, from, to int) tomlExpr {
	start := bytes.LastIndexByte(text[:from], '\n') + 1
	end := len(text)
	if n := bytes.IndexByte(text[to:], '\n'); n >= 0 {
		end = to + n + 1
	}
	return tomlExpr{start: start, end: end}
}

func (tomlFormat) Entries(text []byte, tables [][]string) ([]Entry, error) {
	root, err := decodeTOML(text)
	if err != nil {
		return nil, err
	}
	_, text = cutMark(text)
	exprs, _, err := parseTOML(text)
	if err != nil {
		return nil, err
	}
	var found []Entry
	for _, table := range tables {
		servers, ok := lookUp(root, table).(map[string]any)
		if !ok {
			continue
		}
		for _, name := range tomlOrder(exprs, table) {
			fields, ok := servers[name].(map[string]any)
			if !ok {
				return nil, &ParseError{Reason: fmt.Sprintf("%s is not a table", strings.Join(append(slices.Clip(table), name), "."))}
			}
			e := Entry{Path: append(slices.Clip(table), name), Fields: fields}
			if findInline(exprs, e.Path) == nil {
				if _, insert := tomlCuts(text, exprs, e.Path); insert < 0 {
					e.Fixed = fmt.Sprintf("it is written in a form that can't be edited in place: give it a table of its own, [%s]", tomlDotted(e.Path))
				}
			}
			found = append(found, e)
		}
	}
	return found, nil
}

// tomlParseError keeps position and reason of a decoder's error, but not the
// lines that it may quote.
func tomlParseError(err error) *ParseError {
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return &ParseError{Reason: "not valid TOML"}
	}
	line, column := decode.Position()
	return &ParseError{Line: line, Column: column, Reason: strings.TrimPrefix(decode.Error(), "toml: ")}
}

// tomlOrder returns the keys under table in file order.
func tomlOrder(exprs []tomlExpr, table []string) []string {
	var names []string
	for _, e := range exprs {
		if len(e.path) > len(table) && hasPrefix(e.path, table) {
			if name := e.path[len(table)]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		for _, name := range tomlOrder(e.members, table) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func hasPrefix(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}

func (tomlFormat) Point(text []byte, targets []Target, keep func([]byte) bool) ([]byte, error) {
	mark, text := cutMark(text)
	for _, target := range targets {
		var pairs [][2]string
		for _, s := range target.Settings {
			pairs = append(pairs, [2]string{s.Key, tomlSetting(s)})
		}
		var err error
		if text, err = swapTOML(text, target.Path, pairs, keep); err != nil {
			return nil, err
		}
	}
	return slices.Concat(mark, text), nil
}

func (tomlFormat) Restore(text, before []byte, path []string) ([]byte, error) {
	mark, text := cutMark(text)
	_, before = cutMark(before)
	exprs, _, err := parseTOML(before)
	if err != nil {
		return nil, err
	}
	pairs := tomlConnection(before, exprs, path)
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%s is not in the backup", strings.Join(path, "."))
	}
	edited, err := swapTOML(text, path, pairs, func([]byte) bool { return true })
	return slices.Concat(mark, edited), err
}

// tomlConnection returns the connection settings of an entry as dotted raw keys
// and raw values, in whatever form the text has them.
func tomlConnection(text []byte, exprs []tomlExpr, path []string) [][2]string {
	var pairs [][2]string
	for i, e := range exprs {
		ours := len(e.path) > len(path) && hasPrefix(e.path, path) && isConnection(e.path[len(path)])
		switch {
		case ours && !e.header:
			pairs = append(pairs, [2]string{tomlDotted(e.path[len(path):]), string(text[e.valueAt:e.valueEnd])})
		case ours && (i+1 == len(exprs) || exprs[i+1].header):
			pairs = append(pairs, [2]string{tomlDotted(e.path[len(path):]), "{}"}) // an empty table
		case e.inline && hasPrefix(path, e.path):
			pairs = append(pairs, tomlConnection(text, e.members, path)...)
		}
	}
	return pairs
}

func tomlDotted(path []string) string {
	var key []string
	for _, part := range path {
		key = append(key, tomlQuoteKey(part))
	}
	return strings.Join(key, ".")
}

// swapTOML puts settings in the place of the connection settings of an entry.
func swapTOML(text []byte, path []string, settings [][2]string, keep func([]byte) bool) ([]byte, error) {
	exprs, comments, err := parseTOML(text)
	if err != nil {
		return nil, err
	}
	if table := findInline(exprs, path); table != nil {
		return swapInline(text, *table, path, settings), nil
	}
	cuts, insert := tomlCuts(text, exprs, path)
	if insert < 0 {
		return nil, fmt.Errorf("%s has no connection settings of its own", tomlDotted(path))
	}
	at := cuts[insert]
	replacement := tomlLines(text, at, settings)
	for _, c := range comments {
		if tomlWithin(exprs, path, c.start) && !keep(text[c.start:c.end]) {
			cuts = append(cuts, c)
		}
	}
	slices.SortFunc(cuts, func(a, b tomlExpr) int { return a.start - b.start })
	var out []byte
	from := 0
	for _, c := range cuts {
		out = append(out, text[from:c.start]...)
		if c.start == at.start {
			out = append(out, replacement...)
		}
		from = c.end
	}
	return append(out, text[from:]...), nil
}

// tomlCuts returns the lines that hold the connection settings of an entry, and
// which of them the new settings replace; -1 when none can be replaced.
func tomlCuts(text []byte, exprs []tomlExpr, path []string) (cuts []tomlExpr, insert int) {
	insert = -1
	for _, e := range exprs {
		if len(e.path) <= len(path) || !hasPrefix(e.path, path) || !isConnection(e.path[len(path)]) {
			continue
		}
		if insert < 0 && !e.header && len(e.path) == len(path)+1 {
			insert = len(cuts)
		}
		if blank := lines(text, max(e.start-1, 0), max(e.start-1, 0)); e.header && len(bytes.TrimSpace(text[blank.start:blank.end])) == 0 {
			e.start = blank.start // the empty line before a table goes with it
		}
		cuts = append(cuts, e)
	}
	return cuts, insert
}

// tomlWithin reports whether an offset lies in a section of the entry.
func tomlWithin(exprs []tomlExpr, path []string, offset int) bool {
	within := false
	for _, e := range exprs {
		if e.start > offset {
			break
		}
		if e.header {
			within = hasPrefix(e.path, path)
		}
	}
	return within
}

// tomlLines renders settings like the line that they replace: same
// indentation, same prefix of dotted keys, same line ending.
func tomlLines(text []byte, at tomlExpr, settings [][2]string) []byte {
	line := text[at.start:at.end]
	indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
	ending := "\n"
	if bytes.HasSuffix(line, []byte("\r\n")) || bytes.Contains(text, []byte("\r\n")) {
		ending = "\r\n"
	}
	prefix := strings.Join(at.own[:len(at.own)-1], ".")
	if prefix != "" {
		prefix += "."
	}
	var out []byte
	for _, s := range settings {
		out = fmt.Appendf(out, "%s%s%s = %s%s", indent, prefix, s[0], s[1], ending)
	}
	if !bytes.HasSuffix(line, []byte("\n")) {
		out = bytes.TrimSuffix(out, []byte(ending)) // the file ended here without a newline
	}
	return out
}

// findInline returns the inline table that holds the entry at path.
func findInline(exprs []tomlExpr, path []string) *tomlExpr {
	for i, e := range exprs {
		switch {
		case !e.inline || !hasPrefix(path, e.path):
		case len(e.path) == len(path):
			return &exprs[i]
		default:
			if found := findInline(e.members, path); found != nil {
				return found
			}
		}
	}
	return nil
}

// swapInline is swapTOML for { command = "npx", … }.
func swapInline(text []byte, table tomlExpr, path []string, settings [][2]string) []byte {
	var members []string
	placed := false
	place := func() {
		if placed {
			return
		}
		for _, s := range settings {
			members = append(members, s[0]+" = "+s[1])
		}
		placed = true
	}
	for _, m := range table.members {
		if isConnection(m.path[len(path)]) {
			place()
			continue
		}
		members = append(members, strings.Join(m.own, ".")+" = "+string(text[m.valueAt:m.valueEnd]))
	}
	place()
	inline := "{ " + strings.Join(members, ", ") + " }"
	return slices.Concat(text[:table.valueAt], []byte(inline), text[table.valueEnd:])
}

var bareTOMLKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func tomlQuoteKey(key string) string {
	if bareTOMLKey.MatchString(key) {
		return key
	}
	return tomlQuote(key)
}

// tomlQuote returns s as a basic string. JSON's escapes are TOML's, but for
// DEL, which TOML wants escaped.
func tomlQuote(s string) string {
	return strings.ReplaceAll(quote(s), "\x7f", `\u007f`)
}

// tomlSetting renders the value of a setting on one line.
func tomlSetting(s Setting) string {
	switch {
	case s.Table != nil:
		var members []string
		for _, kv := range s.Table {
			members = append(members, tomlQuoteKey(kv[0])+" = "+tomlQuote(kv[1]))
		}
		return "{ " + strings.Join(members, ", ") + " }"
	case s.List != nil:
		var elements []string
		for _, text := range s.List {
			elements = append(elements, tomlQuote(text))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	default:
		return tomlQuote(s.Text)
	}
}

func (tomlFormat) Mask(text []byte, secret func(String) bool) []byte {
	mark, body := cutMark(text)
	var p unstable.Parser
	p.Reset(body)
	var out []byte
	from := 0
	hide := func(name string, v *unstable.Node) {
		start, end := len(mark)+int(v.Raw.Offset), len(mark)+int(v.Raw.Offset+v.Raw.Length)
		if secret(String{Name: name, Value: string(v.Data), Start: start, End: end}) {
			out = append(append(out, text[from:start]...), hidden(text[start:end])...)
			from = end
		}
	}
	for p.NextExpression() {
		if node := p.Expression(); node.Kind == unstable.KeyValue {
			maskTOML(&p, node, hide)
		}
	}
	if p.Error() != nil {
		return []byte(Hidden + "\n") // show nothing rather than something unread
	}
	return append(out, text[from:]...)
}

// maskTOML calls hide for the strings under a key.
func maskTOML(p *unstable.Parser, node *unstable.Node, hide func(name string, v *unstable.Node)) {
	parts, _, _ := tomlKey(p, node)
	name := parts[len(parts)-1]
	var value func(*unstable.Node)
	value = func(v *unstable.Node) {
		switch v.Kind {
		case unstable.String:
			hide(name, v)
		case unstable.Array:
			for it := v.Children(); it.Next(); {
				value(it.Node())
			}
		case unstable.InlineTable:
			for it := v.Children(); it.Next(); {
				if it.Node().Kind == unstable.KeyValue {
					maskTOML(p, it.Node(), hide)
				}
			}
		}
	}
	value(node.Value())
}
