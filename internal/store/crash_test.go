package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport"
)

// TestMain turns the test binary into a gateway under load when asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SALLYPORT_TEST_LOAD"); dir != "" {
		load(dir)
		return
	}
	if dir := os.Getenv("SALLYPORT_TEST_FAULT"); dir != "" {
		supervised(dir)
		return
	}
	inMemory()
	os.Exit(m.Run())
}

// inMemory has the tests write to memory where there is room. What a process that is
// killed leaves is in memory on any disk, and a write that fails is made to fail: a
// disk adds nothing but the time of its syncs, which is half of all.
func inMemory() {
	const room = 2 << 30
	var at unix.Statfs_t
	if unix.Statfs("/dev/shm", &at) == nil && at.Type == unix.TMPFS_MAGIC && int64(at.Bavail)*at.Bsize > room {
		os.Setenv("TMPDIR", "/dev/shm")
	}
}

// load makes calls without end and prints each call whose intent is durable,
// and the index it was told.
func load(dir string) {
	s, err := Open(dir, time.Now)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				asked := intent(fmt.Sprintf("c_%d_%d_%d", os.Getpid(), w, i))
				if err := s.Commit(context.Background(), asked); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Printf("%s %d\n", asked.Entry.Call, asked.Entry.Index)
				if err := s.Append(context.Background(), outcome(asked)); err != nil {
					fmt.Println("error", err)
					return
				}
			}
		}()
	}
	select {}
}

// TestKilledAgainAndAgain kills a gateway under load. Whatever it said was durable
// is there, every intent has an outcome after the restart, and the log is the same
// one all the time. SALLYPORT_CRASHES says how often.
func TestKilledAgainAndAgain(t *testing.T) {
	crashes := 40
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_CRASHES")); err == nil {
		crashes = n
	}
	if testing.Short() {
		crashes = 5
	}
	dir := t.TempDir()
	var checkpoints [][]byte
	unknown := 0
	for round := range crashes {
		acknowledged := killed(t, dir, time.Duration(5+rand.IntN(150))*time.Millisecond)
		// One that only reads sees it all before any gateway has cleaned up.
		if round%4 == 0 {
			r, err := OpenReader(dir)
			if err != nil {
				t.Fatal(err)
			}
			for call := range acknowledged {
				if _, err := r.Show(t.Context(), call); err != nil {
					t.Fatalf("round %d: a reader does not find %s: %v", round, call, err)
				}
				break
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir)
		size, err := s.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]uint64{}
		state := map[string]sallyport.Outcome{}
		for e, err := range s.Entries(t.Context(), 0, size) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == sallyport.Intent {
				found[e.Call] = e.Index
				state[e.Call] = ""
			} else {
				state[e.Call] = e.Outcome
			}
		}
		for call, index := range acknowledged {
			if found[call] != index || (index == 0 && found[call] != 0) {
				t.Fatalf("round %d: %s was durable at %d and is at %d", round, call, index, found[call])
			}
		}
		unknown = 0
		for call, outcome := range state {
			if outcome == "" {
				t.Fatalf("round %d: %s has no outcome", round, call)
			}
			if outcome == sallyport.OutcomeUnknown {
				unknown++
			}
		}
		if round%8 == 0 || round == crashes-1 {
			if r := verified(t, s, checkpoints...); !r.OK() || len(r.Open) != 0 {
				t.Fatalf("round %d: %s", round, r)
			}
			if damaged, err := s.CheckTiles(t.Context()); err != nil || len(damaged) > 0 {
				t.Fatalf("round %d: %v, %v", round, damaged, err)
			}
		}
		closed(t, s)
		_, checkpoint, err := s.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		checkpoints = append(checkpoints, checkpoint)
	}
	if unknown == 0 {
		t.Error("no call was ever under way at a crash: the load is too weak to show anything")
	}
	t.Logf("%d crashes, %d outcomes unknown", crashes, unknown)
}

// killed runs a load for a while after its first call and kills it. It returns
// what was acknowledged.
func killed(t *testing.T, dir string, after time.Duration) map[string]uint64 {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SALLYPORT_TEST_LOAD="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]uint64{}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first {
			time.AfterFunc(after, func() { child.Process.Kill() })
		}
		call, index, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(index, 10, 64)
		if call == "error" || err != nil {
			// The last line may be torn; an error is none of the gateway's.
			if call == "error" {
				t.Errorf("the load failed: %s", lines.Text())
			}
			continue
		}
		acknowledged[call] = n
	}
	child.Wait()
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	return acknowledged
}
