// Package drill measures how long a kill takes: the real gateway, switch and
// store in a directory of their own, with made-up agents and a made-up server.
package drill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport"
	"sallyport/internal/app/halt"
	"sallyport/internal/asking"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/judge"
	"sallyport/internal/kill"
	"sallyport/internal/limits"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/store"
)

const (
	agents = 64
	rounds = 50
	// act is how long the made-up server works on a call.
	act = 2 * time.Millisecond
	// think is how long an agent rests between two calls.
	think = 8 * time.Millisecond
	// settle is how long an agent that was killed is watched for more effects.
	settle = 20 * time.Millisecond
)

// Measured is what a drill has found.
type Measured struct {
	Kills      int    `json:"kills"`
	Agents     int    `json:"agents"`
	LastEffect Spread `json:"last_effect"` // from the order to the last effect in its scope, 0 where there was none
	Recorded   Spread `json:"recorded"`    // from the order to its acknowledgement
	Late       int    `json:"late"`        // effects in scope after that
	Others     int    `json:"others"`      // effects of the other agents during the kills
}

// Spread is how a duration is spread, in nanoseconds.
type Spread struct {
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Worst time.Duration `json:"worst"`
}

func spread(all []time.Duration) Spread {
	slices.Sort(all)
	at := func(part float64) time.Duration {
		return all[min(len(all)-1, int(part*float64(len(all))))].Round(time.Microsecond)
	}
	return Spread{at(0.5), at(0.99), at(1)}
}

// Run runs the drill.
func Run(ctx context.Context) (m Measured, err error) {
	dir, err := os.MkdirTemp("", "sallyport-drill-")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := begin(ctx, filepath.Join(dir, "state"))
	if err != nil {
		return m, err
	}
	calling, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	for i := range agents {
		working.Go(func() { w.work(calling, name(i)) })
	}
	defer func() {
		stop()
		working.Wait()
		w.halt.Wait()
		err = errors.Join(err, w.store.Close())
	}()
	return w.measure(ctx)
}

func (w *world) measure(ctx context.Context) (m Measured, err error) {
	m.Agents = agents
	var last, recorded []time.Duration
	for i := range rounds {
		select {
		case <-time.After(settle):
		case <-ctx.Done():
			return m, ctx.Err()
		}
		victim := name(i)
		before := w.effects.Load()
		ordered := time.Now()
		killed, err := w.halt.Kill(ctx, kill.Wanted{Scope: kill.Scope{Kind: kill.Agent, Name: victim}, Reason: "drill"})
		if err != nil || !killed.Recorded || killed.Problem != "" {
			return m, fmt.Errorf("the kill of %s: %+v, %w", victim, killed, err)
		}
		acknowledged := time.Now()
		time.Sleep(settle)
		m.Others += int(w.effects.Load() - before)
		recorded = append(recorded, acknowledged.Sub(ordered))
		var latest time.Duration
		for _, at := range w.of(victim) {
			latest = max(latest, at.Sub(ordered))
			if at.After(ordered) {
				m.Others--
			}
			if at.After(acknowledged) {
				m.Late++
			}
		}
		last = append(last, latest)
		m.Kills++
	}
	m.LastEffect, m.Recorded = spread(last), spread(recorded)
	return m, nil
}

func name(i int) string { return fmt.Sprintf("agent-%02d", i) }

// world is what is made up: agents, a server, and no memory.
type world struct {
	store   *store.Store
	gateway *gateway.Gateway
	halt    *halt.Halt
	effects atomic.Int64
	mu      sync.Mutex
	times   map[string][]time.Time // of effects, by agent
}

func begin(ctx context.Context, dir string) (w *world, err error) {
	w = &world{times: map[string][]time.Time{}}
	if w.store, err = store.Open(dir, time.Now); err != nil {
		return nil, err
	}
	people := identity.People{Users: map[string]identity.User{"user": {}}, Agents: map[string]identity.Agent{}}
	for i := range agents {
		people.Agents[name(i)] = identity.Agent{User: "user"}
	}
	identities, err := identity.Load(ctx, w.store, people, time.Now)
	if err != nil {
		return nil, err
	}
	runs, err := identity.LoadRuns(ctx, identities, w.store, time.Now)
	if err != nil {
		return nil, err
	}
	pins, err := w.pins(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := policy.Load([]policy.File{{Name: "drill.cedar", Text: []byte("permit (principal, action, resource);")}},
		pins.Definitions(), policy.Declared{Servers: []string{"server"}})
	if err != nil {
		return nil, err
	}
	w.gateway, err = gateway.New(gateway.Parts{
		Limits: limits.None, Ledger: w.store.Ledger(), Alert: func(sallyport.Charge, int64) {},
		Identifier: w, Pins: pins, Rules: func() *policy.Rules { return rules }, Log: w.store, Approvals: w.store, Memories: w, Kills: w.store.Kills,
		Inspector: &judge.Scanners{Off: func() bool { return true }}, Upstream: w, Watcher: w, Now: time.Now, NewID: func() string { return "c_" + ulid.Make().String() },
		Observe: func() bool { return false }, Deadline: time.Minute, Asking: func() *asking.Terms { return &asking.Terms{Expire: time.Hour} },
	})
	if err != nil {
		return nil, err
	}
	w.halt = halt.New(halt.Parts{Dir: dir, Store: w.store, Gateway: w.gateway, Runs: runs, Pins: pins, Names: func() policy.Declared { return policy.Declared{} },
		Verify: func(context.Context, string) error { return identity.ErrForbidden }, Tell: func(string) {}, Hush: func() {}, Log: slog.New(slog.DiscardHandler)})
	return w, w.halt.Start(ctx)
}

func (w *world) pins(ctx context.Context) (*pin.Pins, error) {
	pins, err := pin.Load(ctx, w.store, func(string, string) ([]sallyport.Effect, bool) { return []sallyport.Effect{sallyport.Write}, false })
	if err != nil {
		return nil, err
	}
	m, err := manifest.New("server", sallyport.MustParse(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"server","version":"1"}}`),
		[]sallyport.Value{sallyport.MustParse(`{"name":"act","inputSchema":{"type":"object"}}`)}, nil, nil)
	if err != nil {
		return nil, err
	}
	if _, err := pins.Observe(ctx, m); err != nil {
		return nil, err
	}
	shown := map[manifest.Key]sallyport.Digest{}
	for key, item := range m.Items {
		shown[key] = item.Digest
	}
	_, err = pins.Accept(ctx, "server", shown, "drill", time.Now())
	return pins, err
}

// work calls until ctx ends, one call after the other.
func (w *world) work(ctx context.Context, agent string) {
	params := sallyport.MustParse(`{"name":"act","arguments":{}}`)
	for ctx.Err() == nil {
		w.gateway.Call(ctx, sallyport.Credential{Listener: agent}, &sallyport.Call{Kind: sallyport.KindTool, Server: "server", Name: "act",
			Method: "tools/call", Args: params.Get("arguments"), Params: params}, w)
		select {
		case <-time.After(think):
		case <-ctx.Done():
		}
	}
}

// of are the effects of an agent.
func (w *world) of(agent string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.times[agent])
}

// Execute is the made-up server: it acts at once, and then takes its time.
func (w *world) Execute(ctx context.Context, ticket *gateway.Ticket, _ gateway.Client) (gateway.Answer, error) {
	if ctx.Err() != nil {
		return gateway.Answer{}, ctx.Err()
	}
	w.mu.Lock()
	agent := ticket.Call.Principal.Agent
	w.times[agent] = append(w.times[agent], time.Now())
	w.mu.Unlock()
	w.effects.Add(1)
	select {
	case <-time.After(act):
		return gateway.Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	case <-ctx.Done():
		return gateway.Answer{}, ctx.Err()
	}
}
