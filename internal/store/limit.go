package store

import (
	"context"
	"time"

	"sallyport/internal/store/index"
	"sallyport/internal/store/ledger"
)

// Ledger reads what was taken of limits, up to this moment.
func (s *Store) Ledger() ledger.Book { return ledger.Book{Conn: s.often, Live: s.committer.ledger} }

// DropCharges forgets what has stopped to count by the log's time: the clock may
// be ahead of it and be set back.
func (s *Store) DropCharges(ctx context.Context) error {
	return s.committer.change(ctx, ledger.Drop(&s.committer.head.time))
}

// Course is how what counts on an account of a limit came together.
func (r *Reader) Course(ctx context.Context, limit, account string, now time.Time) ([]index.Taken, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	return index.Course(ctx, r.index, limit, account, now)
}

// Spent is what calls took of each unit since a time.
func (r *Reader) Spent(ctx context.Context, since time.Time) ([]index.Taken, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	return index.Spent(ctx, r.index, since)
}

// Fired is how often each rule has decided, by its id.
func (r *Reader) Fired(ctx context.Context) (map[string]index.Fired, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	return index.Rules(ctx, r.index)
}
