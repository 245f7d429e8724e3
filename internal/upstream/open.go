package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/era"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// eras is what is known of which eras of MCP a server speaks.
type eras struct {
	known      bool
	stateless  bool
	legacy     bool
	sse        bool            // the session era over HTTP+SSE
	discovered sallyport.Value // its last result of server/discover
	greeting   sallyport.Value // its last result of initialize
}

// choose says which era to speak on behalf of an agent: the agent's own where
// the server speaks it, so that nothing has to be bridged.
func (e *eras) choose(agentStateless bool) (stateless bool) {
	return e.stateless && (agentStateless || !e.legacy)
}

// assumed is what the configuration says of a server's eras.
func (c *Server) assumed() eras {
	switch {
	case c.Transport == HTTPSSE:
		return eras{known: true, legacy: true, sse: true}
	case c.Revision != "":
		stateless := wire.IsStateless(c.Revision)
		return eras{known: true, stateless: stateless, legacy: !stateless}
	default:
		return eras{}
	}
}

func (srv *server) learn(e eras) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.eras = e
}

// lastSaid is what the server said of itself when somebody last began to talk
// to it in an era, so that an agent that only connects costs no session.
func (srv *server) lastSaid(agentStateless bool) (words sallyport.Value, stateless bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.eras.choose(agentStateless) {
		return srv.eras.discovered, true
	}
	return srv.eras.greeting, false
}

// open starts a conversation in the era that suits the session's agent. A
// server that can't be talked to as before may have been replaced by one of
// another era, so what was known of it is then forgotten.
func (s *session) open(ctx context.Context) (*conversation, error) {
	s.server.mu.Lock()
	e := s.server.eras
	s.server.mu.Unlock()
	assumed := s.server.config.assumed()
	for {
		learned := e.known && !assumed.known
		v, err := s.begin(ctx, &e)
		if err == nil {
			err = v.restore(ctx)
		}
		if err == nil {
			s.server.learn(e)
			return v, nil
		}
		if v != nil {
			v.close(err)
		}
		s.server.learn(assumed)
		if !learned || ctx.Err() != nil || errors.Is(err, remote.ErrUnreachable) {
			return nil, err
		}
		e = assumed
	}
}

func (s *session) begin(ctx context.Context, e *eras) (v *conversation, err error) {
	if v, err = s.connect(ctx, e.sse); err != nil {
		return nil, err
	}
	if !e.known {
		if err = v.probe(ctx, e); err != nil {
			return v, err
		}
		if v.shared && (v.ctx.Err() != nil || e.stateless && !e.choose(s.key.stateless)) {
			// It died of the question, or took it for the choice of an era.
			v.close(errNotStateless)
			if v, err = s.connect(ctx, false); err != nil {
				return nil, err
			}
		}
	}
	if !e.choose(s.key.stateless) {
		err = v.initialize(ctx, e)
		status, refused := errors.AsType[remote.StatusError](err)
		switch {
		case err == nil || errors.Is(err, remote.ErrUnreachable) || ctx.Err() != nil || status.TryLater():
			return v, err
		case e.stateless:
			e.legacy = false
		case refused && s.server.config.Transport == "" && slices.Contains(notStreamable, int(status)):
			e.sse = true
		default:
			return v, err
		}
		v.close(err)
		if v, err = s.connect(ctx, e.sse); err != nil {
			return nil, err
		}
		if e.sse {
			return v, v.initialize(ctx, e)
		}
	}
	if err = v.discover(ctx, e); err == nil && !s.key.stateless {
		v.hearChanges()
	}
	return v, err
}

// notStreamable are the answers by which a server refuses to be talked to like
// this at all. To initialize an HTTP+SSE server answers so (MCP since
// 2025-03-26, "backwards compatibility").
var notStreamable = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}

// connect makes the far end reachable; nothing has been said yet.
func (s *session) connect(ctx context.Context, sse bool) (*conversation, error) {
	v := s.newConversation()
	var err error
	switch {
	case s.server.config.Serve != nil:
		err = v.startInside()
	case s.server.config.Command != "":
		err = v.startChild()
	case sse:
		err = v.startSSE(ctx)
	default:
		v.peer = &post{v: v}
	}
	if err != nil {
		v.close(err)
		return nil, err
	}
	return v, nil
}

// ask is a request of our own.
func (v *conversation) ask(ctx context.Context, method string, params []byte) (gateway.Answer, error) {
	c := v.newCall(&request{Query: gateway.Query{Method: method}}, nil)
	c.params = params
	return v.exchange(ctx, c)
}

// probeTime is how long a server may think about server/discover. Old ones
// answer that they don't know it; some say nothing at all.
const probeTime = 10 * time.Second

var errNotStateless = errors.New("does not speak MCP " + wire.Stateless)

// probe finds out which eras the server speaks. An error means that it can't
// be talked to in any.
func (v *conversation) probe(ctx context.Context, e *eras) error {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := v.discover(limited, e)
	status, refused := errors.AsType[remote.StatusError](err)
	switch {
	case ctx.Err() != nil || errors.Is(err, remote.ErrUnreachable) || refused && status.TryLater():
		return err
	case err != nil:
		*e = eras{known: true, legacy: true}
		return nil
	}
	// Some servers name only the newest revision and serve the others on the
	// same URL, so there it takes an initialize to know.
	e.known, e.legacy = true, !v.shared
	for _, version := range e.discovered.Get("supportedVersions").Items() {
		name, _ := version.Text()
		e.legacy = e.legacy || name == wire.Negotiate(name)
	}
	if !e.legacy && v.server.remote != nil {
		e.legacy = v.session.beginsSessions(ctx)
	}
	return nil
}

// beginsSessions reports whether a server of the stateless era begins sessions
// at the same URL: some do and list only what answers server/discover, and
// offer tools in one era that they don't in the other.
func (s *session) beginsSessions(ctx context.Context) bool {
	v, err := s.connect(ctx, false)
	if err != nil {
		return false
	}
	defer v.close(errNotStateless)
	var unused eras
	return v.initialize(ctx, &unused) == nil
}

// discover begins to talk in the stateless era.
func (v *conversation) discover(ctx context.Context, e *eras) error {
	v.stateless, v.revision = true, wire.Stateless
	if e.discovered.Type() == sallyport.Absent {
		answer, err := v.ask(ctx, "server/discover", v.session.self.Params())
		if err != nil {
			return err
		}
		for _, version := range answer.Result.Get("supportedVersions").Items() {
			e.stateless = e.stateless || version.IsText(wire.Stateless)
		}
		if !e.stateless || answer.Error.Type() != sallyport.Absent {
			return errNotStateless
		}
		e.discovered = answer.Result
	}
	v.words = e.discovered
	return nil
}

// initialize begins to talk in the session era.
func (v *conversation) initialize(ctx context.Context, e *eras) error {
	v.stateless, v.revision = false, ""
	wanted := wire.Negotiate(v.session.self.Revision)
	if v.server.config.Revision != "" {
		wanted = v.server.config.Revision
	}
	answer, err := v.ask(ctx, "initialize", v.session.self.Initialize(wanted))
	if err != nil {
		return err
	}
	if answer.Error.Type() != sallyport.Absent {
		message, _ := answer.Error.Get("message").Text()
		v.log().Warn("a server refused to initialize a session", "text", message)
		return errors.New("refused to initialize a session; the gateway's log says with what words")
	}
	revision, _ := answer.Result.Get("protocolVersion").Text()
	if revision != wire.Negotiate(revision) {
		return fmt.Errorf("answered initialize with an unknown revision %.20q", revision)
	}
	v.words, v.revision, e.greeting = answer.Result, revision, answer.Result
	if p, ok := v.peer.(*post); ok {
		v.background(p.follow)
	}
	return v.peer.send(ctx, wire.AppendRequest(nil, nil, "notifications/initialized", nil))
}

// note remembers what an agent of the session era has set up in its session,
// so that restore can set it up again in the next life of it, and what the
// server says of itself now.
func (s *session) note(r *request, answer gateway.Answer) {
	switch r.Method {
	case "server/discover":
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.eras.discovered = answer.Result
	case "logging/setLevel":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.level, _ = r.Params.Get("level").Text()
	case "resources/subscribe", "resources/unsubscribe":
		uri, _ := r.Params.Get("uri").Text()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.uris[uri] = struct{}{}; r.Method == "resources/unsubscribe" {
			delete(s.uris, uri)
		}
	}
}

func (v *conversation) restore(ctx context.Context) error {
	s := v.session
	s.mu.Lock()
	level, uris := s.level, slices.Collect(maps.Keys(s.uris))
	s.mu.Unlock()
	for _, uri := range uris {
		err := error(nil)
		if v.stateless {
			err = v.subscribe(ctx, uri)
		} else {
			_, err = v.ask(ctx, "resources/subscribe", era.Of("uri", uri))
		}
		if err != nil {
			return err
		}
	}
	if level != "" && !v.stateless { // a stateless server is told with each request
		_, err := v.ask(ctx, "logging/setLevel", era.Of("level", level))
		return err
	}
	return nil
}
