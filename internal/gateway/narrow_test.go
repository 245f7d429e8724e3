package gateway

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
)

const payRoll = `{"name":"pay","inputSchema":{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"array","items":{"type":"string"}}},"required":["amount"]}}`

const payRollRules = `
@id("pay") permit(principal, action == Action::"shop/tool:pay", resource);
@id("over") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input.amount.greaterThan(decimal("100.0")) };
@id("cap") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input.amount.greaterThan(decimal("9000.0")) };
`

// roll is a gateway with a tool whose arguments can be narrowed, about which
// people are asked.
func roll(t *testing.T, args string) (*Gateway, *world, sallyport.Approval) {
	t.Helper()
	g, w := open(t)
	offered := shop(t, payRoll)
	if _, err := g.Pins.Observe(t.Context(), offered); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Pins.Accept(t.Context(), "shop", shown(offered), "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	enforce(t, g, w, payRollRules)
	refusal(t, call(t, g, pays(args)), sallyport.CauseHold)
	return g, w, w.question(t)
}

func pays(args string) *sallyport.Call {
	call := pay()
	call.Params = sallyport.MustParse(`{"_meta":{"progressToken":1},"name":"pay","arguments":` + args + `}`)
	call.Args = call.Params.Get("arguments")
	return call
}

// agreeing is the operator's yes to whatever is asked.
func agreeing(a *sallyport.Approval) (yes []sallyport.Answer, err error) {
	for _, group := range a.Groups() {
		yes = append(yes, sallyport.Answer{Group: group, By: "operator", At: time.Now()})
	}
	return yes, nil
}

const wide, less = `{"amount":500,"to":["a","b"]}`, `{"to":["a"],"amount":200}`

// The original is refused, the agent hears which call it may make, and exactly
// that call uses the yes, once.
func TestNarrowedCall(t *testing.T) {
	g, w, asked := roll(t, wide)
	narrower, err := g.Narrow(t.Context(), asked, sallyport.MustParse(less), "too much", "operator", agreeing)
	if err != nil || narrower.State != sallyport.Approved || narrower.Narrows != asked.ID || narrower.Call != asked.Call {
		t.Fatalf("%+v, %v", narrower, err)
	}
	e := w.last()
	if e.Type != sallyport.Change || !strings.HasPrefix(e.Subject, "approval narrowed "+asked.ID) || e.By != "operator" || e.Approval != asked.ID || e.Approver != "operator" ||
		e.Before != asked.Digest || e.After != narrower.Digest || e.Reason != "too much (amount smaller, to fewer) for finance" {
		t.Errorf("on the record: %+v", e)
	}
	for range 2 {
		refused := refusal(t, call(t, g, pays(wide)), sallyport.CauseApproval)
		if string(refused.Narrower.Raw()) != `{"amount":200,"to":["a"]}` || !strings.Contains(refused.Error(), "too much") || !strings.Contains(refused.Error(), `exactly this call instead: {"amount":200,"to":["a"]}`) {
			t.Errorf("%s", refused.Error())
		}
		if e := w.last(); strings.Contains(e.Reason, "200") {
			t.Errorf("arguments are in the log for good: %s", e.Reason)
		}
	}
	for _, other := range []string{`{"amount":201,"to":["a"]}`, `{"amount":200.0,"to":["a"]}`, `{"amount":200,"to":["a","b"]}`, `{"amount":200}`} {
		refusal(t, call(t, g, pays(other)), sallyport.CauseHold)
	}
	if len(w.executed) != 0 {
		t.Fatal("another call used the yes")
	}
	if err := call(t, g, pays(less)); err != nil || len(w.executed) != 1 {
		t.Fatalf("%v, %d executed", err, len(w.executed))
	}
	if e := w.decision(); e.Approval != narrower.ID || e.Approver != "operator" {
		t.Errorf("%+v", e)
	}
	if refused := refusal(t, call(t, g, pays(wide)), sallyport.CauseApproval); refused.Narrower.Type() != sallyport.Absent {
		t.Error("the agent is sent to what has been used")
	}
	refusal(t, call(t, g, pays(less)), sallyport.CauseHold)
	if len(w.executed) != 1 {
		t.Errorf("%d executed", len(w.executed))
	}
}

// What policy asks nobody about any more needs no yes: the agent is told, and
// makes it.
func TestNarrowedBelowTheQuestion(t *testing.T) {
	g, w, asked := roll(t, wide)
	narrower, err := g.Narrow(t.Context(), asked, sallyport.MustParse(`{"amount":100,"to":["a"]}`), "", "operator", agreeing)
	if err != nil || len(narrower.Rules) != 0 {
		t.Fatalf("%+v, %v", narrower, err)
	}
	if refused := refusal(t, call(t, g, pays(wide)), sallyport.CauseApproval); string(refused.Narrower.Raw()) != `{"amount":100,"to":["a"]}` {
		t.Errorf("%s", refused.Error())
	}
	if err := call(t, g, pays(`{"amount":100,"to":["a"]}`)); err != nil || w.decision().Approval != "" {
		t.Errorf("%v, %+v", err, w.decision())
	}
}

// What can't be narrowed to stays as it is asked.
func TestNotNarrowed(t *testing.T) {
	never := errors.New("not me")
	for name, c := range map[string]struct {
		args  string
		world func(g *Gateway, w *world, asked *sallyport.Approval)
		agree func(*sallyport.Approval) ([]sallyport.Answer, error)
		want  string
	}{
		"the same":          {args: `{"to":["a","b"],"amount":500}`, want: "approve it as it is"},
		"not by the schema": {args: `{"amount":"200"}`, want: ""},
		"required left out": {args: `{"to":["a"]}`, want: ""},
		"undeclared":        {args: `{"amount":200,"bcc":"x"}`, want: ""},
		"policy refuses it": {args: `{"amount":9001}`, want: "policy does not allow it"},
		"of a higher class": {args: `{"amount":8000}`, world: func(_ *Gateway, w *world, _ *sallyport.Approval) {
			w.terms = &asking.Terms{Expire: time.Hour, Alone: "operator", Large: "1000"}
		}, want: "higher class"},
		"somebody who may not":     {args: less, agree: func(*sallyport.Approval) ([]sallyport.Answer, error) { return nil, never }, want: never.Error()},
		"nobody":                   {args: less, agree: func(*sallyport.Approval) ([]sallyport.Answer, error) { return nil, nil }, want: "answered, used or closed"},
		"the run has ended":        {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.unknown = true }, want: "nobody is known"},
		"another user acts":        {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.principal.User = "eve" }, want: "somebody else"},
		"another agent acts":       {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.principal.Agent = "bob" }, want: "somebody else"},
		"another role":             {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.principal.Role = "x" }, want: "somebody else"},
		"another tenant":           {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.principal.Tenant = "x" }, want: "somebody else"},
		"answered already":         {args: less, world: func(_ *Gateway, _ *world, a *sallyport.Approval) { a.State = sallyport.Approved }, want: "answered, used or closed"},
		"too late":                 {args: less, world: func(g *Gateway, _ *world, a *sallyport.Approval) { g.Now = func() time.Time { return a.Expires } }, want: "answered, used or closed"},
		"no tool":                  {args: less, world: func(_ *Gateway, _ *world, a *sallyport.Approval) { a.Kind = sallyport.KindResource }, want: "only a tool's arguments"},
		"what can't be shown":      {args: less, world: func(_ *Gateway, _ *world, a *sallyport.Approval) { a.Question = nil }, want: "only a tool's arguments"},
		"the log can't be written": {args: less, world: func(_ *Gateway, w *world, _ *sallyport.Approval) { w.commitErr = errors.New("disk full") }, want: "disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			g, w, asked := roll(t, wide)
			before := len(w.records)
			if c.world != nil {
				c.world(g, w, &asked)
			}
			if c.agree == nil {
				c.agree = agreeing
			}
			if _, err := g.Narrow(t.Context(), asked, sallyport.MustParse(c.args), "less", "operator", c.agree); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if kept := w.question(t); kept.State != sallyport.Pending || len(w.records) != before {
				t.Errorf("%s, %d entries more", kept.State, len(w.records)-before)
			}
		})
	}
}

// A yes counts as long as whoever gave it could give it, and the call weighs as
// much as it did.
func TestApprovalWhoseApproverHasLeft(t *testing.T) {
	people := func(finance ...string) *asking.Terms {
		terms := &asking.Terms{Expire: time.Hour, Groups: map[string][]string{"bo": nil}}
		for _, name := range finance {
			terms.Groups[name] = []string{"finance"}
		}
		return terms
	}
	for name, c := range map[string]struct {
		after *asking.Terms
		cause sallyport.Cause
	}{
		"nothing":          {people("bo"), ""},
		"left the group":   {people("cy"), sallyport.CauseApproval},
		"owns the agent":   {&asking.Terms{Expire: time.Hour, Groups: people("bo").Groups, Owner: func(string) string { return "bo" }}, sallyport.CauseApproval},
		"a class higher":   {&asking.Terms{Expire: time.Hour, Groups: people("bo").Groups, Classes: map[sallyport.Effect]sallyport.Class{sallyport.Pay: 3}}, sallyport.CauseApproval},
		"the only one was": {&asking.Terms{Expire: time.Hour, Alone: "operator"}, sallyport.CauseApproval},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			enforce(t, g, w, payRules)
			w.terms = people("bo")
			refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
			yes, err := w.question(t).Approve("bo", g.Now())
			if err != nil || g.Answer(t.Context(), yes, "bo") != nil {
				t.Fatal(err)
			}
			w.terms = c.after
			if c.cause == "" {
				if err := call(t, g, to("bank")); err != nil || len(w.executed) != 1 {
					t.Errorf("%v, %d executed", err, len(w.executed))
				}
				return
			}
			refused := refusal(t, call(t, g, to("bank")), c.cause)
			if !strings.Contains(refused.Error(), "does not count any more") || w.question(t).State != sallyport.Expired || len(w.executed) != 0 {
				t.Errorf("%s, %s, %d executed", refused.Error(), w.question(t).State, len(w.executed))
			}
			if e := w.last(); e.Type != sallyport.Refusal || e.Approval != yes.ID {
				t.Errorf("%+v", e)
			}
			w.terms = people("bo") // back again: what was closed stays closed
			if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID == yes.ID {
				t.Error("not asked anew")
			}
		})
	}
}

// In the highest class nothing happens before two people have agreed, and each yes
// is on the record.
func TestTwoPeopleAgree(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	w.terms = &asking.Terms{Expire: time.Hour, Classes: map[sallyport.Effect]sallyport.Class{sallyport.Pay: sallyport.ClassPair},
		Groups: map[string][]string{"bo": {"finance"}, "cy": {"finance"}}}
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	for i, by := range []string{"bo", "cy"} {
		asked := w.question(t)
		next, err := asked.Agree(g.Now(), sallyport.Answer{Group: "finance", By: by, At: g.Now(), Proof: "passkey"})
		if err != nil || g.Answer(t.Context(), next, by) != nil {
			t.Fatal(err)
		}
		if e := w.last(); e.By != by || e.Reason != "for finance by passkey" || e.Subject != []string{"approval seconded ", "approval approved "}[i]+asked.ID || e.Approver != []string{"bo", "bo, cy"}[i] {
			t.Errorf("%+v", e)
		}
		if i == 0 {
			if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID != asked.ID || len(w.executed) != 0 {
				t.Fatal("one was enough")
			}
		}
	}
	if err := call(t, g, to("bank")); err != nil || len(w.executed) != 1 || w.decision().Approver != "bo, cy" {
		t.Errorf("%v, %+v", err, w.decision())
	}
}
