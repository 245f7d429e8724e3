// Package judge looks at what passes the gateway: with the built-in scanners
// and, where the operator named one, with a model at the end of an HTTP
// connection. What it says is a fact for policy and can only make a decision
// stricter; what fails, is too slow or costs too much says so in a finding.
package judge

import (
	"context"
	"time"

	"sallyport"
	"sallyport/internal/inspect"
)

// Scanners are the built-in scanners, kept from doing harm: one that crashes or
// takes too long has failed, and nothing more.
type Scanners struct {
	// Off says that the operator wants none.
	Off func() bool

	scan   func(sallyport.Value) *inspect.Seen // for tests; nil for inspect.Value
	within time.Duration                       // for tests; 0 for scanWithin
}

const (
	scanWithin = 2 * time.Second // for one value
	small      = 64 << 10        // bytes that are looked at without a watch: they take milliseconds at worst
)

// Arguments implements gateway.Inspector.
func (s *Scanners) Arguments(ctx context.Context, call *sallyport.Call, _ *sallyport.Definition) []sallyport.Finding {
	return s.look(ctx, call.Args).Findings
}

// Result implements gateway.Inspector.
func (s *Scanners) Result(ctx context.Context, _ *sallyport.Call, result sallyport.Value) *inspect.Seen {
	return s.look(ctx, result)
}

func (s *Scanners) look(ctx context.Context, v sallyport.Value) *inspect.Seen {
	if s.Off() {
		return inspect.Unlooked(v)
	}
	if len(v.Raw()) <= small && s.scan == nil {
		return s.safely(v)
	}
	within := s.within
	if within == 0 {
		within = scanWithin
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	done := make(chan *inspect.Seen, 1) // whoever is too late ends all the same: texts are bounded
	go func() { done <- s.safely(v) }()
	select {
	case seen := <-done:
		return seen
	case <-timer.C:
	case <-ctx.Done():
	}
	return failed(v)
}

// safely makes a crash a finding: a text that brings a scanner down is the last
// that should pass unseen.
func (s *Scanners) safely(v sallyport.Value) (seen *inspect.Seen) {
	defer func() {
		if recover() != nil {
			seen = failed(v)
		}
	}()
	if s.scan != nil {
		return s.scan(v)
	}
	return inspect.Value(v)
}

func failed(v sallyport.Value) *inspect.Seen {
	seen := inspect.Unlooked(v)
	seen.Failed(sallyport.AllScanners)
	return seen
}
