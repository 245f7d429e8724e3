package herald

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport"
	"sallyport/internal/breaker"
	"sallyport/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a log, a watcher and somebody who is told.
type world struct {
	*Herald
	err     error
	broken  bool
	asked   []sallyport.Approval
	decided int
	rest    time.Time // until which everybody has quiet hours
	told    chan string
}

func (w *world) Commit(context.Context, *sallyport.Record) error { return w.err }
func (w *world) Append(context.Context, *sallyport.Record) error { return w.err }
func (w *world) Decided(*sallyport.Entry)                        { w.decided++ }
func (w *world) Ended(*sallyport.Entry)                          {}

func begin(t *testing.T) *world {
	w := &world{told: make(chan string, 64)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var m struct {
			Type string
			Data struct {
				Title, Link string
				Facts       []notify.Fact
				Groups      []string
			}
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Error(err)
		}
		line := m.Type + " " + m.Data.Title + " " + m.Data.Link + " " + strings.Join(m.Data.Groups, "+")
		for _, f := range m.Data.Facts {
			line += " " + f.Name + "=" + f.Value
		}
		w.told <- line
	}))
	t.Cleanup(server.Close)
	n := notify.New(slog.New(slog.DiscardHandler))
	n.Configure([]notify.Target{{Name: "t", Kind: notify.Webhook, URL: server.URL, Key: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjU", Within: 5 * time.Second}})
	t.Cleanup(n.Close)
	w.Herald = &Herald{Log: w, Watcher: w, Breakers: breaker.New(), Notifier: n, Err: slog.New(slog.DiscardHandler),
		Health: func() error {
			if w.broken {
				return errors.New("the disk is full")
			}
			return nil
		},
		Approvals: func(context.Context) ([]sallyport.Approval, []string, error) { return w.asked, nil, nil },
		Escalated: func(a *sallyport.Approval, at time.Time) []string {
			if at.Before(a.Asked.Add(time.Minute)) {
				return nil
			}
			return []string{"bosses"}
		},
		Resting: func(_ []string, at time.Time) bool { return at.Before(w.rest) }}
	w.At("https://gate.example")
	return w
}

// next is what is told next, "" for nothing.
func (w *world) next() string {
	select {
	case m := <-w.told:
		return m
	case <-time.After(200 * time.Millisecond):
		return ""
	}
}

func question(id string, asked time.Time) sallyport.Approval {
	return sallyport.Approval{ID: "a_" + id, Call: "c_" + id, State: sallyport.Pending, Asked: asked, Expires: asked.Add(time.Hour), Server: "desk", Name: "pay",
		Principal: sallyport.Principal{Agent: "bot", User: "ana"}, Rules: []sallyport.Rule{{ID: "r", Ask: []string{"finance"}}}}
}

// The life of a question as people are told of it: each step once, and over a
// restart what was told is not told again.
func TestQuestions(t *testing.T) {
	w := begin(t)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	a := question("1", now)
	put := &sallyport.Record{Approval: &a, Entry: sallyport.Entry{Type: sallyport.Held, Call: "c_1"}}
	if err := w.Herald.Commit(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if got := w.next(); got != "approval.asked An agent waits for people to decide https://gate.example/console/approvals/a_1 finance asked=finance agent=bot for=ana call=desk/pay question=a_1 until=2026-11-29T13:00:00Z" {
		t.Error(got)
	}
	put.Entry.Call = "c_2" // the identical call again
	_ = w.Herald.Commit(t.Context(), put)
	w.asked = []sallyport.Approval{a}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{time.Second, ""}, {2 * time.Minute, "approval.escalated Nobody has answered yet: others may now"}, {3 * time.Minute, ""},
		{2 * time.Hour, "approval.expired Nobody has answered in time: the call is refused"}, {3 * time.Hour, ""},
	} {
		if err := w.look(t.Context(), now.Add(c.after), false); err != nil {
			t.Fatal(err)
		}
		if got := w.next(); got == "" != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("after %s: %q", c.after, got)
		}
	}
	answered := question("3", now)
	answered.State = sallyport.Approved
	w.asked = []sallyport.Approval{answered}
	_ = w.look(t.Context(), now.Add(2*time.Hour), false)
	if got := w.next(); got != "" {
		t.Errorf("what was answered: %s", got)
	}

	// What its agent has withdrawn, what a kill has ended and what a grant has answered
	// is no silence of people.
	closed := question("4", now)
	w.asked = []sallyport.Approval{closed}
	_ = w.look(t.Context(), now, false)
	closed, err := closed.Withdraw("bot", now)
	if err != nil {
		t.Fatal(err)
	}
	w.asked = []sallyport.Approval{closed}
	_ = w.look(t.Context(), now, false)
	if got := w.next(); got != "" {
		t.Errorf("what was withdrawn: %s", got)
	}

	again := begin(t)
	again.asked = []sallyport.Approval{a}
	_ = again.look(t.Context(), now.Add(2*time.Minute), true)
	_ = again.look(t.Context(), now.Add(3*time.Minute), false)
	if got := again.next(); got != "" {
		t.Errorf("after a restart: %s", got)
	}
	_ = again.look(t.Context(), now.Add(2*time.Hour), false)
	if got := again.next(); !strings.HasPrefix(got, "approval.expired") {
		t.Errorf("after a restart: %q", got)
	}
}

// While all rest who are asked, they are not told; once one does not, they are, also
// after a restart. Silence still denies.
func TestQuestionsWait(t *testing.T) {
	w := begin(t)
	now := time.Now()
	w.rest = now.Add(time.Hour)
	a := question("1", now)
	a.Expires = now.Add(3 * time.Hour)
	_ = w.Herald.Commit(t.Context(), &sallyport.Record{Approval: &a, Entry: sallyport.Entry{Type: sallyport.Held, Call: "c_1"}})
	w.asked = []sallyport.Approval{a}
	again := begin(t)
	again.asked, again.rest = w.asked, w.rest
	for _, of := range []*world{w, again} {
		for i, c := range []struct {
			after time.Duration
			want  string
		}{{time.Second, ""}, {30 * time.Second, ""}, {61 * time.Minute, "approval.asked An agent waits"}, {62 * time.Minute, "approval.escalated"}, {4 * time.Hour, "approval.expired"}} {
			if c.want == "approval.asked An agent waits" {
				of.Escalated = func(*sallyport.Approval, time.Time) []string { return nil }
			} else if i > 2 {
				of.Escalated = func(*sallyport.Approval, time.Time) []string { return []string{"bosses"} }
			}
			if err := of.look(t.Context(), now.Add(c.after), i == 0); err != nil {
				t.Fatal(err)
			}
			if got := of.next(); got == "" != (c.want == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("after %s: %q", c.after, got)
			}
		}
	}
}

// What of the changes on the record is told, and that nothing is that is not on
// the record.
func TestChanges(t *testing.T) {
	w := begin(t)
	change := func(subject string) string {
		_ = w.Herald.Commit(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Change, Subject: subject, By: "somebody", Reason: "because"}})
		return w.next()
	}
	for subject, want := range map[string]string{
		"kill k_1 agent bot": "kill Killed by the operator https://gate.example/console  kill=k_1 agent bot reason=because by=somebody",
		"pause k_1 all":      "kill Paused", "resume k_1 all": "kill A kill or a pause is lifted", "drain drain everything": "kill The gateway finishes",
		"quarantine desk tool:pay": "quarantine What a server says", "limit refunds at 80 %": "limit A limit", "breaker open server desk on errors": "breaker A breaker",
		"load of bo above 20 on 2026-11-30": "load A person is asked more than they can look at",
		"policy":                            "", "in force: kill k_1 agent bot": "", "start": "", "killed k_1": "",
	} {
		if got := change(subject); got == "" != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", subject, got)
		}
	}
	w.err = errors.New("no")
	if got := change("kill k_1 agent bot"); got != "" {
		t.Errorf("not on record: %s", got)
	}
}

// A person who says yes faster than they can read is told of once a day.
func TestHasty(t *testing.T) {
	w := begin(t)
	yes := func(by, subject string, took time.Duration, day int) string {
		_ = w.Herald.Commit(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Change, Subject: subject, Approval: "a_1", By: by,
			Time: time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC), Took: took, Read: 5 * time.Second}})
		return w.next()
	}
	if got := yes("bo", "approval approved a_1", time.Second, 29); got != "approval.hasty A yes came faster than what was asked can be read https://gate.example/console/attention  by=bo question=a_1 looked for=1s to read=5s" {
		t.Errorf("%q", got)
	}
	for i, c := range []struct {
		by, subject string
		took        time.Duration
		day         int
		want        bool
	}{
		{"bo", "grant made g_1", time.Second, 29, false}, // told today
		{"cy", "approval approved a_1", 5 * time.Second, 29, false},
		{"cy", "approval refused a_1", time.Second, 29, false},
		{"cy", "grant made g_1", time.Second, 29, true},
		{"bo", "approval approved a_1", 0, 30, true},
	} {
		if got := yes(c.by, c.subject, c.took, c.day); (got != "") != c.want {
			t.Errorf("%d: %q", i, got)
		}
	}
}

// Trouble with the log is told once, and its end; that one record can't be taken
// is none.
func TestLogTrouble(t *testing.T) {
	w := begin(t)
	write := func() string {
		_ = w.Herald.Append(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Closed}})
		return w.next()
	}
	w.err = errors.New("no space left on device")
	if got := write(); got != "" {
		t.Error(got)
	}
	w.broken = true
	if got := write(); !strings.HasPrefix(got, "log The log can't be written") || !strings.Contains(got, "no space left") {
		t.Errorf("%q", got)
	}
	if got := write(); got != "" {
		t.Error(got)
	}
	w.err, w.broken = nil, false
	if got := write(); !strings.HasPrefix(got, "log The log can be written again") {
		t.Errorf("%q", got)
	}
}

// Refusals count for breakers, and whoever watched before still does.
func TestDecided(t *testing.T) {
	w := begin(t)
	w.Breakers.Configure([]breaker.Rule{{Per: breaker.Agent, On: breaker.Denials, Rate: 1, Calls: 1, Within: time.Minute, Open: time.Minute}})
	w.Herald.Decided(&sallyport.Entry{Type: sallyport.Refusal, Cause: sallyport.CausePolicy, Kind: sallyport.KindTool, Principal: sallyport.Principal{Agent: "bot"}})
	if all := w.Breakers.All(); w.decided != 1 || len(all) != 1 || all[0].State != "open" {
		t.Errorf("%d, %+v", w.decided, all)
	}
}
