package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport"
	"sallyport/internal/app/allowance"
	"sallyport/internal/app/attend"
	"sallyport/internal/app/chores"
	"sallyport/internal/app/follow"
	"sallyport/internal/app/halt"
	"sallyport/internal/app/herald"
	"sallyport/internal/app/past"
	"sallyport/internal/app/people"
	"sallyport/internal/app/ruling"
	"sallyport/internal/app/usage"
	"sallyport/internal/app/watch"
	"sallyport/internal/breaker"
	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/control"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/importer"
	"sallyport/internal/inbox"
	"sallyport/internal/judge"
	"sallyport/internal/kill"
	"sallyport/internal/memory"
	"sallyport/internal/notify"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/scope"
	"sallyport/internal/sink"
	"sallyport/internal/starter"
	"sallyport/internal/store"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// ticketDeadline is how long a call may take before its outcome is unknown.
const ticketDeadline = 10 * time.Minute

// Options are what the command line says.
type Options struct {
	Dir     string // state directory
	Config  string // configuration file; "" for the one that was used last
	View    string // socket for people who may look; "" for none
	Version string
	Log     *slog.Logger

	// Observe is the operator's word for this start, whatever the
	// configuration says.
	Observe bool
	// Command is a stdio server for this start, besides the configured ones.
	Command []string

	// Line is told of every decided call, Tell of what a person should know;
	// both may be nil and must not block.
	Line func(entry *sallyport.Entry)
	Tell func(text string)
	// Look asks a person at a terminal whether what a server offers at first
	// sight is accepted. Nil when nobody is there: then it waits.
	Look func(ctx context.Context, changes control.Changes) bool
}

// App is an opened gateway: what a state directory holds, with the
// configuration and policy in force. Start makes it serve.
type App struct {
	options    Options
	configPath string
	log        *slog.Logger

	store      *store.Store
	identities *identity.Identities
	runs       *identity.Runs
	human      *identity.Human
	pins       *pin.Pins
	gateway    *gateway.Gateway
	halt       *halt.Halt
	herald     *herald.Herald
	attend     *attend.Attend
	allowance  *allowance.Allowance
	memories   *memory.Memories
	judges     judge.Judges
	servers    *upstream.Servers
	sink       *sink.Sink
	demos      demos
	watch      watch.Watch
	console    *console.Console
	guesses    inbox.Guesses
	working    sync.WaitGroup // what Start began

	rules   atomic.Pointer[policy.Rules]
	current atomic.Pointer[current]
	observe atomic.Bool

	changing sync.Mutex // held while what is in force changes
	law      law
	running  bool               // servers are followed
	ended    context.CancelFunc // of what Start began
	began    *config.Config     // in force when it did

	doors doors
}

// current is the configuration in force, with what every request needs of it.
type current struct {
	config *config.Config
	names  []string // of the servers, in order
}

// config is the configuration in force.
func (a *App) config() *config.Config { return a.current.Load().config }

// serversFor are the names, in order, of the servers that an agent may know of.
func (a *App) serversFor(principal sallyport.Principal) []string {
	names := a.current.Load().names
	hidden := func(name string) bool { return !a.gateway.Reveals(principal, name) }
	if !slices.ContainsFunc(names, hidden) {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), hidden)
}

func (a *App) setConfig(c *config.Config) {
	names := slices.Sorted(maps.Keys(c.Servers))
	// What a client carries out itself nobody else can call.
	names = slices.DeleteFunc(names, func(name string) bool { return name == c.ClientServer() })
	a.current.Store(&current{c, names})
	a.observe.Store(c.Mode == config.Observe)
	if a.memories != nil {
		a.memories.Reread()
	}
}

// Open opens a state directory and everything in it, and serves nothing yet.
// The state directory is locked until Close: a second gateway on it fails
// here.
func Open(ctx context.Context, options Options) (_ *App, err error) {
	a := &App{options: options, log: options.Log, configPath: options.Config}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
		}
	}()
	if a.store, err = store.Open(options.Dir, time.Now); err != nil {
		return nil, err
	}
	if err := starter.KeepOutOfGit(options.Dir); err != nil {
		return nil, err
	}
	record, err := a.store.Setting(ctx, rulingSetting)
	if err != nil {
		return nil, err
	}
	pins, err := a.store.Pins(ctx)
	if err != nil {
		return nil, err
	}
	if a.law.inForce, a.law.first, err = a.firstRuling(record); err != nil {
		return nil, err
	}
	c := a.options.overlay(a.law.inForce, pins).Config
	a.setConfig(c)
	if a.identities, err = identity.Load(ctx, a.store, people.Declared(c), time.Now); err != nil {
		return nil, err
	}
	if a.allowance, err = allowance.Load(ctx, a.store, c); err != nil {
		return nil, err
	}
	if a.runs, err = identity.LoadRuns(ctx, a.identities, a.store, time.Now); err != nil {
		return nil, err
	}
	a.runs.Kills = a.store.Kills
	if a.human, err = identity.LoadHuman(ctx, a.store, time.Now); err != nil {
		return nil, err
	}
	if a.pins, err = pin.Load(ctx, a.store, c.Settings); err != nil {
		return nil, err
	}
	if a.sink, err = sink.New(ctx, sink.Config{OTLP: c.Telemetry.OTLP, Version: options.Version, Log: a.log, Line: options.Line}); err != nil {
		return nil, err
	}
	a.servers = upstream.New(upstream.Options{Heard: a.heard, Log: a.log, Kills: a.store.Kills, Version: options.Version})
	a.memories = memory.New(past.Past{Store: a.store, Runs: a.runs}, a, scope.Default)
	a.judges.Off = func() bool { return a.config().Inspect == config.Off }
	a.judges.Words, a.judges.Tools, a.judges.Now = a.memories.Words, a.pins.Definitions, time.Now
	a.herald = &herald.Herald{Log: a.store, Watcher: a.sink, Breakers: breaker.New(), Notifier: notify.New(a.log), Health: a.store.Health,
		Approvals: a.store.Approvals, Escalated: func(asked *sallyport.Approval, at time.Time) []string { return a.terms().Escalated(asked, at) },
		Resting: func(groups []string, at time.Time) bool { return a.terms().Resting(groups, at) }, Err: a.log}
	a.attend = &attend.Attend{Log: a.herald, Store: a.store, Terms: a.terms, People: a.human.People, Err: a.log}
	a.gateway, err = gateway.New(gateway.Parts{
		Limits: a.allowance.Set, Ledger: a.store.Ledger(), Alert: a.alert,
		Identifier: a.runs, Pins: a.pins, Rules: a.rules.Load, Log: a.attend, Upstream: a.servers, Watcher: a.herald, Breakers: a.herald.Breakers,
		Now: time.Now, NewID: newCallID, Observe: a.observe.Load, Deadline: ticketDeadline,
		Approvals: a.store, Kills: a.store.Kills, Memories: narrowed{a.memories, &a.judges}, Inspector: &a.judges, Asking: a.terms,
	})
	if err != nil {
		return nil, err
	}
	a.runs.Log = past.Log{Gateway: a.gateway, Store: a.store, Memories: a.memories}
	a.halt = halt.New(halt.Parts{Dir: options.Dir, Store: a.store, Gateway: a.gateway, Runs: a.runs, Pins: a.pins,
		Hush: a.doors.hush, Names: func() policy.Declared { return a.config().Declared() },
		Verify: a.verify, Tell: a.tell, Log: a.log})
	if err := a.openConsole(c); err != nil {
		return nil, err
	}
	a.watch.Fetch, a.watch.Saw, a.watch.Lost, a.watch.Log = a.servers.Manifest, a.saw, a.lost, a.log
	if rules, err := a.law.inForce.Load(a.pins.All()); err == nil {
		return a, a.rule(rules)
	} // else Start says why; without rules everything is refused
	return a, nil
}

// newCallID is unique and sorts by time, so that people find a call's
// neighbours.
func newCallID() string { return "c_" + ulid.Make().String() }

// firstRuling is the ruling that was accepted last or, when none ever was,
// the one in the files.
func (a *App) firstRuling(record []byte) (r *ruling.Ruling, first bool, err error) {
	if beside := filepath.Join(a.options.Dir, "sallyport.yaml"); record == nil && a.configPath == "" {
		if _, err := os.Stat(beside); err == nil {
			a.configPath = beside
		}
	}
	switch {
	case record != nil:
		if r, err = ruling.Restore(record); err == nil && a.configPath == "" {
			a.configPath = r.Name
		}
	case a.configPath != "":
		first = true
		r, err = ruling.Read(a.configPath)
	default:
		err = fmt.Errorf("no gateway was ever started with the state directory %s", a.options.Dir)
	}
	if err != nil {
		return nil, first, err
	}
	return r, first, nil
}

// Start begins to serve: servers, doors, the control socket, and the watch
// over the files. It returns when agents can connect; servers that were never
// seen are still being looked at.
func (a *App) Start(ctx context.Context) error {
	ctx, a.ended = context.WithCancel(ctx)
	if err := a.gateway.Record(ctx, "start", a.options.Version, sallyport.Digest{}, a.law.inForce.Digest()); err != nil {
		return err
	}
	if err := a.halt.Start(ctx); err != nil {
		return err
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	a.running = true
	if a.observe.Load() {
		a.record(ctx, "observe mode: policy verdicts are not enforced", "start", sallyport.Digest{}, sallyport.Digest{})
	}
	a.began = a.config()
	restored := a.gateway.RestoringTasks()
	a.working.Go(func() {
		defer restored()
		if err := past.Tasks(ctx, a.store, a.runs, a.gateway.RestoreTask); err != nil && ctx.Err() == nil {
			a.log.Error("tasks that were open before can't be reached", "error", err)
		}
	})
	if err := a.open(ctx, a.began); err != nil {
		return err
	}
	if err := a.configure(ctx, nil); err != nil {
		return err
	}
	a.reload(ctx)
	a.working.Go(func() {
		if a.watch.Settle(ctx) {
			a.Reload(ctx)
		}
	})
	a.working.Go(func() { a.halt.EndTasks(ctx) })
	a.herald.At(a.console.Site(a.Addresses().Listen))
	a.working.Go(func() { a.herald.Run(ctx) })
	a.working.Go(func() { chores.Run(ctx, a.config, a.store, a.runs, a.log) })
	run, err := follow.Files(ctx, a.paths(), func() []string {
		a.changing.Lock()
		defer a.changing.Unlock()
		a.reload(ctx)
		return a.paths()
	}, func(err error) { a.log.Warn("watching the configuration", "error", err) })
	if err != nil {
		return err
	}
	a.working.Go(run)
	return nil
}

// configure takes the configuration in force into force everywhere, after the
// one before. The caller holds changing.
func (a *App) configure(ctx context.Context, before *config.Config) error {
	c := a.options.overlay(a.law.inForce, a.pins.All()).Config
	a.setConfig(c)
	if err := a.allowance.Configure(c); err != nil {
		return err
	}
	a.pins.Configure(c.Settings)
	if err := a.identities.Configure(ctx, people.Declared(c)); err != nil {
		return err
	}
	if !a.running {
		return nil
	}
	secrets, err := importer.OpenSecrets(a.options.Dir)
	if err != nil {
		return err
	}
	a.judges.Configure(c.Judges(secrets.Get))
	a.herald.Breakers.Configure(c.BreakerRules())
	a.herald.Notifier.Configure(c.Notifies(secrets.Get))
	servers, missing := reachable(c, secrets.Get, &a.demos)
	if err := a.distrustOthers(ctx, c); err != nil {
		return err
	}
	if err := a.servers.Configure(servers); err != nil {
		return err
	}
	if err := a.bind(c); err != nil {
		return err
	}
	for name := range c.Servers {
		err := missing[name]
		switch {
		case err != nil:
			a.watch.Refuse(name, err)
		case before == nil || a.watch.Refused(name) || !reflect.DeepEqual(before.Servers[name].Reach(), c.Servers[name].Reach()):
			a.watch.Follow(context.WithoutCancel(ctx), name)
		}
	}
	if before != nil {
		for name := range before.Servers {
			if _, stays := c.Servers[name]; !stays {
				a.watch.Forget(name)
			}
		}
	}
	return nil
}

// heard passes on what a server says outside any call, and looks again at a
// server that says its lists have changed.
func (a *App) heard(server, session string, principal sallyport.Principal, message wire.Message) {
	switch message.Method {
	case "notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed":
		a.watch.Changed(server)
	}
	if a.store.Kills.Stops(kill.Target{Principal: principal, Server: server}) == nil {
		a.gateway.Heard(server, session, message)
	}
}

func (a *App) lost(server string, err error) {
	a.tell(fmt.Sprintf("Server %s can't be reached, and is tried again: %v", server, err))
}

// alert tells a person that a limit is filling up.
func (a *App) alert(c sallyport.Charge, percent int64) {
	a.tell(fmt.Sprintf("Limit %s is at %d %% (%s of %s %s, %s): sallyport limits show %s", c.Limit, percent,
		c.Before.Plus(c.Amount), c.Cap, c.Unit, cmp.Or(c.Label, "for all"), c.Limit))
}

func (a *App) tell(text string) {
	if a.options.Tell != nil {
		a.options.Tell(text)
	}
}

// Close ends what Start began, in the reverse order, and releases the state.
// Calls that are open get their outcome first, within the deadline of ctx.
func (a *App) Close(ctx context.Context) error {
	var errs []error
	a.doors.close(ctx)
	if a.ended != nil {
		a.ended()
	}
	a.watch.Close()
	a.working.Wait()
	if a.halt != nil {
		a.halt.Wait()
	}
	if a.servers != nil {
		a.servers.Close()
	}
	if a.herald != nil {
		a.herald.Notifier.Close()
	}
	if a.running {
		a.record(ctx, "stop", a.options.Version, sallyport.Digest{}, sallyport.Digest{})
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.sink != nil {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // telemetry is not worth waiting for
		defer cancel()
		if err := a.sink.Close(ctx); err != nil {
			a.log.Warn("telemetry was not flushed", "error", err)
		}
	}
	return errors.Join(errs...)
}

// Halt is what is stopped here.
func (a *App) Halt() *halt.Halt { return a.halt }

// Dir is the state directory.
func (a *App) Dir() string { return a.options.Dir }

// Settle waits until every server has been tried once. It reports whether
// they all were when ctx ended.
func (a *App) Settle(ctx context.Context) bool { return a.watch.Settle(ctx) }

// Control answers every verb of the command line.
func (a *App) Control() http.Handler {
	return control.Handler(control.Parts{
		Door: a, Doctor: a, Servers: a, Pins: a, Agents: a, Human: a, Approvals: a.Inbox(), Equal: a.Inbox(), Attention: a.attend, Grants: a.Inbox(), Policy: a, Files: a, History: a, Payloads: a,
		Runs: a, Changes: a, Sources: a, Kills: a.halt, Breakers: a.herald.Breakers, Console: a, Limits: a.allowance, Usage: usage.Usage{Store: a.store, Rules: a.rules.Load},
		Log: control.LogHandler(a.store, a.store, a.store, a.store),
	})
}

// StateDir is the state directory that a command line means: the flag, what
// the configuration says, or .sallyport here.
func StateDir(flag, file string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if file == "" {
		return filepath.Abs(".sallyport")
	}
	c, _, err := config.Read(file)
	if err != nil {
		return "", fmt.Errorf("the configuration can't be read:\n%w", err)
	}
	return c.Dir, nil
}
