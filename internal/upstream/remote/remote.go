// Package remote reaches a server's URL and nothing else: no redirects, no
// proxy, no other origin, no address that the operator did not mean.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Config is what is reached.
type Config struct {
	URL     string
	Headers map[string]string // of every request; credentials
	// Allow are addresses outside the public internet to which the URL's host
	// may lead.
	Allow []netip.Prefix
}

// ownHeaders are those that the protocol needs for itself. A configured one
// would let the bytes on the wire differ from what was judged, or have net/http
// send a call twice.
var ownHeaders = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect",
	"Host", "Idempotency-Key", "Last-Event-Id", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Idempotency-Key",
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return errors.New("the url is malformed") // the error repeats it, and it may hold a secret
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("the url must be http:// or https:// with a host")
	case u.User != nil:
		return errors.New("put credentials into a header, not into the url")
	case u.Fragment != "":
		return errors.New("a url's fragment is never sent: remove it")
	}
	for name, value := range c.Headers {
		canonical := http.CanonicalHeaderKey(name)
		if slices.Contains(ownHeaders, canonical) || strings.HasPrefix(canonical, "Mcp-") {
			return fmt.Errorf("the header %s can't be configured: the protocol sets it", name)
		}
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("the header %q or its value is not one that HTTP can carry", name)
		}
	}
	return nil
}

// Remote is a server's URL, with a pool of connections of its own.
type Remote struct {
	URL       *url.URL
	transport *http.Transport
	headers   http.Header
}

// New prepares reaching a URL that Check has admitted. A nil resolver is the
// system's. Nothing is compressed, since what unfolds has no bound.
func New(config Config, resolver *net.Resolver) *Remote {
	target, _ := url.Parse(config.URL)
	dialer := Dialer(target.Hostname(), config.Allow)
	dialer.Resolver = resolver
	r := &Remote{URL: target, headers: http.Header{"User-Agent": {"sallyport"}}, transport: &http.Transport{
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

// Dialer connects to a host at public addresses, those that the host names
// itself, and the allowed ones.
func Dialer(host string, allow []netip.Prefix) *net.Dialer {
	g := &guard{host: host, allow: allow}
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.Control}
}

// Close ends the connections that are not in use.
func (r *Remote) Close() { r.transport.CloseIdleConnections() }

// Header is a fresh copy of what every request carries, with room for more.
func (r *Remote) Header(more int) http.Header {
	h := make(http.Header, len(r.headers)+more)
	maps.Copy(h, r.headers)
	return h
}

// SameOrigin reports whether a URL belongs to the origin that may see the
// credentials.
func (r *Remote) SameOrigin(to *url.URL) bool {
	return to.Scheme == r.URL.Scheme && to.Host == r.URL.Host && to.User == nil
}

// ErrUnreachable is a request that was never sent.
var ErrUnreachable = errors.New("can't be reached")

// Do sends one request. The header is one that Header made, so the origin is
// checked here once more. Errors other than ErrUnreachable leave open whether
// the server got the request.
func (r *Remote) Do(ctx context.Context, method string, to *url.URL, header http.Header, body []byte) (*http.Response, error) {
	if !r.SameOrigin(to) {
		return nil, fmt.Errorf("%w: %.100q is another origin than the configured one", ErrUnreachable, to.Host)
	}
	q := &http.Request{Method: method, URL: to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header}
	if body != nil {
		q.Body = io.NopCloser(bytes.NewReader(body))
		q.ContentLength = int64(len(body))
		q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	response, err := r.transport.RoundTrip(q.WithContext(ctx))
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return response, err
}

// StatusError is an HTTP status without an answer of MCP. What the body says
// is left out: anybody may have written it.
type StatusError int

// TryLater reports whether nothing can be learned about a server from such an
// answer.
func (s StatusError) TryLater() bool {
	switch s {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func (s StatusError) Error() string {
	switch {
	case s >= 300 && s < 400:
		return fmt.Sprintf("answered with a redirect (HTTP %d), which is never followed: configure the final URL", int(s))
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return fmt.Sprintf("wants other credentials (HTTP %d): check the configured headers", int(s))
	default:
		return fmt.Sprintf("answered HTTP %d without a JSON-RPC message", int(s))
	}
}

// scratch are buffers for bodies of unknown length.
var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// trusted is how much memory a length that a server merely announces gets.
const trusted = 1 << 20

// ReadAll reads a body of at most limit bytes into memory of its own.
func ReadAll(response *http.Response, limit int) ([]byte, error) {
	length := response.ContentLength
	if length > int64(limit) {
		return nil, ErrTooLong
	}
	if length >= 0 && length <= trusted {
		text := make([]byte, length)
		_, err := io.ReadFull(response.Body, text)
		return text, err
	}
	b := scratch.Get().(*bytes.Buffer)
	b.Reset()
	n, err := b.ReadFrom(io.LimitReader(response.Body, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = ErrTooLong
	}
	text := bytes.Clone(b.Bytes())
	if b.Cap() <= trusted {
		scratch.Put(b)
	}
	return text, err
}

// Discard reads on to the end of a body that should be short, which keeps its
// connection usable, and closes it.
func Discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, lineBuffer)
	_ = body.Close()
}

// Pause waits before something is tried again, unless ctx ends first.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
