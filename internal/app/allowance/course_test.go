package allowance

import (
	"context"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/limits"
	"sallyport/internal/store"
)

// What was taken is shown with the limit that counts it and the account that it
// counts on; a limit that is none is not there.
func TestCourseAndSpent(t *testing.T) {
	s, err := store.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hour := sallyport.Window{Kind: sallyport.Sliding, Length: time.Hour}
	set, err := limits.New([]limits.Limit{{Name: "refunds", Unit: "EUR", Cap: 100e6, Window: hour, Spell: "sliding 1h", Per: []string{"user"}}, {Name: "burst", Unit: "calls", Cap: 9e6, Window: hour}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &Allowance{store: s}
	a.set.Store(set)
	charge := sallyport.Charge{Limit: "refunds", Unit: "EUR", Account: "user=ana", Label: "user=ana", Window: hour, Cap: 100e6, Ceiling: 100e6, Amount: 60e6}
	e := sallyport.Entry{Type: sallyport.Intent, Time: time.Now(), Call: "c_1", Verdict: sallyport.Allow}
	if err := s.Commit(t.Context(), &sallyport.Record{Entry: e, Charges: []sallyport.Charge{charge}}); err != nil {
		t.Fatal(err)
	}
	c, err := a.Course(context.Background(), "refunds", "user=ana")
	if err != nil || c.Calls != 1 || c.Settled != "60" || c.Account.Percent != 60 || c.Account.Reserved != "60" || c.Limit.Name != "refunds" || len(c.Points) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := a.Course(t.Context(), "refunds", "user=bob"); err != nil || len(c.Points) > 0 || c.Account.Key != "" {
		t.Errorf("of nobody: %+v, %v", c, err)
	}
	if _, err := a.Course(t.Context(), "other", ""); err == nil {
		t.Error("a limit that is none has a course")
	}
	spent, err := a.Spent(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || len(spent) != 2 || spent[0].Unit != "EUR" || spent[0].Settled != "60" || spent[0].Limits[0].Fullest != 60 || spent[1].Unit != "calls" || spent[1].Settled != "0" {
		t.Errorf("%+v, %v", spent, err)
	}
}
