package upstream

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/wire"
)

func TestNobodySharesASession(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{}, nil)
	old, stateless := wire.Revision20251125, wire.Stateless
	for _, a := range []agent{
		{revision: old, session: "s1", user: "ann"},
		{revision: old, session: "s2", user: "ann"},
		{revision: old, session: "s1", user: "bob"}, // whoever got hold of ann's session id
		{revision: stateless, user: "ann"},
		{revision: stateless, user: "bob"},
	} {
		for range 2 {
			a.tool(t, h, "well", `{}`, nil)
		}
	}
	owners := map[string][]string{}
	for _, c := range f.log.calls() {
		if c.Method == "tools/call" {
			owners[c.Session] = append(owners[c.Session], c.Params)
		}
	}
	if len(owners) != 5 {
		t.Errorf("%d sessions for five owners", len(owners))
	}
	for session, calls := range owners {
		if len(calls) != 2 {
			t.Errorf("%s carried %d calls", session, len(calls))
		}
	}
}

func TestCapabilitiesAreTheAgents(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{}, nil)
	a := agent{revision: wire.Stateless, user: "ann"}
	a.tool(t, h, "well", `{}`, nil)
	if got := f.log.last("initialize").Params; !strings.Contains(got, `"capabilities":{"elicitation":{"form":{}},"sampling":{},"roots":{}}`) || !strings.Contains(got, `{"name":"bot","version":"1"}`) {
		t.Errorf("introduced as %s", got)
	}
	// The same principal with fewer capabilities: the server must not ask it what only the other can answer.
	call := &sallyport.Call{Server: "peer", Method: "tools/call", Principal: a.principal(), Revision: a.revision,
		Params: sallyport.MustParse(`{"name":"well","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}`)}
	executeRaw(t, h, call)
	if got := f.log.last("initialize").Params; !strings.Contains(got, `"capabilities":{}`) {
		t.Errorf("introduced as %s", got)
	}
	if got := f.log.last("tools/call").Params; strings.Contains(got, "_meta") || strings.Contains(got, "2026-07-28") {
		t.Errorf("what the old era has no word for went along: %s", got)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{Idle: time.Minute, Sessions: 3}, nil)
	a := agent{revision: wire.Revision20251125}
	use := func(session string) {
		t.Helper()
		a.session = session
		a.tool(t, h, "well", `{}`, nil)
	}
	deleted := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d sessions were not given back", n), func() bool { return f.log.count("DELETE") == n })
	}
	use("s1")
	use("s2")
	h.sweepAt(30 * time.Second)
	use("s3")
	use("s1")
	use("s4") // there is room for three: the one longest unused has to go
	deleted(1)
	if got := f.log.last("DELETE").Session; got != "session-2" {
		t.Errorf("evicted %s", got)
	}
	h.Leave("s1")
	deleted(2)
	if _, err := a.execute(t.Context(), h, "resources/subscribe", `{"uri":"test://r"}`, nil); err != nil {
		t.Fatal(err)
	}
	h.sweepAt(2 * time.Minute)
	deleted(3) // s3 was idle; s4 holds a subscription
	h.Close()
	deleted(4)
	for i := range 4 {
		if name := fmt.Sprintf("session-%d", i+1); f.log.sessions() != 5 { // and none for initialize
			t.Errorf("%s: %d sessions", name, f.log.sessions())
		}
	}
}

func TestBusySessionsAreNotEvicted(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	h, _ := newFoe(t, Limits{Sessions: 1}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		close(entered)
		<-leave
		answerJSON(w, m, wellResult)
	})
	var running sync.WaitGroup
	running.Go(func() {
		agent{revision: wire.Revision20251125, session: "s1"}.tool(t, h, "long", `{}`, nil)
	})
	<-entered
	h.sweepAt(time.Hour)
	other := agent{revision: wire.Revision20251125, session: "s2"}
	if _, err := other.execute(t.Context(), h, "tools/call", `{"name":"well"}`, nil); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("error: %v", err)
	}
	close(leave)
	running.Wait()
	if got := other.tool(t, h, "well", `{}`, nil); got != "well" {
		t.Errorf("got %q", got)
	}
}

// TestIdleDoorSessionsCostLittle: 10,000 agents that connect and look around once are neither goroutines nor
// sessions at the server.
func TestIdleDoorSessionsCostLittle(t *testing.T) {
	h, f := newFoe(t, Limits{}, nil)
	agent{revision: wire.Revision20251125, session: "first"}.tool(t, h, "well", `{}`, nil)
	hello := sallyport.MustParse(declaredOld)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	for i := range 10_000 {
		session := fmt.Sprintf("s%d", i)
		h.Greet(session, hello)
		if answer, err := (agent{revision: wire.Revision20251125, session: session}).query(t.Context(), h, "initialize", declaredOld); err != nil || answer.Result.Get("serverInfo").Get("name").Type() != sallyport.String {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := runtime.NumGoroutine() - goroutines; n > 5 {
		t.Errorf("%d goroutines more", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 5<<20 {
		t.Errorf("the heap grew by %d KiB", grown>>10)
	}
	if n := f.log.count("initialize"); n != 1 {
		t.Errorf("%d sessions at the server", n)
	}
	for i := range 10_000 {
		h.Leave(fmt.Sprintf("s%d", i))
	}
	if len(h.hellos) != 0 {
		t.Errorf("%d sessions are remembered for ever", len(h.hellos))
	}
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	f, g := &foe{t: t}, &foe{t: t}
	entered, leave := make(chan struct{}), make(chan struct{})
	g.call = func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		close(entered)
		<-leave
		answerJSON(w, m, wellResult)
	}
	one, two := Server{Name: "one", URL: serve(t, f)}, Server{Name: "two", URL: serve(t, g)}
	h := newHall(t, one, two)
	a, b := agent{revision: wire.Revision20251125, session: "s", server: "one"}, agent{revision: wire.Revision20251125, session: "s", server: "two"}
	a.tool(t, h, "well", `{}`, nil)
	b.tool(t, h, "well", `{}`, nil)
	var running sync.WaitGroup
	running.Go(func() {
		if got := b.tool(t, h, "long", `{}`, nil); got != "fine" {
			t.Errorf("a call that ran got %q", got)
		}
	})
	<-entered
	changed := two
	changed.Headers = map[string]string{"X-New": "1"}
	if err := h.Configure([]Server{one, changed, {Name: "three"}}); err == nil {
		t.Fatal("a server without a way to reach it was taken")
	}
	if err := h.Configure([]Server{one, changed}); err != nil {
		t.Fatal(err)
	}
	a.tool(t, h, "well", `{}`, nil)
	if n := f.log.count("initialize"); n != 1 || f.log.count("DELETE") != 0 {
		t.Errorf("the unchanged server has had %d sessions", n)
	}
	b.tool(t, h, "well", `{}`, nil)
	if got := g.log.last("tools/call").Header.Get("X-New"); got != "1" {
		t.Error("the new configuration is not in force")
	}
	close(leave)
	running.Wait()
	eventually(t, "the replaced server keeps its session", func() bool { return g.log.count("DELETE") == 1 })
	if err := h.Configure([]Server{one}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.execute(t.Context(), h, "tools/call", `{"name":"well"}`, nil); err == nil || !strings.Contains(err.Error(), "no server") {
		t.Errorf("error: %v", err)
	}
}

func TestServersAreChecked(t *testing.T) {
	h := newHall(t)
	for _, c := range []struct {
		server Server
		want   string
	}{
		{Server{Name: "", Command: "x"}, "empty"},
		{Server{Name: "a__b", Command: "x"}, "__"},
		{Server{Name: "a"}, "either"},
		{Server{Name: "a", Command: "x", URL: "http://example.com"}, "either"},
		{Server{Name: "a", URL: "ftp://example.com"}, "http"},
		{Server{Name: "a", URL: "http://"}, "host"},
		{Server{Name: "a", URL: "http://user:pass@example.com"}, "header"},
		{Server{Name: "a", URL: "http://example.com/#x"}, "fragment"},
		{Server{Name: "a", URL: "http://example.com", Transport: "carrier pigeon"}, "transport"},
		{Server{Name: "a", URL: "http://example.com", Revision: "2020-01-01"}, "revision"},
		{Server{Name: "a", URL: "http://example.com", Headers: map[string]string{"mcp-session-id": "x"}}, "protocol"},
		{Server{Name: "a", URL: "http://example.com", Headers: map[string]string{"content-length": "1"}}, "protocol"},
		{Server{Name: "a", URL: "http://example.com", Headers: map[string]string{"X-A": "a\r\nX-B: b"}}, "carry"},
		{Server{Name: "a", Command: "x", Headers: map[string]string{"X-A": "a"}}, "belong"},
	} {
		if err := h.Configure([]Server{c.server}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.server, err)
		}
	}
	if err := h.Configure([]Server{{Name: "a", Command: "x"}, {Name: "a", Command: "y"}}); err == nil {
		t.Error("two servers of one name")
	}
}

// TestErasAreLearned: a server that is replaced by one of the other era is found out about.
func TestErasAreLearned(t *testing.T) {
	t.Parallel()
	log := &seen{}
	old := newPeer(oldRevisions, log)
	peers := []http.Handler{streamable(old, false), streamable(newPeer(newRevisions, log), true)}
	t.Cleanup(func() { // nobody can give it back where it came from
		for session := range old.Sessions() {
			_ = session.Close()
		}
	})
	var mu sync.Mutex
	now := 0
	h := newHall(t, Server{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		peer := peers[now]
		mu.Unlock()
		peer.ServeHTTP(w, r)
	}))})
	a := agent{revision: wire.Revision20251125, session: "s1"}
	a.tool(t, h, "echo", `{"text":"1"}`, nil)
	mu.Lock()
	now = 1
	mu.Unlock()
	var err error
	for range 3 {
		if _, err = a.execute(t.Context(), h, "tools/call", `{"name":"echo","arguments":{"text":"2"}}`, nil); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("the server's new era was never found out: %v", err)
	}
}

func TestConfiguredRevision(t *testing.T) {
	t.Parallel()
	log := &seen{}
	h := newHall(t, Server{Revision: "2025-06-18", URL: serve(t, streamable(newPeer(oldRevisions, log), false))})
	agent{revision: wire.Stateless}.tool(t, h, "echo", `{"text":"1"}`, nil)
	if got := log.last("initialize").Params; !strings.Contains(got, "2025-06-18") || log.count("server/discover") != 0 {
		t.Errorf("asked %s, with %s", log.methods(), got)
	}
	if got := log.last("tools/call").Header.Get("Mcp-Protocol-Version"); got != "2025-06-18" {
		t.Errorf("spoke %s", got)
	}
}

func executeRaw(t testing.TB, h *hall, call *sallyport.Call) {
	t.Helper()
	answer, err := h.Execute(context.Background(), ticketFor(call, nil), &clientEnd{})
	textOf(t, answer, err)
}

// sweepAt closes what is idle as it would be after so long.
func (h *hall) sweepAt(after time.Duration) {
	h.each(func(srv *server) { srv.sweep(time.Now().Add(after)) })
}
