package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/inbox"
	"sallyport/internal/kill"
	"sallyport/internal/store"
	"sallyport/internal/store/kills"
	"sallyport/internal/wire"
)

func killed(t *testing.T, a *App, kind kill.Kind, name string) kill.Done {
	t.Helper()
	done, err := a.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kind, Name: name}, Reason: "because"})
	if err != nil || !done.Recorded || done.Problem != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	return done
}

// subjects are the subjects of all changes on the record, the latest first.
func subjects(t *testing.T, a *App) string {
	t.Helper()
	found, err := a.store.Query(t.Context(), store.Filter{Type: sallyport.Change})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range found {
		all = append(all, f.Entry.Subject)
	}
	return strings.Join(all, "\n")
}

// slow is a server whose tool takes a minute. It says when it was called, and
// when it hears that nobody waits any more.
func slow(t *testing.T) (url string, called, cancelled chan string) {
	called, cancelled = make(chan string, 8), make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		m, err := wire.Parse(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		result := map[string]string{
			"server/discover": `"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"jobs","version":"1"}}`,
			"tools/list":      `"tools":[{"name":"job","inputSchema":{"type":"object","properties":{"size":{"type":"integer"}}}}],"ttlMs":0,"cacheScope":"private"`,
			"tools/call":      `"content":[]`,
		}[m.Method]
		if m.Method == "tools/call" {
			who := string(m.Params.Get("arguments").Get("size").Raw())
			called <- who
			select {
			case <-r.Context().Done():
				cancelled <- who
				return
			case <-time.After(map[string]time.Duration{"1": time.Minute, "2": time.Second}[who]):
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete",%s}}`, m.ID.Raw(), result)
	}))
	t.Cleanup(server.Close)
	return server.URL, called, cancelled
}

// slowShop is a gateway over slow, with two agents.
func slowShop(t *testing.T) (w *workshop, called, cancelled chan string) {
	url, called, cancelled := slow(t)
	dir := t.TempDir()
	w = &workshop{t: t, dir: dir, file: filepath.Join(dir, "sallyport.yaml")}
	for name, text := range map[string]string{"p.cedar": "permit (principal, action, resource);", "sallyport.yaml": `listen: 127.0.0.1:0
policy: [p.cedar]
pin: trust-first-use
servers: {jobs: {url: "` + url + `", effects: {"*": write}}}
tenants: [acme]
users: {ana: {tenant: acme}, bob: {tenant: acme}, carl: {tenant: acme}}
roles: [tester]
agents: {one: {role: tester, for: ana, tenant: acme}, two: {role: tester, for: bob, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: one}, {address: "127.0.0.1:0", agent: two}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.App = started(t, dir, w.file)
	return w, called, cancelled
}

// What is under way is cancelled at its server at once; another agent's call
// there comes to its end, and its next one is let in.
func TestKillReachesTheServer(t *testing.T) {
	w, called, cancelled := slowShop(t)
	one, two := make(chan string, 1), make(chan string, 1)
	go func() { one <- w.ask("one", "tools/call", `"name":"job","arguments":{"size":1}`) }()
	go func() { two <- w.ask("two", "tools/call", `"name":"job","arguments":{"size":2}`) }()
	<-called
	<-called
	began := time.Now()
	if done := killed(t, w.App, kill.Agent, "one"); done.Under != 1 || done.Left != 0 {
		t.Errorf("%+v", done)
	}
	if who := <-cancelled; who != "1" || time.Since(began) > time.Second {
		t.Errorf("%s heard after %v", who, time.Since(began))
	}
	if got := <-one; !strings.Contains(got, "killed by the operator: because") {
		t.Errorf("the killed agent hears %s", got)
	}
	if got := <-two; !strings.Contains(got, `"result"`) || strings.Contains(got, "killed") {
		t.Errorf("the other agent hears %s", got)
	}
	var found []store.Found
	var err error
	for range 500 { // the outcome becomes durable behind the answer
		if found, err = w.store.Query(t.Context(), store.Filter{Agent: "one"}); err != nil || len(found) == 1 && found[0].Outcome != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || len(found) != 1 || found[0].Outcome == nil || found[0].Outcome.Outcome != sallyport.OutcomeUnknown {
		t.Errorf("%+v, %v", found, err)
	}
}

// A kill cancels tasks at their server and ends the agent's runs, but not what
// the standing run remembers. It is still there after a restart.
func TestKillEndsTasksAndRuns(t *testing.T) {
	w := openWorkshop(t)
	if err := w.Enroll(t.Context(), control.Enrolment{Secret: approver}); err != nil {
		t.Fatal(err)
	}
	for _, agent := range []string{"one", "two"} {
		if _, err := w.BeginRun(t.Context(), control.NewRun{Secret: approver, Agent: agent, Task: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range w.Runs() {
		if r.Agent == "two" {
			continue
		}
		_, err := w.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kill.Run, Name: r.Run}})
		if r.Standing && (err == nil || !strings.Contains(err.Error(), "kill that agent")) {
			t.Errorf("the standing run %s: %v", r.Run, err)
		}
		if !r.Standing && err != nil {
			t.Errorf("run %s: %v", r.Run, err)
		}
	}
	killed(t, w.App, kill.Agent, "one")
	if got := w.seen(); got != "tasks/cancel" {
		t.Errorf("the server saw %q", got)
	}
	open := map[string]int{}
	for _, r := range w.Runs() {
		open[fmt.Sprint(r.Agent, " ", r.Standing)]++
	}
	if open["one false"] != 0 || open["one true"] != 1 || open["two false"] != 1 {
		t.Errorf("runs that go on: %v", open)
	}
	// Nor does another one begin, whose credential would be good once this is over.
	if _, err := w.BeginRun(t.Context(), control.NewRun{Secret: approver, Agent: "one", Task: "x"}); err == nil || !strings.Contains(err.Error(), "killed by the operator: because") {
		t.Errorf("a run of the killed agent: %v", err)
	}
	if _, err := w.BeginRun(t.Context(), control.NewRun{Secret: approver, Agent: "two", Task: "x"}); err != nil {
		t.Errorf("a run of the other: %v", err)
	}
	w.restart()
	if got := w.ask("one", "tools/call", `"name":"job","arguments":{"size":1}`); !strings.Contains(got, "killed by the operator") {
		t.Errorf("after a restart: %s", got)
	}
	if got := w.ask("two", "tools/call", `"name":"job","arguments":{"size":1}`); !strings.Contains(got, "taskId") {
		t.Errorf("the other agent: %s", got)
	}
	if all := subjects(t, w.App); !strings.Contains(all, "in force: kill k_") {
		t.Errorf("on the record:\n%s", all)
	}
}

// A gateway that dies before it has cancelled the tasks in a kill's scope does so when
// it starts again.
func TestKilledTasksOfBefore(t *testing.T) {
	w := openWorkshop(t)
	stop(t, w.App)
	if err := kills.Write(w.Dir(), []kill.Order{{ID: "k_1", Scope: kill.Scope{Kind: kill.Tool, Name: "jobs/job"}, Reason: "x", By: "control socket", At: time.Now().UTC()}}); err != nil {
		t.Fatal(err)
	}
	w.App = started(t, w.dir, w.file)
	var got string
	for range 500 {
		if got = w.seen(); strings.Contains(got, "tasks/cancel") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the server saw %q", got)
}

// What waits for people is refused with the reason, and a yes that nobody has
// used is gone, also once the kill is over.
func TestKillEndsQuestions(t *testing.T) {
	for state, want := range map[string]string{"pending": "refused", "approved": "expired"} {
		a, shown := asked(t)
		if state == "approved" {
			if _, err := answer(t, a, "a_1", inbox.Answer{By: operator, Proof: secretly, Digest: shown.Digest, Approve: true}); err != nil {
				t.Fatal(err)
			}
		}
		done := killed(t, a, kill.All, "")
		if now, err := a.Inbox().Show(t.Context(), "a_1"); err != nil || now.State != want || !strings.Contains(now.Reason, "because") {
			t.Errorf("%s: %+v, %v", state, now, err)
		}
		if err := a.Halt().Resume(t.Context(), done.ID, approver); err != nil {
			t.Fatal(err)
		}
		if now, err := a.Inbox().Show(t.Context(), "a_1"); err != nil || now.State != want {
			t.Errorf("resumed, %s: %+v, %v", state, now, err)
		}
	}
}

// Whoever agrees while a kill ends what waits has agreed to nothing.
func TestKillEndsWhatIsBeingAnswered(t *testing.T) {
	a, _ := asked(t)
	first, err := a.store.OpenApproval(t.Context(), "a_1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		next := first
		next.ID, next.Question = fmt.Sprintf("a_2%02d", i), fmt.Appendf(nil, `{"agent":"bot","n":%d}`, i)
		next.Digest = sallyport.DigestOf(next.Question)
		err := a.store.Commit(t.Context(), &sallyport.Record{Approval: &next,
			Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Held, Verdict: sallyport.Hold, Call: "c" + next.ID, Run: "r_1"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	open, _, err := a.store.Approvals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	agreed := make(chan int)
	go func() {
		n := 0
		for _, q := range slices.Backward(open) {
			if next, err := q.Approve("operator", time.Now()); err == nil && a.gateway.Answer(context.Background(), next, "operator") == nil {
				n++
			}
		}
		agreed <- n
	}()
	killed(t, a, kill.All, "")
	n := <-agreed
	all, _, err := a.store.Approvals(t.Context())
	if err != nil || n == 0 {
		t.Fatalf("%d were agreed to, %v", n, err)
	}
	for _, q := range all {
		if q.State == sallyport.Pending || q.State == sallyport.Approved {
			t.Errorf("%s is %s behind the kill", q.ID, q.State)
		}
	}
}

// grantedTo puts a question of an agent that was agreed to and used, and the grant
// that was made of it.
func grantedTo(t *testing.T, s *store.Store, id, agent, run string) {
	t.Helper()
	question := fmt.Appendf(nil, `{"agent":%q,"n":%q}`, agent, id)
	q := sallyport.Approval{ID: "a_" + id, State: sallyport.Pending, Digest: sallyport.DigestOf(question), Question: question, Run: run, Call: "c_" + id, Class: sallyport.ClassTap,
		Principal: sallyport.Principal{Agent: agent, User: "ana"}, Server: "crm", Name: "refund", Kind: sallyport.KindTool,
		Rules: []sallyport.Rule{{ID: "x", Ask: []string{"finance"}, Digest: sallyport.DigestOf([]byte("x"))}}, Asked: time.Now(), Expires: time.Now().Add(time.Hour)}
	entry := sallyport.Entry{Time: time.Now(), Call: "c_" + id, Run: run}
	put := func(change sallyport.Approval, what sallyport.EntryType, g *sallyport.Grant) {
		t.Helper()
		e := entry
		e.Type, e.Subject = what, "x"
		if err := s.Commit(context.Background(), &sallyport.Record{Entry: e, Approval: &change, Grant: g}); err != nil {
			t.Fatal(err)
		}
	}
	put(q, sallyport.Held, nil)
	yes, err := q.Approve("ana", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	put(yes, sallyport.Change, &sallyport.Grant{ID: "g_" + id, Approval: q.ID, Agent: agent, Server: "crm", Name: "refund", Made: time.Now(), Until: time.Now().Add(time.Hour), Count: 5})
	yes.Seen = len(yes.Answers)
	used, err := yes.Spend("c_"+id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	put(used, sallyport.Intent, nil)
}

// revoked are the grants that were, and by whom.
func revoked(t *testing.T, a *App) string {
	t.Helper()
	all, err := a.store.Grants(t.Context(), "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	var ended []string
	for _, g := range all {
		if g.Revoked != "" {
			ended = append(ended, g.ID+" by "+g.Revoked)
		}
	}
	return strings.Join(ended, ", ")
}

// What was granted in a kill's scope has ended, also where the yes was used long ago:
// once the kill is over, people are asked again. A pause ends nothing.
func TestKillEndsGrants(t *testing.T) {
	for _, c := range []struct {
		scope kill.Scope
		want  string
	}{
		{kill.Scope{Kind: kill.All}, "g_1 by control socket, g_2 by control socket, g_3 by control socket"},
		{kill.Scope{Kind: kill.Agent, Name: "bot"}, "g_1 by control socket, g_2 by control socket"},
		{kill.Scope{Kind: kill.User, Name: "ana"}, "g_1 by control socket, g_2 by control socket, g_3 by control socket"},
		{kill.Scope{Kind: kill.Run, Name: "r_2"}, "g_2 by control socket"},
		{kill.Scope{Kind: kill.Server, Name: "crm"}, "g_1 by control socket, g_2 by control socket, g_3 by control socket"},
		{kill.Scope{Kind: kill.Tool, Name: "crm/refund"}, "g_1 by control socket, g_2 by control socket, g_3 by control socket"},
		{kill.Scope{Kind: kill.Tool, Name: "crm/other"}, ""},
	} {
		dir := t.TempDir()
		options := Options{Dir: filepath.Join(dir, "state"), Config: starterIn(t, dir)}
		a := startedWith(t, options)
		grantedTo(t, a.store, "1", "bot", "r_1")
		grantedTo(t, a.store, "2", "bot", "r_2")
		grantedTo(t, a.store, "3", "other", "r_3")
		for _, pause := range []bool{true, false} {
			stop(t, a)
			o := kill.Order{ID: fmt.Sprint("k_", pause), Scope: c.scope, By: "control socket", Reason: "because", At: time.Now(), Pause: pause}
			if err := kills.Write(options.Dir, []kill.Order{o}); err != nil {
				t.Fatal(err)
			}
			a = startedWith(t, options)
			if want := map[bool]string{false: c.want}[pause]; revoked(t, a) != want {
				t.Errorf("%s, a pause %v: %s, want %s", c.scope, pause, revoked(t, a), want)
			}
		}
		if all := subjects(t, a); c.want != "" && !strings.Contains(all, "grant revoked g_2") {
			t.Errorf("on the record:\n%s", all)
		}
	}
}

// A run's kill reaches all runs below it at once: those of which it is not the parent,
// too, while the log can't be written yet.
func TestKillOfARunReachesThoseBelow(t *testing.T) {
	w, _, _ := slowShop(t)
	if err := w.Enroll(t.Context(), control.Enrolment{Secret: approver}); err != nil {
		t.Fatal(err)
	}
	begin := func(wanted control.NewRun) string {
		t.Helper()
		wanted.Secret = approver
		begun, err := w.BeginRun(t.Context(), wanted)
		if err != nil {
			t.Fatal(err)
		}
		return begun.Run
	}
	top := begin(control.NewRun{Agent: "one", Task: "x"})
	beside := begin(control.NewRun{Agent: "one", Task: "x"})
	child := begin(control.NewRun{Parent: top})
	below := begin(control.NewRun{Parent: child})
	under := func(run, parent string) context.Context {
		ctx, _, err := w.store.Kills.Enter(t.Context(), kill.Target{Run: run, Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		return ctx
	}
	deep, other := under(below, child), under(beside, "")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.Dir(), "sallyport.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	done, err := w.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kill.Run, Name: top}})
	if err != nil || kill.Cause(deep) == nil || kill.Cause(other) != nil {
		t.Errorf("%+v, %v: deep %v, other %v", done, err, kill.Cause(deep), kill.Cause(other))
	}
	if w.store.Kills.Stops(kill.Target{Run: below, Parent: child}) == nil || w.store.Kills.Stops(kill.Target{Run: beside}) != nil {
		t.Error("the deepest run goes on, or another one does not")
	}
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// A damaged row is named, and keeps a kill from no other question.
func TestKillEndsQuestionsBesideADamagedOne(t *testing.T) {
	a, _ := asked(t)
	question := []byte(`{"agent":"two"}`)
	err := a.store.Commit(t.Context(), &sallyport.Record{
		Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Held, Verdict: sallyport.Hold, Call: "c_2", Run: "r_1"},
		Approval: &sallyport.Approval{ID: "a_2", State: sallyport.Pending, Digest: sallyport.DigestOf(question), Question: question,
			Rules: []sallyport.Rule{{ID: "x", Ask: []string{"legal"}, Digest: sallyport.DigestOf(nil)}}, Asked: time.Now(), Expires: time.Now().Add(time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(a.Dir(), "sallyport.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE approvals SET record = 'x' WHERE id = 'a_2'"); err != nil {
		t.Fatal(err)
	}
	if listed, err := a.Inbox().List(t.Context(), true); err != nil || len(listed) != 2 || listed[0].ID != "a_2" || listed[0].Problem == "" || listed[1].ID != "a_1" {
		t.Errorf("%+v, %v", listed, err)
	}
	done, err := a.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kill.All}})
	if err != nil || !strings.Contains(done.Problem, "a_2") {
		t.Errorf("%+v, %v", done, err)
	}
	if now, err := a.Inbox().Show(t.Context(), "a_1"); err != nil || now.State != "refused" {
		t.Errorf("%+v, %v", now, err)
	}
}

// While the database is slow a kill is in force and in its file at once, and on
// the record as soon as that can be written.
func TestKillWhileTheDatabaseIsSlow(t *testing.T) {
	dir := t.TempDir()
	a := startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: starterIn(t, dir)})
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "state", "sallyport.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done, err := a.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kill.All}})
	if err != nil || done.Recorded || !strings.Contains(done.Problem, "the log is slow") || time.Since(began) > 3*time.Second {
		t.Errorf("%+v, %v after %v", done, err, time.Since(began))
	}
	if a.store.Kills.Stops(kill.Target{}) == nil {
		t.Error("nothing is stopped")
	}
	text, err := os.ReadFile(filepath.Join(dir, "state", kills.File))
	if err != nil || !strings.Contains(string(text), done.ID) {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(subjects(t, a), "kill "+done.ID); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not on the record:\n%s", subjects(t, a))
		}
	}
}

// A gateway that dies once the file is written, and before anything else, is
// killed when it starts again, says so on the record, and keeps it in both.
func TestKilledBetweenFileAndRecord(t *testing.T) {
	dir := t.TempDir()
	config, state := starterIn(t, dir), filepath.Join(dir, "state")
	before := startedWith(t, Options{Dir: state, Config: config})
	grantedTo(t, before.store, "1", "bot", "r_1")
	question := []byte(`{"agent":"bot"}`)
	if err := before.store.Commit(t.Context(), &sallyport.Record{
		Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Held, Verdict: sallyport.Hold, Call: "c_2", Run: "r_1"},
		Approval: &sallyport.Approval{ID: "a_2", State: sallyport.Pending, Digest: sallyport.DigestOf(question), Question: question,
			Rules: []sallyport.Rule{{ID: "x", Ask: []string{"legal"}, Digest: sallyport.DigestOf(nil)}}, Asked: time.Now(), Expires: time.Now().Add(time.Hour)},
	}); err != nil {
		t.Fatal(err)
	}
	stop(t, before)
	if err := kills.Write(state, []kill.Order{{ID: "k_1", Scope: kill.Scope{Kind: kill.All}, Reason: "x", By: "control socket", At: time.Now().UTC()}}); err != nil {
		t.Fatal(err)
	}
	a := startedWith(t, Options{Dir: state, Config: config})
	if now, err := a.Inbox().Show(t.Context(), "a_2"); err != nil || now.State != "refused" || revoked(t, a) != "g_1 by control socket" {
		t.Errorf("what it had not come to end: %s, grants %q, %v", now.State, revoked(t, a), err)
	}
	if a.store.Kills.Stops(kill.Target{}) == nil || !strings.Contains(subjects(t, a), "in force: kill k_1 everything") {
		t.Errorf("on the record:\n%s", subjects(t, a))
	}
	var kept struct{ Orders []kill.Order }
	text, err := a.store.Setting(t.Context(), kills.Setting)
	if err != nil || json.Unmarshal(text, &kept) != nil || len(kept.Orders) != 1 {
		t.Errorf("the database keeps %s, %v", text, err)
	}
	if checks := a.Doctor(t.Context()).Checks; checks[0].Level != control.Broken || !strings.Contains(checks[0].What, "KILLED: everything") {
		t.Errorf("doctor says %+v", checks[0])
	}
}

// Nobody but the human resumes, and what can't be kept stays in force.
func TestResumeNeedsTheHuman(t *testing.T) {
	a, _ := asked(t)
	done := killed(t, a, kill.All, "")
	if err := a.Halt().Resume(t.Context(), done.ID, ""); err == nil {
		t.Error("nobody has resumed")
	}
	time.Sleep(1100 * time.Millisecond) // after a wrong secret
	path := filepath.Join(a.Dir(), kills.File)
	if err := os.Mkdir(path+".new", 0o700); err != nil { // where the file is written
		t.Fatal(err)
	}
	if err := a.Halt().Resume(t.Context(), done.ID, approver); err == nil || !strings.Contains(err.Error(), "stays in force") {
		t.Errorf("%v", err)
	}
	if a.store.Kills.Stops(kill.Target{}) == nil {
		t.Error("resumed, though it is not kept")
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := a.Halt().Resume(t.Context(), done.ID, approver); err != nil || a.store.Kills.Stops(kill.Target{}) != nil {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), done.ID) {
		t.Errorf("%s, %v", text, err)
	}
	if all := subjects(t, a); !strings.Contains(all, "resume "+done.ID) {
		t.Errorf("on the record:\n%s", all)
	}
}

// What can't be read has stopped everything, and is left as it is until the
// human has looked.
func TestUnreadableIsKilled(t *testing.T) {
	dir := t.TempDir()
	config, state := starterIn(t, dir), filepath.Join(dir, "state")
	stop(t, startedWith(t, Options{Dir: state, Config: config}))
	path := filepath.Join(state, kills.File)
	if err := os.WriteFile(path, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startedWith(t, Options{Dir: state, Config: config})
	if a.store.Kills.Stops(kill.Target{}) == nil || !strings.Contains(subjects(t, a), "in force: kill k_unreadable everything") {
		t.Errorf("on the record:\n%s", subjects(t, a))
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "half a fi" {
		t.Errorf("%s, %v", text, err)
	}
}

// Who was killed hears nothing outside calls either.
func TestKilledSessionsHearNothing(t *testing.T) {
	dir := t.TempDir()
	a := startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: starterIn(t, dir)})
	told := 0
	defer a.gateway.Attach("s1", func(string, wire.Message) { told++ })()
	message := wire.Message{Method: "notifications/tools/list_changed"}
	bot, other := sallyport.Principal{Agent: "bot"}, sallyport.Principal{Agent: "other"}
	a.store.Kills.Stop(kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kill.Agent, Name: "bot"}})
	if a.heard("jobs", "s1", bot, message); told != 0 {
		t.Error("the killed agent hears")
	}
	if a.heard("jobs", "s1", other, message); told != 1 {
		t.Error("the other agent does not hear")
	}
}

// A drain lets what runs come to its end and nothing new in, and then the
// gateway is to stop. The next start serves.
func TestDrain(t *testing.T) {
	w, called, _ := slowShop(t)
	two := make(chan string, 1)
	go func() { two <- w.ask("two", "tools/call", `"name":"job","arguments":{"size":2}`) }()
	<-called
	ctx, answered := context.WithCancel(t.Context())
	drained := make(chan kill.Drained, 1)
	go func() {
		d, err := w.Halt().Drain(ctx, time.Minute)
		if err != nil {
			t.Error(err)
		}
		drained <- d
	}()
	for w.store.Kills.Stops(kill.Target{}) == nil {
		time.Sleep(time.Millisecond)
	}
	if got := w.ask("one", "tools/call", `"name":"job","arguments":{"size":2}`); !strings.Contains(got, "the gateway is about to stop") {
		t.Errorf("what is new: %s", got)
	}
	if d := <-drained; d.Under != 1 || d.Left != 0 {
		t.Errorf("%+v", d)
	}
	if got := <-two; strings.Contains(got, "paused") || !strings.Contains(got, `"result"`) {
		t.Errorf("what ran: %s", got)
	}
	select {
	case <-w.Halt().Drained():
		t.Error("the gateway stops before it has answered")
	default:
	}
	answered()
	<-w.Halt().Drained()
	w.restart()
	if orders := w.Halt().Kills(); len(orders) != 0 {
		t.Errorf("in force after a restart: %+v", orders)
	}
}

// While its file is gone the database still says what is killed, and both say
// so again.
func TestKilledThoughTheFileIsGone(t *testing.T) {
	dir := t.TempDir()
	config, state := starterIn(t, dir), filepath.Join(dir, "state")
	a := startedWith(t, Options{Dir: state, Config: config})
	done := killed(t, a, kill.All, "")
	stop(t, a)
	if err := os.Remove(filepath.Join(state, kills.File)); err != nil {
		t.Fatal(err)
	}
	a = startedWith(t, Options{Dir: state, Config: config})
	if orders := a.Halt().Kills(); len(orders) != 1 || !reflect.DeepEqual(orders[0], done.Order) {
		t.Errorf("in force: %+v", orders)
	}
	if text, err := os.ReadFile(filepath.Join(state, kills.File)); err != nil || !strings.Contains(string(text), done.ID) {
		t.Errorf("the file says %s, %v", text, err)
	}
}

// A mistyped name must not pass for a kill, whatever it is the name of.
func TestKillOfNobody(t *testing.T) {
	w, _, _ := slowShop(t)
	for kind, names := range map[kill.Kind][2]string{
		kill.Tenant: {"acme", "acne"}, kill.Role: {"tester", "taster"}, kill.User: {"ana", "anna"}, kill.Agent: {"one", "on"}, kill.Server: {"jobs", "job"},
	} {
		_, err := w.Halt().Kill(t.Context(), kill.Wanted{Scope: kill.Scope{Kind: kind, Name: names[1]}})
		if err == nil || !strings.Contains(err.Error(), "nothing was stopped") || len(w.Halt().Kills()) != 0 {
			t.Fatalf("%s %s: %v", kind, names[1], err)
		}
		done := killed(t, w.App, kind, names[0])
		w.store.Kills.Resume(done.ID)
	}
	killed(t, w.App, kill.User, "carl") // for whom no agent acts yet
	// Who is declared no more, and an agent still stands for, can be stopped.
	c := w.config()
	c.Tenants, c.Roles, c.Users = nil, nil, nil
	killed(t, w.App, kill.Role, "tester")
	killed(t, w.App, kill.User, "ana")
	killed(t, w.App, kill.Tenant, "acme")
}
