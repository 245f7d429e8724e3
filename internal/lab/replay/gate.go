package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport"
	"sallyport/internal/app/past"
	"sallyport/internal/asking"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/judge"
	"sallyport/internal/limits"
	"sallyport/internal/manifest"
	"sallyport/internal/memory"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
	"sallyport/internal/store"
)

// gate is a gateway as it runs in production, with its log, runs, pins,
// memories and approvals on the disk. What is scripted is the server, which
// answers what was recorded, and the people, who agree to what the user's own
// calls ask and to nothing else.
type gate struct {
	*gateway.Gateway
	suite  *Suite
	agent  string
	store  *store.Store
	runs   *identity.Runs
	script script
	seen   entries
}

// openGate opens one over a state directory, which must be empty.
func openGate(ctx context.Context, dir string, s *Suite, law *Law, level scope.Level) (_ *gate, err error) {
	g := &gate{suite: s, agent: law.agent}
	if g.store, err = store.Open(dir, time.Now); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if err := g.store.SavePins(ctx, law.pins(s)); err != nil {
		return nil, err
	}
	over := law.over(s)
	identities, err := identity.Load(ctx, g.store, law.people(), time.Now)
	if err != nil {
		return nil, err
	}
	if g.runs, err = identity.LoadRuns(ctx, identities, g.store, time.Now); err != nil {
		return nil, err
	}
	pins, err := pin.Load(ctx, g.store, over.Config.Settings)
	if err != nil {
		return nil, err
	}
	rules, err := over.Load(pins.All())
	if err != nil {
		return nil, fmt.Errorf("the policy can't be used for the tools of %s:\n%w", s.Name, err)
	}
	memories := memory.New(past.Past{Store: g.store, Runs: g.runs}, servers{pins, over.Config}, level)
	g.Gateway, err = gateway.New(gateway.Parts{
		Limits: limits.None, Ledger: g.store.Ledger(), Alert: func(sallyport.Charge, int64) {},
		Identifier: g.runs, Pins: pins, Rules: func() *policy.Rules { return rules }, Log: g.store, Approvals: g.store,
		Memories: memories, Kills: g.store.Kills, Inspector: &judge.Scanners{Off: func() bool { return over.Config.Inspect == config.Off }}, Upstream: &g.script, Watcher: &g.seen, Now: time.Now,
		NewID: func() string { return "c_" + ulid.Make().String() }, Observe: func() bool { return false },
		Deadline: time.Minute, Asking: func() *asking.Terms { return &asking.Terms{Expire: time.Hour, Alone: "replay"} },
	})
	if err != nil {
		return nil, err
	}
	g.runs.Log = past.Log{Gateway: g.Gateway, Store: g.store, Memories: memories}
	return g, nil
}

func (g *gate) close() error { return g.store.Close() }

// pins are the suite's tools as a human has accepted them, and those of others
// that rules name.
func (l *Law) pins(s *Suite) []pin.Pin {
	var pins []pin.Pin
	pin := func(server string, key manifest.Key, raw string) {
		pins = append(pins, pin.Pin{Server: server, Key: key, Raw: []byte(raw), Since: time.Now(), By: "replay"})
	}
	tool := func(server, name, description string, schema []byte) {
		raw := sallyport.AppendString([]byte(`{"name":`), name)
		raw = sallyport.AppendString(append(raw, `,"description":`...), description)
		pin(server, manifest.KeyOf(sallyport.KindTool, name), fmt.Sprintf(`%s,"inputSchema":%s}`, raw, schema))
	}
	pin(s.Name, manifest.ServerKey, "{}")
	for _, t := range s.Tools {
		tool(s.Name, t.Name, t.Description, t.Schema.Raw())
	}
	for _, other := range l.others(s) {
		tool(other.Server, other.Name, "", []byte(`{"type":"object"}`))
	}
	return pins
}

// servers is what the memories know of the servers.
type servers struct {
	pins   *pin.Pins
	config *config.Config
}

func (s servers) Definitions() []sallyport.Definition { return s.pins.Definitions() }

func (s servers) Declaration(server string) provenance.Declaration {
	return s.config.Declaration(server)
}

func (s servers) Use(server, tool string) memory.Use {
	use := memory.Use{Meanings: s.config.Meanings(server, tool)}
	use.Audience, use.Declared = s.config.Audience(server, tool)
	return use
}

// Written is of no use here: no suite has a memory.
func (s servers) Written(context.Context, string, int) ([]memory.Act, bool, error) {
	return nil, false, nil
}

// begin begins a run with the user's words.
func (g *gate) begin(ctx context.Context, task string) (identity.Begun, error) {
	return g.runs.Begin(ctx, identity.Operator(), identity.NewRun{Agent: g.agent, Task: task})
}

// call puts one recorded call to the gateway. What the user's own call asks,
// people agree to, and the call is made again; to the attacker's they say no. It
// returns the entry of the first decision.
func (g *gate) call(ctx context.Context, token string, c Call, asText bool) (first *sallyport.Entry, err error) {
	for range 2 {
		call := &sallyport.Call{Kind: sallyport.KindTool, Server: g.suite.Name, Name: c.Tool, Method: "tools/call", Door: "replay", Args: c.Args}
		g.script.answers.Store(call, c.answer(asText))
		_, err := g.Call(ctx, sallyport.Credential{Token: token}, call, nil)
		g.script.answers.Delete(call)
		entry := g.seen.take(call.ID)
		if first == nil {
			first = entry
		}
		refused, ok := errors.AsType[*sallyport.RefusedError](err)
		switch {
		case err != nil && !ok:
			return first, err
		case entry == nil:
			return first, fmt.Errorf("nothing is on the record of it: %w", err)
		case err == nil:
			return first, nil
		case refused.Cause == sallyport.CauseLog:
			return first, refused
		case refused.Approval.State != sallyport.Pending:
			return first, nil
		}
		if err := g.answer(ctx, refused.Approval, !c.Injected); err != nil || c.Injected {
			return first, err
		}
	}
	return first, errors.New("people have agreed, and it is asked about again")
}

func (g *gate) answer(ctx context.Context, asked sallyport.Approval, yes bool) error {
	next, err := asked.Refuse("replay", "the user did not ask for this", time.Now())
	if yes {
		next, err = asked.Approve("replay", time.Now())
	}
	if err != nil {
		return err
	}
	return g.Answer(ctx, next, "replay")
}

// answer is the recorded result as MCP has it.
func (c *Call) answer(asText bool) sallyport.Value {
	if c.JSON.Type() != sallyport.Absent && !asText {
		return sallyport.MustParse(`{"content":[],"structuredContent":` + string(c.JSON.Raw()) + `}`)
	}
	return sallyport.MustParse(string(append(sallyport.AppendString([]byte(`{"content":[{"type":"text","text":`), c.Text), `}]}`...)))
}

// script answers each call with what was recorded of it.
type script struct {
	answers sync.Map // of *sallyport.Call, sallyport.Value
}

// Execute implements gateway.Upstream.
func (s *script) Execute(_ context.Context, ticket *gateway.Ticket, _ gateway.Client) (gateway.Answer, error) {
	answer, ok := s.answers.Load(ticket.Call)
	if !ok {
		return gateway.Answer{}, errors.New("this call was not recorded")
	}
	return gateway.Answer{Result: answer.(sallyport.Value)}, nil
}

// Query implements gateway.Upstream.
func (s *script) Query(context.Context, *gateway.Query) (gateway.Answer, error) {
	return gateway.Answer{}, errors.New("nothing but calls was recorded")
}

// entries keeps what the gateway decided until somebody takes it.
type entries struct {
	decided sync.Map // of call id, *sallyport.Entry
}

// Decided implements gateway.Watcher.
func (e *entries) Decided(entry *sallyport.Entry) { e.decided.Store(entry.Call, entry) }

// Ended implements gateway.Watcher.
func (e *entries) Ended(*sallyport.Entry) {}

func (e *entries) take(call string) *sallyport.Entry {
	entry, ok := e.decided.LoadAndDelete(call)
	if !ok {
		return nil
	}
	return entry.(*sallyport.Entry)
}
