package era

import (
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/wire"
)

const envelope = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"io.modelcontextprotocol/clientInfo":{"name":"bot","version":"1"}`

func TestParams(t *testing.T) {
	nothing := []Member(nil)
	for _, c := range []struct {
		name, params, meta string
		more               []Member
		want, token        string
	}{
		{"nothing to do", `{"name":"x"}`, ``, nothing, `{"name":"x"}`, ""},
		{"no params at all", ``, ``, nothing, `{}`, ""},
		{"the envelope goes", `{"_meta":{` + envelope + `},"name":"x"}`, ``, nothing, `{"name":"x"}`, ""},
		{"what is not of it stays", `{"_meta":{` + envelope + `,"traceparent":"00-1"},"name":"x"}`, ``, nothing, `{"name":"x","_meta":{"traceparent":"00-1"}}`, ""},
		{"log level goes", `{"_meta":{"io.modelcontextprotocol/logLevel":"debug"}}`, ``, nothing, `{}`, ""},
		{"the envelope comes", `{"name":"x"}`, envelope, nothing, `{"name":"x","_meta":{` + envelope + `}}`, ""},
		{"one envelope only", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"1999"},"name":"x"}`, envelope, nothing, `{"name":"x","_meta":{` + envelope + `}}`, ""},
		{"token", `{"_meta":{"progressToken":"t"}}`, ``, nothing, `{"_meta":{"progressToken":42}}`, `"t"`},
		{"a name in disguise", `{"_meta":{"\u0070rogressToken":1.50}}`, ``, nothing, `{"_meta":{"\u0070rogressToken":42}}`, `1.50`},
		{"bytes stay", `{ "arguments" : {"n":9007199254740993, "s":"\u00e4"} }`, ``, nothing, `{"arguments":{"n":9007199254740993, "s":"\u00e4"}}`, ""},
		{"more", `{"name":"x","requestState":"theirs"}`, ``, []Member{{"requestState", []byte(`"ours"`)}}, `{"name":"x","requestState":"ours"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var params sallyport.Value
			if c.params != "" {
				params = sallyport.MustParse(c.params)
			}
			text, token := Params(params, []byte("42"), []byte(c.meta), c.more)
			if string(text) != c.want || string(token) != c.token {
				t.Errorf("%s, token %s", text, token)
			}
			if _, err := sallyport.Parse(text); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRenumbered(t *testing.T) {
	for params, want := range map[string]string{
		`{"a":1 , "_meta":{ "progressToken" : "t" }}`: `{"a":1 , "_meta":{ "progressToken" : 42 }}`,
		`{"a":1 , "progressToken":"not this one" }`:   `{"a":1 , "progressToken":"not this one" }`,
	} {
		if text, _ := Renumbered(sallyport.MustParse(params), []byte("42")); string(text) != want {
			t.Errorf("%s", text)
		}
	}
	if text, token := Renumbered(sallyport.Value{}, nil); text != nil || token != nil {
		t.Errorf("no params became %s", text)
	}
}

func TestResults(t *testing.T) {
	words := sallyport.MustParse(`{"serverInfo":{"name":"s","version":"1"},"capabilities":{"tools":{}},"instructions":"be kind","protocolVersion":"2025-11-25"}`)
	info := `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}`
	v := sallyport.MustParse
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"legacy", Legacy(v(`{"resultType":"complete","tools":[ ],"ttlMs":5,"cacheScope":"public"}`)), `{"tools":[ ]}`},
		{"stateless call", Stateless("tools/call", v(`{"content":[]}`), words), `{"content":[],"resultType":"complete",` + info + `}`},
		{"stateless list", Stateless("tools/list", v(`{"tools":[]}`), words), `{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private",` + info + `}`},
		{"a result that lies about its type", Stateless("tools/call", v(`{"resultType":"input_required","inputRequests":{}}`), words), `{"inputRequests":{},"resultType":"complete",` + info + `}`},
		{"a server without a name", Stateless("tools/call", v(`{}`), v(`{}`)), `{"resultType":"complete"}`},
		{"meta stays", Stateless("tools/call", v(`{"_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{"name":"liar"}}}`), words),
			`{"resultType":"complete","_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}`},
		{"missing resource", StatelessError("resources/read", v(`{"code":-32002,"message":"m"}`)), `{"code":-32602,"message":"m"}`},
		{"another error", StatelessError("tools/call", v(`{"code":-32002,"message":"m"}`)), `{"code":-32002,"message":"m"}`},
		{"initialize", Initialized(v(string(Discovered(words))), "2025-06-18"), `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"},"instructions":"be kind"}`},
		{"tagged", Tagged(v(`{"uri":"x","_meta":{"a":1}}`), []byte("7")), `{"uri":"x","_meta":{"a":1,"io.modelcontextprotocol/subscriptionId":7}}`},
		{"untagged", Untagged(v(`{"uri":"x","_meta":{"a":1,"io.modelcontextprotocol/subscriptionId":7}}`)), `{"uri":"x","_meta":{"a":1}}`},
		{"untagged, nothing left", Untagged(v(`{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}`)), `{}`},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %s", c.name, c.got)
		}
	}
}

func TestInputs(t *testing.T) {
	result := sallyport.MustParse(`{"resultType":"input_required","requestState":"\u00e4","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m"}},"b":{"method":"roots/list"}}}`)
	inputs, err := Inputs(result, wire.Revision20251125, "in")
	if err != nil || len(inputs) != 2 || inputs[0].Key != "a" || string(inputs[1].Request.Raw) != `{"jsonrpc":"2.0","id":"in-1","method":"roots/list"}` {
		t.Errorf("%v %+v", err, inputs)
	}
	if got := Object(Retry(result, []Member{{"a", []byte(`{"action":"cancel"}`)}})); string(got) != `{"inputResponses":{"a":{"action":"cancel"}},"requestState":"\u00e4"}` {
		t.Errorf("%s", got)
	}
	for text, revision := range map[string]string{
		`{"inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"url"}}}}`: wire.Revision20250618,
		`{"inputRequests":{"a":{"method":"","params":{}}}}`:                               wire.Revision20251125,
		`{"inputRequests":{"a":{"method":"x","params":[]}}}`:                              wire.Revision20251125,
	} {
		if _, err := Inputs(sallyport.MustParse(text), revision, "in"); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestIntroduce(t *testing.T) {
	nobody := Introduction{Capabilities: []byte("{}"), Info: []byte(`{"name":"gate"}`)}
	hello := sallyport.MustParse(`{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"bot"}}`)
	got := string(Introduce(nobody, "2025-06-18", hello, sallyport.Value{}).Initialize("2025-06-18"))
	if got != string(hello.Raw()) {
		t.Errorf("%s", got)
	}
	meta := sallyport.MustParse(`{` + envelope + `}`)
	if got := string(Introduce(nobody, "", sallyport.Value{}, meta).Meta()); got != envelope {
		t.Errorf("%s", got)
	}
	bad := sallyport.MustParse(`{"capabilities":"all","clientInfo":[]}`)
	if got := string(Introduce(nobody, "", bad, sallyport.Value{}).Initialize("x")); !strings.Contains(got, `"capabilities":{},"clientInfo":{"name":"gate"}`) {
		t.Errorf("%s", got)
	}
}

// FuzzBridge: whatever goes over to the other era and back is still strict JSON, and says the same but for what the
// eras differ in.
func FuzzBridge(f *testing.F) {
	f.Add(`{"name":"x","arguments":{"a":[1,2,{"b":null}]},"_meta":{"progressToken":1,"k":"v"}}`)
	f.Add(`{"_meta":{` + envelope + `}}`)
	f.Add(`{"\u005fmeta":{"progressToken":"\ud83d\ude00"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		params, err := sallyport.Parse([]byte(text))
		if err != nil || params.Type() != sallyport.Object {
			return
		}
		plain, token := Params(params, []byte("1"), nil, nil)
		there, _ := Params(parse(t, plain), []byte("2"), []byte(envelope), nil)
		back, _ := Params(parse(t, there), orOne(token), nil, nil)
		again, _ := Params(parse(t, back), orOne(token), nil, nil)
		if string(back) != string(again) {
			t.Errorf("not a fixed point: %s, %s", back, again)
		}
		for name, member := range params.Members() {
			if name != "_meta" && string(parse(t, back).Get(name).Raw()) != string(member.Raw()) {
				t.Errorf("%q changed in %s", name, back)
			}
		}
		parse(t, Stateless("tools/list", params, params))
		parse(t, Legacy(params))
		parse(t, Initialized(params, "2025-11-25"))
		parse(t, Discovered(params))
		parse(t, Untagged(parse(t, Tagged(params, []byte("7")))))
	})
}

func orOne(token []byte) []byte {
	if token == nil {
		return []byte("1")
	}
	return token
}

func parse(t *testing.T, text []byte) sallyport.Value {
	t.Helper()
	v, err := sallyport.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
