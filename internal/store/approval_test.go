package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/store/approvals"
)

var _ gateway.Approvals = (*Store)(nil)

// asks is a hold that asks people.
func asks(call, question string) *sallyport.Record {
	r := intent(call)
	r.Entry.Type, r.Entry.Verdict, r.Entry.Cause = sallyport.Held, sallyport.Hold, sallyport.CauseHold
	r.Approval = &sallyport.Approval{
		ID: "a_" + call, State: sallyport.Pending, Question: []byte(question), Digest: sallyport.DigestOf([]byte(question)),
		Call: call, Principal: sallyport.Principal{Agent: "bot", User: "ana"}, Run: r.Entry.Run, Kind: sallyport.KindTool, Server: "crm", Name: "refund",
		Effects: []sallyport.Effect{sallyport.Pay}, Class: sallyport.ClassType,
		Rules: []sallyport.Rule{{ID: "look", File: "p.cedar", Line: 3, Because: "money", Ask: []string{"finance"}, Digest: sallyport.DigestOf([]byte("look"))}},
		Asked: r.Entry.Time, Expires: r.Entry.Time.Add(time.Hour),
	}
	return r
}

// answer is what a person says.
func answer(a sallyport.Approval, yes bool, at time.Time) *sallyport.Record {
	next, _ := a.Refuse("ana", "not today", at)
	if yes {
		next, _ = a.Approve("ana", at)
	}
	return &sallyport.Record{Approval: &next, Entry: sallyport.Entry{Time: at, Type: sallyport.Change, Subject: "approval " + a.ID, By: "ana"}}
}

// spending is an intent that uses an approval.
func spending(call string, a sallyport.Approval) *sallyport.Record {
	r := intent(call)
	next, _ := a.Spend(call, r.Entry.Time)
	r.Approval = &next
	return r
}

func approval(t *testing.T, s *Store, question string) sallyport.Approval {
	t.Helper()
	a, err := s.Approval(t.Context(), sallyport.DigestOf([]byte(question)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A thousand identical calls at once use one yes once, and the others, and what
// else is committed with them, are not held up.
func TestApprovalSpentOnce(t *testing.T) {
	s := open(t, t.TempDir())
	var group sync.WaitGroup
	var names sync.Map
	for i := range 1000 {
		group.Go(func() {
			r := asks(fmt.Sprint("c_ask_", i), "q")
			if err := s.Commit(context.Background(), r); err != nil {
				t.Error(err)
			}
			names.Store(r.Approval.ID, true)
			if r.Entry.Approval != r.Approval.ID {
				t.Errorf("the entry names %q, the question is %q", r.Entry.Approval, r.Approval.ID)
			}
		})
	}
	group.Wait()
	count := 0
	names.Range(func(any, any) bool { count++; return true })
	if all, _, err := s.Approvals(t.Context()); err != nil || len(all) != 1 || count != 1 {
		t.Fatalf("%d questions for one, %d names, %v", len(all), count, err)
	}
	commit(t, s, answer(approval(t, s, "q"), true, time.Now()))
	yes := approval(t, s, "q")
	if yes.State != sallyport.Approved || yes.Approver() != "ana" {
		t.Fatalf("%+v", yes)
	}
	var spent, overtaken, others atomic.Int32
	for i := range 1000 {
		group.Go(func() {
			switch err := s.Commit(context.Background(), spending(fmt.Sprint("c_", i), yes)); {
			case err == nil:
				spent.Add(1)
			case errors.Is(err, sallyport.ErrOvertaken):
				overtaken.Add(1)
			default:
				t.Error(err)
			}
		})
		group.Go(func() {
			if s.Commit(context.Background(), intent(fmt.Sprint("c_other_", i))) == nil {
				others.Add(1)
			}
		})
	}
	group.Wait()
	if spent.Load() != 1 || overtaken.Load() != 999 || others.Load() != 1000 {
		t.Errorf("%d spent it, %d were told, %d others were committed", spent.Load(), overtaken.Load(), others.Load())
	}
	intents := 0
	for e, err := range s.Entries(t.Context(), 0, 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == sallyport.Intent && e.Approval != "" {
			intents++
			if e.Approval != yes.ID || e.Call != approval(t, s, "q").Spent {
				t.Errorf("entry %d names %q", e.Index, e.Approval)
			}
		}
	}
	if intents != 1 {
		t.Errorf("%d intents name the approval", intents)
	}
}

// The transaction looks at the clock of the entry, not at what somebody saw.
func TestApprovalConditions(t *testing.T) {
	s := open(t, t.TempDir())
	first := asks("c_1", "q")
	commit(t, s, first)
	pending := *first.Approval
	late := pending.Expires
	other, unknown := answer(pending, true, time.Now()), answer(pending, true, time.Now())
	other.Approval.Digest, unknown.Approval.ID = sallyport.DigestOf([]byte("other")), "a_other"
	for name, r := range map[string]*sallyport.Record{
		"another question": other, "another approval": unknown,
		"used before the yes": spending("c_x", withState(pending, sallyport.Approved)),
	} {
		if err := s.Commit(t.Context(), r); !errors.Is(err, sallyport.ErrOvertaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	commit(t, s, answer(pending, true, time.Now()))
	if err := s.Commit(t.Context(), answer(pending, false, time.Now())); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("answered twice: %v", err)
	}
	yes := approval(t, s, "q")
	r := spending("c_2", yes)
	r.Entry.Time = late
	if err := s.Commit(t.Context(), r); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("used when its time was over: %v", err)
	}
	size, _ := s.Size(t.Context())
	if size != 2 {
		t.Errorf("%d entries: what is left out is not in the log", size)
	}
	// What ran out makes room for the same question, asked anew.
	again := asks("c_3", "q")
	again.Entry.Time, again.Approval.Asked, again.Approval.Expires = late, late, late.Add(time.Hour)
	commit(t, s, again)
	if a := approval(t, s, "q"); a.ID != "a_c_3" || a.State != sallyport.Pending {
		t.Errorf("%+v", a)
	}
	all, _, err := s.Approvals(t.Context())
	if err != nil || len(all) != 2 || all[0].State != sallyport.Expired {
		t.Errorf("%+v, %v", all, err)
	}
	r = answer(*again.Approval, true, late)
	r.Entry.Time = late.Add(time.Hour)
	if err := s.Commit(t.Context(), r); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("a yes when its time was over: %v", err)
	}
}

func withState(a sallyport.Approval, state sallyport.ApprovalState) sallyport.Approval {
	a.State = state
	return a
}

// A no that came while somebody was about to ask is a no.
func TestApprovalRefusedMeanwhile(t *testing.T) {
	s := open(t, t.TempDir())
	first := asks("c_1", "q")
	commit(t, s, first)
	commit(t, s, answer(*first.Approval, false, time.Now()))
	if err := s.Commit(t.Context(), asks("c_2", "q")); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("asked again at once: %v", err)
	}
	commit(t, s, asks("c_3", "other"))
	late := asks("c_4", "q")
	late.Entry.Time = first.Approval.Expires
	late.Approval.Expires = late.Entry.Time.Add(time.Hour)
	commit(t, s, late)
	if a := approval(t, s, "q"); a.ID != "a_c_4" || a.State != sallyport.Pending {
		t.Errorf("%+v", a)
	}
}

// A question survives a restart in every state, word for word, and its words go
// with the payloads of its run.
func TestApprovalKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ask := asks("c_1", `{"q":1}`)
	commit(t, s, ask)
	s = reopened(t, s, dir)
	a, err := s.OpenApproval(t.Context(), "a_c_1")
	if err != nil || string(a.Question) != `{"q":1}` || a.State != sallyport.Pending || a.Rules[0].Digest != sallyport.DigestOf([]byte("look")) ||
		a.Rules[0].Because != "money" || a.Principal.User != "ana" || !a.Expires.Equal(ask.Approval.Expires.Truncate(time.Millisecond)) {
		t.Fatalf("%+v, %v", a, err)
	}
	text, err := os.ReadFile(dir + "/sallyport.db-wal")
	if err != nil || strings.Contains(string(text), `{"q":1}`) {
		t.Errorf("the question is readable on the disk (%v)", err)
	}
	commit(t, s, answer(a, true, time.Now()))
	s = reopened(t, s, dir)
	if err := s.EraseRun(t.Context(), ask.Entry.Run); err != nil {
		t.Fatal(err)
	}
	a, err = s.OpenApproval(t.Context(), "a_c_1")
	if !errors.Is(err, ErrErased) || a.Question != nil || a.ID == "" {
		t.Errorf("after erasing: %q, %v", a.Question, err)
	}
	commit(t, s, spending("c_2", approval(t, s, `{"q":1}`)))
	s = reopened(t, s, dir)
	if a := approval(t, s, `{"q":1}`); a.State != sallyport.Spent || a.Spent != "c_2" {
		t.Errorf("%+v", a)
	}
	if _, err := s.OpenApproval(t.Context(), "a_none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := s.DropPayloads(t.Context(), time.Now().Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if all, _, err := s.Approvals(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d questions beyond their retention, %v", len(all), err)
	}
}

func reopened(t *testing.T, s *Store, dir string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

// A row that is not what it was is no answer, and nobody else's calls are held
// up by it.
func TestApprovalDamaged(t *testing.T) {
	for name, statement := range map[string]string{
		"record":    "UPDATE approvals SET record = 'x'",
		"state":     "UPDATE approvals SET state = 'approved'",
		"digest":    "UPDATE approvals SET record = replace(record, 'a_c_1', 'a_c_2')",
		"expiry":    "UPDATE approvals SET expires = expires + 1",
		"agent":     "UPDATE approvals SET agent = 'bob'",
		"hash":      "UPDATE approvals SET record = replace(record, 'sha256:', 'sha257:')",
		"not a one": "UPDATE approvals SET state = 'granted'",
		"no time":   "UPDATE approvals SET expires = 'soon'",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			commit(t, s, asks("c_1", "q"))
			execute(t, s, statement)
			if a, err := s.Approval(t.Context(), sallyport.DigestOf([]byte("q"))); err == nil {
				t.Errorf("read as %+v", a)
			}
			var group sync.WaitGroup
			for i := range 50 {
				group.Go(func() {
					if err := s.Commit(context.Background(), asks(fmt.Sprint("c_ask_", i), "q")); !errors.Is(err, approvals.ErrUnusable) {
						t.Errorf("joined: %v", err)
					}
				})
				group.Go(func() { commit(t, s, intent(fmt.Sprint("c_other_", i))) })
			}
			group.Wait()
		})
	}
	t.Run("no table", func(t *testing.T) {
		s := open(t, t.TempDir())
		execute(t, s, "DROP TABLE approvals")
		if _, err := s.Approval(t.Context(), sallyport.DigestOf([]byte("q"))); err == nil {
			t.Error("read")
		}
		if err := s.Commit(t.Context(), asks("c_2", "q")); err == nil {
			t.Error("asked")
		}
		commit(t, s, intent("c_3"))
	})
	t.Run("question", func(t *testing.T) {
		s := open(t, t.TempDir())
		commit(t, s, asks("c_1", "q"))
		commit(t, s, asks("c_2", "p"))
		execute(t, s, "UPDATE approvals SET question = x'00'  WHERE id = 'a_c_1'")
		execute(t, s, "UPDATE approvals SET digest = '"+sallyport.DigestOf([]byte("r")).String()+"', record = replace(record, '"+
			sallyport.DigestOf([]byte("p")).String()+"', '"+sallyport.DigestOf([]byte("r")).String()+"') WHERE id = 'a_c_2'")
		commit(t, s, asks("c_3", "s"))
		execute(t, s, "UPDATE approvals SET digest = '"+sallyport.DigestOf([]byte("t")).String()+"' WHERE id = 'a_c_3'")
		if a, err := s.Approval(t.Context(), sallyport.DigestOf([]byte("t"))); err == nil {
			t.Errorf("a question found by another's digest: %+v", a)
		}
		for _, id := range []string{"a_c_1", "a_c_2"} {
			if a, err := s.OpenApproval(t.Context(), id); err == nil || a.Question != nil {
				t.Errorf("%s shows %q", id, a.Question)
			}
		}
	})
}

// One damaged row is named, and hides no other: not from people, and not from a
// kill. Nor does it keep its agent from asking something else.
func TestApprovalDamagedAmongOthers(t *testing.T) {
	for _, statement := range []string{
		"UPDATE approvals SET record = 'x' WHERE id = 'a_c_2'",
		"UPDATE approvals SET expires = 'soon' WHERE id = 'a_c_2'",
	} {
		s := open(t, t.TempDir())
		for i := range 3 {
			commit(t, s, asks(fmt.Sprint("c_", i+1), fmt.Sprint("q", i+1)))
		}
		execute(t, s, statement)
		kept, damaged, err := s.Approvals(t.Context())
		if err != nil || len(kept) != 2 || kept[0].ID != "a_c_1" || kept[1].ID != "a_c_3" || !slices.Equal(damaged, []string{"a_c_2"}) {
			t.Errorf("%+v, %q, %v", kept, damaged, err)
		}
		commit(t, s, asks("c_4", "q4"))
		commit(t, s, answer(approval(t, s, "q1"), true, time.Now()))
		commit(t, s, spending("c_5", approval(t, s, "q1")))
	}
}

// While the log is ahead of the clock nobody could answer in time, so nobody is
// asked, and no row is left for each attempt.
func TestNobodyIsAskedBehindTheLog(t *testing.T) {
	s := open(t, t.TempDir())
	ahead := intent("c_1")
	ahead.Entry.Time = time.Now().Add(24 * time.Hour)
	commit(t, s, ahead)
	if err := s.Commit(t.Context(), asks("c_2", "q")); !errors.Is(err, approvals.ErrUnusable) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("%v", err)
	}
	if kept, _, err := s.Approvals(t.Context()); err != nil || len(kept) != 0 {
		t.Errorf("%+v, %v", kept, err)
	}
}

// The last question is the one that was put last, whatever the clock said.
func TestLastThoughTheClockWentBack(t *testing.T) {
	s := open(t, t.TempDir())
	early := asks("c_1", "q")
	early.Approval.Asked, early.Approval.Expires = early.Entry.Time.Add(30*time.Minute), early.Entry.Time.Add(90*time.Minute)
	commit(t, s, early)
	commit(t, s, answer(approval(t, s, "q"), true, time.Now()))
	commit(t, s, spending("c_2", approval(t, s, "q")))
	commit(t, s, asks("c_3", "q"))
	commit(t, s, answer(approval(t, s, "q"), false, time.Now()))
	if a := approval(t, s, "q"); a.ID != "a_c_3" || a.State != sallyport.Refused {
		t.Errorf("%s %s", a.ID, a.State)
	}
}

func execute(t *testing.T, s *Store, statement string) {
	t.Helper()
	err := s.committer.change(t.Context(), func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An agent can't bury people in questions.
func TestApprovalsAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range approvals.MaxOpen {
		commit(t, s, asks(fmt.Sprint("c_", i), fmt.Sprint("q", i)))
	}
	if err := s.Commit(t.Context(), asks("c_more", "more")); !errors.Is(err, sallyport.ErrCrowded) {
		t.Errorf("one more: %v", err)
	}
	commit(t, s, asks("c_same", "q7")) // joins
	other := asks("c_bob", "more")
	other.Approval.Principal.Agent = "bob"
	commit(t, s, other)
	commit(t, s, answer(approval(t, s, "q7"), false, time.Now()))
	commit(t, s, asks("c_room", "room"))
	blank := asks("c_blank", "blank")
	blank.Approval.Question = nil
	if err := s.Commit(t.Context(), blank); !errors.Is(err, approvals.ErrUnusable) {
		t.Errorf("asked without words: %v", err)
	}
	idle := asks("c_idle", "idle")
	idle.Approval.Rules = []sallyport.Rule{{ID: "x", Ask: []string{"finance"}}}
	if err := s.Commit(t.Context(), idle); !errors.Is(err, approvals.ErrUnusable) {
		t.Errorf("asked by a rule without text: %v", err)
	}
}

// A failed transaction leaves the question where it was.
func TestApprovalRolledBack(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, asks("c_1", "q"))
	commit(t, s, answer(approval(t, s, "q"), true, time.Now()))
	yes := approval(t, s, "q")
	execute(t, s, "ALTER TABLE entries RENAME TO hidden")
	if err := s.Commit(t.Context(), spending("c_2", yes)); err == nil || errors.Is(err, sallyport.ErrOvertaken) {
		t.Fatalf("spent without an entry: %v", err)
	}
	execute(t, s, "ALTER TABLE hidden RENAME TO entries")
	if a := approval(t, s, "q"); a.State != sallyport.Approved {
		t.Errorf("%s without an entry", a.State)
	}
	commit(t, s, spending("c_3", yes))
}

// pairs is a question that takes two people.
func pairs(call, question string) *sallyport.Record {
	r := asks(call, question)
	r.Approval.Class = sallyport.ClassPair
	return r
}

func agrees(t *testing.T, a sallyport.Approval, by string) *sallyport.Record {
	t.Helper()
	now := time.Now()
	next, err := a.Agree(now, sallyport.Answer{Group: "finance", By: by, At: now})
	if err != nil {
		t.Fatal(err)
	}
	return &sallyport.Record{Approval: &next, Entry: sallyport.Entry{Time: now, Type: sallyport.Change, Subject: "approval " + a.ID, By: by}}
}

// The first of two yeses is kept, also over a restart; a second that did not see it
// does not undo it.
func TestApprovalOfTwo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, pairs("c_1", "q"))
	unseen := approval(t, s, "q")
	commit(t, s, agrees(t, unseen, "bo"))
	if err := s.Commit(t.Context(), agrees(t, unseen, "cy")); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Fatalf("undid another's: %v", err)
	}
	commit(t, s, pairs("c_2", "q")) // the agent comes again, and people are not asked anew
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	a := approval(t, s, "q")
	if a.State != sallyport.Pending || len(a.Answers) != 1 || a.Answers[0].By != "bo" || a.Seen != 1 || a.ID != "a_c_1" {
		t.Fatalf("%+v", a)
	}
	if err := s.Commit(t.Context(), spending("c_3", withState(a, sallyport.Approved))); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Errorf("used with one yes of two: %v", err)
	}
	commit(t, s, agrees(t, a, "cy"))
	yes := approval(t, s, "q")
	if yes.State != sallyport.Approved || yes.Approver() != "bo, cy" || yes.Class != sallyport.ClassPair {
		t.Fatalf("%+v", yes)
	}
	commit(t, s, spending("c_4", yes))
}

// narrowing is a no to one question and a yes to another in its place.
func narrowing(t *testing.T, a sallyport.Approval, question string) *sallyport.Record {
	t.Helper()
	now := time.Now()
	to := *asks("c_n", question).Approval
	to.Narrows = a.ID
	to, err := to.Agree(now, sallyport.Answer{Group: "finance", By: "bo", At: now})
	if err != nil {
		t.Fatal(err)
	}
	no, err := a.Narrow(&to, "bo", "less", now)
	if err != nil {
		t.Fatal(err)
	}
	return &sallyport.Record{Approval: &no, Narrower: &to, Entry: sallyport.Entry{Time: now, Type: sallyport.Change, Subject: "approval narrowed", By: "bo"}}
}

// Both become durable at once, sealed with the key of the run.
func TestNarrowed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, asks("c_1", "wide"))
	commit(t, s, narrowing(t, approval(t, s, "wide"), "acct-4711"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	no, yes := approval(t, s, "wide"), approval(t, s, "acct-4711")
	if no.State != sallyport.Refused || no.Narrower != yes.ID || yes.State != sallyport.Approved || yes.Narrows != no.ID {
		t.Fatalf("%+v, %+v", no, yes)
	}
	if opened, err := s.OpenApproval(t.Context(), yes.ID); err != nil || string(opened.Question) != "acct-4711" {
		t.Errorf("%q, %v", opened.Question, err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "sallyport.db")); err != nil || bytes.Contains(raw, []byte("acct-4711")) {
		t.Errorf("what is asked is kept in the open: %v", err)
	}
	commit(t, s, spending("c_2", yes))
	if err := s.EraseRun(t.Context(), no.Run); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenApproval(t.Context(), yes.ID); err == nil {
		t.Error("the narrower arguments are not erased with their run")
	}
}

// Half of a narrowing is nothing: what else is committed with it goes on.
func TestNarrowedAllOrNothing(t *testing.T) {
	for name, c := range map[string]struct {
		before func(t *testing.T, s *Store)
		change func(r *sallyport.Record)
		want   error
	}{
		"the narrower one waits already": {before: func(t *testing.T, s *Store) { commit(t, s, asks("c_other", "narrow")) }, want: sallyport.ErrOvertaken},
		"a no to it holds": {before: func(t *testing.T, s *Store) {
			commit(t, s, asks("c_other", "narrow"))
			commit(t, s, answer(approval(t, s, "narrow"), false, time.Now()))
		}, want: sallyport.ErrOvertaken},
		"it can't be shown":        {change: func(r *sallyport.Record) { r.Narrower.Question = nil }, want: approvals.ErrUnusable},
		"the first is answered":    {before: func(t *testing.T, s *Store) { commit(t, s, answer(approval(t, s, "wide"), true, time.Now())) }, want: sallyport.ErrOvertaken},
		"the first is another one": {change: func(r *sallyport.Record) { r.Approval.ID = "a_x" }, want: sallyport.ErrOvertaken},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			commit(t, s, asks("c_1", "wide"))
			r := narrowing(t, approval(t, s, "wide"), "narrow")
			if c.change != nil {
				c.change(r)
			}
			if c.before != nil {
				c.before(t, s)
			}
			size, _ := s.Size(t.Context())
			wide, other := approval(t, s, "wide"), approval(t, s, "narrow")
			var group sync.WaitGroup
			group.Go(func() { commit(t, s, intent("c_beside")) })
			if err := s.Commit(t.Context(), r); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			group.Wait()
			if now, _ := s.Size(t.Context()); now != size+1 {
				t.Errorf("%d entries more", now-size)
			}
			if a := approval(t, s, "wide"); a.State != wide.State || a.Narrower != "" {
				t.Errorf("the first is %s", a.State)
			}
			if a := approval(t, s, "narrow"); a.ID != other.ID || a.State != other.State {
				t.Errorf("the second is %s, %s", a.ID, a.State)
			}
			commit(t, s, intent("c_after"))
		})
	}
}
