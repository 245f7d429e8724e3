package mcpdoor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/mcpdoor/rung"
	"sallyport/internal/mcpdoor/told"
	"sallyport/internal/wire"
)

// end is the agent's end of a call.
type end interface {
	gateway.Client
	// hears is the request that is open at the agent now, nil while the agent
	// thinks about a question.
	hears() *exchange
}

// carry has a call decided and carried out. When people are asked about it and
// the agent can wait for them, it is decided again from the first line once they
// have said something: that is one more fact, and everything else may have
// changed, too.
func (x *exchange) carry(ctx context.Context, call *sallyport.Call, agent end) (gateway.Answer, error) {
	var w *wait
	for {
		attempt := *call
		answer, err := x.door.Gateway.Call(ctx, x.credential, &attempt, agent)
		refused, ok := errors.AsType[*sallyport.RefusedError](err)
		if !ok || !told.Waits(refused) {
			return answer, err
		}
		if w == nil {
			w = x.waits(ctx, call, refused.Approval.ID, agent)
		}
		if w.way.Rung == rung.Park || w.way.Rung == rung.Task || !w.over(ctx, x.owner, refused) {
			return answer, err
		}
		if ctx.Err() != nil { // cancelled, and cancelled calls are not tried again
			return gateway.Answer{}, context.Cause(ctx)
		}
	}
}

// waits is how the agent of a held call can wait.
func (x *exchange) waits(ctx context.Context, call *sallyport.Call, approval string, agent end) *wait {
	client := x.listener()
	client.Task, client.Form = x.asTask(ctx, call), x.door.Forms.Text(ctx, approval) != ""
	w := &wait{door: x.door, agent: agent, stateless: x.session == nil, gone: x.gone, way: x.door.Clients.Choose(client)}
	w.until = x.door.Now().Add(w.way.Hold)
	return w
}

// listener is what is known of the client that sent a request.
func (x *exchange) listener() rung.Client {
	meta := x.message.Params.Get("_meta")
	is, able := meta.Get(wire.MetaClientInfo), meta.Get(wire.MetaCapabilities)
	if x.session != nil {
		is, able = x.session.client, x.session.capabilities
	}
	c := rung.Client{Elicits: able.Get("elicitation"), Stateless: x.session == nil, Streams: true, Token: meta.Get("progressToken").Type() != sallyport.Absent}
	c.Name, _ = is.Get("name").Text()
	c.Version, _ = is.Get("version").Text()
	if b, ok := x.back.(*post.Response); ok {
		c.Streams = b.Streams
	}
	return c
}

// wait is a call about which people are asked, while its agent waits for them.
type wait struct {
	door      *Door
	agent     end
	stateless bool
	gone      <-chan struct{}
	way       rung.Way
	until     time.Time // the agent's request can't stay open for longer
	shown     string    // the approval whose page the agent's user went to
	beats     int
}

const (
	// lookEvery is how often the door looks whether people have answered.
	lookEvery = 500 * time.Millisecond
	// beatEvery is how often the agent is told that they have not.
	beatEvery = 10 * time.Second
)

// over waits, and reports whether the question is over: then the call is to be
// decided again. Else it stays open, and the agent is told to come back.
func (w *wait) over(ctx context.Context, who owner, held *sallyport.RefusedError) bool {
	leave, ok := w.door.waits.Enter(who)
	if !ok {
		return false
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	shown, closed := w.show(ctx, &held.Approval)
	defer closed()
	defer cancel()
	look := time.NewTicker(min(lookEvery, w.way.Hold/8))
	defer look.Stop()
	beat := time.NewTicker(min(beatEvery, w.way.Hold/4))
	defer beat.Stop()
	// A stateless agent is asked by the answer, before which nothing may be said.
	if !(w.stateless && shown != nil) && !w.beat(ctx, held) {
		return false
	}
	for {
		select {
		case <-look.C:
			switch {
			case w.agent.hears() == nil:
				// Nothing happens behind its back: it may never return.
			case w.answered(ctx, &held.Approval):
				w.complete(ctx)
				return true
			case w.door.Now().After(w.until):
				return false
			}
		case <-beat.C:
			if !(w.stateless && shown != nil) && !w.beat(ctx, held) {
				return false
			}
		case accepted := <-shown:
			if !accepted {
				return w.answered(ctx, &held.Approval)
			}
			w.shown = held.Approval.ID
			if shown = nil; w.stateless {
				w.until = w.door.Now().Add(w.way.Hold) // it is another request that waits now
			}
		case <-w.gone:
			return false
		case <-w.door.draining:
			return false
		case <-ctx.Done():
			return true
		}
	}
}

// answered reports whether a question is not waiting for people any more.
func (w *wait) answered(ctx context.Context, asked *sallyport.Approval) bool {
	now, err := w.door.Approval(ctx, asked.Digest)
	return err != nil || now.ID != asked.ID || now.At(w.door.Now()).State != sallyport.Pending
}

// beat tells the agent what it waits for; one that asked for no progress is
// shown that the connection is alive. It reports false when the agent is gone.
func (w *wait) beat(ctx context.Context, held *sallyport.RefusedError) bool {
	x := w.agent.hears()
	if x == nil {
		return true
	}
	token := x.message.Params.Get("_meta").Get("progressToken")
	if token.Type() == sallyport.Absent {
		b, ok := x.back.(*post.Response)
		return !ok || !errors.Is(b.Comment(), post.ErrGone)
	}
	// What the server will say of progress comes after ours, and progress must
	// grow.
	w.beats++
	params := append([]byte(`{"progressToken":`), token.Raw()...)
	params = strconv.AppendFloat(append(params, `,"progress":`...), float64(w.beats)/10_000, 'f', -1, 64)
	params = sallyport.AppendString(append(params, `,"message":`...), told.Waiting(&held.Approval)+w.door.Page(held.Approval.ID))
	err := x.say(ctx, wire.AppendRequest(nil, nil, "notifications/progress", append(params, '}')))
	return err == nil || errors.Is(err, post.ErrNoStream)
}

// show has the agent's user look at a question: at its page, or in a form. The
// channel gets whether there is something to wait for; that somebody went to a page
// says nothing about the answer. closed waits until nobody is asked any more.
func (w *wait) show(ctx context.Context, a *sallyport.Approval) (went <-chan bool, closed func()) {
	var params []byte
	switch {
	case w.shown == a.ID || w.way.Rung == rung.Wait:
		return nil, func() {}
	case w.way.Rung == rung.Form:
		text := w.door.Forms.Text(ctx, a.ID)
		if text == "" { // another question than the one for which a form was chosen
			return nil, func() {}
		}
		dst := sallyport.AppendString([]byte(`{"message":`), text)
		params = append(dst, `,"requestedSchema":{"type":"object","properties":{"approve":{"type":"boolean","title":"Approve","default":false}},"required":["approve"]}}`...)
	default:
		params = w.page(a)
	}
	if e, ok := w.agent.(*errand); ok {
		e.pages(true)
	}
	answer := make(chan bool, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		said, err := w.agent.Ask(ctx, wire.Message{Method: "elicitation/create", Params: sallyport.MustParse(string(params))})
		if e, ok := w.agent.(*errand); ok {
			e.pages(false)
		}
		answer <- err == nil && w.went(ctx, a, said.Result)
	})
	return answer, asking.Wait
}

// page asks for the user to open the page of a question.
func (w *wait) page(a *sallyport.Approval) []byte {
	dst := sallyport.AppendString([]byte(`{"mode":"url","message":`), fmt.Sprintf(
		"%s wants to use %s of %s. %sNothing has been done yet. The page shows what exactly is asked.",
		a.Principal.Agent, quoted(a.Name), a.Server, told.Waiting(a)))
	dst = sallyport.AppendString(append(dst, `,"url":`...), w.door.Page(a.ID))
	if !w.stateless {
		dst = sallyport.AppendString(append(dst, `,"elicitationId":`...), a.ID)
	}
	return append(dst, '}')
}

// went is what the client's answer means. One of a form is the user's, and a
// dismissed one is none.
func (w *wait) went(ctx context.Context, a *sallyport.Approval, said sallyport.Value) bool {
	accepted := said.Get("action").IsText("accept")
	if w.way.Rung != rung.Form {
		return accepted
	}
	yes := said.Get("content").Get("approve").Type()
	if !said.Get("action").IsText("decline") && !(accepted && (yes == sallyport.True || yes == sallyport.False)) {
		return false
	}
	return w.door.Forms.Confirm(ctx, a, accepted && yes == sallyport.True, w.door.Now()) == nil
}

// complete tells a client of the session era that its user is done with the page.
func (w *wait) complete(ctx context.Context) {
	if w.stateless || w.shown == "" || w.way.Rung != rung.URL {
		return
	}
	id, _ := sallyport.Parse(append(sallyport.AppendString([]byte(`{"elicitationId":`), w.shown), '}')) // can't fail
	_ = w.agent.Tell(ctx, wire.Message{Method: "notifications/elicitation/complete", Params: id})       // the result says it, too
}
