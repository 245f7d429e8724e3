package sallyport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport"
)

// Each of these is read differently by some parser in the wild, which is how
// an agent could show policy one argument and the server another.
func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", sallyport.MaxDepth+1) + strings.Repeat("]", sallyport.MaxDepth+1)
	for name, text := range map[string]string{
		"empty":                    ``,
		"space alone":              " \n",
		"duplicate name":           `{"a":1,"a":2}`,
		"duplicate name, escaped":  `{"a":1,"\u0061":2}`,
		"duplicate name, nested":   `{"x":[{"b":1,"c":2,"b":3}]}`,
		"duplicate of many":        `{` + manyNames(100) + `,"n7":0}`,
		"duplicate empty name":     `{"":1,"":2}`,
		"invalid UTF-8":            "\"\xff\"",
		"invalid UTF-8 in a name":  "{\"\xc3\x28\":1}",
		"overlong UTF-8":           "\"\xc0\xaf\"",
		"UTF-8 surrogate":          "\"\xed\xa0\x80\"",
		"UTF-8 beyond Unicode":     "\"\xf4\x90\x80\x80\"",
		"truncated UTF-8":          "\"\xe2\x82\"",
		"lone high surrogate":      `"\ud800"`,
		"lone low surrogate":       `"\udc00"`,
		"swapped surrogates":       `"\udc00\ud800"`,
		"high surrogate, text":     `"\ud800x"`,
		"high surrogate, escape":   `"\ud800\n"`,
		"two high surrogates":      `"\ud800\ud800"`,
		"trailing value":           `{} {}`,
		"trailing comma":           `[1,]`,
		"trailing comma in object": `{"a":1,}`,
		"trailing word":            `1 x`,
		"trailing NUL":             "{}\x00",
		"leading BOM":              "\ufeff{}",
		"deep arrays":              deep,
		"deep objects":             strings.Repeat(`{"a":`, sallyport.MaxDepth+1) + "1" + strings.Repeat("}", sallyport.MaxDepth+1),
		"unclosed array":           `[1`,
		"unclosed object":          `{"a":1`,
		"unclosed string":          `"abc`,
		"closed wrongly":           `[1}`,
		"name without value":       `{"a"}`,
		"value without name":       `{1:2}`,
		"name without quotes":      `{a:1}`,
		"missing comma":            `[1 2]`,
		"missing colon":            `{"a" 1}`,
		"comma for colon":          `{"a",1}`,
		"single quotes":            `{'a':1}`,
		"comment":                  `{/**/}`,
		"leading zero":             `01`,
		"plus":                     `+1`,
		"bare minus":               `-`,
		"bare point":               `.5`,
		"point without digits":     `1.`,
		"exponent without digits":  `1e`,
		"exponent with sign alone": `1e+`,
		"hexadecimal":              `0x10`,
		"infinity":                 `Infinity`,
		"not a number":             `NaN`,
		"wrong case":               `True`,
		"word cut short":           `tru`,
		"word with a tail":         `truex`,
		"number with a tail":       `1a`,
		"control character":        "\"a\x01b\"",
		"tab in a string":          "\"a\tb\"",
		"newline in a string":      "\"a\nb\"",
		"DEL is fine, escape not":  `"\x41"`,
		"short escape":             `"\u12"`,
		"escape at the end":        `"\`,
		"escape of nothing":        `"\u`,
		"unknown escape":           `"\q"`,
		"vertical tab":             "\v1",
		"no-break space":           "\u00a01",
		"comma first":              `[,1]`,
		"too many values":          "[" + strings.Repeat("0,", sallyport.MaxValues) + "0]",
		"too many empty objects":   "[" + strings.Repeat("{},", sallyport.MaxValues) + "0]",
		"comma alone":              `{,}`,
		"close alone":              `]`,
	} {
		_, err := sallyport.Parse([]byte(text))
		var syntax *sallyport.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: %.60q gave %v, want a SyntaxError", name, text, err)
		} else if syntax.Offset < 0 || syntax.Offset > int64(len(text)) {
			t.Errorf("%s: offset %d of %d", name, syntax.Offset, len(text))
		}
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"n%d":%d`, i, i)
	}
	return b.String()
}

func TestParseKeepsBytes(t *testing.T) {
	deep := strings.Repeat("[", sallyport.MaxDepth) + strings.Repeat("]", sallyport.MaxDepth)
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `-0.0e-0`, `1E400`, `9007199254740993`,
		`123456789012345678901234567890.1234567890123456789`, `""`, `"\u0000"`, `"\ud83d\ude00"`, `"😀"`, "\"\x7f\"",
		`"a\/b\\\"\b\f\n\r\t"`, `[]`, `{}`, `[[],{}]`, `{"a":{"b":[1,2,{"c":null}]},"":"x"}`, deep,
		`{"ä":1,"a\u0308":2}`, // alike to people, two names to every parser
		`{` + manyNames(500) + `}`,
	} {
		for _, around := range []string{text, " \t\r\n" + text + " \n"} {
			v, err := sallyport.Parse([]byte(around))
			if err != nil {
				t.Errorf("%.60q: %v", around, err)
				continue
			}
			if string(v.Raw()) != text {
				t.Errorf("Raw of %.60q is %.60q", around, v.Raw())
			}
			if start, end := v.Span(); around[start:end] != text {
				t.Errorf("Span of %.60q is %d:%d", around, start, end)
			}
		}
	}
}

func TestValueReads(t *testing.T) {
	v := sallyport.MustParse(` {"name" : "re\u0066und", "n":[1, 2.50 ,"x"], "o":{"deep":true}, "": null, "k\u0065y":0} `)
	if text, ok := v.Get("name").Text(); !ok || text != "refund" {
		t.Errorf("Text gave %q, %v", text, ok)
	}
	if _, ok := v.Get("n").Text(); ok {
		t.Error("an array has no text")
	}
	if got := v.Get("key"); got.Type() != sallyport.Number {
		t.Errorf("a name written with an escape is not found: %v", got.Type())
	}
	if got := v.Get(""); got.Type() != sallyport.Null {
		t.Errorf("the empty name gave %v", got.Type())
	}
	for _, absent := range []sallyport.Value{v.Get("nam"), v.Get("name\x00"), v.Get("n").Get("0"), v.Get("gone").Get("gone"), {}} {
		if absent.Type() != sallyport.Absent || absent.Raw() != nil || absent.Len() != 0 {
			t.Errorf("absent value has type %v, raw %q", absent.Type(), absent.Raw())
		}
		if start, end := absent.Span(); start != 0 || end != 0 {
			t.Error("absent value has a span")
		}
	}
	var items, names []string
	for i, item := range v.Get("n").Items() {
		items = append(items, fmt.Sprintf("%d %s", i, item.Raw()))
	}
	for name := range v.Members() {
		names = append(names, name)
	}
	if want := []string{"0 1", "1 2.50", `2 "x"`}; !slices.Equal(items, want) {
		t.Errorf("items %q", items)
	}
	if want := []string{"name", "n", "o", "", "key"}; !slices.Equal(names, want) {
		t.Errorf("names %q", names)
	}
	if v.Len() != 5 || v.Get("n").Len() != 3 || v.Get("name").Len() != 0 {
		t.Error("lengths are wrong")
	}
	for range v.Members() {
		break
	}
	for range v.Get("n").Items() {
		break
	}
}

func TestCanonical(t *testing.T) {
	for _, same := range [][]string{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1 } `, `{"\u0061":1,"b":[true,null]}`},
		{`"é\n"`, `"\u00e9\u000a"`, `"\u00E9\n"`},
		{`{"Z":1,"a":2}`, `{"a":2,"Z":1}`},
	} {
		first := sallyport.MustParse(same[0]).AppendCanonical(nil)
		for _, other := range same[1:] {
			if got := sallyport.MustParse(other).AppendCanonical(nil); !bytes.Equal(got, first) {
				t.Errorf("%s and %s differ: %s, %s", same[0], other, first, got)
			}
		}
	}
	for _, different := range [][2]string{
		{`1`, `1.0`}, {`1e2`, `100`}, {`9007199254740993`, `9007199254740992`}, {`"1"`, `1`}, {`[]`, `{}`}, {`[1,2]`, `[2,1]`}, {`"a"`, `"A"`},
	} {
		a, b := sallyport.MustParse(different[0]), sallyport.MustParse(different[1])
		if bytes.Equal(a.AppendCanonical(nil), b.AppendCanonical(nil)) {
			t.Errorf("%s and %s are the same", different[0], different[1])
		}
	}
	if got := string(sallyport.Value{}.AppendCanonical(nil)); got != "null" {
		t.Errorf("the absent value gave %s", got)
	}
}

func TestSplice(t *testing.T) {
	v := sallyport.MustParse(` {"name":"desk__refund" , "args":{"n":9007199254740993},"z":[1,2]} `)
	got := string(v.Splice(
		sallyport.Edit{Target: v.Get("z"), With: []byte(`[]`)},
		sallyport.Edit{Target: v.Get("name"), With: []byte(`"refund"`)},
	))
	if want := `{"name":"refund" , "args":{"n":9007199254740993},"z":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	args := v.Get("args")
	if got := string(args.Splice(sallyport.Edit{Target: args.Get("n"), With: []byte(`1`)})); got != `{"n":1}` {
		t.Errorf("inner splice gave %s", got)
	}
	if got := string(args.Splice()); got != `{"n":9007199254740993}` {
		t.Errorf("empty splice gave %s", got)
	}
}

// The parser is compared with jsontext, which is strict in the same way, and
// with encoding/json, which is not.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":[1,2,{"b":"\ud83d\ude00"}]}`, `{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`, `[1,]`, ` 1 `, `1e5`, `"\u00"`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":9007199254740993}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := sallyport.Parse(text)
		d := jsontext.NewDecoder(bytes.NewReader(text))
		reference, refErr := d.ReadValue()
		reference = reference.Clone() // the next read overwrites it
		if refErr == nil {
			if _, err := d.ReadToken(); err == nil || len(bytes.TrimLeft(text[d.InputOffset():], " \t\r\n")) > 0 {
				refErr = errors.New("trailing data")
			}
		}
		if err != nil {
			if refErr == nil && depth(reference) <= sallyport.MaxDepth {
				t.Fatalf("%q refused: %v", text, err)
			}
			return
		}
		if refErr != nil {
			t.Fatalf("%q accepted, reference says %v", text, refErr)
		}
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Fatalf("%q accepted, encoding/json refuses it", text)
		}
		if string(v.Raw()) != string(reference) {
			t.Fatalf("raw %q, reference %q", v.Raw(), reference)
		}
		canonical := v.AppendCanonical(nil)
		again, err := sallyport.Parse(canonical)
		if err != nil {
			t.Fatalf("canonical %q is refused: %v", canonical, err)
		}
		if got := again.AppendCanonical(nil); !bytes.Equal(got, canonical) {
			t.Fatalf("canonical is no fixed point: %q, %q", canonical, got)
		}
		checkTree(t, v, reference)
	})
}

// checkTree compares what the index says with what encoding/json reads.
func checkTree(t *testing.T, v sallyport.Value, raw []byte) {
	switch v.Type() {
	case sallyport.Object:
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for name, member := range v.Members() {
			n++
			if !bytes.Equal(bytes.TrimSpace(want[name]), member.Raw()) || string(v.Get(name).Raw()) != string(member.Raw()) {
				t.Fatalf("member %q is %q, reference %q", name, member.Raw(), want[name])
			}
			checkTree(t, member, member.Raw())
		}
		if n != len(want) || n != v.Len() {
			t.Fatalf("%d members, reference %d", n, len(want))
		}
	case sallyport.Array:
		var want []json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, item := range v.Items() {
			if i != n || !bytes.Equal(bytes.TrimSpace(want[i]), item.Raw()) {
				t.Fatalf("item %d is %q, reference %q", i, item.Raw(), want[i])
			}
			n++
			checkTree(t, item, item.Raw())
		}
		if n != len(want) {
			t.Fatalf("%d items, reference %d", n, len(want))
		}
	case sallyport.String:
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := v.Text(); !ok || got != want {
			t.Fatalf("text %q, reference %q", got, want)
		}
	}
}

func depth(raw []byte) (deepest int) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest
		}
		deepest = max(deepest, d.StackDepth())
	}
}

func BenchmarkParse(b *testing.B) {
	text64 := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 64<<10/45)
	records := []string{}
	for i := range 500 {
		records = append(records, fmt.Sprintf(`{"id":"cus_%06d","name":"Ada Lovelace","email":"ada%d@example.com","open":true,"spent":%d.50}`, i, i, i*7))
	}
	for name, text := range map[string]string{
		"call":     `{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"refund","arguments":{"customer":"cus_000117","amount":125.50,"currency":"EUR","reason":"The parcel came late","notify":true,"lines":[1,2,3]},"_meta":{"progressToken":7}}}`,
		"64k text": `{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":` + string(sallyport.AppendString(nil, text64)) + `}]}}`,
		"64k json": `{"jsonrpc":"2.0","id":42,"result":{"content":[],"structuredContent":{"rows":[` + strings.Join(records, ",") + `]}}}`,
		"64k escaped": `{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":` +
			string(sallyport.AppendString(nil, `{"rows":[`+strings.Join(records, ",\n")+`]}`)) + `}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(text)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sallyport.Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
		// The baseline: only whether jsontext takes it, without an index.
		b.Run(name+"/jsontext", func(b *testing.B) {
			in := []byte(text)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				d := jsontext.NewDecoder(bytes.NewBuffer(in))
				for {
					if _, err := d.ReadToken(); err != nil {
						break
					}
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	v := sallyport.MustParse(`{"_meta":{"progressToken":7},"arguments":{"customer":"cus_000117","amount":125.50},"name":"refund"}`)
	b.ReportAllocs()
	for b.Loop() {
		if v.Get("name").Type() != sallyport.String {
			b.Fatal()
		}
	}
}
