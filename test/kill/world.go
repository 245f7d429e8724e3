package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	upstream            *httptest.Server
	effects             effects
}

// begin starts the server and the gateway, in dir.
func begin(ctx context.Context, binary, dir string) (*world, error) {
	w := &world{binary: binary, dir: dir, secret: filepath.Join(dir, "secret"), effects: effects{at: map[string][]time.Time{}}}
	w.upstream = httptest.NewServer(&w.effects)
	config := fmt.Sprintf("listen: 127.0.0.1:0\npolicy: [test.cedar]\npin: trust-first-use\nservers: {act: {url: %q, effects: {'*': write}}}\n"+
		"tenants: [acme]\nusers: {ana: {tenant: acme}, bob: {tenant: acme, groups: [ops]}}\nroles: [tester]\nagents:\n", w.upstream.URL)
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
		w.upstream.Close()
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
	w.upstream.CloseClientConnections()
	w.upstream.Close()
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

// effects is an MCP server that remembers whose calls it heard, and when.
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

const tools = `{"tools":[
	{"name":"act","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"job","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"stuck","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}},
	{"name":"risk","inputSchema":{"type":"object","properties":{"agent":{"type":"string"}}}}]}`

// work is how long each tool takes. Nobody waits for the one that is stuck.
var work = map[string]time.Duration{"act": act, "risk": act, "job": 1500 * time.Millisecond, "stuck": time.Hour}

func (e *effects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // a stream on which nothing is said
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	body, _ := io.ReadAll(r.Body)
	heard := time.Now()
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name      string
			Arguments struct{ Agent string }
		}
	}
	if r.Method != http.MethodPost || json.Unmarshal(body, &m) != nil {
		http.Error(w, "POST JSON", http.StatusMethodNotAllowed)
		return
	}
	result := ""
	switch m.Method {
	case "ping":
		result = `{}`
	case "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"act","version":"1"}}`
	case "tools/list":
		result = tools
	case "tools/call":
		e.mu.Lock()
		e.at[m.Params.Arguments.Agent] = append(e.at[m.Params.Arguments.Agent], heard)
		e.mu.Unlock()
		select {
		case <-time.After(work[m.Params.Name]):
		case <-r.Context().Done():
			return
		}
		result = `{"content":[{"type":"text","text":"done"}]}`
	}
	answer := `"result":` + result
	if result == "" {
		answer = `"error":{"code":-32601,"message":"Method not found"}`
	}
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
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
