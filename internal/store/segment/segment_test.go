package segment

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, s *Segments, first uint64, at time.Time, blobs ...string) int64 {
	t.Helper()
	var all [][]byte
	for _, blob := range blobs {
		all = append(all, []byte(blob))
	}
	where, err := s.Write(first, at, all...)
	if err != nil {
		t.Fatal(err)
	}
	return where
}

func wantBlob(t *testing.T, s *Segments, index uint64, at int64, want string) {
	t.Helper()
	if got, err := s.Read(index, at, int64(len(want))); err != nil || string(got) != want {
		t.Errorf("entry %d at %d: %q, %v", index, at, got, err)
	}
}

func TestSegments(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "payloads")
	s := New(dir)
	if firsts, err := s.List(); err != nil || len(firsts) != 0 {
		t.Errorf("%v, %v", firsts, err)
	}
	a := write(t, s, 7, noon, "one", "two")
	b := write(t, s, 9, noon.Add(time.Hour), "three")
	c := write(t, s, 10, noon.Add(25*time.Hour), "four") // a new one, a day later
	wantBlob(t, s, 7, a, "one")
	wantBlob(t, s, 8, a+3, "two")
	wantBlob(t, s, 9, b, "three")
	wantBlob(t, s, 10, c, "four")
	if _, err := s.Read(10, c, 5); !errors.Is(err, ErrShort) {
		t.Errorf("%v", err)
	}
	if _, err := s.Read(6, 0, 1); !errors.Is(err, ErrDropped) {
		t.Errorf("%v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A gateway that starts again on the same entry appends to what is there.
	s = New(dir)
	d := write(t, s, 10, noon.Add(26*time.Hour), "five")
	wantBlob(t, s, 10, c, "four")
	wantBlob(t, s, 11, d, "five")
	if firsts, err := s.List(); err != nil || !slices.Equal(firsts, []uint64{7, 10}) {
		t.Errorf("%v, %v", firsts, err)
	}
	if err := s.Remove(7); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(8, a+3, 3); !errors.Is(err, ErrDropped) {
		t.Errorf("%v", err)
	}
	if err := errors.Join(s.Sync(), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	s := New(t.TempDir())
	at := write(t, s, 0, noon, "before")
	// A file that can't be written to, in place of a full disk.
	good := s.file
	bad, err := os.Open(good.Name())
	if err != nil {
		t.Fatal(err)
	}
	s.file = bad
	s.buffer.Reset(bad)
	if _, err := s.Write(1, noon, bytes.Repeat([]byte("x"), 1<<20)); err == nil {
		t.Fatal("no error")
	}
	s.file = good
	s.buffer.Reset(good)
	after := write(t, s, 1, noon, "after")
	if after != at+6 {
		t.Errorf("written at %d", after)
	}
	wantBlob(t, s, 1, after, "after")
}
