package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport"
	"sallyport/internal/store/index"
)

// project brings the projections up to date with the entries, of which recent
// are the newest, or nil. It may run in several processes at once: each batch
// is one transaction that begins where the last one ended.
func (r *Reader) project(ctx context.Context, recent []written) error {
	r.projecting.Lock()
	defer r.projecting.Unlock()
	for {
		more, err := r.projectBatch(ctx, recent)
		if err != nil {
			return fmt.Errorf("projecting entries: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// Reindex builds every projection anew from the entries.
func (r *Reader) Reindex(ctx context.Context) error {
	if err := r.forget(ctx); err != nil {
		return err
	}
	return r.project(ctx, nil)
}

func (r *Reader) forget(ctx context.Context) error {
	tx, err := r.index.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := index.Forget(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// maxBatch is how many entries are projected in one transaction.
const maxBatch = 4096

func (r *Reader) projectBatch(ctx context.Context, recent []written) (more bool, err error) {
	size, err := r.Size(ctx)
	if err != nil {
		return false, err
	}
	tx, err := r.index.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	next, err := r.position(ctx, tx, size)
	if errors.Is(err, errOtherLog) {
		tx.Rollback()
		return true, r.forget(ctx)
	}
	if err != nil || next == size {
		return false, err
	}
	batch, leaf := index.NewBatch(tx, r.Entry), sallyport.Digest{}
	for w, err := range r.written(ctx, next, min(size, next+maxBatch), recent) {
		if err != nil {
			return false, err
		}
		entry, err := w.parsed()
		if err != nil {
			return false, err
		}
		if err := batch.Add(ctx, entry); err != nil {
			return false, err
		}
		next, leaf = w.index+1, w.leaf
	}
	if err := batch.Save(ctx); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO position (one, next, leaf) VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE SET next = excluded.next, leaf = excluded.leaf",
		int64(next), leaf[:])
	if err != nil {
		return false, err
	}
	return next < size, tx.Commit()
}

var errOtherLog = errors.New("projections of other entries")

// position is the first entry that is not projected. Projections of another
// log, or of entries that are gone, are not gone on with.
func (r *Reader) position(ctx context.Context, tx *sql.Tx, size uint64) (uint64, error) {
	var next uint64
	var leaf []byte
	err := tx.QueryRowContext(ctx, "SELECT next, leaf FROM position").Scan(&next, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if next > size {
		return 0, errOtherLog
	}
	last, err := r.row(ctx, next-1)
	if err != nil {
		return 0, err
	}
	if sallyport.LeafHash(last.text) != sallyport.Digest(leaf) {
		return 0, errOtherLog
	}
	return next, nil
}
