package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/store/held"
)

// A gateway whose files are taken away or replaced refuses: what it writes
// would be in no file that anybody finds.
func TestFilesTakenAway(t *testing.T) {
	for _, name := range []string{"sallyport.db", "sallyport.db-wal", "sallyport.db-shm", "lock"} {
		for how, replace := range map[string]func(path string) error{
			"removed": func(string) error { return nil },
			"replaced": func(path string) error {
				text, err := os.ReadFile(path + ".away")
				return errors.Join(err, os.WriteFile(path, text, 0o600))
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir)
				call(t, s, "c_1")
				path := filepath.Join(dir, name)
				if err := errors.Join(os.Rename(path, path+".away"), replace(path)); err != nil {
					t.Fatal(err)
				}
				if err := s.Commit(t.Context(), intent("c_2")); !errors.Is(err, held.ErrTaken) {
					t.Errorf("an intent: %v", err)
				}
				if err := s.Append(t.Context(), outcome(intent("c_2"))); !errors.Is(err, held.ErrTaken) {
					t.Errorf("an outcome: %v", err)
				}
				if err := s.SaveCredential(t.Context(), "bot", []byte("hash")); !errors.Is(err, held.ErrTaken) {
					t.Errorf("a credential: %v", err)
				}
				if err := s.Health(); !errors.Is(err, held.ErrTaken) {
					t.Errorf("health: %v", err)
				}
				if err := s.sequencer.advance(t.Context()); !errors.Is(err, held.ErrTaken) {
					t.Errorf("the sequencer: %v", err)
				}
				// It goes on when the file is back.
				if err := os.Rename(path+".away", path); err != nil {
					t.Fatal(err)
				}
				call(t, s, "c_3")
				closed(t, s)
				s = open(t, dir)
				if r := verified(t, s); !r.OK() || r.Entries != 4 {
					t.Errorf("%s", r)
				}
			})
		}
	}
}

// Whoever removes the lock can start a second gateway. The first one writes
// nothing any more, so the log has one writer all the same.
func TestLockRemoved(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	call(t, first, "c_1")
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	call(t, second, "c_2")
	if err := first.Commit(t.Context(), intent("c_3")); !errors.Is(err, held.ErrTaken) {
		t.Errorf("%v", err)
	}
	call(t, second, "c_4")
	if r := verified(t, second); !r.OK() || r.Entries < 5 || r.Types["intent"] != 3 {
		t.Errorf("%s", r)
	}
}
