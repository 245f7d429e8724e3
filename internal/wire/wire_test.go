package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"sallyport"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		kind string // of message, or the code of the error
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, "request"},
		{`{"id":"","params":{},"method":"x","jsonrpc":"2.0"}`, "request"},
		{`{"jsonrpc":"2.0","id":-9007199254740993,"method":"ping"}`, "request"},
		{`{"jsonrpc":"2.0","method":"notifications/x"}`, "notification"},
		{`{"jsonrpc":"2.0","id":1,"result":null}`, "response"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}`, "response"},
		{`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`, "response"},
		{`{"\u006asonrpc":"2.0","id":1,"method":"ping"}`, "request"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","x":1}`, "request"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"`, "-32700"},
		{`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, "-32700"},
		{``, "-32700"},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "-32600"},
		{`"ping"`, "-32600"}, {`null`, "-32600"}, {`{}`, "-32600"},
		{`{"id":1,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":2.0,"id":1,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0 ","id":1,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":""}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":null}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1.0,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1e2,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":true,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":null,"result":{}}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1}`, "-32600"},
		{`{"jsonrpc":"2.0","result":{}}`, "-32600"},
	} {
		m, err := Parse([]byte(c.text))
		got := ""
		if refused, ok := errors.AsType[*Error](err); ok {
			got = string(sallyport.MustParse(string(refused.Object())).Get("code").Raw())
		} else {
			got = kindOf(&m)
		}
		if got != c.kind {
			t.Errorf("%s is %s (%v), want %s", c.text, got, err, c.kind)
		}
	}
}

func kindOf(m *Message) string {
	kinds := ""
	for name, is := range map[string]bool{"request": m.IsRequest(), "notification": m.IsNotification(), "response": m.IsResponse()} {
		if is {
			kinds += name
		}
	}
	return kinds
}

// encode writes a message anew.
func encode(m *Message) []byte {
	switch {
	case m.Method != "":
		return AppendRequest(nil, m.ID.Raw(), m.Method, m.Params.Raw())
	case m.Error.Type() != sallyport.Absent:
		return AppendErrorValue(nil, m.ID.Raw(), m.Error.Raw())
	default:
		return AppendResult(nil, m.ID.Raw(), m.Result.Raw())
	}
}

// Parse, encode, parse is a fixed point, and no byte of what is inside changes.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":9007199254740993}}}`,
		`{"jsonrpc":"2.0","id":"a\u0000","result":{"x":"\ud83d\ude00"}}`, `{"jsonrpc":"2.0","method":"notifications/ä"}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}`, `[]`, `{"jsonrpc":"2.0","id":-0,"method":"\n"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%q: %v is no JSON-RPC error", text, err)
			}
			return
		}
		once := encode(&m)
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("%q was written as %q, which is refused: %v", text, once, err)
		}
		if twice := encode(&again); !bytes.Equal(once, twice) {
			t.Fatalf("%q, %q", once, twice)
		}
		for i, pair := range [][2]sallyport.Value{{m.ID, again.ID}, {m.Params, again.Params}, {m.Result, again.Result}, {m.Error, again.Error}} {
			if !bytes.Equal(pair[0].Raw(), pair[1].Raw()) {
				t.Fatalf("part %d of %q changed: %q, %q", i, text, pair[0].Raw(), pair[1].Raw())
			}
		}
		if m.Method != again.Method || kindOf(&m) != kindOf(&again) || IDKey(m.ID) != IDKey(again.ID) {
			t.Fatalf("%q became another message", text)
		}
	})
}

func TestIDKey(t *testing.T) {
	key := func(raw string) string { return IDKey(sallyport.MustParse(raw)) }
	if key(`1`) == key(`"1"`) || key(`"a"`) != key(`"\u0061"`) || key(`""`) == key(`0`) {
		t.Error("ids are told apart wrongly")
	}
}

// Each method of the table is of the eras that the specification gives it.
func TestLookup(t *testing.T) {
	for method, eras := range map[string][2]bool{ // 2025-11-25, 2026-07-28
		"initialize": {true, false}, "notifications/initialized": {true, false}, "ping": {true, false}, "server/discover": {false, true},
		"tools/list": {true, true}, "tools/call": {true, true}, "prompts/list": {true, true}, "prompts/get": {true, true},
		"resources/list": {true, true}, "resources/templates/list": {true, true}, "resources/read": {true, true},
		"resources/subscribe": {true, false}, "resources/unsubscribe": {true, false}, "subscriptions/listen": {false, true},
		"completion/complete": {true, true}, "logging/setLevel": {true, false},
		"notifications/roots/list_changed": {true, false}, "notifications/cancelled": {true, true}, "notifications/progress": {true, true},
		"tasks/get": {true, true}, "tasks/cancel": {true, true}, "tasks/update": {false, true}, "tasks/result": {true, false}, "tasks/list": {true, false},
		"elicitation/create": {}, "sampling/createMessage": {}, "roots/list": {}, "tools/Call": {}, "": {},
	} {
		if got := [2]bool{Lookup(method, Revision20251125).Treatment != Refused, Lookup(method, Stateless).Treatment != Refused}; got != eras {
			t.Errorf("%s: %v, want %v", method, got, eras)
		}
	}
	for method, row := range FromClient {
		if row.Treatment == Refused {
			t.Errorf("%s is in the table and refused", method)
		}
		if (row.Treatment == Calls || row.Treatment == List) != (row.Kind != sallyport.KindUnknown) || (row.Treatment == List) != (row.Items != "") {
			t.Errorf("%s: %+v", method, row)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for wanted, given := range map[string]string{"2024-11-05": "2024-11-05", "2025-11-25": "2025-11-25", Stateless: Revision20251125, "x": Revision20251125} {
		if got := Negotiate(wanted); got != given {
			t.Errorf("%s: %s", wanted, got)
		}
	}
}

func TestHeaderValues(t *testing.T) {
	for raw, want := range map[string]string{
		`"plain"`: "plain", `"two words"`: "two words", `42`: "42", `true`: "true", `""`: "",
		`"Zürich"`: "=?base64?WsO8cmljaA==?=", `" x"`: "=?base64?IHg=?=", `"x\t"`: "=?base64?eAk=?=", `"a\r\nb"`: "=?base64?YQ0KYg==?=",
		`"=?base64?eA==?="`: "=?base64?PT9iYXNlNjQ/ZUE9PT89?=",
	} {
		v := sallyport.MustParse(raw)
		got, ok := EncodeHeader(v)
		if !ok || got != want {
			t.Errorf("%s is written %q, want %q", raw, got, want)
		}
		p := ParamHeader{Name: "H", Path: []string{"a"}}
		if err := p.Check(Header{"H": {got}}, "H", sallyport.MustParse(`{"a":`+raw+`}`)); err != nil {
			t.Errorf("%s does not survive: %v", raw, err)
		}
	}
	for _, raw := range []string{`null`, `{}`, `[]`} {
		if _, ok := EncodeHeader(sallyport.MustParse(raw)); ok {
			t.Errorf("%s was written", raw)
		}
	}
}

func TestParamHeaders(t *testing.T) {
	schema := sallyport.MustParse(`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"object","properties":{"c":{"x-mcp-header":"C"}}},"d":{"type":"string"},"e":{"x-mcp-header":"bad name"},"f":{"x-mcp-header":""}}}`)
	headers := ParamHeaders(schema)
	if len(headers) != 2 || headers[0].Name != "Mcp-Param-A" || headers[1].Name != "Mcp-Param-C" || !slices.Equal(headers[1].Path, []string{"b", "c"}) {
		t.Fatalf("%+v", headers)
	}
	for _, c := range []struct {
		argument string
		header   []string
		ok       bool
	}{
		{`"x"`, []string{"x"}, true}, {`"x"`, []string{" x\t"}, true}, {`"x"`, []string{"X"}, false}, {`"x"`, nil, false}, {`"x"`, []string{"x", "x"}, false},
		{`"Hello"`, []string{"=?base64?SGVsbG8=?="}, true}, {`"Hello"`, []string{"=?base64?SGVsbG8?="}, false}, {`"Hello"`, []string{"=?base64?SGVs!!!bG8=?="}, false},
		{`"SGVsbG8="`, []string{"SGVsbG8="}, true}, {`"=?base64?SGVsbG8="`, []string{"=?base64?SGVsbG8="}, true},
		{`null`, nil, true}, {`null`, []string{"null"}, false}, {`null`, []string{""}, false},
		{`42`, []string{"42"}, true}, {`42.0`, []string{"42"}, true}, {`42`, []string{"43"}, false}, {`42`, []string{"0x2A"}, false}, {`42`, []string{""}, false},
		{`9007199254740993`, []string{"9007199254740992"}, false}, {`9007199254740993`, []string{"9007199254740993"}, true}, {`1.5`, []string{"1.50"}, false},
		{`true`, []string{"true"}, true}, {`true`, []string{"True"}, false}, {`{}`, []string{"{}"}, false},
	} {
		err := headers[0].Check(Header{"Mcp-Param-A": c.header}, "Mcp-Param-A", sallyport.MustParse(`{"a":`+c.argument+`}`))
		if (err == nil) != c.ok {
			t.Errorf("%s with %q: %v", c.argument, c.header, err)
		}
	}
}

func TestAccepts(t *testing.T) {
	for value, want := range map[string][2]bool{
		"application/json, text/event-stream": {true, true}, "text/event-stream,application/json;q=0.9": {true, true}, "*/*": {true, true},
		"application/json": {true, false}, "TEXT/Event-Stream": {false, true}, "application/*": {true, false}, "text/html": {}, "": {}, "application/jsonx": {},
	} {
		json, stream := Header{"Accept": {value}}.Accepts()
		if got := [2]bool{json, stream}; got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if json, stream := (Header{}).Accepts(); !json || !stream {
		t.Error("who does not say takes any")
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	in := NewLines(strings.NewReader("a\r\n\n "+long[:10]+" \n"+long+"\nb\n"+strings.Repeat("y", 20)+"\nlast"), 19)
	for _, want := range []string{"a", "", long[:10], "too long", "b", "too long", "last"} {
		got, err := in.Next()
		if errors.Is(err, ErrLineTooLong) {
			got = []byte("too long")
		} else if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("got %.20q, want %.20q", got, want)
		}
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if got := string(OneLine([]byte("{\r\n\"a\":1\n}"))); strings.ContainsAny(got, "\r\n") || !bytes.Contains([]byte(got), []byte(`"a":1`)) {
		t.Errorf("one line: %q", got)
	}
}

// What is shown on /mcp can be taken apart in one way, byte for byte.
func FuzzNaming(f *testing.F) {
	f.Add("desk", "refund", "desk://tickets/{id}")
	f.Add("a-1", "__x__", "/../x?y#z")
	f.Add("a", "", "")
	f.Fuzz(func(t *testing.T, server, name, uri string) {
		if server == "" || strings.Trim(server, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return // not a name that a server can have
		}
		n := Naming(server)
		quoted := sallyport.AppendString(nil, name)
		params, err := sallyport.Parse(append(append([]byte(`{"name":`), quoted...), '}'))
		if err != nil {
			return
		}
		shown := sallyport.MustParse(string(n.Item("tools", params)))
		back, own, ok := Unname("tools/call", shown)
		if !ok || back != server || string(shown.Splice(own)) != string(params.Raw()) {
			t.Errorf("%q of %q: %s", name, server, shown.Raw())
		}
		if back, own, ok := SplitURI(n.uri(uri)); !ok || back != server || own != uri {
			t.Errorf("URI %q of %q: %q, %q", uri, server, back, own)
		}
	})
}

func TestMerged(t *testing.T) {
	var all []sallyport.Value
	for _, text := range []string{`{"tools":{"listChanged":false},"x":1}`, `{"tools":{},"logging":{}}`, `{"tools":{"listChanged":true,"deep":{"a":{}}},"x":{"y":2}}`, `{}`} {
		all = append(all, sallyport.MustParse(text))
	}
	if got := string(AppendMerged(nil, all)); got != `{"tools":{"listChanged":true,"deep":{"a":{}}},"x":{"y":2},"logging":{}}` {
		t.Error(got)
	}
	if got := string(AppendMerged(nil, nil)); got != `{}` {
		t.Error(got)
	}
}

func TestWith(t *testing.T) {
	if got := string(With(sallyport.MustParse(`{ "b" : 2, "\u0063":[] }`), "a", []byte("1"))); got != `{"a":1,"b":2,"\u0063":[]}` {
		t.Error(got)
	}
	if got := string(With(sallyport.Value{}, "a", []byte("1"))); got != `{"a":1}` {
		t.Error(got)
	}
}
