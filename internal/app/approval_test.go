package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/inbox"
)

const approver = "correct horse battery"

var secretly = asking.Proof{Secret: approver}

func answer(t *testing.T, a *App, id string, given inbox.Answer) (inbox.Question, error) {
	t.Helper()
	given.ID = id
	return a.Inbox().Answer(t.Context(), given)
}

// asked is a gateway in which one question waits.
func asked(t *testing.T) (*App, inbox.Question) {
	t.Helper()
	dir := t.TempDir()
	a := startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: starterIn(t, dir)})
	if err := a.Enroll(t.Context(), control.Enrolment{Secret: approver}); err != nil {
		t.Fatal(err)
	}
	question := []byte(`{"agent":"bot"}`)
	err := a.store.Commit(t.Context(), &sallyport.Record{
		Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Held, Verdict: sallyport.Hold, Call: "c_1", Run: "r_1"},
		Args:  []byte(`{}`),
		Approval: &sallyport.Approval{ID: "a_1", State: sallyport.Pending, Digest: sallyport.DigestOf(question), Question: question, Run: "r_1", Call: "c_1", Class: sallyport.ClassTap,
			Rules: []sallyport.Rule{{ID: "x", File: "p.cedar", Line: 3, Ask: []string{"finance", "legal"}, Digest: sallyport.DigestOf([]byte("x"))}}, Asked: time.Now(), Expires: time.Now().Add(time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := a.Inbox().Show(t.Context(), "a_1")
	if err != nil || shown.State != "pending" || shown.Question != string(question) || shown.Problem != "" || shown.Rules[0].Place != "p.cedar:3" {
		t.Fatalf("%+v, %v", shown, err)
	}
	return a, shown
}

// An answer needs the human, and is to what was shown.
func TestAnsweringNeedsTheHuman(t *testing.T) {
	a, shown := asked(t)
	for name, c := range map[string]struct {
		answer inbox.Answer
		id     string
		want   string
	}{
		"nobody's secret":  {inbox.Answer{By: operator, Proof: asking.Proof{Secret: "wrong"}, Digest: shown.Digest, Approve: true}, "a_1", identity.ErrWrongSecret.Error()},
		"something else":   {inbox.Answer{By: operator, Proof: secretly, Digest: sallyport.DigestOf(nil).String(), Approve: true}, "a_1", "look again"},
		"nothing":          {inbox.Answer{By: operator, Proof: secretly, Approve: true}, "a_1", "look again"},
		"no to other":      {inbox.Answer{By: operator, Proof: secretly, Digest: "x", Reason: "no"}, "a_1", "look again"},
		"no without words": {inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Reason: " "}, "a_1", "needs a reason"},
		"another":          {inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Approve: true}, "a_2", "no approval a_2"},
	} {
		deadline := time.Now().Add(10 * time.Second)
		_, err := answer(t, a, c.id, c.answer)
		for errors.Is(err, identity.ErrTooSoon) && time.Now().Before(deadline) { // after a wrong secret
			time.Sleep(50 * time.Millisecond)
			_, err = answer(t, a, c.id, c.answer)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now, err := a.Inbox().Show(t.Context(), "a_1"); err != nil || now.State != "pending" {
		t.Fatalf("%+v, %v", now, err)
	}
	answered, err := answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Approve: true})
	for errors.Is(err, identity.ErrTooSoon) {
		time.Sleep(50 * time.Millisecond)
		answered, err = answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Approve: true})
	}
	if err != nil || answered.State != "approved" || len(answered.Given) != 2 || answered.Given[0].By != operator || answered.Given[0].Proof != "secret" {
		t.Fatalf("%+v, %v", answered, err)
	}
	if _, err := answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Reason: "no"}); err == nil || !strings.Contains(err.Error(), "moved on") {
		t.Errorf("answered twice: %v", err)
	}
	kept, err := a.store.Approval(t.Context(), sallyport.DigestOf([]byte(shown.Question)))
	if err != nil || len(kept.Answers) != 2 || kept.Answers[1].Group != "legal" || kept.Answers[1].By != operator {
		t.Errorf("%+v, %v", kept, err)
	}
}

// What can't be shown can't be agreed to, but refused.
func TestWhatCanNotBeShownIsNotAgreedTo(t *testing.T) {
	a, shown := asked(t)
	if err := a.store.EraseRun(t.Context(), "r_1"); err != nil {
		t.Fatal(err)
	}
	if again, err := a.Inbox().Show(t.Context(), "a_1"); err != nil || again.Question != "" || again.Problem == "" {
		t.Errorf("%+v, %v", again, err)
	}
	_, err := answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Approve: true})
	if err == nil || !strings.Contains(err.Error(), "nobody can agree to it") {
		t.Errorf("%v", err)
	}
	if refused, err := answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Reason: "unseen"}); err != nil || refused.State != "refused" {
		t.Errorf("%+v, %v", refused, err)
	}
	if all, err := a.Inbox().List(t.Context(), true); err != nil || len(all) != 1 || all[0].Reason != "unseen" || all[0].Question != "" {
		t.Errorf("%+v, %v", all, err)
	}
}

// starterIn writes a configuration on a free port, and nothing that is allowed.
func starterIn(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("listen: 127.0.0.1:0\npolicy: [p.cedar]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
