package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// sse is a link by the HTTP+SSE transport of MCP 2024-11-05: one stream down,
// posts to a second URL up.
type sse struct {
	remote   *remote
	endpoint *url.URL
	cancel   context.CancelFunc
}

// startSSE opens the stream and waits until the server has named the URL to
// post to.
func (v *conversation) startSSE(ctx context.Context) error {
	streaming, cancel := context.WithCancel(context.Background())
	opening := context.AfterFunc(ctx, cancel)
	h := v.server.http.header(1)
	h["Accept"] = acceptStream
	response, err := v.server.http.do(streaming, http.MethodGet, v.server.http.url, h, nil)
	if err != nil {
		cancel()
		return err
	}
	in := newEvents(response.Body, v.server.config.Limits.Result, func() {})
	endpoint, err := v.endpoint(response, in)
	if err == nil && !opening() {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		_ = response.Body.Close()
		return err
	}
	v.shared = true
	v.peer = &stream{&sse{v.server.http, endpoint, cancel}, v}
	if !v.background(func() { v.broke(v.takeEvents(in, response.Body)) }) {
		cancel()
		_ = response.Body.Close()
		return errClosed
	}
	return nil
}

func (v *conversation) endpoint(response *http.Response, in *events) (*url.URL, error) {
	if response.StatusCode != http.StatusOK || !isType(response, "text/event-stream") {
		return nil, statusError(response.StatusCode)
	}
	first, err := in.next()
	if err != nil {
		return nil, fmt.Errorf("opened its event stream and named no endpoint: %w", err)
	}
	if first.name != "endpoint" {
		return nil, errors.New("must name its endpoint first on an HTTP+SSE stream")
	}
	to, err := v.server.http.url.Parse(string(first.data))
	if err != nil {
		return nil, errors.New("named a malformed endpoint")
	}
	// Every post carries the configured credential: a server that could name
	// any endpoint could send it anywhere.
	if to.Scheme != v.server.http.url.Scheme || to.Host != v.server.http.url.Host || to.User != nil {
		return nil, fmt.Errorf("named an endpoint on another origin (%.100q): refused", to.Host)
	}
	return to, nil
}

func (v *conversation) takeEvents(in *events, body io.Closer) error {
	defer body.Close()
	for {
		ev, err := in.next()
		if err != nil {
			return err
		}
		if len(ev.data) > 0 && (ev.name == "" || ev.name == "message") {
			v.take(ev.data)
		}
	}
}

func (l *sse) write(ctx context.Context, text []byte) error {
	h := l.remote.header(2)
	h["Content-Type"] = jsonType
	h["Accept"] = acceptBoth
	response, err := l.remote.do(ctx, http.MethodPost, l.endpoint, h, text)
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

func (l *sse) close() { l.cancel() }
