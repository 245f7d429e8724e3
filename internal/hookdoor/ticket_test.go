package hookdoor

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A result that never comes is over at the deadline, and one that came is not.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tickets
		var lost []string
		lose := func(o *open, why string) { lost = append(lost, o.key.use+": "+why) }
		all.keep(&open{key: key{"r", "s", "1"}}, time.Minute, lose)
		all.keep(&open{key: key{"r", "s", "2"}}, time.Minute, lose)
		if o := all.take(func(o *open) bool { return o.key.use == "2" }, "r"); o == nil {
			t.Error("not there")
		}
		if o := all.take(func(o *open) bool { return true }, "r_other"); o != nil {
			t.Error("another run's")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(lost) != 1 || lost[0] != "1: the client did not say within 1m0s what came of it" || len(all.runs) != 0 {
			t.Errorf("%q, %v", lost, all.runs)
		}
	})
}

// A client that opens calls without end crowds out its own oldest, which are
// over, and nobody else's.
func TestTooManyOpen(t *testing.T) {
	var all tickets
	var mu sync.Mutex
	var lost []string
	lose := func(o *open, _ string) { mu.Lock(); lost = append(lost, o.key.use); mu.Unlock() }
	all.keep(&open{key: key{"r_other", "s", "0"}}, time.Hour, lose)
	for i := range maxOpen + 2 {
		all.keep(&open{key: key{"r", "s", fmt.Sprint(i)}}, time.Hour, lose)
	}
	if len(lost) != 2 || lost[0] != "0" || lost[1] != "1" || len(all.runs["r"]) != maxOpen || len(all.runs["r_other"]) != 1 {
		t.Errorf("%q, %d", lost, len(all.runs["r"]))
	}
}
