// Package shape says what policy can see of JSON: it makes Cedar types of JSON
// Schemas and Cedar values of arguments, and knows what Cedar can't hold.
package shape

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sallyport"
)

// Shape is what policy can see of a JSON value: the Cedar type of everything
// that Cedar can hold. It is made from a pinned schema and says nothing about
// validity: a value that does not fit is opaque, however it came about.
type Shape struct {
	Kind   Kind
	Words  []string          // of an enumeration of strings, else nil
	Items  *Shape            // of a set
	Fields map[string]*Field // of a record

	required  []*Field
	low, high int64 // bounds of a number that samples keep, times 10,000
}

// Field is a member of a record.
type Field struct {
	Name     types.String
	Shape    *Shape
	Required bool
}

// Kind is what Cedar makes of a value.
type Kind uint8

// The kinds.
const (
	Opaque Kind = iota // Cedar can't hold it
	Boolean
	Long
	Decimal
	Text
	Set
	Record
)

// Cedar is the shape as Cedar's validator knows it; nil when Cedar can't hold it.
func (s *Shape) Cedar() resolved.IsType {
	switch s.Kind {
	case Boolean:
		return resolved.BoolType{}
	case Long:
		return resolved.LongType{}
	case Decimal:
		return resolved.ExtensionType("decimal")
	case Text:
		return resolved.StringType{}
	case Set:
		return resolved.SetType{Element: s.Items.Cedar()}
	case Record:
		out := resolved.RecordType{}
		for _, f := range s.Fields {
			if t := f.Shape.Cedar(); t != nil {
				out[f.Name] = resolved.Attribute{Type: t, Optional: !f.Required}
			}
		}
		return out
	default:
		return nil
	}
}

// AppendTo writes the shape for the policy digest and for comparison.
func (s *Shape) AppendTo(dst []byte) []byte {
	dst = append(dst, "?blds[{"[s.Kind])
	for _, word := range s.Words {
		dst = sallyport.AppendString(dst, word)
	}
	if s.Items != nil {
		dst = s.Items.AppendTo(dst)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[name]
		dst = sallyport.AppendString(dst, name)
		dst = strconv.AppendBool(dst, f.Required)
		dst = f.Shape.AppendTo(dst)
	}
	return append(dst, '.')
}

// Flat is a record of simple members, all required or none.
func Flat(required bool, kinds map[string]Kind) *Shape {
	s := &Shape{Kind: Record, Fields: map[string]*Field{}}
	for name, kind := range kinds {
		s.Fields[name] = &Field{Name: types.String(name), Shape: &Shape{Kind: kind}, Required: required}
	}
	return s.sealed()
}

// sealed lists the required fields, once all are known.
func (s *Shape) sealed() *Shape {
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		if f := s.Fields[name]; f.Required && f.Shape.Kind != Opaque {
			s.required = append(s.required, f)
		}
	}
	return s
}

// OfPrompt is the shape of a prompt's arguments, which are strings.
func OfPrompt(prompt sallyport.Value) *Shape {
	s := &Shape{Kind: Record, Fields: map[string]*Field{}}
	for _, argument := range prompt.Get("arguments").Items() {
		name, _ := argument.Get("name").Text()
		s.Fields[name] = &Field{
			Name:     types.String(name),
			Shape:    &Shape{Kind: Text},
			Required: argument.Get("required").Type() == sallyport.True,
		}
	}
	return s.sealed()
}

// maxShape bounds the shape of one tool, in schema nodes: references that refer
// twice to references would grow without end.
const maxShape = 4096

// reader makes shapes from one JSON Schema (any draft; the keywords read here
// mean the same in all that MCP servers use).
type reader struct {
	root   sallyport.Value
	open   []string // references being followed
	budget int
}

// Of is the shape of a tool's arguments: always a record.
func Of(schema sallyport.Value) *Shape {
	r := reader{root: schema, budget: maxShape}
	if s := r.shape(schema); s.Kind == Record {
		return s
	}
	return &Shape{Kind: Record}
}

func (r *reader) shape(schema sallyport.Value) *Shape {
	r.budget--
	if r.budget < 0 || schema.Type() != sallyport.Object {
		return &Shape{}
	}
	if ref, ok := schema.Get("$ref").Text(); ok {
		return r.follow(ref)
	}
	switch r.typeOf(schema) {
	case "boolean":
		return &Shape{Kind: Boolean}
	case "integer":
		return bounded(&Shape{Kind: Long}, schema)
	case "number":
		return bounded(&Shape{Kind: Decimal}, schema)
	case "string":
		return &Shape{Kind: Text, Words: wordsOf(schema)}
	case "array":
		return r.array(schema)
	case "object":
		return r.object(schema)
	case "":
		return r.branch(schema)
	default:
		return &Shape{}
	}
}

func (r *reader) follow(ref string) *Shape {
	if slices.Contains(r.open, ref) {
		return &Shape{} // recursion: Cedar has no recursive types
	}
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return &Shape{} // never fetched; "#" alone is recursion
	}
	target := r.root
	for step := range strings.SplitSeq(path, "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		target = target.Get(step)
	}
	r.open = append(r.open, ref)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	return r.shape(target)
}

// typeOf is the one type that a schema names besides null, "" when it names
// none, and "union" when it names several. Null alone is opaque in the call
// that sends it.
func (r *reader) typeOf(schema sallyport.Value) string {
	declared := schema.Get("type")
	if name, ok := declared.Text(); ok {
		return name
	}
	var names []string
	for _, item := range declared.Items() {
		if name, _ := item.Text(); name != "null" {
			names = append(names, name)
		}
	}
	switch {
	case declared.Type() == sallyport.Array && len(names) == 1:
		return names[0]
	case declared.Type() != sallyport.Absent:
		return "union"
	case wordsOf(schema) != nil:
		return "string"
	default:
		return ""
	}
}

// wordsOf are the strings of an enum or const of strings; nil for all else.
func wordsOf(schema sallyport.Value) []string {
	if word, ok := schema.Get("const").Text(); ok {
		return []string{word}
	}
	var words []string
	for _, item := range schema.Get("enum").Items() {
		word, ok := item.Text()
		switch {
		case ok:
			words = append(words, word)
		case item.Type() != sallyport.Null:
			return nil
		}
	}
	return words
}

func (r *reader) array(schema sallyport.Value) *Shape {
	if schema.Get("prefixItems").Type() != sallyport.Absent {
		return &Shape{}
	}
	items := r.shape(schema.Get("items"))
	if items.Kind == Opaque {
		return &Shape{}
	}
	return &Shape{Kind: Set, Items: items}
}

func (r *reader) object(schema sallyport.Value) *Shape {
	s := &Shape{Kind: Record, Fields: map[string]*Field{}}
	for name, property := range schema.Get("properties").Members() {
		s.Fields[name] = &Field{Name: types.String(name), Shape: r.shape(property)}
	}
	for _, item := range schema.Get("required").Items() {
		name, _ := item.Text()
		if f := s.Fields[name]; f != nil {
			f.Required = true
		}
	}
	return s.sealed()
}

// branch is the shape of a schema that has no type of its own: that of its only
// alternative besides null (what generators write for an optional value).
func (r *reader) branch(schema sallyport.Value) *Shape {
	for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
		var only sallyport.Value
		alternatives := 0
		for _, item := range schema.Get(keyword).Items() {
			if name, _ := item.Get("type").Text(); name != "null" {
				only = item
				alternatives++
			}
		}
		if alternatives == 1 {
			return r.shape(only)
		}
	}
	if schema.Get("properties").Type() == sallyport.Object {
		return r.object(schema)
	}
	return &Shape{}
}

// Cedar's sets hash with a function that is easy to collide, so that many chosen
// strings could take quadratic time: maxItems bounds a set, and how many paths
// can be opaque; maxAll bounds the items of all sets of a call.
const (
	maxItems = 1024
	maxAll   = 4 * maxItems
)

// Conversion turns one call's arguments into a Cedar record and notes what
// Cedar could not hold.
type Conversion struct {
	Only   []string   // the arguments to convert; nil for all
	Early  bool       // required arguments may still be missing
	Opaque [][]string // paths; the empty path alone means all that there is
	at     []string
	items  int
}

// Arguments converts all arguments of a call. When they are no object, there is
// nothing that a rule could say of them.
func (c *Conversion) Arguments(s *Shape, v sallyport.Value) types.Record {
	record := c.Record(s, v)
	if t := v.Type(); t != sallyport.Object && t != sallyport.Absent {
		c.Miss()
	}
	return record
}

// Record converts an object. Whatever does not fit is left out of the record
// and noted, like whatever is required and missing: a rule that reads it must
// not be judged.
func (c *Conversion) Record(s *Shape, v sallyport.Value) types.Record {
	members := make(types.RecordMap, len(s.Fields))
	for node, value := range v.MemberNodes() {
		f := s.field(node)
		if c.Only != nil && len(c.at) == 0 && !slices.Contains(c.Only, f.named(node)) {
			continue
		}
		c.at = append(c.at, f.named(node))
		if held := c.value(f, value); held != nil {
			members[f.Name] = held
		} else {
			c.Miss()
		}
		c.at = c.at[:len(c.at)-1]
	}
	for _, f := range s.required {
		if _, held := members[f.Name]; !held && !c.Early {
			c.missing(f, v)
		}
	}
	return types.NewRecord(members)
}

func (c *Conversion) missing(f *Field, in sallyport.Value) {
	name := string(f.Name)
	if c.Only != nil && len(c.at) == 0 && !slices.Contains(c.Only, name) {
		return
	}
	if in.Get(name).Type() == sallyport.Absent {
		c.at = append(c.at, name)
		c.Miss()
		c.at = c.at[:len(c.at)-1]
	}
}

// field is the member of this name, nil when the schema declares none. A name
// without escapes is looked up where it stands.
func (s *Shape) field(node sallyport.Value) *Field {
	raw := node.Raw()
	if f := s.Fields[string(raw[1:len(raw)-1])]; f != nil && bytes.IndexByte(raw, '\\') < 0 {
		return f
	}
	name, _ := node.Text()
	return s.Fields[name]
}

func (f *Field) named(node sallyport.Value) string {
	if f != nil {
		return string(f.Name)
	}
	name, _ := node.Text()
	return name
}

// Miss notes that Cedar can't hold the value at the current path.
func (c *Conversion) Miss() {
	switch {
	case len(c.Opaque) == 1 && len(c.Opaque[0]) == 0:
	case len(c.at) == 0 || len(c.Opaque) == maxItems:
		c.Opaque = [][]string{{}}
	default:
		c.Opaque = append(c.Opaque, slices.Clone(c.at))
	}
}

// value is nil when Cedar can't hold the value as the shape says.
func (c *Conversion) value(f *Field, v sallyport.Value) types.Value {
	if f == nil {
		return nil
	}
	return c.held(f.Shape, v)
}

// Value is a value on its own, nil when Cedar can't hold it whole.
func (s *Shape) Value(v sallyport.Value) types.Value {
	var c Conversion
	if held := c.held(s, v); len(c.Opaque) == 0 {
		return held
	}
	return nil
}

func (c *Conversion) held(s *Shape, v sallyport.Value) types.Value {
	switch s.Kind {
	case Boolean:
		switch v.Type() {
		case sallyport.True:
			return types.True
		case sallyport.False:
			return types.False
		}
	case Long:
		if n, ok := scaled(v, 0); ok {
			return types.Long(n)
		}
	case Decimal:
		if n, ok := scaled(v, 4); ok {
			if d, err := types.NewDecimal(n, -4); err == nil {
				return d
			}
		}
	case Text:
		if t, ok := v.Text(); ok {
			return types.String(t)
		}
	case Set:
		return c.set(s, v)
	case Record:
		if v.Type() == sallyport.Object {
			return c.Record(s, v)
		}
	}
	return nil
}

// set converts an array whole or not at all: an item that is missing, or a
// record in it with a hidden member, would compare equal to something it isn't.
func (c *Conversion) set(s *Shape, v sallyport.Value) types.Value {
	if v.Type() != sallyport.Array {
		return nil
	}
	items := make([]types.Value, 0, 8)
	inner := Conversion{items: c.items}
	for i, item := range v.Items() {
		held := inner.held(s.Items, item)
		inner.items++
		c.items = inner.items // also of a set that comes to nothing: it was work
		if held == nil || len(inner.Opaque) > 0 || i == maxItems || inner.items > maxAll {
			return nil
		}
		items = append(items, held)
	}
	return types.NewSet(items...)
}

// scaled is a JSON number times 10^places, when that is a whole number of 64
// bits: exact, whatever notation was used, without floating point.
func scaled(v sallyport.Value, places int) (int64, bool) {
	if v.Type() != sallyport.Number {
		return 0, false
	}
	token := string(v.Raw())
	if n, err := strconv.ParseInt(token, 10, 64); err == nil && places == 0 {
		return n, true
	}
	mantissa, exponent := token, 0
	if i := strings.IndexAny(token, "eE"); i >= 0 {
		var err error
		// A long exponent is no number that anything here could hold.
		if exponent, err = strconv.Atoi(token[i+1:]); err != nil || exponent > 64 || exponent < -64 {
			return 0, false
		}
		mantissa = token[:i]
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	shift := exponent + places - len(fraction) // digits × 10^shift
	for shift < 0 && strings.HasSuffix(digits, "0") {
		digits, shift = digits[:len(digits)-1], shift+1
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, true
	}
	if shift < 0 || len(digits)+shift > 19 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits+strings.Repeat("0", shift), 10, 64)
	switch {
	case err != nil:
		return 0, false
	case negative && n <= -math.MinInt64:
		return -int64(n), true
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	default:
		return 0, false
	}
}
