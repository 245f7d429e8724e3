// Package attend measures how people look at what they are asked, and writes it into
// the entries of their answers; and it counts how much they are asked.
package attend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/attention"
	"sallyport/internal/card"
	"sallyport/internal/gateway"
	"sallyport/internal/store"
)

// Attend is the gateway's log before the real one. Every field must be set.
type Attend struct {
	gateway.Log
	Store  Store
	Terms  func() *asking.Terms
	People func() []string // who have enrolled
	Err    *slog.Logger

	looks attention.Looks
	loads attention.Loads
	begin sync.Once // what was asked today before the start is counted

	mu    sync.Mutex
	day   string
	hasty map[string]int // on that day, since the start, by person
}

// Store has what is on the record.
type Store interface {
	// Approval is the last question with a digest, a zero one when there never was
	// any. An error means that nobody knows.
	Approval(ctx context.Context, digest sallyport.Digest) (sallyport.Approval, error)
	// Approvals are all that are kept, and the ids of those that are damaged.
	Approvals(ctx context.Context) (all []sallyport.Approval, damaged []string, err error)
	// Query finds entries, the newest first.
	Query(ctx context.Context, filter store.Filter) ([]store.Found, error)
}

// today counts, once, what people were asked today before the start.
func (a *Attend) today(ctx context.Context) {
	a.begin.Do(func() {
		kept, _, err := a.Store.Approvals(context.WithoutCancel(ctx))
		if err != nil {
			a.Err.Error("what people were asked today before the start is not counted", "error", err)
		}
		terms, now := a.Terms(), time.Now()
		for _, q := range kept {
			if attention.Day(q.Asked) == attention.Day(now) && q.Narrows == "" { // what people agree to in place of another is not asked
				a.loads.Ask(terms.Asked(&q, q.Asked), now, 0, false)
			}
		}
	})
}

// Commit implements gateway.Log.
func (a *Attend) Commit(ctx context.Context, record *sallyport.Record) error {
	switch {
	case record.Approval == nil:
	case record.Entry.Type == sallyport.Held:
		return a.ask(ctx, record)
	case record.Entry.Type == sallyport.Change:
		return a.answer(ctx, record)
	}
	return a.Log.Commit(ctx, record)
}

// full says that people can't be asked any more today. To the gateway it is as when
// an agent waits for as many answers as it may.
type full struct{ questions int }

func (f full) Error() string {
	return fmt.Sprintf("all who could answer have been asked %d questions today, and are asked no more before midnight, UTC", f.questions)
}

func (full) Is(target error) bool { return target == sallyport.ErrCrowded }

// ask counts a question for those whom it reaches. One that is open already reaches
// nobody again.
func (a *Attend) ask(ctx context.Context, record *sallyport.Record) error {
	e, q := &record.Entry, record.Approval
	e.Class = q.Class.Known()
	if was, err := a.Store.Approval(ctx, q.Digest); err == nil && !was.At(e.Time).Over(e.Time) {
		return a.Log.Commit(ctx, record)
	}
	a.today(ctx)
	terms := a.Terms()
	people := terms.Asked(q, e.Time)
	above, ok := a.loads.Ask(people, e.Time, terms.Load, terms.Never)
	if !ok {
		return full{terms.Load}
	}
	err := a.Log.Commit(ctx, record)
	if err != nil || record.Approval.Call != e.Call { // another put it just now
		a.loads.TakeBack(people, e.Time)
		return err
	}
	for _, who := range above {
		a.tell(context.WithoutCancel(ctx), who, e.Time, terms.Load)
	}
	return nil
}

// tell puts on the record that somebody is asked more than they can look at.
func (a *Attend) tell(ctx context.Context, who string, at time.Time, most int) {
	err := a.Log.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{Time: at, Type: sallyport.Change, By: "attention",
		Subject: fmt.Sprintf("load of %s above %d on %s", who, most, attention.Day(at)),
		Reason:  "more questions reach this person than the configuration says that anybody looks at: write rules that ask less, or grants"}})
	if err != nil {
		a.Err.Error("that a person is asked too much could not be recorded", "person", who, "error", err)
	}
}

// answer writes beside a person's answer how long they had before them what they
// answer, and how long it takes to read.
func (a *Attend) answer(ctx context.Context, record *sallyport.Record) error {
	e, q := &record.Entry, record.Approval
	e.Class = q.Class.Known()
	if !slices.Contains(a.People(), e.By) {
		return a.Log.Commit(ctx, record)
	}
	took, with := a.looks.Answered(e.By, q.ID, e.Time)
	e.Took, e.Read = took, reading(q, with)
	err := a.Log.Commit(ctx, record)
	if err == nil && attention.Hasty(e) {
		a.hurried(e.By, e.Time)
	}
	return err
}

// reading is how long it takes at least to read a question, and as many equal ones.
func reading(q *sallyport.Approval, with int) time.Duration {
	c, err := card.New(q, card.Around{})
	if err != nil { // it can't be shown, and can be refused
		c = card.Bare(q)
	}
	return c.Reading() + time.Duration(with-1)*c.ReadingValues()
}

func (a *Attend) hurried(who string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if day := attention.Day(at); day != a.day {
		a.day, a.hasty = day, map[string]int{}
	}
	a.hasty[who]++
}

// Shown implements control.Attention.
func (a *Attend) Shown(ctx context.Context, who string, questions ...string) {
	if !slices.Contains(a.People(), who) {
		return
	}
	now := time.Now()
	for _, id := range questions {
		a.looks.Shown(who, id, now, now.Add(a.Terms().Expire))
	}
}

// Together says that a person answers questions at once.
func (a *Attend) Together(who string, questions []string) { a.looks.Together(who, questions) }

// mostEntries is how many entries are counted at most.
const mostEntries = 100_000

// Stats implements control.Attention.
func (a *Attend) Stats(ctx context.Context, since, until time.Time) (attention.Stats, error) {
	var entries []sallyport.Entry
	for _, kind := range []sallyport.EntryType{sallyport.Held, sallyport.Change} {
		found, err := a.Store.Query(ctx, store.Filter{Type: kind, Since: since, Until: until, Limit: mostEntries})
		if err != nil {
			return attention.Stats{}, err
		}
		if len(found) == mostEntries {
			return attention.Stats{}, errors.New("there is more than can be counted at once: ask for a shorter time")
		}
		for _, f := range found {
			entries = append(entries, f.Entry)
		}
	}
	slices.SortFunc(entries, func(a, b sallyport.Entry) int { return cmp.Compare(a.Index, b.Index) })
	kept, _, err := a.Store.Approvals(ctx)
	if err != nil {
		return attention.Stats{}, err
	}
	waiting, now, terms := map[string]bool{}, time.Now(), a.Terms()
	for _, q := range kept {
		waiting[q.ID] = q.At(now).State == sallyport.Pending
	}
	return attention.Count(entries, attention.Around{Since: since, Until: until, Cap: terms.Load,
		Waiting: func(id string) bool { return waiting[id] },
		Asked: func(e *sallyport.Entry) []string {
			return terms.Asked(&sallyport.Approval{Principal: e.Principal, Class: e.Class, Rules: []sallyport.Rule{{Ask: e.Asks}}, Asked: e.Time}, e.Time)
		}}), nil
}

// Examine says what doctor should know; bad is what somebody has to look at.
func (a *Attend) Examine(ctx context.Context, add func(bad bool, do, what string, args ...any)) {
	a.today(ctx)
	now, most := time.Now(), a.Terms().Load
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, who := range a.People() {
		if n := a.loads.Of(who, now); n > most {
			add(true, "sallyport approvals stats", "%s was asked %d questions today, and nobody looks at more than %d (approvals: load)", who, n, most)
		}
		if n := a.hasty[who]; n > 0 && a.day == attention.Day(now) {
			add(true, "sallyport approvals stats", "%s said yes %d times today faster than what was asked can be read", who, n)
		}
	}
}
