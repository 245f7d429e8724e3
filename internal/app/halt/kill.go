// Package halt carries out what stops a gateway, or parts of it: kill, pause,
// resume and drain.
package halt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/kill"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/store"
	"sallyport/internal/store/kills"
)

const (
	// patience is how long whoever kills waits for the log and for the calls
	// that were cancelled. The kill is in force before, and whatever they do.
	patience = time.Second
	// again is how often what could not be recorded is tried again.
	again = 500 * time.Millisecond
	// socket is who kills, as the log names whoever reaches the control socket.
	socket = "control socket"
)

// Parts are what Halt works on. Every field must be set.
type Parts struct {
	Dir     string
	Store   *store.Store
	Gateway *gateway.Gateway
	Runs    *identity.Runs
	Pins    *pin.Pins
	Names   func() policy.Declared // that the configuration declares
	Verify  func(ctx context.Context, secret string) error
	Tell    func(text string) // a person at the console
	Hush    func()            // ends streams that would never end by themselves
	Log     *slog.Logger
}

// Halt implements control.Kills.
type Halt struct {
	Parts
	drained chan struct{}

	file     sync.Mutex // while the file is written, which waits for no database
	database sync.Mutex // while the orders are written there
	mu       sync.Mutex
	unkept   map[string]bool // orders in force that are not kept: they are being resumed, or end with the process
	running  context.Context // until the gateway stops; nil when none runs
	behind   sync.WaitGroup
}

// New makes a Halt.
func New(parts Parts) *Halt {
	return &Halt{Parts: parts, drained: make(chan struct{}), unkept: map[string]bool{}}
}

// Start puts on the record, and where they are kept, the orders that are in
// force from before. ctx is that of the running gateway.
func (h *Halt) Start(ctx context.Context) error {
	h.mu.Lock()
	h.running = ctx
	h.mu.Unlock()
	for _, o := range h.Kills() {
		if err := h.Gateway.RecordOrder(ctx, "in force: "+o.What(), o, o.By); err != nil {
			return err
		}
		if o.ID == kills.Unreadable {
			return nil // what can't be read is not overwritten until a human has looked
		}
		// The process may have ended before all that the order ends had.
		if err := h.end(ctx, o); err != nil {
			h.Log.Error(unended, "kill", o.ID, "error", err)
		}
	}
	if len(h.Kills()) == 0 {
		return nil
	}
	return errors.Join(h.writeFile(), h.writeDatabase(ctx))
}

// EndTasks ends the tasks of before a restart that are in the scope of a kill.
func (h *Halt) EndTasks(ctx context.Context) {
	for _, o := range h.Kills() {
		if err := h.Gateway.EndTasks(ctx, o); !o.Pause && err != nil {
			h.Log.Error(unended, "kill", o.ID, "error", err)
		}
	}
}

const unended = "not everything in a kill's scope could be ended"

// Wait waits for what is still being done.
func (h *Halt) Wait() { h.behind.Wait() }

// Drained is closed when the gateway shall stop.
func (h *Halt) Drained() <-chan struct{} { return h.drained }

// Kills implements control.Kills.
func (h *Halt) Kills() []kill.Order {
	orders := h.Store.Kills.Orders()
	if orders == nil {
		return []kill.Order{}
	}
	return orders
}

// Kill implements control.Kills. It only tightens, so nobody is asked. In
// memory first, then in the file, and only then in the database, which may be
// slow: it must not keep anything from being stopped.
func (h *Halt) Kill(ctx context.Context, wanted kill.Wanted) (kill.Done, error) {
	if err := errors.Join(wanted.Scope.Check(), h.there(wanted.Scope)); err != nil {
		return kill.Done{}, fmt.Errorf("nothing was stopped: %w", err)
	}
	o := kill.Order{ID: "k_" + ulid.Make().String(), Pause: wanted.Pause, Scope: wanted.Scope, Below: h.below(wanted.Scope), Reason: strings.TrimSpace(wanted.Reason),
		By: socket, At: time.Now().UTC().Truncate(time.Millisecond)}
	flights := h.Store.Kills.Stop(o)
	h.Tell(Headline(o))
	kept := h.writeFile()
	done := make(chan error, 1)
	h.behind.Go(func() { done <- h.follow(o) })
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	killed := kill.Done{Order: o, Under: len(flights)}
	if !o.Pause {
		killed.Left = flights.Wait(waiting)
	}
	var late error
	select {
	case late = <-done:
		killed.Recorded = !errors.Is(late, errUnrecorded)
	case <-waiting.Done():
		late = errors.New("the log is slow: this goes on record, and what waits for people and the runs end, as soon as it can be written")
	}
	switch {
	case kept != nil && !killed.Recorded:
		return killed, fmt.Errorf("%s is in force, but NOT KEPT: after a restart it may be gone: %w", o.ID, errors.Join(kept, late))
	case kept != nil || late != nil:
		killed.Problem = errors.Join(kept, late).Error()
	}
	return killed, nil
}

var errUnrecorded = errors.New("the log could not be written before the gateway stopped")

// follow records a new order, and ends what it stops beside calls. It is tried
// until it succeeds: the order itself is in force.
func (h *Halt) follow(o kill.Order) error {
	ctx := h.until()
	for h.Gateway.RecordOrder(ctx, o.What(), o, o.By) != nil {
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return errUnrecorded
		}
	}
	err := h.writeDatabase(ctx)
	if !o.Pause {
		// Tasks first: they are cancelled in the runs that opened them.
		err = errors.Join(err, h.Gateway.EndTasks(ctx, o), h.end(ctx, o))
	}
	if err != nil {
		h.Log.Error(unended, "kill", o.ID, "error", err)
	}
	return err
}

// end ends for good what a kill covers beside calls and tasks: what waits for people,
// what they have granted, and the runs. A pause ends nothing.
func (h *Halt) end(ctx context.Context, o kill.Order) error {
	if o.Pause {
		return nil
	}
	// Questions before grants, which are made of them.
	return errors.Join(h.endApprovals(ctx, o), h.endGrants(ctx, o), h.endRuns(ctx, o))
}

// below are the runs that go on below that of a scope, however deep.
func (h *Halt) below(scope kill.Scope) (below []string) {
	if scope.Kind != kill.Run {
		return nil
	}
	runs, above := h.Runs.List(identity.AtSocket()), []string{scope.Name}
	for len(above) > 0 {
		var next []string
		for _, r := range runs {
			if slices.Contains(above, r.Parent) {
				next = append(next, r.Run)
			}
		}
		below, above = append(below, next...), next
	}
	return below
}

// until is a context that ends with the gateway; a short one where none runs.
func (h *Halt) until() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running != nil {
		return h.running
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// there reports what a scope names that is not here: whoever mistypes a name
// must not believe that something was stopped.
func (h *Halt) there(scope kill.Scope) error {
	switch scope.Kind {
	case kill.Tenant, kill.Role, kill.User:
		if !h.known(scope) {
			return fmt.Errorf("there is no %s %q (sallyport agents list)", scope.Kind, scope.Name)
		}
	case kill.Agent:
		for _, a := range h.Runs.Identities.List() {
			if a.Name == scope.Name {
				return nil
			}
		}
		return fmt.Errorf("there is no agent %q (sallyport agents list)", scope.Name)
	case kill.Server:
		if !slices.Contains(h.Names().Servers, scope.Name) {
			return fmt.Errorf("there is no server %q (sallyport servers list)", scope.Name)
		}
	case kill.Tool:
		for _, pin := range h.Pins.All() {
			kind, name := pin.Key.Split()
			if kind == sallyport.KindTool && pin.Server+"/"+name == scope.Name {
				return nil
			}
		}
		return fmt.Errorf("there is no tool %q (sallyport tools)", scope.Name)
	case kill.Run:
		for _, r := range h.Runs.List(identity.AtSocket()) {
			switch {
			case r.Run != scope.Name:
			case r.Standing: // what begins below it is known by the agent alone
				return fmt.Errorf("%s is the standing run of agent %s: kill that agent", r.Run, r.Agent)
			default:
				return nil
			}
		}
		return fmt.Errorf("no run %q goes on (sallyport runs list)", scope.Name)
	}
	return nil
}

// known reports whether the configuration declares a tenant, role or user, or an
// agent has it: one that was declared no more may still be at work.
func (h *Halt) known(scope kill.Scope) bool {
	names := h.Names()
	declared := map[kill.Kind][]string{kill.Tenant: names.Tenants, kill.Role: names.Roles, kill.User: names.Users}
	return slices.Contains(declared[scope.Kind], scope.Name) || slices.ContainsFunc(h.Runs.Identities.List(), func(a identity.Status) bool {
		return scope.Covers(kill.Target{Principal: sallyport.Principal{Tenant: a.Tenant, Role: a.Agent.Role, User: a.Agent.User}})
	})
}

// endApprovals refuses what waits for people, with the reason, and uses up what
// they have agreed to and nobody has used. What somebody answers meanwhile is looked
// at again: nothing new is put that the kill covers.
func (h *Halt) endApprovals(ctx context.Context, o kill.Order) error {
	for {
		asked, damaged, err := h.Store.Approvals(ctx)
		errs := []error{err}
		if len(damaged) > 0 {
			errs = append(errs, fmt.Errorf("these approvals are damaged, and answer nothing: %s", strings.Join(damaged, ", ")))
		}
		again := false
		for _, a := range asked {
			if !o.Covers(target(&a)) {
				continue
			}
			ended, err := a.End(o.By, o.Refusal().Error(), time.Now())
			if err != nil {
				continue // it is over already
			}
			if err := h.Gateway.Answer(ctx, ended, o.By); errors.Is(err, sallyport.ErrOvertaken) {
				again = true
			} else {
				errs = append(errs, err)
			}
		}
		if !again {
			return errors.Join(errs...)
		}
	}
}

// target is what a question is about.
func target(a *sallyport.Approval) kill.Target {
	call := sallyport.Call{Kind: a.Kind, Server: a.Server, Name: a.Name}
	return kill.Target{Principal: a.Principal, Run: a.Run, Server: a.Server, Action: call.Action()}
}

// endGrants revokes what people have granted. A grant whose question is gone answers
// nothing as it is.
func (h *Halt) endGrants(ctx context.Context, o kill.Order) error {
	grants, damaged := h.Store.Grants(ctx, "", "", "") // those that are not are ended
	asked, _, err := h.Store.Approvals(ctx)
	errs := []error{damaged, err}
	for _, g := range grants {
		at := slices.IndexFunc(asked, func(a sallyport.Approval) bool { return a.ID == g.Approval })
		if at < 0 || g.Revoked != "" || !o.Covers(target(&asked[at])) {
			continue
		}
		if err := h.Gateway.Revoke(ctx, g, o.By, o.Refusal().Error()); !errors.Is(err, sallyport.ErrOvertaken) { // then somebody else did
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// endRuns ends the runs in scope, and with them their credentials. Standing ones
// stay, with what they remember: their agents are refused as it is.
func (h *Halt) endRuns(ctx context.Context, o kill.Order) error {
	var errs []error
	for _, r := range h.Runs.List(identity.AtSocket()) {
		who, _ := h.Runs.Principal(r.Agent)
		who.Agent, who.User, who.Tenant = r.Agent, r.User, r.Tenant
		if !r.Standing && o.Covers(kill.Target{Principal: who, Run: r.Run, Parent: r.Parent}) {
			_, err := h.Runs.End(ctx, identity.AtSocket(), r.Run)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Resume implements control.Kills. It loosens: it takes the human, and is on the
// record before it is in force.
func (h *Halt) Resume(ctx context.Context, id, secret string) error {
	if err := h.Verify(ctx, secret); err != nil {
		return err
	}
	orders := h.Kills()
	i := slices.IndexFunc(orders, func(o kill.Order) bool { return o.ID == id })
	if i < 0 {
		return fmt.Errorf("nothing in force is called %q (sallyport kill list)", id)
	}
	if err := h.Gateway.RecordOrder(ctx, "resume", orders[i], "operator"); err != nil {
		return fmt.Errorf("%s stays in force: %w", id, err)
	}
	h.keep(id, false)
	if err := errors.Join(h.writeDatabase(ctx), h.writeFile()); err != nil {
		h.keep(id, true)
		return fmt.Errorf("%s stays in force: %w", id, err)
	}
	h.Store.Kills.Resume(id)
	h.keep(id, true)
	return nil
}

// Drain implements control.Kills. It is not kept: the next start serves again.
func (h *Halt) Drain(ctx context.Context, within time.Duration) (kill.Drained, error) {
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	if running == nil {
		return kill.Drained{}, errors.New("no gateway runs here: there is nothing to drain")
	}
	o := kill.Order{ID: "drain", Pause: true, Scope: kill.Scope{Kind: kill.All}, Reason: "the gateway is about to stop", By: socket, At: time.Now()}
	h.keep(o.ID, false)
	flights := h.Store.Kills.Stop(o)
	h.Hush()
	h.Tell("DRAINING: nothing new is let in; the gateway stops when what runs has ended")
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := h.Gateway.RecordOrder(recording, "drain", o, socket); err != nil {
		h.Log.Error("a change could not be recorded", "subject", "drain", "error", err)
	}
	waiting, cancel := context.WithTimeout(running, within)
	defer cancel()
	left := flights.Wait(waiting)
	context.AfterFunc(ctx, sync.OnceFunc(func() { // once this is answered
		h.mu.Lock()
		defer h.mu.Unlock()
		select {
		case <-h.drained:
		default:
			close(h.drained)
		}
	}))
	return kill.Drained{Under: len(flights), Left: left}, nil
}

// keep says whether an order is to be kept where orders are.
func (h *Halt) keep(id string, keep bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if keep {
		delete(h.unkept, id)
	} else {
		h.unkept[id] = true
	}
}

// kept are the orders in force that outlive the process.
func (h *Halt) kept() []kill.Order {
	orders := h.Kills()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(orders, func(o kill.Order) bool { return h.unkept[o.ID] })
}

func (h *Halt) writeFile() error {
	h.file.Lock()
	defer h.file.Unlock()
	return kills.Write(h.Dir, h.kept())
}

func (h *Halt) writeDatabase(ctx context.Context) error {
	h.database.Lock()
	defer h.database.Unlock()
	return h.Store.SaveSettings(ctx, map[string][]byte{kills.Setting: kills.Text(h.kept())})
}

// Headline is an order as it is shown where nobody may overlook it.
func Headline(o kill.Order) string {
	what := "KILLED: "
	if o.Pause {
		what = "PAUSED: "
	}
	text := what + o.Scope.String() + ", since " + o.At.Local().Format("2006-01-02 15:04:05") + " (" + o.ID + ")"
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}
