package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// eras is what is known of which eras of MCP a server speaks.
type eras struct {
	known     bool
	stateless bool
	legacy    bool
	sse       bool            // the old era over HTTP+SSE
	words     sallyport.Value // result of server/discover, absent unless stateless
}

// choose says which era to speak on behalf of an agent: the agent's own where
// the server speaks it, so that nothing has to be bridged.
func (e eras) choose(agentStateless bool) (stateless bool) {
	return e.stateless && (agentStateless || !e.legacy)
}

// learn remembers which eras the server speaks. Not knowing them makes the
// next session find out.
func (srv *server) learn(e eras) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.config.Revision == "" && srv.config.Transport != HTTPSSE {
		srv.eras = e
	}
}

// open starts a conversation in the era that suits the session's agent.
func (s *session) open(ctx context.Context) (*conversation, error) {
	s.server.mu.Lock()
	e := s.server.eras
	s.server.mu.Unlock()
	v, err := s.connect(ctx, e)
	if err != nil {
		return nil, err
	}
	if !e.known {
		if e, err = v.probe(ctx); err != nil {
			v.close(err)
			return nil, err
		}
		if v.shared && (v.ctx.Err() != nil || e.stateless && !e.choose(s.key.stateless)) {
			// It died of the question, or took it for the choice of an era.
			v.close(errClosed)
			if v, err = s.connect(ctx, e); err != nil {
				return nil, err
			}
		}
	}
	if e.choose(s.key.stateless) {
		err = v.discover(ctx, &e)
	} else if err = v.initialize(ctx); err != nil && s.fallsBackToSSE(err) {
		v.close(err)
		e.sse = true
		if v, err = s.connect(ctx, e); err == nil {
			err = v.initialize(ctx)
		}
	}
	if err == nil {
		err = v.restore(ctx)
	}
	if err != nil {
		if v != nil {
			v.close(err)
		}
		return nil, err
	}
	s.server.learn(e)
	v.follow()
	return v, nil
}

// fallsBackToSSE reports whether a refused initialize means that the URL is
// that of an HTTP+SSE server (MCP 2025-03-26 and later, "backwards
// compatibility").
func (s *session) fallsBackToSSE(err error) bool {
	status, ok := errors.AsType[statusError](err)
	return ok && s.server.config.Transport == "" &&
		(status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed)
}

// connect makes the far end reachable; nothing has been said yet.
func (s *session) connect(ctx context.Context, e eras) (*conversation, error) {
	v := s.newConversation()
	var err error
	switch {
	case s.server.config.Serve != nil:
		err = v.startInside()
	case s.server.config.Command != "":
		err = v.startChild()
	case e.sse:
		err = v.startSSE(ctx)
	default:
		v.peer = &post{v: v, remote: s.server.http}
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// ask is a request of our own.
func (v *conversation) ask(ctx context.Context, method string, params []byte) (gateway.Answer, error) {
	c := v.newCall(method, nil)
	c.params = params
	if v.stateless {
		c.header = v.server.params.standard(method, sallyport.Value{})
	}
	return v.exchange(ctx, c)
}

// probeTime is how long a server may think about server/discover. Old ones
// answer that they don't know it; some say nothing at all.
const probeTime = 10 * time.Second

// probe finds out which eras the server speaks. An error means that it can't
// be talked to in any.
func (v *conversation) probe(ctx context.Context) (eras, error) {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	e := eras{known: true}
	err := v.discover(limited, &e)
	if status, ok := errors.AsType[statusError](err); ok {
		switch status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return eras{}, err
		}
	} else if err != nil && (ctx.Err() != nil || !errors.Is(err, gateway.ErrUnanswered) && !errors.Is(err, errNotStateless)) {
		return eras{}, err // not reached
	}
	if err != nil {
		return eras{known: true, legacy: true}, nil
	}
	for _, version := range e.words.Get("supportedVersions").Items() {
		name, _ := version.Text()
		if slices.Contains(wire.Revisions[:], name) && !wire.IsStateless(name) {
			e.legacy = true
		}
	}
	return e, nil
}

var errNotStateless = errors.New("does not speak MCP " + wire.Stateless)

// discover begins to talk in the stateless era.
func (v *conversation) discover(ctx context.Context, e *eras) error {
	v.stateless, v.revision = true, wire.Stateless
	if e.words.Type() == sallyport.Absent {
		answer, err := v.ask(ctx, "server/discover", v.session.self.statelessParams())
		if err != nil {
			return err
		}
		if !speaksStateless(answer.Result) {
			return errNotStateless
		}
		e.stateless, e.words = true, answer.Result
	}
	v.words = e.words
	return nil
}

func speaksStateless(discovered sallyport.Value) bool {
	for _, version := range discovered.Get("supportedVersions").Items() {
		if name, _ := version.Text(); name == wire.Stateless {
			return true
		}
	}
	return false
}

// initialize begins to talk in the session era.
func (v *conversation) initialize(ctx context.Context) error {
	v.stateless, v.revision = false, ""
	answer, err := v.ask(ctx, "initialize", v.session.self.initializeParams(v.server.config.Revision))
	if err != nil {
		return err
	}
	if answer.Error.Type() != sallyport.Absent {
		return errors.New("refused to initialize a session; the gateway's log has its reason")
	}
	revision, _ := answer.Result.Get("protocolVersion").Text()
	if !slices.Contains(wire.Revisions[:], revision) || wire.IsStateless(revision) {
		return fmt.Errorf("answered initialize with an unknown revision %.20q", revision)
	}
	v.words, v.revision = answer.Result, revision
	return v.peer.send(ctx, wire.AppendRequest(nil, nil, "notifications/initialized", nil))
}

// follow listens to what the server says of its own accord, where that needs
// a stream of its own.
func (v *conversation) follow() {
	if p, ok := v.peer.(*post); ok && !v.stateless {
		v.background(p.follow)
	}
	if v.stateless && !v.session.key.stateless {
		v.hearChanges()
	}
}

// follow keeps the session's GET stream open as long as the server offers it.
func (p *post) follow() {
	pause := backoff.NewExponentialBackOff()
	last := ""
	for p.v.ctx.Err() == nil {
		retry := time.Duration(-1)
		response, err := p.listen(p.v.ctx, last)
		if status, ok := errors.AsType[statusError](err); ok && status < 500 || errors.Is(err, errLost) {
			return
		}
		if err == nil {
			in := newEvents(response.Body, p.v.server.config.Limits.Message, pause.Reset)
			for {
				ev, err := in.next()
				if err != nil {
					break
				}
				if ev.hasID {
					last = ev.id
				}
				if ev.retry >= 0 {
					retry = ev.retry
				}
				if len(ev.data) > 0 && (ev.name == "" || ev.name == "message") {
					p.v.take(ev.data)
				}
			}
			_ = response.Body.Close()
		}
		if retry < 0 {
			retry = pause.NextBackOff()
		}
		select {
		case <-time.After(max(retry, minRetry)):
		case <-p.v.ctx.Done():
		}
	}
}

// minRetry keeps a server that ends its stream at once from keeping us busy.
const minRetry = 100 * time.Millisecond
