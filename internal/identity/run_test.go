package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/store/runs"
)

// diary is a log and a store of runs in memory, with faults to inject.
type diary struct {
	mu        sync.Mutex
	rows      map[string]runs.Row
	changes   []gateway.RunChange
	recordErr error
	saveErr   error
	recorded  func(gateway.RunChange) // while a change is recorded
	saving    func()                  // before rows are saved
	erased    bool
}

func (d *diary) OpenRuns(context.Context) ([]runs.Row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var open []runs.Row
	for _, row := range d.rows {
		if row.Open {
			open = append(open, row)
		}
	}
	return open, nil
}

func (d *diary) RunRow(_ context.Context, id string) (runs.Row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[id], nil
}

func (d *diary) ChildRuns(_ context.Context, parent string) (ids []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, row := range d.rows {
		if row.Parent == parent {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (d *diary) SaveRuns(ctx context.Context, rows []runs.Row) error {
	if d.saving != nil {
		d.saving()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.saveErr != nil {
		return d.saveErr
	}
	if d.rows == nil {
		d.rows = map[string]runs.Row{}
	}
	for _, row := range rows {
		d.rows[row.ID] = row
	}
	return nil
}

func (d *diary) RecordRun(ctx context.Context, change gateway.RunChange) (uint64, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if d.recorded != nil {
		d.recorded(change)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recordErr != nil {
		return 0, d.recordErr
	}
	d.changes = append(d.changes, change)
	return uint64(len(d.changes) - 1), nil
}

func (d *diary) Words(_ context.Context, index uint64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.erased {
		return nil, errors.New("erased")
	}
	return d.changes[index].Words, nil
}

func (d *diary) Calls(context.Context, string) (calls, refused int, err error) { return 3, 1, nil }

// log is what is on the record, a line each.
func (d *diary) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for _, c := range d.changes {
		lines = append(lines, fmt.Sprintf("%s by %s", c.What, c.By))
	}
	return strings.Join(lines, "\n")
}

// society is agents, users and sources, with their tokens.
type society struct {
	*Runs
	t      *testing.T
	diary  *diary
	memory *memory
	clock  *clock
	people People
	tokens map[string]string // by who holds it
}

func newSociety(t *testing.T) *society {
	t.Helper()
	s := &society{t: t, diary: &diary{}, memory: &memory{}, clock: &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}, tokens: map[string]string{}}
	s.people = People{
		Users: map[string]User{"ana": {Tenant: "acme", Roles: []string{"clerk"}}, "bo": {Tenant: "acme"}, "eve": {Tenant: "globex"}},
		Agents: map[string]Agent{
			"bot": {Role: "support", User: "ana"}, "other": {Role: "support", User: "ana"}, "eves": {User: "eve"}, "fixed": {User: "ana", Tenant: "acme"},
		},
		Sources: map[string]Source{
			"ci":     {Kind: sallyport.StrengthOrchestrator, Agents: []string{"bot"}, Users: []string{"bo"}},
			"start":  {Kind: sallyport.StrengthLauncher, Agents: []string{"bot"}},
			"editor": {Kind: sallyport.StrengthHook, Agents: []string{"bot"}},
			"far":    {Kind: sallyport.StrengthOrchestrator, Agents: []string{"other"}},
		},
	}
	s.start()
	for name := range s.people.Agents {
		s.tokens[name] = mustAdd(t, s.Identities, name, Agent{})
	}
	for name := range s.people.Sources {
		token, _, err := s.AddSource(t.Context(), name, DefaultLifetime)
		if err != nil {
			t.Fatal(err)
		}
		s.tokens[name] = token
	}
	return s
}

// start loads everything, as a gateway does when it starts.
func (s *society) start() {
	s.t.Helper()
	identities, err := Load(s.t.Context(), s.memory, s.people, s.clock.now)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.Runs, err = LoadRuns(s.t.Context(), identities, s.diary, s.clock.now); err != nil {
		s.t.Fatal(err)
	}
	s.Runs.Log = s.diary
}

// as is the caller with a name: a source, an agent, or what tokens holds.
func (s *society) as(name string) Caller {
	s.t.Helper()
	switch name {
	case "human":
		return Operator()
	case "socket":
		return AtSocket()
	case "nobody":
		return Caller{}
	}
	caller, err := s.Caller(s.t.Context(), sallyport.Credential{Token: s.tokens[name]})
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return caller
}

// begun begins a run and keeps its token under a name.
func (s *society) begun(as, name string, wanted NewRun) string {
	s.t.Helper()
	begun, err := s.Begin(s.t.Context(), s.as(as), wanted)
	if err != nil {
		s.t.Fatalf("%s begins %+v: %v", as, wanted, err)
	}
	s.tokens[name] = begun.Token
	return begun.Run
}

// in is the run into which a token falls, or why it is refused.
func (s *society) in(name string) (sallyport.Principal, sallyport.Run, error) {
	return s.Identify(s.t.Context(), sallyport.Credential{Token: s.tokens[name]})
}

func (s *society) refused(name, because string) {
	s.t.Helper()
	if _, in, err := s.in(name); err == nil || !strings.Contains(err.Error(), because) || in.ID != "" {
		s.t.Errorf("the token of %s falls into %+v, %v; want a refusal about %q", name, in, err, because)
	}
}

// Every pair of who asks and what is asked for.
func TestWhoMayDoWhatToRuns(t *testing.T) {
	const yes, no, none = "yes", "forbidden", "no run"
	callers := []string{"human", "socket", "ci", "start", "editor", "far", "bot", "run", "child", "other", "nobody"}
	verbs := []struct {
		name string
		do   func(s *society, c Caller) error
		want []string // of each caller
	}{
		{"begin a fresh run", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Agent: "bot", Task: "pay ana"})
			return err
		}, []string{yes, no, yes, yes, no, no, no, no, no, no, no}},
		{"begin a fresh run for another user", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Agent: "bot", User: "bo", Task: "pay ana"})
			return err
		}, []string{yes, no, yes, no, no, no, no, no, no, no, no}},
		{"begin a run below the run", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Parent: s.tokens["id of run"]})
			return err
		}, []string{yes, no, yes, yes, no, none, no, yes, no, no, none}},
		{"begin a run below its own", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{})
			return err
		}, []string{"asked", no, "asked", "asked", no, "asked", yes, yes, yes, yes, no}},
		{"begin a run with a task below its own", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Task: "pay mallory"})
			return err
		}, []string{"asked", no, "asked", "asked", no, "asked", no, no, no, no, no}},
		{"begin a run of another agent", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Agent: "eves", Task: "pay"})
			return err
		}, []string{yes, no, no, no, no, no, no, no, no, no, no}},
		{"begin a run of another agent below its own", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Agent: "eves"})
			return err
		}, []string{"asked", no, "asked", "asked", no, "asked", no, no, no, no, no}},
		{"begin a run for a user below its own", func(s *society, c Caller) error {
			_, err := s.Begin(t.Context(), c, NewRun{Agent: "bot", User: "bo"})
			return err
		}, []string{"asked", no, "asked", "asked", no, "asked", no, no, no, no, no}},
		{"tell the run", func(s *society, c Caller) error { return s.Say(t.Context(), c, s.tokens["id of run"], "and bo") },
			[]string{yes, no, yes, no, yes, none, none, no, none, none, none}},
		{"tell the child", func(s *society, c Caller) error { return s.Say(t.Context(), c, s.tokens["id of child"], "and bo") },
			[]string{yes, no, yes, no, yes, none, none, no, no, none, none}},
		{"tell the standing run", func(s *society, c Caller) error { return s.Say(t.Context(), c, s.tokens["id of bot"], "and bo") },
			[]string{yes, no, yes, no, yes, none, no, none, none, none, none}},
		{"end the run", func(s *society, c Caller) error {
			_, err := s.End(t.Context(), c, s.tokens["id of run"])
			return err
		}, []string{yes, yes, yes, yes, no, none, none, yes, none, none, none}},
		{"end the child", func(s *society, c Caller) error {
			_, err := s.End(t.Context(), c, s.tokens["id of child"])
			return err
		}, []string{yes, yes, yes, yes, no, none, none, yes, yes, none, none}},
		{"end the standing run", func(s *society, c Caller) error {
			_, err := s.End(t.Context(), c, s.tokens["id of bot"])
			return err
		}, []string{yes, no, no, no, no, none, no, none, none, none, none}},
		{"see the run", func(s *society, c Caller) error {
			_, err := s.Show(t.Context(), c, s.tokens["id of run"])
			return err
		}, []string{yes, yes, yes, yes, yes, none, none, yes, none, none, none}},
		{"see the child", func(s *society, c Caller) error {
			_, err := s.Show(t.Context(), c, s.tokens["id of child"])
			return err
		}, []string{yes, yes, yes, yes, yes, none, none, yes, yes, none, none}},
		{"tell no run", func(s *society, c Caller) error { return s.Say(t.Context(), c, "r_none", "x") },
			[]string{none, none, none, none, none, none, none, none, none, none, none}},
	}
	for _, verb := range verbs {
		for i, who := range callers {
			s := newSociety(t)
			s.tokens["id of run"] = s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay the rent"})
			s.tokens["id of child"] = s.begun("run", "child", NewRun{})
			_, standing, err := s.in("bot")
			if err != nil {
				t.Fatal(err)
			}
			s.tokens["id of bot"] = standing.ID
			before := s.diary.log()
			err = verb.do(s, s.as(who))
			got := "asked" // for something that makes no sense
			switch {
			case err == nil:
				got = yes
			case errors.Is(err, ErrForbidden):
				got = no
			case errors.Is(err, ErrNoRun):
				got = none
			}
			if got != verb.want[i] {
				t.Errorf("%s, %s: %s (%v), want %s", who, verb.name, got, err, verb.want[i])
			}
			if err != nil && s.diary.log() != before {
				t.Errorf("%s, %s: refused, and yet on the record:\n%s", who, verb.name, s.diary.log())
			}
		}
	}
}

// What a run is named by is its credential, and what that is bound to.
func TestRunCredential(t *testing.T) {
	s := newSociety(t)
	_, standing, _ := s.in("bot")
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay the rent"})
	forBo := s.begun("ci", "for bo", NewRun{Agent: "bot", User: "bo", Task: "pay the rent"})
	child := s.begun("run", "child", NewRun{})
	below := s.begun("child", "below", NewRun{Agent: "bot", User: "ana"})
	own := s.begun("bot", "own", NewRun{})
	beside := s.begun("ci", "beside", NewRun{Parent: child})
	for name, want := range map[string]struct {
		user string
		run  sallyport.Run
	}{
		"bot":    {"ana", standing},
		"run":    {"ana", sallyport.Run{ID: id}},
		"for bo": {"bo", sallyport.Run{ID: forBo}},
		"child":  {"ana", sallyport.Run{ID: child, Parent: id, Memory: id}},
		"below":  {"ana", sallyport.Run{ID: below, Parent: child, Memory: id}},
		"own":    {"ana", sallyport.Run{ID: own, Parent: standing.ID, Memory: standing.ID}},
		"beside": {"ana", sallyport.Run{ID: beside, Parent: child}},
	} {
		principal, in, err := s.in(name)
		if err != nil || in != want.run || principal.Agent != "bot" || principal.User != want.user || principal.Tenant != "acme" || principal.Role != "support" {
			t.Errorf("%s: %+v in %+v, %v; want %+v", name, principal, in, err, want)
		}
		// A listener that stands for another agent has no say in it.
		if _, again, err := s.Identify(t.Context(), sallyport.Credential{Token: s.tokens[name], Listener: "other"}); err != nil || again != want.run {
			t.Errorf("%s on another's listener: %+v, %v", name, again, err)
		}
	}
	if p, _, _ := s.in("for bo"); len(p.Roles) != 0 {
		t.Errorf("in a run for bo it has the roles of ana: %v", p.Roles)
	}
	s.tokens["id"], s.tokens["hash"], s.tokens["forged"] = RunPrefix+id, RunPrefix+hashToken(s.tokens["run"]).String(), s.tokens["run"]+"a"
	s.tokens["capitals"], s.tokens["bare"] = strings.ToUpper(s.tokens["run"]), RunPrefix
	for _, name := range []string{"id", "hash", "forged", "bare"} {
		s.refused(name, "not known here")
	}
	s.refused("capitals", "not known here")
	s.refused("ci", "token of a source")
	for _, name := range []string{"run", "child"} {
		for _, row := range s.diary.rows {
			if strings.Contains(string(row.Record), strings.TrimPrefix(s.tokens[name], RunPrefix)) {
				t.Errorf("the token of %s is kept in the clear", name)
			}
		}
	}
}

// An agent that begins a run holds the credentials of both: what it reads in one
// it can use in the other. So the two have one memory, however deep, also when
// they have ended, and after a restart. A run that a source begins takes over
// the memory that is there.
func TestLineage(t *testing.T) {
	s := newSociety(t)
	_, standing, _ := s.in("bot")
	top := s.begun("ci", "top", NewRun{Agent: "bot", Task: "pay the rent"})
	child := s.begun("top", "child", NewRun{})
	below := s.begun("child", "below", NewRun{})
	apart := s.begun("ci", "apart", NewRun{Parent: below, Task: "and file it"})
	helper := s.begun("apart", "helper", NewRun{})
	own := s.begun("bot", "own", NewRun{})
	lone := s.begun("ci", "lone", NewRun{Agent: "bot", Task: "pay the rent"})
	want := map[string][]string{
		"top": {top, child, below}, "child": {top, child, below}, "below": {top, child, below},
		"apart": {top, child, below, apart, helper}, "helper": {top, child, below, apart, helper},
		"bot": {standing.ID, own}, "own": {standing.ID, own}, "lone": {lone},
	}
	check := func(names ...string) {
		t.Helper()
		for _, name := range names {
			_, in, err := s.in(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Lineage(t.Context(), in); err != nil || !slices.Equal(got, want[name]) {
				t.Errorf("%s has a memory of %v, %v; want %v", name, got, err, want[name])
			}
			if ref, err := s.Ref(t.Context(), sallyport.Run{ID: in.ID}); err != nil || ref != in {
				t.Errorf("a call of before names %+v, %v; want %+v", ref, err, in)
			}
		}
	}
	names := slices.Sorted(maps.Keys(want))
	check(names...)
	s.start()
	check(names...)
	if _, err := s.End(t.Context(), Operator(), child); err != nil {
		t.Fatal(err)
	}
	check("top", "bot", "lone")
	s.start()
	check("top", "bot", "lone")
	if ref, err := s.Ref(t.Context(), sallyport.Run{ID: helper}); err != nil || ref.RememberedIn() != apart {
		t.Errorf("a task of a run that has ended goes on in %+v, %v", ref, err)
	}
	instead, err := s.End(t.Context(), Operator(), standing.ID)
	if err != nil {
		t.Fatal(err)
	}
	want["bot"] = []string{instead}
	check("bot")
}

// An agent of two tenants' users, and one whose tenant is fixed, can't be made
// to act across.
func TestRunsStayWithinTheirTenant(t *testing.T) {
	s := newSociety(t)
	if _, err := s.Begin(t.Context(), Operator(), NewRun{Agent: "fixed", User: "eve", Task: "pay"}); err == nil {
		t.Error("an agent of acme acts for a user of globex")
	}
	if _, err := s.Begin(t.Context(), Operator(), NewRun{Agent: "bot", User: "ghost", Task: "pay"}); err == nil {
		t.Error("an agent acts for a user who is not declared")
	}
	s.begun("human", "run", NewRun{Agent: "bot", Task: "pay"})
	ana := s.people.Users["ana"]
	ana.Tenant = "globex"
	s.people.Users = maps.Clone(s.people.Users)
	s.people.Users["ana"] = ana
	if err := s.Configure(t.Context(), s.people); err != nil {
		t.Fatal(err)
	}
	s.refused("run", "began for tenant")
	delete(s.people.Users, "ana")
	if err := s.Configure(t.Context(), s.people); err != nil {
		t.Fatal(err)
	}
	s.refused("run", "not declared")
}

func TestWhatARunNeeds(t *testing.T) {
	s := newSociety(t)
	for name, wanted := range map[string]NewRun{
		"no agent":           {Task: "pay"},
		"no task":            {Agent: "bot"},
		"a blank task":       {Agent: "bot", Task: " \n"},
		"an endless task":    {Agent: "bot", Task: strings.Repeat("a", maxText+1)},
		"a broken task":      {Agent: "bot", Task: "\xff"},
		"no such agent":      {Agent: "ghost", Task: "pay"},
		"no such parent":     {Parent: "r_none"},
		"a parent of others": {Parent: s.begun("human", "eves run", NewRun{Agent: "eves", Task: "x"}), Agent: "bot"},
	} {
		before := s.diary.log()
		if begun, err := s.Begin(t.Context(), Operator(), wanted); err == nil || begun.Token != "" || s.diary.log() != before {
			t.Errorf("%s: began %+v, %v", name, begun, err)
		}
	}
	if _, err := s.Begin(t.Context(), s.as("ci"), NewRun{Parent: s.begun("human", "e", NewRun{Agent: "eves", Task: "x"})}); !errors.Is(err, ErrNoRun) {
		t.Errorf("a source began below a run that it does not reach: %v", err)
	}
	id := s.begun("human", "run", NewRun{Agent: "bot", Task: "pay"})
	for _, text := range []string{"", " ", "\xff", strings.Repeat("a", maxText+1)} {
		if err := s.Say(t.Context(), Operator(), id, text); err == nil {
			t.Errorf("told %.10q", text)
		}
	}
}

// What was said is kept with who said it, and how sure that is.
func TestWordsHaveAStrength(t *testing.T) {
	s := newSociety(t)
	id := s.begun("start", "run", NewRun{Agent: "bot", Task: "pay the rent"})
	for _, who := range []string{"editor", "ci", "human"} {
		if err := s.Say(t.Context(), s.as(who), id, "says "+who); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	shown, err := s.Show(t.Context(), s.as("ci"), id)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, w := range shown.Words {
		said = append(said, fmt.Sprintf("%s (%s): %s", w.By, w.Strength, w.Text))
	}
	want := "launcher start (launcher): pay the rent; hook editor (hook): says editor; orchestrator ci (orchestrator): says ci; operator (human): says human"
	if got := strings.Join(said, "; "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if shown.Calls != 3 || shown.Refused != 1 || shown.By != "launcher start" || shown.State != "open" {
		t.Errorf("%+v", shown)
	}
	for i, c := range s.diary.changes {
		var p payload
		if err := json.Unmarshal(c.Words, &p); err != nil || string(p.Strength) != string(shown.Words[i].Strength) || c.Principal.Agent != "bot" || c.Run.ID != id {
			t.Errorf("on the record is %+v, %v", c, err)
		}
	}
	s.diary.erased = true
	if shown, err = s.Show(t.Context(), s.as("ci"), id); err != nil || shown.Words[0].Text != "" || shown.Words[0].Gone != "erased" {
		t.Errorf("after they were erased: %+v, %v", shown.Words, err)
	}
}

// The end of a run is the end of all below it, at once and for good.
func TestEndedRuns(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	child := s.begun("run", "child", NewRun{})
	s.begun("child", "below", NewRun{})
	s.begun("ci", "beside", NewRun{Agent: "bot", Task: "pay"})
	_, in, _ := s.in("below")
	release, err := s.Hold(in)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if instead, err := s.End(t.Context(), s.as("ci"), id); err != nil || instead != "" {
		t.Fatal(instead, err)
	}
	for range 2 {
		for _, name := range []string{"run", "child", "below"} {
			s.refused(name, "not known here")
		}
		if _, err := s.Hold(in); err == nil {
			t.Error("a call that was under way is committed in a run that has ended")
		}
		if err := s.Say(t.Context(), Operator(), child, "more"); !errors.Is(err, ErrNoRun) {
			t.Errorf("told a run that has ended: %v", err)
		}
		if _, err := s.Begin(t.Context(), Operator(), NewRun{Parent: child}); !errors.Is(err, ErrNoRun) {
			t.Errorf("began below a run that has ended: %v", err)
		}
		if _, _, err := s.in("beside"); err != nil {
			t.Errorf("another run has ended, too: %v", err)
		}
		shown, err := s.Show(t.Context(), s.as("ci"), id)
		if err != nil || shown.State != "ended" || shown.EndedBy != "orchestrator ci" || !slices.Equal(shown.Children, []string{child}) || shown.Words[0].Text != "pay" {
			t.Errorf("%+v, %v", shown, err)
		}
		s.start() // and so it is after a restart
	}
	if got := s.diary.log(); strings.Count(got, "run ended by orchestrator ci") != 1 {
		t.Errorf("on the record:\n%s", got)
	}
	if _, err := s.End(t.Context(), s.as("ci"), id); !errors.Is(err, ErrNoRun) {
		t.Errorf("ended twice: %v", err)
	}
}

// An end holds even when it can't be recorded or kept; nothing else does.
func TestChangesThatCannotBeKept(t *testing.T) {
	for _, fail := range []func(d *diary, err error){
		func(d *diary, err error) { d.recordErr = err },
		func(d *diary, err error) { d.saveErr = err },
	} {
		s := newSociety(t)
		id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
		_, standing, _ := s.in("bot")
		fail(s.diary, errors.New("the disk is full"))
		if begun, err := s.Begin(t.Context(), s.as("ci"), NewRun{Agent: "bot", Task: "pay"}); !errors.Is(err, ErrUnrecorded) || begun.Token != "" || len(s.List(Operator())) != 5 {
			t.Errorf("began %+v, %v", begun, err)
		}
		if err := s.Say(t.Context(), s.as("ci"), id, "more"); !errors.Is(err, ErrUnrecorded) {
			t.Errorf("told: %v", err)
		}
		if got := s.List(s.as("ci")); got[len(got)-1].Messages != 1 {
			t.Errorf("%d messages", got[len(got)-1].Messages)
		}
		if instead, err := s.End(t.Context(), Operator(), standing.ID); err == nil || instead != "" {
			t.Errorf("a memory was cleared, and that is not kept: %q, %v", instead, err)
		}
		if _, in, err := s.in("bot"); err != nil || in != standing {
			t.Errorf("%+v, %v", in, err)
		}
		if release, err := s.Hold(standing); err != nil {
			t.Error(err)
		} else {
			release()
		}
		if _, err := s.End(t.Context(), s.as("ci"), id); !errors.Is(err, ErrUnrecorded) {
			t.Errorf("ended: %v", err)
		}
		if _, in, err := s.in("run"); err == nil {
			t.Errorf("goes on as %+v", in)
		}
		if _, err := s.Hold(sallyport.Run{ID: id}); err == nil {
			t.Error("commits go on")
		}
	}
}

// A standing run is ended by the human alone. What takes its place is another
// run, after a restart, too.
func TestStandingRun(t *testing.T) {
	s := newSociety(t)
	_, first, _ := s.in("bot")
	_, beside, _ := s.in("other")
	if err := s.Say(t.Context(), s.as("editor"), first.ID, "pay the rent"); err != nil {
		t.Fatal(err)
	}
	s.begun("bot", "child", NewRun{})
	seen := map[string]bool{first.ID: true}
	last := first
	for range 3 {
		instead, err := s.End(t.Context(), Operator(), last.ID)
		if err != nil || instead == "" || seen[instead] {
			t.Fatal(instead, err)
		}
		seen[instead] = true
		if _, err := s.Hold(last); err == nil {
			t.Error("calls are still committed in the old one")
		}
		s.refused("child", "not known here")
		if again, err := s.End(t.Context(), Operator(), last.ID); err != nil || again != "" {
			t.Errorf("ended twice: %q, %v", again, err)
		}
		for range 2 {
			_, in, err := s.in("bot")
			if err != nil || in.ID != instead || !in.Standing {
				t.Fatalf("%+v, %v; want %s", in, err, instead)
			}
			if release, err := s.Hold(in); err != nil {
				t.Error(err)
			} else {
				release()
			}
			if _, in, _ := s.in("other"); in != beside {
				t.Errorf("another agent's standing run is %+v", in)
			}
			last = in
			s.start()
		}
		s.begun("bot", "child", NewRun{})
	}
	shown, err := s.Show(t.Context(), AtSocket(), first.ID)
	if err != nil || shown.State != "ended" || shown.EndedBy != "operator" || shown.Words[0].Text != "pay the rent" || len(shown.Children) != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
	if got := s.diary.log(); strings.Count(got, "run ended by operator\nrun begun by operator") != 3 {
		t.Errorf("on the record:\n%s", got)
	}
	if listed := s.List(s.as("bot")); len(listed) != 2 || listed[0].Run != last.ID || !listed[0].Standing {
		t.Errorf("bot sees %+v", listed)
	}
}

// Nothing but the operator's act changes the standing run: neither another
// token, nor revoking, nor a restart.
func TestStandingRunStays(t *testing.T) {
	s := newSociety(t)
	_, first, _ := s.in("bot")
	if err := s.Say(t.Context(), s.as("editor"), first.ID, "pay the rent"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"a new token": func() (err error) { s.tokens["bot"], err = s.Rotate(t.Context(), "bot", time.Hour); return err },
		"revoked and let in again": func() (err error) {
			err = errors.Join(s.Revoke(t.Context(), "bot"), s.EndOf(t.Context(), "bot"))
			s.refused("bot", "revoked")
			if err == nil {
				s.tokens["bot"], err = s.Rotate(t.Context(), "bot", time.Hour)
			}
			return err
		},
		"a restart": func() error { s.start(); return nil },
		"swept":     func() error { return s.Sweep(t.Context()) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, in, err := s.in("bot"); err != nil || in != first {
			t.Errorf("%s: %+v, %v; want %+v", name, in, err, first)
		}
	}
}

func TestRevokedAgentsRunsEnd(t *testing.T) {
	s := newSociety(t)
	s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	s.begun("run", "child", NewRun{})
	s.begun("human", "beside", NewRun{Agent: "other", Task: "pay"})
	if err := s.Revoke(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	s.refused("run", "revoked") // before anything else is done
	if _, err := s.Begin(t.Context(), s.as("ci"), NewRun{Agent: "bot", Task: "pay"}); err == nil {
		t.Error("a revoked agent gets a run")
	}
	if err := s.EndOf(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rotate(t.Context(), "bot", time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.refused("run", "not known here")
		s.refused("child", "not known here")
		if _, _, err := s.in("beside"); err != nil {
			t.Error(err)
		}
		s.start()
	}
}

// A token that was stolen may have begun runs; one that others began is not
// touched.
func TestARotatedAgentsOwnRunsEnd(t *testing.T) {
	s := newSociety(t)
	s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	s.begun("run", "child", NewRun{})
	s.begun("bot", "stolen", NewRun{})
	if err := s.EndBegunBy(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	s.refused("stolen", "not known here")
	s.refused("child", "not known here")
	if _, _, err := s.in("run"); err != nil {
		t.Error(err)
	}
}

// The agent is revoked between being asked for and standing in the table.
func TestRevokedWhileARunBegins(t *testing.T) {
	for name, stop := range map[string]func(s *society, run string) error{
		"agent revoked": func(s *society, _ string) error {
			return errors.Join(s.Revoke(t.Context(), "bot"), s.EndOf(t.Context(), "bot"))
		},
		"parent ended": func(s *society, _ string) error {
			_, err := s.End(t.Context(), Operator(), s.tokens["id of run"])
			return err
		},
		"ended itself": func(s *society, run string) error {
			_, err := s.End(t.Context(), Operator(), run)
			return err
		},
	} {
		s := newSociety(t)
		s.tokens["id of run"] = s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
		s.diary.recorded = func(change gateway.RunChange) {
			s.diary.recorded = nil
			if err := stop(s, change.Run.ID); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if begun, err := s.Begin(t.Context(), s.as("run"), NewRun{}); err == nil {
			t.Errorf("%s, and yet began %+v", name, begun)
		}
		s.start()
		for _, status := range s.List(Operator()) {
			if status.Parent != "" {
				t.Errorf("%s: after a restart there is %+v", name, status)
			}
		}
	}
}

func TestRunsExpire(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	s.clock.time = s.clock.time.Add(time.Hour)
	s.begun("run", "child", NewRun{})
	s.begun("bot", "own", NewRun{})
	s.clock.time = s.clock.time.Add(RunLifetime - time.Hour - time.Second)
	for _, name := range []string{"run", "child", "own"} {
		if _, _, err := s.in(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.clock.time = s.clock.time.Add(time.Second)
	s.refused("run", "expired")
	s.refused("child", "expired") // no later than its parent
	if _, err := s.Hold(sallyport.Run{ID: id}); err == nil {
		t.Error("commits go on in an expired run")
	}
	if err := s.Say(t.Context(), s.as("ci"), id, "more"); err == nil {
		t.Error("told an expired run")
	}
	if _, err := s.Begin(t.Context(), s.as("ci"), NewRun{Parent: id}); err == nil {
		t.Error("began below an expired run")
	}
	if shown, err := s.Show(t.Context(), s.as("ci"), id); err != nil || shown.State != "expired" {
		t.Errorf("%+v, %v", shown, err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.refused("run", "not known here")
		if _, _, err := s.in("own"); err != nil {
			t.Errorf("swept too early: %v", err)
		}
		if shown, err := s.Show(t.Context(), s.as("ci"), id); err != nil || shown.State != "ended" || shown.EndedBy != "expiry" {
			t.Errorf("%+v, %v", shown, err)
		}
		s.start()
	}
	if got := s.diary.log(); strings.Count(got, "run ended by expiry") != 2 {
		t.Errorf("on the record:\n%s", got)
	}
}

// The clock that the operator set ends standing runs like the human does, counted
// from when it first saw them.
func TestStandingRunsAreRenewed(t *testing.T) {
	s := newSociety(t)
	_, first, _ := s.in("bot")
	s.begun("bot", "child", NewRun{})
	renewed := func() string {
		t.Helper()
		if err := s.Renew(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		s.start()
		_, in, err := s.in("bot")
		if err != nil {
			t.Fatal(err)
		}
		return in.ID
	}
	if renewed() != first.ID {
		t.Error("a run that was not seen before was ended at once")
	}
	s.clock.time = s.clock.time.Add(time.Hour - time.Second)
	if renewed() != first.ID {
		t.Error("ended too early")
	}
	s.clock.time = s.clock.time.Add(time.Second)
	second := renewed()
	if second == first.ID {
		t.Fatal("it stands for ever")
	}
	s.refused("child", "not known here")
	if renewed() != second {
		t.Error("the new one was ended at once")
	}
	s.clock.time = s.clock.time.Add(2 * time.Hour)
	if renewed() == second {
		t.Error("the second one stands for ever")
	}
	if shown, err := s.Show(t.Context(), AtSocket(), second); err != nil || shown.State != "ended" || shown.EndedBy != "clock" {
		t.Errorf("%+v, %v", shown, err)
	}
}

// Two damaged or foreign rows: the gateway does not start as if they were not.
func TestDamagedRuns(t *testing.T) {
	for _, row := range []runs.Row{{ID: "r_1", Open: true, Record: []byte("{")}, {ID: "r_1", Open: true, Record: []byte(`{"id":"r_2"}`)}} {
		if _, err := LoadRuns(t.Context(), newSociety(t).Identities, &diary{rows: map[string]runs.Row{"r_1": row}}, time.Now); err == nil {
			t.Errorf("loaded %s", row.Record)
		}
	}
}

func TestSources(t *testing.T) {
	s := newSociety(t)
	credential := func(name string) sallyport.Credential { return sallyport.Credential{Token: s.tokens[name]} }
	if _, _, err := s.AddSource(t.Context(), "ghost", time.Hour); !errors.Is(err, ErrNoSource) {
		t.Errorf("a source that nobody declared: %v", err)
	}
	if _, _, err := s.AddSource(t.Context(), "ci", time.Hour); !errors.Is(err, ErrHasToken) {
		t.Errorf("a second token: %v", err)
	}
	for _, record := range s.memory.records {
		if strings.Contains(string(record), strings.TrimPrefix(s.tokens["ci"], SourcePrefix)) {
			t.Error("the token is kept in the clear")
		}
	}
	s.start()
	if c, err := s.Caller(t.Context(), credential("ci")); err != nil || c.By() != "orchestrator ci" {
		t.Errorf("after a restart: %+v, %v", c, err)
	}
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	s.clock.time = s.clock.time.Add(time.Hour)
	if err := s.RevokeSource(t.Context(), "start"); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeSource(t.Context(), "ghost"); !errors.Is(err, ErrNoToken) {
		t.Error(err)
	}
	s.people.Sources = maps.Clone(s.people.Sources)
	delete(s.people.Sources, "far")
	if err := s.Configure(t.Context(), s.people); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, name := range []string{"start", "far"} {
			if c, err := s.Caller(t.Context(), credential(name)); err == nil {
				t.Errorf("%s is still %+v", name, c)
			}
		}
		s.start()
	}
	states := map[string]string{}
	for _, source := range s.Sources() {
		states[source.Name] = source.State
	}
	if want := map[string]string{"ci": "active", "start": "revoked", "editor": "active", "far": "no longer declared"}; !maps.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	s.clock.time = s.clock.time.Add(DefaultLifetime)
	if c, err := s.Caller(t.Context(), credential("ci")); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its time: %+v, %v", c, err)
	}
	s.memory.fail = errors.New("the disk is full")
	if err := s.RevokeSource(t.Context(), "editor"); err == nil {
		t.Error("revoked without being kept, and nobody was told")
	}
	if _, err := s.Caller(t.Context(), credential("editor")); err == nil {
		t.Error("a revocation that can't be kept is not in force")
	}
	if _, _, err := s.AddSource(t.Context(), "start", time.Hour); err == nil {
		t.Error("a token that can't be kept was given out")
	}
	_ = id
}

// Once End has returned, nothing of the run is committed: calls race with it.
func TestEndRacesWithCalls(t *testing.T) {
	s := newSociety(t)
	for range 50 {
		id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
		_, in, _ := s.in("run")
		var mu sync.Mutex
		ended, late := false, 0
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for range 50 {
					release, err := s.Hold(in)
					if err != nil {
						return
					}
					mu.Lock() // the commit
					if ended {
						late++
					}
					mu.Unlock()
					release()
				}
			})
		}
		wait.Go(func() {
			if _, err := s.End(t.Context(), Operator(), id); err != nil {
				t.Error(err)
			}
			mu.Lock()
			ended = true
			mu.Unlock()
		})
		wait.Wait()
		if late > 0 {
			t.Fatalf("%d commits behind the end", late)
		}
	}
}

// An end waits for the commits that are under way, so that none of them stands
// behind it.
func TestEndWaitsForCommits(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	release, err := s.Hold(sallyport.Run{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := s.End(t.Context(), Operator(), id)
		ended <- err
	}()
	for s.ending.TryRLock() { // until the end is waiting
		s.ending.RUnlock()
		select {
		case <-ended:
			t.Fatal("a run has ended while an intent of it is committed")
		default:
			runtime.Gosched()
		}
	}
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Whoever asks for an end and hangs up gets a whole one.
func TestEndOfWhoHangsUp(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.End(ctx, Operator(), id); err != nil {
		t.Error(err)
	}
	s.start()
	s.refused("run", "not known here")
}

// An end that comes while words are being kept is kept behind them.
func TestEndIsKeptBehindWords(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	ended, second := make(chan error, 1), make(chan struct{})
	saves := 0
	s.diary.saving = func() {
		s.diary.mu.Lock()
		saves++
		first := saves == 1
		s.diary.mu.Unlock()
		if !first {
			close(second)
			return
		}
		go func() {
			_, err := s.End(context.Background(), Operator(), id)
			ended <- err
		}()
		select {
		case <-ended: // and it was kept before the words are
			ended <- nil
		case <-time.After(100 * time.Millisecond): // it waits
		}
	}
	if err := s.Say(t.Context(), Operator(), id, "more"); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-second
	if row := s.diary.rows[id]; row.Open {
		t.Errorf("kept as open: %s", row.Record)
	}
}

// Words that can't be kept while the run ends: what is undone is the words.
func TestEndStaysWhenWordsAreUndone(t *testing.T) {
	s := newSociety(t)
	id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	s.diary.saving = func() {
		s.diary.saving = nil
		s.stop("operator", func(one *run) bool { return one.ID == id })
		s.diary.saveErr = errors.New("the disk is full")
	}
	if err := s.Say(t.Context(), Operator(), id, "more"); !errors.Is(err, ErrUnrecorded) {
		t.Error(err)
	}
	s.refused("run", "ended")
}

// Between being asked for and standing in the table, what a run depends on may
// have gone.
func TestAdmitLooksAgain(t *testing.T) {
	s := newSociety(t)
	caller := s.as("bot")
	gone := &run{ID: "r_gone", Agent: "bot", User: "ana"}
	if _, err := s.admit(&run{ID: "r_1", Parent: "r_gone", Agent: "bot", User: "ana"}, gone, caller); err == nil {
		t.Error("began below a run that is not there any more")
	}
	if s.slotOf(gone) != nil {
		t.Error("words bring a run back that has ended meanwhile")
	}
	if err := s.Revoke(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.admit(&run{ID: "r_1", Agent: "bot", User: "ana"}, nil, caller); err == nil {
		t.Error("a run of an agent that was revoked meanwhile")
	}
}

// Words that are said while the run ends don't bring it back at the next start.
func TestEndRacesWithWords(t *testing.T) {
	s := newSociety(t)
	for range 100 {
		id := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() { _ = s.Say(t.Context(), Operator(), id, "more") }) // or it has ended
		}
		wait.Go(func() {
			if _, err := s.End(t.Context(), Operator(), id); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		if row := s.diary.rows[id]; row.Open {
			t.Fatalf("kept as open: %s", row.Record)
		}
	}
}

// Words that are said at the same time are all kept.
func TestWordsAtTheSameTime(t *testing.T) {
	s := newSociety(t)
	_, standing, _ := s.in("bot")
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			if err := s.Say(t.Context(), s.as("editor"), standing.ID, "more"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	s.start()
	if shown, err := s.Show(t.Context(), AtSocket(), standing.ID); err != nil || len(shown.Words) != 64 {
		t.Errorf("%d, %v", len(shown.Words), err)
	}
}

func TestRunsAreBounded(t *testing.T) {
	s := newSociety(t)
	last := s.begun("ci", "run", NewRun{Agent: "bot", Task: "pay"})
	for depth := range maxDepth {
		last = s.begun("run", "run", NewRun{})
		_ = depth
	}
	if _, err := s.Begin(t.Context(), s.as("run"), NewRun{}); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("below %s: %v", last, err)
	}
	for range maxOfAgent - maxDepth {
		if _, err := s.Begin(t.Context(), s.as("bot"), NewRun{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Begin(t.Context(), s.as("bot"), NewRun{}); err == nil || !strings.Contains(err.Error(), "as many runs as it may") {
		t.Error(err)
	}
	s.begun("ci", "still", NewRun{Agent: "bot", Task: "pay"}) // others are not held up by that
	for range maxMessages {
		if err := s.Say(t.Context(), s.as("ci"), s.runOf("still"), "more"); err != nil {
			if !strings.Contains(err.Error(), "as much as it may be") {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("a run can be told without end")
}

func (s *society) runOf(name string) string {
	s.t.Helper()
	_, in, err := s.in(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return in.ID
}

// Ten thousand runs are open at once, in a few kilobytes each, and finding one
// of them takes no longer.
func TestTenThousandRuns(t *testing.T) {
	s := newSociety(t)
	task := strings.Repeat("pay the rent, ", 100)
	var before, after runtime.MemStats
	tokens := make([]string, 10_000)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range tokens {
		begun, err := s.Begin(t.Context(), Operator(), NewRun{Agent: "bot", Task: task})
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = begun.Token
	}
	s.diary.mu.Lock()
	s.diary.changes, s.diary.rows = nil, nil // the disk's
	s.diary.mu.Unlock()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(len(tokens)); each > 2<<10 {
		t.Errorf("%d bytes for a run", each)
	}
	seen := map[string]bool{}
	for _, token := range tokens {
		_, in, err := s.Identify(t.Context(), sallyport.Credential{Token: token})
		if err != nil || seen[in.ID] {
			t.Fatal(in, err)
		}
		seen[in.ID] = true
	}
	if n := len(s.List(Operator())); n != len(tokens)+4 {
		t.Errorf("%d are listed", n)
	}
}
