package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
)

const tasked = `{"extensions":{"io.modelcontextprotocol/tasks":{}},"elicitation":{"url":{}}}`

// tasker makes calls as tasks, in one era or the other, on one path or the other.
type tasker struct {
	t    *testing.T
	a    *agent
	tool string
	era  string
}

func newTasker(t *testing.T, w *world, era, path, token string) tasker {
	k := tasker{t: t, era: era, tool: "echo"}
	if path == "/mcp" {
		k.tool = "desk__echo"
	}
	if k.a = w.modern(path, token, tasked); era == "session" {
		k.a = w.connect(path, token, `{}`)
	}
	return k
}

func (k tasker) call(arguments string) got {
	if k.era == "session" {
		return k.a.rpc("1", "tools/call", `{"name":"`+k.tool+`","arguments":`+arguments+`,"task":{"ttl":60000}}`)
	}
	return k.a.modernCall(k.tool, arguments)
}

// begin makes a held call and gives its task.
func (k tasker) begin() string {
	k.t.Helper()
	r := k.call(`{"n":9007199254740993}`).value(k.t).Get("result")
	task := r
	if k.era == "session" {
		task = r.Get("task")
	} else if !r.Get("resultType").IsText("task") {
		k.t.Fatalf("no task: %s", r.Raw())
	}
	id, _ := task.Get("taskId").Text()
	text, _ := task.Get("statusMessage").Text()
	if id == "" || !task.Get("status").IsText("working") || !strings.Contains(text, "Nothing has been done") {
		k.t.Fatalf("no task that waits: %s", r.Raw())
	}
	return id
}

func (k tasker) ask(method, id string) got {
	k.t.Helper()
	if k.era == "session" {
		return k.a.rpc("2", method, `{"taskId":"`+id+`"}`)
	}
	return k.a.do(k.a.ask(context.Background(), "2", method, id, `"taskId":"`+id+`"`))
}

func (k tasker) status(id string) string {
	k.t.Helper()
	status, _ := k.ask("tasks/get", id).value(k.t).Get("result").Get("status").Text()
	return status
}

// ended waits for the end, as agents do, and gives the result.
func (k tasker) ended(id string) sallyport.Value {
	k.t.Helper()
	for range 200 {
		if s := k.status(id); s != "working" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	r := k.ask("tasks/get", id).value(k.t).Get("result")
	if !r.Get("status").IsText("completed") {
		k.t.Fatalf("it ended as %s", r.Raw())
	}
	if k.era == "session" {
		r = k.ask("tasks/result", id).value(k.t).Get("result")
		if !r.Get("_meta").Get("io.modelcontextprotocol/related-task").Get("taskId").IsText(id) {
			k.t.Errorf("it does not say whose result it is: %s", r.Raw())
		}
		return r
	}
	return r.Get("result")
}

// A held call of an agent that takes tasks is one: it waits for people, runs once,
// and its result can be had.
func TestHeldCallIsATask(t *testing.T) {
	for _, era := range eras {
		for _, path := range []string{"/mcp/desk", "/mcp"} {
			t.Run(era+path, func(t *testing.T) {
				w := serve(t, Options{})
				w.forbid(t, asks)
				k := newTasker(t, w, era, path, anaToken)
				id := k.begin()
				want(t, "on "+path, id, map[string]string{"/mcp": "desk__"}[path]+"sallyport."+w.isAsked().ID)
				want(t, "it waits", k.status(id), "working")
				want(t, "it waits", k.status(id), "working")
				want(t, "held", w.seen(), "")
				w.say(sallyport.Approved)
				for range 3 {
					if r := k.ended(id); string(r.Get("structuredContent").Get("n").Raw()) != "9007199254740993" {
						t.Errorf("the result: %s", r.Raw())
					}
				}
				want(t, "server", w.seen(), `desk tools/call echo {"n":9007199254740993}`)

				id = k.begin()
				w.say(sallyport.Refused)
				if text, _ := firstText(k.ended(id)); !strings.Contains(text, "Too big for today") {
					t.Errorf("refused: %s", text)
				}
				want(t, "server", w.seen(), "")
			})
		}
	}
}

// Who vanishes gets nothing done: the call is carried out when its agent asks.
func TestTaskOfWhoeverVanishesDoesNotRun(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	k := newTasker(t, w, "stateless", "/mcp/desk", anaToken)
	k.begin()
	w.say(sallyport.Approved)
	time.Sleep(20 * time.Millisecond)
	want(t, "server", w.seen(), "")
}

// A task is for the agent, in the run and at the server where it began, and for
// who still may do what it does.
func TestTaskIsItsAgents(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, Options{})
			w.forbid(t, asks)
			k := newTasker(t, w, era, "/mcp/desk", anaToken)
			id := k.begin()
			w.say(sallyport.Approved)
			for name, other := range map[string]tasker{
				"another agent":  newTasker(t, w, era, "/mcp/desk", bobToken),
				"another run":    newTasker(t, w, era, "/mcp/desk", anaRunToken),
				"another server": newTasker(t, w, era, "/mcp/cloud", anaToken),
			} {
				for _, method := range []string{"tasks/get", "tasks/cancel"} {
					if g := other.ask(method, id); g.value(t).Get("error").Type() == sallyport.Absent {
						t.Errorf("%s, %s: %+v", name, method, g)
					}
				}
			}
			w.forbid(t, asks+`@id("no") forbid (principal, action == Action::"desk/tool:echo", resource);`)
			if r := k.ended(id); r.Get("isError").Type() != sallyport.True {
				t.Errorf("forbidden by now: %s", r.Raw())
			}
			want(t, "server", w.seen(), "")
		})
	}
}

// Whoever else is in the run has no task of it either.
func TestTaskIsNoOtherAgents(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	w.begunAnew = true // all are in one run
	id := newTasker(t, w, "stateless", "/mcp/desk", anaToken).begin()
	if g := newTasker(t, w, "stateless", "/mcp/desk", bobToken).ask("tasks/get", id); g.value(t).Get("error").Type() == sallyport.Absent {
		t.Errorf("got %+v", g)
	}
}

// A task survives a restart: the question is its memory.
func TestTaskSurvivesARestart(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, Options{})
			w.forbid(t, asks)
			id := newTasker(t, w, era, "/mcp/desk", anaToken).begin()
			again := serve(t, Options{}) // another process, with the same database
			again.forbid(t, asks)
			again.asked = w.isAsked()
			k := newTasker(t, again, era, "/mcp/desk", anaToken)
			want(t, "it waits", k.status(id), "working")
			again.say(sallyport.Approved)
			if r := k.ended(id); string(r.Get("structuredContent").Get("n").Raw()) != "9007199254740993" {
				t.Errorf("the result: %s", r.Raw())
			}
			want(t, "server", again.seen(), `desk tools/call echo {"n":9007199254740993}`)

			// After another one what came of it is gone, and it is not done again.
			third := serve(t, Options{})
			third.forbid(t, asks)
			again.mu.Lock()
			third.asked = again.asked
			again.mu.Unlock()
			k = newTasker(t, third, era, "/mcp/desk", anaToken)
			if s := k.status(id); s != "failed" {
				t.Errorf("a call that was carried out: %s", s)
			}
			want(t, "server", third.seen(), "")
		})
	}
}

// What was erased can't be carried out.
func TestTaskWithoutItsQuestion(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	k := newTasker(t, w, "stateless", "/mcp/desk", anaToken)
	id := k.begin()
	w.say(sallyport.Approved)
	w.mu.Lock()
	w.asked.Question = nil
	w.mu.Unlock()
	want(t, "it can't run", k.status(id), "failed")
	want(t, "server", w.seen(), "")
}

func TestTaskIsCancelled(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			w := serve(t, Options{})
			w.forbid(t, asks)
			k := newTasker(t, w, era, "/mcp/desk", anaToken)
			id := k.begin()
			if g := k.ask("tasks/cancel", id); g.value(t).Get("result").Type() != sallyport.Object {
				t.Errorf("got %+v", g)
			}
			w.mu.Lock()
			asked := w.asked
			w.mu.Unlock()
			if asked.State != sallyport.Expired || asked.By != "ana" {
				t.Errorf("people are asked still: %+v", asked)
			}
			want(t, "it is over", k.status(id), "cancelled")
			again := serve(t, Options{})
			again.forbid(t, asks)
			again.asked = asked
			want(t, "after a restart", newTasker(t, again, era, "/mcp/desk", anaToken).status(id), "cancelled")
			want(t, "server", w.seen()+again.seen(), "")
			k.begin()
			if w.isAsked().ID == asked.ID {
				t.Error("the same call is no new question")
			}
		})
	}
	t.Run("in vain", func(t *testing.T) {
		w := serve(t, Options{})
		w.forbid(t, asks)
		k := newTasker(t, w, "stateless", "/mcp/desk", anaToken)
		id := k.begin()
		w.door.Withdraw = func(context.Context, sallyport.Approval, string) error { return errors.New("disk full") }
		k.ask("tasks/cancel", id)
		want(t, "it waits still", k.status(id), "working")
	})
	t.Run("while it runs", func(t *testing.T) {
		w := serve(t, Options{})
		w.forbid(t, asks)
		began := make(chan struct{})
		w.execute = func(ctx context.Context, _ *gateway.Ticket, _ gateway.Client) (gateway.Answer, error) {
			close(began)
			<-ctx.Done()
			return gateway.Answer{}, ctx.Err()
		}
		k := newTasker(t, w, "stateless", "/mcp/desk", anaToken)
		id := k.begin()
		w.say(sallyport.Approved)
		k.status(id)
		<-began
		k.ask("tasks/cancel", id)
		want(t, "it is over", k.status(id), "cancelled")
	})
}

// A question that is over is not asked anew by looking at its task.
func TestTaskOfAQuestionThatIsOver(t *testing.T) {
	for name, over := range map[string]func(*sallyport.Approval){
		"expired": func(a *sallyport.Approval) { a.State = sallyport.Expired },
		"refused long ago": func(a *sallyport.Approval) {
			a.State, a.Expires = sallyport.Refused, time.Now().Add(-time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, Options{})
			w.forbid(t, asks)
			k := newTasker(t, w, "stateless", "/mcp/desk", anaToken)
			id := k.begin()
			w.mu.Lock()
			over(&w.asked)
			before := w.records
			w.mu.Unlock()
			want(t, "status", k.status(id), "failed")
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.records != before {
				t.Error("people were asked, or something was done")
			}
		})
	}
}

// tasks/result of the session era waits for people.
func TestTaskResultWaits(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	k := newTasker(t, w, "session", "/mcp/desk", anaToken)
	id := k.begin()
	answer := make(chan got, 1)
	go func() { answer <- k.ask("tasks/result", id) }()
	time.Sleep(20 * time.Millisecond)
	w.say(sallyport.Approved)
	if g := <-answer; !strings.Contains(g.last(), `"structuredContent":{"n":9007199254740993}`) {
		t.Errorf("got %+v", g)
	}
	id = k.begin()
	go func() { answer <- k.ask("tasks/result", id) }()
	time.Sleep(20 * time.Millisecond)
	defer soon(t)()
	w.door.Drain()
	if g := <-answer; g.value(t).Get("error").Type() == sallyport.Absent {
		t.Errorf("a gateway that stops: %+v", g)
	}
}

// A server that makes a task of the call is heard under our handle.
func TestTaskOfAServerBehindAHeldOne(t *testing.T) {
	for _, era := range eras {
		for _, path := range []string{"/mcp/desk", "/mcp"} {
			t.Run(era+path, func(t *testing.T) {
				w := serve(t, Options{})
				w.forbid(t, strings.Replace(asks, "tool:slow", "tool:job", 1))
				k := newTasker(t, w, era, path, anaToken)
				k.tool = strings.Replace(k.tool, "echo", "job", 1)
				r := k.call(`{}`).value(t).Get("result")
				task := r
				if era == "session" {
					task = r.Get("task")
				}
				id, _ := task.Get("taskId").Text()
				w.say(sallyport.Approved)
				w.until(func() bool { return k.status(id) == "completed" })
				r = k.ask("tasks/get", id).value(t).Get("result")
				if !r.Get("taskId").IsText(id) {
					t.Errorf("under another handle: %s", r.Raw())
				}
				w.seen()
				if g := k.ask("tasks/cancel", id); g.value(t).Get("error").Type() != sallyport.Absent {
					t.Errorf("cancel: %+v", g)
				}
				if saw := w.seen(); !strings.Contains(saw, "desk tasks/cancel") || !strings.Contains(saw, `"t__1"`) {
					t.Errorf("the server saw %q", saw)
				}
			})
		}
	}
}

// Who has not said that it takes tasks, or whose server has not, gets none.
func TestNobodyGetsATaskUnasked(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, strings.Replace(asks, `Action::"desk/tool:slow"`, `Action::"cloud/tool:echo"`, 1))
	a := w.connect("/mcp/desk", anaToken, `{}`)
	for name, g := range map[string]got{
		"session":               a.rpc("1", "tools/call", `{"name":"echo","arguments":{"n":12}}`),
		"stateless":             w.modern("/mcp/desk", anaToken, `{}`).modernCall("echo", `{"n":12}`),
		"a server without them": w.modern("/mcp/cloud", anaToken, `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`).modernCall("echo", `{}`),
	} {
		if !strings.Contains(g.last(), `"status":"pending_approval"`) || g.status != http.StatusOK {
			t.Errorf("%s: %+v", name, g)
		}
	}
}
