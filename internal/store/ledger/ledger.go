// Package ledger keeps what calls take of limits, a row for each account and time
// at which charges of it stop to count. A row changes within the transaction that
// appends the entry about it, so the rows can be made again from the entries.
package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/limits"
	"sallyport/internal/store/database"
)

// Schema is the tables. Amounts are millionths, times Unix milliseconds.
const Schema = `
CREATE TABLE IF NOT EXISTS ledger (
	name     TEXT NOT NULL,     -- of the limit
	account  TEXT NOT NULL,
	until    INTEGER NOT NULL,  -- when it stops to count
	reserved INTEGER NOT NULL,  -- by calls that are under way
	used     INTEGER NOT NULL,
	label    TEXT NOT NULL,     -- the account as people read it; gone when the rows are made again
	PRIMARY KEY (name, account, until)
);
CREATE TABLE IF NOT EXISTS ledger_since (
	name    TEXT NOT NULL,
	account TEXT NOT NULL,
	since   INTEGER NOT NULL,  -- when it was charged first
	PRIMARY KEY (name, account)
);
CREATE TABLE IF NOT EXISTS ledger_costs (
	name   TEXT NOT NULL,
	action TEXT NOT NULL,
	most   INTEGER NOT NULL,  -- that such calls have cost lately
	PRIMARY KEY (name, action)
);`

// Ledger changes the rows, on the connection of the committer.
type Ledger struct {
	total, take, settle, tidy, since, cost *sql.Stmt
}

// Open makes a ledger of a connection. Rows that are not there are made again from
// the entries.
func Open(ctx context.Context, conn *sql.Conn) (*Ledger, error) {
	l := &Ledger{}
	for text, statement := range map[string]**sql.Stmt{
		"SELECT COALESCE(SUM(reserved + used), 0), COUNT(*) FROM ledger WHERE name = $1 AND account = $2 AND until > $3": &l.total,
		`INSERT INTO ledger (name, account, until, reserved, used, label) VALUES ($1, $2, $3, $4, 0, $5)
			ON CONFLICT (name, account, until) DO UPDATE SET reserved = ledger.reserved + excluded.reserved`: &l.take,
		`UPDATE ledger SET reserved = reserved - $1, used = CASE WHEN used + $2 > $3 THEN $4 ELSE used + $5 END
			WHERE name = $6 AND account = $7 AND until = $8`: &l.settle,
		"DELETE FROM ledger WHERE name = $1 AND account = $2 AND until <= $3":                        &l.tidy,
		"INSERT INTO ledger_since (name, account, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING": &l.since,
		// What was dear once is forgotten by and by.
		`INSERT INTO ledger_costs (name, action, most) VALUES ($1, $2, $3) ON CONFLICT (name, action) DO UPDATE
			SET most = CASE WHEN excluded.most > ledger_costs.most - ledger_costs.most / 50 THEN excluded.most ELSE ledger_costs.most - ledger_costs.most / 50 END`: &l.cost,
	} {
		var err error
		if *statement, err = conn.PrepareContext(ctx, database.Positional(text)); err != nil {
			return l, errors.Join(err, l.Close())
		}
	}
	return l, l.restore(ctx, conn)
}

// Close closes the statements.
func (l *Ledger) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, statement := range []*sql.Stmt{l.total, l.take, l.settle, l.tidy, l.since, l.cost} {
		if statement != nil {
			errs = append(errs, statement.Close())
		}
	}
	return errors.Join(errs...)
}

// Take is what a record wants of the ledger, and the lines of its entry as far as
// they are known before the transaction: as long as they will be.
func Take(record *sallyport.Record) (charges []sallyport.Charge, lines []string) {
	switch record.Entry.Type {
	case sallyport.Intent:
		return slices.Clone(record.Charges), sallyport.Reserved(record.Charges)
	case sallyport.Closed:
		return slices.Clone(record.Charges), sallyport.Settled(record.Charges)
	default:
		return nil, nil
	}
}

// Enter reserves what an intent takes, and settles what an outcome says: within
// the transaction of the entry.
func (l *Ledger) Enter(ctx context.Context, entry *sallyport.Entry, charges []sallyport.Charge) error {
	switch {
	case len(charges) == 0:
		return nil
	case entry.Type == sallyport.Closed:
		return l.Settle(ctx, charges)
	}
	err := l.Reserve(ctx, charges, entry.Time)
	entry.Charges = sallyport.Reserved(charges)
	return err
}

// Leave takes back what Enter reserved, when the entry is left out after all.
func (l *Ledger) Leave(ctx context.Context, entry *sallyport.Entry, charges []sallyport.Charge) error {
	if entry.Type != sallyport.Intent {
		return nil
	}
	return l.release(ctx, charges)
}

// Reserve takes charges, all or none: after sallyport.ErrFull nothing is taken,
// because one account has no room. It fills Before and Until. The time is the
// log's, which never goes back: a clock that is set back opens no window again.
func (l *Ledger) Reserve(ctx context.Context, charges []sallyport.Charge, at time.Time) error {
	for i := range charges {
		c := &charges[i]
		var before, rows int64
		if err := l.total.QueryRowContext(ctx, c.Limit, c.Account, at.UnixMilli()).Scan(&before, &rows); err != nil {
			return err
		}
		if c.Before = sallyport.Amount(before); c.Before+c.Amount > c.Ceiling {
			return cmp.Or(l.release(ctx, charges[:i]), sallyport.ErrFull)
		}
		c.Until = c.Window.Until(at)
		if rows == 0 { // a new window, or a new account
			if _, err := l.tidy.ExecContext(ctx, c.Limit, c.Account, at.UnixMilli()); err != nil {
				return err
			}
		}
		if _, err := l.take.ExecContext(ctx, c.Limit, c.Account, c.Until.UnixMilli(), int64(c.Amount), c.Label); err != nil {
			return err
		}
		if c.Ramped {
			if _, err := l.since.ExecContext(ctx, c.Limit, c.Account, at.UnixMilli()); err != nil {
				return err
			}
		}
	}
	return nil
}

// release gives back what was reserved, in the same transaction.
func (l *Ledger) release(ctx context.Context, charges []sallyport.Charge) error {
	for i := range charges {
		if err := l.move(ctx, &charges[i], 0); err != nil {
			return err
		}
	}
	return nil
}

// Settle ends reservations: what each came to counts instead. Where its window is
// over nothing counts any more.
func (l *Ledger) Settle(ctx context.Context, charges []sallyport.Charge) error {
	for i := range charges {
		c := &charges[i]
		if err := l.move(ctx, c, c.Cost); err != nil {
			return err
		}
		if c.Costly != "" {
			if _, err := l.cost.ExecContext(ctx, c.Limit, c.Costly, int64(c.Cost)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) move(ctx context.Context, c *sallyport.Charge, cost sallyport.Amount) error {
	most := int64(sallyport.MaxAmount)
	_, err := l.settle.ExecContext(ctx, int64(c.Amount), int64(cost), most, most, int64(cost), c.Limit, c.Account, c.Until.UnixMilli())
	return err
}

// Unsettled reads the charges of an intent whose outcome nobody knows: they are
// settled at what was reserved.
func Unsettled(lines []string) (charges []sallyport.Charge, err error) {
	for _, line := range lines {
		c, err := sallyport.ParseCharge(line)
		if err != nil {
			return nil, err
		}
		c.Cost = c.Amount
		charges = append(charges, c)
	}
	return charges, nil
}

// Conn reads.
type Conn interface {
	QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
}

// Book reads the rows.
type Book struct{ Conn Conn }

// Accounts are what counts against each charge's account at a time.
func (b Book) Accounts(ctx context.Context, charges []sallyport.Charge, now time.Time) ([]limits.Account, error) {
	all := make([]limits.Account, len(charges))
	for i := range charges {
		c := &charges[i]
		if c.Window.Kind == sallyport.PerCall {
			continue
		}
		parts, err := b.read(ctx, "name = $1 AND account = $2 AND until > $3 ORDER BY until", c.Limit, c.Account, now.UnixMilli())
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			all[i].Parts = append(all[i].Parts, p.Part)
		}
		if !c.Ramped {
			continue
		}
		var since int64
		err = b.Conn.QueryRowContext(ctx, "SELECT since FROM ledger_since WHERE name = $1 AND account = $2", c.Limit, c.Account).Scan(&since)
		if err == nil {
			all[i].Since = time.UnixMilli(since)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	return all, nil
}

// Row is one part of one account.
type Row struct {
	Limit, Account, Label string
	limits.Part
}

// List is every account of a limit or ("") of all, as far as it counts at a time:
// by limit, account and when it stops to count.
func (b Book) List(ctx context.Context, limit string, now time.Time) ([]Row, error) {
	return b.read(ctx, "name <> '' AND ($1 = '' OR name = $1) AND until > $2 ORDER BY name, account, until", limit, now.UnixMilli())
}

func (b Book) read(ctx context.Context, where string, args ...any) (all []Row, err error) {
	rows, err := b.Conn.QueryContext(ctx, "SELECT name, account, label, until, reserved, used FROM ledger WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		var until int64
		if err := rows.Scan(&r.Limit, &r.Account, &r.Label, &until, &r.Reserved, &r.Used); err != nil {
			return nil, err
		}
		r.Until = time.UnixMilli(until)
		all = append(all, r)
	}
	return all, rows.Err()
}

// Typical is the most that calls of an action have cost lately under a limit.
func (b Book) Typical(ctx context.Context, limit, action string) (most sallyport.Amount, ok bool, err error) {
	err = b.Conn.QueryRowContext(ctx, "SELECT most FROM ledger_costs WHERE name = $1 AND action = $2", limit, action).Scan(&most)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return most, err == nil, err
}

// Drop is the change that forgets what has stopped to count, by the time that it is
// when the change is made.
func Drop(now *time.Time) func(context.Context, *sql.Conn) error {
	return func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "DELETE FROM ledger WHERE until <= $1", now.UnixMilli())
		return err
	}
}

// whole marks rows that were made from all entries: it goes with them.
const whole = "('', '', 1 << 60, 0, 0, '')"

// restore makes the rows again when they are not there.
func (l *Ledger) restore(ctx context.Context, conn *sql.Conn) error {
	var marks int
	if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM ledger WHERE name = ''").Scan(&marks); err != nil || marks > 0 {
		return err
	}
	_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		err = l.rebuild(ctx, conn)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		conn.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("making the ledger of limits from the entries: %w", err)
	}
	return nil
}

// rebuild makes all rows again from the entries. What people read of the accounts
// is not in the log.
func (l *Ledger) rebuild(ctx context.Context, conn *sql.Conn) error {
	for _, statement := range []string{"DELETE FROM ledger", "DELETE FROM ledger_since", "DELETE FROM ledger_costs", "INSERT INTO ledger VALUES " + whole} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	rows, err := conn.QueryContext(ctx, "SELECT entry FROM entries ORDER BY idx")
	if err != nil {
		return err
	}
	defer rows.Close()
	open := map[string]*sallyport.Entry{} // intents with charges, by call
	var last time.Time
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if charged := bytes.Contains(text, []byte(`,"charges":[`)); !charged && len(open) == 0 {
			continue
		}
		entry, err := sallyport.ParseEntry(text)
		if err != nil {
			return err
		}
		last = entry.Time
		if err := l.replay(ctx, open, &entry); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return Drop(&last)(ctx, conn)
}

func (l *Ledger) replay(ctx context.Context, open map[string]*sallyport.Entry, entry *sallyport.Entry) error {
	switch intent := open[entry.Call]; {
	case entry.Type == sallyport.Intent && entry.Charges != nil:
		open[entry.Call] = entry
		charges, err := Unsettled(entry.Charges)
		if err != nil {
			return err
		}
		for _, c := range charges {
			if _, err := l.take.ExecContext(ctx, c.Limit, c.Account, c.Until.UnixMilli(), int64(c.Amount), c.Account); err != nil {
				return err
			}
			if _, err := l.since.ExecContext(ctx, c.Limit, c.Account, entry.Time.UnixMilli()); err != nil {
				return err
			}
		}
	case entry.Type == sallyport.Closed && intent != nil:
		delete(open, entry.Call)
		charges, err := Unsettled(intent.Charges)
		if err != nil {
			return err
		}
		came, err := Unsettled(entry.Charges)
		if err != nil {
			return err
		}
		for i := range charges {
			charges[i].Costly = intent.Action
			for _, c := range came {
				if c.Limit == charges[i].Limit {
					charges[i].Cost = c.Amount
				}
			}
		}
		return l.Settle(ctx, charges)
	}
	return nil
}
