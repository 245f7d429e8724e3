// Package argument knows what arguments can hold: what their schemas admit, what
// they are for, and what an attacker would put there.
package argument

import (
	"encoding/json"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Schema is a JSON Schema, or a part of one.
type Schema struct {
	root, at map[string]any
}

// ParseSchema reads a schema; nothing is a schema that says nothing.
func ParseSchema(raw []byte) Schema {
	var at map[string]any
	if json.Unmarshal(raw, &at) != nil {
		at = map[string]any{}
	}
	return Schema{at, at}.resolved()
}

// resolved follows references and the first of several alternatives.
func (s Schema) resolved() Schema {
	for range 8 {
		if ref, ok := s.at["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
			var at any = s.root
			for _, name := range strings.Split(ref[2:], "/") {
				m, _ := at.(map[string]any)
				at = m[name]
			}
			s.at, _ = at.(map[string]any)
			continue
		}
		next, found := map[string]any(nil), false
		for _, key := range []string{"anyOf", "oneOf", "allOf"} {
			for _, option := range list(s.at[key]) {
				if m, ok := option.(map[string]any); ok && m["type"] != "null" && !found {
					next, found = m, true
				}
			}
		}
		if !found || s.at["type"] != nil || s.at["properties"] != nil {
			break
		}
		s.at = next
	}
	return s
}

func list(v any) []any { l, _ := v.([]any); return l }

func (s Schema) Text(key string) string { t, _ := s.at[key].(string); return t }

// Fixed reports whether the schema itself lists what there can be.
func (s Schema) Fixed() bool { return len(list(s.at["enum"])) > 0 || s.at["const"] != nil }

func (s Schema) number(key string) (float64, bool) { n, ok := s.at[key].(float64); return n, ok }

// Type is the JSON type that a value of the schema has: the first that is not
// null, or what its other words tell.
func (s Schema) Type() string {
	if t := s.Text("type"); t != "" {
		return t
	}
	for _, t := range list(s.at["type"]) {
		if t != "null" {
			kind, _ := t.(string)
			return kind
		}
	}
	switch {
	case s.at["properties"] != nil:
		return "object"
	case s.at["items"] != nil:
		return "array"
	default:
		return "string"
	}
}

func (s Schema) property(name string) Schema {
	properties, _ := s.at["properties"].(map[string]any)
	at, _ := properties[name].(map[string]any)
	return Schema{s.root, at}.resolved()
}

func (s Schema) items() Schema {
	at, _ := s.at["items"].(map[string]any)
	return Schema{s.root, at}.resolved()
}

// names are the properties in order.
func (s Schema) names() []string {
	properties, _ := s.at["properties"].(map[string]any)
	var names []string
	for name, at := range properties {
		if _, ok := at.(map[string]any); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s Schema) requires(name string) bool { return slices.Contains(list(s.at["required"]), any(name)) }

// Place is where a value lies: names and indexes.
type Place []any

// String is the path as policies write it.
func (p Place) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

// Name is the last name of a path.
func (p Place) Name() string {
	for _, step := range slices.Backward(p) {
		if name, ok := step.(string); ok {
			return name
		}
	}
	return ""
}

func (p Place) With(step any) Place { return append(slices.Clip(p), step) }

// Get is the value at a path, nil when there is none.
func Get(v any, p Place) any {
	for _, step := range p {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			if l := list(v); step < len(l) {
				v = l[step]
			} else {
				return nil
			}
		}
	}
	return v
}

// Set is a copy of a value with another one at a path, making what lies
// between.
func Set(v any, p Place, to any) any {
	if len(p) == 0 {
		return to
	}
	switch step := p[0].(type) {
	case string:
		m := map[string]any{}
		if old, ok := v.(map[string]any); ok {
			for name, value := range old {
				m[name] = value
			}
		}
		m[step] = Set(m[step], p[1:], to)
		return m
	case int:
		l := slices.Clone(list(v))
		for len(l) <= step {
			l = append(l, nil)
		}
		l[step] = Set(l[step], p[1:], to)
		return l
	}
	return v
}

// Put is set for a value of a schema: what has to be made on the way has all
// that the schema requires.
func (s Schema) Put(v any, p Place, to any) any {
	return s.putAt(v, nil, p, to)
}

func (s Schema) putAt(v any, at, p Place, to any) any {
	if len(p) == 0 {
		return to
	}
	if v == nil {
		v = s.Plain(at, func(p Place, leaf Schema) any { return leaf.Choices(p.Name(), nil)[0] })
	}
	switch step := p[0].(type) {
	case string:
		old, _ := v.(map[string]any)
		return Set(v, p[:1], s.property(step).putAt(old[step], at.With(step), p[1:], to))
	case int:
		var old any
		if l := list(v); step < len(l) {
			old = l[step]
		}
		return Set(v, p[:1], s.items().putAt(old, at.With(step), p[1:], to))
	}
	return v
}

// Leaves runs over all texts and numbers of a value, in order.
func Leaves(v any, p Place, visit func(Place, any)) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			Leaves(v[name], p.With(name), visit)
		}
	case []any:
		for i, item := range v {
			Leaves(item, p.With(i), visit)
		}
	case nil:
	default:
		visit(p, v)
	}
}

// Walk runs over the leaves that a value of a schema can have, the first item
// of each list, with all optional members.
func (s Schema) Walk(p Place, visit func(Place, Schema)) {
	if len(p) > 8 {
		return
	}
	switch s.Type() {
	case "object":
		for _, name := range s.names() {
			s.property(name).Walk(p.With(name), visit)
		}
	case "array":
		s.items().Walk(p.With(0), visit)
	default:
		visit(p, s)
	}
}

// maxItems bounds the lists of values that are made.
const maxItems = 8

// Plain is a value of the schema with what it requires and nothing else. leaf
// makes the values of leaves.
func (s Schema) Plain(p Place, leaf func(Place, Schema) any) any {
	if len(p) > 8 {
		return nil
	}
	switch s.Type() {
	case "object":
		m := map[string]any{}
		for _, name := range s.names() {
			if s.requires(name) {
				m[name] = s.property(name).Plain(p.With(name), leaf)
			}
		}
		return m
	case "array":
		least, _ := s.number("minItems") // a server's word: a billion would fill the memory
		items := []any{}
		for i := range min(max(1, int(least)), maxItems) {
			items = append(items, s.items().Plain(p.With(i), leaf))
		}
		return items
	default:
		return leaf(p, s)
	}
}

// Full is a value of the schema with all members, and two items in lists.
func (s Schema) Full(p Place, leaf func(Place, Schema) any) any {
	if len(p) > 8 {
		return nil
	}
	switch s.Type() {
	case "object":
		m := map[string]any{}
		for _, name := range s.names() {
			m[name] = s.property(name).Full(p.With(name), leaf)
		}
		return m
	case "array":
		return []any{s.items().Full(p.With(0), leaf), s.items().Full(p.With(1), leaf)}
	default:
		return leaf(p, s)
	}
}

// Choices are values worth trying for a leaf, the plainest first. hints are
// texts that rules compare with.
func (s Schema) Choices(name string, hints []string) []any {
	if c, ok := s.at["const"]; ok {
		return []any{c}
	}
	if enum := list(s.at["enum"]); len(enum) > 0 {
		preferred := slices.DeleteFunc(slices.Clone(enum), func(v any) bool { return !isHint(v, hints) })
		return append(preferred, slices.DeleteFunc(slices.Clone(enum), func(v any) bool { return isHint(v, hints) })...)
	}
	switch s.Type() {
	case "boolean":
		return []any{false, true}
	case "integer", "number":
		return s.numbers()
	}
	var out []any
	if p := s.Text("pattern"); p != "" {
		for _, hint := range hints {
			for _, filled := range filled(hint) {
				if ok, err := regexp.MatchString(p, filled); err == nil && ok && filled != "" {
					out = append(out, filled)
				}
			}
		}
	}
	if plain := plainText(name, s); s.Fits(plain) {
		out = append(out, plain)
	}
	for _, n := range []int{1, 2, 4} {
		if text, ok := Sample(s.Text("pattern"), n); ok && text != "" {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		out = append(out, plainText(name, s))
	}
	for _, hint := range hints {
		for _, filled := range filled(hint) {
			if filled != "" && s.Fits(filled) {
				out = append(out, filled)
			}
		}
	}
	return out
}

func isHint(v any, hints []string) bool { t, _ := v.(string); return slices.Contains(hints, t) }

// filled are texts that a pattern of a rule (like "cus_1*") admits.
func filled(hint string) []string {
	if !strings.Contains(hint, "*") {
		return []string{hint}
	}
	var out []string
	for _, filler := range []string{"0042", "42", "x", ""} {
		out = append(out, strings.ReplaceAll(hint, "*", filler))
	}
	return out
}

func (s Schema) numbers() []any {
	low, hasLow := s.number("minimum")
	if n, ok := s.number("exclusiveMinimum"); ok {
		low, hasLow = n+1, true
	}
	high, hasHigh := s.number("maximum")
	var out []any
	for _, n := range []float64{1, 10, 100, low, high, 0} {
		if (!hasLow || n >= low) && (!hasHigh || n <= high) && !slices.Contains(out, any(n)) && n == math.Trunc(n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = append(out, low)
	}
	return out
}

// Fits reports whether a text is what the schema of a leaf admits. Formats are
// not looked at: whoever checks them says so.
func (s Schema) Fits(text string) bool {
	if enum := list(s.at["enum"]); len(enum) > 0 {
		return slices.Contains(enum, any(text))
	}
	if c, ok := s.at["const"]; ok {
		return c == any(text)
	}
	if most, ok := s.number("maxLength"); ok && float64(len([]rune(text))) > most {
		return false
	}
	if least, ok := s.number("minLength"); ok && float64(len([]rune(text))) < least {
		return false
	}
	if p := s.Text("pattern"); p != "" {
		ok, err := regexp.MatchString(p, text)
		return err == nil && ok
	}
	return true
}

// Sample is a text that a regular expression matches, with what repeats
// repeated at least so many times more.
func Sample(pattern string, more int) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	sample(re.Simplify(), more, &b)
	ok, err := regexp.MatchString(pattern, b.String())
	return b.String(), err == nil && ok
}

func sample(re *syntax.Regexp, more int, b *strings.Builder) {
	times := func(n int) {
		for range n {
			sample(re.Sub[0], more, b)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(telling(re.Rune, b.Len()))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("abc"[b.Len()%3])
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			sample(sub, more, b)
		}
	case syntax.OpAlternate:
		sample(re.Sub[0], more, b)
	case syntax.OpPlus:
		times(more)
	case syntax.OpStar:
		times(more - 1)
	case syntax.OpQuest:
		if more > 1 {
			times(1)
		}
	}
}

// telling is a character of a class, a letter or digit where there is one, and
// not always the same: what repeats is no value that anybody remembers.
func telling(ranges []rune, at int) rune {
	const wanted = "4710382956kmqdrvxbzt"
	for i := range len(wanted) {
		r := rune(wanted[(at+i)%len(wanted)])
		for k := 0; k+1 < len(ranges); k += 2 {
			if ranges[k] <= r && r <= ranges[k+1] {
				return r
			}
		}
	}
	return ranges[0]
}
