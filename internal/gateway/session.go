package gateway

import (
	"context"
	"sync"

	"sallyport"
	"sallyport/internal/kill"
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
	size          int // bytes of what the subscriptions were asked with
}

// Bounds of a session's subscriptions, whose tickets stay open.
const (
	maxSubscriptions     = 1024
	maxSubscriptionBytes = 1 << 20
)

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
		// may pass; what a rule would withhold must not come this way. And it is
		// on no record, so no run would be known to have read it.
		if rules := g.Rules(); (rules.JudgesResults() || rules.LooksAtFlow()) && !g.Observe() {
			return
		}
	case "notifications/resources/updated":
		uri, _ := message.Params.Get("uri").Text()
		ticket := target.subscriptions[subscription{server, uri}]
		if ticket == nil || g.Kills.Stops(kill.TargetOf(&ticket.entry)) != nil {
			return
		}
		params, err := ticket.Hear(context.Background(), message)
		if message.Params = params; err != nil {
			return
		}
	default:
		return
	}
	target.tell(server, message)
}

// admit refuses a subscription beyond what a session may hold.
func (s *sessions) admit(call *sallyport.Call) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	target := s.open[call.Session]
	if target == nil {
		return nil
	}
	uri, _ := call.Args.Get("uri").Text()
	_, renewed := target.subscriptions[subscription{call.Server, uri}]
	if !renewed && len(target.subscriptions) >= maxSubscriptions || target.size+len(call.Params.Raw()) > maxSubscriptionBytes {
		return sallyport.Refuse(sallyport.CauseLimit, "this session holds as many subscriptions as it may: end some with resources/unsubscribe")
	}
	return nil
}

// subscribed keeps the ticket of a subscription open while its session lives.
func (s *sessions) subscribed(ticket *Ticket) {
	uri, _ := ticket.Call.Args.Get("uri").Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if target := s.open[ticket.Call.Session]; target != nil {
		target.drop(subscription{ticket.Call.Server, uri})
		target.subscriptions[subscription{ticket.Call.Server, uri}] = ticket
		target.size += len(ticket.Call.Params.Raw())
	}
}

func (s *sessions) unsubscribed(query *Query) {
	uri, _ := query.Params.Get("uri").Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if target := s.open[query.Session]; target != nil {
		target.drop(subscription{query.Server, uri})
	}
}

func (s *session) drop(which subscription) {
	if before := s.subscriptions[which]; before != nil {
		s.size -= len(before.Call.Params.Raw())
		delete(s.subscriptions, which)
	}
}

// Query passes on a method that belongs to the session or to an open task and
// has no effect of its own.
func (g *Gateway) Query(ctx context.Context, credential sallyport.Credential, query *Query) (Answer, error) {
	principal, run, err := g.Identifier.Identify(ctx, credential)
	if err != nil {
		return Answer{}, &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	query.Principal, query.Run = principal, run
	ctx, leave, err := g.Kills.Enter(ctx, query.target())
	if err != nil {
		return Answer{}, err
	}
	defer leave()
	if query.Method == "initialize" || query.Method == "server/discover" {
		return g.hello(ctx, query)
	}
	switch wire.FromClient[query.Method].Treatment {
	case wire.Sessions:
		if query.Method == "resources/unsubscribe" {
			g.sessions.unsubscribed(query)
		}
		answer, err := g.Upstream.Query(ctx, query)
		return g.overheard(ctx, query, answer, err)
	case wire.Tickets:
		return g.taskQuery(ctx, query)
	default:
		return Answer{}, sallyport.Refuse(sallyport.CauseMethod, "%s is not known here", query.Method)
	}
}

// overheard lets go of an answer that is under no ticket and on no record. A
// server can put words for a model into any of them, errors before all.
func (g *Gateway) overheard(ctx context.Context, query *Query, answer Answer, err error) (Answer, error) {
	text := answer.Result
	switch {
	case err != nil:
		return answer, err
	case string(answer.Error.Get("code").Raw()) == noMethod:
		answer.Error = missing // in the standard's words, which mislead nobody
		return answer, nil
	case answer.Error.Type() != sallyport.Absent:
		text = answer.Error
	case !says(text):
		return answer, nil
	}
	call := &sallyport.Call{Server: query.Server, Principal: query.Principal, Run: query.Run}
	err = g.Memories.Heard(ctx, call, text, namesOf(g.inspect(ctx, g.Rules(), call, text).Findings))
	if err != nil {
		return Answer{}, sallyport.Refuse(sallyport.CauseLog, "the server's answer is withheld, since it cannot be recorded that it was heard: %v", err)
	}
	return answer, nil
}

// noMethod is the code of an error that says that there is no such method, and
// missing is that error (JSON-RPC 2.0, section 5.1).
const noMethod = "-32601"

var missing = sallyport.MustParse(`{"code":-32601,"message":"Method not found"}`)

// says reports whether there is anything in a result, beside what kind it is and
// lists of nothing: names of members are read, too.
func says(result sallyport.Value) bool {
	for name, member := range result.Members() {
		if name != "resultType" && (member.Len() > 0 || name != "tasks" && name != "_meta") {
			return true
		}
	}
	return result.Type() != sallyport.Object && result.Type() != sallyport.Absent
}
