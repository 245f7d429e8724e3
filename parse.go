package sallyport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the deepest nesting of objects and arrays that Parse accepts.
// The bound keeps every recursive reader behind us (ours and an upstream's)
// away from its own stack limit.
const MaxDepth = 64

// MaxValues is the most values and names that Parse accepts in one document. A
// value takes two bytes of text and many times that of memory, in every reader
// that keeps it: without this bound a message of a few megabytes costs hundreds.
const MaxValues = 1 << 20

// SyntaxError says why bytes are not the strict JSON that Sallyport accepts.
type SyntaxError struct {
	Offset int64 // in bytes from the start
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSON refused at byte %d: %s", e.Offset, e.Reason)
}

// Parse reads exactly one JSON value strictly (RFC 8259 and I-JSON, RFC 7493):
// duplicate names, invalid UTF-8, lone surrogates, trailing data, nesting
// beyond MaxDepth and more than MaxValues are a *SyntaxError. Strictness is a security property: two
// parsers that read the same bytes differently would let an agent show policy
// one argument and the server another.
//
// The caller must not change text afterwards.
func Parse(text []byte) (Value, error) {
	if len(text) > math.MaxInt32 {
		return Value{}, &SyntaxError{0, "longer than 2 GiB"}
	}
	scratch := scratches.Get().(*[]node)
	p := parser{text: text, nodes: (*scratch)[:0]}
	err := p.document()
	var v Value
	if err == nil {
		v.doc = &document{text, slices.Clone(p.nodes)}
	}
	if cap(p.nodes) <= maxScratch { // one huge document must not stay in memory
		*scratch = p.nodes
	}
	scratches.Put(scratch)
	return v, err
}

const maxScratch = 16 << 10 // nodes

var scratches = sync.Pool{New: func() any { return new([]node) }}

// MustParse is Parse for text that the program itself wrote; it panics on error.
func MustParse(text string) Value {
	v, err := Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return v
}

// parser is written by hand because every byte of every call passes it twice:
// it takes a third of the time that a general decoder needs to give the same
// answer (FuzzParse compares the two).
type parser struct {
	text  []byte
	at    int
	nodes []node
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{int64(min(p.at, len(p.text))), fmt.Sprintf(format, args...)}
}

// next skips white space and gives the byte there, 0 at the end (NUL is never
// valid outside a string, so nothing is mistaken for it).
func (p *parser) next() byte {
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		p.at++
	}
	return 0
}

func (p *parser) document() error {
	var open [MaxDepth]int32 // nodes of the containers around here
	depth := 0
	for {
		if len(p.nodes) >= MaxValues {
			return p.fail("more than %d values", MaxValues)
		}
		c := p.next()
		switch c {
		case '{', '[':
			if depth == MaxDepth {
				return p.fail("nested deeper than %d", MaxDepth)
			}
			open[depth] = int32(len(p.nodes))
			depth++
			p.nodes = append(p.nodes, node{start: int32(p.at), kind: Type(c)})
			p.at++
			if p.next() == c+2 { // '}' is '{'+2, ']' is '['+2
				break
			}
			if c == '{' {
				if err := p.name(); err != nil {
					return err
				}
			}
			continue
		default:
			if err := p.scalar(c); err != nil {
				return err
			}
		}
		// A value has ended, or an empty container is about to.
		for {
			if depth == 0 {
				if p.next() != 0 || p.at < len(p.text) {
					return p.fail("data after the value")
				}
				return nil
			}
			container := &p.nodes[open[depth-1]]
			c := p.next()
			if c == ',' && int(open[depth-1]) != len(p.nodes)-1 {
				p.at++
				if container.kind == Object {
					if err := p.name(); err != nil {
						return err
					}
				}
				break
			}
			if c != byte(container.kind)+2 {
				return p.fail("want a comma or the end of the %s that begins at byte %d", container.kind, container.start)
			}
			p.at++
			container.end, container.after = int32(p.at), int32(len(p.nodes))
			if container.kind == Object {
				if err := p.unique(int(open[depth-1])); err != nil {
					return err
				}
			}
			depth--
		}
	}
}

// name reads a member's name and the colon behind it.
func (p *parser) name() error {
	if p.next() != '"' {
		return p.fail("want a name in quotes")
	}
	if err := p.string(); err != nil {
		return err
	}
	if p.next() != ':' {
		return p.fail("want a colon after the name")
	}
	p.at++
	return nil
}

// scalar reads a value that is no container and begins with c.
func (p *parser) scalar(c byte) error {
	switch c {
	case '"':
		return p.string()
	case 'n':
		return p.word("null")
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	default:
		return p.number()
	}
}

func (p *parser) add(kind Type, end int, escaped bool) {
	p.nodes = append(p.nodes, node{int32(p.at), int32(end), int32(len(p.nodes)) + 1, kind, escaped})
	p.at = end
}

func (p *parser) word(word string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(word)) {
		return p.fail("want a value")
	}
	p.add(Type(word[0]), p.at+len(word), false)
	return nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (p *parser) number() error {
	i := p.at
	if p.is(i, '-') {
		i++
	}
	if p.is(i, '0') {
		i++
	} else if i = p.digits(i); i < 0 {
		return p.fail("want a value")
	}
	if p.is(i, '.') {
		if i = p.digits(i + 1); i < 0 {
			return p.fail("want a digit after the point")
		}
	}
	if p.is(i, 'e') || p.is(i, 'E') {
		i++
		if p.is(i, '+') || p.is(i, '-') {
			i++
		}
		if i = p.digits(i); i < 0 {
			return p.fail("want a digit in the exponent")
		}
	}
	p.add(Number, i, false)
	return nil
}

func (p *parser) is(i int, c byte) bool { return i < len(p.text) && p.text[i] == c }

// digits is the index behind the digits at i, -1 when there are none.
func (p *parser) digits(i int) int {
	start := i
	for i < len(p.text) && p.text[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func (p *parser) string() error {
	i, escaped := p.at+1, false
	for {
		i += plain(p.text[i:])
		if i >= len(p.text) {
			return p.fail("a string without an end")
		}
		switch c := p.text[i]; {
		case c == '"':
			p.add(String, i+1, escaped)
			return nil
		case c == '\\':
			n := escape(p.text[i:])
			if n == 0 {
				p.at = i
				return p.fail("not an escape, or half of a surrogate pair")
			}
			escaped = true
			i += n
		case c < ' ':
			p.at = i
			return p.fail("control character %#02x in a string", c)
		default:
			r, n := utf8.DecodeRune(p.text[i:])
			if r == utf8.RuneError && n <= 1 {
				p.at = i
				return p.fail("invalid UTF-8")
			}
			i += n
		}
	}
}

// plain counts the bytes up to the first that is a quote, a backslash, a
// control character or not ASCII, eight at a time.
func plain(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(text[n:])
		quote, slash := x^ones*'"', x^ones*'\\'
		// The lowest marked byte is exact; borrows only mark bytes above it.
		if special := ((x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash | x) & highs; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for n < len(text) && text[n] >= ' ' && text[n] != '"' && text[n] != '\\' && text[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// escape is the length of the escape sequence (a surrogate pair counts as
// one) at the start of text, 0 when it is none. Half a pair is no character:
// parsers replace it in different ways.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		unit := hex4(text)
		switch {
		case unit < 0 || unit >= 0xdc00 && unit <= 0xdfff:
			return 0
		case unit < 0xd800 || unit > 0xdfff:
			return 6
		}
		if low := hex4(text[6:]); low < 0xdc00 || low > 0xdfff {
			return 0
		}
		return 12
	}
	return 0
}

// hex4 is the code unit of a \uXXXX at the start of text, -1 when there is none.
func hex4(text []byte) int {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit := 0
	for _, c := range text[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		unit = unit<<4 | int(c)
	}
	return unit
}

// fewNames is up to how many names are compared each with each.
const fewNames = 12

// unique refuses an object with two members of one name, however written.
func (p *parser) unique(object int) error {
	var few [fewNames][]byte
	names := few[:0]
	for i := object + 1; i < int(p.nodes[object].after); i = int(p.nodes[i+1].after) {
		n := &p.nodes[i]
		name := p.text[n.start+1 : n.end-1]
		if n.escaped {
			name, _ = jsontext.AppendUnquote(nil, p.text[n.start:n.end])
		}
		names = append(names, name)
	}
	if len(names) > fewNames {
		slices.SortFunc(names, bytes.Compare)
	}
	for i := 1; i < len(names); i++ {
		before := names[:i]
		if len(names) > fewNames {
			before = names[i-1 : i]
		}
		for _, name := range before {
			if bytes.Equal(name, names[i]) {
				return p.fail("two members are named %q", name)
			}
		}
	}
	return nil
}
