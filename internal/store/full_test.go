package store

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDiskFull fills a small disk under a running gateway, and frees it again.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("SKIPPED, not shown here: the log on a full disk. Mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	resize := func(kilobytes int) {
		t.Helper()
		if err := unix.Mount("", disk, "", unix.MS_REMOUNT, fmt.Sprintf("size=%dk", kilobytes)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(disk, "state")
	s := open(t, dir)
	var durable []string
	big := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 4000)...), '"')
	fill := func() error {
		for i := range 10_000 {
			asked := intent(fmt.Sprintf("c_%d_%d", len(durable), i))
			asked.Args = big
			if err := s.Commit(t.Context(), asked); err != nil {
				return err
			}
			durable = append(durable, asked.Entry.Call)
			if err := s.Append(t.Context(), outcome(asked)); err != nil {
				return err
			}
		}
		return nil
	}
	for round := range 3 {
		if err := fill(); err == nil {
			t.Fatal("the disk never gets full")
		} else {
			t.Logf("round %d, after %d calls: %v", round, len(durable), err)
		}
		// Small and large, everything is refused, at once and by many.
		var group sync.WaitGroup
		refused := 0
		var mu sync.Mutex
		for w := range 8 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				asked := intent(fmt.Sprintf("c_refused_%d_%d", round, w))
				asked.Args = bytes.Repeat(big, 100)
				err := s.Commit(ctx, asked)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
				}
			})
		}
		group.Wait()
		if refused != 8 {
			t.Errorf("%d of 8 were refused", refused)
		}
		if s.Health() == nil {
			t.Error("a full disk is called healthy")
		}
		// What is there can still be read.
		if _, err := s.Show(t.Context(), "0"); err != nil {
			t.Errorf("reading: %v", err)
		}
		// Space returns, and the gateway goes on by itself.
		resize(2048 + (round+1)*400)
		deadline := time.Now().Add(20 * time.Second)
		for {
			asked := intent(fmt.Sprintf("c_after_%d", round))
			err := s.Commit(t.Context(), asked)
			if err == nil {
				durable = append(durable, asked.Entry.Call)
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not go on: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	resize(16 << 10)
	if r := verified(t, s); !r.OK() {
		t.Errorf("%s", r)
	}
	closed(t, s)
	s = open(t, dir)
	for _, call := range durable {
		if _, err := s.Show(t.Context(), call); err != nil {
			t.Errorf("%s was durable: %v", call, err)
		}
	}
	if r := verified(t, s); !r.OK() || len(r.Open) != 0 {
		t.Errorf("%s", r)
	}
}
