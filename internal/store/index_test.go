package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/store/index"
)

// What counts on an account came together as the entries say: reserved first,
// then what it came to, until it stops to count.
func TestCourse(t *testing.T) {
	s := open(t, t.TempDir())
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	take := func(call string, at time.Time, charges ...sallyport.Charge) *sallyport.Record {
		r := taking(call, charges...)
		r.Entry.Time = at
		return commit(t, s, r)
	}
	settle := func(r *sallyport.Record, at time.Time, costs ...int64) {
		closing := settling(r, costs...)
		closing.Entry.Time = at
		commit(t, s, closing)
	}
	// Two limits count the same money; a third is of one call by itself.
	perCall := charge("each", "", 40, 1000)
	perCall.Window = sallyport.Window{Kind: sallyport.PerCall}
	first := take("c_1", noon, charge("user", "user=ada", 40, 1000), charge("all", "", 40, 1000), perCall)
	settle(first, noon.Add(time.Second), 30, 40, 40)
	if _, err := s.Query(t.Context(), Filter{}); err != nil { // the next outcome comes in another batch
		t.Fatal(err)
	}
	second := take("c_2", noon.Add(10*time.Minute), charge("user", "user=ada", 5, 1000))
	take("c_3", noon.Add(11*time.Minute), charge("user", "user=bob", 7, 1000))
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	settle(second, noon.Add(20*time.Minute), 9)
	want := []index.Taken{
		{Name: "user", At: noon, Calls: 1, Estimate: usd(40), Settled: usd(30)},
		{Name: "user", At: noon.Add(10 * time.Minute), Calls: 1, Estimate: usd(5), Settled: usd(5)},
		{Name: "user", At: noon.Add(20 * time.Minute), Settled: usd(4)},
	}
	if got, err := s.Course(t.Context(), "user", "user=ada", noon.Add(30*time.Minute)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	// The account says the same.
	if a := account(t, s, charge("user", "user=ada", 0, 0), noon.Add(30*time.Minute)); a.Total() != usd(39) {
		t.Errorf("the account holds %s", a.Total())
	}
	if got, err := s.Course(t.Context(), "each", "", noon); err != nil || len(got) > 0 {
		t.Errorf("of a limit of single calls: %+v, %v", got, err)
	}
	// A call's money is spent once, however many limits count it.
	spent, err := s.Spent(t.Context(), noon.Add(-time.Hour))
	if err != nil || len(spent) != 1 || spent[0].Name != "USD" || spent[0].Calls != 3 || spent[0].Estimate != usd(52) || spent[0].Settled != usd(56) {
		t.Errorf("spent %+v, %v", spent, err)
	}
	if spent, err := s.Spent(t.Context(), noon.Add(15*time.Minute)); err != nil || len(spent) != 1 || spent[0].Settled != usd(4) {
		t.Errorf("spent later %+v, %v", spent, err)
	}
	// What has stopped to count is gone, and comes to nothing any more.
	late := take("c_4", noon.Add(59*time.Minute), charge("user", "user=ada", 1, 1000))
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	take("c_5", noon.Add(61*time.Minute), charge("user", "user=ada", 2, 1000))
	settle(late, noon.Add(62*time.Minute), 8)
	if got, err := s.Course(t.Context(), "user", "user=ada", noon); err != nil || len(got) != 1 || got[0].Settled != usd(2) {
		t.Errorf("in the next window: %+v, %v", got, err)
	}
}

// Sums stop at the most that can be counted, whatever agents say that things cost.
func TestCourseHoldsTheMost(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 120 {
		c := charge("user", "user=ada", 0, 0)
		c.Amount, c.Ceiling = sallyport.MaxAmount, 10*sallyport.MaxAmount
		if i == 0 || i == 60 { // in several batches
			if _, err := s.Query(t.Context(), Filter{}); err != nil {
				t.Fatal(err)
			}
		}
		r := taking(fmt.Sprint("c_", i), c)
		if s.Commit(t.Context(), r) != nil {
			break // no integer holds more
		}
		closing := outcome(r)
		closing.Charges = r.Charges
		commit(t, s, closing)
	}
	got, err := s.Course(t.Context(), "user", "user=ada", time.Now())
	if err != nil || len(got) == 0 || got[0].Estimate != sallyport.MaxAmount || got[0].Settled < 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFired(t *testing.T) {
	s := open(t, t.TempDir())
	call(t, s, "c_1")
	call(t, s, "c_2")
	refusal := intent("c_3")
	refusal.Entry.Type, refusal.Entry.Verdict, refusal.Entry.Rules = sallyport.Refusal, sallyport.Deny, []string{"no-strangers"}
	commit(t, s, refusal)
	withheld := outcome(commit(t, s, intent("c_4")))
	withheld.Entry.Rules = []string{"on-result"}
	commit(t, s, withheld)
	want := map[string]index.Fired{"support-reads": {Calls: 3, Last: 5}, "no-strangers": {Calls: 1, Last: 4}, "on-result": {Calls: 1, Last: 6}}
	if got, err := s.Fired(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Tables that another version made are made anew, and no query sees the old ones.
func TestTablesOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	varied(t, s, 50)
	if _, err := s.Query(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s.Reader)
	closed(t, s)
	db, err := sql.Open("sqlite", filepath.Join(dir, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DROP TABLE records", "CREATE TABLE records (idx INTEGER PRIMARY KEY, agent TEXT)", "CREATE INDEX records_agent ON records (agent)",
		"INSERT INTO records VALUES (1, 'bot')", "PRAGMA user_version = 0"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	if after := dump(t, open(t, dir).Reader); !reflect.DeepEqual(after, before) {
		t.Errorf("%d rows, not %d", len(after), len(before))
	}
}

// An agent that makes names up makes no facet with each.
func TestNamesMadeUp(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 2500 {
		r := intent(fmt.Sprint("c_", i))
		r.Entry.Type, r.Entry.Verdict, r.Entry.Name = sallyport.Refusal, sallyport.Deny, fmt.Sprint("made-up-", i)
		appendRecord(t, s, r)
	}
	commit(t, s, intent("c_last"))
	found, err := s.Query(t.Context(), Filter{Name: "made-up-1234"})
	if err != nil || len(found) != 1 || found[0].Entry.Call != "c_1234" {
		t.Errorf("%d found, %v", len(found), err)
	}
	var facets int
	if err := s.index.QueryRow("SELECT count(*) FROM facets").Scan(&facets); err != nil || facets < 500 || facets > 1025 {
		t.Errorf("%d facets, %v", facets, err)
	}
}
