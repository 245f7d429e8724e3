package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport"
)

// questions is a short life in which two people answer a question that is then
// used, and another is narrowed. It says which steps were durable.
func questions(dir string) {
	s, err := Open(dir, time.Now)
	if err != nil {
		fmt.Println("refused", err)
		return
	}
	say := func(step string, r *sallyport.Record) {
		if err := s.Commit(context.Background(), r); err != nil {
			fmt.Println("refused", err)
			return
		}
		fmt.Println("durable", step)
	}
	agree := func(by string) {
		a, _ := s.Approval(context.Background(), sallyport.DigestOf([]byte("q")))
		next, err := a.Agree(time.Now(), sallyport.Answer{Group: "finance", By: by, At: time.Now()})
		if err == nil {
			say(by, &sallyport.Record{Approval: &next, Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Change, Subject: "approval", By: by, Approval: a.ID}})
		}
	}
	say("asked", pairs("c_1", "q"))
	agree("bo")
	agree("cy")
	if a, _ := s.Approval(context.Background(), sallyport.DigestOf([]byte("q"))); a.State == sallyport.Approved {
		say("spent", spending("c_2", a))
	}
	say("wide", asks("c_3", "wide"))
	if a, _ := s.Approval(context.Background(), sallyport.DigestOf([]byte("wide"))); a.State == sallyport.Pending {
		to := *asks("c_n", "narrow").Approval
		to.Narrows = a.ID
		to, _ = to.Approve("bo", time.Now())
		no, _ := a.Narrow(&to, "bo", "less", time.Now())
		say("narrowed", &sallyport.Record{Approval: &no, Narrower: &to, Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Change, Subject: "approval", By: "bo"}})
	}
	s.Close()
}

// judgeQuestions holds what a life left against what it said: whatever was durable
// is there, and a question stands where the log says, never further.
func judgeQuestions(t *testing.T, dir string, f fault, said []string) {
	t.Helper()
	s := open(t, dir)
	q, wide, narrow := approval(t, s, "q"), approval(t, s, "wide"), approval(t, s, "narrow")
	entries := map[string]int{}
	for e, err := range s.Entries(t.Context(), 0, 1<<53) {
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		switch {
		case e.Type == sallyport.Held:
			entries["asked "+e.Approval]++
		case e.Type == sallyport.Intent && e.Approval != "":
			entries["spent "+e.Approval]++
		case e.Type == sallyport.Change && e.Approval == "a_c_1":
			entries[e.By]++
		case e.Type == sallyport.Change && e.Approval == "a_c_3":
			entries["narrowed"]++
		}
	}
	is := map[string]bool{
		"asked": q.ID != "", "bo": slices.ContainsFunc(q.Answers, func(a sallyport.Answer) bool { return a.By == "bo" }),
		"cy":    slices.ContainsFunc(q.Answers, func(a sallyport.Answer) bool { return a.By == "cy" }),
		"spent": q.State == sallyport.Spent, "wide": wide.ID != "", "narrowed": wide.State == sallyport.Refused,
	}
	for step, entry := range map[string]string{"asked": "asked a_c_1", "bo": "bo", "cy": "cy", "spent": "spent a_c_1", "wide": "asked a_c_3", "narrowed": "narrowed"} {
		if was := slices.Contains(said, "durable "+step); was && !is[step] || is[step] != (entries[entry] == 1) || entries[entry] > 1 {
			t.Errorf("%+v: %s was durable: %v, is: %v, %d entries\n%s", f, step, was, is[step], entries[entry], strings.Join(said, "\n"))
		}
	}
	if (q.State == sallyport.Approved || q.State == sallyport.Spent) != (is["bo"] && is["cy"]) {
		t.Errorf("%+v: %s by %q", f, q.State, q.Approver())
	}
	if is["narrowed"] != (narrow.ID != "") || is["narrowed"] && (narrow.State != sallyport.Approved || wide.Narrower != narrow.ID) {
		t.Errorf("%+v: half narrowed: %s, %s", f, wide.State, narrow.State)
	}
}

// TestQuestionFaultAtEveryWrite kills a gateway before a write, or lets it fail
// once, for points all over the steps of two questions.
func TestQuestionFaultAtEveryWrite(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_LIFE", "questions")
	past := t.TempDir()
	said, all := faulty(t, copied(t, past), fault{})
	if len(said) != 6 || all < 40 {
		t.Fatalf("%d writes, said %q", all, said)
	}
	for how, errno := range map[string]syscall.Errno{"dies": 0, "EIO": unix.EIO, "ENOSPC": unix.ENOSPC} {
		for at := 1 + int(time.Now().UnixNano())%step(t); at <= all; at += step(t) {
			dir, f := copied(t, past), fault{first: at, last: at, errno: errno}
			said, _ := faulty(t, dir, f)
			judgeQuestions(t, dir, f, said)
		}
		t.Logf("%s: %d writes", how, all)
	}
}
