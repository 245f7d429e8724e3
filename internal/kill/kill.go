// Package kill is what is stopped: orders with a scope, and the switch that
// every call passes on its way in, in its commit and while it runs.
package kill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport"
)

// Order stops everything in its scope until a human resumes it.
type Order struct {
	ID     string    `json:"id"` // "k_…"
	Pause  bool      `json:"pause,omitempty"`
	Scope  Scope     `json:"scope"`
	Below  []string  `json:"below,omitempty"` // of the scope's run: all that went on below it
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Wanted asks for an order.
type Wanted struct {
	Pause  bool   `json:"pause,omitempty"`
	Scope  Scope  `json:"scope"`
	Reason string `json:"reason,omitempty"`
}

// Done says what an order has done.
type Done struct {
	Order
	Under    int    `json:"under_way"`         // calls in its scope when it came, cancelled by a kill
	Left     int    `json:"left"`              // of those, by a kill: that had not ended when this was answered
	Recorded bool   `json:"recorded"`          // in the log; else as soon as that can be written
	Problem  string `json:"problem,omitempty"` // what was not done, or not yet
}

// Drained says what was under way, and what had not ended in time.
type Drained struct {
	Under int `json:"under_way"`
	Left  int `json:"left"`
}

// Covers reports whether the order stops a target. A pause lets what is under
// way come to its end, with all that its server asks meanwhile.
func (o *Order) Covers(t Target) bool {
	below := slices.Contains(o.Below, t.Run) || slices.Contains(o.Below, t.Parent)
	return (o.Scope.Covers(t) || below) && !(o.Pause && t.Asked)
}

// What is the order's name: a kill also ends what is under way, what people
// were asked and the runs; a pause lets those be.
func (o *Order) What() string {
	if o.Pause {
		return "pause"
	}
	return "kill"
}

// Refusal is what the agent hears. It names no scope: whom else an order stops
// is nothing that an agent needs.
func (o *Order) Refusal() *sallyport.RefusedError {
	what := "This was killed by the operator"
	if o.Pause {
		what = "This was paused by the operator"
	}
	if o.Reason != "" {
		what += ": " + strings.TrimRight(o.Reason, ". ")
	}
	return sallyport.Refuse(sallyport.CauseKill, "%s (%s). Don't try the same in another way.", what, o.ID)
}

// Kind says what a scope is about. An unknown kind covers everything: what an
// order can't mean any more stops more, never less.
type Kind string

// The kinds of scope.
const (
	All    Kind = "all"
	Tenant Kind = "tenant"
	Role   Kind = "role"
	User   Kind = "user"
	Agent  Kind = "agent"
	Run    Kind = "run"
	Server Kind = "server"
	Tool   Kind = "tool" // SERVER/TOOL
)

// Kinds lists every kind but All, widest first.
var Kinds = [...]Kind{Tenant, Role, User, Agent, Run, Server, Tool}

// Scope is what an order stops.
type Scope struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"`
}

func (s Scope) String() string {
	if s.Kind == All {
		return "everything"
	}
	return string(s.Kind) + " " + s.Name
}

// Check says what is wrong with a scope, before an order is made of it.
func (s Scope) Check() error {
	switch {
	case s.Kind == All && s.Name == "":
		return nil
	case s.Kind == Tool:
		server, tool, ok := strings.Cut(s.Name, "/")
		if !ok || server == "" || tool == "" {
			return fmt.Errorf("a tool is named SERVER/TOOL, not %q", s.Name)
		}
		return nil
	case !slices.Contains(Kinds[:], s.Kind):
		return fmt.Errorf("there is no scope %q", s.Kind)
	case s.Name == "":
		return fmt.Errorf("the %s has no name", s.Kind)
	}
	return nil
}

// Target is who does what, as far as it is known: lists and questions about a
// server have no Action.
type Target struct {
	Asked     bool // by a server or answered to it, within a call that is under way
	Principal sallyport.Principal
	Run       string
	Parent    string // of Run
	Server    string
	Action    string
}

// TargetOf is the target of a recorded call.
func TargetOf(e *sallyport.Entry) Target {
	asked := e.Kind == sallyport.KindAsk || e.Kind == sallyport.KindAnswer
	return Target{Asked: asked, Principal: e.Principal, Run: e.Run, Parent: e.ParentRun, Server: e.Server, Action: e.Action}
}

// Covers reports whether a target is in the scope.
func (s Scope) Covers(t Target) bool {
	switch s.Kind {
	case Tenant:
		return t.Principal.Tenant == s.Name
	case Role:
		return t.Principal.Role == s.Name
	case User:
		return t.Principal.User == s.Name
	case Agent:
		return t.Principal.Agent == s.Name
	case Run:
		return t.Run == s.Name || t.Parent == s.Name
	case Server:
		return t.Server == s.Name
	case Tool:
		server, tool, _ := strings.Cut(s.Name, "/")
		return t.Action == server+"/tool:"+tool
	default:
		return true
	}
}

// Switch holds the orders in force and the calls under way. The zero Switch
// has no orders; its methods may be called from anywhere.
type Switch struct {
	mu     sync.RWMutex
	orders map[string]Order
	under  map[*flight]bool
}

// flight is one call under way, or a stream.
type flight struct {
	target Target
	stream bool // ends with a kill, and is waited for by nobody
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// Stops is the refusal of the first order that covers a target, nil when none
// does.
func (s *Switch) Stops(t Target) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stops(t)
}

func (s *Switch) stops(t Target) error {
	var first *Order
	for _, o := range s.orders {
		if o.Covers(t) && (first == nil || o.At.Before(first.At)) {
			first = &o
		}
	}
	if first == nil {
		return nil
	}
	return first.Refusal()
}

// Enter is passed by a call right before it acts: an order that covers it
// refuses it, and a kill that comes while it runs cancels the context with the
// refusal as its cause. Both under one lock, so that no call slips between.
func (s *Switch) Enter(ctx context.Context, t Target) (_ context.Context, leave func(), err error) {
	return s.enter(ctx, &flight{target: t})
}

// Watch is Enter for a stream on which an agent hears what no call of its own
// brings. It is no call under way: nothing comes to its end there.
func (s *Switch) Watch(ctx context.Context, t Target) (_ context.Context, leave func(), err error) {
	return s.enter(ctx, &flight{target: t, stream: true})
}

func (s *Switch) enter(ctx context.Context, f *flight) (_ context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stops(f.target); err != nil {
		return ctx, func() {}, err
	}
	ctx, f.cancel = context.WithCancelCause(ctx)
	f.done = make(chan struct{})
	if s.under == nil {
		s.under = map[*flight]bool{}
	}
	s.under[f] = true
	return ctx, func() {
		s.mu.Lock()
		delete(s.under, f)
		s.mu.Unlock()
		close(f.done)
		f.cancel(nil)
	}, nil
}

// Cause is the refusal by which a kill has cancelled a context, nil when none
// has.
func Cause(ctx context.Context) error {
	if refused, ok := errors.AsType[*sallyport.RefusedError](context.Cause(ctx)); ok && refused.Cause == sallyport.CauseKill {
		return refused
	}
	return nil
}

// Stop puts an order in force and, when it is a kill, cancels what is under way
// in its scope, and the streams. The flights are the calls that it covers.
func (s *Switch) Stop(o Order) Flights {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders == nil {
		s.orders = map[string]Order{}
	}
	s.orders[o.ID] = o
	var covered Flights
	for f := range s.under {
		if !o.Covers(f.target) {
			continue
		}
		if !f.stream {
			covered = append(covered, f.done)
		}
		if !o.Pause {
			f.cancel(o.Refusal())
		}
	}
	return covered
}

// Resume takes an order out of force.
func (s *Switch) Resume(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.orders, id)
}

// Orders are those in force, the oldest first.
func (s *Switch) Orders() []Order {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.orders), func(a, b Order) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
}

// Flights are calls that were under way.
type Flights []<-chan struct{}

// Wait waits until all have ended, and says how many have not when ctx ends.
func (f Flights) Wait(ctx context.Context) (left int) {
	for _, done := range f {
		select {
		case <-done:
			continue
		default:
		}
		select {
		case <-done:
		case <-ctx.Done():
			left++
		}
	}
	return left
}
