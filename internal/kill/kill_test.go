package kill

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sallyport"
)

func TestScopes(t *testing.T) {
	bot := Target{Principal: sallyport.Principal{Agent: "bot", User: "ana", Role: "support", Tenant: "acme"}, Run: "r_2", Parent: "r_1", Server: "desk", Action: "desk/tool:pay"}
	for _, c := range []struct {
		scope Scope
		want  bool
	}{
		{Scope{All, ""}, true},
		{Scope{Tenant, "acme"}, true}, {Scope{Tenant, "other"}, false},
		{Scope{Role, "support"}, true}, {Scope{Role, "bot"}, false},
		{Scope{User, "ana"}, true}, {Scope{User, "bot"}, false},
		{Scope{Agent, "bot"}, true}, {Scope{Agent, "ana"}, false}, {Scope{Agent, "bo"}, false},
		{Scope{Run, "r_2"}, true}, {Scope{Run, "r_1"}, true}, {Scope{Run, "r_3"}, false},
		{Scope{Server, "desk"}, true}, {Scope{Server, "desk/pay"}, false},
		{Scope{Tool, "desk/pay"}, true}, {Scope{Tool, "desk/other"}, false}, {Scope{Tool, "other/pay"}, false},
		{Scope{"galaxy", "x"}, true}, // nobody knows what was meant: more, never less
		{Scope{}, true},
	} {
		if got := c.scope.Covers(bot); got != c.want {
			t.Errorf("%v covers: %v", c.scope, got)
		}
	}
}

// Of a run everything below it is stopped, however deep, and what begins there later.
func TestBelow(t *testing.T) {
	o := Order{Scope: Scope{Run, "r_1"}, Below: []string{"r_2", "r_3"}}
	for _, c := range []struct {
		run, parent string
		want        bool
	}{{"r_1", "", true}, {"r_2", "r_1", true}, {"r_3", "r_2", true}, {"r_4", "r_3", true}, {"r_5", "r_0", false}, {"r_0", "", false}, {"", "", false}} {
		if got := o.Covers(Target{Run: c.run, Parent: c.parent}); got != c.want {
			t.Errorf("%s below %s: %v", c.run, c.parent, got)
		}
	}
}

func TestScopesThatMeanNothing(t *testing.T) {
	for _, s := range []Scope{{}, {All, "x"}, {Agent, ""}, {Tool, "desk"}, {Tool, "/pay"}, {Tool, "desk/"}, {"galaxy", "x"}} {
		if s.Check() == nil {
			t.Errorf("%#v is taken", s)
		}
	}
	for _, s := range []Scope{{All, ""}, {Agent, "bot"}, {Tool, "desk/a/b"}} {
		if err := s.Check(); err != nil {
			t.Errorf("%#v: %v", s, err)
		}
	}
}

// A pause lets what is under way come to its end, with what its server asks; a
// kill does not.
func TestPauseAndKill(t *testing.T) {
	for _, pause := range []bool{true, false} {
		var s Switch
		under, leave, err := s.Enter(t.Context(), Target{Server: "desk"})
		if err != nil {
			t.Fatal(err)
		}
		other, leaveOther, _ := s.Enter(t.Context(), Target{Server: "bank"})
		defer leaveOther()
		flights := s.Stop(Order{ID: "k_1", Pause: pause, Scope: Scope{Server, "desk"}, Reason: "because."})
		if (under.Err() == nil) != pause || (Cause(under) == nil) != pause || other.Err() != nil || Cause(other) != nil {
			t.Errorf("pause %v: %v, %v", pause, context.Cause(under), context.Cause(other))
		}
		if (s.Stops(Target{Server: "desk", Asked: true}) == nil) != pause || s.Stops(Target{Server: "desk"}) == nil || s.Stops(Target{Server: "bank"}) != nil {
			t.Errorf("pause %v stops something else", pause)
		}
		soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if left := flights.Wait(soon); left != 1 {
			t.Errorf("%d of one are left", left)
		}
		leave()
		if left := flights.Wait(t.Context()); left != 0 {
			t.Errorf("%d of none are left", left)
		}
		if _, _, err := s.Enter(t.Context(), Target{Server: "desk"}); err == nil {
			t.Error("a stopped call enters")
		}
		refused, ok := errors.AsType[*sallyport.RefusedError](s.Stops(Target{Server: "desk"}))
		if !ok || refused.Cause != sallyport.CauseKill {
			t.Errorf("%v", refused)
		}
		s.Resume("k_1")
		if s.Stops(Target{Server: "desk"}) != nil || len(s.Orders()) != 0 {
			t.Error("a resumed order is in force")
		}
	}
}

// Whatever enters while it is being stopped is either refused or cancelled.
func TestNothingSlipsBetween(t *testing.T) {
	for range 200 {
		var s Switch
		var group sync.WaitGroup
		contexts := make([]context.Context, 16)
		for i := range contexts {
			group.Go(func() {
				if ctx, _, err := s.Enter(t.Context(), Target{}); err == nil {
					contexts[i] = ctx
				}
			})
		}
		s.Stop(Order{ID: "k_1", Scope: Scope{Kind: All}})
		group.Wait()
		for _, ctx := range contexts {
			if ctx != nil && Cause(ctx) == nil {
				t.Fatal("a call is under way that nobody has cancelled")
			}
		}
	}
}

// A stream ends with a kill that covers it and is no call under way: nobody
// waits for its end.
func TestStreams(t *testing.T) {
	var s Switch
	bot := Target{Principal: sallyport.Principal{Agent: "bot"}, Run: "r_2", Parent: "r_1", Server: "desk"}
	heard, leave, err := s.Watch(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	for _, o := range []Order{{ID: "k_1", Pause: true, Scope: Scope{All, ""}}, {ID: "k_2", Scope: Scope{Server, "bank"}}} {
		if flights := s.Stop(o); len(flights) != 0 || heard.Err() != nil {
			t.Errorf("%s ends it: %v, of %d", o.ID, context.Cause(heard), len(flights))
		}
	}
	if _, _, err := s.Watch(t.Context(), bot); err == nil {
		t.Error("what is paused is let in")
	}
	if flights := s.Stop(Order{ID: "k_3", Scope: Scope{Run, "r_1"}}); len(flights) != 0 || Cause(heard) == nil {
		t.Errorf("a kill leaves it: %v, of %d", context.Cause(heard), len(flights))
	}
}
