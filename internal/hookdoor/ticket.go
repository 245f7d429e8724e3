package hookdoor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
)

// maxOpen is how many calls of one run may be open. A client that opens more
// has forgotten the first.
const maxOpen = 64

// key names an open call of a client.
type key struct{ run, session, use string }

// open is a call that the client carries out just now.
type open struct {
	key    key
	digest sallyport.Digest // of what was decided
	ticket *gateway.Ticket
	timer  *time.Timer
}

// tickets are the open calls. They are in memory alone: after a restart their
// outcome is unknown, and what they brought counts as the worst.
type tickets struct {
	mu   sync.Mutex
	runs map[string][]*open // the oldest first
}

// keep keeps a call until its result comes, or until it is over; then lose is
// told. Of too many in one run the oldest is over.
func (t *tickets) keep(o *open, deadline time.Duration, lose func(*open, string)) {
	t.mu.Lock()
	if t.runs == nil {
		t.runs = map[string][]*open{}
	}
	o.timer = time.AfterFunc(deadline, func() {
		if t.take(func(other *open) bool { return other == o }, o.key.run) != nil {
			lose(o, fmt.Sprintf("the client did not say within %s what came of it", deadline))
		}
	})
	t.runs[o.key.run] = append(t.runs[o.key.run], o)
	var oldest *open
	if len(t.runs[o.key.run]) > maxOpen {
		oldest = t.runs[o.key.run][0]
	}
	t.mu.Unlock()
	if oldest != nil && t.take(func(other *open) bool { return other == oldest }, o.key.run) != nil {
		lose(oldest, "the client has opened too many calls since")
	}
}

// take takes the first open call of a run that fits, nil where there is none.
func (t *tickets) take(fits func(*open) bool, run string) *open {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.runs[run]
	i := slices.IndexFunc(all, fits)
	if i < 0 {
		return nil
	}
	o := all[i]
	if t.runs[run] = slices.Delete(all, i, i+1); len(t.runs[run]) == 0 {
		delete(t.runs, run)
	}
	o.timer.Stop()
	return o
}

// lose ends a call whose result the agent may have got and nobody here has seen.
func (d *Door) lose(ctx context.Context, ticket *gateway.Ticket, why string) {
	d.Missed(ticket.Call)
	// Where even that can't be recorded, the next start records the same.
	_, _ = ticket.Close(context.WithoutCancel(ctx), gateway.Answer{}, fmt.Errorf("%w: %s", gateway.ErrUnanswered, why))
}
