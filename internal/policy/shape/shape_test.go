package shape

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"sallyport"
)

// describe writes a shape for people: {a: Long, b?: Set<String>}.
func describe(s *Shape) string {
	text := [...]string{"opaque", "Bool", "Long", "decimal", "String", "", ""}[s.Kind]
	switch s.Kind {
	case Set:
		return "Set<" + describe(s.Items) + ">"
	case Record:
		var parts []string
		for _, name := range sorted(s.Fields) {
			f := s.Fields[name]
			if !f.Required {
				name += "?"
			}
			parts = append(parts, name+": "+describe(f.Shape))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	if s.Words != nil {
		text += "(" + strings.Join(s.Words, "|") + ")"
	}
	return text
}

func TestOf(t *testing.T) {
	property := func(schema string) string {
		return describe(Of(sallyport.MustParse(`{"type":"object","$defs":{
			"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"},"v":{"type":"integer"}}},
			"size":{"enum":["s","l"]},"a/b~c":{"type":"boolean"},"ping":{"$ref":"#/$defs/pong"},"pong":{"$ref":"#/$defs/ping"}},
			"properties":{"p":` + schema + `}}`)).Fields["p"].Shape)
	}
	for _, c := range []struct{ schema, want string }{
		{`{"type":"string"}`, "String"},
		{`{"type":"integer"}`, "Long"},
		{`{"type":"number","multipleOf":0.01}`, "decimal"},
		{`{"type":"boolean"}`, "Bool"},
		{`{"type":["string"]}`, "String"},
		{`{"type":["string","null"]}`, "String"},
		{`{"anyOf":[{"type":"integer"},{"type":"null"}]}`, "Long"},
		{`{"oneOf":[{"type":"null"},{"enum":["a"]}]}`, "String(a)"},
		{`{"allOf":[{"$ref":"#/$defs/size"}]}`, "String(s|l)"},
		{`{"enum":["a","b",null]}`, "String(a|b)"},
		{`{"const":"a"}`, "String(a)"},
		{`{"type":"string","enum":["a"]}`, "String(a)"},
		{`{"type":"array","items":{"type":"string"}}`, "Set<String>"},
		{`{"type":"array","items":{"type":"array","items":{"type":"integer"}}}`, "Set<Set<Long>>"},
		{`{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}`, "Set<{a: String}>"},
		{`{"type":"object","properties":{"a":{"type":"string"}}}`, "{a?: String}"},
		{`{"properties":{"a":{"type":"string"}},"required":["a","b"]}`, "{a: String}"},
		{`{"type":"object"}`, "{}"},
		{`{"type":"object","additionalProperties":{"type":"string"}}`, "{}"},
		{`{"$ref":"#/$defs/size"}`, "String(s|l)"},
		{`{"$ref":"#/$defs/a~1b~0c"}`, "Bool"},
		{`{"$ref":"#/$defs/node"}`, "{next?: opaque, v?: Long}"},

		{`{"type":["string","integer"]}`, "opaque"},
		{`{"anyOf":[{"type":"string"},{"type":"integer"}]}`, "opaque"},
		{`{"type":"null"}`, "opaque"},
		{`{}`, "opaque"},
		{`true`, "opaque"},
		{`{"type":"strange"}`, "opaque"},
		{`{"type":7}`, "opaque"},
		{`{"type":[]}`, "opaque"},
		{`{"enum":["a",1]}`, "opaque"},
		{`{"type":"array"}`, "opaque"},
		{`{"type":"array","items":{}}`, "opaque"},
		{`{"type":"array","items":[{"type":"string"}]}`, "opaque"},
		{`{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"string"}}`, "opaque"},
		{`{"$ref":"#/$defs/ping"}`, "opaque"},
		{`{"$ref":"#/$defs/gone"}`, "opaque"},
		{`{"$ref":"#anchor"}`, "opaque"},
		{`{"$ref":"#"}`, "opaque"},
		{`{"$ref":"https://evil.example/schema.json"}`, "opaque"},
	} {
		if got := property(c.schema); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.schema, got, c.want)
		}
	}
	for _, schema := range []string{`{"type":"string"}`, `null`, `{}`, `{"$ref":"#"}`, `{"anyOf":[{"type":"object"},{"type":"object"}]}`} {
		if got := Of(sallyport.MustParse(schema)); got.Kind != Record || len(got.Fields) > 0 {
			t.Errorf("%s: %s", schema, describe(got))
		}
	}
	if got := Of(sallyport.Value{}); got.Kind != Record {
		t.Error("no schema")
	}
}

// A reference that was followed can be followed again, beside itself.
func TestReferenceTwice(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","$defs":{"size":{"enum":["s","l"]}},"properties":{"a":{"$ref":"#/$defs/size"},"b":{"type":"array","items":{"$ref":"#/$defs/size"}},"c":{"$ref":"#/$defs/size"}}}`))
	if got := describe(s); got != "{a?: String(s|l), b?: Set<String(s|l)>, c?: String(s|l)}" {
		t.Error(got)
	}
}

// References that refer twice to references must not grow without end.
func TestBudget(t *testing.T) {
	var defs strings.Builder
	for i := range 40 {
		fmt.Fprintf(&defs, `"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	s := Of(sallyport.MustParse(`{"type":"object","$defs":{` + defs.String() + `"d40":{"type":"string"}},"properties":{"p":{"$ref":"#/$defs/d0"}}}`))
	var count func(*Shape) int
	count = func(s *Shape) int {
		n := 1
		for _, f := range s.Fields {
			n += count(f.Shape)
		}
		return n
	}
	if n := count(s); n > 2*maxShape {
		t.Errorf("%d nodes", n)
	}
}

func TestConversion(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{
		"b":{"type":"boolean"},"n":{"type":"integer"},"d":{"type":"number"},"t":{"type":"string"},
		"s":{"type":"array","items":{"type":"integer"}},
		"r":{"type":"object","properties":{"x":{"type":"integer"},"u":{"type":["integer","string"]}},"required":["x"]},
		"l":{"type":"array","items":{"type":"object","properties":{"x":{"type":"integer"}}}}
	}}`))
	for _, c := range []struct{ args, held, opaque string }{
		{`{}`, `{}`, ``},
		{`{"b":true,"n":1,"d":1,"t":"x"}`, `{"b":true, "d":decimal("1.0"), "n":1, "t":"x"}`, ``},
		{`{"b":1,"n":true,"d":"1","t":null}`, `{}`, `b n d t`},
		{`{"n":9223372036854775807}`, `{"n":9223372036854775807}`, ``},
		{`{"n":-9223372036854775808}`, `{"n":-9223372036854775808}`, ``},
		{`{"n":9223372036854775808}`, `{}`, `n`},
		{`{"n":1.0}`, `{"n":1}`, ``},
		{`{"n":12e2}`, `{"n":1200}`, ``},
		{`{"n":1200e-2}`, `{"n":12}`, ``},
		{`{"n":1.5}`, `{}`, `n`},
		{`{"n":-0}`, `{"n":0}`, ``},
		{`{"d":0.0001}`, `{"d":decimal("0.0001")}`, ``},
		{`{"d":0.00010}`, `{"d":decimal("0.0001")}`, ``},
		{`{"d":0.00001}`, `{}`, `d`},
		{`{"d":-922337203685477.5808}`, `{"d":decimal("-922337203685477.5808")}`, ``},
		{`{"d":922337203685477.5808}`, `{}`, `d`},
		{`{"d":1e99999999999999999999}`, `{}`, `d`},
		{`{"d":0e99}`, `{}`, `d`},
		{`{"d":1.5e-9223372036854775808,"n":1.5e-9223372036854775807}`, `{}`, `d n`},
		{`{"d":1e64,"n":1e-64}`, `{}`, `d n`},
		{`{"d":0}`, `{"d":decimal("0.0")}`, ``},
		{`{"d":-0.000}`, `{"d":decimal("0.0")}`, ``},
		{`{"s":[2,1,2]}`, `{"s":[1, 2]}`, ``},
		{`{"s":[1,"2"]}`, `{}`, `s`},
		{`{"s":{}}`, `{}`, `s`},
		{`{"r":{"x":1}}`, `{"r":{"x":1}}`, ``},
		{`{"r":{"x":1,"u":1,"v":1}}`, `{"r":{"x":1}}`, `r.u r.v`},
		{`{"r":{}}`, `{"r":{}}`, `r.x`},
		{`{"r":[]}`, `{}`, `r`},
		{`{"l":[{"x":1}]}`, `{"l":[{"x":1}]}`, ``},
		{`{"l":[{"x":1,"y":2}]}`, `{}`, `l`},
		{`{"other":1}`, `{}`, `other`},
		{`{"\u006e":1}`, `{"n":1}`, ``},
		{`{"a.b":1,"a b":{"c":1}}`, `{}`, `a.b a b`},
	} {
		var conversion Conversion
		got := conversion.Record(s, sallyport.MustParse(c.args))
		var paths []string
		for _, path := range conversion.Opaque {
			paths = append(paths, strings.Join(path, "."))
		}
		if got.String() != c.held || strings.Join(paths, " ") != c.opaque {
			t.Errorf("%s: %s, opaque %q; want %s, %s", c.args, got, paths, c.held, c.opaque)
		}
	}
}

// A name is what it means, not how it is spelled.
func TestNamesThatLookEscaped(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{"a":{"type":"integer"},"\\u0061":{"type":"integer"}}}`))
	for args, want := range map[string]string{`{"\u0061":1}`: `{"a":1}`, `{"a":1}`: `{"a":1}`, `{"\\u0061":1}`: `{"\\u0061":1}`} {
		var c Conversion
		if got := c.Record(s, sallyport.MustParse(args)); got.String() != want || c.Opaque != nil {
			t.Errorf("%s: %s, opaque %q", args, got, c.Opaque)
		}
	}
}

// What is missing deeper down is missing, whichever arguments are asked for.
func TestMissingBelow(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{"disk":{"type":"object","properties":{"gb":{"type":"integer"}},"required":["gb"]}}}`))
	c := Conversion{Only: []string{"disk"}}
	if c.Record(s, sallyport.MustParse(`{"disk":{}}`)); len(c.Opaque) != 1 || strings.Join(c.Opaque[0], ".") != "disk.gb" {
		t.Errorf("opaque %q", c.Opaque)
	}
}

// More opaque parts than can be listed are everything, and stay that.
func TestMostOpaque(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{"a":{"type":"integer"}}}`))
	for _, n := range []int{maxItems, maxItems + 1, maxItems + 2, 3 * maxItems} {
		var args strings.Builder
		args.WriteString(`{"a":1`)
		for i := range n {
			fmt.Fprintf(&args, `,"x%d":1`, i)
		}
		var c Conversion
		c.Record(s, sallyport.MustParse(args.String()+"}"))
		everything := len(c.Opaque) == 1 && len(c.Opaque[0]) == 0
		if everything != (n > maxItems) || !everything && len(c.Opaque) != n {
			t.Errorf("%d: %d paths", n, len(c.Opaque))
		}
	}
}

// What is kept of a shape, for the digest and for comparing, tells it from every
// other: else a changed schema would look like the one that was accepted.
func TestAppendTo(t *testing.T) {
	seen := map[string]string{}
	for _, properties := range []string{
		``, `"a":{}`, `"b":{}`, `"a":{"type":"string"}`, `"b":{"type":"string"}`, `"a":{"type":"integer"}`, `"a":{"type":"number"}`, `"a":{"type":"boolean"}`,
		`"a":{"enum":["x"]}`, `"a":{"enum":["y"]}`, `"a":{"enum":["x","y"]}`, `"a":{"enum":["xy"]}`, `"a":{"enum":["x\",\"y"]}`,
		`"a":{"type":"array","items":{"type":"string"}}`, `"a":{"type":"array","items":{"type":"integer"}}`, `"a":{"type":"array","items":{"type":"array","items":{"type":"string"}}}`,
		`"a":{"type":"object"}`, `"a":{"type":"object","properties":{"b":{"type":"string"}}}`, `"a":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}`,
		`"a":{"type":"object","properties":{"b":{"type":"string"},"c":{"type":"string"}}}`, `"a":{"type":"object","properties":{"b":{"type":"string"}}},"c":{"type":"string"}`, `"a":{"type":"object"},"b":{"type":"string"},"c":{"type":"string"}`,
	} {
		text := string(Of(sallyport.MustParse(`{"type":"object","properties":{` + properties + `}}`)).AppendTo(nil))
		if other, ok := seen[text]; ok {
			t.Errorf("%q and %q are both %s", properties, other, text)
		}
		seen[text] = properties
	}
}

func TestOnlyAndEarly(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":["string","integer"]}},"required":["a","b","c"]}`))
	for _, c := range []struct {
		conversion   Conversion
		args         string
		held, opaque string
	}{
		{Conversion{}, `{"a":1}`, `{"a":1}`, "b"},
		{Conversion{Early: true}, `{"a":1}`, `{"a":1}`, ""},
		{Conversion{Only: []string{"a"}}, `{"a":1,"b":null,"x":1}`, `{"a":1}`, ""},
		{Conversion{Only: []string{"a", "b"}}, `{"b":null}`, `{}`, "b a"},
		{Conversion{Only: []string{"a"}}, `{"\u0061":1}`, `{"a":1}`, ""},
	} {
		got := c.conversion.Record(s, sallyport.MustParse(c.args))
		var paths []string
		for _, path := range c.conversion.Opaque {
			paths = append(paths, strings.Join(path, "."))
		}
		if got.String() != c.held || strings.Join(paths, " ") != c.opaque {
			t.Errorf("%+v: %s %q", c, got, paths)
		}
	}
}

// FuzzScaled: what is held is the number itself.
func FuzzScaled(f *testing.F) {
	for _, seed := range []string{"0", "-1", "1.5", "1e3", "1E-2", "9223372036854775807", "-922337203685477.5808", "12300e-4", "0.00000", "1e64", "1e-64"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := sallyport.Parse([]byte(text))
		if err != nil || v.Type() != sallyport.Number {
			return
		}
		for places, factor := range map[int]int64{0: 1, 4: 10000} {
			n, ok := scaled(v, places)
			if !ok || len(text) > 200 {
				continue
			}
			exact, fine := new(big.Rat).SetString(string(v.Raw()))
			if !fine || exact.Mul(exact, big.NewRat(factor, 1)).Cmp(big.NewRat(n, 1)) != 0 {
				t.Errorf("%s is held as %d with %d places", text, n, places)
			}
		}
	})
}

func TestSamples(t *testing.T) {
	s := Of(sallyport.MustParse(`{"type":"object","properties":{
		"size":{"enum":["s","l"]},"count":{"type":"integer","minimum":1,"maximum":4},"amount":{"type":"number","exclusiveMinimum":0},
		"name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"disk":{"type":"object","properties":{"gb":{"type":"integer"}},"required":["gb"]},"dry":{"type":"boolean"}
	},"required":["size","count","amount"]}`))
	constants := Constants{
		"amount": {sallyport.MustParse(`500.5`)}, "name": {sallyport.MustParse(`"ana"`)}, "tags": {sallyport.MustParse(`"red"`)}, Key([]string{"disk", "gb"}): {sallyport.MustParse(`100`)},
		"count": {sallyport.MustParse(`50`)},
	}
	samples := s.Samples(constants, sallyport.MustParse(`{"dry":true}`), 300)
	all := ""
	for _, v := range samples {
		var c Conversion
		c.Record(s, v)
		if len(c.Opaque) > 0 {
			t.Errorf("%s does not fit: %q", v.Raw(), c.Opaque)
		}
		if n, ok := scaled(v.Get("count"), 0); !ok || n < 1 || n > 4 {
			t.Errorf("%s is out of bounds", v.Raw())
		}
		if n, ok := scaled(v.Get("amount"), 4); !ok || n <= 0 {
			t.Errorf("%s is out of bounds", v.Raw())
		}
		if v.Get("dry").Type() != sallyport.True {
			t.Errorf("%s: dry is fixed", v.Raw())
		}
		all += string(v.Raw()) + "\n"
	}
	for _, want := range []string{`"amount":500.5,`, `"amount":501.5,`, `"amount":499.5,`, `"amount":500.5001,`, `"name":"ana"`, `"name":"anax"`, `"tags":["red"]`, `"tags":[]`, `{"gb":100}`, `"size":"l"`, `"count":4`} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing has %s", want)
		}
	}
	if again := s.Samples(constants, sallyport.MustParse(`{"dry":true}`), 300); len(again) != len(samples) || string(again[7].Raw()) != string(samples[7].Raw()) {
		t.Error("other samples the second time")
	}
	if few := s.Samples(nil, sallyport.Value{}, 3); len(few) != 3 {
		t.Errorf("%d samples", len(few))
	}
}

func TestSetsOfManyItems(t *testing.T) {
	s := &Shape{Kind: Set, Items: &Shape{Kind: Long}}
	items := strings.Repeat("1,", maxItems-1) + "1"
	var c Conversion
	if c.held(s, sallyport.MustParse("["+items+"]")) == nil {
		t.Error("the longest set is opaque")
	}
	if c.held(s, sallyport.MustParse("["+items+",1]")) != nil {
		t.Error("a longer one is not")
	}
	nested := &Shape{Kind: Set, Items: s}
	// What was looked at in vain counts too: three long sets and one item that
	// does not fit leave no room for two more.
	if c = (Conversion{}); c.held(nested, sallyport.MustParse("[["+items+"],["+items+"],["+items+"],7]")) != nil || c.held(nested, sallyport.MustParse("[["+items+"],["+items+"]]")) != nil {
		t.Error("sets that come to nothing cost nothing")
	}
	c = Conversion{}
	if c.held(nested, sallyport.MustParse("[["+items+"],["+items+"],["+items+"]]")) == nil {
		t.Error("three long sets are opaque")
	}
	if c.held(nested, sallyport.MustParse("[["+items+"],["+items+"]]")) != nil {
		t.Error("five are not, in one call")
	}
}

func sorted(fields map[string]*Field) []string { return slices.Sorted(maps.Keys(fields)) }
