// Package watch keeps up with what servers say of themselves.
package watch

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"sallyport/internal/manifest"
)

// The states of a server.
const (
	Stopped     = "stopped"
	Connecting  = "connecting"
	Ready       = "ready"
	Unreachable = "unreachable"
)

// How often an unreachable server is tried, and how long list_changed is
// gathered before a manifest is fetched again.
const (
	retryFirst  = time.Second
	retryLast   = time.Minute
	gatherFor   = 20 * time.Millisecond
	fetchWithin = 90 * time.Second
)

// Watch fetches the manifests of servers when they appear, change, or come
// back. Its exported fields are set before it is used.
type Watch struct {
	// Fetch gets what a server says of itself.
	Fetch func(ctx context.Context, server string) (manifest.Manifest, error)
	// Saw takes it in. An error makes the server be looked at again later.
	Saw func(ctx context.Context, m manifest.Manifest) error
	// Lost is told once when a server can't be reached, or reached any more. It
	// must not block.
	Lost func(server string, err error)
	Log  *slog.Logger

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

// Follow starts watching a server; it begins anew when it is watched already.
func (w *Watch) Follow(ctx context.Context, server string) {
	w.Forget(server)
	ctx, stop := context.WithCancel(ctx)
	s := &watched{state: Connecting, again: make(chan struct{}, 1), tried: make(chan struct{}), stop: stop}
	w.mu.Lock()
	if w.servers == nil {
		w.servers = map[string]*watched{}
	}
	w.servers[server] = s
	w.mu.Unlock()
	w.working.Go(func() { w.run(ctx, server, s) })
}

// Refuse shows a server that can't even be tried.
func (w *Watch) Refuse(server string, err error) {
	if !w.Refused(server) {
		w.Lost(server, err)
	}
	w.Forget(server)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.servers == nil {
		w.servers = map[string]*watched{}
	}
	s := &watched{state: Unreachable, err: err, refused: true, tried: make(chan struct{}), stop: func() {}}
	close(s.tried)
	w.servers[server] = s
}

// Refused reports whether a server could not even be tried.
func (w *Watch) Refused(server string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[server] != nil && w.servers[server].refused
}

// Forget stops watching a server.
func (w *Watch) Forget(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		s.stop()
		delete(w.servers, server)
	}
}

// Close stops watching all.
func (w *Watch) Close() {
	w.mu.Lock()
	for _, s := range w.servers {
		s.stop()
	}
	w.mu.Unlock()
	w.working.Wait()
}

// Changed asks for a server's manifest to be fetched again.
func (w *Watch) Changed(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
}

// Settle waits until every server has been tried once. It reports whether
// they all were when ctx ended.
func (w *Watch) Settle(ctx context.Context) bool {
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

// Settled reports whether every server has been tried once.
func (w *Watch) Settled() bool {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return w.Settle(ended)
}

// StateOf is how a server does.
func (w *Watch) StateOf(server string) (state string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[server]; s != nil {
		return s.state, s.err
	}
	return Stopped, nil
}

func (w *Watch) run(ctx context.Context, server string, s *watched) {
	wait := retryFirst
	for first := true; ; first = false {
		err := w.look(ctx, server)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		known := s.err
		s.state, s.err = Ready, err
		if err != nil {
			s.state = Unreachable
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
			w.Log.Warn("server unreachable", "server", server, "error", err)
		}
		if known == nil {
			w.Lost(server, err)
		}
		if !w.idle(ctx, s, wait) {
			return
		}
		wait = min(2*wait, retryLast)
	}
}

// idle waits until the manifest is wanted again, or for a time when that is
// not 0. It reports false when watching ends.
func (w *Watch) idle(ctx context.Context, s *watched, limit time.Duration) bool {
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

func (w *Watch) look(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	m, err := w.Fetch(ctx, server)
	if err != nil {
		return err
	}
	return w.Saw(ctx, m)
}
