package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// questions are approvals as the store keeps them.
type questions struct {
	kept   map[sallyport.Digest]sallyport.Approval // the last of each digest
	err    error                                   // of looking
	full   bool
	broken error // of writing
	grants []sallyport.Grant
}

func (q *questions) apply(record *sallyport.Record) error {
	a := record.Approval
	if err := q.grant(record); err != nil || a == nil {
		return err
	}
	switch {
	case q.kept == nil:
		q.kept = map[sallyport.Digest]sallyport.Approval{}
	}
	last := q.kept[a.Digest]
	puts := a.State == sallyport.Pending && len(a.Answers) == 0
	switch {
	case q.broken != nil:
		return q.broken
	case puts && q.full:
		return sallyport.ErrCrowded
	case puts && (last.State == sallyport.Pending || last.State == sallyport.Approved):
		record.Approval = &last
	case puts:
		q.kept[a.Digest] = *a
	case last.ID != a.ID || !slices.Contains(a.State.From(), last.State):
		return sallyport.ErrOvertaken
	default:
		q.kept[a.Digest] = *a
	}
	if record.Narrower != nil {
		q.kept[record.Narrower.Digest] = *record.Narrower
	}
	record.Entry.Approval = record.Approval.ID
	return nil
}

func (w *world) Approval(_ context.Context, digest sallyport.Digest) (sallyport.Approval, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked.kept[digest], w.asked.err
}

func (w *world) OpenApproval(_ context.Context, id string) (sallyport.Approval, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked.kept {
		if a.ID == id {
			return a, w.asked.err
		}
	}
	return sallyport.Approval{}, errors.New("no such approval")
}

// question is the one question there is.
func (w *world) question(t *testing.T) sallyport.Approval {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked.kept) != 1 {
		t.Fatalf("%d questions", len(w.asked.kept))
	}
	for a := range maps.Values(w.asked.kept) {
		return a
	}
	panic("unreachable")
}

// answer has a person answer the one question there is.
func (w *world) answer(t *testing.T, g *Gateway, yes bool) sallyport.Approval {
	t.Helper()
	a := w.question(t)
	next, err := a.Refuse("operator", "Not to that bank", g.Now())
	if yes {
		next, err = a.Approve("operator", g.Now())
	}
	if err == nil {
		err = g.Answer(t.Context(), next, "operator")
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (w *world) last() sallyport.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[len(w.records)-1].Entry
}

// decided is the last entry that is a decision.
func (w *world) decision() sallyport.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range slices.Backward(w.records) {
		if r.Entry.Type == sallyport.Intent || r.Entry.Type == sallyport.Refusal || r.Entry.Type == sallyport.Held {
			return r.Entry
		}
	}
	return sallyport.Entry{}
}

func call(t *testing.T, g *Gateway, c *sallyport.Call) error {
	t.Helper()
	_, err := g.Call(t.Context(), sallyport.Credential{}, c, &agent{})
	return err
}

func refusal(t *testing.T, err error, cause sallyport.Cause) *sallyport.RefusedError {
	t.Helper()
	refusedBecause(t, err, cause)
	refused, _ := errors.AsType[*sallyport.RefusedError](err)
	return refused
}

// at makes the gateway's clock stand.
func at(g *Gateway) (set func(time.Duration)) {
	start := time.Now().Truncate(time.Millisecond)
	now := start
	g.Now = func() time.Time { return now }
	return func(after time.Duration) { now = start.Add(after) }
}

// A held call asks people once, waits, goes through once when they agree, and is
// a new question afterwards.
func TestHeldCallIsApproved(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	w.principal.Groups, w.principal.Attributes = []string{"staff"}, map[string]string{"salary": "1"}
	first := refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	a := w.question(t)
	if a.State != sallyport.Pending || a.Digest != sallyport.DigestOf(a.Question) || first.Approval.ID != a.ID || !a.Expires.Equal(a.Asked.Add(time.Hour)) ||
		len(a.Rules) != 1 || a.Rules[0].ID != "look" || a.Call != first.CallID || !strings.Contains(string(a.Question), `"args":{"to":"bank"}`) {
		t.Errorf("%+v", a)
	}
	if a.Principal.Groups != nil || a.Principal.Attributes != nil {
		t.Errorf("what is kept of the principal is more than names: %+v", a.Principal)
	}
	if e := w.last(); e.Type != sallyport.Held || e.Approval != a.ID {
		t.Errorf("the hold is %+v", e)
	}
	if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID != a.ID {
		t.Errorf("the identical call asks again: %s, then %s", a.ID, again.Approval.ID)
	}
	if len(w.executed) != 0 {
		t.Fatal("executed without an answer")
	}
	w.answer(t, g, true)
	if e := w.last(); e.Type != sallyport.Change || e.By != "operator" || e.Approval != a.ID || e.Approver != "operator" || e.After != a.Digest || !strings.Contains(e.Subject, "approved "+a.ID) {
		t.Errorf("the answer is %+v", e)
	}
	if err := call(t, g, to("bank")); err != nil {
		t.Fatal(err)
	}
	if e := w.decision(); e.Type != sallyport.Intent || e.Approval != a.ID || e.Approver != "operator" || e.Verdict != sallyport.Allow {
		t.Errorf("the intent is %+v", e)
	}
	if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID == a.ID || len(w.executed) != 1 {
		t.Errorf("spent, and spent again: %d executions", len(w.executed))
	}
}

// The reason of a no reaches the agent, and asking again does not help.
func TestHeldCallIsRefused(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	set := at(g)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	no := w.answer(t, g, false)
	for range 2 {
		refused := refusal(t, call(t, g, to("bank")), sallyport.CauseApproval)
		if !strings.Contains(refused.Error(), "Not to that bank") || refused.Approval.ID != no.ID {
			t.Errorf("%q", refused.Error())
		}
		if e := w.last(); e.Type != sallyport.Refusal || e.Approval != no.ID || e.Approver != "operator" || e.Verdict != sallyport.Hold {
			t.Errorf("%+v", e)
		}
	}
	set(time.Hour)
	if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID == no.ID {
		t.Error("a no for ever")
	}
}

// Silence denies, and so does a yes that nobody used: once with the reason.
func TestHeldCallExpires(t *testing.T) {
	for name, yes := range map[string]bool{"unanswered": false, "unused": true} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			enforce(t, g, w, payRules)
			set := at(g)
			refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
			a := w.question(t)
			if yes {
				w.answer(t, g, true)
			}
			set(time.Hour)
			refused := refusal(t, call(t, g, to("bank")), sallyport.CauseApproval)
			if !strings.Contains(refused.Error(), "in time") || w.question(t).State != sallyport.Expired || len(w.executed) != 0 {
				t.Errorf("%q, %s", refused.Error(), w.question(t).State)
			}
			if e := w.last(); e.Type != sallyport.Refusal || e.Approval != a.ID {
				t.Errorf("%+v", e)
			}
			if again := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); again.Approval.ID == a.ID {
				t.Error("not asked anew")
			}
		})
	}
}

// A yes that runs out while the call is decided is none.
func TestApprovalRunsOutDuringTheCall(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	set := at(g)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	w.answer(t, g, true)
	rules, looked := g.Rules(), 0
	g.Rules = func() *policy.Rules { return rules }
	now := g.Now
	g.Now = func() time.Time {
		if looked++; looked == 2 { // what was good when looked at is not when it is written
			set(time.Hour)
		}
		return now()
	}
	if refused := refusal(t, call(t, g, to("bank")), sallyport.CauseApproval); !strings.Contains(refused.Error(), "not used in time") || len(w.executed) != 0 {
		t.Errorf("%q, %d executed", refused.Error(), len(w.executed))
	}
}

// Whatever differs from what was agreed to is another question, and the yes
// stays with its own.
func TestApprovalIsOfOneCall(t *testing.T) {
	change := func(f func(c *sallyport.Call)) *sallyport.Call { c := to("bank"); f(c); return c }
	other := sallyport.MustParse(`{"name":"pay","arguments":{"to":"bank"},"inputResponses":{"a":{"action":"accept"}}}`)
	for name, c := range map[string]struct {
		world func(g *Gateway, w *world)
		call  *sallyport.Call
	}{
		"user":   {world: func(_ *Gateway, w *world) { w.principal.User = "eve" }},
		"agent":  {world: func(_ *Gateway, w *world) { w.principal.Agent = "bob" }},
		"tenant": {world: func(_ *Gateway, w *world) { w.principal.Tenant = "" }},
		"role":   {world: func(_ *Gateway, w *world) { w.principal.Role = "x" }},
		"run":    {world: func(_ *Gateway, w *world) { w.run.ID = "r_2" }},
		"text of the rule": {world: func(g *Gateway, w *world) {
			enforce(t, g, w, strings.Replace(payRules, `@ask("finance") forbid`, `@ask("finance") @because("new") forbid`, 1))
		}},
		"name of the rule": {world: func(g *Gateway, w *world) { enforce(t, g, w, strings.Replace(payRules, "look", "see", 1)) }},
		"a rule more": {world: func(g *Gateway, w *world) {
			enforce(t, g, w, payRules+`@id("more") @ask("finance") forbid(principal, action, resource);`)
		}},
		"answers that go along": {call: change(func(c *sallyport.Call) { c.Params = other })},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			enforce(t, g, w, payRules)
			refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
			yes := w.answer(t, g, true)
			if c.world != nil {
				c.world(g, w)
			}
			if c.call == nil {
				c.call = to("bank")
			}
			refused := refusal(t, call(t, g, c.call), sallyport.CauseHold)
			if refused.Approval.ID == yes.ID || len(w.executed) != 0 {
				t.Errorf("%s: decided by %s, %d executed", name, refused.Approval.ID, len(w.executed))
			}
		})
	}
	g, w := open(t)
	enforce(t, g, w, payRules+`@id("all") @ask("finance") forbid(principal, action, resource);`)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	w.answer(t, g, true)
	if refused := refusal(t, call(t, g, to("ana")), sallyport.CauseHold); len(w.executed) != 0 || refused.Approval.Digest == w.last().After {
		t.Error("a yes to one call let another through")
	}
}

// A value that others could have written is not the one that people agreed to.
func TestApprovalIsOfItsOrigins(t *testing.T) {
	from := func(writer sallyport.Writer) *sallyport.Flow {
		return &sallyport.Flow{Traces: []sallyport.Trace{{Path: "to", Origin: sallyport.Origin{Writer: writer}}}}
	}
	g, w := open(t)
	enforce(t, g, w, payRules+`@id("flow") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.untrusted.contains("to") && context.input has to && context.input.to == "nobody" };`)
	w.flow = from(sallyport.WriterUser)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	yes := w.answer(t, g, true)
	w.flow = from(sallyport.WriterUntrusted)
	if refused := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); refused.Approval.ID == yes.ID || len(w.executed) != 0 {
		t.Errorf("%s, %d executed", refused.Approval.ID, len(w.executed))
	}
	w.flow = from(sallyport.WriterUser)
	if err := call(t, g, to("bank")); err != nil {
		t.Error(err)
	}
}

// A policy that has become tighter wins over what people agreed to before.
func TestTighterPolicyWins(t *testing.T) {
	for name, rules := range map[string]string{
		"a plain forbid":    payRules + `forbid(principal, action == Action::"shop/tool:pay", resource);`,
		"no permit":         `@id("look") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to == "bank" };`,
		"the question gone": strings.Replace(payRules, `@ask("finance") forbid`, "forbid", 1),
	} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			enforce(t, g, w, payRules)
			refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
			w.answer(t, g, true)
			enforce(t, g, w, rules)
			refusal(t, call(t, g, to("bank")), sallyport.CausePolicy)
			if w.question(t).State != sallyport.Approved || len(w.executed) != 0 {
				t.Errorf("%s, %d executed", w.question(t).State, len(w.executed))
			}
		})
	}
}

// A definition that has changed is another tool.
func TestApprovalIsOfOneDefinition(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	yes := w.answer(t, g, true)
	changed := shop(t, strings.Replace(payTool, `"pay",`, `"pay","description":"Pays twice.",`, 1))
	if _, err := g.Pins.Observe(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	refusal(t, call(t, g, to("bank")), sallyport.CausePin)
	if _, err := g.Pins.Accept(t.Context(), "shop", shown(changed), "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	enforce(t, g, w, payRules)
	if refused := refusal(t, call(t, g, to("bank")), sallyport.CauseHold); refused.Approval.ID == yes.ID || len(w.executed) != 0 {
		t.Errorf("%s, %d executed", refused.Approval.ID, len(w.executed))
	}
}

// What people are asked by two rules needs everybody that each names.
func TestTwoRulesAsk(t *testing.T) {
	g, w := open(t)
	rules := `permit(principal, action, resource);
@id("one") @ask("finance") forbid(principal, action, resource);
@id("two") @ask("security, finance") forbid(principal, action, resource);`
	loaded, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte(rules)}}, g.Pins.Definitions(), policy.Declared{
		Servers: []string{"shop"}, Agents: []string{"bot"}, Groups: []string{"finance", "security"}})
	if err != nil {
		t.Fatal(err)
	}
	w.observe = false
	g.Rules = func() *policy.Rules { return loaded }
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	a := w.question(t)
	if got := strings.Join(a.Groups(), " "); got != "finance security" || len(a.Rules) != 2 {
		t.Errorf("asked %q by %d rules", got, len(a.Rules))
	}
	yes := w.answer(t, g, true)
	half := yes
	half.Answers = half.Answers[:1]
	w.asked.kept[a.Digest] = half
	refusal(t, call(t, g, to("bank")), sallyport.CauseApproval)
	if len(w.executed) != 0 || w.question(t).State != sallyport.Expired {
		t.Fatal("one group answered for another")
	}
	w.asked.kept[a.Digest] = yes
	if err := call(t, g, to("bank")); err != nil {
		t.Error(err)
	}
}

// A thousand identical calls use one yes once; the others wait for another.
func TestApprovalRaces(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	w.answer(t, g, true)
	var group sync.WaitGroup
	var mu sync.Mutex
	through, waiting := 0, map[string]int{}
	for range 1000 {
		group.Go(func() {
			_, err := g.Call(context.Background(), sallyport.Credential{}, to("bank"), &agent{})
			refused, _ := errors.AsType[*sallyport.RefusedError](err)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				through++
			case refused != nil && refused.Cause == sallyport.CauseHold:
				waiting[refused.Approval.ID]++
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if through != 1 || len(w.executed) != 1 || len(waiting) != 1 {
		t.Errorf("%d went through, %d executed, waiting for %v", through, len(w.executed), waiting)
	}
}

// A call that is overtaken again and again ends as a refusal, on the record.
func TestOvertakenIsBounded(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	yes := w.answer(t, g, true)
	yes.ID = "a_other" // so that every commit finds another one
	w.asked.kept[yes.Digest] = yes
	g.Approvals = wrong{w}
	refused := refusal(t, call(t, g, to("bank")), sallyport.CauseApproval)
	if e := w.last(); e.Type != sallyport.Refusal || e.Call != refused.CallID || len(w.executed) != 0 {
		t.Errorf("%+v, %d executed", e, len(w.executed))
	}
}

// wrong knows of approvals what was true before.
type wrong struct{ w *world }

func (x wrong) OpenApproval(ctx context.Context, id string) (sallyport.Approval, error) {
	return x.w.OpenApproval(ctx, id)
}

func (x wrong) Approval(ctx context.Context, digest sallyport.Digest) (sallyport.Approval, error) {
	a, err := x.w.Approval(ctx, digest)
	a.ID = "a_gone"
	return a, err
}

// When nobody knows what people said, the answer is no; when people are asked
// too much already, too; when the question can't be recorded, nobody is asked.
func TestApprovalsUnreadable(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	w.asked.err = errors.New("a row is damaged")
	if refused := refusal(t, call(t, g, to("bank")), sallyport.CauseLog); !strings.Contains(refused.Error(), "damaged") || len(w.asked.kept) != 0 {
		t.Errorf("%q", refused.Error())
	}
	if err := call(t, g, to("ana")); err != nil {
		t.Errorf("a call that asks nobody: %v", err)
	}
	w.asked.err, w.asked.full = nil, true
	refused := refusal(t, call(t, g, to("bank")), sallyport.CauseLimit)
	if e := w.last(); refused.Approval.ID != "" || e.Type != sallyport.Refusal || e.Approval != "" || e.Policy.IsZero() {
		t.Errorf("%+v, %+v", refused.Approval, e)
	}
	w.asked.full, w.asked.broken = false, errors.New("a row is damaged")
	refused = refusal(t, call(t, g, to("bank")), sallyport.CauseLog)
	if e := w.last(); refused.Approval.ID != "" || e.Type != sallyport.Refusal || e.Call != refused.CallID || !strings.Contains(e.Reason, "a row is damaged") {
		t.Errorf("not on the record: %+v", e)
	}
	w.asked.broken, w.commitErr = nil, errors.New("the disk is full")
	if refused := refusal(t, call(t, g, to("bank")), sallyport.CauseLog); refused.Approval.ID != "" {
		t.Error("told to wait for what nobody is asked")
	}
}

// Observe mode asks nobody and uses nothing up.
func TestObserveAsksNobody(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, payRules)
	refusal(t, call(t, g, to("bank")), sallyport.CauseHold)
	w.answer(t, g, true)
	w.observe = true
	if err := call(t, g, to("bank")); err != nil {
		t.Fatal(err)
	}
	if e := w.decision(); !e.Observed || e.Approval != "" || e.Verdict != sallyport.Hold || w.question(t).State != sallyport.Approved {
		t.Errorf("%+v", e)
	}
}

// What can't be made again by anybody can't wait.
func TestWhatCanNotWait(t *testing.T) {
	for name, c := range map[string]struct {
		call *sallyport.Call
		can  bool
	}{
		"tool":       {&sallyport.Call{Kind: sallyport.KindTool}, true},
		"resource":   {&sallyport.Call{Kind: sallyport.KindResource}, true},
		"under way":  {&sallyport.Call{Kind: sallyport.KindAsk, Parent: "c_1"}, false},
		"task":       {&sallyport.Call{Kind: sallyport.KindTask, Parent: "c_1"}, false},
		"completion": {&sallyport.Call{Kind: sallyport.KindCompletion}, false},
	} {
		if canWait(c.call) != c.can {
			t.Errorf("%s: %v", name, !c.can)
		}
	}
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action, resource);
@id("asks") @ask("finance") forbid(principal, action == Action::"shop/ask:elicitation", resource);`)
	w.execute = func(ctx context.Context, ticket *Ticket, client Client) (Answer, error) {
		_, err := client.Ask(ctx, wire.Message{Method: "elicitation/create", Params: sallyport.MustParse(`{"message":"?"}`)})
		refusal(t, err, sallyport.CauseHold)
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	if err := call(t, g, to("ana")); err != nil || len(w.asked.kept) != 0 {
		t.Errorf("%v, %d questions about what a server asks", err, len(w.asked.kept))
	}
}

// The record says for what each yes was given, and how sure it is whose it was.
func TestGiven(t *testing.T) {
	a := &sallyport.Approval{Answers: []sallyport.Answer{
		{Group: "finance", By: "bo", Proof: "secret"},
		{Group: "security", By: "cy", As: "board", Proof: "passkey"},
		{Group: "legal", By: "cy"},
	}}
	for by, want := range map[string]string{"bo": "for finance by secret", "cy": "for security as board by passkey; for legal", "nobody": ""} {
		if got := given(a, by); got != want {
			t.Errorf("%s: %q, not %q", by, got, want)
		}
	}
}
