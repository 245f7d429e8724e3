package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"sallyport"
	"sallyport/internal/store/index"
)

// Filter says which records a query wants.
type Filter = index.Filter

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
	span, err := r.span(ctx, f)
	if err != nil {
		return nil, err
	}
	places, err := f.Places(ctx, r.index, span)
	if err != nil {
		return nil, err
	}
	return r.found(ctx, places)
}

// Count is how many records fit, whatever the filter's limit.
func (r *Reader) Count(ctx context.Context, f Filter) (n int, err error) {
	if err := r.project(ctx, nil); err != nil {
		return 0, err
	}
	span, err := r.span(ctx, f)
	if err != nil {
		return 0, err
	}
	return f.Count(ctx, r.index, span)
}

// span is the entries of the filter's time.
func (r *Reader) span(ctx context.Context, f Filter) (span index.Span, err error) {
	span.To = math.MaxInt64
	if f.Before != 0 {
		span.To = f.Before
	}
	if !f.Since.IsZero() {
		if span.From, err = r.firstAt(ctx, f.Since); err != nil {
			return span, err
		}
	}
	if !f.Until.IsZero() {
		before, err := r.firstAt(ctx, f.Until)
		if err != nil {
			return span, err
		}
		span.To = min(span.To, before)
	}
	return span, nil
}

// found are the entries at places, and their outcomes.
func (r *Reader) found(ctx context.Context, places []index.Place) ([]Found, error) {
	var wanted []uint64
	for _, p := range places {
		if wanted = append(wanted, p.Index); p.Closed != 0 {
			wanted = append(wanted, p.Closed)
		}
	}
	entries, err := r.several(ctx, wanted)
	if err != nil {
		return nil, err
	}
	all := make([]Found, len(places))
	for i, p := range places {
		all[i].Entry = *entries[p.Index]
		if p.Closed != 0 {
			all[i].Outcome = entries[p.Closed]
		}
	}
	return all, nil
}

// several are entries by their indexes, all of which must be there.
func (r *Reader) several(ctx context.Context, indexes []uint64) (map[uint64]*sallyport.Entry, error) {
	all := make(map[uint64]*sallyport.Entry, len(indexes))
	for some := range slices.Chunk(indexes, chunk) {
		var list []byte
		for _, index := range some {
			list = strconv.AppendUint(append(list, ','), index, 10)
		}
		rows, err := r.db.QueryContext(ctx, "SELECT idx, entry FROM entries WHERE idx IN ("+string(list[1:])+")")
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var w written
			if err = rows.Scan(&w.index, &w.text); err != nil {
				break
			}
			if all[w.index], err = w.parsed(); err != nil {
				break
			}
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	for _, index := range indexes {
		if all[index] == nil {
			return nil, fmt.Errorf("%w: no entry %d", ErrNotFound, index)
		}
	}
	return all, nil
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
	places, err := index.Of(ctx, r.index, call)
	for _, p := range places {
		if indexes = append(indexes, p.Index); p.Closed != 0 {
			indexes = append(indexes, p.Closed)
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
	places, err := index.Unclosed(ctx, r.index)
	if err != nil {
		return nil, err
	}
	found, err := r.found(ctx, places)
	intents := make([]sallyport.Entry, len(found))
	for i := range found {
		intents[i] = found[i].Entry
	}
	return intents, err
}
