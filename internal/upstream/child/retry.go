package child

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry puts off the next start of a command that keeps failing, longer each
// time. The zero Retry lets the first start happen at once.
type Retry struct {
	mu    sync.Mutex
	delay *backoff.ExponentialBackOff
	next  time.Time
}

const (
	// shortWait is how long Wait waits; beyond it it refuses at once.
	shortWait = 2 * time.Second
	// steadyAfter is how long a process must have lived for its end not to
	// count as a failure to start.
	steadyAfter = 10 * time.Second
)

// Wait returns when the command may be started.
func (r *Retry) Wait(ctx context.Context) error {
	r.mu.Lock()
	wait := time.Until(r.next)
	r.mu.Unlock()
	if wait > shortWait {
		return fmt.Errorf("keeps failing; the next attempt to start it is in %s (its log lines say why)", wait.Round(time.Second))
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended is told how long the command lived, 0 when it did not start.
func (r *Retry) Ended(lived time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.delay == nil || lived >= steadyAfter {
		r.delay = &backoff.ExponentialBackOff{InitialInterval: 500 * time.Millisecond, RandomizationFactor: .5, Multiplier: 2, MaxInterval: time.Minute}
	}
	if lived < steadyAfter {
		r.next = time.Now().Add(r.delay.NextBackOff())
	}
}
