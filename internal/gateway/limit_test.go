package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/limits"
)

// ledger keeps what is taken in memory.
type ledger struct {
	mu     sync.Mutex
	set    *limits.Set
	total  map[string]sallyport.Amount
	err    error  // of looking
	before func() // the next look at it sees
	alerts []string
}

func (l *ledger) limits() *limits.Set {
	if l.set == nil {
		return limits.None()
	}
	return l.set
}

func (l *ledger) alert(c sallyport.Charge, percent int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alerts = append(l.alerts, fmt.Sprint(c.Limit, " ", percent))
}

func (l *ledger) apply(record *sallyport.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total == nil {
		l.total = map[string]sallyport.Amount{}
	}
	for i := range record.Charges {
		c := &record.Charges[i]
		key := c.Limit + c.Account
		switch {
		case record.Entry.Type == sallyport.Closed:
			l.total[key] += c.Cost - c.Amount
		case l.total[key]+c.Amount > c.Ceiling:
			return sallyport.ErrFull
		default:
			c.Before, c.Until = l.total[key], c.Window.Until(record.Entry.Time)
			l.total[key] += c.Amount
		}
	}
	return nil
}

func (l *ledger) Accounts(_ context.Context, charges []sallyport.Charge, now time.Time) ([]limits.Account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	accounts := make([]limits.Account, len(charges))
	for i, c := range charges {
		if total := l.total[c.Limit+c.Account]; total > 0 {
			accounts[i].Parts = []limits.Part{{Until: now.Add(time.Hour), Used: total}}
		}
	}
	if l.before != nil {
		l.before()
	}
	return accounts, l.err
}

func (l *ledger) Typical(context.Context, string, string) (sallyport.Amount, bool, error) {
	return 0, false, l.err
}

// limited is a gateway whose shop takes three payments an hour.
func limited(t testing.TB, ask ...string) (*Gateway, *world) {
	t.Helper()
	g, w := open(t)
	enforce(t, g, w, `@id("all") permit(principal, action, resource);`)
	one, err := limits.ParseExpression("1", "input")
	if err != nil {
		t.Fatal(err)
	}
	w.taken.set, err = limits.New([]limits.Limit{{Name: "payments", File: "sallyport.yaml", Line: 7, Unit: "calls", Cap: 3_000_000, Per: []string{"user"}, Estimate: one, Ask: ask,
		Window: sallyport.Window{Kind: sallyport.Fixed, Length: time.Hour}, Applies: limits.Applies{Effects: []sallyport.Effect{sallyport.Pay}}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g, w
}

func TestLimitRefuses(t *testing.T) {
	g, w := limited(t)
	for range 3 {
		if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
	if !strings.HasPrefix(err.Error(), "Refused by limit payments: 3 of 3 calls are taken per user, and this call takes 1: there is room again at 20") {
		t.Errorf("%v", err)
	}
	if len(w.executed) != 3 {
		t.Errorf("%d payments went out", len(w.executed))
	}
	if last := w.records[len(w.records)-1].Entry; last.Type != sallyport.Refusal || last.Rules[0] != "limit payments" || last.Verdict != sallyport.Deny {
		t.Errorf("%+v", last)
	}
	if got := strings.Join(w.taken.alerts, ", "); got != "payments 50, payments 100" {
		t.Errorf("alerts: %s", got)
	}
	if got := w.entries(); strings.Count(got, "change limit payments at ") != 2 {
		t.Errorf("the log says of alerts:\n%s", got)
	}
}

// A hundred calls at once: three of them.
func TestLimitRace(t *testing.T) {
	g, w := limited(t)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := g.Call(context.Background(), sallyport.Credential{}, pay(), &agent{}); err != nil {
				refusedBecause(t, err, sallyport.CauseLimit)
			}
		})
	}
	group.Wait()
	if len(w.executed) != 3 {
		t.Errorf("%d payments went out", len(w.executed))
	}
}

// What can't be counted, or looked up, is refused.
func TestLimitUnknown(t *testing.T) {
	g, w := limited(t)
	w.taken.err = errors.New("disk I/O error")
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
	w.taken.err = nil
	amount, _ := limits.ParseExpression("input.amount", "input")
	w.taken.set.All()[0].Estimate = amount
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
	if !strings.Contains(err.Error(), "limit payments: input.amount can't be computed") || len(w.executed) > 0 {
		t.Errorf("%v, %v", err, w.executed)
	}
	w.taken.set.All()[0].Estimate, w.taken.set.All()[0].History = nil, true
	w.taken.err = errors.New("disk I/O error")
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
}

// A call for which there was room when it was decided, and none any more when it
// was to be recorded, is decided anew, and in the end refused.
func TestLimitTakenMeanwhile(t *testing.T) {
	g, w := limited(t)
	looks := 0
	w.taken.before = func() { looks++; w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 3_000_000} }
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
	if looks != 2 || !strings.Contains(err.Error(), "3 of 3 calls") {
		t.Errorf("looked %d times: %v", looks, err)
	}
	// Where it is taken and given back each time, somebody has to say no.
	w.taken.total = nil
	looks = 0
	w.committing = func() { w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 3_000_000} }
	w.taken.before = func() { looks++; w.taken.total = nil }
	w.taken.total = nil
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLimit)
	if looks > maxOvertaken || len(w.executed) > 0 {
		t.Errorf("looked %d times, %v", looks, w.executed)
	}
}

// People can let one call go beyond a limit, once, and no further than they were
// told.
func TestLimitAsks(t *testing.T) {
	g, w := limited(t, "finance")
	for range 3 {
		if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseHold)
	if !strings.Contains(err.Error(), "limit payments up to 4.2 calls") || !strings.Contains(err.Error(), "finance must agree") {
		t.Errorf("%v", err)
	}
	w.answer(t, g, true)
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseHold)
	if len(w.executed) != 4 {
		t.Errorf("%d payments went out", len(w.executed))
	}
}

// A yes up to an amount is none beyond it.
func TestLimitAsksUpTo(t *testing.T) {
	g, w := limited(t, "finance")
	w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 3_000_000}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseHold)
	w.answer(t, g, true)
	w.taken.total["paymentsuser=ana"] = 5_000_000
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseHold)
	// Nor is it where the others come between the look and the commit.
	w.taken.total["paymentsuser=ana"] = 3_000_000
	w.committing = func() { w.taken.total["paymentsuser=ana"] = 5_000_000 }
	if _, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err == nil || len(w.executed) > 0 {
		t.Errorf("%v, %v", err, w.executed)
	}
}

// A limit never lets through what nobody permits, and no yes answers it.
func TestLimitPermitsNothing(t *testing.T) {
	g, w := limited(t, "finance")
	enforce(t, g, w, `@id("none") permit(principal, action, resource) when { false };`)
	w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 3_000_000}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
}

// What observe mode lets through is counted, whatever there is room for.
func TestLimitObserved(t *testing.T) {
	g, w := limited(t)
	w.observe = true
	for range 5 {
		if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
			t.Fatal(err)
		}
	}
	if total := w.taken.total["paymentsuser=ana"]; total != 5_000_000 {
		t.Errorf("%s are taken", total)
	}
	if last := w.records[len(w.records)-2].Entry; !last.Observed || last.Verdict != sallyport.Deny {
		t.Errorf("%+v", last)
	}
}

// What was reserved is settled by what became of the call.
func TestLimitSettles(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Answer
		err    error
		want   sallyport.Amount
	}{
		{"done", Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil, 1_000_000},
		{"never sent", Answer{}, errors.New("connection refused"), 0},
		{"no answer", Answer{}, fmt.Errorf("%w: gone", ErrUnanswered), 1_000_000},
		{"wants more", Answer{Result: sallyport.MustParse(`{"resultType":"input_required"}`)}, nil, 1_000_000},
		{"says that it failed, and is not trusted", Answer{Result: sallyport.MustParse(`{"content":[],"isError":true}`)}, nil, 1_000_000},
		{"refused, by one that is not trusted", Answer{Error: sallyport.MustParse(`{"code":-32602,"message":"no"}`)}, nil, 1_000_000},
	} {
		g, w := limited(t)
		w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
			if w.taken.total["paymentsuser=ana"] != 1_000_000 {
				t.Errorf("%s: nothing is reserved while the server acts", c.name)
			}
			return c.answer, c.err
		}
		g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
		if total := w.taken.total["paymentsuser=ana"]; total != c.want {
			t.Errorf("%s: %s are taken, want %s", c.name, total, c.want)
		}
	}
}

// A share is said once for as long as what took it counts, however often calls reach it
// and give it back; the next share is said, too.
func TestLimitAlertsOnce(t *testing.T) {
	g, w := limited(t)
	w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 1_000_000}
	fails := func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{}, errors.New("connection refused")
	}
	for range 5 {
		w.execute = fails
		g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	}
	if got := strings.Join(w.taken.alerts, ", "); got != "payments 50" {
		t.Errorf("alerts: %s", got)
	}
	w.execute = nil
	for range 2 {
		if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(w.taken.alerts, ", "); got != "payments 50, payments 100" || strings.Count(w.entries(), "change limit payments at") != 2 {
		t.Errorf("alerts: %s\n%s", got, w.entries())
	}
}

// What a call came to beyond its estimate is said, as nothing may come behind it.
func TestLimitAlertsOfCosts(t *testing.T) {
	g, w := limited(t)
	w.taken.total = map[string]sallyport.Amount{"paymentsuser=ana": 200_000}
	w.taken.set.All()[0].Cost, _ = limits.ParseExpression("result.price", "input", "result")
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"content":[],"price":2.5}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.taken.alerts, ", "); got != "payments 80" || !strings.Contains(w.entries(), "change limit payments at 80") {
		t.Errorf("alerts: %s\n%s", got, w.entries())
	}
	if last := w.records[len(w.records)-1].Entry; !strings.HasPrefix(last.Reason, "2.7 of 3 calls until ") || !strings.HasSuffix(last.Reason, ", of user=ana") {
		t.Errorf("%+v", last)
	}
}

// What a client did by itself is counted, too.
func TestLimitHappened(t *testing.T) {
	g, w := limited(t)
	for range 4 {
		ticket, err := g.Happened(t.Context(), sallyport.Credential{}, pay())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ticket.Witness(t.Context(), sallyport.MustParse(`{"content":[]}`), false); err != nil {
			t.Fatal(err)
		}
	}
	if total := w.taken.total["paymentsuser=ana"]; total != 4_000_000 {
		t.Errorf("%s are taken", total)
	}
}
