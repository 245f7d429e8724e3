package memory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/scope"
)

// heap is how many bytes live after everything else is collected.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// 10,000 runs that have read a mail each are remembered at once, and what they
// take is what is counted.
func TestTenThousandRuns(t *testing.T) {
	r := newRecord()
	m := New(r, r, scope.Default)
	result := sallyport.MustParse(`{"content":[{"type":"text","text":"` + strings.Repeat("Could you look at the budget of the workshop before Friday noon? ", 30) + `"}]}`)
	before := heap()
	const runs = 10_000
	for i := range runs {
		call := callOf(fmt.Sprint("r", i), "c_1", "mail", "read_mail", `{"id":"1"}`)
		flowOf(m, r, call)
		m.Saw(call, result, nil)
	}
	if len(m.runs) != runs || m.runs["r0"] == nil || !m.runs["r0"].seen.Labels().SawUntrusted {
		t.Errorf("%d runs are remembered", len(m.runs))
	}
	counted := int64(0)
	for _, r := range m.runs {
		counted += r.bytes.Load()
	}
	taken := heap() - before
	t.Logf("10,000 runs take %d MiB, counted as %d MiB", taken>>20, counted>>20)
	if taken > 2*counted || taken > maxHeld {
		t.Errorf("10,000 runs take %d bytes, and count as %d", taken, counted)
	}
	runtime.KeepAlive(m)
}

// All memories together have a bound, however much runs read; what is dropped is
// read from the record again.
func TestMemoriesTogetherAreBounded(t *testing.T) {
	r := newRecord()
	m := New(r, r, scope.Default)
	m.most = 8 << 20
	var text strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&text, "Line %d speaks of item%d and of nothing else. ", i, i*7919)
	}
	result := sallyport.MustParse(`{"content":[{"type":"text","text":"` + text.String() + `"}]}`)
	before := heap()
	for i := range 300 {
		run := fmt.Sprint("r", i)
		call := callOf(run, "c_1", "mail", "read_mail", `{"id":"1"}`)
		flowOf(m, r, call)
		flowOf(m, r, callOf("busy", "c_1", "mail", "read_mail", `{"id":"1"}`))
		m.Saw(call, result, nil)
		r.acts[run] = []Act{{Call: "c_1", Server: "mail", Tool: "read_mail", Effects: onlyRead, Result: result, Found: []string{}}}
	}
	m.mu.Lock()
	m.shed(nil)
	m.mu.Unlock()
	if taken := heap() - before; taken > 2*m.most {
		t.Errorf("%d runs take %d MiB", len(m.runs), taken>>20)
	}
	if m.runs["busy"] == nil || m.runs["r0"] != nil || m.runs["r299"] == nil {
		t.Errorf("the %d that are left are not those that were used last", len(m.runs))
	}
	if f := flowOf(m, r, callOf("r0", "c_2", "mail", "read_mail", `{"id":"1"}`)); !f.Run.SawUntrusted {
		t.Errorf("forgotten with its memory: %+v", f.Run)
	}
	m.most = 1 // one run alone is never dropped while it is used
	for range 2 * turnsKept {
		if f := flowOf(m, r, callOf("r0", "c_3", "mail", "read_mail", `{"id":"1"}`)); !f.Run.SawUntrusted || m.runs["r0"] == nil {
			t.Fatalf("%d runs: %+v", len(m.runs), f.Run)
		}
	}
	runtime.KeepAlive(m)
}
