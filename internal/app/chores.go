package app

import (
	"context"
	"time"

	"sallyport"
)

const (
	// taskMemory is how many of the last entries are searched for tasks that
	// were open when the gateway stopped.
	taskMemory = 50_000
	// tidyEvery is how often payloads beyond their retention time are dropped.
	tidyEvery = time.Hour
)

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
		if err := a.runs.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("runs that have expired are still kept as open", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// restoreTasks reopens the tickets of tasks: whoever opened one may ask for it
// after a restart, and nobody else.
func (a *App) restoreTasks(ctx context.Context) error {
	size, err := a.store.Size(ctx)
	if err != nil {
		return err
	}
	from := uint64(0)
	if size > taskMemory {
		from = size - taskMemory
	}
	for e, err := range a.store.Entries(ctx, from, size) {
		if err != nil {
			return err
		}
		if e.Type == sallyport.Closed && e.Task != "" {
			a.gateway.RestoreTask(e.Task, a.opening(ctx, &e))
		}
	}
	return nil
}

// lost stands for arguments that are not there any more. It fits no tool, so a
// task whose arguments nobody knows can be read and cancelled, but not fed.
var lost = sallyport.MustParse("null")

// opening is the call that opened a task, of which e is the outcome.
func (a *App) opening(ctx context.Context, e *sallyport.Entry) *sallyport.Call {
	call := &sallyport.Call{
		ID: e.Call, Kind: e.Kind, Server: e.Server, Name: e.Name, Principal: e.Principal, Run: sallyport.Run{ID: e.Run}, Parent: e.Parent, Args: lost,
	}
	shown, err := a.store.Show(ctx, e.Call)
	if err != nil || shown[0].ArgsErr != nil {
		return call
	}
	call.Door, call.Args = shown[0].Entry.Door, sallyport.Value{}
	if shown[0].Args != nil {
		if call.Args, err = sallyport.Parse(shown[0].Args.Text); err != nil {
			call.Args = lost
		}
	}
	return call
}
