package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/breaker"
)

// What keeps failing is refused, on the record and unseen by its server. What an
// agent gives up, what we broke off and what never became an intent does not
// count.
func TestBreakers(t *testing.T) {
	g, w := open(t)
	g.Breakers = breaker.New()
	rule := breaker.Rule{Per: breaker.Server, On: breaker.Errors, Rate: 100, Calls: 2, Within: time.Minute, Open: 200 * time.Millisecond}
	g.Breakers.Configure([]breaker.Rule{rule})
	call := func(ctx context.Context) error {
		_, err := g.Call(ctx, sallyport.Credential{}, pay(), &agent{})
		return err
	}
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{}, sallyport.Refuse(sallyport.CauseKill, "killed")
	}
	for range 3 {
		refusedBecause(t, call(t.Context()), sallyport.CauseKill)
	}
	w.execute = func(ctx context.Context, _ *Ticket, _ Client) (Answer, error) {
		<-ctx.Done()
		return Answer{}, ErrUnanswered
	}
	for range 3 {
		ctx, giveUp := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, giveUp)
		_ = call(ctx)
	}
	w.commitErr = errors.New("the disk is full")
	for range 3 {
		refusedBecause(t, call(t.Context()), sallyport.CauseLog)
	}
	w.commitErr = nil
	if all := g.Breakers.All(); len(all) != 1 || all[0].Calls != 0 || all[0].State != "closed" {
		t.Fatalf("%+v", all)
	}
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) { return Answer{}, ErrUnanswered }
	for range 2 {
		if err := call(t.Context()); !errors.Is(err, ErrUnanswered) {
			t.Fatal(err)
		}
	}
	executed := len(w.executed)
	w.records = nil
	refusedBecause(t, call(t.Context()), sallyport.CauseBreaker)
	if len(w.executed) != executed || w.entries() != "refusal shop/tool:pay breaker" {
		t.Errorf("%d calls more, on record %s", len(w.executed)-executed, w.entries())
	}

	// The one call that may try it again was not recorded: then another may.
	time.Sleep(250 * time.Millisecond)
	w.commitErr = errors.New("the disk is full")
	refusedBecause(t, call(t.Context()), sallyport.CauseLog)
	w.commitErr, w.execute = nil, nil
	if err := call(t.Context()); err != nil {
		t.Errorf("the call that tries it: %v", err)
	}
	if all := g.Breakers.All(); all[0].State != "closed" {
		t.Errorf("%+v", all)
	}
}

// A call that a client carries out itself ends for breakers, too, when the client says
// what came of it: it would stay the one that tries it again for ever.
func TestBreakersHearOfWitnessed(t *testing.T) {
	g, w := open(t)
	w.observe = false
	enforce(t, g, w, `permit (principal, action, resource);`)
	g.Breakers = breaker.New()
	g.Breakers.Configure([]breaker.Rule{{Per: breaker.Agent, On: breaker.Denials, Rate: 100, Calls: 1, Within: time.Minute, Open: 50 * time.Millisecond}})
	g.Breakers.Denied(&sallyport.Entry{Type: sallyport.Refusal, Cause: sallyport.CausePolicy, Kind: sallyport.KindTool, Principal: sallyport.Principal{Agent: "bot"}})
	_, err := g.Open(t.Context(), sallyport.Credential{}, pay())
	refusedBecause(t, err, sallyport.CauseBreaker)
	time.Sleep(60 * time.Millisecond)
	ticket, err := g.Open(t.Context(), sallyport.Credential{}, pay())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ticket.Witness(t.Context(), sallyport.MustParse(`{"content":[]}`), false); err != nil {
		t.Fatal(err)
	}
	if all := g.Breakers.All(); len(all) != 1 || all[0].State != "closed" {
		t.Errorf("%+v", all)
	}
	if _, err := g.Open(t.Context(), sallyport.Credential{}, pay()); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
