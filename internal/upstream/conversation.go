package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/era"
	"sallyport/internal/wire"
)

// peer is the far end of a conversation. It ends with the conversation's
// context.
type peer interface {
	// exchange sends a call that has begun and waits for its answer. What
	// else the server says under it goes through conversation.under.
	exchange(ctx context.Context, c *call) (wire.Message, error)
	// send passes on a notification, or the answer to what the server asked.
	send(ctx context.Context, text []byte) error
}

// conversation is one life of a session: a child, an in-process server, a
// session over HTTP, or no more than a way to post to a stateless server.
type conversation struct {
	session   *session
	server    *server
	peer      peer
	stateless bool            // which era is spoken
	revision  string          // and which revision, once known
	words     sallyport.Value // the server's result of initialize or server/discover
	shared    bool            // all calls' answers come on one stream
	since     time.Time
	ctx       context.Context // done when the conversation is over; its cause says why
	close     context.CancelCauseFunc

	responding atomic.Int32 // answers to the server that are under way

	mu        sync.Mutex
	calls     map[int64]*call // open
	asks      map[string]ask  // open, by the server's id
	listeners map[*listener]struct{}
	level     string                        // of logging, as the server was last told for stateless agents
	streams   map[string]context.CancelFunc // open subscriptions at a stateless server, by URI
}

// call is one request to a server while it is open.
type call struct {
	id     int64
	method string
	params []byte
	header http.Header    // what Streamable HTTP needs besides; nil otherwise
	token  []byte         // the agent's progress token, which id replaces
	client gateway.Client // nil when nobody hears or can be asked

	ctx    context.Context
	cancel context.CancelCauseFunc
	quiet  *time.Timer       // ends the call after too long a silence
	answer chan wire.Message // of streams that many calls share

	status   int        // HTTP status of an answer in plain JSON
	streamed bool       // the answer came on an event stream
	draining bool       // ctx is still needed to read an HTTP answer to its end
	telling  sync.Mutex // held while client is told, so that nothing is told after the end
	ended    bool
}

var (
	errSilent = errors.New("gave no sign of life for too long")
	errClosed = errors.New("the gateway is closing")
	errLost   = errors.New("has forgotten the session; the call was not repeated: call again if that is safe")
)

func (s *session) newConversation() *conversation {
	v := &conversation{
		session: s, server: s.server, since: time.Now(),
		calls: map[int64]*call{}, asks: map[string]ask{}, listeners: map[*listener]struct{}{},
		streams: map[string]context.CancelFunc{},
	}
	v.ctx, v.close = context.WithCancelCause(s.server.owner.ctx)
	return v
}

// background runs work that belongs to no caller, unless all is closed.
func (v *conversation) background(work func()) bool { return v.server.owner.background(work) }

// broke ends the conversation because the server's end is gone.
func (v *conversation) broke(cause error) {
	if v.ctx.Err() == nil {
		v.close(cause)
		v.session.ended(v)
	}
}

func (v *conversation) log() *slog.Logger {
	return v.server.owner.options.Log.With("server", v.server.config.Name)
}

func (v *conversation) newCall(r *request, client gateway.Client) *call {
	c := &call{id: v.server.owner.ids.Add(1), method: r.Method, client: client}
	switch {
	case v.shared:
		c.answer = make(chan wire.Message, 1)
	case v.stateless:
		c.header = http.Header(era.Headers(r.Method, r.Params, r.tool))
	}
	return c
}

// exchange carries out a call and returns the server's answer.
func (v *conversation) exchange(ctx context.Context, c *call) (gateway.Answer, error) {
	v.begin(ctx, c)
	detach := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	m, err := v.peer.exchange(c.ctx, c)
	detach()
	cause := context.Cause(c.ctx)
	v.end(c)
	switch {
	case err == nil:
		answer := gateway.Answer{Result: m.Result, Error: m.Error, Streamed: c.streamed}
		if v.stateless && m.Error.Type() != sallyport.Absent {
			answer.Status = c.status
		}
		return answer, nil
	case cause != nil:
		return gateway.Answer{}, c.unanswered(cause)
	default:
		return gateway.Answer{}, err
	}
}

// begin opens a call. Its context is cancelled with the caller's but is not
// the caller's: it has to live on while an HTTP answer is read to its end.
func (v *conversation) begin(ctx context.Context, c *call) {
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if c.method != "subscriptions/listen" { // which is silent by nature
		c.quiet = time.AfterFunc(v.server.config.Limits.Silence, func() { v.silent(c) })
	}
	v.mu.Lock()
	v.calls[c.id] = c
	v.mu.Unlock()
}

func (v *conversation) end(c *call) {
	if c.quiet != nil {
		c.quiet.Stop()
	}
	v.mu.Lock()
	delete(v.calls, c.id)
	v.mu.Unlock()
	if !c.draining {
		c.cancel(nil) // and with it what the server still asks
	}
	c.telling.Lock()
	c.ended = true
	c.telling.Unlock()
}

// alive is told of every sign of life under a call.
func (v *conversation) alive(c *call) {
	if c.quiet != nil {
		c.quiet.Reset(v.server.config.Limits.Silence)
	}
}

// silent ends a call that nothing was heard of for too long, unless it is the
// server that waits: for the agent's answer.
func (v *conversation) silent(c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range v.asks {
		if a.under == c {
			v.alive(c)
			return
		}
	}
	c.cancel(errSilent)
}

// rawID is the id as it goes over the wire, and the progress token of the call.
func (c *call) rawID() []byte { return strconv.AppendInt(nil, c.id, 10) }

// text is the request as it goes over the wire.
func (c *call) text() []byte {
	size := len(c.params) + len(c.method) + 64
	return wire.AppendRequest(make([]byte, 0, size), c.rawID(), c.method, c.params)
}

// call finds an open call by the raw id that the server wrote.
func (v *conversation) call(id sallyport.Value) *call {
	n, err := strconv.ParseInt(string(id.Raw()), 10, 64)
	if err != nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[n]
}

// drop counts and forgets what belongs to no call.
func (v *conversation) drop(what string) {
	v.server.owner.dropped.Add(1)
	v.log().Debug("dropped what a server sent", "what", what)
}
