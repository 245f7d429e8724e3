// Package segment keeps blobs in files that only grow, one behind another, in
// one directory. A file is named by the index of the first log entry that may
// have a blob in it, so that old ones can be dropped whole.
package segment

import (
	"bufio"
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
)

const (
	maxSize = 256 << 20      // bytes, after which a segment ends
	maxLife = 24 * time.Hour // after which it ends too, so that it can be dropped
)

// ErrDropped says that the segment is not there any more.
var ErrDropped = errors.New("the payload was dropped after its retention time")

// ErrShort says that a segment ends before the blob does: it is damaged, or
// the power failed before it was written.
var ErrShort = errors.New("the payload is not in its segment")

// Segments is one directory. One goroutine may write; the others may read,
// list and sync.
type Segments struct {
	dir string

	mu     sync.Mutex // guards file against Sync
	file   *os.File   // the last segment, for appending; nil before the first write
	buffer *bufio.Writer
	size   int64
	made   time.Time
	dirty  atomic.Bool
}

// New is the segments in dir, which is made when something is written.
func New(dir string) *Segments { return &Segments{dir: dir} }

// Write appends blobs one behind another and returns where the first begins.
// first is the index of the first entry that they belong to. A failed write
// leaves nothing behind.
func (s *Segments) Write(first uint64, now time.Time, blobs ...[]byte) (at int64, err error) {
	if s.file == nil || s.size > maxSize || now.Sub(s.made) > maxLife {
		if err := s.next(first, now); err != nil {
			return 0, err
		}
	}
	at = s.size
	for _, blob := range blobs {
		s.size += int64(len(blob))
		s.buffer.Write(blob) // Flush has the error
	}
	s.dirty.Store(true)
	if err := s.buffer.Flush(); err != nil {
		s.buffer.Reset(s.file)
		s.size = at
		return 0, errors.Join(err, s.file.Truncate(at))
	}
	return at, nil
}

// next begins a segment.
func (s *Segments) next(first uint64, now time.Time) error {
	if err := s.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	// It may be there, when nothing that was written to it was ever committed.
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

func (s *Segments) path(first uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016d", first))
}

// Sync makes durable what was written.
func (s *Segments) Sync() error {
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

// Close ends the last segment. The next Write begins another.
func (s *Segments) Close() error {
	err := s.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return err
	}
	err = errors.Join(err, s.file.Close())
	s.file = nil
	return err
}

// List is the first indexes of all segments, in order.
func (s *Segments) List() ([]uint64, error) {
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

// Remove drops the segment that begins with first.
func (s *Segments) Remove(first uint64) error { return os.Remove(s.path(first)) }

// Read is n bytes at a place that Write returned, of a blob that belongs to
// the entry with the index.
func (s *Segments) Read(index uint64, at, n int64) ([]byte, error) {
	firsts, err := s.List()
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
	blob := make([]byte, n)
	if _, err := file.ReadAt(blob, at); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShort, err)
	}
	return blob, nil
}
