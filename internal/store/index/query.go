package index

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/store/database"
)

// Filter says which records a query wants. A zero field does not matter.
type Filter struct {
	Agent, User, Tenant, Run, Server, Name string

	Type     sallyport.EntryType // Intent, Refusal, Held or Change
	Verdict  string              // "allow", "hold" or "deny", of the policy
	Outcome  sallyport.Outcome
	Observed bool // only what observe mode let through
	Subject  string

	Since, Until time.Time // until is not included
	Before       uint64    // only entries with a smaller index, for the next page
	Limit        int       // at most so many; 100 when zero
}

// Place is where a record lies in the log.
type Place struct{ Index, Closed uint64 } // Closed is 0 without an outcome

// Span is entries by their indexes, To not included.
type Span struct{ From, To uint64 }

// Places finds records, newest first. A record is never looked at for what it has
// in common with others, so that one is found as quickly among a million as none.
func (f *Filter) Places(ctx context.Context, db *sql.DB, span Span) ([]Place, error) {
	limit := cmp.Or(f.Limit, 100)
	run, known, err := f.run(ctx, db)
	if err != nil || !known {
		return nil, err
	}
	c := f.conditions(run, span)
	if !f.faceted() {
		return places(ctx, db, c.newest(limit), c.args...)
	}
	facets, err := f.facets(ctx, db, run, c)
	if err != nil || len(facets) == 0 {
		return nil, err
	}
	of := c.and("facet =", 0).and("idx >=", 0)
	statement, err := db.PrepareContext(ctx, of.newest(limit))
	if err != nil {
		return nil, err
	}
	defer statement.Close()
	var all []Place
	for _, one := range facets {
		floor := uint64(0) // of which there are enough that are newer
		if len(all) == limit {
			floor = all[limit-1].Index
		}
		if one.Index < floor {
			break
		}
		more, err := scan(statement.QueryContext(ctx, append(slices.Clone(c.args), int64(one.Closed), int64(floor))...))
		if err != nil {
			return nil, err
		}
		all = merge(all, more, limit)
	}
	return all, nil
}

// merge is both lists in their order, at most limit of it.
func merge(a, b []Place, limit int) []Place {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	all := append(a, b...)
	slices.SortFunc(all, func(a, b Place) int { return cmp.Compare(b.Index, a.Index) })
	return all[:min(len(all), limit)]
}

// Count is how many records fit.
func (f *Filter) Count(ctx context.Context, db *sql.DB, span Span) (n int, err error) {
	run, known, err := f.run(ctx, db)
	if err != nil || !known {
		return 0, err
	}
	c := f.conditions(run, span)
	if !f.faceted() {
		return n, db.QueryRowContext(ctx, "SELECT count(*) FROM records"+c.where(), c.args...).Scan(&n)
	}
	// Facet by facet: SQLite would go past all records of the span.
	each := "SELECT count(*) FROM records WHERE " + strings.Join(append([]string{"facet = id"}, c.texts...), " AND ")
	wanted := f.wanted(len(c.args))
	return n, db.QueryRowContext(ctx, "SELECT coalesce(sum(("+each+")), 0) FROM facets"+wanted.where(), append(c.args, wanted.args...)...).Scan(&n)
}

// run is the number of the run that is asked for, 0 for none; known is false when
// there is no such run.
func (f *Filter) run(ctx context.Context, db *sql.DB) (id int64, known bool, err error) {
	if f.Run == "" {
		return 0, true, nil
	}
	err = db.QueryRowContext(ctx, "SELECT id FROM runs WHERE run = $1", f.Run).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, true, err
}

// conditions are what records or facets must fit.
type conditions struct {
	texts []string
	args  []any
	there int // arguments in front of these
}

func (c *conditions) add(text string, arg any) {
	c.args = append(c.args, arg)
	c.texts = append(c.texts, text+" $"+strconv.Itoa(c.there+len(c.args)))
}

// and is the same with one condition more.
func (c *conditions) and(text string, arg any) *conditions {
	more := &conditions{slices.Clone(c.texts), slices.Clone(c.args), c.there}
	more.add(text, arg)
	return more
}

func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// newest is a statement for the newest records that fit.
func (c *conditions) newest(limit int) string {
	return database.Positional("SELECT idx, closed FROM records" + c.where() + " ORDER BY idx DESC LIMIT " + strconv.Itoa(limit))
}

// conditions are what is looked up of each record.
func (f *Filter) conditions(run int64, span Span) *conditions {
	c := &conditions{}
	if run != 0 {
		c.add("run =", run)
	}
	if f.Name != "" {
		c.add("name =", f.Name)
	}
	if f.Subject != "" {
		c.add("subject =", f.Subject)
	}
	if span.From > 0 {
		c.add("idx >=", int64(span.From))
	}
	if span.To < math.MaxInt64 {
		c.add("idx <", int64(span.To))
	}
	return c
}

// faceted reports whether the filter asks for what records have in common, or for
// a run, whose records are found by that.
func (f *Filter) faceted() bool { return f.Run != "" || len(f.wanted(0).texts) > 0 }

// wanted says which facets fit; there are so many arguments in front.
func (f *Filter) wanted(there int) *conditions {
	c := &conditions{there: there}
	for _, one := range []struct{ column, value string }{
		{"agent", f.Agent}, {"person", f.User}, {"tenant", f.Tenant}, {"server", f.Server},
		{"type", string(f.Type)}, {"verdict", f.Verdict}, {"outcome", string(f.Outcome)},
	} {
		if one.value != "" {
			c.add(one.column+" =", one.value)
		}
	}
	if f.Name != "" {
		c.add("bucket =", bucketOf(f.Name))
	}
	if f.Observed {
		c.add("observed =", 1)
	}
	return c
}

// facets are those of which there are records that fit, each with the newest of
// them, the newest first: Index is that record's, Closed the facet.
func (f *Filter) facets(ctx context.Context, db *sql.DB, run int64, c *conditions) ([]Place, error) {
	wanted := f.wanted(len(c.args))
	with := ""
	if run != 0 { // from one of its facets to the next, and not past all of its records
		number := strconv.FormatInt(run, 10)
		with = "WITH RECURSIVE own(facet) AS (SELECT min(facet) FROM records WHERE run = " + number +
			" UNION ALL SELECT (SELECT min(facet) FROM records WHERE run = " + number + " AND facet > own.facet) FROM own WHERE own.facet IS NOT NULL) "
		wanted.texts = append(wanted.texts, "id IN (SELECT facet FROM own)")
	}
	newest := "SELECT max(idx) FROM records WHERE " + strings.Join(append([]string{"facet = id"}, c.texts...), " AND ")
	return places(ctx, db, database.Positional(with+"SELECT newest, id FROM (SELECT id, ("+newest+") AS newest FROM facets"+wanted.where()+
		") AS found WHERE newest IS NOT NULL ORDER BY newest DESC"), append(slices.Clone(c.args), wanted.args...)...)
}

// places reads them all before anything else is done, so that the projections
// are not held.
func places(ctx context.Context, db *sql.DB, statement string, args ...any) ([]Place, error) {
	return scan(db.QueryContext(ctx, statement, args...))
}

func scan(rows *sql.Rows, err error) ([]Place, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Place
	for rows.Next() {
		var p Place
		if err := rows.Scan(&p.Index, &p.Closed); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// Of are the records of one call, oldest first.
func Of(ctx context.Context, db *sql.DB, call string) ([]Place, error) {
	return places(ctx, db, "SELECT idx, closed FROM records WHERE call = $1 ORDER BY idx", call)
}

// Unclosed are the intents that have no outcome, oldest first.
func Unclosed(ctx context.Context, db *sql.DB) ([]Place, error) {
	return places(ctx, db, `SELECT idx, closed FROM records WHERE facet IN (SELECT id FROM facets WHERE type = 'intent' AND outcome = '') ORDER BY idx`)
}
