package mcpdoor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// ServeHTTP serves /mcp and /mcp/NAME.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.admitsHost(r) || !d.admitsOrigin(w, r) {
		refuse(w, http.StatusForbidden, nil, wire.CodeRefused, "the Host or Origin of this request is not one that this gateway serves (a web page must not reach it through your browser)")
		return
	}
	if r.Method == http.MethodOptions {
		preflight(w)
		return
	}
	x := &exchange{door: d, transport: "http", credential: sallyport.Credential{Token: bearer(r), Listener: d.Agent}}
	principal, _, err := d.Identifier.Identify(r.Context(), x.credential)
	if err != nil {
		w.Header().Set("WWW-Authenticate", challenge(x.credential))
		refuse(w, http.StatusUnauthorized, nil, wire.CodeRefused, err.Error())
		return
	}
	x.owner = ownerOf(principal)
	known := false
	if x.server, known = d.path(r.URL.Path); !known {
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

// path tells which server a path means, "" for all.
func (d *Door) path(path string) (server string, known bool) {
	if path == "/mcp" {
		return "", true
	}
	server, below := strings.CutPrefix(path, "/mcp/")
	return server, below && server != "" && slices.Contains(d.Servers(), server)
}

// admitsHost stops DNS rebinding: a foreign name that was made to resolve to
// this machine arrives with that name in Host.
func (d *Door) admitsHost(r *http.Request) bool {
	host := hostname(r.Host)
	if isLoopback(host) || slices.Contains(d.Hosts, host) {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	return err == nil && host == here.Addr().Unmap().String()
}

// admitsOrigin keeps web pages out, but for loopback ones and those that the
// operator named; those may read the answers (CORS).
func (d *Door) admitsOrigin(w http.ResponseWriter, r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if !slices.Contains(d.Origins, origins[0]) {
		origin, err := url.Parse(origins[0])
		if err != nil || origin.Scheme != "http" && origin.Scheme != "https" || !isLoopback(origin.Hostname()) {
			return false
		}
	}
	w.Header().Set("Access-Control-Allow-Origin", origins[0])
	w.Header().Set("Access-Control-Expose-Headers", wire.HeaderSession)
	w.Header().Set("Vary", "Origin")
	return true
}

func preflight(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Methods", "POST, GET, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", "*, Authorization")
	w.WriteHeader(http.StatusNoContent)
}

// hostname is a host without its port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func isLoopback(host string) bool {
	if host == "localhost" || host == "127.0.0.1" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// bearer is the token of RFC 6750, "" when none or more than one was sent.
func bearer(r *http.Request) string {
	values := r.Header["Authorization"]
	if len(values) != 1 || len(values[0]) < 7 || !strings.EqualFold(values[0][:7], "Bearer ") {
		return ""
	}
	return strings.TrimSpace(values[0][7:])
}

func challenge(credential sallyport.Credential) string {
	if credential.Token == "" {
		return `Bearer realm="sallyport"`
	}
	return `Bearer realm="sallyport", error="invalid_token"`
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
	if media := r.Header.Get("Content-Type"); !wire.IsMedia(media, "application/json") {
		refuse(w, http.StatusUnsupportedMediaType, nil, wire.CodeInvalidRequest, "Content-Type must be application/json")
		return
	}
	json, stream := wire.Header(r.Header).Accepts()
	if !json {
		refuse(w, http.StatusNotAcceptable, nil, wire.CodeInvalidRequest, "Accept must name application/json and text/event-stream")
		return
	}
	body, status, err := d.body(w, r)
	if err != nil {
		refuse(w, status, nil, wire.CodeInvalidRequest, err.Error())
		return
	}
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
	back := &response{w: w, streams: stream}
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
	if !m.IsRequest() {
		// Cancelling is closing the stream, and nothing else may be told.
		if m.IsResponse() || !strings.HasPrefix(m.Method, "notifications/") {
			refuseWith(w, http.StatusBadRequest, m.ID.Raw(), notARequest)
			return
		}
		if e := m.CheckHeaders(wire.Header(r.Header)); e != nil {
			refuseWith(w, http.StatusBadRequest, nil, e)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	e := m.CheckEnvelope()
	if e == nil {
		e = m.CheckHeaders(wire.Header(r.Header))
	}
	if e != nil {
		refuseWith(w, http.StatusBadRequest, m.ID.Raw(), e)
		return
	}
	x.revision, x.header = wire.Stateless, wire.Header(r.Header)
	back.finish(m.ID.Raw(), x.serve(r.Context()))
}

var notARequest = &wire.Error{Code: wire.CodeInvalidRequest, Message: "not a message that an agent may send: a call needs an id"}

// postSession serves one message of the session era.
func (d *Door) postSession(w http.ResponseWriter, r *http.Request, x *exchange, back *response) {
	m := &x.message
	if m.Method == "initialize" && m.IsRequest() {
		answer := x.initialize(r.Context())
		if x.session != nil {
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
		ctx, done, err := x.session.run(m.ID)
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
	if x.session = d.sessions.find(ids[0], x.owner, x.server); x.session == nil {
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
	replaced, leave := s.hear(stream)
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
			if out.Write(ev) != nil {
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
			if out.Comment("still here") != nil {
				return
			}
		case <-replaced:
			return
		case <-s.over:
			return
		case <-d.draining:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// hear makes a request the one that hears the session's own stream; the one
// before is sent away, because each message goes to one stream alone, and the
// newest is the one that is alive.
func (s *session) hear(stream uint32) (replaced <-chan struct{}, leave func()) {
	if stream != 0 {
		return nil, func() {}
	}
	mine := make(chan struct{})
	s.mu.Lock()
	if s.hearing != nil {
		close(s.hearing)
	}
	s.hearing = mine
	s.mu.Unlock()
	return mine, func() {
		s.mu.Lock()
		if s.hearing == mine {
			s.hearing = nil
		}
		s.mu.Unlock()
	}
}

func (d *Door) delete(w http.ResponseWriter, r *http.Request, x *exchange) {
	if d.findSession(w, r, x) {
		d.sessions.remove(x.session)
		w.WriteHeader(http.StatusNoContent)
	}
}

// bodyWait is how long a body may take to arrive.
const bodyWait = 30 * time.Second

// body reads a message. What is too long is read on for as much again, so
// that the agent hears the refusal on a connection that survives.
func (d *Door) body(w http.ResponseWriter, r *http.Request) (text []byte, status int, err error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, http.StatusUnsupportedMediaType, errors.New("compressed bodies are not read")
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWait)) // not every writer has one
	limit := int64(d.Body)
	switch n := r.ContentLength; {
	case n >= 0 && n <= limit && n <= trusted:
		text = make([]byte, n)
		_, err = io.ReadFull(r.Body, text)
	default:
		text, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err == nil && int64(len(text)) > limit {
			text = nil
			_, err = io.CopyN(io.Discard, r.Body, limit)
			if err == nil {
				w.Header().Set("Connection", "close")
			}
			return nil, http.StatusRequestEntityTooLarge, errTooLong(d.Body)
		}
	}
	if err != nil {
		return nil, http.StatusBadRequest, errors.New("the body did not arrive: " + err.Error())
	}
	_ = control.SetReadDeadline(time.Time{})
	return text, 0, nil
}

// trusted is how much memory a length that is merely announced gets.
const trusted = 1 << 20

func errTooLong(limit int) error {
	return errors.New("a message has at most " + strconv.Itoa(limit) + " bytes here")
}

// response is the way back of one POST: plain JSON, or an event stream from
// the moment that something has to be said before the answer.
type response struct {
	w       http.ResponseWriter
	streams bool     // the agent takes event streams
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
	b.ended = true
	switch {
	case b.events != nil && answer.silent:
	case b.events != nil:
		_ = b.say(answer.append(nil, id)) // whoever hung up has no use for it
	case answer.silent:
		// A cancelled call has no answer, and HTTP no way to give none.
		b.w.WriteHeader(http.StatusAccepted)
	default:
		b.plain(id, answer)
	}
	if b.stream != 0 {
		b.session.said.Finish(b.stream)
	}
}

// keepAlive is how often a silent stream says that it is there, so that dead
// connections are noticed and proxies keep live ones.
const keepAlive = 25 * time.Second

// jsonType is shared by responses; net/http does not change it.
var jsonType = []string{"application/json"}

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (b *response) plain(id []byte, answer reply) {
	buffer := buffers.Get().(*[]byte)
	text := answer.append((*buffer)[:0], id)
	h := b.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	_ = http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(sse.WriteWait)) // not every writer has one
	b.w.WriteHeader(answer.status)
	_, _ = b.w.Write(text) // nobody is left to tell
	if cap(text) <= trusted {
		*buffer = text
		buffers.Put(buffer)
	}
}
