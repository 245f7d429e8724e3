package console

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport"
	"sallyport/internal/store"
)

// filled is a log of so many entries, all of today: mostly calls that were
// allowed, with a refusal in 500 and a hold in 1,000.
func filled(tb testing.TB, n int) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.TempDir(), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	var wait sync.WaitGroup
	var next atomic.Int64
	for range 512 {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				e := sallyport.Entry{Time: time.Now(), Type: sallyport.Intent, Call: fmt.Sprintf("c_%026d", i), Kind: sallyport.KindTool, Server: "desk", Name: "get_ticket",
					Action: "desk/tool:get_ticket", Effects: []sallyport.Effect{sallyport.Read}, Door: "mcp", Verdict: sallyport.Allow, Rules: []string{"support-reads"},
					Principal: sallyport.Principal{Agent: "bot-" + strconv.Itoa(int(i%50)), User: "ana", Tenant: "acme"}, Run: "r_" + strconv.Itoa(int(i%200))}
				switch {
				case i%500 == 0:
					e.Type, e.Verdict, e.Cause, e.Reason = sallyport.Refusal, sallyport.Deny, sallyport.CausePolicy, "no rule permits this"
				case i%1000 == 1:
					e.Type, e.Verdict, e.Cause, e.Reason = sallyport.Held, sallyport.Hold, sallyport.CauseHold, "a person is asked"
				}
				if err := s.Commit(context.Background(), &sallyport.Record{Entry: e, Args: []byte(`{"id":"tic_2207"}`)}); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	for { // the tree and the projections catch up
		signed, _, err := s.Checkpoint()
		if err != nil {
			tb.Fatal(err)
		}
		if signed.Size == uint64(n) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if _, err := s.Query(tb.Context(), store.Filter{Limit: 1}); err != nil {
		tb.Fatal(err)
	}
	return s
}

// processorTime is what this process has used of all processors: the machine may
// have something else to do.
func processorTime(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkPage is the time until a page is there, from a log of
// SALLYPORT_ENTRIES entries (50,000).
func BenchmarkPage(b *testing.B) {
	entries := 50_000
	if text := os.Getenv("SALLYPORT_ENTRIES"); text != "" {
		var err error
		if entries, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	s := filled(b, entries)
	b.Logf("%d entries in %v", entries, time.Since(began).Round(time.Second))
	w := newWorld()
	w.at = time.Now()
	w.answers["/runs/r_7"] = map[string]any{"run": "r_7", "agent": "bot-7", "user": "ana", "state": "open"}
	c, err := New(Parts{Gate: w, Log: s, Proof: s, People: w, Passkeys: nobody{}, Record: w, Now: time.Now, Version: "test"}, nil, false)
	if err != nil {
		b.Fatal(err)
	}
	value, _ := c.sessions.Begin("maren")
	for _, path := range []string{"", "approvals", "map", "map?agent=bot-7", "log", "log?type=refusal", "log?agent=bot-7", "log?agent=nobody", "runs/r_7", "log/" + strconv.Itoa(entries/2), "log/" + strconv.Itoa(entries/2) + "/proof"} {
		b.Run("/"+path, func(b *testing.B) {
			start := processorTime(b)
			for b.Loop() {
				if answer := ask(c, "GET", Path+path, "", header("Cookie", c.cookieName()+"="+value)); answer.Code != 200 {
					b.Fatalf("HTTP %d %s", answer.Code, answer.Body)
				}
			}
			b.ReportMetric(float64((processorTime(b)-start).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		})
	}
}
