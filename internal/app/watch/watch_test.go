package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/manifest"
)

// peer is a server that a test lets fail.
type peer struct {
	fetched, seen, lost atomic.Int32
	err                 atomic.Pointer[error]
}

func (p *peer) fails(err error) { p.err.Store(&err) }

func watching(p *peer) *Watch {
	return &Watch{
		Fetch: func(ctx context.Context, server string) (manifest.Manifest, error) {
			p.fetched.Add(1)
			if err := p.err.Load(); err != nil && *err != nil {
				return manifest.Manifest{}, *err
			}
			return manifest.Manifest{Server: server}, nil
		},
		Saw:  func(context.Context, manifest.Manifest) error { p.seen.Add(1); return nil },
		Lost: func(string, error) { p.lost.Add(1) },
		Log:  slog.New(slog.DiscardHandler),
	}
}

func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		p.fails(errors.New("refused"))
		w := watching(p)
		defer w.Close()
		w.Follow(t.Context(), "s")
		if !w.Settle(t.Context()) {
			t.Fatal("never settled")
		}
		if state, err := w.StateOf("s"); state != Unreachable || err == nil {
			t.Errorf("%s, %v", state, err)
		}
		time.Sleep(10 * time.Minute)
		if n := p.fetched.Load(); n < 10 || n > 20 {
			t.Errorf("an unreachable server was tried %d times in ten minutes", n)
		}
		if n := p.lost.Load(); n != 1 {
			t.Errorf("it was told %d times", n)
		}
		p.fails(nil)
		time.Sleep(retryLast)
		if state, err := w.StateOf("s"); state != Ready || err != nil || p.seen.Load() != 1 {
			t.Errorf("%s, %v, seen %d times", state, err, p.seen.Load())
		}
		time.Sleep(time.Hour)
		if p.seen.Load() != 1 {
			t.Error("a server that says nothing new is asked again and again")
		}
	})
}

func TestChangesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		w := watching(p)
		defer w.Close()
		w.Follow(t.Context(), "s")
		w.Settle(t.Context())
		for range 100 {
			w.Changed("s")
			w.Changed("another")
		}
		time.Sleep(time.Second)
		if n := p.seen.Load(); n != 2 {
			t.Errorf("100 notifications made %d fetches", n-1)
		}
		w.Changed("s")
		time.Sleep(time.Second)
		if n := p.seen.Load(); n != 3 {
			t.Errorf("seen %d times", n)
		}
	})
}

func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		w := watching(p)
		w.Follow(t.Context(), "s")
		w.Settle(t.Context())
		w.Forget("s")
		w.Changed("s")
		time.Sleep(time.Hour)
		if state, _ := w.StateOf("s"); state != Stopped || p.seen.Load() != 1 {
			t.Errorf("%s, seen %d times", state, p.seen.Load())
		}
		w.Close() // returns only when nothing runs any more
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		w := watching(p)
		defer w.Close()
		w.Refuse("s", errors.New("no secret"))
		w.Refuse("s", errors.New("no secret"))
		if n := p.lost.Load(); n != 1 {
			t.Errorf("it was told %d times", n)
		}
		if !w.Settled() || !w.Refused("s") || w.Refused("another") {
			t.Error("a server that can't be tried is waited for")
		}
		if state, err := w.StateOf("s"); state != Unreachable || err == nil {
			t.Errorf("%s, %v", state, err)
		}
		w.Follow(t.Context(), "s")
		w.Settle(t.Context())
		if w.Refused("s") || p.seen.Load() != 1 {
			t.Error("it is not tried once it can be")
		}
	})
}

func TestSettleEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watching(&peer{})
		stuck, free := context.WithCancel(t.Context())
		w.Fetch = func(ctx context.Context, server string) (manifest.Manifest, error) {
			<-stuck.Done()
			return manifest.Manifest{}, ctx.Err()
		}
		w.Follow(t.Context(), "s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if w.Settle(ctx) || w.Settled() {
			t.Error("settled, and the server was not tried")
		}
		free()
		w.Close()
	})
}
