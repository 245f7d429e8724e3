package upstream

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// Server says how one MCP server is reached. Exactly one of Command, URL and
// Serve is set.
type Server struct {
	Name string

	// Command is started as a child for each session; it speaks on its
	// standard input and output. It gets Env and a few basic variables, never
	// the gateway's environment.
	Command string
	Args    []string
	Env     map[string]string
	Dir     string

	// URL is a Streamable HTTP or HTTP+SSE endpoint. Headers (credentials) go
	// to its origin and nowhere else.
	URL       string
	Transport Transport
	Headers   map[string]string
	// AllowAddresses are addresses outside the public internet to which the
	// URL's host name may lead. An address that the URL itself names, and
	// loopback for "localhost", need no entry.
	AllowAddresses []netip.Prefix

	// Serve runs a server inside the gateway until in ends or ctx is done.
	Serve func(ctx context.Context, in io.Reader, out io.Writer) error

	// Revision of MCP to speak with the server; empty finds out.
	Revision string

	Limits Limits
}

// Transport is a way to speak over a URL.
type Transport string

// The transports. The zero Transport tries Streamable HTTP, then HTTP+SSE.
const (
	StreamableHTTP Transport = "http"
	HTTPSSE        Transport = "sse" // of 2024-11-05
)

// Limits bound what a server may cost. Zero fields get the defaults.
type Limits struct {
	Message  int           // bytes of a request or notification of the server, default 8 MiB
	Result   int           // bytes of an answer, default 64 MiB
	Start    time.Duration // from starting a server to its first answer, default 60 s
	Silence  time.Duration // without a sign of life under an open call, default 5 min
	Idle     time.Duration // after which an unused session is closed, default 15 min
	Sessions int           // open at once, default 256
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Message: cmp.Or(l.Message, 8<<20), Result: cmp.Or(l.Result, 64<<20), Sessions: cmp.Or(l.Sessions, 256),
		Start: cmp.Or(l.Start, time.Minute), Silence: cmp.Or(l.Silence, 5*time.Minute), Idle: cmp.Or(l.Idle, 15*time.Minute),
	}
}

func (c *Server) check() error {
	ways := 0
	for _, set := range []bool{c.Command != "", c.URL != "", c.Serve != nil} {
		if set {
			ways++
		}
	}
	switch {
	case c.Name == "" || strings.Contains(c.Name, "__"):
		return fmt.Errorf("server %q: a name must not be empty or contain \"__\"", c.Name)
	case ways != 1:
		return fmt.Errorf("server %s: needs either a command or a url", c.Name)
	case c.Revision != "" && !slices.Contains(wire.Revisions[:], c.Revision):
		return fmt.Errorf("server %s: MCP has no revision %q; known are %s", c.Name, c.Revision, strings.Join(wire.Revisions[:], ", "))
	case c.URL == "" && (c.Transport != "" || len(c.Headers) > 0 || len(c.AllowAddresses) > 0):
		return fmt.Errorf("server %s: transport, headers and allowed addresses belong to a url", c.Name)
	case c.Transport != "" && c.Transport != StreamableHTTP && c.Transport != HTTPSSE:
		return fmt.Errorf("server %s: no transport %q; known are %q and %q", c.Name, c.Transport, StreamableHTTP, HTTPSSE)
	case c.URL == "":
		return nil
	}
	if err := c.reach().Check(); err != nil {
		return fmt.Errorf("server %s: %w", c.Name, err)
	}
	return nil
}

// reach is what of the configuration concerns a URL.
func (c *Server) reach() remote.Config {
	return remote.Config{URL: c.URL, Headers: c.Headers, Allow: c.AllowAddresses}
}

// same reports whether two configurations reach the same server the same way,
// so that its sessions may live on.
func (c *Server) same(o *Server) bool {
	a, b := *c, *o
	a.Serve, b.Serve = nil, nil // which can't be compared, and is the same program's
	return (c.Serve == nil) == (o.Serve == nil) && reflect.DeepEqual(a, b)
}
