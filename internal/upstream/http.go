package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// newRemote prepares reaching a server's URL. Its transport carries requests
// one hop and no further: no redirects, no proxy, no compression that could
// unfold without bound, no cookies, and no address that the guard refuses.
func newRemote(config *Server, resolver *net.Resolver) *remote {
	target, _ := url.Parse(config.URL) // checked before
	g := &guard{host: target.Hostname(), allow: config.AllowAddresses}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.Control, Resolver: resolver}
	r := &remote{url: target, headers: http.Header{"User-Agent": {"sallyport"}}, transport: &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ReadBufferSize:         16 << 10,
	}}
	for name, value := range config.Headers {
		r.headers.Set(name, value)
	}
	return r
}

// do sends one request to a URL of the server's own origin. The credential is
// among its headers, so the origin is checked here and nowhere else.
func (r *remote) do(ctx context.Context, method string, to *url.URL, header http.Header, body []byte) (*http.Response, error) {
	if to.Scheme != r.url.Scheme || to.Host != r.url.Host {
		return nil, errors.New("wanted the call sent to another origin: refused")
	}
	q := &http.Request{Method: method, URL: to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header}
	if body != nil {
		q.Body = io.NopCloser(bytes.NewReader(body))
		q.ContentLength = int64(len(body))
		q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	response, err := r.transport.RoundTrip(q.WithContext(ctx))
	if err == nil {
		return response, nil
	}
	if op, dialing := errors.AsType[*net.OpError](err); dialing && op.Op == "dial" {
		return nil, fmt.Errorf("can't be reached: %w", err)
	}
	return nil, fmt.Errorf("%w: %w", err, gateway.ErrUnanswered)
}

// header is a fresh copy of what every request carries.
func (r *remote) header(more int) http.Header {
	h := make(http.Header, len(r.headers)+more)
	maps.Copy(h, r.headers)
	return h
}

// The values that requests share; net/http does not change them.
var (
	jsonType     = []string{"application/json"}
	acceptBoth   = []string{"application/json, text/event-stream"}
	acceptStream = []string{"text/event-stream"}
)

// statusError is an HTTP status that came without an answer. What the body
// said is left out: it is not the protocol's, and anybody may have written it.
type statusError int

func (s statusError) Error() string {
	switch {
	case s >= 300 && s < 400:
		return fmt.Sprintf("answered with a redirect (HTTP %d), which is never followed: configure the final URL", int(s))
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return fmt.Sprintf("wants other credentials (HTTP %d): check the configured headers", int(s))
	default:
		return fmt.Sprintf("answered HTTP %d without a JSON-RPC message", int(s))
	}
}

// post is a peer that is reached by Streamable HTTP.
type post struct {
	v       *conversation
	remote  *remote
	session string // Mcp-Session-Id, set by the answer to initialize
}

func (p *post) header(more int) http.Header {
	h := p.remote.header(6 + more)
	h["Content-Type"] = jsonType
	h["Accept"] = acceptBoth
	if p.v.revision != "" {
		h[wire.HeaderRevision] = []string{p.v.revision}
	}
	if p.session != "" {
		h[wire.HeaderSession] = []string{p.session}
	}
	return h
}

func (p *post) exchange(ctx context.Context, c *call) (wire.Message, error) {
	h := p.header(len(c.header))
	maps.Copy(h, c.header)
	response, err := p.remote.do(ctx, http.MethodPost, p.remote.url, h, c.text())
	if err != nil {
		if ctx.Err() != nil && !p.v.stateless {
			p.v.cancelled(c)
		}
		return wire.Message{}, err
	}
	p.v.alive(c)
	if c.method == "initialize" {
		p.session = response.Header.Get(wire.HeaderSession)
	}
	if response.StatusCode == http.StatusOK && isType(response, "text/event-stream") {
		return p.hear(ctx, c, response)
	}
	defer response.Body.Close()
	return p.readAnswer(ctx, c, response)
}

// readAnswer reads an answer that came as plain JSON.
func (p *post) readAnswer(ctx context.Context, c *call, response *http.Response) (wire.Message, error) {
	ok := response.StatusCode == http.StatusOK
	if response.StatusCode == http.StatusNotFound && p.session != "" {
		p.v.broke(errLost)
		return wire.Message{}, errLost
	}
	if !isType(response, "application/json") {
		if ok || response.StatusCode == http.StatusAccepted {
			return wire.Message{}, fmt.Errorf("took the call and answered neither JSON nor an event stream: %w", gateway.ErrUnanswered)
		}
		return wire.Message{}, statusError(response.StatusCode)
	}
	text, err := readAll(response.Body, response.ContentLength, p.v.server.config.Limits.Result)
	if err != nil {
		if ctx.Err() != nil && !p.v.stateless {
			p.v.cancelled(c)
		}
		return wire.Message{}, fmt.Errorf("%w: %w", err, gateway.ErrUnanswered)
	}
	m, err := wire.Parse(text)
	switch {
	case !ok && (err != nil || m.Error.Type() == sallyport.Absent):
		return wire.Message{}, statusError(response.StatusCode)
	case err != nil:
		return wire.Message{}, fmt.Errorf("sent a malformed answer: %w: %w", err, gateway.ErrUnanswered)
	case m.IsResponse() && (p.v.call(m.ID) == c || m.ID.Type() == sallyport.Null && !ok):
		return m, nil
	default:
		p.v.drop("an answer to another call")
		return wire.Message{}, fmt.Errorf("answered another call than the one it was sent: %w", gateway.ErrUnanswered)
	}
}

// resumptions bounds how often one answer's stream is picked up again without
// anything new having come.
const resumptions = 5

// hear reads the event stream that answers a call. In the session era a
// stream that breaks is picked up again where it broke.
func (p *post) hear(ctx context.Context, c *call, response *http.Response) (wire.Message, error) {
	last, retry := "", time.Second
	for idle := 0; ; idle++ {
		in := newEvents(response.Body, p.v.server.config.Limits.Result, func() { p.v.alive(c) })
		for {
			ev, err := in.next()
			if err != nil {
				_ = response.Body.Close()
				if errors.Is(err, errTooLong) {
					return wire.Message{}, fmt.Errorf("%w: %w", err, gateway.ErrUnanswered)
				}
				break
			}
			idle = 0
			if ev.hasID {
				last = ev.id
			}
			if ev.retry >= 0 {
				retry = ev.retry
			}
			if len(ev.data) == 0 || ev.name != "" && ev.name != "message" {
				continue
			}
			m, err := p.v.read(ev.data)
			if err != nil {
				_ = response.Body.Close()
				return wire.Message{}, fmt.Errorf("sent a malformed message: %w: %w", err, gateway.ErrUnanswered)
			}
			answered, err := p.v.under(c, &m)
			if err != nil {
				_ = response.Body.Close()
				p.abandon(c)
				return wire.Message{}, err
			}
			if answered {
				p.drain(c, response.Body)
				return m, nil
			}
		}
		if ctx.Err() != nil {
			p.abandon(c)
			return wire.Message{}, ctx.Err()
		}
		if last == "" || p.v.stateless || idle >= resumptions {
			return wire.Message{}, fmt.Errorf("ended its stream without an answer: %w", gateway.ErrUnanswered)
		}
		var err error
		if response, err = p.resume(ctx, last, retry); err != nil {
			p.abandon(c)
			return wire.Message{}, fmt.Errorf("broke off its stream, and it can't be resumed: %w: %w", err, gateway.ErrUnanswered)
		}
	}
}

// abandon tells an old server that nobody waits any more. A stateless one
// knows it from the closed stream.
func (p *post) abandon(c *call) {
	if !p.v.stateless {
		p.v.cancelled(c)
	}
}

// drainTime is how long an answered stream may take to end, so that its
// connection can be used again.
const drainTime = time.Second

func (p *post) drain(c *call, body io.ReadCloser) {
	c.draining = p.v.background(func() {
		late := time.AfterFunc(drainTime, func() { c.cancel(nil) })
		_, _ = io.CopyN(io.Discard, body, lineBuffer)
		late.Stop()
		_ = body.Close()
		c.cancel(nil)
	})
	if !c.draining {
		_ = body.Close()
	}
}

func (p *post) resume(ctx context.Context, last string, after time.Duration) (*http.Response, error) {
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return p.listen(ctx, last)
}

// listen opens the stream on which a server of the session era speaks of its
// own accord, or from where one broke off.
func (p *post) listen(ctx context.Context, last string) (*http.Response, error) {
	h := p.header(1)
	delete(h, "Content-Type")
	h["Accept"] = acceptStream
	if last != "" {
		h["Last-Event-Id"] = []string{last}
	}
	response, err := p.remote.do(ctx, http.MethodGet, p.remote.url, h, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || !isType(response, "text/event-stream") {
		_ = response.Body.Close()
		if response.StatusCode == http.StatusNotFound && p.session != "" {
			p.v.broke(errLost)
			return nil, errLost
		}
		return nil, statusError(response.StatusCode)
	}
	return response, nil
}

// send posts what expects no answer.
func (p *post) send(ctx context.Context, text []byte) error {
	response, err := p.remote.do(ctx, http.MethodPost, p.remote.url, p.header(0), text)
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, response.Body, lineBuffer)
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		return statusError(response.StatusCode)
	}
	return nil
}

// close gives the server its session back.
func (p *post) close() {
	if p.session == "" {
		return
	}
	p.v.background(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		response, err := p.remote.do(ctx, http.MethodDelete, p.remote.url, p.header(0), nil)
		if err == nil {
			_ = response.Body.Close() // it may keep sessions if it likes
		}
	})
}

func isType(response *http.Response, want string) bool {
	have := response.Header.Get("Content-Type")
	if have == want {
		return true
	}
	media, _, err := mime.ParseMediaType(have)
	return err == nil && strings.EqualFold(media, want)
}

// scratch are buffers for bodies of unknown length.
var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// trusted is how much memory a length that a server merely announces gets.
const trusted = 1 << 20

// readAll reads a body of at most limit bytes into memory of its own.
func readAll(body io.Reader, length int64, limit int) ([]byte, error) {
	if length > int64(limit) {
		return nil, errTooLong
	}
	if length >= 0 && length <= trusted {
		text := make([]byte, length)
		_, err := io.ReadFull(body, text)
		return text, err
	}
	b := scratch.Get().(*bytes.Buffer)
	b.Reset()
	n, err := b.ReadFrom(io.LimitReader(body, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errTooLong
	}
	text := bytes.Clone(b.Bytes())
	if b.Cap() <= trusted {
		scratch.Put(b)
	}
	return text, err
}
