package app

import (
	"context"
	"time"
)

// tidyEvery is how often payloads beyond their retention time are dropped.
const tidyEvery = time.Hour

// chores runs what has to be done besides calls, until ctx ends.
func (a *App) chores(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		before := time.Now().Add(-time.Duration(a.config().Retention))
		if dropped, err := a.store.DropPayloads(ctx, before); err != nil && ctx.Err() == nil {
			a.log.Error("payloads beyond their retention time are still there", "error", err)
		} else if dropped > 0 {
			a.log.Info("payloads beyond their retention time dropped", "segments", dropped)
		}
		if err := a.store.DropCharges(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("what has stopped to count under limits is still there", "error", err)
		}
		if err := a.runs.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("runs that have expired are still kept as open", "error", err)
		}
		if after := time.Duration(a.config().Runs.Standing); after > 0 {
			if err := a.runs.Renew(ctx, after); err != nil && ctx.Err() == nil {
				a.log.Error("standing runs stand longer than the configuration says", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
