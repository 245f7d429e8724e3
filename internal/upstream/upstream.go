// Package upstream reaches the MCP servers. It carries calls to them as raw
// bytes over stdio, Streamable HTTP, HTTP+SSE and in process, in both eras of
// the protocol, and bridges between the eras where the meaning can be kept.
//
// Nobody shares a session with anybody: a server's child or session belongs
// to one principal in one session of a door. Agents of the stateless era that
// have no such session share one per principal.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/upstream/era"
	"sallyport/internal/wire"
)

// Servers are the MCP servers behind the gateway. It is a gateway.Upstream.
type Servers struct {
	options  Options
	resolver *net.Resolver // nil is the system's; tests rebind names with it
	grace    time.Duration // for a child to end, before each harder signal
	ids      atomic.Int64
	dropped  atomic.Int64
	ctx      context.Context
	stop     context.CancelCauseFunc
	working  sync.WaitGroup // everything that must have ended when Close returns

	mu      sync.RWMutex
	closed  bool
	servers map[string]*server
	hellos  map[string]sallyport.Value // how the agent of each door session introduced itself
}

// Options are what Servers is wired with.
type Options struct {
	// Heard is told what a server says outside any call, and to which door
	// session and principal it said so. It must not block.
	Heard func(server, session string, principal sallyport.Principal, message wire.Message)
	Log   *slog.Logger
	Kills *kill.Switch
	// Version of the gateway, as servers are told it.
	Version string
}

const sweepEvery = 15 * time.Second

// New makes Servers without any server; Configure adds them.
func New(options Options) *Servers {
	ctx, stop := context.WithCancelCause(context.Background())
	u := &Servers{
		options: options, grace: 2 * time.Second, ctx: ctx, stop: stop,
		servers: map[string]*server{}, hellos: map[string]sallyport.Value{},
	}
	u.working.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				u.each(func(srv *server) { srv.sweep(now) })
			case <-ctx.Done():
				return
			}
		}
	})
	return u
}

// Configure makes the given servers the ones that there are. Sessions of a
// server whose configuration is the same live on; calls that run on one that
// is replaced or removed may finish. An error means that nothing was changed.
func (u *Servers) Configure(servers []Server) error {
	next := make(map[string]*server, len(servers))
	for i := range servers {
		config := &servers[i]
		if err := config.check(); err != nil {
			return err
		}
		if _, twice := next[config.Name]; twice {
			return fmt.Errorf("two servers are called %s", config.Name)
		}
		next[config.Name] = newServer(u, *config)
	}
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return errClosed
	}
	before := u.servers
	for name, srv := range next {
		if old := before[name]; old != nil && old.config.same(&srv.config) {
			next[name] = old
		}
	}
	u.servers = next
	u.mu.Unlock()
	for name, old := range before {
		if next[name] != old {
			old.retire()
		}
	}
	return nil
}

// Close ends every session and waits until all children are gone.
func (u *Servers) Close() {
	u.mu.Lock()
	servers := u.servers
	u.servers, u.closed = nil, true
	u.mu.Unlock()
	u.stop(errClosed)
	for _, srv := range servers {
		srv.retire()
	}
	u.working.Wait()
}

// Greet remembers how the agent of a door's session introduced itself (the
// params of its initialize), for the sessions that are later opened on its
// behalf. Leave must follow when the door's session ends.
func (u *Servers) Greet(door string, hello sallyport.Value) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hellos[door] = hello
}

// Leave closes all that was opened on behalf of a door's session.
func (u *Servers) Leave(door string) {
	u.mu.Lock()
	delete(u.hellos, door)
	u.mu.Unlock()
	u.each(func(srv *server) { srv.end(func(s *session) bool { return s.key.door == door }) })
}

func (u *Servers) each(do func(*server)) {
	u.mu.RLock()
	servers := slices.Collect(maps.Values(u.servers)) // do takes locks that are held when u.mu is taken
	u.mu.RUnlock()
	for _, srv := range servers {
		do(srv)
	}
}

// background runs work that ends soon after the context of all is done; Close
// waits for it. It reports false, and does not run it, when all is closed.
func (u *Servers) background(work func()) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if !u.closed {
		u.working.Go(work)
	}
	return !u.closed
}

// introduce says for whom a session at a server is opened.
func (u *Servers) introduce(r *request) era.Introduction {
	info := append(sallyport.AppendString([]byte(`{"name":"sallyport","version":`), u.options.Version), '}')
	nobody := era.Introduction{Capabilities: []byte("{}"), Info: info}
	u.mu.RLock()
	hello := u.hellos[r.Session]
	u.mu.RUnlock()
	return era.Introduce(nobody, r.Revision, hello, r.Params.Get("_meta"))
}

// Dropped counts what servers sent that belonged to no call: answers nobody
// waited for, progress of foreign calls, messages that could not be read.
func (u *Servers) Dropped() int64 { return u.dropped.Load() }

// request is a Query, or a call under a ticket and then with its pinned tool.
type request struct {
	gateway.Query
	tool *sallyport.Definition
}

// Execute carries out a call under its ticket; see gateway.Upstream. Errors
// that leave open whether the server has acted wrap gateway.ErrUnanswered.
func (u *Servers) Execute(ctx context.Context, ticket *gateway.Ticket, client gateway.Client) (gateway.Answer, error) {
	c := ticket.Call
	return u.carry(ctx, &request{tool: ticket.Tool, Query: gateway.Query{
		Server: c.Server, Method: c.Method, Params: c.Params,
		Principal: c.Principal, Session: c.Session, Revision: c.Revision,
	}}, client)
}

// queryTimeout ends a Query whose caller set no deadline.
const queryTimeout = time.Minute

// Query asks for what has no effect; see gateway.Upstream. A notification is
// passed on only if the session that it concerns is open, and has no answer.
func (u *Servers) Query(ctx context.Context, query *gateway.Query) (gateway.Answer, error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, queryTimeout)
		defer cancel()
	}
	return u.carry(ctx, &request{Query: *query}, nil)
}

func (u *Servers) server(name string) (*server, error) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if srv := u.servers[name]; srv != nil {
		return srv, nil
	}
	return nil, sallyport.Refuse(sallyport.CauseServer, "there is no server %q", name)
}

// repeatable are the methods that change nothing at a server, so that they
// may be sent again when the server has forgotten the session. A tools/call
// is never among them.
var repeatable = map[string]bool{
	"tools/list": true, "prompts/list": true, "resources/list": true, "resources/templates/list": true,
	"resources/read": true, "prompts/get": true, "completion/complete": true,
	"server/discover": true, "initialize": true, "logging/setLevel": true, "resources/subscribe": true,
}

func (u *Servers) carry(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	srv, err := u.server(r.Server)
	if err != nil {
		return gateway.Answer{}, err
	}
	answer, err := srv.carry(ctx, r, client)
	if errors.Is(err, errLost) && repeatable[r.Method] {
		answer, err = srv.carry(ctx, r, client)
	}
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("server %s: %w", r.Server, err)
	}
	return answer, nil
}
