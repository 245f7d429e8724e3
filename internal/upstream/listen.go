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
	"sallyport/internal/upstream/era"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

const acknowledged = "notifications/subscriptions/acknowledged"

// listener is a stateless agent's subscriptions/listen at a server of the
// session era.
type listener struct {
	*era.Subscription
	inbox chan wire.Message
}

// listenerBacklog is how many notifications a slow agent may be behind. What
// is over is left out: each only says that something should be read again.
const listenerBacklog = 64

func (l *listener) offer(m *wire.Message) {
	if !l.Wants(m) {
		return
	}
	select {
	case l.inbox <- *m:
	default:
	}
}

// listen makes of resources/subscribe and the session's own notifications
// what subscriptions/listen promises. It ends with ctx, with the session, or
// at once when nothing of what is wanted can be had.
func (v *conversation) listen(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	wanted := r.Params.Get("notifications")
	if wanted.Type() != sallyport.Object || client == nil {
		return failed(&wire.Error{Code: wire.CodeInvalidParams, Message: "subscriptions/listen needs notifications to listen to"}), nil
	}
	l := &listener{era.Announced(v.words.Get("capabilities"), wanted), make(chan wire.Message, listenerBacklog)}
	for _, item := range wanted.Get("resourceSubscriptions").Items() {
		uri, _ := item.Text()
		answer, err := v.ask(ctx, "resources/subscribe", era.Of("uri", uri))
		if err == nil && answer.Error.Type() == sallyport.Absent {
			l.URIs = append(l.URIs, uri)
		}
	}
	v.mu.Lock()
	v.listeners[l] = struct{}{}
	v.mu.Unlock()
	defer v.unlisten(l)
	id := v.newCall(r, nil).rawID()
	kept := sallyport.MustParse(string(era.Object([]era.Member{l.Member()})))
	if err := tell(ctx, client, id, acknowledged, kept); err != nil {
		return gateway.Answer{}, err
	}
	for !l.IsEmpty() {
		select {
		case m := <-l.inbox:
			if err := tell(ctx, client, id, m.Method, m.Params); err != nil {
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

func tell(ctx context.Context, client gateway.Client, id []byte, method string, params sallyport.Value) error {
	m, err := wire.Parse(wire.AppendRequest(nil, nil, method, era.Tagged(params, id)))
	if err != nil {
		return err
	}
	return client.Tell(ctx, m)
}

// unlisten ends a listener, and the subscriptions that nobody else needs.
func (v *conversation) unlisten(l *listener) {
	v.mu.Lock()
	delete(v.listeners, l)
	var unneeded []string
	for _, uri := range l.URIs {
		if !v.listensTo(uri) {
			unneeded = append(unneeded, uri)
		}
	}
	v.mu.Unlock()
	v.background(func() {
		ctx, cancel := context.WithTimeout(v.ctx, sendTimeout)
		defer cancel()
		for _, uri := range unneeded {
			_, _ = v.ask(ctx, "resources/unsubscribe", era.Of("uri", uri)) // if it can't be told, it says too much
		}
	})
}

func (v *conversation) listensTo(uri string) bool {
	for l := range v.listeners {
		if slices.Contains(l.URIs, uri) {
			return true
		}
	}
	return false
}

// hearChanges listens, for an agent of the session era, to the changes that a
// stateless server announces.
func (v *conversation) hearChanges() {
	if all := era.Announced(v.words.Get("capabilities"), sallyport.Value{}); !all.IsEmpty() {
		v.background(func() { v.keepListening(v.ctx, all, make(chan sallyport.Value, 1)) })
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
	honoured := make(chan sallyport.Value, 1)
	v.background(func() {
		v.keepListening(listening, &era.Subscription{URIs: []string{uri}}, honoured)
		if listening.Err() == nil { // it ended by itself, and the entry is still its own
			v.unsubscribe(uri)
		}
		close(honoured)
	})
	select {
	case kept := <-honoured:
		for _, item := range kept.Get("resourceSubscriptions").Items() {
			if item.IsText(uri) {
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
func (v *conversation) keepListening(ctx context.Context, s *era.Subscription, honoured chan sallyport.Value) {
	wait := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		e := &ear{v: v, honoured: honoured}
		c := v.newCall(&request{Query: gateway.Query{Method: "subscriptions/listen"}}, e)
		c.params = v.session.self.Params(s.Member())
		answer, err := v.exchange(ctx, c)
		if err == nil && (answer.Error.Type() != sallyport.Absent || e.nothing) {
			return
		}
		if e.heard {
			wait.Reset()
		}
		_ = remote.Pause(ctx, wait.NextBackOff())
	}
}

// ear is the agent's end of a subscription that the session holds for it.
type ear struct {
	v        *conversation
	honoured chan sallyport.Value
	heard    bool
	nothing  bool
}

func (e *ear) Tell(_ context.Context, m wire.Message) error {
	e.heard = true
	if m.Method == acknowledged {
		kept := m.Params.Get("notifications")
		e.nothing = kept.Len() == 0
		select {
		case e.honoured <- kept:
		default:
		}
		return nil
	}
	plain, err := wire.Parse(wire.AppendRequest(nil, nil, m.Method, era.Untagged(m.Params)))
	if err == nil {
		e.v.heard(&plain)
	}
	return err
}

func (e *ear) Ask(context.Context, wire.Message) (gateway.Answer, error) {
	return gateway.Answer{}, errors.New("nobody can be asked under a subscription")
}
