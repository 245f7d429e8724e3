// Package shim is for clients that speak MCP over stdio alone: it carries
// their messages to the gateway's HTTP endpoint and back.
package shim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/sse"
	"sallyport/internal/wire"
)

// Run carries messages between in and out and the gateway's HTTP endpoint, in both eras, until in
// ends or ctx is done. Bytes pass as they are. Redirects and proxies are not
// followed: the token is for the endpoint and nobody else.
func Run(ctx context.Context, in io.Reader, out io.Writer, endpoint, token string) error {
	ctx, cancel := context.WithCancel(ctx)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true}
	s := &shim{
		ctx: ctx, out: out, endpoint: endpoint, token: token,
		client:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		running: map[string]context.CancelFunc{}, headers: map[string][]wire.ParamHeader{},
	}
	err := s.read(in)
	cancel()
	s.leave()
	s.working.Wait()
	transport.CloseIdleConnections()
	return err
}

type shim struct {
	ctx             context.Context
	client          *http.Client
	endpoint, token string
	working         sync.WaitGroup

	writing sync.Mutex
	out     io.Writer

	mu       sync.Mutex
	session  string
	revision string // of the session
	hello    []byte // the initialize that began it
	running  map[string]context.CancelFunc
	headers  map[string][]wire.ParamHeader // of tools, as lists showed them
}

const (
	shimLine   = 64 << 20 // bytes of a message
	resumeWait = time.Second
	resumes    = 5 // of one answer, in a row
	leaveWait  = 2 * time.Second
)

func (s *shim) read(in io.Reader) error {
	lines := wire.NewLines(in, shimLine)
	for {
		text, err := lines.Next()
		switch {
		case errors.Is(err, wire.ErrLineTooLong):
			s.fail(nil, wire.ErrLineTooLong)
		case errors.Is(err, io.EOF) || s.ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case len(text) > 0:
			s.take(text)
		}
	}
}

// take carries one message. Requests run beside each other; everything else
// keeps its order.
func (s *shim) take(text []byte) {
	m, err := wire.Parse(text)
	switch {
	case err != nil: // the gateway says best what is wrong with it
		s.carry(s.ctx, text, &m)
	case m.Method == "initialize" && m.Claim().Type() == sallyport.Absent:
		s.mu.Lock()
		s.session, s.revision, s.hello = "", "", text
		s.mu.Unlock()
		s.carry(s.ctx, text, &m)
	case m.IsRequest():
		ctx, cancel := context.WithCancel(s.ctx)
		key := wire.IDKey(m.ID)
		s.mu.Lock()
		s.running[key] = cancel
		s.mu.Unlock()
		s.working.Go(func() {
			s.carry(ctx, text, &m)
			s.mu.Lock()
			delete(s.running, key)
			s.mu.Unlock()
			cancel()
		})
	case m.Method == "notifications/cancelled" && s.cancel(m.Params.Get("requestId")):
	default:
		s.carry(s.ctx, text, &m)
	}
}

// cancel closes the stream of a request, which is how the stateless era
// cancels. In the session era it reports false: there it must be said.
func (s *shim) cancel(id sallyport.Value) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cancel := s.running[wire.IDKey(id)]
	if s.session != "" || cancel == nil {
		return false
	}
	cancel()
	return true
}

// carry posts a message and passes on what comes back.
func (s *shim) carry(ctx context.Context, text []byte, m *wire.Message) {
	response, err := s.post(ctx, text, m)
	if err == nil && response.StatusCode == http.StatusNotFound && s.renew(ctx, m) {
		_ = response.Body.Close()
		response, err = s.post(ctx, text, m)
	}
	if err != nil {
		if ctx.Err() == nil && m.IsRequest() {
			s.fail(m.ID.Raw(), fmt.Errorf("the gateway can't be reached at %s: %w", s.endpoint, err))
		}
		return
	}
	defer response.Body.Close()
	switch media := response.Header.Get("Content-Type"); {
	case wire.IsMedia(media, sse.ContentType):
		s.follow(ctx, response, m)
	case wire.IsMedia(media, "application/json"):
		answer, err := io.ReadAll(io.LimitReader(response.Body, shimLine))
		switch {
		case err != nil && m.IsRequest() && ctx.Err() == nil:
			s.fail(m.ID.Raw(), err)
		case err == nil && (m.IsRequest() || m.Raw == nil):
			s.began(m, response, answer)
			s.say(m, answer)
		}
	case m.IsRequest() && ctx.Err() == nil && response.StatusCode != http.StatusAccepted:
		s.fail(m.ID.Raw(), fmt.Errorf("the gateway answered HTTP %d", response.StatusCode))
	}
}

func (s *shim) post(ctx context.Context, text []byte, m *wire.Message) (*http.Response, error) {
	request, err := s.request(ctx, http.MethodPost, text)
	if err != nil {
		return nil, err
	}
	h := request.Header
	h["Content-Type"] = []string{"application/json"}
	claim, stateless := m.Claim().Text()
	if !stateless {
		return s.client.Do(request)
	}
	delete(h, wire.HeaderSession)
	h[wire.HeaderRevision] = []string{claim}
	h[wire.HeaderMethod] = []string{m.Method}
	name := wire.NameOf(m.Method, m.Params)
	if value, ok := wire.EncodeHeader(name); ok {
		h[wire.HeaderName] = []string{value}
	}
	if m.Method == "tools/call" {
		called, _ := name.Text()
		s.mu.Lock()
		params := s.headers[called]
		s.mu.Unlock()
		for _, p := range params {
			if value, ok := wire.EncodeHeader(p.Argument(m.Params.Get("arguments"))); ok {
				h.Set(p.Name, value)
			}
		}
	}
	return s.client.Do(request)
}

func (s *shim) request(ctx context.Context, method string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := request.Header
	h["Accept"] = []string{"application/json, text/event-stream"}
	if s.token != "" {
		h["Authorization"] = []string{"Bearer " + s.token}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != "" {
		h[wire.HeaderSession] = []string{s.session}
		h[wire.HeaderRevision] = []string{s.revision}
	}
	return request, nil
}

// began notes the session that an initialize opened, and listens to it.
func (s *shim) began(m *wire.Message, response *http.Response, answer []byte) {
	session := response.Header.Get(wire.HeaderSession)
	if m.Method != "initialize" || session == "" {
		return
	}
	said, err := wire.Parse(answer)
	if err != nil {
		return
	}
	revision, _ := said.Result.Get("protocolVersion").Text()
	s.mu.Lock()
	s.session, s.revision = session, revision
	s.mu.Unlock()
	s.working.Go(func() { s.listen(session) })
}

// renew begins the session anew when the gateway does not know it any more:
// it was restarted, and nothing of the message was carried out.
func (s *shim) renew(ctx context.Context, m *wire.Message) bool {
	s.mu.Lock()
	lost, hello := s.session, s.hello
	s.mu.Unlock()
	if lost == "" || hello == nil || m.Claim().Type() != sallyport.Absent {
		return false
	}
	greeting, err := wire.Parse(hello)
	if err != nil {
		return false
	}
	s.mu.Lock()
	if s.session == lost {
		s.session = ""
	}
	s.mu.Unlock()
	response, err := s.post(ctx, hello, &greeting)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var answer []byte
	if wire.IsMedia(response.Header.Get("Content-Type"), sse.ContentType) {
		answer, err = sse.NewReader(response.Body, "", shimLine).Next()
	} else {
		answer, err = io.ReadAll(io.LimitReader(response.Body, shimLine))
	}
	if err != nil || response.StatusCode != http.StatusOK {
		return false
	}
	s.began(&greeting, response, answer)
	initialized := []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	ready, err := s.post(ctx, initialized, &wire.Message{Method: "notifications/initialized"})
	if err != nil {
		return false
	}
	_ = ready.Body.Close()
	return true
}

// listen passes on what the gateway says outside any request, while the
// session lives.
func (s *shim) listen(session string) {
	last := ""
	for s.ctx.Err() == nil {
		response, err := s.get(s.ctx, last)
		if err == nil && response.StatusCode != http.StatusOK {
			_ = response.Body.Close()
			return
		}
		if err == nil {
			in := sse.NewReader(response.Body, last, shimLine)
			for {
				text, err := in.Next()
				if err != nil {
					break
				}
				s.say(nil, text)
			}
			last = in.Last
			_ = response.Body.Close()
		}
		s.mu.Lock()
		over := s.session != session
		s.mu.Unlock()
		if over {
			return
		}
		s.pause()
	}
}

func (s *shim) get(ctx context.Context, last string) (*http.Response, error) {
	request, err := s.request(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	request.Header["Accept"] = []string{sse.ContentType}
	if last != "" {
		request.Header["Last-Event-Id"] = []string{last}
	}
	return s.client.Do(request)
}

func (s *shim) pause() {
	select {
	case <-time.After(resumeWait):
	case <-s.ctx.Done():
	}
}

// follow passes on an event stream that answers a request, and resumes it
// where it broke off.
func (s *shim) follow(ctx context.Context, response *http.Response, m *wire.Message) {
	last := ""
	for idle := 0; ; idle++ {
		in := sse.NewReader(response.Body, last, shimLine)
		for {
			text, err := in.Next()
			if err != nil {
				break
			}
			idle = 0
			s.began(m, response, text)
			if s.say(m, text) {
				return
			}
		}
		last = in.Last
		_ = response.Body.Close()
		if ctx.Err() != nil {
			return
		}
		if last == "" || idle >= resumes {
			break
		}
		s.pause()
		var err error
		if response, err = s.get(ctx, last); err != nil || response.StatusCode != http.StatusOK {
			break
		}
	}
	s.mu.Lock()
	stateless := s.session == ""
	s.mu.Unlock()
	// A cancelled request ends without an answer; so does nothing else.
	if m.IsRequest() && stateless {
		s.fail(m.ID.Raw(), errors.New("the gateway ended the stream without an answer"))
	}
}

// say writes one message to the client. It reports whether it was the answer
// to m.
func (s *shim) say(m *wire.Message, text []byte) (answered bool) {
	if m != nil && m.Raw != nil {
		said, err := wire.Parse(text)
		answered = err == nil && said.IsResponse() && wire.IDKey(said.ID) == wire.IDKey(m.ID)
		if answered && m.Method == "tools/list" {
			s.learn(said.Result)
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, _ = s.out.Write(append(wire.OneLine(text), '\n')) // a client that is gone ends in, too
	return answered
}

// learn notes which arguments the listed tools want repeated in headers.
func (s *shim) learn(list sallyport.Value) {
	if !bytes.Contains(list.Raw(), []byte("x-mcp-header")) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tool := range list.Get("tools").Items() {
		if name, ok := tool.Get("name").Text(); ok {
			s.headers[name] = wire.ParamHeaders(tool.Get("inputSchema"))
		}
	}
}

func (s *shim) fail(id []byte, err error) {
	e := wire.Error{Code: wire.CodeUnavailable, Message: err.Error()}
	s.say(nil, wire.AppendErrorValue(nil, id, e.Object()))
}

// leave gives the session back.
func (s *shim) leave() {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	if request, err := s.request(ctx, http.MethodDelete, nil); err == nil {
		if response, err := s.client.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
}
