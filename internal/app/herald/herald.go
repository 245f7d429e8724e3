// Package herald tells breakers and people what the record says, as it is
// written. Nothing waits for either.
package herald

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport"
	"sallyport/internal/attention"
	"sallyport/internal/breaker"
	"sallyport/internal/gateway"
	"sallyport/internal/notify"
)

// lookEvery is how often questions to people are looked at: whether others may
// answer by now, or nobody can any more.
const lookEvery = 5 * time.Second

// Herald is the gateway's log and watcher, before the real ones. Every field must
// be set.
type Herald struct {
	gateway.Log
	Watcher   gateway.Watcher
	Breakers  *breaker.Breakers
	Notifier  *notify.Notifier
	Health    func() error // of the log
	Approvals func(ctx context.Context) (all []sallyport.Approval, damaged []string, err error)
	Escalated func(a *sallyport.Approval, at time.Time) []string
	Resting   func(groups []string, at time.Time) bool // all people of groups
	Err       *slog.Logger

	site atomic.Pointer[string] // of the console

	mu      sync.Mutex
	failing bool              // the log could not be written
	known   map[string]bool   // open questions, and whether it was told that others may answer
	waits   map[string]bool   // those of which nobody is told yet, since all rest
	hasty   map[string]string // by person, the last day on which it was told that they answer faster than they can read
}

// At says where the console is. Until then nothing is linked.
func (h *Herald) At(site string) { h.site.Store(&site) }

// Commit implements gateway.Log.
func (h *Herald) Commit(ctx context.Context, record *sallyport.Record) error {
	err := h.Log.Commit(ctx, record)
	h.wrote(record, err)
	return err
}

// Append implements gateway.Log.
func (h *Herald) Append(ctx context.Context, record *sallyport.Record) error {
	err := h.Log.Append(ctx, record)
	h.wrote(record, err)
	return err
}

// Decided implements gateway.Watcher.
func (h *Herald) Decided(e *sallyport.Entry) {
	h.Watcher.Decided(e)
	h.Breakers.Denied(e)
}

// Ended implements gateway.Watcher.
func (h *Herald) Ended(e *sallyport.Entry) { h.Watcher.Ended(e) }

func (h *Herald) wrote(record *sallyport.Record, err error) {
	if err != nil {
		// An error may be of this one record; people are told when it is the log's.
		if h.Health() != nil {
			h.trouble(err)
		}
		return
	}
	h.well()
	h.Breakers.Spent(record)
	switch e := &record.Entry; {
	case e.Type == sallyport.Change:
		h.changed(e)
	case e.Type == sallyport.Held && record.Approval != nil && record.Approval.Call == e.Call: // else it is open already
		h.asked(record.Approval)
	}
}

func (h *Herald) trouble(err error) {
	h.mu.Lock()
	first := !h.failing
	h.failing = true
	h.mu.Unlock()
	if first {
		h.tell(notify.Event{Kind: notify.Log, Title: "The log can't be written: every call is refused until it can",
			Facts: []notify.Fact{{Name: "error", Value: err.Error()}, {Name: "to do", Value: "sallyport doctor"}}})
	}
}

func (h *Herald) well() {
	h.mu.Lock()
	before := h.failing
	h.failing = false
	h.mu.Unlock()
	if before {
		h.tell(notify.Event{Kind: notify.Log, Title: "The log can be written again"})
	}
}

func (h *Herald) tell(e notify.Event) {
	e.ID = cmp.Or(e.ID, "n_"+ulid.Make().String())
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if site := h.site.Load(); site != nil {
		e.Link = *site + cmp.Or(e.Link, "/console")
	} else {
		e.Link = ""
	}
	h.Notifier.Tell(e)
}

// changes says what of the changes that are put on the record is told, by the
// first word of their subject.
var changes = map[string]struct{ kind, title string }{
	"kill":       {notify.Kill, "Killed by the operator"},
	"pause":      {notify.Kill, "Paused by the operator"},
	"resume":     {notify.Kill, "A kill or a pause is lifted"},
	"drain":      {notify.Kill, "The gateway finishes what runs, and stops"},
	"quarantine": {notify.Quarantine, "What a server says of itself is new or has changed, and can't be used until somebody has looked"},
	"limit":      {notify.Limit, "A limit is being used up"},
	"breaker":    {notify.Breaker, "A breaker has changed"},
	"load":       {notify.Load, "A person is asked more than they can look at"},
}

func (h *Herald) changed(e *sallyport.Entry) {
	h.hurried(e)
	word, rest, _ := strings.Cut(e.Subject, " ")
	what, told := changes[word]
	if !told {
		return
	}
	facts := []notify.Fact{{Name: word, Value: rest}}
	if e.Reason != "" {
		facts = append(facts, notify.Fact{Name: "reason", Value: e.Reason})
	}
	h.tell(notify.Event{Kind: what.kind, At: e.Time, Title: what.title, Facts: append(facts, notify.Fact{Name: "by", Value: e.By})})
}

// hurried tells once a day of a person who says yes faster than they can read.
func (h *Herald) hurried(e *sallyport.Entry) {
	if !attention.Hasty(e) {
		return
	}
	day := attention.Day(e.Time)
	h.mu.Lock()
	told := h.hasty[e.By] == day
	if h.hasty == nil {
		h.hasty = map[string]string{}
	}
	h.hasty[e.By] = day
	h.mu.Unlock()
	if told {
		return
	}
	h.tell(notify.Event{Kind: notify.Hasty, At: e.Time, Title: "A yes came faster than what was asked can be read", Link: "/console/attention",
		Facts: []notify.Fact{{Name: "by", Value: e.By}, {Name: "question", Value: e.Approval},
			{Name: "looked for", Value: e.Took.Round(time.Millisecond).String()}, {Name: "to read", Value: e.Read.String()}}})
}

// about are the facts of a question. Arguments are not among them: whoever reads
// a chat need not be who may see them.
func about(kind, title string, a *sallyport.Approval, groups []string) notify.Event {
	return notify.Event{
		ID: kind + "_" + a.ID, Kind: kind, Title: title, Groups: groups, Link: "/console/approvals/" + a.ID,
		Facts: []notify.Fact{
			{Name: "asked", Value: strings.Join(a.Groups(), ", ")}, {Name: "agent", Value: a.Principal.Agent}, {Name: "for", Value: a.Principal.User},
			{Name: "call", Value: a.Server + "/" + a.Name}, {Name: "question", Value: a.ID}, {Name: "until", Value: a.Expires.UTC().Format(time.RFC3339)},
		},
	}
}

func (h *Herald) asked(a *sallyport.Approval) {
	h.mu.Lock()
	if h.known == nil {
		h.known = map[string]bool{}
	}
	h.known[a.ID] = false
	rest := h.rests(a, time.Now())
	h.mu.Unlock()
	if !rest {
		h.tell(ask(a))
	}
}

// rests remembers of a question that all who are asked rest now, so that it is told
// later. The caller holds mu.
func (h *Herald) rests(a *sallyport.Approval, now time.Time) bool {
	if !h.Resting(a.Groups(), now) {
		return false
	}
	if h.waits == nil {
		h.waits = map[string]bool{}
	}
	h.waits[a.ID] = true
	return true
}

func ask(a *sallyport.Approval) notify.Event {
	return about(notify.Asked, "An agent waits for people to decide", a, a.Groups())
}

// Run puts on the record what breakers do, and looks at questions, until ctx
// ends.
func (h *Herald) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { h.recordBreakers(ctx) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		if err := h.look(ctx, time.Now(), first); err != nil && ctx.Err() == nil {
			h.Err.Error("nobody can be told of questions that others may answer, or nobody any more", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Herald) recordBreakers(ctx context.Context) {
	for {
		c, ok := h.Breakers.Next(ctx)
		if !ok {
			return
		}
		err := h.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{Time: c.At, Type: sallyport.Change,
			Subject: "breaker " + c.State + " " + c.Per + " " + c.Name + " on " + c.On, By: "breaker", Reason: c.Reason}})
		if err != nil && ctx.Err() == nil {
			h.Err.Error("a breaker's change could not be recorded", "breaker", c.Per+" "+c.Name, "state", c.State, "error", err)
		}
	}
}

// look tells of open questions that others may answer by now, and of those whose
// time is over. At the first look of a process the former were told before.
func (h *Herald) look(ctx context.Context, now time.Time, first bool) error {
	all, _, err := h.Approvals(ctx) // what is damaged is named where questions are listed
	if err != nil {
		return err
	}
	var events []notify.Event
	h.mu.Lock()
	before, waited := h.known, h.waits
	h.known, h.waits = map[string]bool{}, nil
	for _, a := range all {
		told, known := before[a.ID]
		switch state := a.At(now).State; {
		case state == sallyport.Expired && known && a.By == "": // and nobody has closed it
			events = append(events, about(notify.Expired, "Nobody has answered in time: the call is refused", &a, a.Groups()))
		case state == sallyport.Pending:
			// After a restart nobody knows whether it was told: who gets it twice sees the same id.
			if (waited[a.ID] || first) && !h.rests(&a, now) && waited[a.ID] {
				events = append(events, ask(&a))
			}
			more := h.Escalated(&a, now)
			if len(more) > 0 && !told && !first {
				events = append(events, about(notify.Escalated, "Nobody has answered yet: others may now", &a, more))
			}
			h.known[a.ID] = len(more) > 0
		}
	}
	h.mu.Unlock()
	for _, e := range events {
		h.tell(e)
	}
	return nil
}

// Examine says what doctor should know; bad is what somebody has to look at.
func (h *Herald) Examine(add func(bad bool, do, what string, args ...any)) {
	for _, s := range h.Breakers.All() {
		if s.State != "closed" {
			add(true, "sallyport breakers", "cut off (%s): %s %s, because %s", s.State, s.Per, s.Name, s.Reason)
		}
	}
	for _, s := range h.Notifier.All() {
		if s.Error != "" {
			add(true, "look at notify: in the configuration", "%s is not told what happens, since %s: %s (%d lost, %d wait)",
				s.Name, s.Since.Format(time.RFC3339), s.Error, s.Lost, s.Waiting)
		} else {
			add(false, "", "%s is told what happens (%d times so far; %d were lost)", s.Name, s.Told, s.Lost)
		}
	}
}
