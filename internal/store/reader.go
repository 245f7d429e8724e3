package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/store/approvals"
	"sallyport/internal/store/database"
	"sallyport/internal/store/index"
	"sallyport/internal/store/segment"
)

// Reader reads a directory, beside a running gateway or when none runs.
type Reader struct {
	dir      string
	db       *sql.DB            // sallyport.db, read only
	often    *database.Prepared // db, for what a call reads
	index    *sql.DB
	payloads *segment.Segments
	keys     keyring
	approvals.Rows

	projecting sync.Mutex
}

// OpenReader opens a directory that a gateway has made, for reading. It takes
// no lock. It brings the projections up to date, which are no part of the
// proof, and changes nothing else.
func OpenReader(dir string) (*Reader, error) {
	if _, err := os.Stat(filepath.Join(dir, "sallyport.db")); err != nil {
		return nil, fmt.Errorf("no log in %s: %w", dir, err)
	}
	db, err := sql.Open("sqlite", database.DSN(filepath.Join(dir, "sallyport.db"), "ro"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4) // to open one costs as much as a call
	often := &database.Prepared{Conn: db}
	r := &Reader{dir: dir, db: db, often: often, Rows: approvals.Rows{DB: often}, payloads: segment.New(filepath.Join(dir, "payloads"))}
	if err := db.QueryRow("SELECT coalesce(max(id), 0) FROM keys").Scan(&r.keys.last); err != nil {
		r.Close()
		return nil, err
	}
	if r.index, err = index.Open(filepath.Join(dir, "index.db")); err != nil {
		r.Close()
		return nil, err
	}
	r.index.SetMaxOpenConns(4)
	r.index.SetMaxIdleConns(4)
	return r, nil
}

// Close lets go of the files.
func (r *Reader) Close() error {
	errs := []error{r.payloads.Close(), r.often.Close(), r.db.Close()}
	if r.index != nil {
		errs = append(errs, r.index.Close())
	}
	return errors.Join(errs...)
}

// row is an entry as it lies in the database.
type row struct {
	index uint64
	text  []byte
	location
}

// chunk is how many rows are read at a time. No transaction stays open while
// whoever asked for them works, or waits: it would keep SQLite's write-ahead
// log growing.
const chunk = 512

// rows runs over the rows from index from to before index to, in order and
// without gaps. An error is the last thing it yields.
func (r *Reader) rows(ctx context.Context, from, to uint64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for from < to {
			rows, err := r.chunk(ctx, from, min(to, from+chunk))
			for _, this := range rows {
				if this.index != from {
					err = fmt.Errorf("%w: entry %d is missing", ErrReplaced, from)
					break
				}
				if !yield(this, nil) {
					return
				}
				from++
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			if len(rows) == 0 {
				return
			}
		}
	}
}

func (r *Reader) chunk(ctx context.Context, from, to uint64) ([]row, error) {
	found, err := r.db.QueryContext(ctx,
		"SELECT idx, entry, key, at, args, result FROM entries WHERE idx >= $1 AND idx < $2 ORDER BY idx", int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	rows := make([]row, 0, chunk)
	for found.Next() {
		var this row
		if err := found.Scan(&this.index, &this.text, &this.key, &this.at, &this.args, &this.result); err != nil {
			return nil, err
		}
		rows = append(rows, this)
	}
	return rows, found.Err()
}

// row is one row; sql.ErrNoRows when there is none.
func (r *Reader) row(ctx context.Context, index uint64) (row, error) {
	this := row{index: index}
	err := r.db.QueryRowContext(ctx, "SELECT entry, key, at, args, result FROM entries WHERE idx = $1", int64(index)).
		Scan(&this.text, &this.key, &this.at, &this.args, &this.result)
	return this, err
}

// written runs over the entries from index from to before index to. Those in
// recent are not read back.
func (r *Reader) written(ctx context.Context, from, to uint64, recent []written) iter.Seq2[written, error] {
	return func(yield func(written, error) bool) {
		read := func(until uint64) bool {
			for row, err := range r.rows(ctx, from, until) {
				if !yield(written{index: row.index, text: row.text, leaf: sallyport.LeafHash(row.text)}, err) || err != nil {
					return false
				}
				from = row.index + 1
			}
			return true
		}
		for _, w := range recent {
			if w.index < from {
				continue
			}
			if !read(min(w.index, to)) || w.index >= to || !yield(w, nil) {
				return
			}
			from = w.index + 1
		}
		read(to)
	}
}

// Size is the number of durable entries.
func (r *Reader) Size(ctx context.Context) (uint64, error) {
	var size uint64
	err := r.db.QueryRowContext(ctx, "SELECT coalesce(max(idx) + 1, 0) FROM entries").Scan(&size)
	return size, err
}

// Entries runs over the entries from index from to before index to, in order.
// An error is the last thing it yields.
func (r *Reader) Entries(ctx context.Context, from, to uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) {
		for row, err := range r.rows(ctx, from, to) {
			var entry sallyport.Entry
			if err == nil {
				entry, err = parseRow(row)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func parseRow(this row) (sallyport.Entry, error) {
	e, err := written{index: this.index, text: this.text}.parsed()
	if err != nil {
		return sallyport.Entry{}, err
	}
	return *e, nil
}

// parsed is the entry, whose index must be that of its row.
func (w written) parsed() (*sallyport.Entry, error) {
	if w.entry != nil {
		return w.entry, nil
	}
	entry, err := sallyport.ParseEntry(w.text)
	if err == nil && entry.Index != w.index {
		err = fmt.Errorf("it calls itself %d", entry.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("entry %d is damaged: %w", w.index, err)
	}
	return &entry, nil
}

// Entry is the entry with the index.
func (r *Reader) Entry(ctx context.Context, index uint64) (sallyport.Entry, error) {
	this, err := r.row(ctx, index)
	if errors.Is(err, sql.ErrNoRows) {
		return sallyport.Entry{}, fmt.Errorf("%w: no entry %d", ErrNotFound, index)
	}
	if err != nil {
		return sallyport.Entry{}, err
	}
	return parseRow(this)
}

// ErrNotFound says that the log has no such entry or call.
var ErrNotFound = errors.New("not in the log")

// Open is the entry with the index and its payloads.
func (r *Reader) Open(ctx context.Context, index uint64) (Opened, error) {
	this, err := r.row(ctx, index)
	if errors.Is(err, sql.ErrNoRows) {
		return Opened{}, fmt.Errorf("%w: no entry %d", ErrNotFound, index)
	}
	if err != nil {
		return Opened{}, err
	}
	entry, err := parseRow(this)
	if err != nil {
		return Opened{}, err
	}
	return r.opened(ctx, entry, this.location), nil
}

// timeOf is the time of the last entry before the index; zero when there is
// none.
func (r *Reader) timeOf(ctx context.Context, before uint64) (time.Time, error) {
	if before == 0 {
		return time.Time{}, nil
	}
	entry, err := r.Entry(ctx, before-1)
	return entry.Time, err
}

// firstAt is the index of the first entry that is not older than at. The
// log's time never goes back, so the entries are in the order of their times.
func (r *Reader) firstAt(ctx context.Context, at time.Time) (uint64, error) {
	low := uint64(0)
	high, err := r.Size(ctx)
	for err == nil && low < high {
		middle := low + (high-low)/2
		var entry sallyport.Entry
		if entry, err = r.Entry(ctx, middle); entry.Time.Before(at) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, err
}

// Tail runs over the entries from index from on and waits for more, until ctx
// ends.
func (s *Store) Tail(ctx context.Context, from uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) {
		for {
			// Asked for before looking, so that no commit falls between.
			grown := s.committer.grown()
			for entry, err := range s.Entries(ctx, from, 1<<53) {
				if ctx.Err() != nil || !yield(entry, err) || err != nil {
					return
				}
				from = entry.Index + 1
			}
			select {
			case <-grown:
			case <-s.committer.finished:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}
