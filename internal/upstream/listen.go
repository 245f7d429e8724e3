package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// changes are the kinds of list that a server may announce changes of: the
// capability, the flag of subscriptions/listen, and the notification.
var changes = []struct{ capability, flag, method string }{
	{"tools", "toolsListChanged", "notifications/tools/list_changed"},
	{"prompts", "promptsListChanged", "notifications/prompts/list_changed"},
	{"resources", "resourcesListChanged", "notifications/resources/list_changed"},
}

func (v *conversation) announces(capability string) bool {
	return v.words.Get("capabilities").Get(capability).Get("listChanged").Type() == sallyport.True
}

// listener is a stateless agent's subscriptions/listen at a server of the
// session era.
type listener struct {
	methods []string
	uris    []string
	inbox   chan wire.Message
}

// listenerBacklog is how many notifications a slow agent may be behind. What
// is over is left out: each only says that something should be read again.
const listenerBacklog = 64

func (l *listener) offer(m wire.Message) {
	wanted := slices.Contains(l.methods, m.Method)
	if m.Method == "notifications/resources/updated" {
		uri, _ := m.Params.Get("uri").Text()
		wanted = slices.Contains(l.uris, uri)
	}
	if !wanted {
		return
	}
	select {
	case l.inbox <- m:
	default:
	}
}

// listen makes of resources/subscribe and the session's own notifications
// what subscriptions/listen promises. It ends with ctx, with the session, or
// at once when nothing of what is wanted can be had.
func (v *conversation) listen(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	wanted := r.Params.Get("notifications")
	if wanted.Type() != sallyport.Object || client == nil {
		e := wire.Error{Code: wire.CodeInvalidParams, Message: "subscriptions/listen needs notifications to listen to"}
		return gateway.Answer{Error: sallyport.MustParse(string(e.Object()))}, nil
	}
	l := &listener{inbox: make(chan wire.Message, listenerBacklog)}
	honoured := []byte{'{'}
	for _, c := range changes {
		if wanted.Get(c.flag).Type() == sallyport.True && v.announces(c.capability) {
			l.methods = append(l.methods, c.method)
			honoured = append(honoured, `"`+c.flag+`":true,`...)
		}
	}
	uris := []byte{'['}
	for _, uri := range wanted.Get("resourceSubscriptions").Items() {
		text, ok := uri.Text()
		if !ok || !v.watch(ctx, text) {
			continue
		}
		defer v.unwatch(text)
		l.uris = append(l.uris, text)
		uris = append(append(uris, uri.Raw()...), ',')
	}
	if len(l.uris) > 0 {
		uris[len(uris)-1] = ']'
		honoured = append(append(append(honoured, `"resourceSubscriptions":`...), uris...), ',')
	}
	if len(honoured) > 1 {
		honoured = honoured[:len(honoured)-1]
	}
	honoured = append(honoured, '}')

	v.mu.Lock()
	v.listeners[l] = struct{}{}
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		delete(v.listeners, l)
		v.mu.Unlock()
	}()
	id := v.newCall(r.Method, nil).rawID()
	params := append(append([]byte(`{"notifications":`), honoured...), '}')
	if err := v.tell(ctx, client, id, "notifications/subscriptions/acknowledged", sallyport.MustParse(string(params))); err != nil {
		return gateway.Answer{}, err
	}
	for len(l.methods)+len(l.uris) > 0 {
		select {
		case m := <-l.inbox:
			if err := v.tell(ctx, client, id, m.Method, m.Params); err != nil {
				return gateway.Answer{}, err
			}
		case <-ctx.Done():
			return gateway.Answer{}, ctx.Err()
		case <-v.ctx.Done():
			return gateway.Answer{}, context.Cause(v.ctx)
		}
	}
	return parsed(append(append([]byte(`{"resultType":"complete","_meta":{"`+wire.MetaSubscription+`":`), id...), "}}"...))
}

func (v *conversation) tell(ctx context.Context, client gateway.Client, id []byte, method string, params sallyport.Value) error {
	tagged := with(params, "_meta", with(params.Get("_meta"), wire.MetaSubscription, id))
	m, err := wire.Parse(wire.AppendRequest(nil, nil, method, tagged))
	if err != nil {
		return err
	}
	return client.Tell(ctx, m)
}

// watch subscribes to a resource for one more listener.
func (v *conversation) watch(ctx context.Context, uri string) bool {
	v.mu.Lock()
	v.watched[uri]++
	first := v.watched[uri] == 1
	v.mu.Unlock()
	if !first {
		return true
	}
	answer, err := v.ask(ctx, "resources/subscribe", object("uri", uri))
	if err != nil || answer.Error.Type() != sallyport.Absent {
		v.mu.Lock()
		delete(v.watched, uri)
		v.mu.Unlock()
		return false
	}
	return true
}

func (v *conversation) unwatch(uri string) {
	v.mu.Lock()
	v.watched[uri]--
	last := v.watched[uri] <= 0
	if last {
		delete(v.watched, uri)
	}
	v.mu.Unlock()
	if last {
		v.background(func() {
			ctx, cancel := context.WithTimeout(v.ctx, sendTimeout)
			defer cancel()
			_, _ = v.ask(ctx, "resources/unsubscribe", object("uri", uri))
		})
	}
}

// hearChanges listens, for an agent of the session era, to the changes that a
// stateless server announces.
func (v *conversation) hearChanges() {
	var flags []byte
	for _, c := range changes {
		if v.announces(c.capability) {
			flags = append(flags, `"`+c.flag+`":true,`...)
		}
	}
	if len(flags) > 0 {
		filter := append(append([]byte{'{'}, flags[:len(flags)-1]...), '}')
		v.background(func() { v.keepListening(v.ctx, filter, make(chan sallyport.Value, 1)) })
	}
}

const (
	subscriptionsAtOnce = 256 // of one session
	subscribeTime       = 10 * time.Second
)

// subscribe listens to a resource of a stateless server until unsubscribe. It
// returns when the server has said that it will announce its changes.
func (v *conversation) subscribe(ctx context.Context, uri string) error {
	v.mu.Lock()
	if _, twice := v.streams[uri]; twice {
		v.mu.Unlock()
		return nil
	}
	if len(v.streams) >= subscriptionsAtOnce {
		v.mu.Unlock()
		return fmt.Errorf("holds %d subscriptions for this session already", subscriptionsAtOnce)
	}
	listening, cancel := context.WithCancel(v.ctx)
	v.streams[uri] = cancel
	v.mu.Unlock()
	filter := append(append([]byte(`{"resourceSubscriptions":[`), sallyport.AppendString(nil, uri)...), "]}"...)
	acknowledged := make(chan sallyport.Value, 1)
	v.background(func() {
		v.keepListening(listening, filter, acknowledged)
		if listening.Err() == nil { // it ended by itself, and the entry is still its own
			v.unsubscribe(uri)
		}
		close(acknowledged)
	})
	select {
	case honoured := <-acknowledged:
		for _, item := range honoured.Get("resourceSubscriptions").Items() {
			if text, _ := item.Text(); text == uri {
				return nil
			}
		}
	case <-time.After(subscribeTime):
	case <-ctx.Done():
	}
	v.unsubscribe(uri)
	return errors.New("does not announce changes of this resource")
}

func (v *conversation) unsubscribe(uri string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if cancel, open := v.streams[uri]; open {
		cancel()
		delete(v.streams, uri)
	}
}

// keepListening holds one subscriptions/listen open, and opens it again when
// it ends, unless the server refuses or honours nothing of it.
func (v *conversation) keepListening(ctx context.Context, filter []byte, acknowledged chan sallyport.Value) {
	pause := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		e := &ear{v: v, acknowledged: acknowledged}
		c := v.newCall("subscriptions/listen", e)
		params := append(append([]byte(`{"_meta":{`), v.session.self.meta()...), `},"notifications":`...)
		c.params = append(append(params, filter...), '}')
		c.header = v.server.params.standard(c.method, sallyport.Value{})
		answer, err := v.exchange(ctx, c)
		if err == nil && (answer.Error.Type() != sallyport.Absent || e.nothing) {
			return
		}
		if e.heard {
			pause.Reset()
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// ear is the agent's end of a subscription that the session holds for it.
type ear struct {
	v            *conversation
	acknowledged chan sallyport.Value
	heard        bool
	nothing      bool
}

func (e *ear) Tell(_ context.Context, m wire.Message) error {
	e.heard = true
	if m.Method == "notifications/subscriptions/acknowledged" {
		honoured := m.Params.Get("notifications")
		e.nothing = honoured.Len() == 0
		select {
		case e.acknowledged <- honoured:
		default:
		}
		return nil
	}
	params := without(m.Params, "_meta")
	if m.Params.Get("_meta").Len() > 1 {
		params = with(m.Params, "_meta", without(m.Params.Get("_meta"), wire.MetaSubscription))
	}
	plain, err := wire.Parse(wire.AppendRequest(nil, nil, m.Method, params))
	if err == nil {
		e.v.heard(&plain)
	}
	return err
}

func (e *ear) Ask(context.Context, wire.Message) (gateway.Answer, error) {
	return gateway.Answer{}, errors.New("nobody can be asked under a subscription")
}
