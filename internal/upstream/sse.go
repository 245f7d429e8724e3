package upstream

import (
	"context"
	"net/http"
	"net/url"

	"sallyport/internal/upstream/remote"
)

// startSSE connects by the HTTP+SSE transport of MCP 2024-11-05: one stream
// down, posts to a second URL up. It returns when the server has named that
// URL.
func (v *conversation) startSSE(ctx context.Context) error {
	r := v.server.remote
	streaming, cancel := context.WithCancel(context.Background())
	opening := context.AfterFunc(ctx, cancel)
	h := r.Header(1)
	h["Accept"] = acceptStream
	response, err := r.Do(streaming, http.MethodGet, r.URL, h, nil)
	if err != nil {
		cancel()
		return err
	}
	in := remote.NewEvents(v.server.config.Limits.Result, func() {})
	in.From(response.Body)
	endpoint, err := v.endpoint(response, in)
	if err == nil && !opening() {
		err = ctx.Err()
	}
	if err == nil {
		v.peer, v.shared = &stream{v, v.postTo(endpoint)}, true
		if !v.background(func() { <-v.ctx.Done(); cancel() }) {
			err = errClosed
		}
	}
	if err != nil {
		cancel()
		_ = response.Body.Close()
		return err
	}
	v.background(func() {
		defer response.Body.Close()
		v.broke(v.takeEvents(in))
	})
	return nil
}

func (v *conversation) endpoint(response *http.Response, in *remote.Events) (*url.URL, error) {
	if response.StatusCode != http.StatusOK || !isStream(response) {
		return nil, remote.StatusError(response.StatusCode)
	}
	return v.server.remote.Endpoint(in)
}

// takeEvents reads messages from a stream of events until it ends.
func (v *conversation) takeEvents(in *remote.Events) error {
	for {
		ev, err := in.Next()
		if err != nil {
			return err
		}
		if ev.IsMessage() {
			v.take(ev.Data)
		}
	}
}

func (v *conversation) postTo(endpoint *url.URL) func(context.Context, []byte) error {
	r := v.server.remote
	return func(ctx context.Context, text []byte) error {
		h := r.Header(2)
		h["Content-Type"], h["Accept"] = jsonType, acceptBoth
		response, err := r.Do(ctx, http.MethodPost, endpoint, h, text)
		if err != nil {
			return err
		}
		remote.Discard(response.Body)
		if response.StatusCode >= 300 {
			return remote.StatusError(response.StatusCode)
		}
		return nil
	}
}
