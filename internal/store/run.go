package store

import (
	"context"
	"database/sql"

	"sallyport/internal/store/runs"
)

// OpenRuns loads the runs that go on, and the standing ones.
func (r *Reader) OpenRuns(ctx context.Context) ([]runs.Row, error) { return runs.Open(ctx, r.db) }

// RunRow loads one run; its record is nil when there is none.
func (r *Reader) RunRow(ctx context.Context, id string) (runs.Row, error) {
	return runs.Get(ctx, r.db, id)
}

// ChildRuns names the runs that began below another.
func (r *Reader) ChildRuns(ctx context.Context, parent string) ([]string, error) {
	return runs.Children(ctx, r.db, parent)
}

// SaveRuns writes runs durably, all or none.
func (s *Store) SaveRuns(ctx context.Context, rows []runs.Row) error {
	return s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error { return runs.Save(ctx, conn, rows) })
}

// Runs counts the calls of one run or ("") of all, the latest first, at most
// limit.
func (r *Reader) Runs(ctx context.Context, id string, limit int) ([]runs.Count, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	return runs.Counts(ctx, r.index, id, limit)
}
