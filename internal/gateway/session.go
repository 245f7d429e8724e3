package gateway

import (
	"context"
	"sync"

	"sallyport"
	"sallyport/internal/wire"
)

// sessions are the doors' sessions that can hear what a server says outside
// any call.
type sessions struct {
	mu   sync.RWMutex
	open map[string]*session
}

type session struct {
	tell          func(server string, message wire.Message)
	subscriptions map[subscription]*Ticket
}

type subscription struct{ server, uri string }

// Attach lets a door's session hear what servers say outside any call. tell
// must not block. Detach ends it, and the subscriptions with it.
func (g *Gateway) Attach(id string, tell func(server string, message wire.Message)) (detach func()) {
	s := &g.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*session{}
	}
	s.open[id] = &session{tell: tell, subscriptions: map[subscription]*Ticket{}}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, id)
	}
}

// Heard passes on what a server said outside any call, to the one session
// that it was said to. What no table admits, and an update of a resource to
// which the session holds no subscription, is dropped.
func (g *Gateway) Heard(server, id string, message wire.Message) {
	s := &g.sessions
	s.mu.RLock()
	defer s.mu.RUnlock()
	target := s.open[id]
	if target == nil {
		return
	}
	switch message.Method {
	case "notifications/tools/list_changed", "notifications/prompts/list_changed",
		"notifications/resources/list_changed":
	case "notifications/message":
		// It belongs to no action, so no rule about results could say that it
		// may pass; what a rule would withhold must not come this way.
		if g.Rules().JudgesResults() && !g.Observe() {
			return
		}
	case "notifications/resources/updated":
		uri, _ := message.Params.Get("uri").Text()
		ticket := target.subscriptions[subscription{server, uri}]
		if ticket == nil || ticket.Hear(message) != nil {
			return
		}
	default:
		return
	}
	target.tell(server, message)
}

// subscribed keeps the ticket of a subscription open while its session lives.
func (s *sessions) subscribed(ticket *Ticket) {
	uri, _ := ticket.Call.Args.Get("uri").Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if target := s.open[ticket.Call.Session]; target != nil {
		target.subscriptions[subscription{ticket.Call.Server, uri}] = ticket
	}
}

func (s *sessions) unsubscribed(query *Query) {
	uri, _ := query.Params.Get("uri").Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if target := s.open[query.Session]; target != nil {
		delete(target.subscriptions, subscription{query.Server, uri})
	}
}

// Query passes on a method that belongs to the session or to an open task and
// has no effect of its own.
func (g *Gateway) Query(ctx context.Context, credential sallyport.Credential, query *Query) (Answer, error) {
	principal, _, err := g.Identifier.Identify(ctx, credential)
	if err != nil {
		return Answer{}, &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	query.Principal = principal
	if query.Method == "initialize" || query.Method == "server/discover" {
		return g.hello(ctx, query)
	}
	switch wire.FromClient[query.Method].Treatment {
	case wire.Sessions:
		if query.Method == "resources/unsubscribe" {
			g.sessions.unsubscribed(query)
		}
		return g.Upstream.Query(ctx, query)
	case wire.Tickets:
		return g.taskQuery(ctx, query)
	default:
		return Answer{}, sallyport.Refuse(sallyport.CauseMethod, "%s is not known here", query.Method)
	}
}
