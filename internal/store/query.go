package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport"
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

// Found is an intent, refusal, hold or change, with the outcome of an intent.
type Found struct {
	Entry   sallyport.Entry
	Outcome *sallyport.Entry // nil while there is none
}

// Query finds records, newest first. Every durable entry is looked at.
func (r *Reader) Query(ctx context.Context, f Filter) ([]Found, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	where, args, err := r.where(ctx, f)
	if err != nil {
		return nil, err
	}
	limit := f.Limit
	if limit == 0 {
		limit = 100
	}
	places, err := r.places(ctx, "SELECT idx, closed FROM records"+where+" ORDER BY idx DESC LIMIT "+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, err
	}
	all := make([]Found, len(places))
	for i, p := range places {
		if all[i], err = r.found(ctx, p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Count is how many records fit, whatever the filter's limit.
func (r *Reader) Count(ctx context.Context, f Filter) (n int, err error) {
	if err := r.project(ctx, nil); err != nil {
		return 0, err
	}
	where, args, err := r.where(ctx, f)
	if err != nil {
		return 0, err
	}
	return n, r.index.QueryRowContext(ctx, "SELECT count(*) FROM records"+where, args...).Scan(&n)
}

// place is where a record lies in the log.
type place struct{ index, closed uint64 } // closed is 0 without an outcome

// places reads them all before anything else is done, so that the projections
// are not held.
func (r *Reader) places(ctx context.Context, statement string, args ...any) ([]place, error) {
	rows, err := r.index.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []place
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.index, &p.closed); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

func (r *Reader) found(ctx context.Context, p place) (Found, error) {
	entry, err := r.Entry(ctx, p.index)
	if err != nil || p.closed == 0 {
		return Found{Entry: entry}, err
	}
	outcome, err := r.Entry(ctx, p.closed)
	return Found{entry, &outcome}, err
}

func (r *Reader) where(ctx context.Context, f Filter) (where string, args []any, err error) {
	var conditions []string
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, condition+" $"+strconv.Itoa(len(args)))
	}
	for _, c := range []struct{ column, value string }{
		{"agent", f.Agent}, {"person", f.User}, {"tenant", f.Tenant}, {"run", f.Run}, {"server", f.Server}, {"name", f.Name},
		{"verdict", f.Verdict}, {"outcome", string(f.Outcome)}, {"subject", f.Subject},
	} {
		if c.value != "" {
			add(c.column+" =", c.value)
		}
	}
	switch f.Type {
	case "":
	case sallyport.Refusal, sallyport.Held, sallyport.Change: // in so many words, or SQLite would not know that there is an index
		conditions = append(conditions, "type = '"+string(f.Type)+"'")
	default:
		add("type =", string(f.Type))
	}
	if f.Run != "" {
		add("idx >= (SELECT first FROM runs WHERE run =", f.Run)
		conditions[len(conditions)-1] += ")"
	}
	if f.Observed {
		add("observed =", 1)
	}
	if f.Before != 0 {
		add("idx <", int64(f.Before))
	}
	for _, c := range []struct {
		condition string
		at        time.Time
	}{{"idx >=", f.Since}, {"idx <", f.Until}} {
		if c.at.IsZero() {
			continue
		}
		index, err := r.firstAt(ctx, c.at)
		if err != nil {
			return "", nil, err
		}
		add(c.condition, int64(index))
	}
	if len(conditions) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args, nil
}

// Show is everything about one call, or about the entry with an index: the
// entries, oldest first, with their payloads.
func (r *Reader) Show(ctx context.Context, callOrIndex string) ([]Opened, error) {
	indexes := make([]uint64, 0, 2)
	if index, err := strconv.ParseUint(callOrIndex, 10, 53); err == nil {
		indexes = append(indexes, index)
	} else if indexes, err = r.indexesOf(ctx, callOrIndex); err != nil {
		return nil, err
	}
	var all []Opened
	for _, index := range indexes {
		o, err := r.Open(ctx, index)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (r *Reader) indexesOf(ctx context.Context, call string) (indexes []uint64, err error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	places, err := r.places(ctx, "SELECT idx, closed FROM records WHERE call = $1 ORDER BY idx", call)
	for _, p := range places {
		if indexes = append(indexes, p.index); p.closed != 0 {
			indexes = append(indexes, p.closed)
		}
	}
	if len(indexes) == 0 && err == nil {
		err = fmt.Errorf("%w: no call %s", ErrNotFound, call)
	}
	return indexes, err
}

// openIntents are the intents that have no outcome, oldest first.
func (r *Reader) openIntents(ctx context.Context) ([]sallyport.Entry, error) {
	if err := r.project(ctx, nil); err != nil {
		return nil, err
	}
	places, err := r.places(ctx, "SELECT idx, closed FROM records WHERE type = 'intent' AND outcome = '' ORDER BY idx")
	if err != nil {
		return nil, err
	}
	intents := make([]sallyport.Entry, len(places))
	for i, p := range places {
		if intents[i], err = r.Entry(ctx, p.index); err != nil {
			return nil, err
		}
	}
	return intents, nil
}
