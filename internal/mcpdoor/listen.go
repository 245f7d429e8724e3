package mcpdoor

import (
	"context"
	"slices"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// listening is an open subscriptions/listen (MCP 2026-07-28). The agent sees
// one subscription; behind it is one call for each server's lists and one for
// each resource, so that each resource is decided by itself.
type listening struct {
	x  *exchange
	id []byte // of the request: the subscription id that the agent knows

	mu       sync.Mutex
	flags    []string      // honoured, in the order they came
	uris     [][]byte      // honoured, raw and as the agent knows them
	honoured int           // parts that were acknowledged
	waiting  int           // parts that may still be
	ready    chan struct{} // closed when no part is waited for
	told     chan struct{} // closed when the agent has been told what is honoured
}

// part is what is asked of one server.
type part struct {
	server string
	uri    sallyport.Value // as the server knows it; absent for the lists
	shown  []byte          // raw, as the agent knows it
	params sallyport.Value
}

const (
	// ackWait is how long servers have to acknowledge before the agent is
	// told what holds so far.
	ackWait = 500 * time.Millisecond
	// maxParts bounds what one subscription may open.
	maxParts = 256
)

func (x *exchange) listen(ctx context.Context) reply {
	parts, fault := x.parts()
	if fault != nil {
		return x.fail(fault)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &listening{x: x, id: x.message.ID.Raw(), waiting: len(parts), ready: make(chan struct{}), told: make(chan struct{})}
	ended := make(chan reply, len(parts))
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	for _, p := range parts {
		open.Go(func() { ended <- l.run(ctx, p) })
	}
	if len(parts) == 0 {
		close(l.ready)
	}
	return l.wait(ctx, len(parts), ended)
}

func (l *listening) wait(ctx context.Context, open int, ended <-chan reply) reply {
	late, silence := time.NewTimer(ackWait), time.NewTicker(keepAlive)
	defer late.Stop()
	defer silence.Stop()
	ready, told := l.ready, false
	var first *reply // refusal or failure
	for open > 0 || ready != nil {
		select {
		case <-ready:
			ready = nil
			if told = l.anything() || first == nil && open == 0; told {
				l.acknowledge(ctx)
			}
		case <-late.C:
			if ready != nil {
				ready, told = nil, true
				l.acknowledge(ctx)
			}
		case r := <-ended:
			open--
			if r.err != nil && first == nil {
				first = &r
			}
		case <-silence.C:
			if b, ok := l.x.back.(*response); ok && b.comment() != nil {
				return reply{silent: true}
			}
		case <-l.x.door.draining:
			open, ready, first = 0, nil, nil
		case <-ctx.Done():
			return reply{silent: true}
		}
	}
	if first != nil && !told {
		return *first
	}
	dst := append([]byte(`{"resultType":"complete","_meta":{"`+wire.MetaSubscription+`":`), l.id...)
	dst = append(append(dst, `,"`+wire.MetaServerInfo+`":`...), l.x.door.serverInfo()...)
	return result(append(dst, "}}"...))
}

// run keeps one part open. Its reply is an error when the part was refused or
// failed.
func (l *listening) run(ctx context.Context, p part) reply {
	call := l.x.newCall(p.server, sallyport.KindSubscribe, p.params)
	call.Args = noResource
	if p.uri.Type() != sallyport.Absent {
		call.Name, _ = p.uri.Text()
		call.Args = uriArgs(p.uri)
	}
	heard := &hearing{l: l, part: p}
	answer, err := l.x.door.Gateway.Call(ctx, l.x.credential, call, heard)
	l.mu.Lock()
	if !heard.acknowledged {
		l.settled()
	}
	l.mu.Unlock()
	return l.x.answered(ctx, p.server, answer, err)
}

// noResource is what policy sees of a subscription to lists: a rule about
// URIs must find one.
var noResource = sallyport.MustParse(`{"uri":""}`)

// settled counts a part that has been acknowledged or never will be; l.mu is
// held.
func (l *listening) settled() {
	if l.waiting--; l.waiting == 0 {
		close(l.ready)
	}
}

// hearing is the agent's end of one part.
type hearing struct {
	l            *listening
	part         part
	acknowledged bool // guarded by l.mu
}

func (h *hearing) Tell(ctx context.Context, m wire.Message) error {
	if m.Method == "notifications/subscriptions/acknowledged" {
		h.acknowledge(m.Params.Get("notifications"))
		return nil
	}
	x := h.l.x
	params := withSubscription(m.Params, h.l.id)
	if x.server == "" {
		tagged, err := sallyport.Parse(params)
		if err != nil {
			return err
		}
		params = wire.Naming(h.part.server).Notification(tagged)
	}
	// Nothing may come before the acknowledgement.
	select {
	case <-h.l.told:
	case <-ctx.Done():
		return ctx.Err()
	}
	return x.back.send(ctx, wire.AppendRequest(nil, nil, m.Method, params))
}

func (h *hearing) acknowledge(honoured sallyport.Value) {
	l := h.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.acknowledged {
		return
	}
	h.acknowledged = true
	l.honoured++
	if h.part.shown != nil && honoured.Get("resourceSubscriptions").Len() > 0 {
		l.uris = append(l.uris, h.part.shown)
	}
	for flag, value := range honoured.Members() {
		if value.Type() == sallyport.True && !slices.Contains(l.flags, flag) {
			l.flags = append(l.flags, flag)
		}
	}
	l.settled()
}

// Ask is never used: nothing can be asked under a subscription.
func (h *hearing) Ask(_ context.Context, m wire.Message) (gateway.Answer, error) {
	return unanswerable(m.Method), nil
}

// anything reports whether any part was acknowledged.
func (l *listening) anything() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.honoured > 0
}

// acknowledge tells the agent what is honoured.
func (l *listening) acknowledge(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(l.told)
	dst := []byte(`{"notifications":{`)
	for _, flag := range l.flags {
		dst = append(sallyport.AppendString(dst, flag), ":true,"...)
	}
	if len(l.uris) > 0 {
		dst = append(dst, `"resourceSubscriptions":[`...)
		for i, uri := range l.uris {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, uri...)
		}
		dst = append(dst, ']')
	} else if len(l.flags) > 0 {
		dst = dst[:len(dst)-1]
	}
	dst = append(append(append(dst, `},"_meta":{"`+wire.MetaSubscription+`":`...), l.id...), "}}"...)
	// An agent that can't hear it is gone, which ctx says soon enough.
	_ = l.x.back.send(ctx, wire.AppendRequest(nil, nil, "notifications/subscriptions/acknowledged", dst))
}

// parts splits what the agent asks for.
func (x *exchange) parts() ([]part, *wire.Error) {
	wants := x.message.Params.Get("notifications")
	if wants.Type() != sallyport.Object {
		return nil, &wire.Error{Code: wire.CodeInvalidParams, Message: "subscriptions/listen needs notifications, an object"}
	}
	if b, ok := x.back.(*response); ok && !b.streams {
		return nil, &wire.Error{Code: wire.CodeInvalidRequest, Message: "Accept must name text/event-stream"}
	}
	var parts []part
	lists := []byte{'{'}
	for name, value := range wants.MemberNodes() {
		if name.IsText("resourceSubscriptions") || value.Type() == sallyport.False {
			continue
		}
		if len(lists) > 1 {
			lists = append(lists, ',')
		}
		lists = append(append(append(lists, name.Raw()...), ':'), value.Raw()...)
	}
	if len(lists) > 1 {
		servers := x.door.Servers()
		if x.server != "" {
			servers = []string{x.server}
		}
		for _, server := range servers {
			parts = append(parts, part{server: server, params: x.wanting(wants, append(lists[:len(lists):len(lists)], '}'))})
		}
	}
	for _, shown := range wants.Get("resourceSubscriptions").Items() {
		p := part{server: x.server, uri: shown, shown: shown.Raw()}
		text, ok := shown.Text()
		if ok && x.server == "" {
			p.server, text, ok = wire.SplitURI(text)
			ok = ok && slices.Contains(x.door.Servers(), p.server)
		}
		if !ok {
			return nil, &wire.Error{Code: wire.CodeInvalidParams, Message: "no server here has the resource " + string(shown.Raw())}
		}
		raw := sallyport.AppendString([]byte(`{"resourceSubscriptions":[`), text)
		p.params = x.wanting(wants, append(raw, "]}"...))
		p.uri = firstOf(p.params)
		parts = append(parts, p)
	}
	if len(parts) > maxParts {
		return nil, &wire.Error{Code: wire.CodeInvalidParams, Message: "too many subscriptions in one request"}
	}
	return parts, nil
}

// wanting is the agent's params with something else in notifications.
func (x *exchange) wanting(wants sallyport.Value, notifications []byte) sallyport.Value {
	params, err := sallyport.Parse(x.message.Params.Splice(sallyport.Edit{Target: wants, With: notifications}))
	if err != nil {
		return sallyport.Value{} // can't be: every byte has been read once
	}
	return params
}

func firstOf(params sallyport.Value) sallyport.Value {
	for _, uri := range params.Get("notifications").Get("resourceSubscriptions").Items() {
		return uri
	}
	return sallyport.Value{}
}

// withSubscription is a notification's params with the subscription id that
// the agent knows: the server knows the subscription by another.
func withSubscription(params sallyport.Value, id []byte) []byte {
	meta := params.Get("_meta")
	if theirs := meta.Get(wire.MetaSubscription); theirs.Type() != sallyport.Absent {
		return params.Splice(sallyport.Edit{Target: theirs, With: id})
	}
	tagged := wire.With(meta, wire.MetaSubscription, id)
	if meta.Type() != sallyport.Absent {
		return params.Splice(sallyport.Edit{Target: meta, With: tagged})
	}
	return wire.With(params, "_meta", tagged)
}

// comment shows that a silent stream is alive.
func (b *response) comment() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.events == nil {
		b.events = sse.Start(b.w)
	}
	return b.events.Comment("still here")
}
