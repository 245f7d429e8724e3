package remote

import (
	"errors"
	"fmt"
	"net/url"
)

// Endpoint is where messages go by the HTTP+SSE transport of MCP 2024-11-05, which
// the server names first on its stream.
func (r *Remote) Endpoint(in *Events) (*url.URL, error) {
	first, err := in.Next()
	if err != nil {
		return nil, fmt.Errorf("opened its event stream and named no endpoint: %w", err)
	}
	if first.Name != "endpoint" {
		return nil, errors.New("must name its endpoint first on an HTTP+SSE stream")
	}
	to, err := r.URL.Parse(string(first.Data))
	if err != nil {
		return nil, errors.New("named a malformed endpoint")
	}
	// Every post carries the configured credential: a server that could name
	// any endpoint could send it anywhere.
	if !r.SameOrigin(to) {
		return nil, fmt.Errorf("named an endpoint on another origin (%.100q): refused", to.Host)
	}
	return to, nil
}
