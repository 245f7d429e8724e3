package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/asking"
)

// MaxWrong is how often what a yes takes may be typed wrongly to one question. Of
// 10,000 numbers nobody finds one by trying.
const MaxWrong = 5

// Guesses counts what was typed wrongly, in memory: whoever can start the gateway
// anew reads the number in its files. The zero Guesses has counted nothing.
type Guesses struct {
	mu    sync.Mutex
	wrong map[string]guess // by question
}

type guess struct {
	times int
	until time.Time // nobody can answer any more
}

// compare compares what was typed with what a yes takes, and says the how many'th
// wrong one it is. One is looked at at a time: of a thousand that are sent at once
// as few count as of a thousand in a row.
func (g *Guesses) compare(a *sallyport.Approval, shown asking.Proof, now time.Time) (times int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong[a.ID].times >= MaxWrong {
		return MaxWrong, asking.ErrTyped
	}
	if err = asking.Typed(a, shown); err == nil || strings.TrimSpace(shown.Typed) == "" {
		return 0, err
	}
	if g.wrong == nil {
		g.wrong = map[string]guess{}
	}
	for id, one := range g.wrong {
		if !now.Before(one.until) {
			delete(g.wrong, id)
		}
	}
	times = g.wrong[a.ID].times + 1
	g.wrong[a.ID] = guess{times, a.Expires}
	return times, err
}

// typed refuses a yes without what it takes, of a person who could give one.
// standing is what is compared with; too many wrong ones, and asked is refused.
func (i *Inbox) typed(ctx context.Context, asked, standing *sallyport.Approval, by string, shown asking.Proof) error {
	times, err := i.Guesses.compare(standing, shown, i.Now())
	if times < MaxWrong {
		return err
	}
	closed, moved := asked.Refuse(by, fmt.Sprintf("what a yes takes was typed wrongly %d times", MaxWrong), i.Now())
	if moved == nil {
		moved = i.Gateway.Answer(ctx, closed, by)
	}
	if moved != nil && !errors.Is(moved, sallyport.ErrOvertaken) {
		return moved // and none is looked at any more all the same
	}
	return fmt.Errorf("%w, for the %dth time: the question is refused", err, MaxWrong)
}

// failed puts on the record that somebody who is sure to be a person gave an
// answer that is none, and why as far as it is of use.
func (i *Inbox) failed(ctx context.Context, asked *sallyport.Approval, by string, err error) error {
	if err == nil {
		return nil
	}
	what := "not answered"
	if errors.Is(err, asking.ErrTyped) {
		what = "mistyped"
	}
	return errors.Join(err, i.Record(ctx, "approval "+what+" "+asked.ID, by, asked.Digest, sallyport.Digest{}))
}
