package store

import (
	"context"

	"sallyport/internal/store/ledger"
)

// Ledger reads what was taken of limits.
func (r *Reader) Ledger() ledger.Book { return ledger.Book{Conn: r.db} }

// DropCharges forgets what has stopped to count by the log's time: the clock may
// be ahead of it and be set back.
func (s *Store) DropCharges(ctx context.Context) error {
	return s.committer.change(ctx, ledger.Drop(&s.committer.head.time))
}
