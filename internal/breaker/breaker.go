// Package breaker cuts off for a while what keeps going wrong: an agent, a
// server or a tool whose calls fail, are refused, take too long or spend too fast.
package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"sallyport"
)

// Rule says what is cut off when, and for how long.
type Rule struct {
	Per    string        // Agent, Server or Tool: each of them has a breaker of its own
	On     string        // Errors, Denials, Latency or Spend
	Rate   int           // percent of the calls from which on it opens
	Calls  int           // of at least so many
	Within time.Duration // in this time
	Slow   time.Duration // Latency: a call that takes longer counts
	Open   time.Duration // until one call may try it again

	Unit string           // Spend: what is counted, as limits have it
	Over sallyport.Amount // Spend: more than this, Within that time, opens it
}

// What a breaker is about.
const (
	Agent  = "agent"
	Server = "server"
	Tool   = "tool" // SERVER/TOOL
)

// What makes it open.
const (
	Errors  = "errors"  // no answer, or an error instead of a result
	Denials = "denials" // refused by policy or by people
	Latency = "latency"
	Spend   = "spend" // of what limits reserve and settle
)

// End is how a call ended, as far as breakers look at it.
type End int

// The ends. The zero End says nothing about anybody: the call was not carried
// out, or given up by the agent or by us.
const (
	Unused End = iota
	Answered
	Failed
)

// Change is a breaker that changed its state.
type Change struct {
	Per, Name, On string
	State         string // "open", "half-open" or "closed"
	Reason        string
	At            time.Time
}

// Status is how one breaker stands.
type Status struct {
	Per    string    `json:"per"`
	Name   string    `json:"name"`
	On     string    `json:"on"`
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"` // unless closed: why
	Until  time.Time `json:"until,omitzero"`   // open: when a call may try it again
	Calls  int       `json:"calls"`            // within the rule's time
	Bad    int       `json:"bad"`              // of those, that count against it
	Spent  string    `json:"spent,omitempty"`  // Spend: within the rule's time
	Over   string    `json:"over,omitempty"`
}

// maxKept bounds how many breakers are kept. What is beyond is not watched.
const maxKept = 1 << 14

// Breakers are all breakers. They begin closed, with the process. The zero
// Breakers have no rules, and nil stops nothing.
type Breakers struct {
	mu    sync.Mutex
	rules []Rule
	kept  map[key]*breaker

	news    []Change // that nobody has taken
	arrived chan struct{}
}

type key struct {
	rule Rule
	name string
}

// breaker is one of them. Its fields are guarded by Breakers.mu, which is held
// whenever the library is called.
type breaker struct {
	gate   *gobreaker.TwoStepCircuitBreaker[struct{}]
	reason string
	until  time.Time
	spent  window
}

// New makes breakers without rules.
func New() *Breakers { return &Breakers{arrived: make(chan struct{}, 1)} }

// Configure makes these the rules. What stays as it is keeps its state.
func (b *Breakers) Configure(rules []Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = slices.Clone(rules)
	for k := range b.kept {
		if !slices.Contains(rules, k.rule) {
			delete(b.kept, k)
		}
	}
}

var (
	errUnused = errors.New("says nothing")
	errBad    = errors.New("counts against it")
)

// of is the breaker of a name under a rule, nil when there are too many; b.mu is
// held.
func (b *Breakers) of(rule Rule, name string) *breaker {
	k := key{rule, name}
	if one := b.kept[k]; one != nil {
		return one
	}
	if len(b.kept) >= maxKept {
		return nil
	}
	one := &breaker{}
	one.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1, Interval: rule.Within, BucketPeriod: rule.Within / 10, Timeout: rule.Open,
		IsExcluded: func(err error) bool { return errors.Is(err, errUnused) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			if rule.On == Spend {
				one.reason = one.spentReason(rule)
				return true // it is bad only where it is too much
			}
			calls, bad := int(c.TotalSuccesses+c.TotalFailures), int(c.TotalFailures)
			one.reason = fmt.Sprintf("%d of its last %d calls %s", bad, calls, rule.went())
			return calls >= rule.Calls && bad*100 >= rule.Rate*calls
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			reason := one.reason
			switch one.until = (time.Time{}); to {
			case gobreaker.StateOpen:
				switch {
				case rule.On == Spend:
					one.reason = one.spentReason(rule)
				case from == gobreaker.StateHalfOpen:
					one.reason = "the call that tried it again " + rule.went() + ", too"
				}
				reason, one.until = one.reason, time.Now().Add(rule.Open)
			case gobreaker.StateHalfOpen:
				reason = "one call may try it"
			case gobreaker.StateClosed:
				reason = "the call that tried it went well"
			}
			b.changed(Change{Per: rule.Per, Name: name, On: rule.On, State: to.String(), Reason: reason, At: time.Now()})
		},
	})
	if b.kept == nil {
		b.kept = map[key]*breaker{}
	}
	b.kept[k] = one
	return one
}

// went is what calls did that count.
func (r *Rule) went() string {
	switch r.On {
	case Denials:
		return "got a refusal"
	case Latency:
		return "took more than " + r.Slow.String()
	default:
		return "failed"
	}
}

func (b *Breakers) changed(c Change) {
	b.news = append(b.news, c)
	select {
	case b.arrived <- struct{}{}:
	default: // somebody is about to look
	}
}

// Next waits for a change. It reports false when ctx ends first.
func (b *Breakers) Next(ctx context.Context) (Change, bool) {
	for {
		b.mu.Lock()
		if len(b.news) > 0 {
			c := b.news[0]
			b.news = b.news[1:]
			b.mu.Unlock()
			return c, true
		}
		b.mu.Unlock()
		select {
		case <-b.arrived:
		case <-ctx.Done():
			return Change{}, false
		}
	}
}

// watched reports whether breakers look at a call: what belongs to another call
// or stays open by nature says nothing about anybody.
func watched(kind sallyport.Kind, parent string) bool {
	switch kind {
	case sallyport.KindTool, sallyport.KindResource, sallyport.KindPrompt, sallyport.KindCompletion:
		return parent == ""
	}
	return false
}

// Enter is passed by a call right before its intent. leave must be called once,
// when the call has ended. An error is the refusal of a breaker that is open.
func (b *Breakers) Enter(call *sallyport.Call) (leave func(end End, took time.Duration), err error) {
	leave = func(End, time.Duration) {}
	if b == nil || !watched(call.Kind, call.Parent) {
		return leave, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	type pass struct {
		rule Rule
		one  *breaker
		done func(error)
	}
	var passes []pass
	for _, rule := range b.rules {
		name := rule.names(call.Principal.Agent, call.Server, call.Kind, call.Name)
		if name == "" {
			continue
		}
		one := b.of(rule, name)
		if one == nil {
			continue
		}
		done, err := one.gate.Allow()
		if err != nil {
			for _, p := range passes {
				p.done(errUnused)
			}
			return leave, refusal(rule, name, one, err)
		}
		passes = append(passes, pass{rule, one, done})
	}
	return func(end End, took time.Duration) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range passes {
			p.done(p.one.counts(p.rule, end, took))
		}
	}, nil
}

// counts is what a call that was let in says under a rule: nil for well.
func (b *breaker) counts(r Rule, end End, took time.Duration) error {
	switch {
	case r.On == Spend && b.spent.within(r.Within) > r.Over:
		return errBad // however it ended
	case end == Unused:
		return errUnused
	case r.On == Errors && end == Failed, r.On == Latency && took > r.Slow:
		return errBad
	}
	return nil
}

// names is what a call is counted under, "" for nothing.
func (r *Rule) names(agent, server string, kind sallyport.Kind, name string) string {
	switch {
	case r.Per == Agent:
		return agent
	case r.Per == Server:
		return server
	case kind == sallyport.KindTool:
		return server + "/" + name
	}
	return ""
}

func refusal(rule Rule, name string, one *breaker, err error) error {
	when := "It is tried again at " + one.until.UTC().Format(time.RFC3339) + "; wait until then."
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		when = "It is being tried again just now; wait a moment."
	}
	return sallyport.Refuse(sallyport.CauseBreaker, "Cut off for now: %s %s, because %s. %s", rule.Per, name, one.reason, when)
}

// Denied counts a refusal. Of a tool only what is pinned counts: anybody can make
// up names.
func (b *Breakers) Denied(e *sallyport.Entry) {
	if e.Type != sallyport.Refusal || e.Cause != sallyport.CausePolicy && e.Cause != sallyport.CauseApproval || !watched(e.Kind, e.Parent) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rule := range b.rules {
		name := rule.names(e.Principal.Agent, e.Server, e.Kind, e.Name)
		if rule.On != Denials || name == "" || rule.Per == Tool && e.Tool == (sallyport.Digest{}) {
			continue
		}
		if one := b.of(rule, name); one != nil {
			if done, err := one.gate.Allow(); err == nil {
				done(errBad)
			}
		}
	}
}

// All is how every breaker stands, those that are not closed first.
func (b *Breakers) All() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []Status{}
	for k, one := range b.kept {
		s := Status{Per: k.rule.Per, Name: k.name, On: k.rule.On, State: one.gate.State().String(), Reason: one.reason, Until: one.until}
		counts := one.gate.Counts()
		s.Calls, s.Bad = int(counts.TotalSuccesses+counts.TotalFailures), int(counts.TotalFailures)
		if s.State == "closed" {
			s.Reason = ""
		}
		if k.rule.On == Spend {
			s.Spent, s.Over = one.spent.within(k.rule.Within).String()+" "+k.rule.Unit, k.rule.Over.String()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y Status) int {
		closed := func(s Status) int {
			if s.State == "closed" {
				return 1
			}
			return 0
		}
		return cmp.Or(closed(x)-closed(y), cmp.Compare(x.Per, y.Per), cmp.Compare(x.Name, y.Name), cmp.Compare(x.On, y.On))
	})
	return all
}
