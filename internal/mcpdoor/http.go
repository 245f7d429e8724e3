package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/guard"
	"sallyport/internal/kill"
	"sallyport/internal/mcpdoor/post"
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
		d.get(w, r, x, kill.Target{Principal: principal, Run: run.ID, Parent: run.Parent, Server: x.server})
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
	h["Content-Type"] = post.JSON
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
	back := post.New(w, r, stream)
	x.back = back
	if stateless {
		d.postStateless(w, r, x, back)
	} else {
		d.postSession(w, r, x, back)
	}
}

// postStateless serves one request of 2026-07-28 and later.
func (d *Door) postStateless(w http.ResponseWriter, r *http.Request, x *exchange, back *post.Response) {
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
		back.Finish(m.ID.Raw(), x.serve(r.Context()))
	}
}

var notARequest = &wire.Error{Code: wire.CodeInvalidRequest, Message: "not a message that an agent may send: a call needs an id"}

// postSession serves one message of the session era.
func (d *Door) postSession(w http.ResponseWriter, r *http.Request, x *exchange, back *post.Response) {
	m := &x.message
	if m.Method == "initialize" && m.IsRequest() {
		answer := x.initialize(r.Context())
		switch {
		case x.session != nil && r.Context().Err() != nil: // nobody learns its id
			d.sessions.Remove(x.session.id)
		case x.session != nil:
			w.Header()[wire.HeaderSession] = []string{x.session.id}
		}
		back.Finish(m.ID.Raw(), answer)
		return
	}
	if !d.findSession(w, r, x) {
		return
	}
	back.Said, back.Resumes = &x.session.said, x.revision >= wire.Revision20251125
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
		ctx, done, err := x.session.calls.Begin(context.Background(), m.ID)
		if err != nil {
			refuse(w, http.StatusBadRequest, m.ID.Raw(), wire.CodeInvalidRequest, err.Error())
			return
		}
		x.gone = r.Context().Done()
		answer := x.serve(ctx)
		done()
		back.Finish(m.ID.Raw(), answer)
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
func (d *Door) get(w http.ResponseWriter, r *http.Request, x *exchange, hearer kill.Target) {
	if _, stream := wire.Header(r.Header).Accepts(); !stream {
		refuse(w, http.StatusNotAcceptable, nil, wire.CodeInvalidRequest, "Accept must name text/event-stream")
		return
	}
	if !d.findSession(w, r, x) {
		return
	}
	unless, leave, err := d.Kills.Watch(r.Context(), hearer)
	if err != nil {
		refuse(w, http.StatusForbidden, nil, wire.CodeRefused, err.Error())
		return
	}
	defer leave()
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
	ctx, done := s.listen(unless, stream)
	defer done()
	out := sse.Start(w)
	if out.Comment("ok") != nil { // so that proxies pass on the headers, too
		return
	}
	silence := time.NewTicker(post.KeepAlive)
	defer silence.Stop()
	for {
		more, live, wake := s.said.After(stream, seq)
		for _, ev := range more {
			if ctx.Err() != nil || !x.entitled(ctx) || out.Write(ev) != nil {
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
