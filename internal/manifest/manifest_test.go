package manifest

import (
	"strings"
	"testing"

	"sallyport"
)

func values(t *testing.T, texts ...string) []sallyport.Value {
	t.Helper()
	var all []sallyport.Value
	for _, text := range texts {
		all = append(all, sallyport.MustParse(text))
	}
	return all
}

func TestDigestCoversEverythingAndOnlyMeaning(t *testing.T) {
	base := `{"name":"pay","title":"Pay","description":"Pays.","inputSchema":{"type":"object","properties":{"a":{"type":"integer","default":1}}},"annotations":{"readOnlyHint":true},"icons":[{"src":"data:,a"}],"_meta":{"k":1}}`
	same := NewItem("tool:pay", sallyport.MustParse(base)).Digest
	reordered := `{"_meta":{"k":1},"icons":[ {"src":"data:,a"} ], "annotations":{"readOnlyHint":true},"inputSchema":{"properties":{"a":{"default":1,"type":"integer"}},"type":"object"},"description":"P\u0061ys.","title":"Pay","name":"pay"}`
	if NewItem("tool:pay", sallyport.MustParse(reordered)).Digest != same {
		t.Error("order, space and escapes changed the digest: servers would be quarantined for nothing")
	}
	for _, change := range [][2]string{
		{`"Pays."`, `"Pays. "`}, {`"title":"Pay"`, `"title":"Pey"`}, {`"default":1`, `"default":2`},
		{`"readOnlyHint":true`, `"readOnlyHint":false`}, {`data:,a`, `data:,b`}, {`"k":1`, `"k":1.0`},
		{`"type":"integer"`, `"type":"number"`}, {`"_meta":{"k":1}`, `"_meta":{}`},
	} {
		changed := strings.Replace(base, change[0], change[1], 1)
		if changed == base {
			t.Fatalf("the change %q does not apply", change)
		}
		if NewItem("tool:pay", sallyport.MustParse(changed)).Digest == same {
			t.Errorf("changing %s to %s did not change the digest", change[0], change[1])
		}
	}
}

func TestNewRefusesTwins(t *testing.T) {
	hello := sallyport.MustParse(`{"serverInfo":{"name":"x","version":"1"},"capabilities":{}}`)
	if _, err := New("x", hello, values(t, `{"name":"a"}`, `{"name":"a","description":"other"}`), nil, nil); err == nil {
		t.Error("two tools of one name were accepted")
	}
	if _, err := New("x", hello, values(t, `{"title":"nameless"}`), nil, nil); err == nil {
		t.Error("a tool without a name was accepted")
	}
	m, err := New("x", hello, values(t, `{"name":"a"}`), values(t, `{"name":"a"}`), values(t, `{"uriTemplate":"x://{a}","name":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(m.Items), 5; got != want {
		t.Errorf("%d items, want %d: %v", got, want, m.Keys())
	}
	for _, key := range m.Keys() {
		if kind, name := key.Split(); kind != sallyport.KindUnknown && KeyOf(kind, name) != key {
			t.Errorf("%s does not survive Split", key)
		}
	}
}

func TestServerWordsLeaveOutVersionsOfTheProtocol(t *testing.T) {
	a, err := Words(sallyport.MustParse(`{"protocolVersion":"2025-11-25","serverInfo":{"name":"x","version":"1"},"instructions":"Be kind.","capabilities":{"tools":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Words(sallyport.MustParse(`{"supportedVersions":["2026-07-28"],"instructions":"Be kind.","serverInfo":{"name":"x","version":"1"},"ttlMs":0}`))
	if a.Digest != b.Digest {
		t.Error("the two eras of one server have different words")
	}
	c, _ := Words(sallyport.MustParse(`{"instructions":"Be cruel.","serverInfo":{"name":"x","version":"1"}}`))
	if a.Digest == c.Digest {
		t.Error("changed instructions have the same digest")
	}
}

func tool(t *testing.T, schema string) *sallyport.Definition {
	t.Helper()
	return &sallyport.Definition{Name: "tool", Kind: sallyport.KindTool,
		Raw: sallyport.MustParse(`{"name":"tool","inputSchema":` + schema + `}`)}
}

func TestCheck(t *testing.T) {
	const mail = `{"type":"object","required":["to"],"properties":{"to":{"type":"string"},"lines":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}}}},"labels":{"type":"object","additionalProperties":{"type":"string"}},"bag":{"type":"object","additionalProperties":true}}}`
	for _, c := range []struct{ name, schema, args, want string }{
		{"fits", mail, `{"to":"a","lines":[{"n":1}],"labels":{"x":"y"}}`, ""},
		{"missing", mail, `{}`, "to"},
		{"absent arguments are empty", `{"type":"object"}`, ``, ""},
		{"wrong type", mail, `{"to":1}`, "/to"},
		{"undeclared at the top", mail, `{"to":"a","bcc":"evil@example.com"}`, "/bcc: not declared"},
		{"undeclared within a list", mail, `{"to":"a","lines":[{"n":1,"bcc":"x"}]}`, "/lines/0/bcc: not declared"},
		{"a bare true declares nothing", mail, `{"to":"a","bag":{"bcc":"x"}}`, "/bag/bcc: not declared"},
		{"a typed map declares its members", mail, `{"to":"a","labels":{"bcc":"x"}}`, ""},
		{"schema that admits everything", `{"type":"object","additionalProperties":true}`, `{"bcc":1}`, "not declared"},
		{"declared behind a reference", `{"$defs":{"m":{"type":"object","properties":{"a":{"type":"string"}}}},"$ref":"#/$defs/m"}`, `{"a":"x"}`, ""},
		{"undeclared behind a reference", `{"$defs":{"m":{"type":"object","properties":{"a":{"type":"string"}}}},"$ref":"#/$defs/m"}`, `{"b":"x"}`, "not declared"},
		{"declared in one of several", `{"oneOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}]}`, `{"b":"x"}`, ""},
		{"recursion ends", `{"$defs":{"t":{"type":"object","properties":{"next":{"$ref":"#/$defs/t"}}}},"$ref":"#/$defs/t"}`, `{"next":{"next":{"bcc":1}}}`, "/next/next/bcc: not declared"},
		{"a big integer stays itself", `{"type":"object","properties":{"id":{"type":"integer","maximum":9007199254740992}}}`, `{"id":9007199254740993}`, "/id"},
		{"objects in a list without items", `{"type":"object","properties":{"l":{"type":"array"}}}`, `{"l":[{"bcc":1}]}`, "/l/0/bcc: not declared"},
		{"case counts", mail, `{"To":"a","to":"b"}`, "/To: not declared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Compile(tool(t, c.schema))
			if err != nil {
				t.Fatal(err)
			}
			var args sallyport.Value
			if c.args != "" {
				args = sallyport.MustParse(c.args)
			}
			err = s.Check(args)
			if c.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestOperatorAdmitsUndeclared(t *testing.T) {
	d := tool(t, `{"type":"object","properties":{"a":{"type":"string"}}}`)
	d.Undeclared = true
	s, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(sallyport.MustParse(`{"b":1}`)); err != nil {
		t.Error(err)
	}
	if err := s.Check(sallyport.MustParse(`{"a":1}`)); err == nil {
		t.Error("the schema itself is no longer checked")
	}
}

func TestCompileFetchesNothing(t *testing.T) {
	for _, ref := range []string{"http://169.254.169.254/latest/meta-data", "https://example.com/s.json", "file:///etc/passwd", "other.json"} {
		_, err := Compile(tool(t, `{"type":"object","properties":{"a":{"$ref":"`+ref+`"}}}`))
		if err == nil {
			t.Errorf("a schema that refers to %s was accepted", ref)
		}
	}
	if _, err := Compile(tool(t, `"not a schema"`)); err == nil {
		t.Error("a string was accepted as a schema")
	}
	if _, err := Compile(tool(t, `{"type":"strnig"}`)); err == nil {
		t.Error("an unknown type was accepted")
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#"}}}}`, `{"a":[{"a":[]}]}`)
	f.Add(`{"anyOf":[{"$ref":"#"}]}`, `{}`)
	f.Fuzz(func(t *testing.T, schema, args string) {
		v, err := sallyport.Parse([]byte(schema))
		if err != nil || v.Type() != sallyport.Object {
			return
		}
		a, err := sallyport.Parse([]byte(args))
		if err != nil {
			return
		}
		s, err := Compile(tool(t, schema))
		if err != nil {
			return
		}
		_ = s.Check(a) // must end, and must not panic
	})
}

func BenchmarkCheck(b *testing.B) {
	d := &sallyport.Definition{Name: "tool", Kind: sallyport.KindTool, Raw: sallyport.MustParse(`{"name":"tool","inputSchema":{"type":"object","properties":{"to":{"type":"string"},"subject":{"type":"string"},"amount":{"type":"integer"},"currency":{"enum":["EUR","USD"]},"cc":{"type":"array","items":{"type":"string"}},"urgent":{"type":"boolean"},"ref":{"type":"string","pattern":"^[a-z0-9-]+$"}},"required":["to"]}}`)}
	s, err := Compile(d)
	if err != nil {
		b.Fatal(err)
	}
	args := sallyport.MustParse(`{"to":"ana@example.com","subject":"Your refund","amount":12500,"currency":"EUR","cc":["a@example.com","b@example.com"],"urgent":false,"ref":"abc-1"}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Check(args); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		claimed, accepted string
		within            bool
	}{
		{`{}`, `{}`, true},
		{`{}`, `{"a":{}}`, true},
		{`{"a":{}}`, `{}`, false},
		{`{"a":{"x":true}}`, `{"a":{}}`, false},
		{`{"a":{"x":false}}`, `{"a":{}}`, true},
		{`{"a":{"x":false}}`, `{"a":{"x":true}}`, true},
		{`{"a":{"x":true}}`, `{"a":{"x":false}}`, false},
		{`{"a":null}`, `{}`, true},
		{`{"a":1.0}`, `{"a":1}`, false}, // tokens, not numbers: another text is another claim
		{`{"a":[1,2]}`, `{"a":[ 1, 2 ]}`, true},
		{`{"a":[1]}`, `{"a":[1,2]}`, false},
		{`{"a":{}}`, `{"a":true}`, false},
		{`{"a":true}`, `{"a":{}}`, false},
		{`"a"`, `{}`, false},
	} {
		if Within(sallyport.MustParse(c.claimed), sallyport.MustParse(c.accepted)) != c.within {
			t.Errorf("%s within %s: %v", c.claimed, c.accepted, !c.within)
		}
	}
	if Within(sallyport.MustParse(`{}`), sallyport.Value{}) {
		t.Error("something is within nothing")
	}
}
