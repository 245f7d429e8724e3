package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/kill"
)

// While 200 calls are being committed one agent is killed: behind the kill's
// entry there is no intent of it, and those of others go on.
func TestNoIntentBehindTheKill(t *testing.T) {
	s := open(t, t.TempDir())
	var group sync.WaitGroup
	var mu sync.Mutex
	overtaken := 0
	for i := range 200 {
		group.Go(func() {
			r := intent(fmt.Sprintf("c_%d", i))
			r.Entry.Principal.Agent = []string{"bot", "other"}[i%2]
			time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			err := s.Commit(context.Background(), r)
			switch {
			case errors.Is(err, sallyport.ErrOvertaken) && i%2 == 0:
				mu.Lock()
				overtaken++
				mu.Unlock()
			case err != nil:
				t.Errorf("call %d of %s: %v", i, r.Entry.Principal.Agent, err)
			}
		})
	}
	time.Sleep(8 * time.Millisecond)
	s.Kills.Stop(kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kill.Agent, Name: "bot"}})
	record := &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Change, Subject: "kill", Time: time.Now()}}
	if err := s.Commit(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	before, others := 0, 0
	for e, err := range s.Entries(t.Context(), 0, 1000) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Type != sallyport.Intent:
		case e.Principal.Agent == "other":
			others++
		case e.Index > record.Entry.Index:
			t.Errorf("entry %d is an intent of the killed agent, behind the kill at %d", e.Index, record.Entry.Index)
		default:
			before++
		}
	}
	if others != 100 || before+overtaken != 100 || overtaken == 0 {
		t.Errorf("%d of others, %d before, %d overtaken", others, before, overtaken)
	}
}

// What has happened already is recorded, killed or not, and so is every end.
func TestRegardlessOfAKill(t *testing.T) {
	s := open(t, t.TempDir())
	s.Kills.Stop(kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kill.All}})
	if err := s.Commit(t.Context(), intent("c_1")); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("an intent: %v", err)
	}
	// Nor is anybody asked: what the kill has ended would not be all.
	held := asks("c_4", "q")
	if err := s.Commit(t.Context(), held); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("a question: %v", err)
	}
	if all, _, err := s.Approvals(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	happened := intent("c_2")
	happened.Regardless = true
	if err := s.Commit(t.Context(), happened); err != nil {
		t.Errorf("what has happened: %v", err)
	}
	for _, kind := range []sallyport.EntryType{sallyport.Refusal, sallyport.Closed, sallyport.Change} {
		r := intent("c_3")
		r.Entry.Type = kind
		if err := s.Commit(t.Context(), r); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
