// Package inflight knows an agent's open requests by their ids.
package inflight

import (
	"context"
	"errors"
	"sync"

	"sallyport"
	"sallyport/internal/wire"
)

// The reasons for which a request ends early.
var (
	ErrCancelled = errors.New("cancelled by the agent")
	ErrOver      = errors.New("the session has ended")
)

// Requests are those of one agent that are open.
type Requests struct {
	mu   sync.Mutex
	over bool
	open map[string]context.CancelCauseFunc
}

// Begin opens a request: its context ends with parent, or when the agent
// cancels the id. A second request under an id that is still open is refused,
// because an answer or a cancellation could mean either.
func (c *Requests) Begin(parent context.Context, id sallyport.Value) (ctx context.Context, done func(), err error) {
	key := wire.IDKey(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil, nil, ErrOver
	}
	if c.open[key] != nil {
		return nil, nil, errors.New("a request with this id is still open")
	}
	if c.open == nil {
		c.open = map[string]context.CancelCauseFunc{}
	}
	ctx, cancel := context.WithCancelCause(parent)
	c.open[key] = cancel
	return ctx, func() {
		c.mu.Lock()
		delete(c.open, key)
		c.mu.Unlock()
		cancel(nil)
	}, nil
}

// Cancel ends a request at the agent's wish.
func (c *Requests) Cancel(id sallyport.Value) {
	c.mu.Lock()
	cancel := c.open[wire.IDKey(id)]
	c.mu.Unlock()
	if cancel != nil {
		cancel(ErrCancelled)
	}
}

// End cancels all requests and admits no more. It reports false when it has
// been done before.
func (c *Requests) End() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.over
	c.over = true
	for _, cancel := range c.open {
		cancel(ErrOver)
	}
	return first
}

// Any reports whether one is open.
func (c *Requests) Any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0
}
