package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
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
func (k *keyring) of(run string, at time.Time) (*runKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.byRun[run]
	if key != nil && at.Sub(key.made) < keyLife {
		return key, nil
	}
	if k.byRun == nil || len(k.byRun) >= maxKeys {
		k.byRun = map[string]*runKey{}
	}
	k.last++
	key = &runKey{id: k.last, run: run, made: at}
	rand.Read(key.secret[:])
	key.Key = tlog.NewKey(key.secret)
	k.byRun[run] = key
	return key, nil
}

// drop forgets the key of a run.
func (k *keyring) drop(run string) *runKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.byRun[run]
	delete(k.byRun, run)
	return key
}

const (
	maxSegment  = 256 << 20 // bytes
	segmentLife = 24 * time.Hour
)

// segments are the files that sealed payloads lie in, one behind another. A
// segment is named by the index of the first entry that may have payloads in
// it. In the database a large payload would be written three times (log,
// table, checkpoint of the log); here it is written once.
type segments struct {
	dir string

	mu     sync.Mutex // guards file against sync
	file   *os.File   // the last segment, for appending; nil before the first write
	buffer *bufio.Writer
	size   int64
	made   time.Time
	dirty  atomic.Bool
}

// write appends the payloads of a group whose first entry gets the index
// first, and notes where they are. A failed write leaves nothing behind.
func (s *segments) write(first uint64, group []*waiting) error {
	if !slices.ContainsFunc(group, func(w *waiting) bool { return w.sealed != nil }) {
		return nil
	}
	now := group[len(group)-1].entry.Time
	if s.file == nil || s.size > maxSegment || now.Sub(s.made) > segmentLife {
		if err := s.next(first, now); err != nil {
			return err
		}
	}
	start := s.size
	for _, w := range group {
		if w.sealed != nil {
			w.at = s.size
			s.size += int64(len(*w.sealed))
			s.buffer.Write(*w.sealed) // Flush has the error
		}
	}
	s.dirty.Store(true)
	if err := s.buffer.Flush(); err != nil {
		s.buffer.Reset(s.file)
		s.size = start
		return errors.Join(err, s.file.Truncate(start))
	}
	return nil
}

// next begins a segment.
func (s *segments) next(first uint64, now time.Time) error {
	if err := s.close(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	// It may be there, when no group of it was ever committed.
	file, err := os.OpenFile(s.path(first), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		file.Close()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.buffer, s.size, s.made = file, bufio.NewWriterSize(file, 1<<16), size, now
	return nil
}

func (s *segments) path(first uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016d", first))
}

// sync makes durable what was written. The commit does not wait for it: after
// a loss of power the payloads of the last second may be missing, which the
// entries' commitments show.
func (s *segments) sync() error {
	if !s.dirty.Swap(false) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Sync()
}

// close ends the last segment.
func (s *segments) close() error {
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return err
	}
	err = errors.Join(err, s.file.Close())
	s.file = nil
	return err
}

// list is the first indexes of all segments, in order.
func (s *segments) list() ([]uint64, error) {
	files, err := os.ReadDir(s.dir) // sorted by name
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var firsts []uint64
	for _, file := range files {
		if first, err := strconv.ParseUint(file.Name(), 10, 64); err == nil {
			firsts = append(firsts, first)
		}
	}
	return firsts, nil
}

// read is n bytes of a payload of the entry with the index.
func (s *segments) read(index uint64, at, n int64) ([]byte, error) {
	firsts, err := s.list()
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearch(firsts, index)
	if !found {
		i--
	}
	if i < 0 {
		return nil, ErrDropped
	}
	file, err := os.Open(s.path(firsts[i]))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, n)
	if _, err := file.ReadAt(text, at); err != nil {
		return nil, fmt.Errorf("%w: its segment ends before it", tlog.ErrSealed)
	}
	return text, nil
}

// Why a payload can't be shown. A damaged one is tlog.ErrSealed.
var (
	ErrErased  = errors.New("the payload was erased: its key is gone")
	ErrDropped = errors.New("the payload was dropped after its retention time")
)

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
	var secret []byte
	err := r.db.QueryRowContext(ctx, "SELECT secret FROM keys WHERE id = $1", key).Scan(&secret)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrErased
	}
	if err != nil {
		return nil, err
	}
	if len(secret) != tlog.KeySize || n > maxWaiting {
		return nil, fmt.Errorf("%w: its key or its row is damaged", tlog.ErrSealed)
	}
	sealed, err := r.payloads.read(index, at, n)
	if err != nil {
		return nil, err
	}
	return tlog.NewKey([tlog.KeySize]byte(secret)).Open(sealed, place, commitment)
}

// EraseRun erases the payloads of a run for good, by dropping their keys. The
// entries and their commitments stay.
func (s *Store) EraseRun(ctx context.Context, run string) error {
	err := s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if key := s.keys.drop(run); key != nil {
			key.saved = true // what is still sealed with it must not bring it back
		}
		_, err := conn.ExecContext(ctx, "DELETE FROM keys WHERE run = $1", run)
		return err
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
		firsts, err := s.payloads.list()
		if err != nil {
			return err
		}
		for i, first := range firsts {
			end := s.committer.head.next
			if i+1 < len(firsts) {
				end = firsts[i+1]
			} else if err := s.payloads.close(); err != nil {
				return err
			}
			if newest, err := s.timeOf(ctx, end); err != nil || !newest.Before(before) {
				return err
			}
			if err := os.Remove(s.payloads.path(first)); err != nil {
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
		return err
	})
	if err != nil {
		return dropped, err
	}
	return dropped, s.truncateLog(ctx)
}
