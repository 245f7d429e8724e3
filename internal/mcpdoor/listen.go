package mcpdoor

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// listening is an open subscriptions/listen (MCP 2026-07-28). The agent sees
// one subscription; behind it is one call for each server's lists and one for
// each resource, so that each resource is decided by itself.
type listening struct {
	x  *exchange
	id []byte // of the request: the subscription id that the agent knows

	mu       sync.Mutex
	flags    []string            // honoured, in the order they came
	named    map[string][][]byte // honoured, raw and as the agent knows them
	honoured int                 // parts that were acknowledged
	waiting  int                 // parts that may still be
	ready    chan struct{}       // closed when no part is waited for
	told     chan struct{}       // closed when the agent has been told what is honoured
}

// part is what is asked of one server: its lists, or one thing by name.
type part struct {
	server string
	member string          // of notifications that names it; "" for the lists
	own    sallyport.Value // the name as the server knows it
	shown  []byte          // raw, as the agent knows it
	params sallyport.Value
}

// split says how the names in each member are taken apart on /mcp.
var split = map[string]func(string) (server, own string, ok bool){"resourceSubscriptions": wire.SplitURI, "taskIds": wire.SplitName}

const (
	// ackWait is how long servers have to acknowledge before the agent is
	// told what holds so far.
	ackWait = 500 * time.Millisecond
	// maxParts bounds what one subscription may open.
	maxParts = 256
)

func (x *exchange) listen(ctx context.Context) post.Reply {
	parts, fault := x.parts()
	if fault != nil {
		return x.fail(fault)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &listening{x: x, id: x.message.ID.Raw(), waiting: len(parts), named: map[string][][]byte{}, ready: make(chan struct{}), told: make(chan struct{})}
	ended := make(chan post.Reply, len(parts))
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

func (l *listening) wait(ctx context.Context, open int, ended <-chan post.Reply) post.Reply {
	late, silence := time.NewTimer(ackWait), time.NewTicker(post.KeepAlive)
	defer late.Stop()
	defer silence.Stop()
	ready, told := l.ready, false
	var first *post.Reply // refusal or failure
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
			if r.Err != nil && first == nil {
				first = &r
			}
		case <-silence.C:
			if b, ok := l.x.back.(*post.Response); !l.x.entitled(ctx) || ok && b.Comment() != nil {
				return post.Reply{Silent: true}
			}
		case <-l.x.door.draining:
			open, ready, first = 0, nil, nil
		case <-ctx.Done():
			return post.Reply{Silent: true}
		}
	}
	if first != nil && !told {
		return *first
	}
	dst := append([]byte(`{"resultType":"complete","_meta":{"`+wire.MetaSubscription+`":`), l.id...)
	dst = append(append(dst, `,"`+wire.MetaServerInfo+`":`...), l.x.door.serverInfo()...)
	return post.Result(append(dst, "}}"...))
}

// run keeps one part open. Its reply is an error when the part was refused or
// failed.
func (l *listening) run(ctx context.Context, p part) post.Reply {
	call := l.x.newCall(p.server, sallyport.KindSubscribe, p.params)
	call.Args = noResource
	if p.member == "resourceSubscriptions" {
		call.Name, _ = p.own.Text()
		call.Args = uriArgs(p.own)
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
	params := wire.WithSubscription(m.Params, h.l.id)
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
	return x.say(ctx, wire.AppendRequest(nil, nil, m.Method, params))
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
	if honoured.Get(h.part.member).Len() > 0 {
		l.named[h.part.member] = append(l.named[h.part.member], h.part.shown)
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
	var honoured [][]byte
	for _, flag := range l.flags {
		honoured = append(honoured, append(sallyport.AppendString(nil, flag), ":true"...))
	}
	for _, member := range slices.Sorted(maps.Keys(l.named)) {
		list := append(sallyport.AppendString(nil, member), ":["...)
		list = append(list, bytes.Join(l.named[member], []byte{','})...)
		honoured = append(honoured, append(list, ']'))
	}
	dst := append([]byte(`{"notifications":{`), bytes.Join(honoured, []byte{','})...)
	dst = append(append(append(dst, `},"_meta":{"`+wire.MetaSubscription+`":`...), l.id...), "}}"...)
	// An agent that can't hear it is gone, which ctx says soon enough.
	_ = l.x.say(ctx, wire.AppendRequest(nil, nil, "notifications/subscriptions/acknowledged", dst))
}

// parts splits what the agent asks for.
func (x *exchange) parts() ([]part, *wire.Error) {
	wants := x.message.Params.Get("notifications")
	if wants.Type() != sallyport.Object {
		return nil, &wire.Error{Code: wire.CodeInvalidParams, Message: "subscriptions/listen needs notifications, an object"}
	}
	if b, ok := x.back.(*post.Response); ok && !b.Streams {
		return nil, &wire.Error{Code: wire.CodeInvalidRequest, Message: "Accept must name text/event-stream"}
	}
	var parts []part
	var lists [][]byte
	for name, value := range wants.MemberNodes() {
		text, _ := name.Text()
		switch {
		case split[text] != nil:
			for _, shown := range value.Items() {
				p, ok := x.named(wants, text, shown)
				if !ok {
					return nil, &wire.Error{Code: wire.CodeInvalidParams, Message: text + " names what no server here has: " + string(shown.Raw())}
				}
				parts = append(parts, p)
			}
		case value.Type() != sallyport.False:
			lists = append(lists, append(append(bytes.Clone(name.Raw()), ':'), value.Raw()...))
		}
	}
	if lists != nil {
		notifications := append(append([]byte{'{'}, bytes.Join(lists, []byte{','})...), '}')
		for _, server := range x.servers() {
			parts = append(parts, part{server: server, params: x.wanting(wants, notifications)})
		}
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

// named is the part that asks for one thing by name.
func (x *exchange) named(wants sallyport.Value, member string, shown sallyport.Value) (part, bool) {
	p := part{server: x.server, member: member, own: shown, shown: shown.Raw()}
	text, ok := shown.Text()
	if ok && x.server == "" {
		if p.server, text, ok = split[member](text); ok {
			p.own, _ = sallyport.Parse(sallyport.AppendString(nil, text)) // can't fail
		}
	}
	notifications := append(sallyport.AppendString([]byte{'{'}, member), ":["...)
	p.params = x.wanting(wants, append(append(notifications, p.own.Raw()...), "]}"...))
	return p, ok && slices.Contains(x.servers(), p.server)
}
