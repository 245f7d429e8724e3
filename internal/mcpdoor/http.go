package mcpdoor

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/guard"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// ServeHTTP serves /mcp and /mcp/NAME.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	origin, ok := guard.Origin(r, d.Origins)
	if !ok || !guard.Host(r, d.Hosts) {
		refuse(w, http.StatusForbidden, nil, wire.CodeRefused, "the Host or Origin of this request is not one that this gateway serves (a web page must not reach it through your browser)")
		return
	}
	if origin != "" { // its page may read the answers (CORS)
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", wire.HeaderSession)
		w.Header().Set("Vary", "Origin")
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", "POST, GET, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "*, Authorization")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	x := &exchange{door: d, transport: "http", credential: sallyport.Credential{Token: guard.Bearer(r), Listener: d.Agent}}
	principal, run, err := d.Identifier.Identify(r.Context(), x.credential)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sallyport"`)
		refuse(w, http.StatusUnauthorized, nil, wire.CodeRefused, err.Error())
		return
	}
	x.owner, x.run, x.here = ownerOf(principal), run.ID, d.Servers(principal)
	known := false
	if x.server, known = x.path(r.URL.Path); !known {
		refuse(w, http.StatusNotFound, nil, wire.CodeRefused, "no such path: /mcp shows all servers, /mcp/NAME one of them")
		return
	}
	switch r.Method {
	case http.MethodPost:
		d.post(w, r, x)
	case http.MethodGet:
		d.get(w, r, x)
	case http.MethodDelete:
		d.delete(w, r, x)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		refuse(w, http.StatusMethodNotAllowed, nil, wire.CodeInvalidRequest, "use POST, GET or DELETE")
	}
}

// path tells which server a path means, "" for all. One that the agent may not
// know of is as unknown as one that does not exist.
func (x *exchange) path(path string) (server string, known bool) {
	if path == "/mcp" {
		return "", true
	}
	server, below := strings.CutPrefix(path, "/mcp/")
	return server, below && server != "" && slices.Contains(x.here, server)
}

// refuse answers with an error of the transport; id is raw or nil.
func refuse(w http.ResponseWriter, status int, id []byte, code int, reason string) {
	refuseWith(w, status, id, &wire.Error{Code: code, Message: reason})
}

func refuseWith(w http.ResponseWriter, status int, id []byte, e *wire.Error) {
	text := wire.AppendErrorValue(nil, id, e.Object())
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write(text) // nobody is left to tell
}

func (d *Door) post(w http.ResponseWriter, r *http.Request, x *exchange) {
	if !guard.IsJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, nil, wire.CodeInvalidRequest, "Content-Type must be application/json, in UTF-8")
		return
	}
	json, stream := wire.Header(r.Header).Accepts()
	if !json {
		refuse(w, http.StatusNotAcceptable, nil, wire.CodeInvalidRequest, "Accept must name application/json and text/event-stream")
		return
	}
	body, leave, status, err := d.room.Body(w, r, x.owner, d.Body)
	if err != nil {
		refuse(w, status, nil, wire.CodeInvalidRequest, err.Error())
		return
	}
	defer leave()
	m, err := wire.Parse(body)
	if malformed, ok := errors.AsType[*wire.Error](err); ok {
		refuseWith(w, http.StatusBadRequest, m.AnswerID(), malformed)
		return
	}
	x.message = m
	stateless, mismatch := m.IsStateless(wire.Header(r.Header))
	if mismatch != nil {
		refuseWith(w, http.StatusBadRequest, m.ID.Raw(), mismatch)
		return
	}
	back := &response{w: w, streams: stream, hijack: r.ProtoMajor == 1 && r.ProtoMinor == 1}
	x.back = back
	if stateless {
		d.postStateless(w, r, x, back)
	} else {
		d.postSession(w, r, x, back)
	}
}

// postStateless serves one request of 2026-07-28 and later.
func (d *Door) postStateless(w http.ResponseWriter, r *http.Request, x *exchange, back *response) {
	m := &x.message
	x.revision, x.header = wire.Stateless, wire.Header(r.Header)
	fault := m.CheckHeaders(x.header)
	switch {
	case m.IsResponse() || m.IsNotification() && !strings.HasPrefix(m.Method, "notifications/"):
		fault = notARequest
	case m.IsRequest():
		if missing := m.CheckEnvelope(); missing != nil {
			fault = missing
		}
	}
	switch {
	case fault != nil:
		refuseWith(w, http.StatusBadRequest, m.ID.Raw(), fault)
	case m.IsNotification(): // cancelling is closing the stream, and nothing else may be told
		w.WriteHeader(http.StatusAccepted)
	default:
		back.finish(m.ID.Raw(), x.serve(r.Context()))
	}
}

var notARequest = &wire.Error{Code: wire.CodeInvalidRequest, Message: "not a message that an agent may send: a call needs an id"}

// postSession serves one message of the session era.
func (d *Door) postSession(w http.ResponseWriter, r *http.Request, x *exchange, back *response) {
	m := &x.message
	if m.Method == "initialize" && m.IsRequest() {
		answer := x.initialize(r.Context())
		switch {
		case x.session != nil && r.Context().Err() != nil: // nobody learns its id
			d.sessions.Remove(x.session.id)
		case x.session != nil:
			w.Header()[wire.HeaderSession] = []string{x.session.id}
		}
		back.finish(m.ID.Raw(), answer)
		return
	}
	if !d.findSession(w, r, x) {
		return
	}
	back.session = x.session
	switch {
	case m.IsResponse():
		if !x.session.answered(m) {
			refuse(w, http.StatusBadRequest, nil, wire.CodeInvalidRequest, "an answer to a question that nobody asked")
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case m.IsNotification():
		if err := x.hear(r.Context()); err != nil {
			refuseWith(w, http.StatusBadRequest, nil, err)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	default:
		// The call's context is the session's, not the request's: up to
		// 2025-11-25 hanging up is not cancelling.
		ctx, done, err := x.session.calls.begin(context.Background(), m.ID)
		if err != nil {
			refuse(w, http.StatusBadRequest, m.ID.Raw(), wire.CodeInvalidRequest, err.Error())
			return
		}
		answer := x.serve(ctx)
		done()
		back.finish(m.ID.Raw(), answer)
	}
}

// findSession looks up the session that a request names, or answers it.
func (d *Door) findSession(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	ids, revision := r.Header[wire.HeaderSession], r.Header.Get(wire.HeaderRevision)
	switch {
	case revision != "" && (wire.IsStateless(revision) || !slices.Contains(wire.Revisions[:], revision)):
		refuse(w, http.StatusBadRequest, x.message.ID.Raw(), wire.CodeInvalidRequest, wire.HeaderRevision+" names no revision that has sessions")
		return false
	case len(ids) != 1:
		refuse(w, http.StatusBadRequest, x.message.ID.Raw(), wire.CodeInvalidRequest, "the header "+wire.HeaderSession+" is missing: initialize first")
		return false
	}
	if x.session = d.find(ids[0], x.owner, x.run, x.server); x.session == nil {
		refuse(w, http.StatusNotFound, x.message.ID.Raw(), wire.CodeInvalidRequest, "no such session: initialize anew")
		return false
	}
	x.revision = x.session.revision
	return true
}

// get is the stream on which a session hears what belongs to no call, or the
// rest of a stream that broke off (Last-Event-ID).
func (d *Door) get(w http.ResponseWriter, r *http.Request, x *exchange) {
	if _, stream := wire.Header(r.Header).Accepts(); !stream {
		refuse(w, http.StatusNotAcceptable, nil, wire.CodeInvalidRequest, "Accept must name text/event-stream")
		return
	}
	if !d.findSession(w, r, x) {
		return
	}
	s := x.session
	var stream, seq uint32
	if last := r.Header.Get("Last-Event-Id"); last != "" {
		ok := false
		if stream, seq, ok = sse.ParseID(last); !ok || !s.said.Keeps(stream, seq) {
			// Not 404, which would mean the session.
			refuse(w, http.StatusBadRequest, nil, wire.CodeInvalidRequest, "what came after this event is not kept")
			return
		}
	} else {
		seq = s.said.Newest()
	}
	ctx, leave := s.listen(r.Context(), stream)
	defer leave()
	out := sse.Start(w)
	if out.Comment("ok") != nil { // so that proxies pass on the headers, too
		return
	}
	silence := time.NewTicker(keepAlive)
	defer silence.Stop()
	for {
		more, live, wake := s.said.After(stream, seq)
		for _, ev := range more {
			if !x.entitled(ctx) || out.Write(ev) != nil {
				return
			}
			seq = ev.Seq
		}
		if !live {
			return
		}
		select {
		case <-wake:
		case <-silence.C:
			if !x.entitled(ctx) || out.Comment("still here") != nil {
				return
			}
		case <-d.draining:
			return
		case <-ctx.Done():
			return
		}
	}
}

// listen makes a request the one that hears the session's own stream; the one
// before is sent away, because each message goes to one stream alone, and the
// newest is the one that is alive.
func (s *session) listen(ctx context.Context, stream uint32) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if stream != 0 {
		return ctx, cancel
	}
	s.mu.Lock()
	if s.hearing != nil {
		(*s.hearing)()
	}
	s.hearing = &cancel
	s.mu.Unlock()
	return ctx, func() {
		cancel()
		s.mu.Lock()
		if s.hearing == &cancel {
			s.hearing = nil
		}
		s.mu.Unlock()
	}
}

func (d *Door) delete(w http.ResponseWriter, r *http.Request, x *exchange) {
	if d.findSession(w, r, x) {
		d.sessions.Remove(x.session.id)
		w.WriteHeader(http.StatusNoContent)
	}
}

// response is the way back of one POST: plain JSON, or an event stream from
// the moment that something has to be said before the answer.
type response struct {
	w       http.ResponseWriter
	streams bool     // the agent takes event streams
	hijack  bool     // the response can be ended before the call
	session *session // whose log keeps what is said; nil in the stateless era

	mu     sync.Mutex
	events *sse.Writer // once something was said
	stream uint32      // in the session's log
	gone   bool        // the agent has hung up
	ended  bool
}

var (
	errNoStream = errors.New("the agent takes no event stream")
	errGone     = errors.New("the agent has hung up")
)

// send says something before the answer. In the session era an agent that
// hung up may come back for it.
func (b *response) send(_ context.Context, text []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return errGone
	}
	if !b.streams {
		return errNoStream
	}
	return b.say(text)
}

func (b *response) say(text []byte) error {
	if b.events == nil {
		b.begin()
	}
	e := sse.Event{Text: text}
	if b.session != nil {
		e = b.session.said.Add(b.stream, text)
	}
	b.gone = b.gone || b.events.Write(e) != nil
	if b.gone && b.session == nil {
		return errGone
	}
	return nil
}

// begin turns the answer into an event stream. An agent of 2025-11-25 learns
// at once where to resume.
func (b *response) begin() {
	b.events = sse.Start(b.w)
	if b.session == nil {
		return
	}
	first := b.session.said.Open()
	b.stream = first.Stream
	if b.session.revision >= wire.Revision20251125 {
		b.gone = b.events.Prime(first) != nil
	}
}

// finish gives the answer. Nothing can be said after it.
func (b *response) finish(id []byte, answer reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return
	case answer.silent && b.events == nil:
		// A cancelled call has no answer, and HTTP no way to give none.
		b.w.WriteHeader(http.StatusAccepted)
	case answer.silent:
	case b.events != nil:
		_ = b.say(answer.append(nil, id)) // whoever hung up has no use for it
	default:
		b.plain(id, answer)
	}
	b.ended = true
	if b.stream != 0 {
		b.session.said.Finish(b.stream)
	}
}

// end gives the answer and ends the response while the call goes on. The
// server can't go on with a connection before its handler returns, so the
// connection ends, too.
func (b *response) end(id []byte, answer reply) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || !b.hijack {
		return false
	}
	b.ended = true
	if b.events != nil {
		_ = b.say(answer.append(nil, id))
	} else {
		b.w.Header().Set("Connection", "close")
		b.plain(id, answer)
	}
	b.hangUp()
	return true
}

// letGo ends an event stream before its answer, as the server has done. The
// agent comes back for the answer (resumption of 2025-11-25). Where the server
// keeps nothing, the agent is told the time alone, and soon what went wrong.
func (b *response) letGo(retry time.Duration, resumable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.gone || !b.hijack || !b.streams || b.session == nil || b.session.revision < wire.Revision20251125 {
		return
	}
	if b.events == nil && !resumable {
		b.session = nil // nothing to resume, so no ids
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
func (b *response) hangUp() {
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

// keepAlive is how often a silent stream says that it is there, so that dead
// connections are noticed and proxies keep live ones.
const keepAlive = 25 * time.Second

// The values that responses share; net/http does not change them.
var (
	jsonType   = []string{"application/json"}
	streamType = []string{sse.ContentType}
	noCache    = []string{"no-cache, no-transform"}
)

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// plain writes an answer in one piece: as JSON, or as an event stream of one
// message where the server did so.
func (b *response) plain(id []byte, answer reply) {
	buffer := buffers.Get().(*[]byte)
	text := (*buffer)[:0]
	h := b.w.Header()
	if answer.stream && b.streams && bytes.IndexByte(answer.result, '\n') < 0 {
		h["Content-Type"], h["Cache-Control"] = streamType, noCache
		text = append(answer.append(append(text, "event: message\ndata: "...), id), "\n\n"...)
	} else {
		h["Content-Type"] = jsonType
		text = answer.append(text, id)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	_ = http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(sse.WriteWait)) // not every writer has one
	b.w.WriteHeader(answer.status)
	_, _ = b.w.Write(text) // nobody is left to tell
	if cap(text) <= guard.Trusted {
		*buffer = text
		buffers.Put(buffer)
	}
}
