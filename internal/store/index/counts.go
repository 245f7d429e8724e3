package index

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sallyport"
)

// counts are sums over entries: what calls took of limits, and which rules decided.
type counts struct {
	course map[part]*sum
	spent  map[part]*sum
	fired  map[string]*fired
	last   int64 // time of the last entry with charges, in Unix milliseconds
}

// part is a time of one account of a limit or, of spent, of a unit.
type part struct {
	name, account string
	until, slot   int64
}

type sum struct {
	calls             int64
	estimate, settled sallyport.Amount // settled: besides the estimate
}

// add never goes beyond what an integer holds, whatever agents say that things cost.
func (s *sum) add(calls int64, estimate, settled sallyport.Amount) {
	s.calls, s.estimate, s.settled = s.calls+calls, s.estimate.Plus(estimate), max(s.settled.Plus(settled), -sallyport.MaxAmount)
}

// within is the same of a column and what is added to it.
func within(table, column string) string {
	total := table + "." + column + " + excluded." + column
	return fmt.Sprintf("%s = CASE WHEN %s > %d THEN %d WHEN %s < -%d THEN -%d ELSE %s END",
		column, total, sallyport.MaxAmount, sallyport.MaxAmount, total, sallyport.MaxAmount, sallyport.MaxAmount, total)
}

type fired struct{ calls, last int64 }

func (c *counts) rule(id string, index uint64) {
	one := c.fired[id]
	if one == nil {
		one = &fired{}
		c.fired[id] = one
	}
	one.calls++
	one.last = int64(index)
}

func sumOf(all map[part]*sum, p part) *sum {
	one := all[p]
	if one == nil {
		one = &sum{}
		all[p] = one
	}
	return one
}

// slotOf is the part of a window into which a charge falls: the shorter the less
// of the window is left, so that a window of any length has some hundred of them.
func slotOf(at, until time.Time) int64 {
	step := time.Hour
	switch left := until.Sub(at); {
	case left <= 2*time.Hour:
		step = time.Minute
	case left <= 48*time.Hour:
		step = 10 * time.Minute
	}
	return at.Truncate(step).UnixMilli()
}

// spentSlot is a part of a day in every zone.
const spentSlot = 15 * time.Minute

// endless is the year from which on a charge is of one call by itself, and has no
// course.
const endless = 9999

// take counts what an intent reserved.
func (c *counts) take(e *sallyport.Entry) error {
	if e.Charges == nil {
		return nil
	}
	most := map[string]sallyport.Amount{}
	for _, line := range e.Charges {
		one, err := sallyport.ParseCharge(line)
		if err != nil {
			return err
		}
		most[one.Unit] = max(most[one.Unit], one.Amount)
		if one.Until.Year() >= endless {
			continue
		}
		sumOf(c.course, part{one.Limit, one.Account, one.Until.UnixMilli(), slotOf(e.Time, one.Until)}).add(1, one.Amount, 0)
	}
	for unit, amount := range most {
		sumOf(c.spent, part{name: unit, slot: e.Time.Truncate(spentSlot).UnixMilli()}).add(1, amount, 0)
	}
	c.last = e.Time.UnixMilli()
	return nil
}

// settle counts by how much an outcome differs from what its intent reserved. It
// names the charges that do.
func (c *counts) settle(intent, e *sallyport.Entry) error {
	if e.Charges == nil {
		return nil
	}
	came := map[string]sallyport.Amount{}
	for _, line := range e.Charges {
		one, err := sallyport.ParseCharge(line)
		if err != nil {
			return err
		}
		came[one.Limit] = one.Amount
	}
	before, after := map[string]sallyport.Amount{}, map[string]sallyport.Amount{}
	for _, line := range intent.Charges {
		one, err := sallyport.ParseCharge(line)
		if err != nil {
			return err
		}
		cost, differs := came[one.Limit]
		if !differs {
			cost = one.Amount
		}
		before[one.Unit], after[one.Unit] = max(before[one.Unit], one.Amount), max(after[one.Unit], cost)
		if differs && one.Until.Year() < endless {
			sumOf(c.course, part{one.Limit, one.Account, one.Until.UnixMilli(), slotOf(e.Time, one.Until)}).add(0, 0, cost-one.Amount)
		}
	}
	for unit := range before {
		sumOf(c.spent, part{name: unit, slot: e.Time.Truncate(spentSlot).UnixMilli()}).add(0, 0, after[unit]-before[unit])
	}
	c.last = e.Time.UnixMilli()
	return nil
}

// save adds what was counted, and drops what has stopped to count.
func (c *counts) save(ctx context.Context, tx *sql.Tx) error {
	for p, s := range c.course {
		_, err := tx.ExecContext(ctx, `INSERT INTO course (name, account, until, slot, calls, estimate, settled) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (name, account, until, slot) DO UPDATE SET calls = course.calls + excluded.calls, `+within("course", "estimate")+", "+within("course", "settled"),
			p.name, p.account, p.until, p.slot, s.calls, int64(s.estimate), int64(s.settled))
		if err != nil {
			return err
		}
	}
	for p, s := range c.spent {
		_, err := tx.ExecContext(ctx, `INSERT INTO spent (unit, slot, calls, estimate, settled) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (unit, slot) DO UPDATE SET calls = spent.calls + excluded.calls, `+within("spent", "estimate")+", "+within("spent", "settled"),
			p.name, p.slot, s.calls, int64(s.estimate), int64(s.settled))
		if err != nil {
			return err
		}
	}
	for rule, f := range c.fired {
		_, err := tx.ExecContext(ctx, `INSERT INTO fired (rule, calls, last) VALUES ($1, $2, $3)
			ON CONFLICT (rule) DO UPDATE SET calls = fired.calls + excluded.calls, last = excluded.last`, rule, f.calls, f.last)
		if err != nil {
			return err
		}
	}
	if c.last == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM course WHERE until <= $1", c.last)
	return err
}

// Taken is what calls took of something in a part of time.
type Taken struct {
	Name     string    // of what: a limit or a unit
	At       time.Time // when that part began
	Calls    int
	Estimate sallyport.Amount // reserved
	Settled  sallyport.Amount // what it came to; what is under way counts as reserved
}

// Course is how what counts on an account of a limit came together, oldest first.
func Course(ctx context.Context, db *sql.DB, limit, account string, now time.Time) ([]Taken, error) {
	return taken(ctx, db, func(last, next *Taken) bool { return last.At.Equal(next.At) },
		"SELECT name, slot, calls, estimate, settled FROM course WHERE name = $1 AND account = $2 AND until > $3 ORDER BY slot", limit, account, now.UnixMilli())
}

// Spent is what calls took of each unit since a time, by unit.
func Spent(ctx context.Context, db *sql.DB, since time.Time) ([]Taken, error) {
	return taken(ctx, db, func(last, next *Taken) bool { return last.Name == next.Name },
		"SELECT unit, slot, calls, estimate, settled FROM spent WHERE slot >= $1 ORDER BY unit, slot", since.Truncate(spentSlot).UnixMilli())
}

// taken adds up rows that follow each other and are one.
func taken(ctx context.Context, db *sql.DB, same func(last, next *Taken) bool, statement string, args ...any) (all []Taken, err error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one Taken
		var slot int64
		var differs sallyport.Amount
		if err := rows.Scan(&one.Name, &slot, &one.Calls, &one.Estimate, &differs); err != nil {
			return nil, err
		}
		one.At, one.Settled = time.UnixMilli(slot).UTC(), one.Estimate.Plus(differs)
		if n := len(all); n > 0 && same(&all[n-1], &one) {
			last := &all[n-1]
			last.Calls, last.Estimate, last.Settled = last.Calls+one.Calls, last.Estimate.Plus(one.Estimate), last.Settled.Plus(one.Settled)
			continue
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// Fired is how often a rule has decided, and where last.
type Fired struct {
	Calls int
	Last  uint64 // entry
}

// Rules are all rules that have ever decided, by their ids.
func Rules(ctx context.Context, db *sql.DB) (map[string]Fired, error) {
	rows, err := db.QueryContext(ctx, "SELECT rule, calls, last FROM fired")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]Fired{}
	for rows.Next() {
		var id string
		var one Fired
		if err := rows.Scan(&id, &one.Calls, &one.Last); err != nil {
			return nil, err
		}
		all[id] = one
	}
	return all, rows.Err()
}
