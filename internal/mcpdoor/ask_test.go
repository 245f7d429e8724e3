package mcpdoor

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/mcpdoor/parking"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

const elicits = `{"elicitation":{},"sampling":{}}`

// open sends a request and reads its event stream as it comes.
func (a *agent) open(r *http.Request) (next func() string, close func(), header http.Header) {
	a.w.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		a.w.t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		a.w.t.Fatalf("HTTP %d, %s", response.StatusCode, kind)
	}
	in := sse.NewReader(bufio.NewReader(response.Body), "", 1<<20)
	return func() string {
		a.w.t.Helper()
		text, err := in.Next()
		if err != nil {
			return err.Error()
		}
		return string(text)
	}, func() { response.Body.Close() }, response.Header
}

func TestAskSessionEra(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, elicits)
	call := a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","arguments":{"of":"elicitation/create"}}}`)
	next, leave, _ := a.open(call)
	defer leave()
	want(t, "question", next(), `{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Really?","requestedSchema":{"type":"object"}}}`)

	yes := `{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"n":9007199254740993}}}`
	other := w.connect("/mcp/desk", anaToken, elicits)
	if g := other.post(yes); g.status != 400 {
		t.Errorf("another session answered: %+v", g)
	}
	bob := &agent{w: w, path: "/mcp/desk", token: bobToken, session: a.session}
	if g := bob.post(yes); g.status != 404 {
		t.Errorf("another principal answered: %+v", g)
	}
	if g := a.post(`{"jsonrpc":"2.0","id":"1","result":{}}`); g.status != 400 {
		t.Errorf("an answer under another id was taken: %+v", g)
	}
	if g := a.post(`{"jsonrpc":"2.0","id":2,"result":{}}`); g.status != 400 {
		t.Errorf("an answer to no question was taken: %+v", g)
	}
	if g := a.post(yes); g.status != 202 {
		t.Errorf("the answer: %+v", g)
	}
	want(t, "result", next(), `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"action":"accept","content":{"n":9007199254740993}}}}`)
	if g := a.post(yes); g.status != 400 {
		t.Errorf("the answer twice: %+v", g)
	}

	// What the agent never said it can do is not asked.
	mute := w.connect("/mcp/desk", anaToken, `{}`)
	if g := mute.rpc("1", "tools/call", `{"name":"ask","arguments":{"of":"elicitation/create"}}`); !strings.Contains(g.body, "unable") {
		t.Errorf("asked anyway: %+v", g)
	}
	// A client that takes no event stream can't be asked either.
	deaf := w.connect("/mcp/desk", anaToken, elicits)
	deaf.headers = map[string]string{"Accept": "application/json"}
	if g := deaf.rpc("1", "tools/call", `{"name":"ask","arguments":{"of":"elicitation/create"}}`); !strings.Contains(g.body, "-31002") {
		t.Errorf("asked anyway: %+v", g)
	}
	if g := deaf.rpc("2", "tools/call", `{"name":"count","_meta":{"progressToken":1}}`); g.kind != "application/json" || g.status != 200 {
		t.Errorf("progress for one who takes no stream: %+v", g)
	}
}

// An answer is taken once, even before the one who asked has looked.
func TestAnswerIsTakenOnce(t *testing.T) {
	s := &session{}
	id, _, done := s.question()
	defer done()
	m := &wire.Message{ID: sallyport.MustParse(string(id)), Result: sallyport.MustParse(`{}`)}
	if !s.answered(m) || s.answered(m) {
		t.Error("an answer was taken twice, or not at all")
	}
}

// A question ends with its call.
func TestAskIsCancelled(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, elicits)
	next, leave, _ := a.open(a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"ask","arguments":{"of":"sampling/createMessage"}}}`))
	defer leave()
	if q := next(); !strings.Contains(q, "sampling/createMessage") {
		t.Fatal(q)
	}
	a.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`)
	want(t, "the agent is told", next(), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	want(t, "end", next(), "EOF")
}

// askFor makes a stateless agent's call that asks, and gives the handle.
func (a *agent) askFor(t *testing.T) (handle string) {
	t.Helper()
	r := a.modernCall("ask", `{"of":"elicitation/create"}`).value(t).Get("result")
	if !r.Get("resultType").IsText("input_required") {
		t.Fatalf("got %s", r.Raw())
	}
	want(t, "input requests", string(r.Get("inputRequests").Raw()), `{"ask-1":{"method":"elicitation/create","params":{"message":"Really?","requestedSchema":{"type":"object"}}}}`)
	handle, _ = r.Get("requestState").Text()
	return handle
}

const answers = `"inputResponses":{"ask-1":{"action":"accept","content":{"n":9007199254740993}},"other":{}}`

func (a *agent) retry(tool, arguments, handle, responses string) got {
	return a.do(a.ask(context.Background(), "9", "tools/call", tool, `"name":"`+tool+`","arguments":`+arguments+`,"requestState":"`+handle+`",`+responses))
}

const asksElicitation = `{"of":"elicitation/create"}`

func TestAskStatelessEra(t *testing.T) {
	w := serve(t, Options{})
	a := w.modern("/mcp/desk", anaToken, elicits)
	handle := a.askFor(t)
	bob := w.modern("/mcp/desk", bobToken, elicits)
	for name, g := range map[string]got{
		"another principal": bob.retry("ask", asksElicitation, handle, answers),
		"another run":       w.modern("/mcp/desk", anaRunToken, elicits).retry("ask", asksElicitation, handle, answers),
		"other arguments":   a.retry("ask", `{"of":"sampling/createMessage"}`, handle, answers),
		"another tool":      a.retry("echo", `{}`, handle, answers),
		"a changed handle":  a.retry("ask", asksElicitation, handle[:len(handle)-1]+"_", answers),
		"a made-up handle":  a.retry("ask", asksElicitation, handlePrefix, answers),
		"another parameter": a.retry("ask", asksElicitation, handle, answers+`,"task":{}`),
		"on another path":   w.modern("/mcp", anaToken, elicits).retry("cloud__echo", asksElicitation, handle, answers),
	} {
		if g.status != 400 || !strings.Contains(g.body, "-32602") {
			t.Errorf("%s was let through: %+v", name, g)
		}
	}
	w.seen()
	g := a.retry("ask", asksElicitation, handle, answers)
	want(t, "result", g.body, `{"jsonrpc":"2.0","id":9,"result":{"content":[],"structuredContent":{"action":"accept","content":{"n":9007199254740993}},"resultType":"complete"}}`)
	want(t, "the retry at the server", w.seen(), "") // the call that waited went on
	if g := a.retry("ask", asksElicitation, handle, answers); g.status != 400 {
		t.Errorf("a handle was used twice: %+v", g)
	}

	// Without an answer it is asked again, under a new handle.
	handle = a.askFor(t)
	again := a.retry("ask", asksElicitation, handle, `"inputResponses":{"wrong":{}}`).value(t).Get("result")
	second, _ := again.Get("requestState").Text()
	if !again.Get("resultType").IsText("input_required") || second == handle || second == "" {
		t.Errorf("asked again: %s", again.Raw())
	}
	if g := a.retry("ask", asksElicitation, second, answers); !strings.Contains(g.body, "accept") {
		t.Errorf("%+v", g)
	}
	// A server's own state goes to the server.
	w.seen()
	a.retry("echo", `{"text":"x"}`, "v1.abc", `"inputResponses":{}`)
	want(t, "foreign state", w.seen(), `desk tools/call echo {"text":"x"}`)

	mute := w.modern("/mcp/desk", anaToken, `{}`)
	if g := mute.modernCall("ask", asksElicitation); !strings.Contains(g.body, "unable") {
		t.Errorf("asked anyway: %+v", g)
	}
}

func TestParkedCallsAreBounded(t *testing.T) {
	w := serve(t, Options{Patience: time.Hour})
	a := w.modern("/mcp/desk", anaToken, elicits)
	for range parking.MaxOfOne {
		a.askFor(t)
	}
	if g := a.modernCall("ask", asksElicitation); !strings.Contains(g.body, "too many calls wait") {
		t.Errorf("%+v", g)
	}
	bob := w.modern("/mcp/desk", bobToken, elicits)
	bob.askFor(t)  // others have their own share
	w.door.Close() // ends them, or goroutines are left
}

func TestParkedCallExpires(t *testing.T) {
	w := serve(t, Options{Patience: 20 * time.Millisecond})
	a := w.modern("/mcp/desk", anaToken, elicits)
	handle := a.askFor(t)
	w.until(func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.records >= 4 }) // the call and its question have ended
	if g := a.retry("ask", asksElicitation, handle, answers); g.status != 400 {
		t.Errorf("an expired handle: %+v", g)
	}
}

func TestProgressFollowsTheRetry(t *testing.T) {
	x := &exchange{server: "desk"}
	x.message.Params = sallyport.MustParse(`{"_meta":{"progressToken":"new"}}`)
	got := string(x.notification("desk", message("notifications/progress", `{"progressToken":"old","progress":1}`)))
	want(t, "progress", got, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"new","progress":1}}`)
	x.message.Params = sallyport.MustParse(`{}`)
	if text := x.notification("desk", message("notifications/progress", `{"progressToken":"old"}`)); text != nil {
		t.Errorf("progress that nobody wanted: %s", text)
	}
}
