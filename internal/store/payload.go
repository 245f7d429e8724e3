package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/store/approvals"
	"sallyport/internal/tlog"
	"sallyport/proof"
)

// argsPlace and resultPlace name where a payload belongs; see tlog.Key.Seal.
func argsPlace(e *sallyport.Entry) string   { return e.Call + " args" }
func resultPlace(e *sallyport.Entry) string { return e.Call + " result" }

// keyLife is how long one key of a run is used. A standing run never ends, so
// without it a retention time would leave its key behind.
const keyLife = 24 * time.Hour

// maxKeys is how many keys are held ready; the runs beyond them get new ones.
const maxKeys = 4096

// runKey seals the payloads of one run, for a day at most.
type runKey struct {
	tlog.Key
	id     int64
	run    string
	made   time.Time
	secret [tlog.KeySize]byte
	saved  bool // for the committer's goroutine only
}

// keyring holds the keys in use.
type keyring struct {
	mu    sync.Mutex
	byRun map[string]*runKey
	last  int64 // id
}

// of is the key for a record of the run at a time.
func (k *keyring) of(run string, at time.Time) *runKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.byRun[run]
	if key != nil && at.Sub(key.made) < keyLife {
		return key
	}
	if k.byRun == nil || len(k.byRun) >= maxKeys {
		k.byRun = map[string]*runKey{}
	}
	k.last++
	key = &runKey{id: k.last, run: run, made: at}
	rand.Read(key.secret[:])
	key.Key = tlog.NewKey(key.secret)
	k.byRun[run] = key
	return key
}

// drop forgets the key of a run.
func (k *keyring) drop(run string) *runKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.byRun[run]
	delete(k.byRun, run)
	return key
}

// writePayloads appends the sealed payloads of a group to their segment and
// notes where they are. The commit does not wait until they are durable: after
// a loss of power the payloads of the last second may be missing, which the
// commitments in the entries show.
func (c *committer) writePayloads(group []*waiting) error {
	c.blobs = c.blobs[:0]
	for _, w := range group {
		if w.sealed != nil {
			c.blobs = append(c.blobs, *w.sealed)
		}
	}
	if len(c.blobs) == 0 {
		return nil
	}
	at, err := c.payloads.Write(c.head.next, group[len(group)-1].entry.Time, c.blobs...)
	if err != nil {
		return fmt.Errorf("writing payloads: %w", err)
	}
	for _, w := range group {
		if w.sealed != nil {
			w.at = at
			at += int64(len(*w.sealed))
		}
	}
	return nil
}

// ErrErased says that a payload can't be shown because it was erased. One that
// was dropped is segment.ErrDropped, a damaged one tlog.ErrSealed or
// segment.ErrShort.
var ErrErased = errors.New("the payload was erased: its key is gone")

// location is where the payloads of an entry lie.
type location struct{ key, at, args, result int64 }

// Opened is an entry with its payloads as far as they are there.
type Opened struct {
	Entry     sallyport.Entry
	Args      *proof.Payload // nil when the entry commits to none, or when ArgsErr says why
	ArgsErr   error
	Result    *proof.Payload
	ResultErr error
}

func (r *Reader) opened(ctx context.Context, e sallyport.Entry, l location) Opened {
	o := Opened{Entry: e}
	if !e.Args.IsZero() {
		o.Args, o.ArgsErr = r.payload(ctx, e.Index, l.key, l.at, l.args, argsPlace(&e), e.Args)
	}
	if !e.Result.IsZero() {
		o.Result, o.ResultErr = r.payload(ctx, e.Index, l.key, l.at+l.args, l.result, resultPlace(&e), e.Result)
	}
	return o
}

func (r *Reader) payload(ctx context.Context, index uint64, key, at, n int64, place string, commitment sallyport.Digest) (*proof.Payload, error) {
	opener, err := r.key(ctx, key)
	if err != nil {
		return nil, err
	}
	if n > maxWaiting {
		return nil, fmt.Errorf("%w: its row is damaged", tlog.ErrSealed)
	}
	sealed, err := r.payloads.Read(index, at, n)
	if err != nil {
		return nil, err
	}
	return opener.Open(sealed, place, commitment)
}

// key opens what was sealed with it.
func (r *Reader) key(ctx context.Context, id int64) (tlog.Key, error) {
	var secret []byte
	err := r.often.QueryRowContext(ctx, "SELECT secret FROM keys WHERE id = $1", id).Scan(&secret)
	if errors.Is(err, sql.ErrNoRows) {
		return tlog.Key{}, ErrErased
	}
	if err != nil {
		return tlog.Key{}, err
	}
	if len(secret) != tlog.KeySize {
		return tlog.Key{}, fmt.Errorf("%w: its key is damaged", tlog.ErrSealed)
	}
	return tlog.NewKey([tlog.KeySize]byte(secret)), nil
}

// ErrNoPayloads says that nothing of a run is kept.
var ErrNoPayloads = errors.New("nothing is kept of this run: there is no such run, or its payloads are gone already")

// EraseRun erases the payloads of a run for good, by dropping their keys. The
// entries and their commitments stay.
func (s *Store) EraseRun(ctx context.Context, run string) error {
	err := s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		fresh := s.keys.drop(run)
		if fresh != nil {
			fresh.saved = true // what is still sealed with it must not bring it back
		}
		result, err := conn.ExecContext(ctx, "DELETE FROM keys WHERE run = $1", run)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 && fresh == nil {
			return cmp.Or(err, ErrNoPayloads)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.truncateLog(ctx)
}

// truncateLog empties SQLite's write-ahead log, where what was deleted from
// the tables can still be read.
func (s *Store) truncateLog(ctx context.Context) error {
	var busy, frames, done int
	if err := s.state.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("erased keys are still in the database's write-ahead log, because it is being read: erase again")
	}
	return nil
}

// DropPayloads drops payloads of entries older than before, by whole segments,
// and the keys that nothing is left of. It returns how many segments went.
func (s *Store) DropPayloads(ctx context.Context, before time.Time) (dropped int, err error) {
	err = s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		firsts, err := s.payloads.List()
		if err != nil {
			return err
		}
		for i, first := range firsts {
			end := s.committer.head.next
			if i+1 < len(firsts) {
				end = firsts[i+1]
			} else if err := s.payloads.Close(); err != nil {
				return err
			}
			if newest, err := s.timeOf(ctx, end); err != nil || !newest.Before(before) {
				return err
			}
			if err := s.payloads.Remove(first); err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	if err != nil {
		return dropped, err
	}
	err = s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "DELETE FROM keys WHERE made < $1", before.Add(-keyLife).UnixMilli())
		return errors.Join(err, approvals.Drop(ctx, conn, before))
	})
	if err != nil {
		return dropped, err
	}
	return dropped, s.truncateLog(ctx)
}
