package mcpdoor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// owner is whose something is. Whoever else names it gets the answer for what
// does not exist.
type owner struct{ tenant, user, agent string }

func ownerOf(p sallyport.Principal) owner { return owner{p.Tenant, p.User, p.Agent} }

// session is one agent's session of the session era. An idle one is a few
// hundred bytes and no goroutine.
type session struct {
	id           string
	owner        owner
	server       string // of the path; "" for all servers
	revision     string
	capabilities sallyport.Value // of the agent
	used         atomic.Int64    // Unix nanoseconds
	over         chan struct{}   // closed when the session ends
	said         sse.Log         // what its streams said last
	calls        calls
	detach       func()

	mu      sync.Mutex
	asks    map[string]chan gateway.Answer // open questions by our id
	lastAsk int64
	hearing *context.CancelFunc // of the GET stream that is open
}

var (
	errCancelled   = errors.New("cancelled by the agent")
	errSessionOver = errors.New("the session has ended")
	errClosed      = errors.New("the door is closed")
)

// sessions are all sessions of a door.
type sessions struct {
	door   *Door
	mu     sync.RWMutex
	open   map[string]*session
	held   map[owner]int
	sweep  *time.Timer
	closed bool
	kept   atomic.Int64 // bytes of events of all sessions
}

// random is 256 bits that nobody can guess, as text.
func random() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// begin opens a session. When there are as many as may be, the owner with the
// most of them loses the one that was idle for longest, so that nobody can
// crowd out others.
func (t *sessions) begin(s *session) error {
	s.id, s.over = random(), make(chan struct{})
	s.used.Store(t.door.Now().UnixNano())
	s.said.Budget = &t.kept
	s.detach = t.door.Gateway.Attach(s.id, s.tell)
	evicted, err := t.admit(s)
	if evicted != nil {
		evicted.end(t.door)
	}
	if err != nil {
		s.detach()
	}
	return err
}

func (t *sessions) admit(s *session) (evicted *session, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed
	}
	if len(t.open) >= t.door.Options.Sessions {
		if evicted = t.longestIdle(); evicted == nil {
			return nil, errors.New("all sessions are busy: try again later")
		}
		t.forget(evicted)
	}
	if t.open == nil {
		t.open, t.held = map[string]*session{}, map[owner]int{}
	}
	t.open[s.id] = s
	t.held[s.owner]++
	if t.sweep == nil {
		t.sweep = time.AfterFunc(t.interval(), t.expire)
	}
	return evicted, nil
}

// find gives the session to its owner on the path where it began; to all
// others it does not exist.
func (t *sessions) find(id string, who owner, server string) *session {
	t.mu.RLock()
	s := t.open[id]
	t.mu.RUnlock()
	if s == nil || s.owner != who || s.server != server {
		return nil
	}
	s.used.Store(t.door.Now().UnixNano())
	return s
}

func (t *sessions) remove(s *session) {
	t.mu.Lock()
	present := t.open[s.id] == s
	if present {
		t.forget(s)
	}
	t.mu.Unlock()
	if present {
		s.end(t.door)
	}
}

// forget takes a session out of the table; t.mu is held.
func (t *sessions) forget(s *session) {
	delete(t.open, s.id)
	if t.held[s.owner]--; t.held[s.owner] == 0 {
		delete(t.held, s.owner)
	}
}

// longestIdle is the session to give up; t.mu is held.
func (t *sessions) longestIdle() *session {
	var most owner
	for who, n := range t.held {
		if n > t.held[most] {
			most = who
		}
	}
	var oldest *session
	for _, s := range t.open {
		if s.owner == most && !s.busy() && (oldest == nil || s.used.Load() < oldest.used.Load()) {
			oldest = s
		}
	}
	return oldest
}

func (t *sessions) interval() time.Duration { return min(t.door.Idle/2+time.Millisecond, time.Minute) }

// expire ends what nobody has used for long, and comes back while there are
// sessions.
func (t *sessions) expire() {
	before := t.door.Now().Add(-t.door.Idle).UnixNano()
	var idle []*session
	t.mu.Lock()
	for _, s := range t.open {
		if s.used.Load() < before && !s.busy() {
			idle = append(idle, s)
			t.forget(s)
		}
	}
	if len(t.open) > 0 && !t.closed {
		t.sweep.Reset(t.interval())
	} else {
		t.sweep = nil
	}
	t.mu.Unlock()
	for _, s := range idle {
		s.end(t.door)
	}
}

func (t *sessions) close() {
	t.mu.Lock()
	t.closed = true
	open := t.open
	t.open, t.held = nil, nil
	if t.sweep != nil {
		t.sweep.Stop()
	}
	t.mu.Unlock()
	for _, s := range open {
		s.end(t.door)
	}
}

// end cancels what runs and frees everything. The session is in no table any
// more.
func (s *session) end(d *Door) {
	if !s.calls.end() {
		return
	}
	close(s.over)
	s.said.End()
	s.detach()
	d.Guests.Leave(s.id)
}

func (s *session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hearing != nil || s.calls.any()
}

// calls are an agent's open requests by id.
type calls struct {
	mu   sync.Mutex
	over bool
	open map[string]context.CancelCauseFunc
}

// begin opens a request: its context ends with parent, or when the agent
// cancels the id. A second request under an id that is still open is refused,
// because an answer or a cancellation could mean either.
func (c *calls) begin(parent context.Context, id sallyport.Value) (ctx context.Context, done func(), err error) {
	key := wire.IDKey(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil, nil, errSessionOver
	}
	if c.open[key] != nil {
		return nil, nil, errors.New("a request with this id is still open")
	}
	if c.open == nil {
		c.open = map[string]context.CancelCauseFunc{}
	}
	ctx, cancel := context.WithCancelCause(parent)
	c.open[key] = cancel
	return ctx, func() {
		c.mu.Lock()
		delete(c.open, key)
		c.mu.Unlock()
		cancel(nil)
	}, nil
}

// cancel ends a request at the agent's wish.
func (c *calls) cancel(id sallyport.Value) {
	c.mu.Lock()
	cancel := c.open[wire.IDKey(id)]
	c.mu.Unlock()
	if cancel != nil {
		cancel(errCancelled)
	}
}

// end cancels all requests and admits no more. It reports false when it has
// been done before.
func (c *calls) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.over
	c.over = true
	for _, cancel := range c.open {
		cancel(errSessionOver)
	}
	return first
}

func (c *calls) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0
}

// tell takes what a server says outside any call. It does not block.
func (s *session) tell(server string, m wire.Message) {
	params := m.Params.Raw()
	if s.server == "" {
		params = wire.Naming(server).Notification(m.Params)
	}
	s.said.Add(0, wire.AppendRequest(nil, nil, m.Method, params))
}

// answered takes the agent's answer to a question. It reports false when
// nobody asked.
func (s *session) answered(m *wire.Message) bool {
	s.mu.Lock()
	waiting := s.asks[string(m.ID.Raw())]
	delete(s.asks, string(m.ID.Raw()))
	s.mu.Unlock()
	if waiting == nil {
		return false
	}
	waiting <- gateway.Answer{Result: m.Result, Error: m.Error}
	return true
}
