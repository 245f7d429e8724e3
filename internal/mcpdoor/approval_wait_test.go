package mcpdoor

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/mcpdoor/rung"
)

// patient are clients that wait for a while.
func patient(t *testing.T, hold string) Options {
	t.Helper()
	table, err := rung.Parse("* 0 " + hold + " " + hold + " yes test")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Clients: table}
}

// isAsked waits until people are asked, and gives the question.
func (w *world) isAsked() (a sallyport.Approval) {
	w.t.Helper()
	w.until(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		a = w.asked
		return a.State == sallyport.Pending
	})
	return a
}

// say is what people say to the question.
func (w *world) say(state sallyport.ApprovalState) {
	w.t.Helper()
	a := w.isAsked()
	if a.State = state; state == sallyport.Approved {
		a.Answers = []sallyport.Answer{{Group: "finance", By: "operator", At: time.Now()}}
	} else {
		a.By, a.Reason = "operator", "Too big for today"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = a
}

const wanting = `{},"progressToken":"p"` // capabilities, and more of _meta

const bigCall = `{"name":"echo","arguments":{"n":12},"_meta":{"progressToken":"p"}}`

// hold makes a held call of an agent that wants progress, and gives what it is
// told, one by one.
func (w *world) hold(t *testing.T, ctx context.Context, era string) (next func() string, close func()) {
	t.Helper()
	if era == "stateless" {
		a := w.modern("/mcp/desk", anaToken, wanting)
		next, close, _ = a.open(a.ask(ctx, "1", "tools/call", "echo", `"name":"echo","arguments":{"n":12}`))
		return next, close
	}
	a := w.connect("/mcp/desk", anaToken, `{}`)
	next, close, _ = a.open(a.request(ctx, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+bigCall+`}`))
	return next, close
}

// answerOf is the answer after all progress, of which there is some.
func answerOf(t *testing.T, w *world, next func() string) sallyport.Value {
	t.Helper()
	last, beats := 0.0, 0
	for {
		text := next()
		m, err := sallyport.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%q", text)
		}
		if !m.Get("method").IsText("notifications/progress") {
			if beats == 0 {
				t.Error("no progress came")
			}
			return m.Get("result")
		}
		beats++
		p := m.Get("params")
		said, _ := p.Get("message").Text()
		now, _ := strconv.ParseFloat(string(p.Get("progress").Raw()), 64)
		w.mu.Lock()
		a := w.asked
		w.mu.Unlock()
		if !p.Get("progressToken").IsText("p") || now <= last {
			t.Errorf("progress that nobody can use: %s", text)
		}
		if !strings.Contains(said, a.ID) || !strings.Contains(said, a.Digest.Words()) || !strings.Contains(said, "finance") || !strings.Contains(said, "https://gate.example/console/approvals/"+a.ID) {
			t.Errorf("progress does not say what is waited for: %s", said)
		}
		last = now
	}
}

var eras = []string{"session", "stateless"}

// A client that wants progress waits: what people say comes as the answer, once.
func TestWaitsWithProgress(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, patient(t, "30s"))
			w.forbid(t, asks)
			next, leave := w.hold(t, t.Context(), era)
			defer leave()
			w.isAsked()
			want(t, "before anybody agreed", w.seen(), "")
			w.say(sallyport.Approved)
			if r := answerOf(t, w, next); r.Get("structuredContent").Type() != sallyport.Object {
				t.Errorf("agreed to: %s", r.Raw())
			}
			want(t, "server", w.seen(), `desk tools/call echo {"n":12}`)

			next, leave = w.hold(t, t.Context(), era)
			defer leave()
			w.say(sallyport.Refused)
			r := answerOf(t, w, next)
			if text, _ := firstText(r); r.Get("isError").Type() != sallyport.True || !strings.Contains(text, "Too big for today") {
				t.Errorf("refused: %s", r.Raw())
			}
			want(t, "server", w.seen(), "")
		})
	}
}

// Nobody answers in the time that a client waits: then it is told to come back.
func TestWaitEnds(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, patient(t, "400ms"))
			w.forbid(t, asks)
			next, leave := w.hold(t, t.Context(), era)
			defer leave()
			r := answerOf(t, w, next)
			if !r.Get("_meta").Get("sallyport/decision").Get("status").IsText("pending_approval") || r.Get("isError").Type() != sallyport.False {
				t.Errorf("got %s", r.Raw())
			}
			want(t, "server", w.seen(), "")
		})
	}
}

// A yes lets through what is allowed at the time, and nobody whom it was not
// given to: the call is decided from the first line.
func TestWhatChangesMeanwhileWins(t *testing.T) {
	for name, change := range map[string]func(*world){
		"a tighter policy": func(w *world) {
			w.forbid(t, asks+`@id("no") forbid (principal, action == Action::"desk/tool:echo", resource);`)
		},
		"one more rule that asks": func(w *world) {
			w.forbid(t, asks+`@id("more") @ask("finance") forbid (principal, action == Action::"desk/tool:echo", resource);`)
		},
		"a revoked credential": func(w *world) { w.mu.Lock(); w.revoked = anaToken; w.mu.Unlock() },
		"another run":          func(w *world) { w.mu.Lock(); w.begunAnew = true; w.mu.Unlock() },
	} {
		for _, era := range eras {
			t.Run(name+"/"+era, func(t *testing.T) {
				w := serve(t, patient(t, "800ms"))
				w.forbid(t, asks)
				next, leave := w.hold(t, t.Context(), era)
				defer leave()
				w.isAsked()
				change(w)
				w.say(sallyport.Approved)
				for text := next(); strings.HasPrefix(text, "{"); text = next() {
					if strings.Contains(text, "structuredContent") {
						t.Errorf("it ran: %s", text)
					}
				}
				want(t, "server", w.seen(), "")
			})
		}
	}
}

// Who vanishes does not get its call carried out behind its back; the yes stays
// for when it comes again.
func TestWhoeverVanishesIsNotWaitedFor(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, patient(t, "30s"))
			w.forbid(t, asks)
			ctx, hangUp := context.WithCancel(t.Context())
			next, leave := w.hold(t, ctx, era)
			defer leave()
			next()
			hangUp()
			w.until(func() bool { return w.nobodyWaits() })
			w.say(sallyport.Approved)
			time.Sleep(lookEvery)
			want(t, "server", w.seen(), "")
			if r := w.connect("/mcp/desk", anaToken, `{}`).rpc("1", "tools/call", bigCall).value(t).Get("result"); r.Get("structuredContent").Type() != sallyport.Object {
				t.Errorf("the identical call: %s", r.Raw())
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		w := serve(t, patient(t, "30s"))
		w.forbid(t, asks)
		a := w.connect("/mcp/desk", anaToken, `{}`)
		next, leave, _ := a.open(a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":`+bigCall+`}`))
		defer leave()
		next()
		a.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`)
		for text := next(); text != "EOF"; text = next() {
			if !strings.Contains(text, "notifications/progress") {
				t.Errorf("a cancelled call is answered: %s", text)
			}
		}
		if !w.nobodyWaits() {
			t.Error("it waits still")
		}
		want(t, "server", w.seen(), "")
	})
}

// soon says when what follows took as long as a wait.
func soon(t *testing.T) func() {
	began := time.Now()
	return func() {
		t.Helper()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	}
}

// nobodyWaits reports whether ana has all her room.
func (w *world) nobodyWaits() bool {
	n := 0
	for leave, ok := w.door.waits.Enter(ana); ok; leave, ok = w.door.waits.Enter(ana) {
		defer leave()
		n++
	}
	return n == 64
}

var ana = owner{"acme", "ana", "ana"}

// A gateway that stops does not wait for people: the agent is told to come back.
func TestDrainParks(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, patient(t, "30s"))
			w.forbid(t, asks)
			next, leave := w.hold(t, t.Context(), era)
			defer leave()
			w.isAsked()
			w.door.Drain()
			defer soon(t)()
			if r := answerOf(t, w, next); !r.Get("_meta").Get("sallyport/decision").Get("status").IsText("pending_approval") {
				t.Errorf("got %s", r.Raw())
			}
		})
	}
}

// One agent can't have the gateway wait without end.
func TestWaitsAreBounded(t *testing.T) {
	w := serve(t, patient(t, "30s"))
	w.forbid(t, asks)
	for {
		if _, ok := w.door.waits.Enter(ana); !ok {
			break
		}
	}
	a := w.connect("/mcp/desk", anaToken, `{}`)
	defer soon(t)()
	if r := a.rpc("1", "tools/call", bigCall).value(t).Get("result"); !r.Get("_meta").Get("sallyport/decision").Get("status").IsText("pending_approval") {
		t.Errorf("got %s", r.Raw())
	}
}

// Over stdio it is the same.
func TestWaitsOverStdio(t *testing.T) {
	w := newWorld(t, patient(t, "30s"))
	w.forbid(t, asks)
	in, agentIn := io.Pipe()
	agentOut, out := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- w.door.ServeStdio(t.Context(), in, out, sallyport.Credential{Token: anaToken}, "desk")
		out.Close()
	}()
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		rest := ""
		buffer := make([]byte, 64<<10)
		for {
			n, err := agentOut.Read(buffer)
			rest += string(buffer[:n])
			for line, more, ok := strings.Cut(rest, "\n"); ok; line, more, ok = strings.Cut(rest, "\n") {
				lines <- line
				rest = more
			}
			if err != nil {
				return
			}
		}
	}()
	_, _ = io.WriteString(agentIn, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`+"\n")
	<-lines
	_, _ = io.WriteString(agentIn, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+bigCall+`}`+"\n")
	w.say(sallyport.Approved)
	if r := answerOf(t, w, func() string { return <-lines }); r.Get("structuredContent").Type() != sallyport.Object {
		t.Errorf("got %s", r.Raw())
	}
	agentIn.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

const pages = `{"elicitation":{"url":{}}}`

// A client whose user can open a page is asked to, and waits for what people say
// there.
func TestPageInASession(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // of the client
		says   sallyport.ApprovalState
		early  bool // people answer before the client does
	}{
		"agreed":    {`{"action":"accept"}`, sallyport.Approved, false},
		"refused":   {`{"action":"accept"}`, sallyport.Refused, false},
		"elsewhere": {``, sallyport.Approved, true},
		"declined":  {`{"action":"decline"}`, sallyport.Pending, false},
		"an error":  {`{}`, sallyport.Pending, false},
	} {
		t.Run(name, func(t *testing.T) {
			defer soon(t)()
			w := serve(t, patient(t, "30s"))
			w.forbid(t, asks)
			a := w.connect("/mcp/desk", anaToken, pages)
			next, leave, _ := a.open(a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":12}}}`))
			defer leave()
			m := sallyport.MustParse(next())
			p, asked := m.Get("params"), w.isAsked()
			text, _ := p.Get("message").Text()
			if !m.Get("method").IsText("elicitation/create") || !p.Get("mode").IsText("url") || !p.Get("elicitationId").IsText(asked.ID) ||
				!p.Get("url").IsText("https://gate.example/console/approvals/"+asked.ID) {
				t.Fatalf("asked: %s", m.Raw())
			}
			for _, part := range []string{asked.ID, asked.Digest.Words(), "ana", `"echo"`, "desk", "finance", "Nothing has been done"} {
				if !strings.Contains(text, part) {
					t.Errorf("the message does not say %q: %s", part, text)
				}
			}
			if c.answer != "" {
				a.post(`{"jsonrpc":"2.0","id":` + string(m.Get("id").Raw()) + `,"result":` + c.answer + `}`)
			}
			time.Sleep(20 * time.Millisecond)
			want(t, "a page that was opened is no yes", w.seen(), "")
			if c.says != sallyport.Pending {
				w.say(c.says)
			}
			text = next()
			switch {
			case c.early:
				want(t, "the page", text, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+string(m.Get("id").Raw())+`}}`)
				text = next()
			case c.says != sallyport.Pending:
				want(t, "the page", text, `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"`+asked.ID+`"}}`)
				text = next()
			}
			expect := map[sallyport.ApprovalState]string{sallyport.Approved: `"structuredContent":{"n":12}`, sallyport.Refused: "Too big for today", sallyport.Pending: `"status":"pending_approval"`}
			if !strings.Contains(text, expect[c.says]) {
				t.Errorf("the answer: %s", text)
			}
		})
	}
}

// In the stateless era it is the answer that asks, and the retry waits.
func TestPageOfAStatelessAgent(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		says   sallyport.ApprovalState
		early  bool
	}{
		"agreed":          {`{"action":"accept"}`, sallyport.Approved, false},
		"refused":         {`{"action":"accept"}`, sallyport.Refused, false},
		"agreed meantime": {`{"action":"accept"}`, sallyport.Approved, true},
		"declined":        {`{"action":"decline"}`, sallyport.Pending, false},
	} {
		t.Run(name, func(t *testing.T) {
			defer soon(t)()
			w := serve(t, patient(t, "30s"))
			w.forbid(t, asks)
			a := w.modern("/mcp/desk", anaToken, pages)
			r := a.modernCall("echo", `{"n":12}`).value(t).Get("result")
			asked := w.isAsked()
			q := r.Get("inputRequests").Get("ask-1")
			p := q.Get("params")
			if !r.Get("resultType").IsText("input_required") || !q.Get("method").IsText("elicitation/create") || !p.Get("mode").IsText("url") ||
				p.Get("elicitationId").Type() != sallyport.Absent || !p.Get("url").IsText("https://gate.example/console/approvals/"+asked.ID) {
				t.Fatalf("asked: %s", r.Raw())
			}
			if c.early {
				w.say(c.says)
				time.Sleep(lookEvery + lookEvery/5)
				want(t, "behind the agent's back", w.seen(), "")
			}
			handle, _ := r.Get("requestState").Text()
			responses := `"inputResponses":{"ask-1":` + c.answer + `}`
			if g := w.modern("/mcp/desk", bobToken, pages).retry("echo", `{"n":12}`, handle, responses); g.status != 400 {
				t.Errorf("another agent went on with it: %+v", g)
			}
			if g := a.retry("echo", `{"n":13}`, handle, responses); g.status != 400 {
				t.Errorf("another call went on with it: %+v", g)
			}
			answer := make(chan got, 1)
			go func() { answer <- a.retry("echo", `{"n":12}`, handle, responses) }()
			time.Sleep(20 * time.Millisecond)
			if !c.early {
				want(t, "a page that was opened is no yes", w.seen(), "")
				if c.says != sallyport.Pending {
					w.say(c.says)
				}
			}
			expect := map[sallyport.ApprovalState]string{sallyport.Approved: `"structuredContent":{"n":12}`, sallyport.Refused: "Too big for today", sallyport.Pending: `"status":"pending_approval"`}
			if g := <-answer; !strings.Contains(g.last(), expect[c.says]) {
				t.Errorf("the answer: %+v", g)
			}
			if c.says == sallyport.Approved {
				want(t, "server", w.seen(), `desk tools/call echo {"n":12}`)
			} else {
				want(t, "server", w.seen(), "")
			}
			if g := a.retry("echo", `{"n":12}`, handle, responses); g.status != 400 {
				t.Errorf("a state was used twice: %+v", g)
			}
		})
	}
}

// A retry that comes to another process, as after a restart, is the call that it
// repeats; a state of this process is for one use, and a server's question is not
// forgotten in this way.
func TestPageSurvivesARestart(t *testing.T) {
	w := serve(t, patient(t, "30s"))
	w.forbid(t, asks)
	r := w.modern("/mcp/desk", anaToken, pages).modernCall("echo", `{"n":12}`).value(t).Get("result")
	handle, _ := r.Get("requestState").Text()
	w.say(sallyport.Approved)
	again := serve(t, patient(t, "30s"))
	again.forbid(t, asks)
	w.mu.Lock()
	again.asked = w.asked
	w.mu.Unlock()
	a := again.modern("/mcp/desk", anaToken, pages)
	const accepted = `"inputResponses":{"ask-1":{"action":"accept"}}`
	if g := a.retry("echo", `{"n":12}`, handle, accepted); !strings.Contains(g.last(), `"structuredContent":{"n":12}`) {
		t.Errorf("the retry: %+v", g)
	}
	if g := a.retry("echo", `{"n":12}`, handle, accepted); !strings.Contains(g.last(), "input_required") {
		t.Errorf("the same call again is a new question: %+v", g)
	}
	want(t, "server", again.seen(), `desk tools/call echo {"n":12}`)
	if g := a.retry("echo", `{"n":12}`, again.door.pages+"x", accepted); g.status != 400 {
		t.Errorf("a state that this process has not given out: %+v", g)
	}
	asked := w.modern("/mcp/desk", anaToken, elicits).askFor(t)
	if g := again.modern("/mcp/desk", anaToken, elicits).retry("ask", asksElicitation, asked, answers); g.status != 400 {
		t.Errorf("the state of a server's question: %+v", g)
	}
}
