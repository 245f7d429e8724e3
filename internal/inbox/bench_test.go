package inbox

import (
	"fmt"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/store"
)

// BenchmarkList is a full inbox, with a past: what a console fetches on each change.
func BenchmarkList(b *testing.B) {
	s, err := store.Open(b.TempDir(), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	put := func(id string, amount int) sallyport.Approval {
		a := asks(id, fmt.Sprintf(`{"amount":%d,"to":"acct-%d"}`, amount, amount))
		a.Asked, a.Expires = now, now.Add(time.Hour)
		entry := sallyport.Entry{Time: now, Type: sallyport.Held, Verdict: sallyport.Hold, Call: "c_" + id, Run: "r_1"}
		if err := s.Commit(b.Context(), &sallyport.Record{Entry: entry, Approval: &a}); err != nil {
			b.Fatal(err)
		}
		return a
	}
	for n := range 40 {
		no, err := put(fmt.Sprint("a_past", n), 1000+n).Refuse("bo", "no", now)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(b.Context(), &sallyport.Record{Approval: &no, Entry: sallyport.Entry{Time: now, Type: sallyport.Change}}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range 100 {
		put(fmt.Sprint("a_", n), n)
	}
	i, _ := opened()
	i.Store, i.Now = s, time.Now
	for b.Loop() {
		if list, err := i.List(b.Context(), false); err != nil || len(list) != 100 || list[0].Past.Refused != 20 {
			b.Fatal(len(list), err)
		}
	}
}
