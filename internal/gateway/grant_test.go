package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/granting"
)

// grant is what the store does with grants.
func (q *questions) grant(record *sallyport.Record) error {
	g := record.Grant
	if g == nil {
		return nil
	}
	at := slices.IndexFunc(q.grants, func(kept sallyport.Grant) bool { return kept.ID == g.ID })
	switch {
	case g.Revoked == "" && g.Used == 0:
		q.grants = append(q.grants, *g)
	case at < 0 || q.grants[at].Revoked != "":
		return sallyport.ErrOvertaken
	case g.Revoked != "":
		q.grants[at].Revoked = g.Revoked
	case q.grants[at].Used >= q.grants[at].Count:
		return sallyport.ErrOvertaken
	default:
		q.grants[at].Used++
	}
	if record.Approval == nil {
		record.Entry.Approval = g.ID
	}
	return nil
}

func (w *world) Grants(_ context.Context, agent, server, name string) ([]sallyport.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.asked.grants), func(g sallyport.Grant) bool {
		return g.Agent != agent || g.Server != server || g.Name != name
	}), w.asked.err
}

func (x wrong) Grants(ctx context.Context, agent, server, name string) ([]sallyport.Grant, error) {
	return x.w.Grants(ctx, agent, server, name)
}

const banks = `
@id("friends") permit(principal, action in Action::"effect:pay", resource) when { context.input has to && context.input.to != "mallory" };
@id("banks") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to like "bank*" };
@id("big") @ask("finance") forbid(principal, action == Action::"shop/tool:pay", resource) when { context.input has to && context.input.to like "*big" };
`

// granted is a gateway in which calls to any bank-* are granted, three times.
func granted(t *testing.T) (*Gateway, *world, func(time.Duration)) {
	t.Helper()
	g, w := open(t)
	enforce(t, g, w, banks)
	set := at(g)
	w.terms = &asking.Terms{Expire: time.Hour, Groups: map[string][]string{"bo": {"finance"}}}
	refusal(t, call(t, g, to("bank-one")), sallyport.CauseHold)
	a := w.question(t)
	yes, err := a.Approve("bo", g.Now())
	grant := sallyport.Grant{ID: "g_1", Approval: a.ID, Agent: "bot", Server: "shop", Name: "pay", Made: g.Now(), Until: g.Now().Add(24 * time.Hour), Count: 3,
		Free: []sallyport.Free{{Path: "to", Like: "bank-*"}}}
	if err == nil {
		err = granting.Check(&grant, &a, a.Question)
	}
	if err == nil {
		err = g.Grant(t.Context(), yes, grant, "bo")
	}
	if err != nil {
		t.Fatal(err)
	}
	if e := w.last(); e.Type != sallyport.Change || e.Subject != "grant made g_1" || e.By != "bo" || !strings.Contains(e.Reason, "to like bank-*") {
		t.Errorf("%+v", e)
	}
	return g, w, set
}

// A grant lets calls like the one that was asked about through, as often as it
// says, each on the record with the grant and who gave it.
func TestGrant(t *testing.T) {
	g, w, _ := granted(t)
	for _, bank := range []string{"bank-two", "bank-three", "bank-two"} {
		if err := call(t, g, to(bank)); err != nil {
			t.Fatal(err)
		}
		if e := w.decision(); e.Type != sallyport.Intent || e.Approval != "g_1" || e.Approver != "bo" || e.Verdict != sallyport.Allow {
			t.Errorf("%+v", e)
		}
	}
	var answers []string // the questions, which the commit closes
	for _, r := range w.records {
		if r.Grant != nil && r.Grant.Used > 0 {
			answers = append(answers, r.Grant.Question)
		}
	}
	if len(answers) != 3 || answers[0] != answers[2] || answers[0] == answers[1] || !strings.HasPrefix(answers[0], "sha256:") {
		t.Errorf("%q", answers)
	}
	refusal(t, call(t, g, to("bank-four")), sallyport.CauseHold)
	if err := call(t, g, to("bank-one")); err != nil { // by the approval itself
		t.Error(err)
	}
	if e := w.decision(); !strings.HasPrefix(e.Approval, "a_") {
		t.Errorf("%+v", e)
	}
}

// However much a call takes, of limits and of what people granted, there is one commit
// before it acts, which holds all of that, and the outcome behind it.
func TestOneCommitBeforeTheAct(t *testing.T) {
	g, w, _ := granted(t)
	_, other := limited(t)
	w.taken.set = other.taken.set
	before := len(w.records)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		made := w.records[before:]
		if len(made) != 1 || made[0].Entry.Type != sallyport.Intent || len(made[0].Charges) != 1 || made[0].Grant == nil || made[0].Grant.ID != "g_1" {
			t.Errorf("before the act: %+v", made)
		}
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	if err := call(t, g, to("bank-two")); err != nil {
		t.Fatal(err)
	}
	if made := w.records[before:]; len(made) != 2 || made[1].Entry.Type != sallyport.Closed || len(w.executed) != 1 {
		t.Errorf("%d records, %d calls: %+v", len(made), len(w.executed), made)
	}
}

// Whatever of a call, of its rules or of its people is not as it was agreed to is
// asked about.
func TestGrantLiftsNothingElse(t *testing.T) {
	for name, change := range map[string]func(g *Gateway, w *world, set func(time.Duration)) *sallyport.Call{
		"another argument": func(*Gateway, *world, func(time.Duration)) *sallyport.Call { return to("bank/one") },
		"a rule that nobody was asked about": func(*Gateway, *world, func(time.Duration)) *sallyport.Call {
			return to("bank-big")
		},
		"the rule's text": func(g *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			enforce(t, g, w, strings.Replace(banks, `like "bank*"`, `like "bank-*"`, 1))
			return to("bank-two")
		},
		"another user": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.principal.User = "eve"
			return to("bank-two")
		},
		"another agent": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.principal.Agent = "bob"
			return to("bank-two")
		},
		"its time": func(_ *Gateway, _ *world, set func(time.Duration)) *sallyport.Call {
			set(24 * time.Hour)
			return to("bank-two")
		},
		"a clock before it": func(_ *Gateway, _ *world, set func(time.Duration)) *sallyport.Call {
			set(-time.Hour)
			return to("bank-two")
		},
		"who granted has left": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.terms = &asking.Terms{Expire: time.Hour, Groups: map[string][]string{"bo": {"legal"}}}
			return to("bank-two")
		},
		"who granted is the user": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.terms = &asking.Terms{Expire: time.Hour, Groups: w.terms.Groups, Owner: func(string) string { return "bo" }}
			return to("bank-two")
		},
		"a higher class": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.terms = &asking.Terms{Expire: time.Hour, Groups: w.terms.Groups, Classes: map[sallyport.Effect]sallyport.Class{sallyport.Pay: sallyport.ClassPair}}
			return to("bank-two")
		},
		"a class above that of the question": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			for digest, a := range w.asked.kept {
				a.Class = sallyport.ClassTap
				w.asked.kept[digest] = a
			}
			return to("bank-two")
		},
		"a kill ended the yes": func(g *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			for digest, a := range w.asked.kept {
				a, err := a.End("operator", "killed", g.Now())
				if err != nil {
					t.Error(err)
				}
				w.asked.kept[digest] = a
			}
			return to("bank-two")
		},
		"the question is pending": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			for digest, a := range w.asked.kept {
				a.State = sallyport.Pending
				w.asked.kept[digest] = a
			}
			return to("bank-two")
		},
		"it was revoked": func(g *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			if err := g.Revoke(t.Context(), w.asked.grants[0], "bo", "over"); err != nil {
				t.Error(err)
			}
			return to("bank-two")
		},
		"another run": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.asked.grants[0].Run = "r_other"
			return to("bank-two")
		},
		"what was agreed to is gone": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.asked.grants[0].Approval = "a_gone"
			return to("bank-two")
		},
		"another origin": func(_ *Gateway, w *world, _ func(time.Duration)) *sallyport.Call {
			w.flow = &sallyport.Flow{Traces: []sallyport.Trace{{Path: "to", Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}}}}
			return to("bank-two")
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, w, set := granted(t)
			if name == "another origin" {
				enforce(t, g, w, banks+`@id("flow") @ask("finance") forbid(principal, action, resource) when { context.untrusted.contains("nowhere") };`)
			}
			refusal(t, call(t, g, change(g, w, set)), sallyport.CauseHold)
			if len(w.executed) != 0 {
				t.Errorf("executed %v", w.executed)
			}
		})
	}
}

// What is refused stays refused, and a no to the very call is stronger.
func TestGrantAuthorisesNothing(t *testing.T) {
	g, w, _ := granted(t)
	enforce(t, g, w, banks+`@id("never") forbid(principal, action, resource) when { context.input has to && context.input.to == "bank-two" };`)
	refusal(t, call(t, g, to("bank-two")), sallyport.CausePolicy)

	g, w, _ = granted(t)
	w.asked.grants[0].Count = 0
	refusal(t, call(t, g, to("bank-two")), sallyport.CauseHold)
	for digest, a := range w.asked.kept {
		if a.State == sallyport.Pending {
			a, _ = a.Refuse("bo", "no", g.Now())
			w.asked.kept[digest] = a
		}
	}
	w.asked.grants[0].Count = 3
	refusal(t, call(t, g, to("bank-two")), sallyport.CauseApproval)

	g, w, _ = granted(t)
	w.asked.err = errors.New("the disk is gone")
	refusal(t, call(t, g, to("bank-two")), sallyport.CauseLog)
}

// Of many calls at once no more go through than were granted.
func TestGrantIsCounted(t *testing.T) {
	g, w, _ := granted(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	through := 0
	for range 200 {
		group.Go(func() {
			if _, err := g.Call(context.Background(), sallyport.Credential{}, to("bank-two"), &agent{}); err == nil {
				mu.Lock()
				through++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if through != 3 || len(w.executed) != 3 {
		t.Errorf("%d went through, %d executed", through, len(w.executed))
	}
}
