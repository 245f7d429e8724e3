// Package notify tells people what has happened: over webhooks, in Slack and
// Teams, by e-mail, on a desktop. It tells and links; nothing that it is answered
// counts, and nothing waits for it.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sallyport/internal/card"
)

// The kinds of targets.
const (
	Webhook = "webhook"
	Slack   = "slack"
	Teams   = "teams"
	Email   = "email"
	Desktop = "desktop"
)

// Kinds lists them.
var Kinds = [...]string{Webhook, Slack, Teams, Email, Desktop}

// What is told.
const (
	Asked      = "approval.asked"
	Escalated  = "approval.escalated"
	Expired    = "approval.expired"
	Hasty      = "approval.hasty" // a yes that came faster than what was asked can be read
	Load       = "load"           // a person is asked more than they can look at
	Kill       = "kill"           // and pause, resume and drain
	Breaker    = "breaker"
	Limit      = "limit"
	Quarantine = "quarantine"
	Log        = "log" // the log can't be written, or can again
)

// Events lists it.
var Events = [...]string{Asked, Escalated, Expired, Hasty, Load, Kill, Breaker, Limit, Quarantine, Log}

// Event is something that has happened. Title is in our own words. The values of
// facts may be an agent's or a server's: they are shown as quotations.
type Event struct {
	ID     string // the same at each attempt to tell it
	Kind   string
	At     time.Time
	Title  string
	Facts  []Fact
	Link   string   // to the console, which asks whoever follows it for a credential
	Groups []string // that are asked
}

// Fact is one line of an event.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// maxFact bounds a value, in characters.
const maxFact = 300

// quoted is a value as everybody is shown it: on one line, with nothing hidden,
// and not longer than a line should be.
func quoted(value string) string {
	runes := []rune(value)
	if len(runes) > maxFact {
		return card.Exact(string(runes[:maxFact])) + fmt.Sprintf("… (%d characters in all)", len(runes))
	}
	return card.Exact(value)
}

// Target is one way to tell people.
type Target struct {
	Name, Kind string
	URL        string
	Key        string
	Allow      []netip.Prefix // addresses beside public ones
	Server     string         // e-mail: HOST:PORT
	User, From string
	To         []string
	Events     []string // none for all
	Groups     []string // of questions; none for all
	Within     time.Duration
	Err        error // why it can't be tried at all
}

// wants reports whether an event is told here.
func (t *Target) wants(e *Event) bool {
	return (len(t.Events) == 0 || slices.Contains(t.Events, e.Kind)) &&
		(len(t.Groups) == 0 || len(e.Groups) == 0 || slices.ContainsFunc(e.Groups, func(g string) bool { return slices.Contains(t.Groups, g) }))
}

// sender tells one event once. An error means that it may not have arrived; a
// backoff.PermanentError that it never will.
type sender interface {
	send(ctx context.Context, e Event) error
}

const (
	maxWaiting = 256              // events for one target
	firstAgain = time.Second      // from a failure to the next attempt, then longer each time
	lastAgain  = 2 * time.Minute  // at most
	giveUp     = 15 * time.Minute // an event that is so old is told no more
)

// Status is how one target does.
type Status struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Told    int       `json:"told"`
	Waiting int       `json:"waiting"`
	Lost    int       `json:"lost"`            // given up, or too many at once
	Error   string    `json:"error,omitempty"` // of the last attempt; none when it went well
	Since   time.Time `json:"since,omitzero"`  // when it began to fail
}

// Notifier tells all targets, each from a queue of its own. Its methods don't
// block.
type Notifier struct {
	log        *slog.Logger
	firstAgain time.Duration
	giveUp     time.Duration

	mu      sync.Mutex
	targets []*telling
	working sync.WaitGroup
}

// telling is a target at work.
type telling struct {
	target Target
	sender sender
	queue  chan Event
	stop   context.CancelFunc

	mu     sync.Mutex
	status Status
}

// New makes a notifier without targets.
func New(log *slog.Logger) *Notifier {
	return &Notifier{log: log, firstAgain: firstAgain, giveUp: giveUp}
}

// Configure makes these the targets. What stays as it is goes on with what waits.
func (n *Notifier) Configure(targets []Target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.targets
	n.targets = nil
	for _, t := range targets {
		if i := slices.IndexFunc(before, func(b *telling) bool { return reflect.DeepEqual(b.target, t) }); i >= 0 {
			n.targets = append(n.targets, before[i])
			before = slices.Delete(before, i, i+1)
			continue
		}
		one := &telling{target: t, sender: senderOf(t), queue: make(chan Event, maxWaiting), status: Status{Name: t.Name, Kind: t.Kind}}
		if t.Kind == Desktop {
			if _, err := sessionBus(); err != nil { // said before anything is lost; somebody may yet log in
				one.tried(err)
			}
		}
		var ctx context.Context
		ctx, one.stop = context.WithCancel(context.Background())
		n.targets = append(n.targets, one)
		n.working.Go(func() { n.work(ctx, one) })
	}
	for _, gone := range before {
		gone.stop()
	}
}

func senderOf(t Target) sender {
	switch {
	case t.Err != nil:
		return broken{t.Err}
	case t.Kind == Email:
		return newMail(t)
	case t.Kind == Desktop:
		return desktop{}
	default:
		return newPost(t)
	}
}

// broken is a target that can't be tried.
type broken struct{ err error }

func (b broken) send(context.Context, Event) error { return backoff.Permanent(b.err) }

// Close stops telling. What waits is lost.
func (n *Notifier) Close() {
	n.Configure(nil)
	n.working.Wait()
}

// Tell tells whoever wants to know.
func (n *Notifier) Tell(e Event) {
	e.Facts = slices.Clone(e.Facts)
	e.Title = quoted(e.Title)
	for i := range e.Facts {
		e.Facts[i].Value = quoted(e.Facts[i].Value)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	room := maxWaiting
	if e.Kind != Kill && e.Kind != Log { // which nothing that agents bring about may crowd out
		room = maxWaiting / 2
	}
	for _, one := range n.targets {
		switch {
		case !one.target.wants(&e):
		case len(one.queue) < room: // n.mu is held, so it does not grow meanwhile
			one.queue <- e
		default: // nothing that happens may wait for somebody to be told
			one.lost(fmt.Errorf("%d messages wait already", room))
			n.log.Error("a notification is lost: too many wait", "target", one.target.Name, "event", e.Kind)
		}
	}
}

// All is how all targets do.
func (n *Notifier) All() []Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []Status{}
	for _, one := range n.targets {
		one.mu.Lock()
		s := one.status
		one.mu.Unlock()
		s.Waiting = len(one.queue)
		all = append(all, s)
	}
	return all
}

func (n *Notifier) work(ctx context.Context, one *telling) {
	for {
		select {
		case e := <-one.queue:
			n.deliver(ctx, one, e)
		case <-ctx.Done():
			return
		}
	}
}

// deliver tries until it succeeds, or it makes no sense any more.
func (n *Notifier) deliver(ctx context.Context, one *telling, e Event) {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		attempt, cancel := context.WithTimeout(ctx, one.target.Within)
		defer cancel()
		err := one.sender.send(attempt, e)
		one.tried(err)
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: n.firstAgain, RandomizationFactor: .5, Multiplier: 2, MaxInterval: lastAgain}),
		backoff.WithMaxElapsedTime(n.giveUp))
	if err != nil && ctx.Err() == nil {
		one.lost(err)
		n.log.Error("a notification is lost", "target", one.target.Name, "event", e.Kind, "error", err)
	}
}

func (t *telling) tried(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.status.Told, t.status.Error, t.status.Since = t.status.Told+1, "", time.Time{}
		return
	}
	if t.status.Error == "" {
		t.status.Since = time.Now().UTC().Truncate(time.Second)
	}
	t.status.Error = err.Error()
}

func (t *telling) lost(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Lost++
	if t.status.Error == "" {
		t.status.Error, t.status.Since = err.Error(), time.Now().UTC().Truncate(time.Second)
	}
}
