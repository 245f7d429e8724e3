// Package guard says which HTTP requests may come in at all: meant for this
// host, from no foreign web page, with at most one token, and a body that is
// neither too long nor too slow.
package guard

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Host stops DNS rebinding: a foreign name that was made to resolve to
// this machine arrives with that name in Host.
//
// Loopback names, the address that the connection came to, and the named hosts
// (without a port) are admitted.
func Host(r *http.Request, named []string) bool {
	host := hostname(r.Host)
	if isLoopback(host) || slices.Contains(named, host) {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	return err == nil && host == here.Addr().Unmap().String()
}

// Origin keeps web pages out, but for loopback ones and those that are named.
// It gives the origin that may read the answer, "" when there is none.
func Origin(r *http.Request, named []string) (origin string, ok bool) {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return "", true
	}
	if len(origins) > 1 {
		return "", false
	}
	from, err := url.Parse(origins[0])
	local := err == nil && (from.Scheme == "http" || from.Scheme == "https") && isLoopback(from.Hostname())
	return origins[0], local || slices.Contains(named, origins[0])
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

// Bearer is the token of RFC 6750, "" when none or more than one was sent.
func Bearer(r *http.Request) string {
	values := r.Header["Authorization"]
	if len(values) != 1 || len(values[0]) < 7 || !strings.EqualFold(values[0][:7], "Bearer ") {
		return ""
	}
	return strings.TrimSpace(values[0][7:])
}

// IsJSON reports whether the one Content-Type of a request is JSON in UTF-8. A
// reader before us that believed another one, or another charset, would see
// other text in the same bytes; and a web page can't send this one to us
// without asking first (CORS).
func IsJSON(r *http.Request) bool {
	types := r.Header["Content-Type"]
	if len(types) != 1 {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	charset, named := parameters["charset"]
	return err == nil && media == "application/json" && (!named || strings.EqualFold(charset, "utf-8"))
}

// bodyWait is how long a body may take to arrive.
const bodyWait = 30 * time.Second

// ErrTooLong is a body beyond the limit.
var ErrTooLong = errors.New("too long")

// Body reads a body of at most limit bytes; status is what an error is
// answered with. What is too long is read on for as much again, so that the
// refusal is heard on a connection that survives.
func Body(w http.ResponseWriter, r *http.Request, limit int) (text []byte, status int, err error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, http.StatusUnsupportedMediaType, errors.New("compressed bodies are not read")
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWait)) // not every writer has one
	if n := r.ContentLength; n >= 0 && n <= int64(limit) && n <= Trusted {
		text = make([]byte, n)
		_, err = io.ReadFull(r.Body, text)
	} else {
		text, err = io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	}
	if len(text) > limit {
		if _, err := io.CopyN(io.Discard, r.Body, int64(limit)); err == nil {
			w.Header().Set("Connection", "close") // and there is still more
		}
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("%w: a message has at most %d bytes here", ErrTooLong, limit)
	}
	if err != nil {
		return nil, http.StatusBadRequest, errors.New("the body did not arrive: " + err.Error())
	}
	_ = control.SetReadDeadline(time.Time{})
	return text, 0, nil
}

// Trusted is how much memory a length that is merely announced gets, in bytes.
const Trusted = 1 << 20
