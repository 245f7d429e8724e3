// Package post is the way back of one POST: an answer, and what is said before
// it.
package post

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/guard"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// Reply is the answer to a request: a raw result or a raw error object.
type Reply struct {
	Result []byte
	Err    []byte
	Status int  // of HTTP
	Silent bool // there is no answer, or it has been given
	Stream bool // the server answered on an event stream
}

// Append appends the answer to the request with an id.
func (a *Reply) Append(dst, id []byte) []byte {
	if a.Err != nil {
		return wire.AppendErrorValue(dst, id, a.Err)
	}
	return wire.AppendResult(dst, id, a.Result)
}

// Result is the answer that a request was granted.
func Result(raw []byte) Reply { return Reply{Result: raw, Status: http.StatusOK} }

// Response is the way back of one POST: plain JSON, or an event stream from
// the moment that something has to be said before the answer.
type Response struct {
	// Said keeps what is said, so that an agent that hung up can come back for
	// it; nil where none can.
	Said *sse.Log
	// Resumes says that the agent comes back for a stream that ended before
	// its answer (2025-11-25).
	Resumes bool

	// Streams says that the agent takes event streams.
	Streams bool

	w      http.ResponseWriter
	hijack bool // the response can be ended before the call

	mu     sync.Mutex
	events *sse.Writer // once something was said
	stream uint32      // in the session's log
	gone   bool        // the agent has hung up
	ended  bool
}

// New is the way back of a request.
func New(w http.ResponseWriter, r *http.Request, streams bool) *Response {
	return &Response{w: w, Streams: streams, hijack: r.ProtoMajor == 1 && r.ProtoMinor == 1}
}

// Errors of saying something.
var (
	ErrNoStream = errors.New("the agent takes no event stream")
	ErrGone     = errors.New("the agent has hung up")
)

// Send says something before the answer. In the session era an agent that
// hung up may come back for it.
func (b *Response) Send(_ context.Context, text []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return ErrGone
	}
	if !b.Streams {
		return ErrNoStream
	}
	return b.say(text)
}

func (b *Response) say(text []byte) error {
	if b.events == nil {
		b.begin()
	}
	e := sse.Event{Text: text}
	if b.Said != nil {
		e = b.Said.Add(b.stream, text)
	}
	b.gone = b.gone || b.events.Write(e) != nil
	if b.gone && b.Said == nil {
		return ErrGone
	}
	return nil
}

// begin turns the answer into an event stream. An agent of 2025-11-25 learns
// at once where to resume.
func (b *Response) begin() {
	b.events = sse.Start(b.w)
	if b.Said == nil {
		return
	}
	first := b.Said.Open()
	b.stream = first.Stream
	if b.Resumes {
		b.gone = b.events.Prime(first) != nil
	}
}

// Finish gives the answer. Nothing can be said after it.
func (b *Response) Finish(id []byte, answer Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return
	case answer.Silent && b.events == nil:
		// A cancelled call has no answer, and HTTP no way to give none.
		b.w.WriteHeader(http.StatusAccepted)
	case answer.Silent:
	case b.events != nil:
		_ = b.say(answer.Append(nil, id)) // whoever hung up has no use for it
	default:
		b.plain(id, answer)
	}
	b.ended = true
	if b.stream != 0 {
		b.Said.Finish(b.stream)
	}
}

// End gives the answer and ends the response while the call goes on. The
// server can't go on with a connection before its handler returns, so the
// connection ends, too.
func (b *Response) End(id []byte, answer Reply) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || !b.hijack {
		return false
	}
	b.ended = true
	if b.events != nil {
		_ = b.say(answer.Append(nil, id))
	} else {
		b.w.Header().Set("Connection", "close")
		b.plain(id, answer)
	}
	b.hangUp()
	return true
}

// LetGo ends an event stream before its answer, as the server has done. The
// agent comes back for the answer (resumption of 2025-11-25). Where the server
// keeps nothing, the agent is told the time alone, and soon what went wrong.
func (b *Response) LetGo(retry time.Duration, resumable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.gone || !b.hijack || !b.Streams || !b.Resumes {
		return
	}
	if b.events == nil && !resumable {
		b.Said, b.Resumes = nil, false // nothing to resume, so no ids
	}
	if b.events == nil {
		b.begin()
	}
	_ = b.events.Retry(retry)
	if resumable {
		b.hangUp()
		b.gone = true
	}
}

// hangUp ends the response that has been written, and its connection.
func (b *Response) hangUp() {
	control := http.NewResponseController(b.w)
	_ = control.Flush()
	conn, _, err := control.Hijack()
	if err != nil {
		return // it ends with the call
	}
	if b.events != nil {
		_, _ = conn.Write([]byte("0\r\n\r\n")) // the last chunk
	}
	_ = conn.Close()
}

// KeepAlive is how often a silent stream says that it is there, so that dead
// connections are noticed and proxies keep live ones.
const KeepAlive = 25 * time.Second

// JSON is the content type of an answer in one piece. Responses share it;
// net/http does not change it.
var JSON = []string{"application/json"}

var (
	streamType = []string{sse.ContentType}
	noCache    = []string{"no-cache, no-transform"}
)

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// plain writes an answer in one piece: as JSON, or as an event stream of one
// message where the server did so.
func (b *Response) plain(id []byte, answer Reply) {
	buffer := buffers.Get().(*[]byte)
	text := (*buffer)[:0]
	h := b.w.Header()
	if answer.Stream && b.Streams && bytes.IndexByte(answer.Result, '\n') < 0 {
		h["Content-Type"], h["Cache-Control"] = streamType, noCache
		text = append(answer.Append(append(text, "event: message\ndata: "...), id), "\n\n"...)
	} else {
		h["Content-Type"] = JSON
		text = answer.Append(text, id)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	_ = http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(sse.WriteWait)) // not every writer has one
	b.w.WriteHeader(answer.Status)
	_, _ = b.w.Write(text) // nobody is left to tell
	if cap(text) <= guard.Trusted {
		*buffer = text
		buffers.Put(buffer)
	}
}

// Comment shows that a silent stream is alive.
func (b *Response) Comment() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended || b.gone:
		return ErrGone
	case !b.Streams:
		return ErrNoStream
	case b.events == nil:
		b.begin()
	}
	return b.events.Comment("still here")
}
