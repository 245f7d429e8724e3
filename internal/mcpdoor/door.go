// Package mcpdoor is the door through which agents speak MCP: Streamable HTTP
// and stdio, the session era (up to 2025-11-25) and the stateless era (from
// 2026-07-28) on one URL. It translates messages into calls of the gateway and
// back, and decides nothing.
//
// /mcp shows all servers as one (see aggregate.go for the names), /mcp/NAME
// one server with its own names.
package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/guard"
	"sallyport/internal/kill"
	"sallyport/internal/mcpdoor/crowd"
	"sallyport/internal/mcpdoor/heldtask"
	"sallyport/internal/mcpdoor/parking"
	"sallyport/internal/mcpdoor/rung"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// Gateway decides about everything that comes through the door. An error that
// is a *sallyport.RefusedError means that a decision ended it; any other, that
// no answer came.
type Gateway interface {
	Call(ctx context.Context, credential sallyport.Credential, call *sallyport.Call, client gateway.Client) (gateway.Answer, error)
	List(ctx context.Context, credential sallyport.Credential, query *gateway.Query) (gateway.Answer, error)
	Query(ctx context.Context, credential sallyport.Credential, query *gateway.Query) (gateway.Answer, error)
	// Attach lets a session hear what servers say outside any call, until
	// detach. tell does not block.
	Attach(session string, tell func(server string, message wire.Message)) (detach func())
}

// Guests is told of the door's sessions, so that what was opened at servers on
// behalf of one ends with it.
type Guests interface {
	// Greet tells how the agent introduced itself (params of initialize).
	Greet(session string, hello sallyport.Value)
	// Leave ends the session.
	Leave(session string)
}

// Forms take answers that come by the agent's own client.
type Forms interface {
	// Text is what a form shows of a question, "" where none may be shown.
	Text(ctx context.Context, approval string) string
	// Confirm answers a question in the name of the agent's user. An error means
	// that it is not answered.
	Confirm(ctx context.Context, shown *sallyport.Approval, yes bool, at time.Time) error
}

// Parts are what a door is wired from. All of them are needed.
type Parts struct {
	Gateway    Gateway
	Identifier gateway.Identifier
	Guests     Guests
	Servers    func(principal sallyport.Principal) []string    // names of those it may know of, in the order in which they are shown
	Tool       func(server, tool string) *sallyport.Definition // as accepted; nil for none
	Kills      *kill.Switch                                    // ends streams that are no calls
	// Approval is how the last question to people with a digest stands. An error
	// means that nobody knows.
	Approval func(ctx context.Context, digest sallyport.Digest) (sallyport.Approval, error)
	// Question is one question by its id, with what was asked. An error means
	// that it can't be had; then the rest may be there all the same.
	Question func(ctx context.Context, approval string) (sallyport.Approval, error)
	// Withdraw closes a question, on the record. An error means that it is open.
	Withdraw func(ctx context.Context, withdrawn sallyport.Approval, by string) error
	Forms    Forms
	// TaskOf is the open task that a call has opened at its server, "" for none.
	TaskOf func(ctx context.Context, call string) string
	// Page is where people look at a question, and answer it with a credential
	// of their own. Its address carries none: agents get to see it.
	Page    func(approval string) string
	Now     func() time.Time
	Version string // of the gateway
}

// Options are what an operator may choose of a door. Zero fields get the
// defaults.
type Options struct {
	// Agent is whom everybody is who reaches this door; empty when agents
	// bring a token.
	Agent string
	// Hosts and Origins are admitted in the headers of these names besides
	// loopback and the address that the connection came to. A host is written
	// without a port.
	Hosts, Origins []string

	// Clients says what clients do while they wait; default rung.Clients().
	Clients rung.Table

	Body     int           // bytes of one message, default 8 MiB
	Sessions int           // at once, default 16,384; one agent can have three quarters of them
	Idle     time.Duration // after which a session ends that nobody uses, default 24 h
	Patience time.Duration // how long a question to a stateless agent stays open, default 10 min
}

// Door is one way in for agents. It is an http.Handler for /mcp and below.
type Door struct {
	Parts
	Options
	sessions *crowd.Table[owner, *session]
	kept     atomic.Int64 // bytes of events of all sessions
	room     guard.Room
	parked   parking.Lot[owner, *errand]
	waits    rung.Room[owner] // of calls about which people are asked
	runs     heldtask.Runs
	draining chan struct{}
	pages    string // begins the states of this process, see pagePrefix
	drain    sync.Once
}

// New makes a door. It fails when a part is missing.
func New(parts Parts, options Options) (*Door, error) {
	if parts.Gateway == nil || parts.Identifier == nil || parts.Guests == nil || parts.Servers == nil || parts.Kills == nil ||
		parts.Tool == nil || parts.Approval == nil || parts.Question == nil || parts.TaskOf == nil || parts.Withdraw == nil || parts.Forms == nil || parts.Page == nil || parts.Now == nil || parts.Version == "" {
		return nil, errors.New("mcpdoor: a part is missing")
	}
	if options.Body <= 0 {
		options.Body = 8 << 20
	}
	if options.Sessions <= 0 {
		options.Sessions = 16 << 10
	}
	if options.Idle <= 0 {
		options.Idle = 24 * time.Hour
	}
	if options.Patience <= 0 {
		options.Patience = 10 * time.Minute
	}
	if options.Clients == nil {
		options.Clients = rung.Clients()
	}
	d := &Door{Parts: parts, Options: options, draining: make(chan struct{}), pages: pagePrefix + parking.Random() + "."}
	d.sessions = crowd.New[owner](crowd.Rules[*session]{
		Max: options.Sessions, Share: max(1, options.Sessions*3/4), Idle: options.Idle, Now: parts.Now,
		Ended: func(s *session) { s.end(d) },
	})
	return d, nil
}

// Drain ends the streams that would never end by themselves, so that a server
// can shut down while calls are still being carried out.
func (d *Door) Drain() { d.drain.Do(func() { close(d.draining) }) }

// Close ends every session, and every call of one or that waits for an agent.
func (d *Door) Close() {
	d.Drain()
	d.sessions.Close()
	d.runs.Close()
	d.parked.Close(func(e *errand) { e.cancel(crowd.ErrClosed) })
}

// Server makes the http.Server for doors. Its limits keep slow and oversized
// clients from holding memory; the door itself sets the deadlines for bodies,
// which must not cut off the calls that follow.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      sse.WriteWait, // renewed by the door before each write
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
