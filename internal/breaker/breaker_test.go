package breaker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport"
)

var errorsOf = Rule{Per: Server, On: Errors, Rate: 50, Calls: 4, Within: time.Minute, Open: 30 * time.Second}

func callOf(agent, server, tool string) *sallyport.Call {
	return &sallyport.Call{Kind: sallyport.KindTool, Server: server, Name: tool, Principal: sallyport.Principal{Agent: agent}}
}

// act has calls pass, and end in a way.
func act(t *testing.T, b *Breakers, call *sallyport.Call, ends ...End) {
	t.Helper()
	for _, end := range ends {
		leave, err := b.Enter(call)
		if err != nil {
			t.Fatal(err)
		}
		leave(end, time.Millisecond)
	}
}

func refused(t *testing.T, b *Breakers, call *sallyport.Call, because string) {
	t.Helper()
	_, err := b.Enter(call)
	r, ok := errors.AsType[*sallyport.RefusedError](err)
	if !ok || r.Cause != sallyport.CauseBreaker || !strings.Contains(err.Error(), because) {
		t.Errorf("%v, want %q", err, because)
	}
}

func states(b *Breakers) string {
	var all []string
	for _, s := range b.All() {
		all = append(all, fmt.Sprintf("%s %s %s %s %d/%d", s.Per, s.Name, s.On, s.State, s.Bad, s.Calls))
	}
	return strings.Join(all, "; ")
}

func changes(b *Breakers) string {
	var all []string
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		c, ok := b.Next(ctx)
		cancel()
		if !ok {
			return strings.Join(all, "; ")
		}
		all = append(all, c.Name+" "+c.State+": "+c.Reason)
	}
}

// The life of a breaker: it opens at its rate, lets one call through after its
// time, and opens again or closes as that one ends.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Configure([]Rule{errorsOf})
		desk, bank := callOf("bot", "desk", "pay"), callOf("bot", "bank", "pay")
		act(t, b, desk, Failed, Answered, Failed)
		act(t, b, desk, Unused, Unused, Unused) // which say nothing
		if got := states(b); got != "server desk errors closed 2/3" {
			t.Error(got)
		}
		act(t, b, desk, Failed)
		at := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
		refused(t, b, desk, "server desk, because 3 of its last 4 calls failed. It is tried again at "+at)
		act(t, b, bank, Failed, Answered)
		if got := changes(b); got != "desk open: 3 of its last 4 calls failed" {
			t.Error(got)
		}

		time.Sleep(31 * time.Second)
		leave, err := b.Enter(desk)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, b, desk, "being tried again just now")
		leave(Failed, 0)
		refused(t, b, desk, "the call that tried it again failed, too. It is tried again at")

		time.Sleep(31 * time.Second)
		act(t, b, desk, Unused, Answered, Answered) // whoever gives up does not decide
		if got := states(b); got != "server bank errors closed 0/0; server desk errors closed 0/1" {
			t.Error(got)
		}
		if got := changes(b); got != "desk half-open: one call may try it; desk open: the call that tried it again failed, too; desk half-open: one call may try it; desk closed: the call that tried it went well" {
			t.Error(got)
		}
	})
}

// What is longer ago than the rule's time does not count.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Configure([]Rule{errorsOf})
		for range 20 {
			act(t, b, callOf("bot", "desk", "pay"), Failed)
			time.Sleep(25 * time.Second)
		}
	})
}

// Each rule looks at what it is about, and of two that are open neither lets
// through what the other would.
func TestRules(t *testing.T) {
	b := New()
	b.Configure([]Rule{
		{Per: Agent, On: Denials, Rate: 60, Calls: 5, Within: time.Minute, Open: time.Minute},
		{Per: Tool, On: Latency, Rate: 100, Calls: 2, Within: time.Minute, Slow: time.Second, Open: time.Minute},
	})
	act(t, b, callOf("bot", "desk", "pay"), Failed, Failed, Failed) // what servers do is nothing of the agent's
	denied := &sallyport.Entry{Type: sallyport.Refusal, Cause: sallyport.CausePolicy, Kind: sallyport.KindTool, Server: "desk", Name: "made up", Principal: sallyport.Principal{Agent: "bot"}}
	for _, cause := range []sallyport.Cause{sallyport.CauseKill, sallyport.CauseBreaker, sallyport.CauseLog, sallyport.CauseSchema, sallyport.CausePolicy, sallyport.CausePolicy, sallyport.CauseApproval, sallyport.CausePolicy} {
		act(t, b, callOf("bot", "desk", "pay"))
		denied.Cause = cause
		b.Denied(denied)
	}
	act(t, b, callOf("bot", "desk", "pay"), Answered)
	if got := states(b); got != "agent bot denials closed 4/8; tool desk/pay latency closed 0/4" {
		t.Error(got)
	}
	denied.Cause = sallyport.CausePolicy
	b.Denied(denied)
	b.Denied(denied)
	refused(t, b, callOf("bot", "desk", "pay"), "agent bot, because 6 of its last 10 calls got a refusal")
	act(t, b, callOf("other", "desk", "read"), Answered)

	for range 2 {
		leave, err := b.Enter(callOf("other", "bank", "pay"))
		if err != nil {
			t.Fatal(err)
		}
		leave(Answered, 2*time.Second)
	}
	refused(t, b, callOf("other", "bank", "pay"), "tool bank/pay, because 2 of its last 2 calls took more than 1s")
	act(t, b, callOf("other", "bank", "read"), Answered)
	for _, kind := range []sallyport.Kind{sallyport.KindAsk, sallyport.KindTask, sallyport.KindSubscribe} {
		if _, err := b.Enter(&sallyport.Call{Kind: kind, Principal: sallyport.Principal{Agent: "bot"}}); err != nil {
			t.Errorf("kind %v: %v", kind, err)
		}
	}
	b.Configure(nil)
	act(t, b, callOf("bot", "desk", "pay"), Answered)
	if got := states(b); got != "" {
		t.Error(got)
	}
}

// Names that agents make up cost no memory, and without breakers all passes.
func TestBounds(t *testing.T) {
	b := New()
	b.Configure([]Rule{{Per: Tool, On: Denials, Rate: 1, Calls: 1, Within: time.Minute, Open: time.Minute}})
	denied := &sallyport.Entry{Type: sallyport.Refusal, Cause: sallyport.CausePolicy, Kind: sallyport.KindTool, Server: "desk"}
	for i := range 10 {
		denied.Name = fmt.Sprint("made up ", i)
		b.Denied(denied)
	}
	if got := states(b); got != "" {
		t.Error(got)
	}
	denied.Tool[0] = 1
	b.Denied(denied)
	if got := states(b); got != "tool desk/made up 9 denials open 0/0" {
		t.Error(got)
	}
	for i := range maxKept + 10 {
		denied.Name = fmt.Sprint(i)
		b.Denied(denied)
	}
	if n := len(b.All()); n != maxKept {
		t.Errorf("%d are kept", n)
	}
	var none *Breakers
	act(t, none, callOf("bot", "desk", "pay"), Failed, Failed)
}

var spendOf = Rule{Per: Agent, On: Spend, Unit: "USD", Over: 500e6, Within: 10 * time.Minute, Open: time.Minute}

// spend has a call's intent reserve and, where cost is not negative, its outcome
// settle at that.
func spend(b *Breakers, agent string, reserved, cost sallyport.Amount) {
	record := &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindTool, Server: "desk", Name: "pay", Principal: sallyport.Principal{Agent: agent}},
		// The same money, as two limits count it, and something else.
		Charges: []sallyport.Charge{{Unit: "USD", Amount: reserved}, {Unit: "USD", Amount: reserved}, {Unit: "calls", Amount: 1e9}}}
	b.Spent(record)
	if cost >= 0 {
		record.Entry.Type = sallyport.Closed
		for i := range record.Charges {
			record.Charges[i].Cost = cost
		}
		b.Spent(record)
	}
}

// A breaker on spend opens by what was spent within its time, whatever the number
// of calls, and stays open as long as that is too much.
func TestSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.Configure([]Rule{spendOf})
		bot := callOf("bot", "desk", "pay")
		spend(b, "bot", 200e6, 200e6)
		spend(b, "bot", 250e6, 100e6) // settled at less
		spend(b, "bot", 200e6, -1)    // under way
		act(t, b, bot, Answered, Failed, Failed, Failed, Failed)
		spend(b, "other", 500e6, 500e6)
		act(t, b, callOf("other", "desk", "pay"), Answered)
		if got := changes(b); got != "" {
			t.Errorf("at the amount itself: %s", got)
		}
		if s := b.All()[0]; s.Spent != "500 USD" || s.Over != "500" {
			t.Errorf("%+v", s)
		}

		spend(b, "bot", 1, -1) // a millionth
		refused(t, b, bot, "agent bot, because 500.000001 USD were spent within 10m0s, more than 500. It is tried again at")
		act(t, b, callOf("other", "desk", "pay"), Answered)

		// One call tries it, whose end does not matter: it is still too much.
		time.Sleep(61 * time.Second)
		act(t, b, bot, Answered)
		refused(t, b, bot, "more than 500")
		if got := changes(b); got != "bot open: 500.000001 USD were spent within 10m0s, more than 500; bot half-open: one call may try it; bot open: 500.000001 USD were spent within 10m0s, more than 500" {
			t.Error(got)
		}

		// Later all of it is long ago; but not yet at the end of the time itself.
		time.Sleep(10*time.Minute - 61*time.Second - time.Second)
		if s := b.All(); s[0].Name == "bot" && s[0].Spent != "500.000001 USD" {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		act(t, b, bot, Answered)
		if got := changes(b); got != "bot half-open: one call may try it; bot closed: the call that tried it went well" {
			t.Error(got)
		}

		// What tries it may itself be too dear.
		spend(b, "bot", 501e6, -1)
		time.Sleep(61 * time.Second)
		time.Sleep(10 * time.Minute)
		leave, err := b.Enter(bot)
		if err != nil {
			t.Fatal(err)
		}
		spend(b, "bot", 600e6, 600e6)
		leave(Answered, 0)
		refused(t, b, bot, "600 USD were spent")
	})
}
