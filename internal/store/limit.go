package store

import (
	"context"

	"sallyport/internal/store/ledger"
)

// Ledger reads what was taken of limits, up to this moment.
func (s *Store) Ledger() ledger.Book { return ledger.Book{Conn: s.db, Live: s.committer.ledger} }

// DropCharges forgets what has stopped to count by the log's time: the clock may
// be ahead of it and be set back.
func (s *Store) DropCharges(ctx context.Context) error {
	return s.committer.change(ctx, ledger.Drop(&s.committer.head.time))
}
