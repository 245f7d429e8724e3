package mcpdoor

import (
	"context"
	"sync"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/inflight"
	"sallyport/internal/mcpdoor/parking"
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
	run          string // in which it began
	server       string // of the path; "" for all servers
	revision     string
	capabilities sallyport.Value // of the agent
	client       sallyport.Value // its clientInfo
	over         chan struct{}   // closed when the session ends
	said         sse.Log         // what its streams said last
	calls        inflight.Requests
	detach       func()

	mu      sync.Mutex
	asks    map[string]chan gateway.Answer // open questions by our id
	lastAsk int64
	hearing *context.CancelFunc // of the GET stream that is open
}

// begin opens a session.
func (d *Door) begin(s *session) error {
	s.id, s.over = parking.Random(), make(chan struct{})
	s.said.Budget = &d.kept
	s.detach = d.Gateway.Attach(s.id, s.tell)
	err := d.sessions.Admit(s.id, s.owner, s)
	if err != nil {
		s.detach()
	}
	return err
}

// find gives the session to its owner in the run and on the path where it
// began; to all others it does not exist. Another run would hear what this one
// has asked for.
func (d *Door) find(id string, who owner, run, server string) *session {
	s, ok := d.sessions.Find(id, who)
	if !ok || s.run != run || s.server != server {
		return nil
	}
	return s
}

// end cancels what runs and frees everything. The session is in no table any
// more.
func (s *session) end(d *Door) {
	if !s.calls.End() {
		return
	}
	close(s.over)
	s.said.End()
	s.detach()
	d.Guests.Leave(s.id)
}

// Busy reports whether a request or a stream of the session is open.
func (s *session) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hearing != nil || s.calls.Any()
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
