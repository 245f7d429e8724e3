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
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
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
	stop     context.CancelFunc
	working  sync.WaitGroup // everything that must have ended when Close returns

	mu      sync.RWMutex
	closed  bool
	servers map[string]*server
	doors   map[string]*door
}

// Options are what Servers is wired with.
type Options struct {
	// Heard is told what a server says outside any call, and to which door
	// session and principal it said so. It must not block.
	Heard func(server, session string, principal sallyport.Principal, message wire.Message)
	Log   *slog.Logger
	// Version of the gateway, as servers are told it.
	Version string
}

// door is a session of a door: how its agent introduced itself, and the
// sessions at servers that it has used.
type door struct {
	hello sallyport.Value // params of initialize
	used  map[*session]struct{}
}

const sweepEvery = 15 * time.Second

// New makes Servers without any server; Configure adds them.
func New(options Options) *Servers {
	ctx, stop := context.WithCancel(context.Background())
	u := &Servers{
		options: options, grace: 2 * time.Second, ctx: ctx, stop: stop,
		servers: map[string]*server{}, doors: map[string]*door{},
	}
	u.working.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				u.sweep(now)
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
	u.servers = nil
	u.mu.Unlock()
	for _, srv := range servers {
		srv.closeAll()
	}
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.stop()
	u.working.Wait()
}

// Greet remembers how the agent of a door's session introduced itself (the
// params of its initialize), for the sessions that are later opened on its
// behalf. Leave must follow when the door's session ends.
func (u *Servers) Greet(session string, hello sallyport.Value) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.door(session).hello = hello
}

// Leave closes all that was opened on behalf of a door's session.
func (u *Servers) Leave(session string) {
	u.mu.Lock()
	d := u.doors[session]
	delete(u.doors, session)
	u.mu.Unlock()
	if d == nil {
		return
	}
	for s := range d.used {
		s.server.remove(s)
	}
}

// background runs work that Close waits for. It reports false, and does not
// run it, when all is closed.
func (u *Servers) background(work func()) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if !u.closed {
		u.working.Go(work)
	}
	return !u.closed
}

// door finds or makes a door's session; u.mu is held.
func (u *Servers) door(id string) *door {
	d := u.doors[id]
	if d == nil {
		d = &door{used: map[*session]struct{}{}}
		u.doors[id] = d
	}
	return d
}

func (u *Servers) joined(s *session) {
	if s.key.door == "" {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.door(s.key.door).used[s] = struct{}{}
}

func (u *Servers) parted(s *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.doors[s.key.door]
	if d == nil {
		return
	}
	delete(d.used, s)
	if len(d.used) == 0 && d.hello.Type() == sallyport.Absent {
		delete(u.doors, s.key.door)
	}
}

// introduce says for whom a session at a server is opened.
func (u *Servers) introduce(r *request) era.Introduction {
	info := append(sallyport.AppendString([]byte(`{"name":"sallyport","version":`), u.options.Version), '}')
	nobody := era.Introduction{Capabilities: []byte("{}"), Info: info}
	return era.Introduce(nobody, r.Revision, u.greeted(r.Session), r.Params.Get("_meta"))
}

func (u *Servers) greeted(session string) sallyport.Value {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if d := u.doors[session]; d != nil {
		return d.hello
	}
	return sallyport.Value{}
}

// Dropped counts what servers sent that belonged to no call: answers nobody
// waited for, progress of foreign calls, messages that could not be read.
func (u *Servers) Dropped() int64 { return u.dropped.Load() }

func (u *Servers) sweep(now time.Time) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, srv := range u.servers {
		u.working.Go(func() { srv.sweep(now) })
	}
}

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
	if isLost(err) && repeatable[r.Method] {
		answer, err = srv.carry(ctx, r, client)
	}
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("server %s: %w", r.Server, err)
	}
	return answer, nil
}
