package rig

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Proxy passes every request on to the server at target, and gives its
// responses back as change leaves them (nil: as they are).
func Proxy(target *url.URL, change func(*http.Response) error) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the Host header stays: a conformance check depends on it
		},
		FlushInterval:  -1,
		ModifyResponse: change,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whole, before it is sent on: an answer that starts while the body is
		// still being copied closes it, and breaks the stream.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
}
