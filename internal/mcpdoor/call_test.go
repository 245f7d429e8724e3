package mcpdoor

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSessionEra(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, `{}`)

	g := a.rpc("7", "tools/call", `{"name":"echo","arguments":{"text":"hi","n":9007199254740993}}`)
	want(t, "content type", g.kind, "application/json")
	want(t, "answer", g.body, `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"echo"}],"structuredContent":{"text":"hi","n":9007199254740993},"beyond":9007199254740993}}`)
	want(t, "server", w.seen(), `desk tools/call echo {"text":"hi","n":9007199254740993}`)

	g = a.rpc(`"s"`, "tools/call", `{"name":"count","_meta":{"progressToken":"p\u0031"}}`)
	want(t, "content type", g.kind, "text/event-stream")
	want(t, "progress", strings.Join(g.events, "\n"), `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p\u0031","progress":0}}
{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p\u0031","progress":1}}
{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p\u0031","progress":2}}
{"jsonrpc":"2.0","id":"s","result":{"content":[]}}`)
	w.seen()

	want(t, "ping", a.rpc("1", "ping", `{}`).body, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	want(t, "unknown method", a.rpc("2", "tools/destroy", `{}`).body, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"there is no method \"tools/destroy\" here"}}`)
	want(t, "the other era's method", a.rpc("2", "server/discover", `{}`).body, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"there is no method \"server/discover\" here"}}`)
	want(t, "initialize twice in one session is another session", a.rpc("3", "initialize", `{"protocolVersion":"1999-01-01"}`).value(t).Get("result").Get("protocolVersion").Type().String(), "string")
	if g := a.rpc("3", "initialize", `{}`); !strings.Contains(g.body, "-32602") {
		t.Errorf("initialize without a version: %+v", g)
	}

	g = a.rpc("8", "tools/call", `{"name":"fail"}`)
	want(t, "failure", g.body, `{"jsonrpc":"2.0","id":8,"error":{"code":-31002,"message":"server desk: broke: the server took the call and gave no answer"}}`)
	w.seen()

	g = a.rpc("9", "tools/call", `{"name":"refund","arguments":{"amount":500}}`)
	r := g.value(t).Get("result")
	text, _ := firstText(r)
	if !strings.Contains(text, "small-refunds") || !strings.Contains(text, "Refunds above 100 need a person.") || !strings.Contains(text, "(call c_") {
		t.Errorf("the refusal does not say enough: %s", text)
	}
	if string(r.Get("isError").Raw()) != "true" || !strings.Contains(string(r.Get("_meta").Get("sallyport/decision").Raw()), `"cause":"policy","rules":["small-refunds"]`) {
		t.Errorf("refusal: %s", r.Raw())
	}
	want(t, "refused call at the server", w.seen(), "")

	if g := a.rpc("10", "prompts/get", `{"name":"nope"}`); !strings.Contains(g.body, `"code":-32602`) || !strings.Contains(g.body, `"cause":"unknown"`) {
		t.Errorf("a prompt that is not there: %s", g.body)
	}
	want(t, "refused prompt at the server", w.seen(), "")

	if g := a.do(a.request(t.Context(), http.MethodDelete, "")); g.status != 204 {
		t.Errorf("DELETE: %+v", g)
	}
	if g := a.rpc("11", "ping", `{}`); g.status != 404 {
		t.Errorf("after DELETE: %+v", g)
	}
	w.mu.Lock()
	if len(w.left) != 1 || w.left[0] != a.session {
		t.Errorf("left %v", w.left)
	}
	w.mu.Unlock()
}

func firstText(result interface{ Raw() []byte }) (string, bool) {
	text := string(result.Raw())
	_, after, ok := strings.Cut(text, `"text":"`)
	if !ok {
		return text, false
	}
	return strings.ReplaceAll(after, `\"`, `"`), true
}

func TestNegotiation(t *testing.T) {
	w := serve(t, Options{})
	for asked, given := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", "2099-01-01": "2025-11-25", "": "2025-11-25",
	} {
		a := &agent{w: w, path: "/mcp", token: anaToken}
		g := a.rpc("1", "initialize", `{"protocolVersion":"`+asked+`","capabilities":{}}`)
		if v, _ := g.value(t).Get("result").Get("protocolVersion").Text(); v != given {
			t.Errorf("%q negotiated %q, want %q", asked, v, given)
		}
	}
}

func TestStatelessEra(t *testing.T) {
	w := serve(t, Options{})
	a := w.modern("/mcp/desk", anaToken, `{}`)

	g := a.modernCall("echo", `{"n":9007199254740993}`)
	want(t, "answer", g.body, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"echo"}],"structuredContent":{"n":9007199254740993},"beyond":9007199254740993,"resultType":"complete"}}`)
	if g.header.Get("Mcp-Session-Id") != "" {
		t.Error("a session in the stateless era")
	}
	g = a.do(a.ask(t.Context(), "1", "server/discover", "", ""))
	want(t, "discover", g.body, `{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"instructions":"Be kind.","resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"desk","version":"1"}}}}`)

	g = a.do(a.ask(t.Context(), "5", "tools/call", "refund", `"name":"refund","arguments":{"amount":500}`))
	if !strings.Contains(g.body, `"resultType":"complete"`) || !strings.Contains(g.body, `"isError":true`) || g.status != 200 {
		t.Errorf("refusal: %+v", g)
	}
	for _, method := range []string{"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list", "tasks/result", "tools/destroy"} {
		g := a.do(a.ask(t.Context(), "500", method, "", ""))
		if g.status != 404 || !strings.Contains(g.body, `"id":500`) || !strings.Contains(g.body, "-32601") {
			t.Errorf("%s: %d %s", method, g.status, g.body)
		}
	}
	if g := a.do(a.request(t.Context(), http.MethodGet, "")); g.status != 400 {
		t.Errorf("GET: %+v", g)
	}
	if g := a.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`); g.status != 202 {
		t.Errorf("a notification: %+v", g)
	}
}

func TestCancellation(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	ended := make(chan got)
	go func() { ended <- a.rpc("1", "tools/call", `{"name":"slow"}`) }()
	w.until(func() bool { return strings.Contains(w.seen(), "slow") })
	if g := a.rpc("1", "ping", `{}`); g.status != 400 || !strings.Contains(g.body, "still open") {
		t.Errorf("an id used twice: %+v", g)
	}
	if g := a.rpc(`"1"`, "ping", `{}`); g.status != 200 {
		t.Errorf("1 and \"1\" are two ids: %+v", g)
	}
	// Another session can't cancel it.
	b := w.connect("/mcp/desk", anaToken, `{}`)
	b.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	select {
	case g := <-ended:
		t.Fatalf("cancelled from outside: %+v", g)
	case <-time.After(20 * time.Millisecond):
	}
	a.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if g := <-ended; g.body != "" {
		t.Errorf("a cancelled call was answered: %+v", g)
	}

	// Hanging up is cancelling in the stateless era, and only there.
	hangUp := func(r func(ctx context.Context) *http.Request) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- a.do(r(ctx)) }()
		w.until(func() bool { return strings.Contains(w.seen(), "slow") })
		cancel()
		<-ended
	}
	records := func() int { w.mu.Lock(); defer w.mu.Unlock(); return w.records }
	m := w.modern("/mcp/desk", anaToken, `{}`)
	before := records()
	hangUp(func(ctx context.Context) *http.Request {
		return m.ask(ctx, "1", "tools/call", "slow", `"name":"slow"`)
	})
	w.until(func() bool { return records() == before+2 }) // intent and outcome
	hangUp(func(ctx context.Context) *http.Request {
		return a.request(ctx, http.MethodPost, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow"}}`)
	})
	time.Sleep(20 * time.Millisecond)
	if n := records() - before; n != 3 {
		t.Errorf("hanging up cancelled a call of the session era: %d records", n)
	}
	a.do(a.request(t.Context(), http.MethodDelete, ""))
	w.until(func() bool { return records() == before+4 })
}

// until waits for something that happens on its own.
func (w *world) until(happened func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); {
		if time.Now().After(end) {
			w.t.Fatal("it never happened")
		}
		time.Sleep(time.Millisecond)
	}
}
