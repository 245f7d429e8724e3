package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport"
	"sallyport/internal/wire"
)

// begun opens the task t1 with the pay tool.
func begun(t *testing.T, g *Gateway, w *world) {
	t.Helper()
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"task","taskId":"t1","status":"working"}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	w.execute, w.executed, w.records, w.intentSeen = nil, nil, nil, false
}

// act does something to a task, as a door does.
func act(t *testing.T, g *Gateway, method, params string) (Answer, error) {
	t.Helper()
	p := sallyport.MustParse(params)
	return g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{
		Kind: sallyport.KindTask, Server: "shop", Name: method, Method: method, Args: p, Params: p}, &agent{})
}

func get(t *testing.T, g *Gateway, id string) (Answer, error) {
	t.Helper()
	return g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tasks/get",
		Params: sallyport.MustParse(`{"taskId":"` + id + `"}`)})
}

func TestTasksBelongToWhoOpenedThem(t *testing.T) {
	g, w := open(t)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"task","taskId":"t1","status":"working"}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	w.query = func(q *Query) (Answer, error) {
		if q.Method == "tasks/list" {
			return Answer{Result: sallyport.MustParse(`{"tasks":[{"taskId":"t1"},{"taskId":"t2"}]}`)}, nil
		}
		return Answer{Result: sallyport.MustParse(`{"status":"working"}`)}, nil
	}
	ask := func(id string) error {
		_, err := g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tasks/get",
			Params: sallyport.MustParse(`{"taskId":"` + id + `"}`)})
		return err
	}
	if err := ask("t1"); err != nil {
		t.Errorf("own task: %v", err)
	}
	refusedBecause(t, ask("t2"), sallyport.CauseMethod)
	list, err := g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tasks/list"})
	if err != nil || string(list.Result.Raw()) != `{"tasks":[{"taskId":"t1"}]}` {
		t.Errorf("tasks/list shows %s, %v", list.Result.Raw(), err)
	}
	w.principal.User = "mallory"
	refusedBecause(t, ask("t1"), sallyport.CauseMethod)
	_, err = g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/call"})
	refusedBecause(t, err, sallyport.CauseMethod)
}

// What acts on a task is on the record before it is sent, under the call that
// opened it.
func TestActsOnTasksAreRecorded(t *testing.T) {
	for method, want := range map[string]string{
		"tasks/cancel": "intent shop/tool:pay\noutcome  ok",
		"tasks/update": "intent shop/tool:pay\nintent shop/answer:elicitation\noutcome  ok\noutcome  ok",
	} {
		t.Run(method, func(t *testing.T) {
			g, w := open(t)
			begun(t, g, w)
			params := `{"taskId":"t1","inputResponses":{"k":{"action":"accept"}}}`
			if method == "tasks/cancel" {
				params = `{"taskId":"t1"}`
			}
			if _, err := act(t, g, method, params); err != nil {
				t.Fatal(err)
			}
			if !w.intentSeen {
				t.Error("the server acted before the intent was in the log")
			}
			if got := w.entries(); got != want {
				t.Errorf("log:\n%s\nwant\n%s", got, want)
			}
			intent := w.records[0]
			if e := intent.Entry; e.Kind != sallyport.KindTask || e.Name != method || e.Parent != "c_1" || e.Tool.IsZero() {
				t.Errorf("recorded as %s %s under %s of %s", e.Kind, e.Name, e.Parent, e.Tool)
			}
			if string(intent.Args) != params {
				t.Errorf("recorded with %s", intent.Args)
			}
			w.commitErr, w.executed = errors.New("disk full"), nil
			_, err := act(t, g, method, params)
			refusedBecause(t, err, sallyport.CauseLog)
			if len(w.executed) > 0 {
				t.Error("sent unrecorded")
			}
		})
	}
}

// An answer to an act on a task opens nothing, whatever the server says.
func TestActsOnTasksOpenNone(t *testing.T) {
	g, w := open(t)
	begun(t, g, w)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"task","taskId":"t2"}`)}, nil
	}
	if _, err := act(t, g, "tasks/cancel", `{"taskId":"t1"}`); err != nil {
		t.Fatal(err)
	}
	_, err := get(t, g, "t2")
	refusedBecause(t, err, sallyport.CauseMethod)
}

func TestOnlyActsOnTasksGoUnderTasks(t *testing.T) {
	g, w := open(t)
	begun(t, g, w)
	for _, method := range []string{"tools/call", "tasks/get", "tasks/made_up", ""} {
		_, err := act(t, g, method, `{"taskId":"t1","name":"pay","arguments":{"to":"mallory"}}`)
		refusedBecause(t, err, sallyport.CauseMethod)
	}
	for _, params := range []string{`{"taskId":"t2"}`, `{"taskId":1}`, `{}`} {
		_, err := act(t, g, "tasks/cancel", params)
		refusedBecause(t, err, sallyport.CauseMethod)
	}
	if len(w.executed) > 0 {
		t.Errorf("the server saw %v", w.executed)
	}
}

// What may still be done to a task whose call would not be allowed any more.
func TestTasksAfterTheWorldHasChanged(t *testing.T) {
	const all = "permit(principal, action, resource);\n"
	for _, c := range []struct {
		name                string
		change              func(g *Gateway, w *world)
		cancel, update, get sallyport.Cause // "" for allowed
	}{
		{"nothing", func(*Gateway, *world) {}, "", "", ""},
		{"the agent was revoked", func(_ *Gateway, w *world) { w.unknown = true },
			sallyport.CauseIdentity, sallyport.CauseIdentity, sallyport.CauseIdentity},
		{"the tool was forbidden", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`forbid(principal, action in Action::"effect:pay", resource);`)
		}, "", sallyport.CausePolicy, ""},
		{"these arguments were forbidden", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to == "ana" };`)
		}, "", sallyport.CausePolicy, ""},
		{"somebody has to be asked now", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`@ask("finance") forbid(principal, action in Action::"effect:pay", resource);`)
		}, "", sallyport.CauseHold, ""},
		{"answers were forbidden", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`forbid(principal, action == Action::"shop/answer:elicitation", resource);`)
		}, "", sallyport.CausePolicy, ""},
		{"what it brings may not be released", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`@on("result") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.result.text like "*hunter2*" };`)
		}, sallyport.CauseResult, sallyport.CauseResult, sallyport.CauseResult},
		{"its user is in another group", func(g *Gateway, w *world) {
			enforce(t, g, w, all+`forbid(principal, action == Action::"shop/tool:pay", resource) when { context.user.groups.contains("finance") };`)
			w.principal.Groups = []string{"finance"}
		}, "", sallyport.CausePolicy, ""},
		{"the tool has changed", func(g *Gateway, w *world) {
			g.Saw(t.Context(), shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"x"`, 1)))
		}, "", sallyport.CausePin, ""},
		{"another program is reached", func(g *Gateway, w *world) { g.Pins.Distrust(t.Context(), "shop") },
			sallyport.CausePin, sallyport.CausePin, sallyport.CausePin},
		{"it belongs to somebody else", func(_ *Gateway, w *world) { w.principal.User = "mallory" },
			sallyport.CauseMethod, sallyport.CauseMethod, sallyport.CauseMethod},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, w := open(t)
			enforce(t, g, w, all)
			begun(t, g, w)
			answer := Answer{Result: sallyport.MustParse(`{"status":"completed","result":{"content":[{"type":"text","text":"the password is hunter2"}]}}`)}
			w.execute = func(context.Context, *Ticket, Client) (Answer, error) { return answer, nil }
			w.query = func(*Query) (Answer, error) { return answer, nil }
			c.change(g, w)
			for _, try := range []struct {
				what string
				do   func() (Answer, error)
				want sallyport.Cause
			}{
				{"get", func() (Answer, error) { return get(t, g, "t1") }, c.get},
				{"update", func() (Answer, error) {
					return act(t, g, "tasks/update", `{"taskId":"t1","inputResponses":{"k":{"action":"accept"}}}`)
				}, c.update},
				{"cancel", func() (Answer, error) { return act(t, g, "tasks/cancel", `{"taskId":"t1"}`) }, c.cancel},
			} {
				w.executed = nil
				got, err := try.do()
				switch {
				case try.want == "" && err != nil:
					t.Errorf("%s: %v", try.what, err)
				case try.want != "":
					refusedBecause(t, err, try.want)
					if got.Result.Type() != sallyport.Absent {
						t.Errorf("%s: released %s", try.what, got.Result.Raw())
					}
				}
				if reached := len(w.executed) > 0; try.what != "get" && reached != (try.want == "" || try.want == sallyport.CauseResult) {
					t.Errorf("%s: reached the server: %v", try.what, reached)
				}
			}
		})
	}
}

// What a task brings is its tool's result, on whichever way it comes.
func TestNotifiedTasksAreJudgedAsTheirTool(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action, resource);
@on("result") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.result.text like "*hunter2*" };`)
	begun(t, g, w)
	w.execute = func(ctx context.Context, _ *Ticket, client Client) (Answer, error) {
		for _, params := range []string{
			`{"taskId":"t1","status":"completed","result":{"content":[{"type":"text","text":"the password is hunter2"}]}}`,
			`{"taskId":"t2","status":"working"}`, // of somebody else
			`{"taskId":"t1","status":"working"}`,
		} {
			m, err := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/tasks","params":` + params + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Tell(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		return Answer{Result: sallyport.MustParse(`{}`)}, nil
	}
	hears := &agent{}
	params := sallyport.MustParse(`{"notifications":{"taskIds":["t1"]}}`)
	if _, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop",
		Method: "subscriptions/listen", Params: params, Args: sallyport.MustParse(`{"uri":""}`)}, hears); err != nil {
		t.Fatal(err)
	}
	if len(hears.told) != 1 {
		t.Errorf("heard %d notifications, want the last alone", len(hears.told))
	}
}

// Who asks while the tasks of before a restart are read from the log waits for
// them, and for no longer than it wants to.
func TestTasksBeingRestoredAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, w := open(t)
		w.query = func(*Query) (Answer, error) { return Answer{Result: sallyport.MustParse(`{}`)}, nil }
		done := g.RestoringTasks()
		hurry, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := g.Query(hurry, sallyport.Credential{}, &Query{Server: "shop", Method: "tasks/get", Params: sallyport.MustParse(`{"taskId":"t1"}`)})
		refusedBecause(t, err, sallyport.CauseMethod)
		answered := make(chan error, 3)
		go func() { _, err := get(t, g, "t1"); answered <- err }()
		go func() { _, err := act(t, g, "tasks/cancel", `{"taskId":"t1"}`); answered <- err }()
		go func() {
			params := sallyport.MustParse(`{"notifications":{"taskIds":["t1"]}}`)
			_, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop",
				Method: "subscriptions/listen", Params: params, Args: sallyport.MustParse(`{"uri":""}`)}, &agent{})
			answered <- err
		}()
		synctest.Wait()
		if len(answered) > 0 {
			t.Fatalf("answered before the log was read: %v", <-answered)
		}
		call := pay()
		call.ID, call.Principal, call.Run = "c_0", w.principal, w.run
		g.RestoreTask("t1", call)
		done()
		for range 3 {
			if err := <-answered; err != nil {
				t.Error(err)
			}
		}
	})
}

// A task survives a restart, with the arguments by which it is judged.
func TestRestoredTasksAreJudgedByTheirArguments(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	for id, name := range map[string]string{"t1": "ana", "t2": "mallory"} {
		call := to(name)
		call.ID, call.Principal, call.Run, call.Params = "c_0", w.principal, w.run, sallyport.Value{}
		g.RestoreTask(id, call)
	}
	for _, id := range []string{"t1", "t2"} {
		if _, err := act(t, g, "tasks/cancel", `{"taskId":"`+id+`"}`); err != nil {
			t.Errorf("cancelling %s: %v", id, err)
		}
	}
	if _, err := act(t, g, "tasks/update", `{"taskId":"t1"}`); err != nil {
		t.Error(err)
	}
	_, err := act(t, g, "tasks/update", `{"taskId":"t2"}`)
	refusedBecause(t, err, sallyport.CausePolicy)
}

// A task goes on under who its principal is now.
func TestTaskIsJudgedByThePrincipalOfNow(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action, resource);
forbid(principal, action == Action::"shop/answer:elicitation", resource) when { context.user.groups.contains("finance") };
`)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"task","taskId":"t1"}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	w.principal.Groups = []string{"finance"}
	w.query = func(*Query) (Answer, error) { return Answer{Result: sallyport.MustParse(`{}`)}, nil }
	_, err := act(t, g, "tasks/update", `{"taskId":"t1","inputResponses":{"k":{"action":"accept"}}}`)
	if err == nil {
		t.Error("judged by the groups of then")
	}
}
