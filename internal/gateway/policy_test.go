package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/policy"
)

const payRules = `
@id("friends") permit(principal, action in Action::"effect:pay", resource) when { context.input has to && context.input.to != "mallory" };
@id("look") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to == "bank" };
@id("no-secrets") @on("result") forbid(principal, action, resource) when { context.result.text like "*hunter2*" };
`

// enforce puts a real policy into force.
func enforce(t testing.TB, g *Gateway, w *world, text string) {
	t.Helper()
	rules, err := policy.Load([]policy.File{{Name: "pay.cedar", Text: []byte(text)}}, g.Pins.Definitions(), policy.Declared{
		Servers: []string{"shop"}, Agents: []string{"bot", "bob"}, Users: []string{"ana"}, Groups: []string{"finance"}, Tenants: []string{"acme"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.observe = false
	g.Rules = func() *policy.Rules { return rules }
}

func to(name string) *sallyport.Call {
	call := pay()
	call.Params = sallyport.MustParse(`{"name":"pay","arguments":{"to":"` + name + `"}}`)
	call.Args = call.Params.Get("arguments")
	return call
}

func TestPolicyDecides(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)

	if _, err := g.Call(t.Context(), sallyport.Credential{}, to("ana"), &agent{}); err != nil {
		t.Errorf("a permitted call: %v", err)
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, to("mallory"), &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
	_, err = g.Call(t.Context(), sallyport.Credential{}, to("bank"), &agent{})
	refusedBecause(t, err, sallyport.CauseHold)
	if refused, _ := errors.AsType[*sallyport.RefusedError](err); !strings.Contains(refused.Error(), "look") || !strings.Contains(refused.Error(), "finance") {
		t.Errorf("a hold that names neither rule nor group: %v", err)
	}
	if len(w.executed) != 1 {
		t.Errorf("the server saw %v", w.executed)
	}
	for _, r := range w.records {
		if r.Entry.Policy.IsZero() && r.Entry.Type != sallyport.Closed && r.Entry.Type != sallyport.Change {
			t.Errorf("%s without the digest of its policy", r.Entry.Type)
		}
	}

	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"content":[{"type":"text","text":"the password is hunter2"}]}`)}, nil
	}
	answer, err := g.Call(t.Context(), sallyport.Credential{}, to("ana"), &agent{})
	refusedBecause(t, err, sallyport.CauseResult)
	if answer.Result.Type() != sallyport.Absent {
		t.Error("a withheld result was released")
	}
	if last := w.records[len(w.records)-1].Entry; last.Outcome != sallyport.OutcomeWithheld {
		t.Errorf("outcome %q", last.Outcome)
	}
}

// What a list shows is what is not refused outright.
func TestListAgreesWithCalls(t *testing.T) {
	for _, c := range []struct {
		rules string
		shown bool
	}{
		{payRules, true},
		{`permit(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to == "x" };`, true},
		{`permit(principal, action, resource);` + "\n" + `forbid(principal, action in Action::"effect:pay", resource);`, false},
		{`permit(principal, action, resource);` + "\n" + `@ask("finance") forbid(principal, action in Action::"effect:pay", resource);`, true},
		{`permit(principal, action in Action::"effect:read", resource);`, false},
	} {
		g, w := open(t)
		enforce(t, g, w, c.rules)
		w.query = func(*Query) (Answer, error) {
			return Answer{Result: sallyport.MustParse(`{"tools":[` + payTool + `]}`)}, nil
		}
		answer, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"})
		if err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(string(answer.Result.Raw()), `"pay"`); shown != c.shown {
			t.Errorf("%s\nshown: %v, want %v", c.rules, shown, c.shown)
		}
	}
}

// BenchmarkCall is all of a call but the wire, the disk and the server.
func BenchmarkCall(b *testing.B) {
	g, w := open(b)
	enforce(b, g, w, payRules)
	call := to("ana")
	b.ReportAllocs()
	for b.Loop() {
		again := *call
		if _, err := g.Call(b.Context(), sallyport.Credential{}, &again, &agent{}); err != nil {
			b.Fatal(err)
		}
		w.records, w.executed = w.records[:0], w.executed[:0]
	}
}
