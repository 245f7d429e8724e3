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
	"sync"
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

// Ledger takes charges, as the committer goes. It holds the accounts that are in
// use, so that a charge costs no look into the database, and writes each that has
// changed once for all charges of a transaction: only the committer changes rows.
type Ledger struct {
	load, put, tidy, since, cost *sql.Stmt

	mu       sync.Mutex
	accounts map[key]*account
	changed  []*account // by the current transaction
}

type key struct{ limit, account string }

// account is the parts that still count, by when they stop to.
type account struct {
	key
	label   string
	parts   []part
	expired int64 // up to when rows are to be deleted, 0 for none
	listed  bool  // among those that have changed
}

type part struct {
	until          int64 // Unix milliseconds
	reserved, used sallyport.Amount
	changed        bool
}

// maxAccounts is how many accounts are held between two transactions.
const maxAccounts = 10_000

// Open makes a ledger of a connection. Rows that are not there are made again from
// the entries.
func Open(ctx context.Context, conn *sql.Conn) (*Ledger, error) {
	l := &Ledger{accounts: map[key]*account{}}
	for text, statement := range map[string]**sql.Stmt{
		"SELECT until, reserved, used FROM ledger WHERE name = $1 AND account = $2 ORDER BY until": &l.load,
		`INSERT INTO ledger (name, account, until, reserved, used, label) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (name, account, until) DO UPDATE SET reserved = excluded.reserved, used = excluded.used`: &l.put,
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
	for _, statement := range []*sql.Stmt{l.load, l.put, l.tidy, l.since, l.cost} {
		if statement != nil {
			errs = append(errs, statement.Close())
		}
	}
	return errors.Join(errs...)
}

// Take is what a record wants of the ledger.
func Take(record *sallyport.Record) []sallyport.Charge {
	switch record.Entry.Type {
	case sallyport.Intent, sallyport.Closed:
		return slices.Clone(record.Charges)
	default:
		return nil
	}
}

// Lines are charges as an entry of that type has them.
func Lines(of sallyport.EntryType, charges []sallyport.Charge) []string {
	if of == sallyport.Closed {
		return sallyport.Settled(charges)
	}
	return sallyport.Reserved(charges)
}

// Enter reserves what an intent takes, all or nothing, and settles what an outcome
// says. After sallyport.ErrFull nothing is taken, because one account has no room.
func (l *Ledger) Enter(ctx context.Context, entry *sallyport.Entry, charges []sallyport.Charge) error {
	if len(charges) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if entry.Type == sallyport.Intent {
		err = l.reserve(ctx, charges, entry.Time)
	} else {
		err = l.settle(ctx, charges)
	}
	entry.Charges = Lines(entry.Type, charges)
	return err
}

// Leave takes back what Enter reserved, when the entry is left out after all.
func (l *Ledger) Leave(ctx context.Context, entry *sallyport.Entry, charges []sallyport.Charge) error {
	if entry.Type != sallyport.Intent {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.release(ctx, charges)
}

// Flush writes what has changed, within the transaction.
func (l *Ledger) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.changed {
		if a.expired > 0 {
			if _, err := l.tidy.ExecContext(ctx, a.limit, a.account, a.expired); err != nil {
				return err
			}
		}
		for i := range a.parts {
			p := &a.parts[i]
			if !p.changed {
				continue
			}
			if _, err := l.put.ExecContext(ctx, a.limit, a.account, p.until, int64(p.reserved), int64(p.used), a.label); err != nil {
				return err
			}
			p.changed = false
		}
		a.expired, a.listed = 0, false
	}
	if l.changed = l.changed[:0]; len(l.accounts) > maxAccounts {
		clear(l.accounts)
	}
	return nil
}

// Forget has everything read again: the transaction has failed.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = nil
	clear(l.accounts)
}

// of is the account of a charge.
func (l *Ledger) of(ctx context.Context, c *sallyport.Charge) (*account, error) {
	k := key{c.Limit, c.Account}
	if a := l.accounts[k]; a != nil {
		a.label = cmp.Or(a.label, c.Label) // what a crash left has none
		return a, nil
	}
	rows, err := l.load.QueryContext(ctx, c.Limit, c.Account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	a := &account{key: k, label: c.Label}
	for rows.Next() {
		var p part
		if err := rows.Scan(&p.until, &p.reserved, &p.used); err != nil {
			return nil, err
		}
		a.parts = append(a.parts, p)
	}
	l.accounts[k] = a
	return a, rows.Err()
}

func (l *Ledger) change(a *account) {
	if !a.listed {
		a.listed = true
		l.changed = append(l.changed, a)
	}
}

// reserve fills Before and Until. The time is the log's, which never goes back: a
// clock that is set back opens no window again.
func (l *Ledger) reserve(ctx context.Context, charges []sallyport.Charge, at time.Time) error {
	for i := range charges {
		c := &charges[i]
		a, err := l.of(ctx, c)
		if err != nil {
			return err
		}
		now := at.UnixMilli()
		if n := len(a.parts); n > 0 {
			if a.parts = slices.DeleteFunc(a.parts, func(p part) bool { return p.until <= now }); len(a.parts) < n {
				a.expired = now
				l.change(a)
			}
		}
		c.Before = 0
		for _, p := range a.parts {
			c.Before += p.reserved + p.used
		}
		if c.Before+c.Amount > c.Ceiling {
			return cmp.Or(l.release(ctx, charges[:i]), sallyport.ErrFull)
		}
		c.Until = c.Window.Until(at)
		l.add(a, c)
		if c.Ramped {
			if _, err := l.since.ExecContext(ctx, c.Limit, c.Account, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// add reserves a charge on its account.
func (l *Ledger) add(a *account, c *sallyport.Charge) {
	until := c.Until.UnixMilli()
	where, found := slices.BinarySearchFunc(a.parts, until, func(p part, until int64) int { return cmp.Compare(p.until, until) })
	if !found {
		a.parts = slices.Insert(a.parts, where, part{until: until})
	}
	a.parts[where].reserved += c.Amount
	a.parts[where].changed = true
	l.change(a)
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

// settle ends reservations: what each came to counts instead.
func (l *Ledger) settle(ctx context.Context, charges []sallyport.Charge) error {
	for i := range charges {
		c := &charges[i]
		if err := l.move(ctx, c, c.Cost); err != nil {
			return err
		}
		if c.Costly != "" && c.Cost > 0 { // or failing for nothing would make the next estimate small
			if _, err := l.cost.ExecContext(ctx, c.Limit, c.Costly, int64(c.Cost)); err != nil {
				return err
			}
		}
	}
	return nil
}

// move turns what a charge has reserved into what it came to. Where its window is
// over nothing counts any more.
func (l *Ledger) move(ctx context.Context, c *sallyport.Charge, cost sallyport.Amount) error {
	a, err := l.of(ctx, c)
	if err != nil {
		return err
	}
	until := c.Until.UnixMilli()
	for i := range a.parts {
		if p := &a.parts[i]; p.until == until {
			p.reserved, p.used, p.changed = p.reserved-c.Amount, p.used.Plus(cost), true
			l.change(a)
		}
	}
	return nil
}

// look is an account as it stands, also what is not durable yet; ok is false when
// it is not held.
func (l *Ledger) look(c *sallyport.Charge, now int64) (parts []limits.Part, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[key{c.Limit, c.Account}]
	if a == nil {
		return nil, false
	}
	parts = make([]limits.Part, 0, len(a.parts))
	for _, p := range a.parts {
		if p.until > now {
			parts = append(parts, limits.Part{Until: time.UnixMilli(p.until), Reserved: p.reserved, Used: p.used})
		}
	}
	return parts, true
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

// Book reads the rows, and what a ledger that is open holds of them.
type Book struct {
	Conn Conn
	Live *Ledger // nil for none
}

// Accounts are what counts against each charge's account at a time.
func (b Book) Accounts(ctx context.Context, charges []sallyport.Charge, now time.Time) ([]limits.Account, error) {
	all := make([]limits.Account, len(charges))
	for i := range charges {
		c := &charges[i]
		if c.Window.Kind == sallyport.PerCall {
			continue
		}
		var err error
		if all[i].Parts, err = b.parts(ctx, c, now); err != nil {
			return nil, err
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

func (b Book) parts(ctx context.Context, c *sallyport.Charge, now time.Time) ([]limits.Part, error) {
	if b.Live != nil {
		if parts, held := b.Live.look(c, now.UnixMilli()); held {
			return parts, nil
		}
	}
	rows, err := b.read(ctx, "name = $1 AND account = $2 AND until > $3 ORDER BY until", c.Limit, c.Account, now.UnixMilli())
	var parts []limits.Part
	for _, r := range rows {
		parts = append(parts, r.Part)
	}
	return parts, err
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
	if err := l.Flush(ctx); err != nil {
		return err
	}
	clear(l.accounts)
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
		for i := range charges {
			if err := l.again(ctx, &charges[i], entry.Time); err != nil {
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
		return l.settle(ctx, charges)
	}
	return nil
}

// again takes a charge that the log says was taken.
func (l *Ledger) again(ctx context.Context, c *sallyport.Charge, at time.Time) error {
	a, err := l.of(ctx, c)
	if err != nil {
		return err
	}
	l.add(a, c)
	_, err = l.since.ExecContext(ctx, c.Limit, c.Account, at.UnixMilli())
	return err
}
