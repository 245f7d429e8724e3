// Package chores does what has to be done besides calls.
package chores

import (
	"context"
	"log/slog"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// tidyEvery is how often payloads beyond their retention time are dropped.
const tidyEvery = time.Hour

// Run does it until ctx ends, as the configuration in force wants it.
func Run(ctx context.Context, current func() *config.Config, kept *store.Store, runs *identity.Runs, log *slog.Logger) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		before := time.Now().Add(-time.Duration(current().Retention))
		if dropped, err := kept.DropPayloads(ctx, before); err != nil && ctx.Err() == nil {
			log.Error("payloads beyond their retention time are still there", "error", err)
		} else if dropped > 0 {
			log.Info("payloads beyond their retention time dropped", "segments", dropped)
		}
		if err := kept.DropCharges(ctx); err != nil && ctx.Err() == nil {
			log.Error("what has stopped to count under limits is still there", "error", err)
		}
		if err := runs.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Error("runs that have expired are still kept as open", "error", err)
		}
		if after := time.Duration(current().Runs.Standing); after > 0 {
			if err := runs.Renew(ctx, after); err != nil && ctx.Err() == nil {
				log.Error("standing runs stand longer than the configuration says", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
