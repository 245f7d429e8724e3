package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// foe is a Streamable HTTP server of the session era, written by hand: it
// behaves except when it is asked to call a tool.
type foe struct {
	t    testing.TB
	log  seen
	call func(w http.ResponseWriter, r *http.Request, m wire.Message)
	get  func(w http.ResponseWriter, r *http.Request)

	sessions atomic.Int64
	lost     sync.Map // sessions that it has forgotten
}

func (f *foe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session := r.Header.Get("Mcp-Session-Id")
	body, _ := io.ReadAll(r.Body)
	m, _ := wire.Parse(body)
	method := m.Method
	if method == "" {
		method = r.Method
	}
	if m.IsResponse() && m.ID.Type() != sallyport.Absent {
		method = "answer"
	}
	f.log.note(method, session, string(body), r.Header.Clone())
	if _, lost := f.lost.Load(session); lost {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`)
		return
	}
	switch {
	case r.Method == http.MethodGet && f.get != nil:
		f.get(w, r)
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case method == "initialize":
		w.Header().Set("Mcp-Session-Id", fmt.Sprintf("session-%d", f.sessions.Add(1)))
		answerJSON(w, m, `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"foe","version":"0"}}`)
	case m.IsNotification() || method == "answer":
		w.WriteHeader(http.StatusAccepted)
	case method == "server/discover":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID.Raw())
	case method == "tools/call":
		if name, _ := m.Params.Get("name").Text(); name == "well" {
			answerJSON(w, m, `{"content":[{"type":"text","text":"well"}]}`)
			return
		}
		f.call(w, r, m)
	case method == "tools/list":
		answerJSON(w, m, `{"tools":[]}`)
	default:
		answerJSON(w, m, `{}`)
	}
}

func answerJSON(w http.ResponseWriter, m wire.Message, result string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID.Raw(), result)
}

// events starts an event stream and gives the means to write to it.
func events(w http.ResponseWriter) func(format string, args ...any) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return func(format string, args ...any) {
		fmt.Fprintf(w, format, args...)
		w.(http.Flusher).Flush()
	}
}

func newFoe(t testing.TB, limits Limits, call func(w http.ResponseWriter, r *http.Request, m wire.Message)) (*hall, *foe) {
	f := &foe{t: t, call: call}
	h := newHall(t, Server{URL: serve(t, f), Limits: limits, Headers: map[string]string{"Authorization": "Bearer s3cret"}})
	return h, f
}

const wellResult = `{"content":[{"type":"text","text":"fine"}]}`

// TestBadAnswers: each is a clear error or the right answer, and the next call goes through.
func TestBadAnswers(t *testing.T) {
	type answer = func(w http.ResponseWriter, r *http.Request, m wire.Message)
	raw := func(contentType, format string) answer {
		return func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
			w.Header().Set("Content-Type", contentType)
			fmt.Fprint(w, strings.ReplaceAll(format, "ID", string(m.ID.Raw())))
		}
	}
	for name, c := range map[string]struct {
		answer answer
		want   string // in the error; empty for the result "fine"
	}{
		"malformed":       {raw("application/json", `{"jsonrpc":"2.0","id":ID,"result":{"a":}}`), "malformed"},
		"duplicate keys":  {raw("application/json", `{"jsonrpc":"2.0","id":ID,"result":{"isError":true,"isError":false}}`), "malformed"},
		"trailing data":   {raw("application/json", `{"jsonrpc":"2.0","id":ID,"result":{}} {}`), "malformed"},
		"invalid UTF-8":   {raw("application/json", "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"a\":\"\xff\"}}"), "malformed"},
		"batch":           {raw("application/json", `[{"jsonrpc":"2.0","id":ID,"result":{}}]`), "batches"},
		"too deep":        {raw("application/json", `{"jsonrpc":"2.0","id":ID,"result":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`), "nested"},
		"another id":      {raw("application/json", `{"jsonrpc":"2.0","id":99999999,"result":{}}`), "another call"},
		"id as text":      {raw("application/json", `{"jsonrpc":"2.0","id":"ID","result":{}}`), "another call"},
		"a request":       {raw("application/json", `{"jsonrpc":"2.0","id":ID,"method":"ping"}`), "another call"},
		"not JSON":        {raw("text/html", `<h1>hello</h1>`), "did not answer in JSON"},
		"empty":           {raw("application/json", ``), "malformed"},
		"SSE malformed":   {raw("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"a\":1,\"a\":2}}\n\n"), "malformed"},
		"SSE without end": {raw("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}}\n"), "without an answer"},
		"SSE other ids":   {raw("text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":1234567,\"result\":{}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"ID\",\"result\":{}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":"+wellResult+"}\n\n"), ""},
		"SSE odd":         {raw("text/event-stream", ": hello\r\nevent: message\r\nid: 1\r\nretry: x\r\nnonsense\r\ndata:{\"jsonrpc\":\"2.0\",\r\ndata:\"id\":ID,\r\ndata: \"result\":"+wellResult+"}\r\n\r\n"), ""},
		"SSE other event": {raw("text/event-stream", "event: ping\ndata: {}\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":"+wellResult+"}\n\n"), ""},
		"status 500": {func(w http.ResponseWriter, _ *http.Request, _ wire.Message) {
			http.Error(w, "the database password is hunter2", http.StatusInternalServerError)
		}, "HTTP 500"},
		"status 202": {func(w http.ResponseWriter, _ *http.Request, _ wire.Message) { w.WriteHeader(http.StatusAccepted) }, "did not answer"},
		"status 401": {func(w http.ResponseWriter, _ *http.Request, _ wire.Message) { w.WriteHeader(http.StatusUnauthorized) }, "credentials"},
		"error with a result": {func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID.Raw())
		}, "HTTP 502"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,`, m.ID.Raw())
		}, "unexpected EOF"},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request, _ wire.Message) { panic(http.ErrAbortHandler) }, "EOF"},
		"huge headers": {func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
			answerJSON(w, m, wellResult)
		}, "header"},
		"announces too much": {func(w http.ResponseWriter, _ *http.Request, _ wire.Message) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "70000000000")
			w.WriteHeader(http.StatusOK)
		}, "size limit"},
		"endless JSON": {func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
			w.Header().Set("Content-Type", "application/json")
			endless(w, r, `{"jsonrpc":"2.0","id":"`)
		}, "size limit"},
		"endless line": {func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
			w.Header().Set("Content-Type", "text/event-stream")
			endless(w, r, `data: `)
		}, "size limit"},
		"endless event": {func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
			say := events(w)
			for r.Context().Err() == nil {
				say("data: %s\n", strings.Repeat("x", 1<<10))
			}
		}, "size limit"},
		"large notification": {func(w http.ResponseWriter, r *http.Request, m wire.Message) {
			say := events(w)
			say("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"%s\"}}\n\n", strings.Repeat("x", 1<<18))
		}, "size limit"},
		"large answer": {func(w http.ResponseWriter, r *http.Request, m wire.Message) {
			answerJSON(w, m, `{"content":[{"type":"text","text":"fine"}],"more":"`+strings.Repeat("x", 1<<18)+`"}`)
		}, ""},
		"slow body": {func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
			w.Header().Set("Content-Type", "application/json")
			trickle(w, r)
		}, "no sign of life"},
		"slow event": {func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: ")
			trickle(w, r)
		}, "no sign of life"},
		"silence": {func(_ http.ResponseWriter, r *http.Request, _ wire.Message) { <-r.Context().Done() }, "no sign of life"},
		"slow but alive": {func(w http.ResponseWriter, r *http.Request, m wire.Message) {
			say := events(w)
			token := m.Params.Get("_meta").Get("progressToken").Raw()
			for i := range 8 {
				time.Sleep(150 * time.Millisecond)
				say("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":%s,\"progress\":%d}}\n\n", token, i)
			}
			say("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", m.ID.Raw(), wellResult)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, f := newFoe(t, Limits{Message: 1 << 17, Result: 1 << 20, Silence: 600 * time.Millisecond}, c.answer)
			a := agent{revision: wire.Revision20251125, session: "s1"}
			client := &clientEnd{}
			answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"bad","_meta":{"progressToken":7}}`, client)
			switch {
			case c.want == "" && textOf(t, answer, err) != "fine":
				t.Errorf("answer: %s", answer.Result.Raw())
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error: %v", err)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the body of an error reached the agent: %v", err)
			case err != nil && !errors.Is(err, gateway.ErrUnanswered):
				t.Errorf("the server had the call, and it passes for one that was never sent: %v", err)
			}
			if name == "slow but alive" && len(client.told) != 8 {
				t.Errorf("%d reports of progress", len(client.told))
			}
			if got := a.tool(t, h, "well", `{}`, nil); got != "well" {
				t.Errorf("afterwards: %q", got)
			}
			if n := f.log.count("tools/call"); n != 2 {
				t.Errorf("the call was sent %d times", n-1)
			}
			if n := f.log.count("initialize"); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request, start string) {
	_, _ = io.WriteString(w, start)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat("x", 1<<14)); err != nil {
			return
		}
	}
}

func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

func TestEndlessAnswersCostBoundedMemory(t *testing.T) {
	h, _ := newFoe(t, Limits{Result: 4 << 20}, func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
		w.Header().Set("Content-Type", "text/event-stream")
		endless(w, r, "data: ")
	})
	var before, after runtime.MemStats
	a := agent{revision: wire.Revision20251125, session: "s1"}
	a.tool(t, h, "well", `{}`, nil)
	runtime.ReadMemStats(&before)
	for range 4 {
		if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"bad"}`, nil); err == nil {
			t.Fatal("an endless answer ended")
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestLostSession(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{}, nil)
	a := agent{revision: wire.Revision20251125, session: "s1"}
	for _, setup := range []struct{ method, params string }{
		{"resources/subscribe", `{"uri":"test://r"}`}, {"logging/setLevel", `{"level":"debug"}`},
	} {
		if _, err := a.query(t.Context(), h, setup.method, setup.params); err != nil {
			t.Fatal(err)
		}
	}
	f.lost.Store("session-1", true)
	if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"well"}`, nil); err == nil || !strings.Contains(err.Error(), "forgotten") {
		t.Fatalf("error: %v", err)
	}
	if n := f.log.count("tools/call"); n != 1 {
		t.Fatalf("a call that may have acted was sent %d times", n)
	}
	if got := a.tool(t, h, "well", `{}`, nil); got != "well" {
		t.Errorf("the next call: %q", got)
	}
	f.lost.Store("session-2", true)
	if _, err := a.query(t.Context(), h, "tools/list", `{}`); err != nil {
		t.Errorf("a list was not asked for again: %v", err)
	}
	if f.log.last("tools/list").Session != "session-3" {
		t.Errorf("sessions: %d", f.sessions.Load())
	}
	for _, method := range []string{"resources/subscribe", "logging/setLevel"} {
		if got := f.log.last(method); got.Session != "session-3" {
			t.Errorf("%s was not repeated in the new session: %+v", method, got)
		}
	}
}

func TestResumption(t *testing.T) {
	t.Parallel()
	var id atomic.Value
	h, f := newFoe(t, Limits{}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		id.Store(string(m.ID.Raw()))
		events(w)("id: e-1\nretry: 10\ndata: \n\n")
	})
	f.get = func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Last-Event-ID") {
		case "e-1":
			say := events(w)
			say("id: e-2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n")
		case "e-2":
			events(w)("id: e-3\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id.Load(), wellResult)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}
	a := agent{revision: wire.Revision20251125, session: "s1"}
	client := &clientEnd{}
	answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"polling"}`, client)
	if got := textOf(t, answer, err); got != "fine" || !answer.Streamed {
		t.Errorf("got %q, streamed %v", got, answer.Streamed)
	}
	if got := fmt.Sprint(client.polls); got != "[10ms true 10ms true]" {
		t.Errorf("told to poll: %s", got)
	}
	if len(client.told) != 1 || f.log.count("tools/call") != 1 {
		t.Errorf("told %v, called %d times", client.methods(), f.log.count("tools/call"))
	}
}

func TestForeignProgressIsDropped(t *testing.T) {
	t.Parallel()
	h, _ := newFoe(t, Limits{}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		say := events(w)
		say("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"7\",\"progress\":1}}\n\n")
		say("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":4711,\"progress\":1}}\n\n")
		say("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", m.ID.Raw(), wellResult)
	})
	client := &clientEnd{}
	a := agent{revision: wire.Revision20251125, session: "s1"}
	if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"bad","_meta":{"progressToken":"7"}}`, client); err != nil {
		t.Fatal(err)
	}
	if len(client.told) != 0 || h.Dropped() != 2 {
		t.Errorf("told %v, dropped %d", client.methods(), h.Dropped())
	}
}

func TestAsksAreBoundedAndBound(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		say := events(w)
		say("data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n")
		say("data: {\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}\n\n")
		for i := range 40 {
			say("data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"roots/list\"}\n\n", i)
		}
		say("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}}\n\n")
		time.Sleep(300 * time.Millisecond)
		say("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", m.ID.Raw(), wellResult)
	})
	idle := make(chan struct{})
	f.get = func(w http.ResponseWriter, r *http.Request) {
		say := events(w)
		<-idle
		say("data: {\"jsonrpc\":\"2.0\",\"id\":\"idle\",\"method\":\"roots/list\"}\n\n")
		<-r.Context().Done()
	}
	a := agent{revision: wire.Revision20251125, session: "s1"}
	a.tool(t, h, "well", `{}`, nil)
	close(idle)
	eventually(t, "an ask without a call was not answered", func() bool {
		return strings.Contains(f.log.last("answer").Params, "no call is open")
	})
	var cancelled atomic.Int64
	client := &clientEnd{answer: func(ctx context.Context, _ wire.Message) (gateway.Answer, error) {
		<-ctx.Done()
		cancelled.Add(1)
		return gateway.Answer{}, ctx.Err()
	}}
	if got := a.tool(t, h, "bad", `{}`, client); got != "fine" {
		t.Errorf("got %q", got)
	}
	eventually(t, "asks outlive their call", func() bool { return cancelled.Load() == asksAtOnce })
	if len(client.asked) != asksAtOnce {
		t.Errorf("%d asks at once", len(client.asked))
	}
	answers := ""
	for _, c := range f.log.calls() {
		if c.Method == "answer" {
			answers += c.Params + "\n"
		}
	}
	for _, want := range []string{`"id":"p","result":{}`, `"id":"t","error":{"code":-32601`} {
		if !strings.Contains(answers, want) {
			t.Errorf("no %s among the answers:\n%s", want, answers)
		}
	}
}

func TestAgentGoneEndsTheCall(t *testing.T) {
	t.Parallel()
	h, f := newFoe(t, Limits{}, func(w http.ResponseWriter, r *http.Request, _ wire.Message) {
		events(w)("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n")
		<-r.Context().Done()
	})
	_, err := agent{revision: wire.Revision20251125, session: "s1"}.execute(t.Context(), h, "tools/call", `{"name":"bad"}`, gone{})
	if err == nil || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("error: %v", err)
	}
	eventually(t, "the server was never told", func() bool { return f.log.count("notifications/cancelled") == 1 })
}

type gone struct{ gateway.Client }

func (gone) Tell(context.Context, wire.Message) error { return errors.New("the agent hung up") }
