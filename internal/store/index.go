package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport"
	"sallyport/internal/store/database"
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
	for _, statement := range []string{"DELETE FROM position", "DELETE FROM records", "DELETE FROM runs"} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
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
	p := projection{runs: map[string]*runRow{}, open: map[string]*recordRow{}}
	for w, err := range r.written(ctx, next, min(size, next+maxBatch), recent) {
		if err != nil {
			return false, err
		}
		entry, err := w.parsed()
		if err != nil {
			return false, err
		}
		if err := p.add(ctx, tx, entry); err != nil {
			return false, err
		}
		next, p.leaf = w.index+1, sallyport.LeafHash(w.text)
	}
	if err := p.save(ctx, tx); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO position (one, next, leaf) VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE SET next = excluded.next, leaf = excluded.leaf",
		int64(next), p.leaf[:])
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

// projection gathers what one batch changes.
type projection struct {
	records []*recordRow
	open    map[string]*recordRow // intents of this batch without outcome, by call
	runs    map[string]*runRow
	leaf    sallyport.Digest
}

type recordRow struct {
	entry   *sallyport.Entry
	outcome sallyport.Outcome
	closed  uint64
}

type runRow struct {
	principal             sallyport.Principal
	first, last           uint64
	calls, denied, opened int
}

func (p *projection) add(ctx context.Context, tx *sql.Tx, e *sallyport.Entry) error {
	if e.Run != "" {
		p.run(e)
	}
	if e.Type != sallyport.Closed {
		record := &recordRow{entry: e}
		p.records = append(p.records, record)
		if e.Type == sallyport.Intent {
			p.open[e.Call] = record
		}
		return nil
	}
	if record := p.open[e.Call]; record != nil {
		record.outcome, record.closed = e.Outcome, e.Index
		delete(p.open, e.Call)
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE records SET outcome = $1, closed = $2 WHERE call = $3 AND type = 'intent' AND outcome = ''",
		string(e.Outcome), int64(e.Index), e.Call)
	return err
}

func (p *projection) run(e *sallyport.Entry) {
	run := p.runs[e.Run]
	if run == nil {
		run = &runRow{principal: e.Principal, first: e.Index}
		p.runs[e.Run] = run
	}
	run.last = e.Index
	switch e.Type {
	case sallyport.Intent:
		run.calls++
		run.opened++
	case sallyport.Refusal, sallyport.Held:
		run.calls++
		run.denied++
	case sallyport.Closed:
		run.opened--
	}
}

func (p *projection) save(ctx context.Context, tx *sql.Tx) error {
	insert, err := tx.PrepareContext(ctx, database.Positional(`INSERT INTO records
		(idx, type, call, agent, person, tenant, run, server, name, verdict, observed, subject, outcome, closed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`))
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, record := range p.records {
		e := record.entry
		verdict, observed := "", 0
		if e.Type != sallyport.Change {
			verdict = e.Verdict.String()
		}
		if e.Observed {
			observed = 1
		}
		_, err := insert.ExecContext(ctx, int64(e.Index), string(e.Type), e.Call, e.Principal.Agent, e.Principal.User,
			e.Principal.Tenant, e.Run, e.Server, e.Name, verdict, observed, e.Subject, string(record.outcome), int64(record.closed))
		if err != nil {
			return err
		}
	}
	for name, run := range p.runs {
		_, err := tx.ExecContext(ctx, `INSERT INTO runs (run, agent, person, tenant, first, last, calls, denied, opened)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (run) DO UPDATE SET last = excluded.last, calls = runs.calls + excluded.calls,
				denied = runs.denied + excluded.denied, opened = runs.opened + excluded.opened`,
			name, run.principal.Agent, run.principal.User, run.principal.Tenant, int64(run.first), int64(run.last),
			run.calls, run.denied, run.opened)
		if err != nil {
			return err
		}
	}
	return nil
}
