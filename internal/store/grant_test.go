package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/store/approvals"
)

func grantOf(a sallyport.Approval, count int) *sallyport.Grant {
	return &sallyport.Grant{ID: "g_1", Approval: a.ID, Agent: "bot", Server: "crm", Name: "refund", Made: a.Asked, Until: a.Asked.Add(2 * time.Hour), Count: count,
		Free: []sallyport.Free{{Path: "amount", Most: "100"}}}
}

// granted has one grant, made with the yes to its question.
func granted(t *testing.T, s *Store, count int) sallyport.Grant {
	t.Helper()
	r := asks("c_1", `{"agent":"bot"}`)
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	yes := answer(*r.Approval, true, r.Entry.Time)
	yes.Grant = grantOf(*r.Approval, count)
	if err := s.Commit(t.Context(), yes); err != nil {
		t.Fatal(err)
	}
	return *yes.Grant
}

func using(call string, g sallyport.Grant) *sallyport.Record {
	r := intent(call)
	r.Grant = &sallyport.Grant{ID: g.ID, Used: 1}
	return r
}

func grants(t *testing.T, s *Store) []sallyport.Grant {
	t.Helper()
	all, err := s.Grants(t.Context(), "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// left reports whether a call finds a grant that is left.
func left(t *testing.T, s *Store) bool {
	t.Helper()
	all, err := s.Grants(t.Context(), "bot", "crm", "refund")
	if err != nil {
		t.Fatal(err)
	}
	return len(all) > 0
}

// A grant is made with the yes or not at all, used with the intent, and is there
// after a restart with what was used of it.
func TestGrants(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	g := granted(t, s, 3)
	if a := approval(t, s, `{"agent":"bot"}`); a.State != sallyport.Approved {
		t.Errorf("%+v", a)
	}
	if !left(t, s) {
		t.Error("a call finds no grant")
	}
	r := using("c_2", g)
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if e := r.Entry; e.Approval != "g_1" {
		t.Errorf("%+v", e)
	}
	for _, other := range [][3]string{{"bob", "crm", "refund"}, {"bot", "cloud", "refund"}, {"bot", "crm", "pay"}} {
		if all, err := s.Grants(t.Context(), other[0], other[1], other[2]); err != nil || len(all) != 0 {
			t.Errorf("%v: %v, %v", other, all, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if all := grants(t, s); len(all) != 1 || all[0].Used != 1 || all[0].Count != 3 || all[0].Last.IsZero() || len(all[0].Free) != 1 || all[0].Free[0] != g.Free[0] || !all[0].Until.Equal(g.Until.Truncate(time.Millisecond)) && !all[0].Until.Equal(g.Until) {
		t.Errorf("%+v", all)
	}

	// A yes that comes too late makes none.
	again := answer(*asks("c_1", `{"agent":"bot"}`).Approval, true, time.Now())
	again.Grant = grantOf(*again.Approval, 5)
	again.Grant.ID = "g_2"
	if err := s.Commit(t.Context(), again); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Error(err)
	}
	if all := grants(t, s); len(all) != 1 {
		t.Errorf("%+v", all)
	}

	revoked := g
	revoked.Revoked, revoked.Used = "ana", 1 // as it is listed
	end := func() error {
		return s.Commit(t.Context(), &sallyport.Record{Grant: &revoked, Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Change, Subject: "grant revoked g_1", By: "ana"}})
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if err := end(); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("revoked twice: %v", err)
	}
	if err := s.Commit(t.Context(), using("c_3", g)); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("used after it was revoked: %v", err)
	}
	if all := grants(t, s); all[0].Revoked != "ana" || all[0].Used != 1 || left(t, s) {
		t.Errorf("%+v", all)
	}
}

// A grant that answers a call that people are being asked about closes the question, and
// does not answer one that somebody has said no to meanwhile.
func TestGrantsAnswerOpenQuestions(t *testing.T) {
	s := open(t, t.TempDir())
	g := granted(t, s, 3)
	for call, question := range map[string]string{"c_2": `{"n":2}`, "c_3": `{"n":3}`, "c_4": `{"n":4}`} {
		if err := s.Commit(t.Context(), asks(call, question)); err != nil {
			t.Fatal(err)
		}
	}
	use := func(call, question string) error {
		r := using(call, g)
		r.Grant.Question = sallyport.DigestOf([]byte(question)).String()
		return s.Commit(t.Context(), r)
	}
	if err := use("c_5", `{"n":2}`); err != nil {
		t.Fatal(err)
	}
	if a := approval(t, s, `{"n":2}`); a.State != sallyport.Expired || a.By != "g_1" || !strings.Contains(a.Reason, "grant") {
		t.Errorf("%+v", a)
	}
	if a := approval(t, s, `{"n":3}`); a.State != sallyport.Pending {
		t.Errorf("another question: %+v", a)
	}
	if err := s.Commit(t.Context(), answer(approval(t, s, `{"n":4}`), false, time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := use("c_6", `{"n":4}`); !errors.Is(err, sallyport.ErrOvertaken) || grants(t, s)[0].Used != 1 {
		t.Errorf("of what was refused: %v, %d used", err, grants(t, s)[0].Used)
	}
	if err := s.Commit(t.Context(), asks("c_7", `{"n":2}`)); err != nil { // once the grant is over
		t.Fatal(err)
	}
	if a := approval(t, s, `{"n":2}`); a.State != sallyport.Pending || a.ID != "a_c_7" {
		t.Errorf("asked again: %+v", a)
	}
}

// Of many intents at once exactly as many are recorded as were granted.
func TestGrantsAreCounted(t *testing.T) {
	s := open(t, t.TempDir())
	g := granted(t, s, 100)
	var group sync.WaitGroup
	var through, overtaken atomic.Int64
	for i := range 1000 {
		group.Go(func() {
			switch err := s.Commit(context.Background(), using(fmt.Sprintf("c_x%d", i), g)); {
			case err == nil:
				through.Add(1)
			case errors.Is(err, sallyport.ErrOvertaken):
				overtaken.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if through.Load() != 100 || overtaken.Load() != 900 || grants(t, s)[0].Used != 100 || left(t, s) {
		t.Errorf("%d through, %d not, %d used", through.Load(), overtaken.Load(), grants(t, s)[0].Used)
	}
}

// Time, and a damaged row, end it.
func TestGrantsEnd(t *testing.T) {
	s := open(t, t.TempDir())
	g := granted(t, s, 3)
	late := using("c_2", g)
	late.Entry.Time = g.Until
	if err := s.Commit(t.Context(), late); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("used when its time was over: %v", err)
	}
	for _, damage := range []string{"count = 1000", "until = until + 1", "agent = 'bob'", "record = x'7b7d'"} {
		s := open(t, t.TempDir())
		beside := granted(t, s, 3)
		if _, err := s.state.Exec("UPDATE grants SET " + damage); err != nil {
			t.Fatal(err)
		}
		beside.ID = "g_2"
		change := &sallyport.Record{Grant: &beside, Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Change, Subject: "grant made g_2", By: "ana"}}
		if err := s.Commit(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		// Those beside it can still be ended.
		if all, err := s.Grants(t.Context(), "", "", ""); !errors.Is(err, approvals.ErrUnusable) || len(all) != 1 || all[0].ID != "g_2" {
			t.Errorf("%s: %+v, %v", damage, all, err)
		}
	}
}
