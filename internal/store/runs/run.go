// Package runs keeps runs, one row each, and reads what the projections count
// of them.
package runs

import (
	"context"
	"database/sql"
	"errors"
)

// Schema is the table of sallyport.db.
const Schema = `
CREATE TABLE IF NOT EXISTS runs (
	id     TEXT PRIMARY KEY,
	parent TEXT NOT NULL,
	open   INTEGER NOT NULL,  -- 1 for those that are loaded at the start
	record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_open ON runs (id) WHERE open = 1;
CREATE INDEX IF NOT EXISTS runs_parent ON runs (parent) WHERE parent <> '';`

// Row is one run as it is kept. What the record says is nobody's business but
// of who wrote it.
type Row struct {
	ID, Parent string
	Open       bool // is loaded at the start
	Record     []byte
}

// Save writes rows, replacing those of the same id.
func Save(ctx context.Context, conn *sql.Conn, rows []Row) error {
	for _, row := range rows {
		open := 0
		if row.Open {
			open = 1
		}
		_, err := conn.ExecContext(ctx, `INSERT INTO runs (id, parent, open, record) VALUES ($1, $2, $3, $4)
			ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, open = excluded.open, record = excluded.record`,
			row.ID, row.Parent, open, row.Record)
		if err != nil {
			return err
		}
	}
	return nil
}

// Open loads the rows that are open.
func Open(ctx context.Context, db *sql.DB) (all []Row, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id, parent, record FROM runs WHERE open = 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row := Row{Open: true}
		if err := rows.Scan(&row.ID, &row.Parent, &row.Record); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// Get loads one row; its record is nil when there is none.
func Get(ctx context.Context, db *sql.DB, id string) (Row, error) {
	row := Row{ID: id}
	var open int
	err := db.QueryRowContext(ctx, "SELECT parent, open, record FROM runs WHERE id = $1", id).Scan(&row.Parent, &open, &row.Record)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	row.Open = open == 1
	return row, err
}

// Children names the runs below another.
func Children(ctx context.Context, db *sql.DB, parent string) (ids []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id FROM runs WHERE parent = $1 ORDER BY id", parent)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Count is what the log says of one run.
type Count struct {
	ID          string
	Agent       string
	User        string
	Tenant      string
	First, Last uint64 // entries
	Calls       int
	Denied      int // of them refused or held
	Open        int // intents without outcome
}

// Counts reads the projections: of one run or ("") of all, the latest first, at
// most limit.
func Counts(ctx context.Context, index *sql.DB, id string, limit int) (all []Count, err error) {
	rows, err := index.QueryContext(ctx,
		"SELECT run, agent, person, tenant, first, last, calls, denied, opened FROM runs WHERE $1 = '' OR run = $1 ORDER BY last DESC LIMIT $2", id, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Count
		if err := rows.Scan(&c.ID, &c.Agent, &c.User, &c.Tenant, &c.First, &c.Last, &c.Calls, &c.Denied, &c.Open); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}
