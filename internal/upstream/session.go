package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/child"
	"sallyport/internal/upstream/era"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// server is one configured server while the gateway runs.
type server struct {
	owner  *Servers
	config Server
	remote *remote.Remote // nil unless reached over a URL

	mu       sync.Mutex
	eras     eras
	sessions map[key]*session
	retired  bool
}

// key says whose session it is: one door session of one principal. Agents of
// different eras never share one, nor do agents without a door session that
// declare different capabilities.
type key struct {
	door, tenant, user, agent string
	stateless                 bool
	capabilities              sallyport.Digest
}

var everybody = key{stateless: true}

// session is the place of one key at a server. It is a few words of memory
// until it is used, and outlives the crash of its conversation.
type session struct {
	server    *server
	key       key
	principal sallyport.Principal
	self      era.Introduction // of the agent, to the server
	retry     child.Retry      // of a command
	current   atomic.Pointer[conversation]
	over      atomic.Bool   // in no table any more: nothing may be opened
	opening   chan struct{} // holds one token while a conversation is opened

	// Guarded by server.mu.
	busy int // calls that use the session
	used time.Time

	mu    sync.Mutex
	level string              // what the agent asked of logging, at a stateless server
	uris  map[string]struct{} // resources to which the agent subscribed
}

func newServer(owner *Servers, config Server) *server {
	config.Limits = config.Limits.withDefaults()
	srv := &server{owner: owner, config: config, eras: config.assumed(), sessions: map[key]*session{}}
	if config.URL != "" {
		srv.remote = remote.New(config.reach(), owner.resolver)
	}
	return srv
}

var errGone = errors.New("was removed from the configuration")

// acquire finds or makes the session that a request belongs to, and keeps it
// from being closed for idleness until release.
func (srv *server) acquire(r *request) (*session, error) {
	srv.mu.Lock()
	k := srv.keyOf(r)
	s := srv.sessions[k]
	var evicted *session
	switch {
	case srv.retired:
		srv.mu.Unlock()
		return nil, errGone
	case s == nil:
		if len(srv.sessions) >= srv.config.Limits.Sessions {
			if evicted = srv.longestIdle(); evicted == nil {
				srv.mu.Unlock()
				return nil, fmt.Errorf("all of its %d sessions are busy; try again later", srv.config.Limits.Sessions)
			}
			delete(srv.sessions, evicted.key)
		}
		s = &session{
			server: srv, key: k, opening: make(chan struct{}, 1), uris: map[string]struct{}{},
		}
		who := r
		if k == everybody {
			who = &request{}
		}
		s.principal, s.self = who.Principal, srv.owner.introduce(who)
		srv.sessions[k] = s
	}
	s.busy++
	srv.mu.Unlock()
	if evicted != nil {
		evicted.end()
	}
	return s, nil
}

// keyOf says to which session a request belongs; srv.mu is held. Stateless
// HTTP has no sessions, so there all agents use one.
func (srv *server) keyOf(r *request) key {
	stateless := wire.IsStateless(r.Revision)
	if stateless && srv.remote != nil && srv.eras.stateless {
		return everybody
	}
	k := key{door: r.Session, tenant: r.Principal.Tenant, user: r.Principal.User, agent: r.Principal.Agent, stateless: stateless}
	if k.door == "" {
		capabilities := r.Params.Get("_meta").Get(wire.MetaCapabilities)
		k.capabilities = sallyport.DigestOf(capabilities.AppendCanonical(nil))
	}
	return k
}

func (srv *server) release(s *session) {
	srv.mu.Lock()
	s.busy--
	s.used = time.Now()
	unwanted := srv.retired && s.busy == 0
	srv.mu.Unlock()
	if unwanted {
		s.end()
	}
}

// longestIdle is the session to close when there are too many; srv.mu is held.
func (srv *server) longestIdle() *session {
	var oldest *session
	for _, s := range srv.sessions {
		if s.busy == 0 && (oldest == nil || s.used.Before(oldest.used)) {
			oldest = s
		}
	}
	return oldest
}

// end closes the sessions of which that holds.
func (srv *server) end(that func(*session) bool) {
	srv.mu.Lock()
	var ended []*session
	for k, s := range srv.sessions {
		if that(s) {
			ended = append(ended, s)
			delete(srv.sessions, k)
		}
	}
	srv.mu.Unlock()
	for _, s := range ended {
		s.end()
	}
}

// sweep closes what has not been used for long. A session that holds
// subscriptions is in use as long as its door's session lives.
func (srv *server) sweep(now time.Time) {
	srv.end(func(s *session) bool {
		return s.busy == 0 && now.Sub(s.used) >= srv.config.Limits.Idle && !s.subscribed()
	})
}

// retire admits no new calls. Those that run may finish.
func (srv *server) retire() {
	srv.mu.Lock()
	srv.retired = true
	srv.mu.Unlock()
	srv.end(func(s *session) bool { return s.busy == 0 })
	if srv.remote != nil {
		srv.remote.Close()
	}
}

// end closes a session that is in no table any more.
func (s *session) end() {
	s.over.Store(true)
	if v := s.current.Swap(nil); v != nil {
		v.close(errors.New("the session was closed"))
	}
}

func (s *session) subscribed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uris) > 0
}

func (srv *server) carry(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	stateless := wire.IsStateless(r.Revision)
	asksWho := r.Method == "initialize" || r.Method == "server/discover"
	if asksWho && r.Session != "" {
		if words, spoken := srv.lastSaid(stateless); words.Type() != sallyport.Absent {
			return parsed(era.Hello(words, spoken, r.Revision))
		}
	}
	s, err := srv.acquire(r)
	if err != nil {
		return gateway.Answer{}, err
	}
	defer srv.release(s)
	if strings.HasPrefix(r.Method, "notifications/") {
		return gateway.Answer{}, s.notify(ctx, r)
	}
	v, err := s.converse(ctx)
	if err != nil {
		return gateway.Answer{}, err
	}
	switch {
	case asksWho && !(stateless && v.stateless):
		return parsed(era.Hello(v.words, v.stateless, r.Revision))
	case v.stateless == stateless:
		return v.raw(ctx, r, client)
	case v.stateless:
		return v.fromLegacy(ctx, r, client)
	default:
		return v.fromStateless(ctx, r, client)
	}
}

// notify passes on a notification of the agent. It opens nothing: a session
// that is not there has nothing to be told about.
func (s *session) notify(ctx context.Context, r *request) error {
	v := s.current.Load()
	if v == nil || v.stateless || wire.IsStateless(r.Revision) {
		return nil // the stateless era has no notifications from agents
	}
	return v.peer.send(ctx, wire.AppendRequest(nil, nil, r.Method, r.Params.Raw()))
}

// converse is the session's conversation, opened if there is none.
func (s *session) converse(ctx context.Context) (*conversation, error) {
	if v := s.current.Load(); v != nil && v.ctx.Err() == nil {
		return v, nil
	}
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v := s.current.Load(); v != nil && v.ctx.Err() == nil {
		return v, nil
	}
	if err := s.retry.Wait(ctx); err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, s.server.config.Limits.Start)
	defer cancel()
	v, err := s.open(opening)
	if err != nil {
		if s.server.config.Command != "" && ctx.Err() == nil {
			s.retry.Ended(0)
		}
		if opening.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("did not answer within %s of being started: %w", s.server.config.Limits.Start, err)
		}
		return nil, err
	}
	s.current.Store(v)
	if s.over.Load() { // its door's session ended meanwhile
		s.end()
	}
	return v, nil
}

// ended is told when a conversation broke.
func (s *session) ended(v *conversation) {
	s.current.CompareAndSwap(v, nil)
	if s.server.config.Command != "" {
		s.retry.Ended(time.Since(v.since))
	}
}
