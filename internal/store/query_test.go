package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/store/runs"
	"sallyport/internal/store/segment"
)

// varied fills a log with records of every kind and returns its entries.
func varied(t *testing.T, s *Store, n int) []sallyport.Entry {
	t.Helper()
	pick := func(of ...string) string { return of[rand.IntN(len(of))] }
	start := time.Now()
	for i := range n {
		r := intent(fmt.Sprintf("c_%04d", i))
		e := &r.Entry
		e.Time = start.Add(time.Duration(i) * time.Second)
		e.Principal = sallyport.Principal{Agent: pick("bot", "clerk"), User: pick("ada", "grace"), Tenant: pick("north", "south")}
		e.Run, e.Server, e.Name = pick("r_1", "r_2", ""), pick("desk", "cloud"), pick("read", "write", "pay")
		switch rand.IntN(6) {
		case 0:
			e.Type, e.Verdict, e.Cause = sallyport.Refusal, sallyport.Deny, sallyport.CausePolicy
		case 1:
			e.Type, e.Verdict, e.Cause = sallyport.Held, sallyport.Hold, sallyport.CauseHold
		case 2:
			r = &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Change, Time: e.Time, Subject: pick("policy", "pin"), By: "grace"}}
		case 3:
			e.Observed, e.Verdict = true, sallyport.Deny
		}
		if r.Entry.Type == sallyport.Intent && e.Name == "pay" {
			r.Charges = []sallyport.Charge{{Limit: "pays", Unit: "EUR", Account: "user=" + e.Principal.User, Window: sallyport.Window{Kind: sallyport.Fixed, Length: 2 * time.Minute},
				Amount: 5e6, Cap: sallyport.MaxAmount, Ceiling: sallyport.MaxAmount}}
		}
		commit(t, s, r)
		if r.Entry.Type == sallyport.Intent && rand.IntN(4) > 0 {
			answer := outcome(r)
			answer.Entry.Time = e.Time
			for _, c := range r.Charges {
				c.Cost = sallyport.Amount(rand.IntN(3)) * 5e6
				answer.Charges = append(answer.Charges, c)
			}
			answer.Entry.Outcome = sallyport.Outcome(pick("ok", "error"))
			commit(t, s, answer)
		}
	}
	var entries []sallyport.Entry
	for e, err := range s.Entries(t.Context(), 0, 1<<53) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// wanted is what a query must find, the slow way.
func wanted(entries []sallyport.Entry, f Filter) []string {
	outcomes := map[string]*sallyport.Entry{}
	for i, e := range entries {
		if e.Type == sallyport.Closed {
			outcomes[e.Call] = &entries[i]
		}
	}
	fits := func(want, have string) bool { return want == "" || want == have }
	var all []string
	for _, e := range slices.Backward(entries) {
		if e.Type == sallyport.Closed {
			continue
		}
		verdict, outcome := e.Verdict.String(), ""
		if e.Type == sallyport.Change {
			verdict = ""
		}
		closed := uint64(0)
		if o := outcomes[e.Call]; e.Type == sallyport.Intent && o != nil {
			outcome, closed = string(o.Outcome), o.Index
		}
		if fits(f.Agent, e.Principal.Agent) && fits(f.User, e.Principal.User) && fits(f.Tenant, e.Principal.Tenant) && fits(f.Run, e.Run) &&
			fits(f.Server, e.Server) && fits(f.Name, e.Name) && fits(string(f.Type), string(e.Type)) && fits(f.Verdict, verdict) &&
			fits(string(f.Outcome), outcome) && fits(f.Subject, e.Subject) && (!f.Observed || e.Observed) &&
			(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until)) && (f.Before == 0 || e.Index < f.Before) {
			all = append(all, fmt.Sprint(e.Index, " ", closed))
		}
		if f.Limit != 0 && len(all) == f.Limit {
			break
		}
	}
	return all
}

func TestQueryFindsExactly(t *testing.T) {
	s := open(t, t.TempDir())
	entries := varied(t, s, 300)
	maybe := func(of ...string) string { return append(of, "", "", "")[rand.IntN(len(of)+3)] }
	middle := entries[len(entries)/2]
	for range 400 {
		f := Filter{Agent: maybe("bot", "clerk", "nobody"), User: maybe("ada", "grace"), Tenant: maybe("north"), Run: maybe("r_1"),
			Server: maybe("desk"), Name: maybe("pay"), Type: sallyport.EntryType(maybe("intent", "refusal", "hold", "change")),
			Verdict: maybe("allow", "deny", "hold"), Outcome: sallyport.Outcome(maybe("ok", "error")), Subject: maybe("policy"),
			Observed: rand.IntN(4) == 0, Limit: 1 + rand.IntN(600)}
		switch rand.IntN(5) {
		case 0:
			f.Since = middle.Time
		case 1:
			f.Until = middle.Time
		case 2:
			f.Before = middle.Index
		}
		found, err := s.Query(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range found {
			closed := uint64(0)
			if one.Outcome != nil {
				closed = one.Outcome.Index
			}
			got = append(got, fmt.Sprint(one.Entry.Index, " ", closed))
		}
		if want := wanted(entries, f); !slices.Equal(got, want) {
			t.Fatalf("%+v: found %v, not %v", f, got, want)
		}
		f.Limit = 0
		if n, err := s.Count(t.Context(), f); err != nil || n != len(wanted(entries, f)) {
			t.Fatalf("%+v: counted %d (%v), not %d", f, n, err, len(wanted(entries, f)))
		}
	}
	// What has just become durable is found, by a reader beside the gateway too.
	r, err := OpenReader(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 50 {
		name := fmt.Sprint("new ", i)
		one := intent("c_new_" + name)
		one.Entry.Name = name
		commit(t, s, one)
		for _, reader := range []*Reader{s.Reader, r} {
			if found, err := reader.Query(t.Context(), Filter{Name: name}); err != nil || len(found) != 1 {
				t.Fatalf("%s: %v, %v", name, found, err)
			}
		}
	}
}

// dump is every row of every projection.
func dump(t *testing.T, r *Reader) []string {
	t.Helper()
	var all []string
	for _, table := range []string{"position", "runs", "course", "spent", "fired",
		"(SELECT idx, call, run, name, subject, closed, type, agent, person, tenant, server, bucket, verdict, observed, outcome FROM records JOIN facets ON id = facet)"} {
		rows, err := r.index.Query("SELECT * FROM " + table + "")
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			line := table
			for _, value := range values {
				line += fmt.Sprintf(" %v", *value.(*any))
			}
			all = append(all, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	slices.Sort(all)
	return all
}

func TestReindexIsEqual(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	varied(t, s, 100)
	calls(t, s, 3000) // more than one batch, by the sequencer as they come
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, dir) // with outcomes for what was open
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	grown := dump(t, s.Reader)
	if err := s.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := dump(t, s.Reader); len(grown) < 3000 || !reflect.DeepEqual(again, grown) {
		for i := range min(len(grown), len(again)) {
			if grown[i] != again[i] {
				t.Fatalf("they differ: %s, %s", grown[i], again[i])
			}
		}
		t.Fatalf("they differ: %d and %d rows", len(grown), len(again))
	}
	// Projections of another log are not taken for those of this one.
	closed(t, s)
	other := t.TempDir()
	o := open(t, other)
	varied(t, o, 50)
	closed(t, o)
	text, err := os.ReadFile(filepath.Join(other, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.db"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	if again := dump(t, s.Reader); !reflect.DeepEqual(again, grown) {
		t.Error("projections of another log were kept")
	}
	// And without any the gateway opens as well.
	closed(t, s)
	for _, name := range []string{"index.db", "index.db-wal", "index.db-shm"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if again := dump(t, open(t, dir).Reader); !reflect.DeepEqual(again, grown) {
		t.Error("projections made from nothing differ")
	}
}

func TestRuns(t *testing.T) {
	s := open(t, t.TempDir())
	call(t, s, "c_1")
	commit(t, s, intent("c_2"))
	refusal := intent("c_3")
	refusal.Entry.Type, refusal.Entry.Verdict = sallyport.Refusal, sallyport.Deny
	commit(t, s, refusal)
	all, err := s.Runs(t.Context(), "", 10)
	want := runs.Count{ID: "r_1", Agent: "support-bot", User: "ada", Tenant: "north", First: 0, Last: 3, Calls: 3, Denied: 1, Open: 1}
	if err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestTail(t *testing.T) {
	s := open(t, t.TempDir())
	calls(t, s, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan uint64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range s.Tail(ctx, 5) {
			if err != nil {
				t.Error(err)
			}
			seen <- e.Index
		}
	}()
	next := func(want uint64) {
		t.Helper()
		if got := <-seen; got != want {
			t.Fatalf("entry %d, not %d", got, want)
		}
	}
	for i := uint64(5); i < 40; i++ {
		next(i)
	}
	for i := range 20 {
		// An accepted record is seen without another one to push it.
		asked := commit(t, s, intent(fmt.Sprintf("c_tail_%d", i)))
		next(asked.Entry.Index)
		appendRecord(t, s, outcome(asked))
		next(asked.Entry.Index + 1)
	}
	cancel()
	<-ended
}

func TestUnknownOutcomes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	call(t, s, "c_1")
	commit(t, s, intent("c_2"))
	closed(t, s)
	s = open(t, dir)
	shown, err := s.Show(t.Context(), "c_2")
	if err != nil || len(shown) != 2 {
		t.Fatalf("%+v, %v", shown, err)
	}
	e := shown[1].Entry
	if e.Outcome != sallyport.OutcomeUnknown || e.Principal.Agent != "support-bot" || e.Run != "r_1" || e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if shown, err = s.Show(t.Context(), "c_1"); err != nil || shown[1].Entry.Outcome != sallyport.OutcomeOK {
		t.Errorf("%+v, %v", shown, err)
	}
	closed(t, s)
	// Once is enough.
	s = open(t, dir)
	if size, err := s.Size(t.Context()); err != nil || size != 4 {
		t.Errorf("%d entries, %v", size, err)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i, at := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(time.Second), noon.Add(999 * time.Microsecond)} {
		r := intent(fmt.Sprint("c_", i))
		r.Entry.Time = at
		commit(t, s, r)
		want := noon
		if i >= 2 {
			want = noon.Add(time.Second)
		}
		if !r.Entry.Time.Equal(want) {
			t.Errorf("%v became %v", at, r.Entry.Time)
		}
	}
	closed(t, s)
	s, err := Open(dir, func() time.Time { return noon.Add(-24 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r := verified(t, s); !r.OK() || r.Unknown != 4 {
		t.Errorf("%s", r)
	}
}

func TestPayloadsAreErased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	call(t, s, "c_1")
	other := intent("c_2")
	other.Entry.Run = "r_2"
	appendRecord(t, s, outcome(commit(t, s, other)))
	commit(t, s, intent("c_3"))
	var secret []byte
	if err := s.db.QueryRow("SELECT secret FROM keys WHERE run = 'r_1'").Scan(&secret); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseRun(t.Context(), "r_1"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sallyport.db", "sallyport.db-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(text), string(secret)) {
			t.Errorf("the erased key is still in %s (%v)", name, err)
		}
	}
	if err := s.EraseRun(t.Context(), "r_1"); !errors.Is(err, ErrNoPayloads) {
		t.Errorf("erasing what is gone: %v", err)
	}
	commit(t, s, intent("c_4")) // the run goes on, under a new key
	for call, want := range map[string]error{"c_1": ErrErased, "c_2": nil, "c_3": ErrErased, "c_4": nil} {
		shown, err := s.Show(t.Context(), call)
		if err != nil || !errors.Is(shown[0].ArgsErr, want) || (want == nil) != (shown[0].Args != nil) {
			t.Errorf("%s: %+v, %v", call, shown, err)
		}
	}
	closed(t, s)
	s = open(t, dir)
	if r := verified(t, s); !r.OK() {
		t.Errorf("the entries must stay: %s", r)
	}
}

// A record that was sealed before its run was erased, and is written after,
// does not bring the key back.
func TestErasedKeyStaysErased(t *testing.T) {
	s := open(t, t.TempDir())
	w, err := s.prepare(intent("c_1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EraseRun(t.Context(), "r_1"); err != nil {
		t.Fatal(err)
	}
	w.done = make(chan error, 1)
	if err := s.committer.wait(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if shown, err := s.Show(t.Context(), "c_1"); err != nil || !errors.Is(shown[0].ArgsErr, ErrErased) {
		t.Errorf("%+v, %v", shown, err)
	}
}

func TestPayloadsAreDropped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for day := range 10 {
		r := intent(fmt.Sprint("c_", day))
		r.Entry.Time = start.Add(time.Duration(day) * 25 * time.Hour)
		commit(t, s, r)
	}
	keys := func() (n int) {
		t.Helper()
		if err := s.db.QueryRow("SELECT count(*) FROM keys").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if keys() != 10 {
		t.Errorf("%d keys for 10 days of one run", keys())
	}
	if n, err := s.DropPayloads(t.Context(), start.Add(5*25*time.Hour)); err != nil || n != 5 {
		t.Errorf("%d dropped, %v", n, err)
	}
	for day := range 10 {
		shown, err := s.Show(t.Context(), fmt.Sprint("c_", day))
		if err != nil {
			t.Fatal(err)
		}
		if gone := shown[0].Args == nil; gone != (day < 5) {
			t.Errorf("day %d: %v", day, shown[0].ArgsErr)
		}
		if day == 0 && !errors.Is(shown[0].ArgsErr, ErrErased) && !errors.Is(shown[0].ArgsErr, segment.ErrDropped) {
			t.Errorf("%v", shown[0].ArgsErr)
		}
	}
	if n := keys(); n > 6 {
		t.Errorf("%d keys are left for 5 days", n)
	}
	// The last segment goes too when everything is old, and a new one begins.
	if n, err := s.DropPayloads(t.Context(), start.Add(1000*time.Hour)); err != nil || n != 5 {
		t.Errorf("%d dropped, %v", n, err)
	}
	r := intent("c_new")
	r.Entry.Time = start.Add(1001 * time.Hour)
	commit(t, s, r)
	if shown, err := s.Show(t.Context(), "c_new"); err != nil || shown[0].Args == nil {
		t.Errorf("%+v, %v", shown, err)
	}
}

func TestPayloadOfAnotherCallDoesNotOpen(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, intent("c_1"))
	commit(t, s, intent("c_2"))
	s.committer.change(t.Context(), func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "UPDATE entries SET at = (SELECT at FROM entries WHERE idx = 1) WHERE idx = 0")
		return err
	})
	shown, err := s.Show(t.Context(), "c_1")
	if err != nil || shown[0].Args != nil || shown[0].ArgsErr == nil {
		t.Errorf("%+v, %v", shown, err)
	}
}

// A clock that jumps a day forward and back loses nothing: the log's time
// stands still until the clock has caught up, payloads open, and retention
// drops none that is younger than it says.
func TestClockJumps(t *testing.T) {
	dir := t.TempDir()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := noon
	s, err := Open(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	last := time.Time{}
	jumps := []time.Duration{0, day, -day, 0, 2 * day, day, 3 * day}
	for i, jump := range jumps {
		now = noon.Add(jump)
		r := intent(fmt.Sprint("c_", i))
		r.Entry.Time = now
		commit(t, s, r)
		if r.Entry.Time.Before(last) {
			t.Errorf("the log went back from %v to %v", last, r.Entry.Time)
		}
		last = r.Entry.Time
		if i == 2 {
			closed(t, s) // a start while the clock is behind
			if s, err = Open(dir, func() time.Time { return now }); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer func() { s.Close() }()
	if dropped, err := s.DropPayloads(t.Context(), noon.Add(-2*day)); err != nil || dropped != 0 {
		t.Errorf("%d segments dropped, %v", dropped, err)
	}
	for i := range jumps {
		shown, err := s.Show(t.Context(), fmt.Sprint("c_", i))
		if err != nil || shown[0].Args == nil {
			t.Errorf("c_%d: %+v, %v", i, shown, err)
		}
	}
	if r := verified(t, s); !r.OK() || r.Unknown != 3 {
		t.Errorf("%s", r)
	}
	// Times past the jump are found in their order.
	found, err := s.Query(t.Context(), Filter{Since: noon.Add(2 * day), Type: sallyport.Intent})
	if err != nil || len(found) != 3 {
		t.Errorf("%d found, %v", len(found), err)
	}
}

// Projections that are ahead of the entries, after all but them was put back
// to an older copy, are built anew.
func TestProjectionsAhead(t *testing.T) {
	l := newTampered(t)
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	s := open(t, l.dir)
	calls(t, s, 10)
	closed(t, s)
	text, err := os.ReadFile(filepath.Join(l.dir, "index.db"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(old, "index.db"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	found, err := open(t, old).Query(t.Context(), Filter{Limit: 1000})
	if err != nil || len(found) != 200 {
		t.Errorf("%d found, %v", len(found), err)
	}
}

func TestRunsAreCountedAlone(t *testing.T) {
	s := open(t, t.TempDir())
	call(t, s, "c_1")
	other := intent("c_2")
	other.Entry.Run, other.Entry.ParentRun = "r_2", "r_1"
	commit(t, s, other)
	for id, calls := range map[string]int{"r_1": 1, "r_2": 1, "r_3": 0} {
		all, err := s.Runs(t.Context(), id, 10)
		if err != nil || len(all) != calls || calls == 1 && (all[0].ID != id || all[0].Calls != 1) {
			t.Errorf("%s: %+v, %v", id, all, err)
		}
	}
	if e, err := s.Entry(t.Context(), other.Entry.Index); err != nil || e.ParentRun != "r_1" {
		t.Errorf("the entry of a run below another: %+v, %v", e, err)
	}
}
