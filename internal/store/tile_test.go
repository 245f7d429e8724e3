package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// grown waits until a checkpoint covers what is durable.
func grown(t *testing.T, s *Store) {
	t.Helper()
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A death may come in the middle of any write, so nothing that a checkpoint
// speaks of is written again: at level 1, a tile grows once in 256 entries.
func TestPublishedTilesAreLeftAlone(t *testing.T) {
	s := open(t, t.TempDir())
	calls(t, s, 140)
	grown(t, s)
	long := time.Now().Add(-time.Hour)
	published := 0
	walk := func(each func(path string, info fs.FileInfo)) {
		err := filepath.WalkDir(s.logPath("tile"), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				info, _ := entry.Info()
				each(path, info)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk(func(path string, _ fs.FileInfo) {
		published++
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	})
	call(t, s, "c_more")
	grown(t, s)
	left := 0
	walk(func(_ string, info fs.FileInfo) {
		if info.ModTime().Before(time.Now().Add(-time.Minute)) {
			left++
		}
	})
	if published < 5 || left != published {
		t.Errorf("%d of %d published tiles were written again", published-left, published)
	}
	if damaged, err := s.CheckTiles(t.Context()); err != nil || len(damaged) != 0 {
		t.Errorf("damaged: %q, %v", damaged, err)
	}
}

// A death between the tile that fills up and the checkpoint that speaks of it
// leaves a checkpoint over a partial tile that is gone.
func TestPartialTileIsInTheFullOne(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	calls(t, s, 100)
	grown(t, s)
	checkpoint, err := os.ReadFile(s.logPath("checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	calls(t, s, 100)
	closed(t, s)
	if err := os.WriteFile(s.logPath("checkpoint"), checkpoint, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.logPath("tile/0/000.p")); !os.IsNotExist(err) {
		t.Fatalf("the partial tile is still there: %v", err)
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if damaged, err := r.CheckTiles(t.Context()); err != nil || len(damaged) != 0 {
		t.Errorf("damaged: %q, %v", damaged, err)
	}
}
