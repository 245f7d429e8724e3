// Package gateway owns the order of things: what happens to a call from the
// moment a door has read it until its answer may be released.
package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/breaker"
	"sallyport/internal/kill"
	"sallyport/internal/limits"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// Gateway is the passage. Every field must be set; a nil one makes New fail.
type Gateway struct {
	Parts
	tasks    tasks
	sessions sessions
	told     limits.Told
	revealed atomic.Pointer[revelations]
}

// Parts are what the gateway is wired from.
type Parts struct {
	Identifier Identifier
	Pins       *pin.Pins
	Rules      func() *policy.Rules // in force now; nil refuses everything
	Log        Log
	Approvals  Approvals
	Limits     func() *limits.Set // in force now
	Ledger     Ledger
	Alert      func(charge sallyport.Charge, percent int64) // so many percent of a limit are taken; must not block
	Memories   Memories
	Kills      *kill.Switch
	Breakers   *breaker.Breakers // nil where none are
	Inspector  Inspector
	Upstream   Upstream
	Watcher    Watcher
	Now        func() time.Time
	NewID      func() string        // of a call, unique
	Observe    func() bool          // observe mode: policy verdicts are recorded, not enforced
	Deadline   time.Duration        // of a ticket
	Asking     func() *asking.Terms // on which people are asked, now
}

// Identifier says who a credential stands for. An error means that nobody is
// known: the call is refused.
type Identifier interface {
	Identify(ctx context.Context, credential sallyport.Credential) (sallyport.Principal, sallyport.Run, error)
	// Hold keeps a run from ending until release is called, which must be
	// soon. An error means that it has ended: nothing more happens in it.
	Hold(run sallyport.Run) (release func(), err error)
	// Acting says who acts in a run. An error means that it has ended, or that
	// nobody does any more.
	Acting(id string) (sallyport.Principal, sallyport.Run, error)
}

// Log is the durable record.
type Log interface {
	// Commit returns once the record is durable. An error means that nothing
	// was recorded for certain: the call must not go on.
	Commit(ctx context.Context, record *sallyport.Record) error
	// Append hands over a record that becomes durable with the next group, at
	// most 10 ms later. An error means that the log can't take it: what the
	// record is about must not be released.
	Append(ctx context.Context, record *sallyport.Record) error
}

// Memories are what the runs have seen.
type Memories interface {
	// Flow says where the arguments of a call came from, and what its run has
	// read and done. Nil means that nobody knows.
	Flow(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) *sallyport.Flow
	// Did takes note of a call that goes to its server.
	Did(call *sallyport.Call, tool *sallyport.Definition, flow *sallyport.Flow)
	// Saw takes note of what the agent is about to get, of which the outcome is
	// the record, and of the names of what was found in it.
	Saw(call *sallyport.Call, result sallyport.Value, found []string)
	// Heard takes note of what the agent is about to get and no outcome will
	// hold, such as progress. An error means that it would be forgotten with the
	// process: it must not reach the agent.
	Heard(ctx context.Context, call *sallyport.Call, text sallyport.Value, found []string) error
}

// Upstream reaches the servers.
type Upstream interface {
	// Execute carries out a call under its ticket and returns the answer as
	// the server sent it. Meanwhile client hears what the server says and is
	// asked what the server asks. An error means that no answer came; the
	// server may or may not have acted.
	Execute(ctx context.Context, ticket *Ticket, client Client) (Answer, error)
	// Query asks for what has no effect: lists, methods of the session, and
	// who the server is (initialize or server/discover, answered with the
	// server's own hello in the era that the server speaks).
	Query(ctx context.Context, query *Query) (Answer, error)
}

// Client is the agent's end of a call.
type Client interface {
	// Tell passes a notification on. An error means that the agent is gone.
	Tell(ctx context.Context, message wire.Message) error
	// Ask puts a server's request to the agent and waits for its answer. An
	// error means that there will be none.
	Ask(ctx context.Context, message wire.Message) (Answer, error)
}

// Poller is a Client that can be told that the server named a time to come
// back and then ended its stream without an answer (retry, MCP 2025-11-25), so
// that the door may do the same. resumable says that the rest of the stream
// can still be had from the server.
type Poller interface {
	Poll(retry time.Duration, resumable bool)
}

// Watcher is told of every decision and every end of a call, for people and
// metrics. It must not block.
type Watcher interface {
	Decided(entry *sallyport.Entry)
	Ended(entry *sallyport.Entry)
}

// Answer is a server's answer as raw JSON: a result or an error.
type Answer struct {
	Result sallyport.Value
	Error  sallyport.Value
	// Status is the HTTP status that the server sent an Error with, 0 where
	// it has none: in the stateless era clients read it.
	Status int
	// Streamed says that the server answered on an event stream: so does the
	// door, and the agent finds what it would find at the server.
	Streamed bool
}

// Query is a request without effect, on behalf of a principal.
type Query struct {
	Server    string
	Method    string
	Params    sallyport.Value
	Principal sallyport.Principal
	Run       sallyport.Run
	Session   string
	Revision  string
}

func (q *Query) target() kill.Target {
	return kill.Target{Principal: q.Principal, Run: q.Run.ID, Parent: q.Run.Parent, Server: q.Server}
}

// New wires a gateway. It fails when a part is missing, so that nothing can
// run half decided.
func New(parts Parts) (*Gateway, error) {
	if parts.Identifier == nil || parts.Pins == nil || parts.Rules == nil || parts.Log == nil || parts.Memories == nil || parts.Kills == nil || parts.Inspector == nil || parts.Limits == nil || parts.Ledger == nil || parts.Alert == nil ||
		parts.Upstream == nil || parts.Watcher == nil || parts.Now == nil || parts.NewID == nil ||
		parts.Observe == nil || parts.Deadline <= 0 || parts.Approvals == nil || parts.Asking == nil {
		return nil, errors.New("gateway: a part is missing")
	}
	return &Gateway{Parts: parts}, nil
}

// Call is the life of a call: open, execute, close. The answer may be
// released as it is. The error is a *sallyport.RefusedError when a decision
// ended the call; any other error means that the server gave no answer.
func (g *Gateway) Call(ctx context.Context, credential sallyport.Credential, call *sallyport.Call, client Client) (Answer, error) {
	ticket, err := g.Open(ctx, credential, call)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithDeadline(ctx, ticket.deadline)
	defer cancel()
	// A kill can come between the commit and the act, and while it lasts.
	ctx, leave, err := g.Kills.Enter(ctx, kill.TargetOf(&ticket.entry))
	if err != nil {
		return ticket.Close(ctx, Answer{}, err)
	}
	defer leave()
	var answer Answer
	if err = ticket.judgeInputResponses(ctx); err == nil {
		answer, err = g.Upstream.Execute(ctx, ticket, &hearing{ticket, client})
	}
	if killed := kill.Cause(ctx); err != nil && killed != nil {
		err = killed
	}
	answer, err = ticket.Close(ctx, answer, err)
	if err == nil && call.Method == "resources/subscribe" && answer.Error.Type() == sallyport.Absent {
		g.sessions.subscribed(ticket)
	}
	return answer, err
}
