package index

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"

	"sallyport"
	"sallyport/internal/store/database"
)

// Batch gathers what entries change in the projections.
type Batch struct {
	tx    *sql.Tx
	entry func(ctx context.Context, index uint64) (sallyport.Entry, error)

	records []*record
	open    map[string]*record // intents of this batch without outcome, by call
	runs    map[string]*run
	began   []*run // in the order of their first entries
	facets  map[facet]int64
	counts
}

// NewBatch begins a batch. entry reads an entry of an earlier one.
func NewBatch(tx *sql.Tx, entry func(ctx context.Context, index uint64) (sallyport.Entry, error)) *Batch {
	return &Batch{tx: tx, entry: entry, open: map[string]*record{}, runs: map[string]*run{}, facets: map[facet]int64{},
		counts: counts{course: map[part]*sum{}, spent: map[part]*sum{}, fired: map[string]*fired{}}}
}

type record struct {
	entry  *sallyport.Entry
	run    *run // nil for none
	facet  facet
	closed uint64
}

// facet is what many records have in common, of all that can be asked for.
type facet struct {
	kind, agent, person, tenant, server string
	bucket                              int
	verdict                             string
	observed                            int
	outcome                             string
}

// buckets are how many groups of names there are. An agent can make names up,
// and must not be able to make up facets without end.
const buckets = 1024

func bucketOf(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % buckets)
}

func facetOf(e *sallyport.Entry) facet {
	f := facet{kind: string(e.Type), agent: e.Principal.Agent, person: e.Principal.User, tenant: e.Principal.Tenant, server: e.Server, bucket: bucketOf(e.Name)}
	if e.Type != sallyport.Change {
		f.verdict = e.Verdict.String()
	}
	if e.Observed {
		f.observed = 1
	}
	return f
}

type run struct {
	id                    int64
	name                  string
	principal             sallyport.Principal
	first, last           uint64
	calls, denied, opened int
}

// Add adds the next entry.
func (b *Batch) Add(ctx context.Context, e *sallyport.Entry) error {
	of := b.run(e)
	for _, rule := range e.Rules {
		b.rule(rule, e.Index)
	}
	if e.Type == sallyport.Closed {
		return b.close(ctx, e)
	}
	one := &record{entry: e, run: of, facet: facetOf(e)}
	b.records = append(b.records, one)
	if e.Type == sallyport.Intent {
		b.open[e.Call] = one
		return b.take(e)
	}
	return nil
}

// run counts an entry of a run; nil when it is of none.
func (b *Batch) run(e *sallyport.Entry) *run {
	if e.Run == "" {
		return nil
	}
	one := b.runs[e.Run]
	if one == nil {
		one = &run{name: e.Run, principal: e.Principal, first: e.Index}
		b.runs[e.Run], b.began = one, append(b.began, one)
	}
	one.last = e.Index
	switch e.Type {
	case sallyport.Intent:
		one.calls++
		one.opened++
	case sallyport.Refusal, sallyport.Held:
		one.calls++
		one.denied++
	case sallyport.Closed:
		one.opened--
	}
	return one
}

// close gives an intent its outcome.
func (b *Batch) close(ctx context.Context, e *sallyport.Entry) error {
	if one := b.open[e.Call]; one != nil {
		delete(b.open, e.Call)
		one.facet.outcome, one.closed = string(e.Outcome), e.Index
		return b.settle(one.entry, e)
	}
	var index int64
	f := facet{kind: string(sallyport.Intent), outcome: string(e.Outcome)}
	err := b.tx.QueryRowContext(ctx, `SELECT idx, agent, person, tenant, server, bucket, verdict, observed FROM records JOIN facets ON id = facet
		WHERE call = $1 AND closed = 0 AND type = 'intent'`, e.Call).
		Scan(&index, &f.agent, &f.person, &f.tenant, &f.server, &f.bucket, &f.verdict, &f.observed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	id, err := b.facet(ctx, f)
	if err == nil {
		_, err = b.tx.ExecContext(ctx, "UPDATE records SET facet = $1, closed = $2 WHERE idx = $3", id, int64(e.Index), index)
	}
	if err != nil || e.Charges == nil {
		return err
	}
	intent, err := b.entry(ctx, uint64(index))
	if err != nil {
		return err
	}
	return b.settle(&intent, e)
}

// facet is the number of a facet.
func (b *Batch) facet(ctx context.Context, f facet) (id int64, err error) {
	if id = b.facets[f]; id != 0 {
		return id, nil
	}
	values := []any{f.agent, f.server, f.bucket, f.kind, f.person, f.tenant, f.verdict, f.observed, f.outcome}
	err = b.tx.QueryRowContext(ctx, `SELECT id FROM facets WHERE agent = $1 AND server = $2 AND bucket = $3 AND type = $4
		AND person = $5 AND tenant = $6 AND verdict = $7 AND observed = $8 AND outcome = $9`, values...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = b.tx.QueryRowContext(ctx, `INSERT INTO facets (agent, server, bucket, type, person, tenant, verdict, observed, outcome)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`, values...).Scan(&id)
	}
	b.facets[f] = id
	return id, err
}

// Save writes what was gathered.
func (b *Batch) Save(ctx context.Context) error {
	for _, one := range b.began {
		err := b.tx.QueryRowContext(ctx, `INSERT INTO runs (run, agent, person, tenant, first, last, calls, denied, opened)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (run) DO UPDATE SET last = excluded.last, calls = runs.calls + excluded.calls,
				denied = runs.denied + excluded.denied, opened = runs.opened + excluded.opened RETURNING id`,
			one.name, one.principal.Agent, one.principal.User, one.principal.Tenant, int64(one.first), int64(one.last),
			one.calls, one.denied, one.opened).Scan(&one.id)
		if err != nil {
			return err
		}
	}
	insert, err := b.tx.PrepareContext(ctx, database.Positional(
		"INSERT INTO records (idx, facet, call, run, name, subject, closed) VALUES ($1, $2, $3, $4, $5, $6, $7)"))
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, one := range b.records {
		id, err := b.facet(ctx, one.facet)
		if err != nil {
			return err
		}
		var of int64
		if one.run != nil {
			of = one.run.id
		}
		e := one.entry
		if _, err := insert.ExecContext(ctx, int64(e.Index), id, e.Call, of, e.Name, e.Subject, int64(one.closed)); err != nil {
			return err
		}
	}
	return b.counts.save(ctx, b.tx)
}
