package upstream

import (
	"context"
	"errors"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// read parses one message of the server. Its own requests and notifications
// have a smaller limit than its answers.
func (v *conversation) read(text []byte) (wire.Message, error) {
	m, err := wire.Parse(text)
	if err == nil && !m.IsResponse() && len(text) > v.server.config.Limits.Message {
		err = remote.ErrTooLong
	}
	return m, err
}

// under deals with a message that came as part of a call's own stream. It
// reports whether it was the answer.
func (v *conversation) under(c *call, m *wire.Message) (answered bool, err error) {
	v.alive(c)
	switch {
	case m.IsRequest():
		v.asked(c, *m)
		return false, nil
	case m.IsNotification():
		return false, v.told(c, m)
	case v.call(m.ID) == c:
		return true, nil
	default:
		v.drop("an answer to another call")
		return false, nil
	}
}

// aside deals with a message on a stream that many calls share, or that
// belongs to none.
func (v *conversation) aside(m *wire.Message) {
	switch {
	case m.IsRequest():
		v.asked(v.newest(), *m)
	case m.IsNotification():
		c := v.belongs(m)
		if c == nil {
			v.heard(m)
			return
		}
		v.alive(c)
		_ = v.told(c, m) // which has ended the call if it could not
	default:
		c := v.call(m.ID)
		if c == nil || c.answer == nil {
			v.drop("an answer that nobody waits for")
			return
		}
		v.mu.Lock()
		delete(v.calls, c.id) // so that there is no second answer
		v.mu.Unlock()
		c.answer <- *m
	}
}

// belongs finds the call that a notification on a shared stream is about. The
// protocol ties only progress and subscriptions to a call; log lines and
// finished elicitations go to the newest open call, which is right when there
// is one call at a time and else no worse than any other choice within the
// same session of the same principal.
func (v *conversation) belongs(m *wire.Message) *call {
	if id := m.Params.Get("_meta").Get(wire.MetaSubscription); id.Type() != sallyport.Absent {
		return v.call(id)
	}
	switch m.Method {
	case "notifications/progress":
		return v.call(m.Params.Get("progressToken"))
	case "notifications/message", "notifications/elicitation/complete":
		return v.newest()
	default:
		return nil
	}
}

// newest is the open call under which a request of the server is put when the
// stream does not say it: the one that began last and can be asked.
func (v *conversation) newest() *call {
	v.mu.Lock()
	defer v.mu.Unlock()
	var newest *call
	for _, c := range v.calls {
		if c.client != nil && c.method != "subscriptions/listen" && (newest == nil || c.id > newest.id) {
			newest = c
		}
	}
	return newest
}

// told passes on a notification under a call. An error means that the agent
// is gone.
func (v *conversation) told(c *call, m *wire.Message) error {
	switch {
	case m.Method == "notifications/cancelled":
		v.askCancelled(m)
		return nil
	case c.method == "subscriptions/listen":
	case strings.HasSuffix(m.Method, "/list_changed"):
		v.heard(m) // concerns everybody who listens, whichever stream it came on
		return nil
	case m.Method == "notifications/progress":
		token := m.Params.Get("progressToken")
		if c.token == nil || v.call(token) != c {
			v.drop("progress of another call")
			return nil
		}
		theirs, err := v.read(wire.AppendRequest(nil, nil, m.Method, m.Params.Splice(sallyport.Edit{Target: token, With: c.token})))
		if err != nil {
			return err
		}
		m = &theirs
	}
	if c.client == nil {
		v.heard(m)
		return nil
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.ended {
		return nil
	}
	err := c.client.Tell(c.ctx, *m)
	if err != nil {
		c.cancel(err)
	}
	return err
}

// heard passes on what a server says outside any call.
func (v *conversation) heard(m *wire.Message) {
	switch m.Method {
	case "notifications/cancelled":
		v.askCancelled(m)
		return
	case "notifications/progress":
		v.drop("progress of no call")
		return
	}
	v.mu.Lock()
	for l := range v.listeners {
		l.offer(m)
	}
	v.mu.Unlock()
	s := v.session
	v.server.owner.options.Heard(v.server.config.Name, s.key.door, s.principal, *m)
}

// ask is a request of the server that the agent has not answered yet.
type ask struct {
	under  *call
	cancel context.CancelFunc
}

// asksAtOnce bounds what one session of a server may ask at the same time.
const asksAtOnce = 16

// asked puts a server's request to the agent under the call c, nil when none
// is open, and sends the answer back. It does not wait for it.
func (v *conversation) asked(c *call, m wire.Message) {
	if m.Method == "ping" {
		v.respondSoon(m.ID, done, nil)
		return
	}
	var refusal *wire.Error
	switch {
	case v.stateless || wire.FromServer[m.Method].Kind != sallyport.KindAsk:
		refusal = &wire.Error{Code: wire.CodeUnknownMethod, Message: "not something a server may ask here: " + m.Method}
	case c == nil || c.client == nil:
		refusal = &wire.Error{Code: wire.CodeInvalidRequest, Message: "no call is open under which this could be asked"}
	}
	if refusal != nil {
		v.respondSoon(m.ID, gateway.Answer{}, refusal)
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	id := string(m.ID.Raw())
	v.mu.Lock()
	_, twice := v.asks[id]
	full := twice || len(v.asks) >= asksAtOnce
	if !full {
		v.asks[id] = ask{c, cancel}
	}
	v.mu.Unlock()
	if full {
		cancel()
		v.respondSoon(m.ID, gateway.Answer{}, &wire.Error{Code: wire.CodeInvalidRequest, Message: "too many requests to the agent at once, or an id used twice"})
		return
	}
	v.background(func() {
		answer, err := c.client.Ask(ctx, m)
		cancel()
		v.mu.Lock()
		delete(v.asks, id)
		v.mu.Unlock()
		v.alive(c)
		v.respond(m.ID, answer, err)
	})
}

// askCancelled ends a request that the server no longer wants answered.
func (v *conversation) askCancelled(m *wire.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a, open := v.asks[string(m.Params.Get("requestId").Raw())]; open {
		a.cancel()
	}
}

// sendTimeout bounds sending what is not a call.
const sendTimeout = 30 * time.Second

// respond answers a request of the server. Why an ask failed stays here: the
// reason of a refusal tells about policy, which is none of the server's
// business.
func (v *conversation) respond(id sallyport.Value, answer gateway.Answer, err error) {
	var text []byte
	refusal, own := errors.AsType[*wire.Error](err)
	switch {
	case own:
		text = wire.AppendErrorValue(nil, id.Raw(), refusal.Object())
	case err != nil:
		text = wire.AppendErrorValue(nil, id.Raw(), (&wire.Error{Code: wire.CodeRefused, Message: "the request was refused or not answered"}).Object())
	case answer.Error.Type() != sallyport.Absent:
		text = wire.AppendErrorValue(nil, id.Raw(), answer.Error.Raw())
	default:
		text = wire.AppendResult(nil, id.Raw(), answer.Result.Raw())
	}
	ctx, cancel := context.WithTimeout(v.ctx, sendTimeout)
	defer cancel()
	if err := v.peer.send(ctx, text); err != nil && v.ctx.Err() == nil {
		v.log().Warn("could not answer a server's request", "error", err)
	}
}

// respondSoon is respond for those who must go on reading. A server that asks
// faster than it takes the answers gets no more of them.
func (v *conversation) respondSoon(id sallyport.Value, answer gateway.Answer, err error) {
	if v.responding.Add(1) > asksAtOnce {
		v.responding.Add(-1)
		v.drop("a request before earlier answers were taken")
		return
	}
	v.background(func() {
		defer v.responding.Add(-1)
		v.respond(id, answer, err)
	})
}

// cancelled tells the server that nobody waits for a call's answer any more.
func (v *conversation) cancelled(c *call) {
	if c.method == "initialize" {
		return // which the protocol does not let us cancel
	}
	params := append(append([]byte(`{"requestId":`), c.rawID()...), `,"reason":"the caller stopped waiting"}`...)
	text := wire.AppendRequest(nil, nil, "notifications/cancelled", params)
	v.background(func() {
		ctx, cancel := context.WithTimeout(v.ctx, sendTimeout)
		defer cancel()
		_ = v.peer.send(ctx, text) // if the server can't be told, it just goes on
	})
}
