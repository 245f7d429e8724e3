package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sallyport/test/rig"
)

const (
	agents = 8
	// each is how many sessions an agent has: 64 in all.
	each = 8
	// act is how long the server works on a call after its effect.
	act = 2 * time.Millisecond
)

func name(agent int) string { return fmt.Sprintf("agent-%d", agent) }

// world is a server that remembers when it was told to act, the built gateway
// before it, and agents.
type world struct {
	*rig.Gate
	binary, dir, secret string
	effects             effects
	gone                func() // ends the server
}

// begin starts the server and the gateway, in dir.
func begin(ctx context.Context, binary, dir string) (*world, error) {
	w := &world{binary: binary, dir: dir, secret: filepath.Join(dir, "secret"), effects: effects{at: map[string][]time.Time{}}}
	url, stop := rig.Serve(rig.NewUpstream(tools, w.effects.act))
	w.gone = stop
	config := fmt.Sprintf("listen: 127.0.0.1:0\npolicy: [test.cedar]\npin: trust-first-use\nservers: {act: {url: %q, effects: {'*': write}}}\n"+
		"tenants: [acme]\nusers: {ana: {tenant: acme}, bob: {tenant: acme, groups: [ops]}}\nroles: [tester]\nagents:\n", url)
	for i := range agents {
		config += fmt.Sprintf("  %s: {role: tester, for: ana, tenant: acme}\n", name(i))
	}
	config += "listeners:\n"
	for i := range agents {
		config += fmt.Sprintf("  - {address: \"127.0.0.1:0\", agent: %s}\n", name(i))
	}
	policy := `@id("all") permit (principal, action, resource);
@id("asks") @ask("ops") forbid (principal, action == Action::"act/tool:risk", resource);
`
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "sallyport.yaml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "test.cedar"), []byte(policy), 0o600),
		os.WriteFile(w.secret, []byte("correct horse battery\n"), 0o600),
	)
	if err == nil {
		err = w.up(ctx)
	}
	if err == nil {
		_, err = w.sallyport(ctx, "enroll", "--secret-file", w.secret)
	}
	if err != nil {
		w.gone()
		return nil, err
	}
	return w, nil
}

// up starts the gateway, also after its end, and waits until it lets agents in:
// at the very first start its policy waits for the server's pin.
func (w *world) up(ctx context.Context) (err error) {
	if w.Gate, err = rig.Up(ctx, w.binary, w.dir, 1); err != nil {
		return err
	}
	for range 200 {
		var s *rig.Session
		if s, err = w.open(name(agents - 1)); err == nil {
			s.Close()
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("nobody is let in: %w\n%s", err, w.Output())
}

func (w *world) end() {
	w.Stop()
	w.gone()
}

// sallyport runs a verb.
func (w *world) sallyport(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, w.binary, append(args, "--dir", w.state())...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, failed.Stderr)
	}
	return string(out), err
}

func (w *world) state() string { return filepath.Join(w.dir, "state") }

func (w *world) open(agent string) (*rig.Session, error) {
	return rig.Open("http://" + w.Listeners[agent] + "/mcp/act")
}

// call calls a tool once in a session.
func call(s *rig.Session, id int, tool, agent string) (string, error) {
	answer, err := s.Post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"agent":%q}}}`, id, tool, agent))
	return string(answer), err
}

// effects are whose calls the server heard, and when.
type effects struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// of are the effects of an agent.
func (e *effects) of(agent string) []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]time.Time(nil), e.at[agent]...)
}

const tools = `[
	{"name":"act","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"job","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"stuck","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"risk","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}}]`

// work is how long each tool takes. Nobody waits for the one that is stuck.
var work = map[string]time.Duration{"act": act, "risk": act, "job": 1500 * time.Millisecond, "stuck": time.Hour}

// act has the effect of a call, and then works on it for a while.
func (e *effects) act(ctx context.Context, params json.RawMessage) string {
	heard := time.Now()
	var called struct {
		Name      string
		Arguments struct{ Agent string }
	}
	_ = json.Unmarshal(params, &called)
	e.mu.Lock()
	e.at[called.Arguments.Agent] = append(e.at[called.Arguments.Agent], heard)
	e.mu.Unlock()
	select {
	case <-time.After(work[called.Name]):
	case <-ctx.Done():
	}
	return `{"content":[{"type":"text","text":"done"}]}`
}

// crowd are the sessions of all agents, which call without a pause.
type crowd struct {
	stop    context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	took    []timed // calls of all agents that were carried out
	refused map[string]int
}

// timed is one call that was carried out.
type timed struct {
	agent string
	began time.Time
	took  time.Duration
}

// gather has all sessions call until leave.
func (w *world) gather(ctx context.Context) (*crowd, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &crowd{stop: stop, refused: map[string]int{}}
	for i := range agents * each {
		agent := name(i % agents)
		s, err := w.open(agent)
		if err != nil {
			c.leave()
			return nil, err
		}
		c.working.Go(func() {
			defer s.Close()
			for n := 2; ctx.Err() == nil; n++ {
				began := time.Now()
				answer, err := call(s, n, "act", agent)
				if err != nil {
					return // the gateway is gone
				}
				c.mu.Lock()
				if strings.Contains(answer, `"done"`) {
					c.took = append(c.took, timed{agent, began, time.Since(began)})
					c.mu.Unlock()
					continue
				}
				if strings.Contains(answer, "killed by the operator") {
					c.refused[agent]++
				}
				c.mu.Unlock()
				time.Sleep(5 * time.Millisecond) // whoever is refused does not insist
			}
		})
	}
	return c, nil
}

func (c *crowd) leave() {
	c.stop()
	c.working.Wait()
}

// between are the times of calls that others than an agent began in a span.
func (c *crowd) between(from, to time.Time, except string) (all []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.took {
		if t.agent != except && !t.began.Before(from) && t.began.Before(to) {
			all = append(all, t.took)
		}
	}
	return all
}

func (c *crowd) refusals(agent string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[agent]
}
