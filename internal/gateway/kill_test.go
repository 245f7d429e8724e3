package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

func order(kind kill.Kind, name string) kill.Order {
	return kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kind, Name: name}, Reason: "because"}
}

// Whoever is in scope is refused in every way in, also in observe mode; whoever
// is not goes on.
func TestKilledIsRefused(t *testing.T) {
	for _, c := range []struct {
		order        kill.Order
		call, listed bool // are let in
	}{
		{order(kill.All, ""), false, false},
		{order(kill.Tenant, "acme"), false, false},
		{order(kill.Tenant, "other"), true, true},
		{order(kill.User, "ana"), false, false},
		{order(kill.User, "bob"), true, true},
		{order(kill.Agent, "bot"), false, false},
		{order(kill.Agent, "other"), true, true},
		{order(kill.Role, "other"), true, true},
		{order(kill.Run, "r_1"), false, false},
		{order(kill.Run, "r_2"), true, true},
		{order(kill.Server, "shop"), false, false},
		{order(kill.Server, "bank"), true, true},
		{order(kill.Tool, "shop/pay"), false, true},
		{order(kill.Tool, "shop/other"), true, true},
	} {
		t.Run(c.order.Scope.String(), func(t *testing.T) {
			g, w := open(t)
			w.query = func(q *Query) (Answer, error) {
				if q.Method == "tools/list" {
					return Answer{Result: sallyport.MustParse(`{"tools":[` + payTool + `]}`)}, nil
				}
				return Answer{Result: sallyport.MustParse(`{}`)}, nil
			}
			g.Kills.Stop(c.order)
			_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
			if c.call != (err == nil) || c.call != (len(w.executed) == 1) {
				t.Errorf("the call: %v, %v", err, w.executed)
			}
			if !c.call {
				refusedBecause(t, err, sallyport.CauseKill)
				if !strings.Contains(err.Error(), "because (k_1)") || !strings.Contains(w.entries(), "refusal shop/tool:pay kill") {
					t.Errorf("%v\n%s", err, w.entries())
				}
			}
			_, err = g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "logging/setLevel"})
			if c.listed != (err == nil) {
				t.Errorf("the query: %v", err)
			}
			list, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"})
			if c.listed != (err == nil) || c.call != strings.Contains(string(list.Result.Raw()), "pay") {
				t.Errorf("the list: %s, %v", list.Result.Raw(), err)
			}
			g.Kills.Resume("k_1")
			if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
				t.Errorf("resumed: %v", err)
			}
		})
	}
}

// A kill that comes while the intent is being committed lets nothing act: its
// entry has an outcome, and the server sees nothing.
func TestKilledBetweenCommitAndAct(t *testing.T) {
	g, w := open(t)
	w.committing = func() { g.Kills.Stop(order(kill.Agent, "bot")) }
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseKill)
	if len(w.executed) != 0 || w.entries() != "intent shop/tool:pay\noutcome  error" {
		t.Errorf("%v\n%s", w.executed, w.entries())
	}
}

// What is under way is cancelled with the reason, and ends as unknown. What no
// order covers goes on.
func TestKilledUnderWay(t *testing.T) {
	for _, c := range []struct {
		order  kill.Order
		killed bool
	}{{order(kill.Server, "shop"), true}, {order(kill.Agent, "other"), false}, {kill.Order{ID: "k_1", Pause: true, Scope: kill.Scope{Kind: kill.All}}, false}} {
		g, w := open(t)
		w.execute = func(ctx context.Context, _ *Ticket, _ Client) (Answer, error) {
			g.Kills.Stop(c.order)
			select {
			case <-ctx.Done():
				return Answer{}, ctx.Err()
			case <-time.After(50 * time.Millisecond):
				return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
			}
		}
		_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
		if !c.killed {
			if err != nil {
				t.Errorf("%v: %v", c.order.Scope, err)
			}
			continue
		}
		refusedBecause(t, err, sallyport.CauseKill)
		if w.entries() != "intent shop/tool:pay\noutcome  unknown" || !strings.Contains(w.records[1].Entry.Reason, "because") {
			t.Errorf("%s", w.entries())
		}
	}
}

// A question about a server, such as the wait for a task's result, is cancelled,
// too.
func TestKilledWhileAsking(t *testing.T) {
	g, w := open(t)
	var entered kill.Flights
	w.query = func(*Query) (Answer, error) {
		entered = g.Kills.Stop(order(kill.Server, "shop"))
		return Answer{Result: sallyport.MustParse(`{"tools":[]}`)}, nil
	}
	g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"})
	if len(entered) != 1 {
		t.Errorf("%d lists were under way", len(entered))
	}
	g.Kills.Resume("k_1")
	g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "logging/setLevel"})
	if len(entered) != 1 {
		t.Errorf("%d queries were under way", len(entered))
	}
}

// A task whose call a kill covers is cancelled at its server, on the record,
// and is nobody's any more. The agent itself may not even do that.
func TestKilledTasks(t *testing.T) {
	g, w := open(t)
	begun(t, g, w)
	o := order(kill.Tool, "shop/pay")
	g.Kills.Stop(o)
	_, err := act(t, g, "tasks/cancel", `{"taskId":"t1"}`)
	refusedBecause(t, err, sallyport.CauseKill)
	// Until its server has been told, nobody gets what the task brings meanwhile.
	w.query = func(*Query) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"status":"completed","result":{"content":[]}}`)}, nil
	}
	_, err = get(t, g, "t1")
	refusedBecause(t, err, sallyport.CauseKill)
	w.execute = func(ctx context.Context, _ *Ticket, client Client) (Answer, error) {
		m, err := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t1","status":"completed"}}`))
		if err != nil {
			t.Fatal(err)
		}
		return Answer{Result: sallyport.MustParse(`{}`)}, client.Tell(ctx, m)
	}
	hears := &agent{}
	params := sallyport.MustParse(`{"notifications":{"taskIds":["t1"]}}`)
	if _, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop",
		Method: "subscriptions/listen", Params: params, Args: sallyport.MustParse(`{"uri":""}`)}, hears); err != nil || len(hears.told) != 0 {
		t.Errorf("a subscription heard %d times, %v", len(hears.told), err)
	}
	w.execute, w.executed, w.records = nil, nil, nil
	if err := g.EndTasks(t.Context(), order(kill.Tool, "shop/other")); err != nil || len(w.executed) != 0 {
		t.Errorf("%v, %v", err, w.executed)
	}
	if err := g.EndTasks(t.Context(), o); err != nil || strings.Join(w.executed, " ") != "tasks/cancel" {
		t.Errorf("%v, %v", err, w.executed)
	}
	if w.entries() != "intent shop/tool:pay\noutcome  ok" || !w.records[0].Regardless {
		t.Errorf("%s, %v", w.entries(), w.records[0].Regardless)
	}
	g.Kills.Resume("k_1")
	_, err = act(t, g, "tasks/cancel", `{"taskId":"t1"}`)
	refusedBecause(t, err, sallyport.CauseMethod)
}

// Where the server's process itself was killed there is nothing left to cancel,
// and that is no problem.
func TestKilledTasksOfAKilledProcess(t *testing.T) {
	for _, c := range []struct {
		says error
		ends bool
	}{{fmt.Errorf("server shop: %w", sallyport.Refuse(sallyport.CauseKill, "killed")), true}, {errors.New("no answer"), false}} {
		g, w := open(t)
		begun(t, g, w)
		w.execute = func(context.Context, *Ticket, Client) (Answer, error) { return Answer{}, c.says }
		if err := g.EndTasks(t.Context(), order(kill.Server, "shop")); (err == nil) != c.ends {
			t.Errorf("%v: %v", c.says, err)
		}
	}
}

// What a client has carried out already is recorded, whatever is killed.
func TestHappenedIsRecordedThoughKilled(t *testing.T) {
	g, w := open(t)
	if _, err := g.Happened(t.Context(), sallyport.Credential{}, pay()); err != nil || !w.records[0].Regardless {
		t.Errorf("%v, %v", err, w.records)
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil || w.records[1].Regardless {
		t.Errorf("a call that is let through: %v, %v", err, w.records[1].Regardless)
	}
}

// A subscription of who was killed hears nothing more.
func TestKilledHearsNothing(t *testing.T) {
	g, w := open(t)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{}`)}, nil
	}
	told := 0
	defer g.Attach("s1", func(string, wire.Message) { told++ })()
	args := sallyport.MustParse(`{"uri":"shop://a"}`)
	_, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop", Name: "shop://a",
		Method: "resources/subscribe", Args: args, Params: args, Session: "s1"}, &agent{})
	if err != nil {
		t.Fatal(err)
	}
	updated := wire.Message{Method: "notifications/resources/updated", Params: args}
	g.Heard("shop", "s1", updated)
	g.Kills.Stop(order(kill.User, "ana"))
	g.Heard("shop", "s1", updated)
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}
