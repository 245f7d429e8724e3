package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/app/asks"
	"sallyport/internal/app/loopback"
	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/control"
	"sallyport/internal/guard"
	"sallyport/internal/hookdoor"
	"sallyport/internal/mcpdoor"
	"sallyport/internal/rundoor"
)

// doors are the ways in: the port for agents with a token, the ports bound to
// one agent each, and the control socket.
type doors struct {
	mu      sync.Mutex
	main    *way
	bound   map[config.Listener]*way
	control net.Listener
	view    net.Listener // nil where nobody but the gateway's user may come
}

// way is one listening port with its door.
type way struct {
	listener net.Listener
	server   *http.Server
	door     *mcpdoor.Door
	calls    sync.WaitGroup // requests that may be calls
}

// Addresses are where a gateway listens.
type Addresses struct {
	Listen    string            `json:"listen"`
	Listeners map[string]string `json:"listeners"` // by agent
}

// Addresses are where this gateway listens.
func (a *App) Addresses() Addresses {
	a.doors.mu.Lock()
	defer a.doors.mu.Unlock()
	at := Addresses{Listeners: map[string]string{}}
	if a.doors.main != nil {
		at.Listen = a.doors.main.listener.Addr().String()
	}
	for l, w := range a.doors.bound {
		at.Listeners[l.Agent] = w.listener.Addr().String()
	}
	return at
}

// URL is where agents with a token connect.
func (a *App) URL() string {
	scheme := "http"
	if a.config().TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + a.Addresses().Listen + "/mcp"
}

// open listens everywhere.
func (a *App) open(ctx context.Context, c *config.Config) error {
	main, err := a.listen(c, c.Listen, "")
	if err != nil {
		return err
	}
	a.doors.mu.Lock()
	a.doors.main, a.doors.bound = main, map[config.Listener]*way{}
	a.doors.mu.Unlock()
	if err := a.bind(c); err != nil {
		return err
	}
	if a.doors.control, err = control.Listen(a.options.Dir); err != nil {
		return err
	}
	serve := func(serve func(net.Listener, http.Handler) error, listener net.Listener, handler http.Handler) {
		if err := serve(listener, handler); err != nil {
			a.log.Error("the control socket has failed", "error", err)
		}
	}
	go serve(control.Serve, a.doors.control, a.Control())
	if a.options.View == "" {
		return nil
	}
	if a.doors.view, err = control.ListenView(a.options.View); err != nil {
		return err
	}
	go serve(control.ServeView, a.doors.view, control.View(a.Control(), a))
	return nil
}

// bind makes the bound listeners those of the configuration: what is gone is
// closed at once, with all sessions on it.
func (a *App) bind(c *config.Config) error {
	a.doors.mu.Lock()
	defer a.doors.mu.Unlock()
	for l, w := range a.doors.bound {
		if !slices.Contains(c.Listeners, l) {
			delete(a.doors.bound, l)
			w.door.Close()
			w.server.Close()
		}
	}
	var errs []error
	for _, l := range c.Listeners {
		if a.doors.bound == nil || a.doors.bound[l] != nil {
			continue
		}
		w, err := a.listen(c, l.Address, l.Agent)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a.doors.bound[l] = w
	}
	return errors.Join(errs...)
}

// listen opens one port. agent is whom everybody is who connects to it; empty
// where agents bring a token.
func (a *App) listen(c *config.Config, address, agent string) (*way, error) {
	var site string // of the console, on the main port
	forms := &asks.Forms{Groups: func() []string { return a.config().Approvals.Form }, Terms: a.terms, Question: a.store.OpenApproval, Answer: a.gateway.Answer, Shown: a.attend.Shown}
	door, err := mcpdoor.New(mcpdoor.Parts{
		Gateway: a.gateway, Identifier: a.runs, Guests: a.servers, Servers: a.serversFor, Tool: a.pins.Tool, Kills: a.store.Kills,
		Approval: a.store.Approval, Question: a.store.OpenApproval, TaskOf: a.gateway.TaskOf, Withdraw: a.gateway.Answer, Forms: forms,
		Page: func(approval string) string { return site + "/console/approvals/" + approval },
		Now:  time.Now, Version: a.options.Version,
	}, mcpdoor.Options{Agent: agent, Hosts: c.Hosts, Origins: c.Origins, Body: int(c.Sizes.Body)})
	if err != nil {
		return nil, err
	}
	listener, err := loopback.Listen(address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use, perhaps by another gateway: stop that, or choose another address with listen: in %s", address, a.configPath)
	}
	if err != nil {
		return nil, fmt.Errorf("nobody can connect: %w: choose another address with listen: in %s", err, a.configPath)
	}
	if c.TLS != nil && agent == "" {
		certificate, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
	main := listener
	if agent != "" {
		main = a.doors.main.listener
	}
	site = asks.Site(c, main.Addr())
	w := &way{listener: listener, door: door}
	mux := http.NewServeMux()
	mux.Handle("/mcp", w.counted(door))
	mux.Handle("/mcp/", w.counted(door))
	if agent == "" {
		runs := rundoor.New(a.runs, c.Hosts, c.Origins)
		mux.Handle("/v1/runs", w.counted(runs))
		mux.Handle("/v1/runs/", w.counted(runs))
		mux.Handle(hookdoor.Path, w.counted(a.hooks(c)))
		mux.Handle("GET /metrics", onlyHere(a.sink.Metrics()))
		mux.Handle(console.Path, w.counted(a.console))
	}
	w.server = mcpdoor.Server(mux)
	w.server.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)
	go func() {
		if err := w.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			a.log.Error("a listener has failed", "address", address, "error", err)
		}
	}()
	return w, nil
}

// counted counts requests that may be calls, so that they can end before the
// gateway does.
func (w *way) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.calls.Add(1)
			defer w.calls.Done()
		}
		next.ServeHTTP(rw, r)
	})
}

// onlyHere serves this machine alone, and no web page on it: the names of
// agents, users and tools are nobody else's business.
func onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().IsLoopback() || !guard.Host(r, nil) || r.Header.Get("Origin") != "" {
			http.Error(w, "metrics are served to this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// drainFor is how long calls may take to end when the gateway stops.
const drainFor = 5 * time.Second

// close stops listening, lets open calls end, and ends all sessions.
func (d *doors) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.control != nil {
		d.control.Close()
	}
	if d.view != nil {
		d.view.Close()
	}
	var wait sync.WaitGroup
	for _, w := range d.ways() {
		wait.Go(func() { w.close(ctx) })
	}
	wait.Wait()
}

// hush ends the streams that would never end by themselves.
func (d *doors) hush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.ways() {
		w.door.Drain()
	}
}

// ways are all of them; d.mu is held.
func (d *doors) ways() []*way {
	ways := slices.Collect(maps.Values(d.bound))
	if d.main != nil {
		ways = append(ways, d.main)
	}
	return ways
}

func (w *way) close(ctx context.Context) {
	w.listener.Close()
	w.door.Drain() // who waits for people is told to come back
	ended := make(chan struct{})
	go func() {
		w.calls.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	w.door.Close()
	w.server.Close()
}
