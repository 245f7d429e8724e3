package gateway

import (
	"context"

	"sallyport"
)

// RunChange is what happens to a run itself: it begins, it is told something,
// it ends.
type RunChange struct {
	What      string // "run begun", "run told", "run ended"
	Run       sallyport.Run
	Principal sallyport.Principal
	By        string
	Words     []byte // what was said, as JSON, nil for nothing: a payload like any other of the run
}

// RecordRun makes a change of a run durable and says where in the log it
// stands. An error means that it must not take place.
func (g *Gateway) RecordRun(ctx context.Context, change RunChange) (index uint64, err error) {
	record := &sallyport.Record{Args: change.Words, Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: change.What + " " + change.Run.ID, By: change.By,
		Principal: change.Principal, Run: change.Run.ID, ParentRun: change.Run.Parent,
	}}
	if err := g.Log.Commit(ctx, record); err != nil {
		return 0, err
	}
	return record.Entry.Index, nil
}
