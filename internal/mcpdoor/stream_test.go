package mcpdoor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/kill"
)

// traced counts new connections.
func traced(ctx context.Context, connections *int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			*connections++
		}
	}})
}

func TestGetStream(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp", anaToken, `{}`)
	next, leave, _ := a.open(a.request(t.Context(), http.MethodGet, ""))
	heard := func(server, method, params string) { w.gateway.Heard(server, a.session, message(method, params)) }
	heard("desk", "notifications/tools/list_changed", `{}`)
	want(t, "event", next(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}`)
	heard("desk", "notifications/resources/updated", `{"uri":"desk://a"}`) // to which nobody subscribed
	a.rpc("1", "resources/subscribe", `{"uri":"sallyport:desk/desk://b"}`)
	heard("desk", "notifications/resources/updated", `{"uri":"desk://b"}`)
	want(t, "update", next(), `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"sallyport:desk/desk://b"}}`)

	// A second stream takes the place of the first, which may be dead.
	next2, leave2, _ := a.open(a.request(t.Context(), http.MethodGet, ""))
	want(t, "the first ends", next(), "EOF")
	leave()
	heard("cloud", "notifications/tools/list_changed", `{}`)
	want(t, "the second hears", next2(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}`)
	leave2()

	// What is missed meanwhile is there for who says where it was.
	w.until(func() bool { s := w.door.find(a.session, owner{"acme", "ana", "ana"}, "r_ana", ""); return !s.Busy() })
	heard("desk", "notifications/prompts/list_changed", `{}`)
	back := a.request(t.Context(), http.MethodGet, "")
	back.Header.Set("Last-Event-ID", "0-2")
	next, leave, _ = a.open(back)
	defer leave()
	want(t, "missed", next(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}`)
	want(t, "missed", next(), `{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{}}`)
	a.do(a.request(t.Context(), http.MethodDelete, ""))
	want(t, "DELETE ends it", next(), "EOF")
}

// Whoever is revoked hears nothing more on the streams that are open, and so
// it is when a credential comes to stand for another run.
func TestRevokedHearsNothing(t *testing.T) {
	for name, revoke := range map[string]func(*world){
		"revoked":     func(w *world) { w.revoked = anaToken },
		"another run": func(w *world) { w.begunAnew = true },
	} {
		t.Run(name, func(t *testing.T) { hearsNothingAfter(t, revoke) })
	}
}

// A stream ends with a kill of whoever hears it: the agent, its run or the server
// that it is about, but no other server. It is not opened again.
func TestKilledStream(t *testing.T) {
	for _, c := range []struct {
		path  string
		scope kill.Scope
		ends  bool
	}{
		{"/mcp", kill.Scope{Kind: kill.Agent, Name: "ana"}, true},
		{"/mcp", kill.Scope{Kind: kill.Run, Name: "r_ana"}, true},
		{"/mcp", kill.Scope{Kind: kill.Server, Name: "desk"}, false},
		{"/mcp/desk", kill.Scope{Kind: kill.Server, Name: "desk"}, true},
		{"/mcp/desk", kill.Scope{Kind: kill.Server, Name: "cloud"}, false},
		{"/mcp/desk", kill.Scope{Kind: kill.Agent, Name: "bob"}, false},
	} {
		w := serve(t, Options{})
		a := w.connect(c.path, anaToken, `{}`)
		next, leave, _ := a.open(a.request(t.Context(), http.MethodGet, ""))
		defer leave()
		w.gateway.Kills.Stop(kill.Order{ID: "k_1", Scope: c.scope, Reason: "because"})
		w.gateway.Heard("desk", a.session, message("notifications/tools/list_changed", `{}`))
		if got := next(); (got == "EOF") != c.ends {
			t.Errorf("%s, %v is killed: %s", c.path, c.scope, got)
		}
		if !c.ends {
			continue
		}
		if got := a.do(a.request(t.Context(), http.MethodGet, "")); got.status != http.StatusForbidden || !strings.Contains(got.last(), "killed by the operator: because (k_1)") {
			t.Errorf("%s, %v: opened again: %d %s", c.path, c.scope, got.status, got.last())
		}
	}
}

func hearsNothingAfter(t *testing.T, revoke func(*world)) {
	w := serve(t, Options{})
	a, b := w.connect("/mcp", anaToken, `{}`), w.modern("/mcp/desk", anaToken, `{}`)
	next, leave, _ := a.open(a.request(t.Context(), http.MethodGet, ""))
	defer leave()
	told, hangUp, _ := b.open(b.ask(t.Context(), `1`, "subscriptions/listen", "", `"notifications":{"toolsListChanged":true}`))
	told() // the acknowledgement
	w.mu.Lock()
	revoke(w)
	w.mu.Unlock()
	w.gateway.Heard("desk", a.session, message("notifications/tools/list_changed", `{}`))
	want(t, "the session's stream ends", next(), "EOF")
	w.changes <- message("notifications/tools/list_changed", `{}`)
	go func() { time.Sleep(100 * time.Millisecond); hangUp() }()
	if said := told(); strings.Contains(said, "list_changed") {
		t.Errorf("told after the revocation: %s", said)
	}
}

// An agent of the session era whose connection breaks finds the rest of the
// answer where it left off.
func TestResumption(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, elicits)
	ctx, breakOff := context.WithCancel(t.Context())
	r := a.request(ctx, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","arguments":{"of":"elicitation/create"}}}`)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	var text string
	for !strings.Contains(text, "elicitation/create") {
		n, err := response.Body.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buffer[:n])
	}
	if !strings.HasPrefix(text, "id: 1-0\ndata: \n\nevent: message\nid: 1-1\ndata: {") {
		t.Errorf("stream begins with %q", text)
	}
	breakOff()
	response.Body.Close()
	resume := func(last string) got {
		r := a.request(t.Context(), http.MethodGet, "")
		r.Header.Set("Last-Event-ID", last)
		return a.do(r)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		a.post(`{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}`)
	}()
	g := resume("1-1") // waits until the answer is there
	if len(g.events) != 1 || g.events[0] != `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"action":"decline"}}}` || g.ids[0] != "1-2" {
		t.Errorf("resumed: %+v", g)
	}
	if g := resume("1-0"); len(g.events) != 2 {
		t.Errorf("from the beginning: %+v", g)
	}
	if g := resume("1-2"); len(g.events) != 0 || g.status != 200 {
		t.Errorf("from the end: %+v", g)
	}
	old := &agent{w: w, path: "/mcp/desk", token: anaToken}
	first := old.rpc("1", "initialize", `{"protocolVersion":"2025-03-26","capabilities":{}}`)
	old.session = first.header.Get("Mcp-Session-Id")
	if g := old.rpc("2", "tools/call", `{"name":"count","_meta":{"progressToken":1}}`); len(g.ids) != 4 || !strings.HasPrefix(g.body, "event: message\n") {
		t.Errorf("an event without data confuses clients before 2025-11-25: %q", g.body)
	}
}

// A server that ends its stream to be polled for the answer lets the agent go,
// too.
func TestPolling(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	g := a.rpc("1", "tools/call", `{"name":"poll"}`)
	want(t, "stream", g.body, "id: 1-0\ndata: \n\nretry: 500\n\n")
	back := a.request(t.Context(), http.MethodGet, "")
	back.Header.Set("Last-Event-ID", g.ids[0])
	want(t, "answer", strings.Join(a.do(back).events, "\n"), `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	lost := a.rpc("3", "tools/call", `{"name":"poll","arguments":{"lost":"yes"}}`)
	want(t, "where nothing can be resumed", lost.body, "retry: 500\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"content\":[]}}\n\n")
	for name, b := range map[string]*agent{
		"who takes no stream": {w: w, path: a.path, token: a.token, session: a.session, headers: map[string]string{"Accept": "application/json"}},
	} {
		if g := b.rpc("2", "tools/call", `{"name":"poll"}`); !strings.Contains(g.body, `"result"`) || g.kind != "application/json" {
			t.Errorf("%s: %+v", name, g)
		}
	}
	if g := w.modern("/mcp/desk", anaToken, `{}`).modernCall("poll", `{}`); !strings.Contains(g.body, `"result"`) {
		t.Errorf("the stateless era has no resumption: %+v", g)
	}
}

// Who answers on a stream is answered for on a stream.
func TestStreamedAnswers(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	g := a.rpc("1", "tools/call", `{"name":"stream"}`)
	want(t, "content type", g.kind, "text/event-stream")
	want(t, "body", g.body, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n")
	a.headers = map[string]string{"Accept": "application/json"}
	want(t, "unless it is not taken", a.rpc("1", "tools/call", `{"name":"stream"}`).kind, "application/json")
}

// Ten thousand sessions that nobody uses cost little memory and no goroutine.
func TestIdleSessionsAreSmall(t *testing.T) {
	w := newWorld(t, Options{})
	const n = 10_000
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	params := sallyport.MustParse(`{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}}}`)
	for i := range n {
		x := &exchange{door: w.door, owner: owner{"acme", "ana", fmt.Sprint(i)}, server: "desk", transport: "http",
			credential: sallyport.Credential{Token: anaToken}}
		x.message.Method, x.message.Params = "initialize", params
		if x.initialize(t.Context()); x.session == nil {
			t.Fatal("no session")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := runtime.NumGoroutine() - goroutines; grown > 1 {
		t.Errorf("%d goroutines", grown)
	}
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d bytes a session", each)
	if each > 4096 {
		t.Errorf("%d bytes a session", each)
	}
	w.door.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if left := int64(after.HeapAlloc) - int64(before.HeapAlloc); left > n*200 {
		t.Errorf("%d bytes are left of them", left)
	}
}

// A client that sends its body by the drop, or takes no answer, is cut off.
func TestServerHasLimits(t *testing.T) {
	s := Server(http.NotFoundHandler())
	if s.ReadHeaderTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 1<<20 {
		t.Errorf("%+v", s)
	}
	w := serve(t, Options{})
	a := w.connect("/mcp", anaToken, `{}`)
	r := a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	r.Header.Set("X-Huge", strings.Repeat("x", 128<<10))
	if g := a.do(r); g.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("huge headers: %+v", g.status)
	}
}
