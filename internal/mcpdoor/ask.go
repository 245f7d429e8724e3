package mcpdoor

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/inflight"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// client is the agent's end of one call: what the server says goes to it on
// the call's way back. It is a gateway.Poller.
type client struct {
	x      *exchange
	server string
}

func (c *client) hears() *exchange { return c.x }

func (c *client) Tell(ctx context.Context, m wire.Message) error {
	text := c.x.notification(c.server, m)
	if text == nil {
		return nil
	}
	err := c.x.say(ctx, text)
	if errors.Is(err, post.ErrNoStream) {
		return nil // the agent chose not to hear
	}
	return err
}

func (c *client) Poll(retry time.Duration, resumable bool) {
	if b, ok := c.x.back.(*post.Response); ok {
		b.LetGo(retry, resumable)
	}
}

// notification is what a server said, as it goes to the agent. Progress
// carries the token of the request that hears it (a retry may have another
// than the call began with); without one there is none to be told.
func (x *exchange) notification(server string, m wire.Message) []byte {
	params := m.Params.Raw()
	switch {
	case m.Method == "notifications/progress":
		token := x.message.Params.Get("_meta").Get("progressToken")
		if token.Type() == sallyport.Absent {
			return nil
		}
		if theirs := m.Params.Get("progressToken"); theirs.Type() != sallyport.Absent && !bytes.Equal(theirs.Raw(), token.Raw()) {
			params = m.Params.Splice(sallyport.Edit{Target: theirs, With: token.Raw()})
		}
	case x.server == "":
		params = wire.Naming(server).Notification(m.Params)
	}
	return wire.AppendRequest(make([]byte, 0, len(params)+96), nil, m.Method, params)
}

// Ask puts a server's request to an agent of the session era, under an id of
// ours, and waits for the answer, which comes by another request.
func (c *client) Ask(ctx context.Context, m wire.Message) (gateway.Answer, error) {
	s := c.x.session
	if s == nil || !declares(s.capabilities, m.Method) {
		return unanswerable(m.Method), nil
	}
	id, answer, done := s.question()
	defer done()
	if err := c.x.say(ctx, wire.AppendRequest(nil, id, m.Method, m.Params.Raw())); err != nil {
		return gateway.Answer{}, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-s.over:
		return gateway.Answer{}, inflight.ErrOver
	case <-ctx.Done():
		params := append(append([]byte(`{"requestId":`), id...), '}')
		_ = c.x.say(ctx, wire.AppendRequest(nil, nil, "notifications/cancelled", params)) // best effort
		return gateway.Answer{}, ctx.Err()
	}
}

// question opens a question: only its answer can use the id, and only once.
func (s *session) question() (id []byte, answer <-chan gateway.Answer, done func()) {
	waiting := make(chan gateway.Answer, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastAsk++
	key := strconv.FormatInt(s.lastAsk, 10)
	if s.asks == nil {
		s.asks = map[string]chan gateway.Answer{}
	}
	s.asks[key] = waiting
	return []byte(key), waiting, func() {
		s.mu.Lock()
		delete(s.asks, key)
		s.mu.Unlock()
	}
}

// declares reports whether an agent said that it can answer a method.
func declares(capabilities sallyport.Value, method string) bool {
	name, _, _ := strings.Cut(method, "/")
	return capabilities.Get(name).Type() == sallyport.Object
}

// unanswerable is what a server hears that asks what the agent can't answer.
func unanswerable(method string) gateway.Answer {
	e := wire.Error{Code: wire.CodeUnknownMethod, Message: "the agent does not support " + method}
	return gateway.Answer{Error: sallyport.MustParse(string(e.Object()))}
}

// errand is a call of a stateless agent. When the server asks something, the
// agent's request is answered with input_required, the call waits, and the
// agent's retry takes it up again (multi-round-trip requests, MCP 2026-07-28).
// So the call can outlive the request that began it.
type errand struct {
	door   *Door
	call   *sallyport.Call
	owner  owner
	run    string
	digest sallyport.Digest // of what must be the same in the retry
	able   sallyport.Value  // what the agent can answer
	cancel context.CancelCauseFunc
	detach func() bool   // from the request that began it
	done   chan outcome  // gets one when the call has ended and a retry is to hear of it
	asked  chan struct{} // gets one when there is something new to ask

	mu    sync.Mutex
	page  bool                 // what is asked is the console's page, and nothing else
	x     *exchange            // to whom the call speaks now; nil while the agent thinks
	first bool                 // x is the request that began it, and carries it out
	open  map[string]*question // by key
	count int
}

type outcome struct {
	answer gateway.Answer
	err    error
}

// question is what a server asked and nobody has answered yet.
type question struct {
	method string
	params []byte
	answer chan gateway.Answer
}

// handlePrefix marks a requestState as ours: every other is a server's own
// and goes on to it as it came.
const handlePrefix = "sallyport."

// pagePrefix begins the states of agents whose users look at the page of a
// question. Behind it is the process that gave it out: another one, which does not
// know it, decides the retry as the call that it repeats. So nothing hangs on these
// states, and whoever makes one up has made a call without one.
const pagePrefix = handlePrefix + "page."

// errand carries out a call of a stateless agent, or takes up the one that the
// agent's requestState names.
func (x *exchange) errand(ctx context.Context, call *sallyport.Call) post.Reply {
	e, fault := x.resume(call)
	switch {
	case fault != nil:
		return x.fail(fault)
	case e != nil:
		return e.wait(ctx, x)
	}
	carried, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	e = &errand{
		door: x.door, call: call, owner: x.owner, run: x.run, cancel: cancel, able: call.Params.Get("_meta").Get(wire.MetaCapabilities),
		done: make(chan outcome, 1), asked: make(chan struct{}, 1), x: x, first: true,
	}
	// Hanging up is how an agent cancels in this era.
	e.detach = context.AfterFunc(ctx, func() { cancel(inflight.ErrCancelled) })
	answer, err := x.carry(carried, call, e)
	e.detach()
	e.mu.Lock()
	mine := e.x == x
	e.x = nil
	e.mu.Unlock()
	if mine {
		return x.released(carried, call, answer, err)
	}
	e.done <- outcome{answer, err}
	return post.Reply{Silent: true} // this request has been answered with the question
}

// wait stays with the call on behalf of a retry, until there is an answer or
// another question.
func (e *errand) wait(ctx context.Context, x *exchange) post.Reply {
	e.speakTo(x)
	defer e.speakTo(nil)
	for {
		select {
		case o := <-e.done:
			return x.released(ctx, e.call, o.answer, o.err)
		case <-e.asked:
			if e.pending() {
				return e.park(x)
			}
		case <-ctx.Done():
			e.cancel(inflight.ErrCancelled)
			return post.Reply{Silent: true}
		}
	}
}

func (e *errand) speakTo(x *exchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.x, e.first = x, false
}

// pages says whether it is the console's page that is asked about.
func (e *errand) pages(page bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.page = page
}

// pending reports whether a question is still open.
func (e *errand) pending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.open) > 0
}

func (e *errand) Tell(ctx context.Context, m wire.Message) error {
	x := e.hears()
	if x == nil {
		return nil // nobody hears, and progress can be missed
	}
	return (&client{x, e.call.Server}).Tell(ctx, m)
}

func (e *errand) hears() *exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.x
}

func (e *errand) Ask(ctx context.Context, m wire.Message) (gateway.Answer, error) {
	if !declares(e.able, m.Method) {
		return unanswerable(m.Method), nil
	}
	q := &question{m.Method, m.Params.Raw(), make(chan gateway.Answer, 1)}
	e.mu.Lock()
	e.count++
	key := "ask-" + strconv.Itoa(e.count)
	if e.open == nil {
		e.open = map[string]*question{}
	}
	e.open[key] = q
	x, first := e.x, e.first
	if first {
		e.x, e.first = nil, false // before the agent can come back
	}
	e.mu.Unlock()
	if first {
		e.detach()
		if !x.back.End(x.message.ID.Raw(), e.park(x)) {
			e.cancel(post.ErrGone)
		}
	} else {
		e.knock()
	}
	select {
	case a := <-q.answer:
		return a, nil
	case <-ctx.Done():
		e.mu.Lock()
		delete(e.open, key)
		e.mu.Unlock()
		return gateway.Answer{}, context.Cause(ctx)
	}
}

func (e *errand) knock() {
	select {
	case e.asked <- struct{}{}:
	default: // somebody knocked already
	}
}

// park answers the agent with what the server asks, and a handle for the
// retry.
func (e *errand) park(x *exchange) post.Reply {
	e.mu.Lock()
	prefix := handlePrefix
	if e.page {
		prefix = e.door.pages
	}
	dst := []byte(`{"inputRequests":{`)
	for key, q := range e.open {
		if dst[len(dst)-1] == '}' {
			dst = append(dst, ',')
		}
		dst = append(sallyport.AppendString(dst, key), `:{"method":`...)
		dst = sallyport.AppendString(dst, q.method)
		if q.params != nil {
			dst = append(append(dst, `,"params":`...), q.params...)
		}
		dst = append(dst, '}')
	}
	e.mu.Unlock()
	if e.digest.IsZero() {
		e.digest = lasting(e.call)
	}
	handle, ok := e.door.parked.Put(prefix, e.owner, e, e.door.Patience, func() {
		e.cancel(errors.New("the agent never came back with the answer"))
	})
	if !ok {
		e.cancel(inflight.ErrCancelled)
		return x.fail(&wire.Error{Code: wire.CodeUnavailable, Message: "too many calls wait for an answer: try again later"})
	}
	dst = sallyport.AppendString(append(dst, `},"requestState":`...), handle)
	dst = append(dst, `,"resultType":"input_required","_meta":{"`+wire.MetaServerInfo+`":`...)
	return post.Result(append(append(dst, e.door.serverInfo()...), "}}"...))
}

// resume finds the errand that a retry goes on with, nil when the call is a
// new one.
func (x *exchange) resume(call *sallyport.Call) (*errand, *wire.Error) {
	state, _ := call.Params.Get("requestState").Text()
	if !strings.HasPrefix(state, handlePrefix) {
		return nil, nil
	}
	digest := lasting(call)
	e, ok := x.door.parked.Take(state, x.owner, func(e *errand) bool { return e.run == x.run && e.digest == digest })
	switch {
	case ok:
	case strings.HasPrefix(state, pagePrefix) && !strings.HasPrefix(state, x.door.pages):
		call.Params = withoutState(call.Params)
		return nil, nil
	default:
		return nil, &wire.Error{Code: wire.CodeInvalidParams,
			Message: "this requestState does not belong to this call, was used already, or has expired: call again without it"}
	}
	e.mu.Lock()
	for key, response := range call.Params.Get("inputResponses").Members() {
		if q := e.open[key]; q != nil {
			delete(e.open, key)
			q.answer <- gateway.Answer{Result: response}
		}
	}
	e.mu.Unlock()
	e.knock() // what was left unanswered is asked again
	return e, nil
}

// withoutState are the params of the call that a retry repeats.
func withoutState(params sallyport.Value) sallyport.Value {
	var members [][]byte
	for name, value := range params.Members() {
		if name != "requestState" && name != "inputResponses" {
			members = append(members, append(append(sallyport.AppendString(nil, name), ':'), value.Raw()...))
		}
	}
	first, _ := sallyport.Parse(append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')) // every byte has been read once
	return first
}

// lasting is the digest of what a retry must repeat: whom it asks for what. A
// handle can't be used to have an answer to one question count for another
// call.
func lasting(call *sallyport.Call) sallyport.Digest {
	text := sallyport.AppendString(nil, call.Method)
	text = sallyport.AppendString(text, call.Server)
	var lasting [][]byte
	for name, value := range call.Params.Members() {
		switch name {
		case "inputResponses", "requestState", "_meta":
		default:
			lasting = append(lasting, value.AppendCanonical(append(sallyport.AppendString(nil, name), ':')))
		}
	}
	slices.SortFunc(lasting, bytes.Compare) // the order of members means nothing
	return sallyport.DigestOf(append(text, bytes.Join(lasting, []byte{','})...))
}
