package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/demo/cloud"
	"sallyport/internal/demo/desk"
	"sallyport/internal/manifest"
	"sallyport/internal/upstream"
)

// The states of a server.
const (
	stateStopped     = "stopped"
	stateConnecting  = "connecting"
	stateReady       = "ready"
	stateUnreachable = "unreachable"
)

// How often an unreachable server is tried, and how long list_changed is
// gathered before a manifest is fetched again.
const (
	retryFirst  = time.Second
	retryLast   = time.Minute
	gatherFor   = 20 * time.Millisecond
	fetchWithin = 90 * time.Second
)

// watch keeps up with what the servers say of themselves: it fetches their
// manifests when they appear, change, or come back.
type watch struct {
	fetch func(ctx context.Context, server string) (manifest.Manifest, error)
	saw   func(ctx context.Context, m manifest.Manifest) error
	log   *slog.Logger

	mu      sync.Mutex
	servers map[string]*watched
	working sync.WaitGroup
}

// watched is one server. Its fields are guarded by watch.mu.
type watched struct {
	state   string
	err     error
	refused bool          // it can't even be tried
	again   chan struct{} // holds a token while a fetch is wanted
	tried   chan struct{} // closed after the first try
	stop    context.CancelFunc
}

// follow starts watching a server; it begins anew when it is watched already.
func (w *watch) follow(ctx context.Context, server string) {
	w.forget(server)
	ctx, stop := context.WithCancel(ctx)
	s := &watched{state: stateConnecting, again: make(chan struct{}, 1), tried: make(chan struct{}), stop: stop}
	w.mu.Lock()
	if w.servers == nil {
		w.servers = map[string]*watched{}
	}
	w.servers[server] = s
	w.mu.Unlock()
	w.working.Go(func() { w.run(ctx, server, s) })
}

// refuse shows a server that can't even be tried.
func (w *watch) refuse(server string, err error) {
	w.forget(server)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.servers == nil {
		w.servers = map[string]*watched{}
	}
	s := &watched{state: stateUnreachable, err: err, refused: true, tried: make(chan struct{}), stop: func() {}}
	close(s.tried)
	w.servers[server] = s
}

// refused reports whether a server could not even be tried.
func (w *watch) refused(server string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[server] != nil && w.servers[server].refused
}

// forget stops watching a server.
func (w *watch) forget(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		s.stop()
		delete(w.servers, server)
	}
}

// close stops watching all.
func (w *watch) close() {
	w.mu.Lock()
	for _, s := range w.servers {
		s.stop()
	}
	w.mu.Unlock()
	w.working.Wait()
}

// changed asks for a server's manifest to be fetched again.
func (w *watch) changed(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
}

// settle waits until every server has been tried once. It reports whether
// they all were when ctx ended.
func (w *watch) settle(ctx context.Context) bool {
	w.mu.Lock()
	servers := slices.Collect(maps.Values(w.servers))
	w.mu.Unlock()
	for _, s := range servers {
		select {
		case <-s.tried:
			continue
		default:
		}
		select {
		case <-s.tried:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// settled reports whether every server has been tried once.
func (w *watch) settled() bool {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return w.settle(ended)
}

// stateOf is how a server does.
func (w *watch) stateOf(server string) (state string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		return s.state, s.err
	}
	return stateStopped, nil
}

func (w *watch) run(ctx context.Context, server string, s *watched) {
	wait := retryFirst
	for first := true; ; first = false {
		err := w.look(ctx, server)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		known := s.err
		s.state, s.err = stateReady, err
		if err != nil {
			s.state = stateUnreachable
		}
		w.mu.Unlock()
		if first {
			close(s.tried)
		}
		if err == nil {
			wait = retryFirst
			if !w.idle(ctx, s, 0) {
				return
			}
			continue
		}
		if known == nil || known.Error() != err.Error() {
			w.log.Warn("server unreachable", "server", server, "error", err)
		}
		if !w.idle(ctx, s, wait) {
			return
		}
		wait = min(2*wait, retryLast)
	}
}

// idle waits until the manifest is wanted again, or for a time when that is
// not 0. It reports false when watching ends.
func (w *watch) idle(ctx context.Context, s *watched, limit time.Duration) bool {
	var timer <-chan time.Time
	if limit > 0 {
		timer = time.After(limit)
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer:
		return true
	case <-s.again:
	}
	select { // several notifications come together
	case <-ctx.Done():
		return false
	case <-time.After(gatherFor):
	}
	select {
	case <-s.again:
	default:
	}
	return true
}

func (w *watch) look(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	m, err := w.fetch(ctx, server)
	if err != nil {
		return err
	}
	return w.saw(ctx, m)
}

// reachable cuts the configuration up for upstream. A server whose secret is
// missing is left out and reported; the others must not suffer from it.
func reachable(c *config.Config, secret func(name string) (string, bool), demos *demos) (servers []upstream.Server, missing map[string]error) {
	missing = map[string]error{}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := c.Servers[name]
		r := resolver{secret: secret}
		next := upstream.Server{
			Name: name, Command: s.Command, Args: r.list(s.Args), Env: r.table(s.Env), Dir: s.Cwd,
			URL: r.text(s.URL), Transport: upstream.Transport(s.Transport), Headers: r.table(s.Headers),
			Limits: upstream.Limits{Result: int(c.Limits.Result)},
		}
		for _, text := range s.AllowAddresses {
			next.AllowAddresses = append(next.AllowAddresses, prefixOf(text))
		}
		if s.Builtin != "" {
			next.Serve = demos.serve(s.Builtin)
		}
		if len(r.missing) > 0 {
			missing[name] = fmt.Errorf("the state directory keeps no secret %s: put it into secrets.json", strings.Join(r.missing, ", "))
			continue
		}
		servers = append(servers, next)
	}
	return servers, missing
}

// prefixOf reads an address or a prefix; check has seen that it is one.
func prefixOf(text string) netip.Prefix {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{} // contains nothing
	}
	return netip.PrefixFrom(address, address.BitLen())
}

// resolver fills secrets in.
type resolver struct {
	secret  func(name string) (string, bool)
	missing []string
}

func (r *resolver) text(t config.Text) string {
	if t.Secret == "" {
		return t.Value
	}
	value, ok := r.secret(t.Secret)
	if !ok {
		r.missing = append(r.missing, t.Secret)
	}
	return value
}

func (r *resolver) list(texts []config.Text) []string {
	var list []string
	for _, t := range texts {
		list = append(list, r.text(t))
	}
	return list
}

func (r *resolver) table(texts map[string]config.Text) map[string]string {
	if texts == nil {
		return nil
	}
	table := make(map[string]string, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		table[name] = r.text(texts[name])
	}
	return table
}

// demos are the built-in servers. Each has one state that all sessions share
// for as long as the gateway runs.
type demos struct {
	mu    sync.Mutex
	desk  *desk.Desk
	cloud *cloud.Cloud
}

func (d *demos) serve(name string) func(context.Context, io.Reader, io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch name {
	case "desk":
		if d.desk == nil {
			d.desk = desk.New()
		}
		return d.desk.Serve
	case "cloud":
		if d.cloud == nil {
			d.cloud = cloud.New()
		}
		return d.cloud.Serve
	default:
		return func(context.Context, io.Reader, io.Writer) error {
			return errors.New("there is no such built-in server")
		}
	}
}
