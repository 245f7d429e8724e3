package sallyport

import (
	"bytes"
	"iter"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is one JSON value as it was sent: its exact bytes, with an index over
// them. Numbers are never converted, so 9007199254740993 stays itself. The
// zero Value is absent: it is none of the JSON kinds and has no bytes.
//
// A Value is immutable and shares the bytes given to Parse.
type Value struct {
	doc  *document
	node int32
}

type document struct {
	text  []byte
	nodes []node
}

// node is one value in document order. An object's children alternate between
// name and value. after is the index of the first node behind this subtree.
type node struct {
	start, end int32
	after      int32
	kind       Type
	escaped    bool // a string with a backslash in it
}

// Type is the JSON type of a Value. The zero Type is an absent value.
type Type byte

// The types of JSON (RFC 8259).
const (
	Absent Type = 0
	Null   Type = 'n'
	False  Type = 'f'
	True   Type = 't'
	String Type = '"'
	Number Type = '0'
	Object Type = '{'
	Array  Type = '['
)

func (t Type) String() string {
	switch t {
	case Null:
		return "null"
	case False, True:
		return "boolean"
	case String:
		return "string"
	case Number:
		return "number"
	case Object:
		return "object"
	case Array:
		return "array"
	default:
		return "nothing"
	}
}

func (v Value) at() *node { return &v.doc.nodes[v.node] }

// Type is the value's JSON type, Absent for the zero Value.
func (v Value) Type() Type {
	if v.doc == nil {
		return Absent
	}
	return v.at().kind
}

// Raw is the value's bytes as they were sent, nil for the zero Value. The
// caller must not change them.
func (v Value) Raw() []byte {
	if v.doc == nil {
		return nil
	}
	n := v.at()
	return v.doc.text[n.start:n.end:n.end]
}

// Span is where Raw lies within the text given to Parse, in bytes.
func (v Value) Span() (start, end int) {
	if v.doc == nil {
		return 0, 0
	}
	n := v.at()
	return int(n.start), int(n.end)
}

// Text is a string's content, unescaped; ok is false for every other type.
func (v Value) Text() (text string, ok bool) {
	inner, ok := v.inner()
	return string(inner), ok
}

// IsText reports whether v is a string with exactly this content.
func (v Value) IsText(want string) bool {
	inner, ok := v.inner()
	return ok && string(inner) == want
}

// inner is a string's content, shared with the document where nothing is
// escaped.
func (v Value) inner() (text []byte, ok bool) {
	if v.Type() != String {
		return nil, false
	}
	raw := v.Raw()
	if !v.at().escaped {
		return raw[1 : len(raw)-1], true
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return text, err == nil
}

// Get is the member of an object with this name; the zero Value when v is no
// object or has no such member. Names are compared byte for byte.
func (v Value) Get(name string) Value {
	for key, member := range v.MemberNodes() {
		if key.IsText(name) {
			return member
		}
	}
	return Value{}
}

// Members runs over an object's names and values in the order sent.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for name, member := range v.MemberNodes() {
			key, _ := name.Text()
			if !yield(key, member) {
				return
			}
		}
	}
}

// MemberNodes is Members with the names as Values, for callers that need
// their exact bytes.
func (v Value) MemberNodes() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if v.Type() != Object {
			return
		}
		for i := v.node + 1; i < v.at().after; i = v.doc.nodes[i+1].after {
			if !yield(Value{v.doc, i}, Value{v.doc, i + 1}) {
				return
			}
		}
	}
}

// Items runs over an array's values in order.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Type() != Array {
			return
		}
		for i, n := v.node+1, 0; i < v.at().after; i, n = v.doc.nodes[i].after, n+1 {
			if !yield(n, Value{v.doc, i}) {
				return
			}
		}
	}
}

// Len is the number of members or items of an object or array, else 0.
func (v Value) Len() int {
	n := 0
	for range v.MemberNodes() {
		n++
	}
	for range v.Items() {
		n++
	}
	return n
}

// AppendCanonical appends the value with names sorted by their bytes, no
// space, strings in their shortest form and numbers as they were sent. Two
// values are the same for a digest exactly when these bytes are equal.
func (v Value) AppendCanonical(dst []byte) []byte {
	switch v.Type() {
	case Object:
		type member struct {
			name  string
			value Value
		}
		members := make([]member, 0, 8)
		for name, value := range v.Members() {
			members = append(members, member{name, value})
		}
		slices.SortFunc(members, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, m.name)
			dst = append(dst, ':')
			dst = m.value.AppendCanonical(dst)
		}
		return append(dst, '}')
	case Array:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendCanonical(dst)
		}
		return append(dst, ']')
	case String:
		text, _ := v.Text()
		return AppendString(dst, text)
	case Absent:
		return append(dst, "null"...)
	default:
		return append(dst, v.Raw()...)
	}
}

// AppendString appends text as a JSON string in its shortest form. Invalid
// UTF-8, which no Value contains, becomes U+FFFD.
func AppendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// Splice returns the text that v was parsed from with the bytes of each
// target replaced. Targets must come from the same Parse as v, must not
// overlap, and may be in any order. Everything else stays byte for byte, which
// is how a changed call remains the agent's own.
func (v Value) Splice(edits ...Edit) []byte {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b Edit) int { return int(a.Target.at().start - b.Target.at().start) })
	outer := v.at()
	out := make([]byte, 0, int(outer.end-outer.start)+64)
	from := outer.start
	for _, e := range edits {
		n := e.Target.at()
		out = append(out, v.doc.text[from:n.start]...)
		out = append(out, e.With...)
		from = n.end
	}
	return append(out, v.doc.text[from:outer.end]...)
}

// Edit replaces one value's bytes.
type Edit struct {
	Target Value
	With   []byte
}
