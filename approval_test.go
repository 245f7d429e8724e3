package sallyport

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var asking = []Rule{
	{ID: "look", Ask: []string{"finance"}, Digest: DigestOf([]byte("look"))},
	{ID: "again", Ask: []string{"finance", "security"}, Digest: DigestOf([]byte("again"))},
}

func pendingApproval() Approval {
	return Approval{ID: "a_1", State: Pending, Rules: asking, Class: ClassType, Asked: time.Unix(1000, 0), Expires: time.Unix(2000, 0)}
}

// step is one of the transitions.
func (a Approval) step(to ApprovalState, at time.Time) (Approval, error) {
	switch to {
	case Approved:
		return a.Approve("ana", at)
	case Refused:
		return a.Refuse("ana", "no", at)
	case Spent:
		return a.Spend("c_1", at)
	default:
		return a.Expire(at)
	}
}

func TestApprovalTransitions(t *testing.T) {
	in, out := time.Unix(1500, 0), time.Unix(2000, 0)
	states := []ApprovalState{NoApproval, Pending, Approved, Refused, Expired, Spent}
	allowed := map[[2]ApprovalState]time.Time{
		{Pending, Approved}: in, {Pending, Refused}: in, {Pending, Expired}: out, {Approved, Expired}: out, {Approved, Spent}: in,
	}
	for _, from := range states {
		for _, to := range []ApprovalState{Approved, Refused, Expired, Spent} {
			for _, at := range []time.Time{in, out} {
				a := pendingApproval()
				a.State = from
				next, err := a.step(to, at)
				if want := allowed[[2]ApprovalState{from, to}]; !want.Equal(at) {
					if !errors.Is(err, ErrOvertaken) || next.State != from {
						t.Errorf("%s to %s at %v: %s, %v", from, to, at.Unix(), next.State, err)
					}
				} else if err != nil || next.State != to {
					t.Errorf("%s to %s at %v: %s, %v", from, to, at.Unix(), next.State, err)
				}
			}
		}
	}
	if a, err := pendingApproval().Approve("", in); err == nil || a.State != Pending {
		t.Error("a yes of nobody")
	}
	for _, s := range states {
		if ApprovalStateOf(s.String()) != s {
			t.Errorf("%s is not itself", s)
		}
	}
	if ApprovalStateOf("granted") != NoApproval {
		t.Error("an unknown state is one")
	}
}

// Whatever happens in whatever order: at most one spend, only after a yes, never
// after its time, and nothing leaves an end.
func TestApprovalNeverSpentTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, spends, yes, now := pendingApproval(), 0, false, a0()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "s")) * time.Second)
			to := rapid.SampledFrom([]ApprovalState{Approved, Refused, Expired, Spent}).Draw(t, "to")
			next, err := a.step(to, now)
			if err != nil {
				if next.State != a.State {
					t.Fatal("a change that failed changed something")
				}
				continue
			}
			if slices.Contains([]ApprovalState{Refused, Expired, Spent}, a.State) {
				t.Fatalf("%s became %s", a.State, to)
			}
			if to != Expired && !now.Before(a.Expires) {
				t.Fatalf("%s after its time", to)
			}
			yes = yes || to == Approved
			if a = next; to == Spent {
				spends++
			}
		}
		if spends > 1 || spends == 1 && !yes {
			t.Fatalf("%d spends, yes: %v", spends, yes)
		}
	})
}

func a0() time.Time { return time.Unix(1000, 0) }

func TestApprovalAt(t *testing.T) {
	a := pendingApproval()
	yes, _ := a.Approve("ana", time.Unix(1500, 0))
	no, _ := a.Refuse("ana", "no", time.Unix(1500, 0))
	for _, c := range []struct {
		a     Approval
		at    int64
		state ApprovalState
		over  bool
	}{
		{a, 1999, Pending, false}, {a, 2000, Expired, true}, {yes, 1999, Approved, false}, {yes, 2000, Expired, true},
		{no, 1999, Refused, false}, {no, 2000, Refused, true}, {Approval{}, 0, NoApproval, true},
	} {
		at := time.Unix(c.at, 0)
		if got := c.a.At(at); got.State != c.state || got.Over(at) != c.over {
			t.Errorf("%s at %d: %s, over %v", c.a.State, c.at, got.State, got.Over(at))
		}
	}
}

// An approval answers the very rules that it was asked for, all groups of them.
func TestApprovalCovers(t *testing.T) {
	yes, err := pendingApproval().Approve("ana", time.Unix(1500, 0))
	if err != nil || !yes.Covers(asking[0]) || !yes.Covers(asking[1]) || yes.Approver() != "ana" {
		t.Fatalf("an answered rule is open: %v", err)
	}
	if got := strings.Join(yes.Groups(), " "); got != "finance security" {
		t.Errorf("groups %q", got)
	}
	for name, change := range map[string]func(a *Approval, r *Rule){
		"pending":       func(a *Approval, _ *Rule) { a.State = Pending },
		"spent":         func(a *Approval, _ *Rule) { a.State = Spent },
		"another rule":  func(_ *Approval, r *Rule) { r.ID = "other" },
		"another text":  func(_ *Approval, r *Rule) { r.Digest = DigestOf([]byte("x")) },
		"no text":       func(a *Approval, r *Rule) { r.Digest = Digest{}; a.Rules = []Rule{*r} },
		"a group more":  func(_ *Approval, r *Rule) { r.Ask = append(r.Ask, "board") },
		"no groups":     func(_ *Approval, r *Rule) { r.Ask = nil },
		"one group":     func(a *Approval, _ *Rule) { a.Answers = a.Answers[:1] },
		"one person":    func(a *Approval, _ *Rule) { a.Class = ClassPair },
		"no class":      func(a *Approval, _ *Rule) { a.Class = 0 },
		"yes of nobody": func(a *Approval, _ *Rule) { a.Answers = []Answer{{Group: "finance"}, {Group: "security"}} },
	} {
		a, rule := yes, asking[1]
		a.Answers, rule.Ask = slices.Clone(a.Answers), slices.Clone(rule.Ask)
		if change(&a, &rule); a.Covers(rule) {
			t.Errorf("%s: covered", name)
		}
	}
}

// The vectors of docs/formats.md.
func TestQuestion(t *testing.T) {
	params := MustParse(`{"name":"refund","_meta":{"progressToken":7},"arguments":{"to":"acct-é","amount":9007199254740993.10, "a":[1e2]}}`)
	facts := &Facts{
		Call: &Call{
			Kind: KindTool, Server: "crm", Name: "refund", Method: "tools/call", Args: params.Get("arguments"), Params: params,
			Principal: Principal{Agent: "support-bot", Role: "support", User: "ana", Tenant: "acme", Groups: []string{"g"}}, Run: Run{ID: "r_1"},
			ID: "c_1", Session: "s", Trace: "t", Door: "d", Revision: "2025-11-25",
		},
		Tool: &Definition{Digest: DigestOf([]byte("tool")), Effects: []Effect{Pay}},
	}
	const want = `{"agent":"support-bot","args":{"a":[1e2],"amount":9007199254740993.10,"to":"acct-é"},"effects":["pay"],"kind":"tool",` +
		`"method":"tools/call","name":"refund","params":{"name":"refund"},"role":"support","rules":[` +
		`{"asks":["finance","security"],"digest":"sha256:b4c9e14061c2fd453b36700e3b0da008db2189c711ac629f0f583089164e267d","id":"again"},` +
		`{"asks":["finance"],"digest":"sha256:3c01eba119e00d79c82b6f65d70bc5f1044d568618bf41377e6d1432023fc2b8","id":"look"}],"run":"r_1","server":"crm","tenant":"acme","tool":"sha256:7c9bbe5ec9b3fb774e8fa0f54247e93c34ddf8e5d16fe3073420de0ae81a262d","user":"ana","v":1}`
	got := string(AppendQuestion(nil, facts, asking))
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if _, err := Parse([]byte(got)); err != nil {
		t.Error(err)
	}
	d := QuestionDigest(facts, asking)
	if d.String() != "sha256:54e67a59605f52409cb5d382ddd7afc2848c36b0f7bbdddd22963784c194d392" || d.Words() != "jigok-lonin-kadiz-janab" {
		t.Errorf("digest %s, words %s", d, d.Words())
	}
}

// Whatever is another question has another digest; what belongs to one request
// alone has not.
func TestQuestionBindsEverything(t *testing.T) {
	facts := func() *Facts {
		params := MustParse(`{"name":"refund","arguments":{"to":"x","amount":1}}`)
		return &Facts{
			Call: &Call{Kind: KindTool, Server: "crm", Name: "refund", Method: "tools/call", Args: params.Get("arguments"), Params: params,
				Principal: Principal{Agent: "bot", Role: "support", User: "ana", Tenant: "acme"}, Run: Run{ID: "r_1"}},
			Tool: &Definition{Digest: DigestOf([]byte("tool")), Effects: []Effect{Pay}},
		}
	}
	params := func(text string) func(*Facts) {
		return func(f *Facts) { f.Call.Params = MustParse(text); f.Call.Args = f.Call.Params.Get("arguments") }
	}
	base := QuestionDigest(facts(), asking)
	for name, change := range map[string]func(f *Facts){
		"agent":           func(f *Facts) { f.Call.Principal.Agent = "bob" },
		"role":            func(f *Facts) { f.Call.Principal.Role = "x" },
		"user":            func(f *Facts) { f.Call.Principal.User = "eve" },
		"tenant":          func(f *Facts) { f.Call.Principal.Tenant = "x" },
		"run":             func(f *Facts) { f.Call.Run.ID = "r_2" },
		"server":          func(f *Facts) { f.Call.Server = "crn" },
		"name":            func(f *Facts) { f.Call.Name = "refunds" },
		"kind":            func(f *Facts) { f.Call.Kind = KindPrompt },
		"method":          func(f *Facts) { f.Call.Method = "prompts/get" },
		"definition":      func(f *Facts) { f.Tool.Digest = DigestOf([]byte("other")) },
		"no definition":   func(f *Facts) { f.Tool = nil },
		"effects":         func(f *Facts) { f.Tool.Effects = []Effect{Read} },
		"an argument":     params(`{"name":"refund","arguments":{"to":"y","amount":1}}`),
		"a number":        params(`{"name":"refund","arguments":{"to":"x","amount":1.0}}`),
		"one more":        params(`{"name":"refund","arguments":{"to":"x","amount":1,"z":null}}`),
		"no arguments":    params(`{"name":"refund"}`),
		"meta inside":     params(`{"name":"refund","arguments":{"to":"x","amount":1,"m":{"_meta":1}}}`),
		"meta of its own": params(`{"name":"refund","arguments":{"to":"x","amount":1,"_meta":{"to":"y"}}}`),
		"input response":  params(`{"name":"refund","arguments":{"to":"x","amount":1},"inputResponses":{"a":{}}}`),
		"request state":   params(`{"name":"refund","arguments":{"to":"x","amount":1},"requestState":"s"}`),
		"origin":          func(f *Facts) { f.Flow = &Flow{Traces: []Trace{{Path: "to"}}} },
		"a task":          params(`{"name":"refund","arguments":{"to":"x","amount":1},"task":{}}`),
	} {
		f := facts()
		if change(f); QuestionDigest(f, asking) == base {
			t.Errorf("another %s is the same question", name)
		}
	}
	for name, rules := range map[string][]Rule{
		"fewer": asking[:1],
		"text":  {asking[0], {ID: "again", Ask: asking[1].Ask, Digest: DigestOf([]byte("x"))}},
		"id":    {asking[0], {ID: "more", Ask: asking[1].Ask, Digest: asking[1].Digest}},
		"group": {asking[0], {ID: "again", Ask: []string{"finance"}, Digest: asking[1].Digest}},
	} {
		if QuestionDigest(facts(), rules) == base {
			t.Errorf("rules with another %s are the same question", name)
		}
	}
	same := facts()
	params(`{"arguments" : {"amount":1, "\u0074o":"x"},"name":"refund","_meta":{"progressToken":"p"}}`)(same)
	same.Call.ID, same.Call.Session, same.Call.Trace, same.Call.Revision, same.Call.Door = "c_9", "s9", "t9", "2026-07-28", "d9"
	if QuestionDigest(same, []Rule{asking[1], asking[0]}) != base {
		t.Error("the identical call is another question")
	}
	traced := func(w Writer, r Readers, paths ...string) Digest {
		f := facts()
		f.Flow = &Flow{}
		for _, path := range paths {
			f.Flow.Traces = append(f.Flow.Traces, Trace{Path: path, Origin: Origin{Writer: w, Readers: r}})
		}
		return QuestionDigest(f, asking)
	}
	users := traced(WriterUser, ReadersPublic, "to", "amount")
	if users != traced(WriterUser, ReadersPublic, "amount", "to") {
		t.Error("the order in which arguments were sent is part of the question")
	}
	for name, other := range map[string]Digest{
		"writer": traced(WriterUntrusted, ReadersPublic, "to", "amount"), "readers": traced(WriterUser, ReadersPrivate, "to", "amount"),
		"path": traced(WriterUser, ReadersPublic, "to", "currency"), "nobody knows": base,
	} {
		if other == users {
			t.Errorf("origins: another %s is the same question", name)
		}
	}
	// The arguments of the params are left out only where they are those that
	// are shown.
	other := facts()
	other.Call.Params = MustParse(`{"name":"refund","arguments":{"to":"mallory","amount":1}}`)
	if QuestionDigest(other, asking) == base {
		t.Error("arguments that are sent and not shown")
	}
}

func says(by string, groups ...string) []Answer {
	var yes []Answer
	for _, group := range groups {
		yes = append(yes, Answer{Group: group, By: by, At: time.Unix(1500, 0)})
	}
	return yes
}

// Who has to say yes before it is one, by class.
func TestAgree(t *testing.T) {
	one, two := []Rule{{ID: "x", Ask: []string{"finance"}, Digest: DigestOf(nil)}}, asking
	three := []Rule{{ID: "x", Ask: []string{"board", "finance", "security"}, Digest: DigestOf(nil)}}
	for name, c := range map[string]struct {
		class Class
		rules []Rule
		yes   [][]Answer
		want  []error // of each
		state ApprovalState
	}{
		"tap, one group":             {ClassTap, one, [][]Answer{says("ana", "finance")}, []error{nil}, Approved},
		"tap, half":                  {ClassTap, two, [][]Answer{says("ana", "finance")}, []error{nil}, Pending},
		"one in both groups":         {ClassType, two, [][]Answer{says("ana", "finance", "security")}, []error{nil}, Approved},
		"one for each":               {ClassType, two, [][]Answer{says("ana", "finance"), says("bo", "security")}, []error{nil, nil}, Approved},
		"a pair of one":              {ClassPair, one, [][]Answer{says("ana", "finance")}, []error{nil}, Pending},
		"a pair of one, twice":       {ClassPair, one, [][]Answer{says("ana", "finance"), says("ana", "finance")}, []error{nil, ErrAnswered}, Pending},
		"a pair":                     {ClassPair, one, [][]Answer{says("ana", "finance"), says("bo", "finance")}, []error{nil, nil}, Approved},
		"one of two for both":        {ClassPair, two, [][]Answer{says("ana", "finance", "security")}, []error{nil}, Pending},
		"both, and another for one":  {ClassPair, two, [][]Answer{says("ana", "finance", "security"), says("bo", "security")}, []error{nil, nil}, Approved},
		"two for one, none for both": {ClassPair, two, [][]Answer{says("ana", "finance"), says("bo", "finance")}, []error{nil, nil}, Pending},
		"two people for three":       {ClassPair, three, [][]Answer{says("ana", "board", "finance", "security"), says("bo", "finance")}, []error{nil, nil}, Pending},
		"no class":                   {0, one, [][]Answer{says("ana", "finance")}, []error{nil}, Pending},
		"a class that is none":       {9, one, [][]Answer{says("ana", "finance")}, []error{nil}, Pending},
		"nobody":                     {ClassTap, one, [][]Answer{says("", "finance")}, []error{ErrOvertaken}, Pending},
		"no group":                   {ClassTap, one, [][]Answer{nil}, []error{ErrOvertaken}, Pending},
		"a group that is not asked":  {ClassTap, one, [][]Answer{says("ana", "board")}, []error{ErrOvertaken}, Pending},
		"two at once":                {ClassPair, two, [][]Answer{append(says("ana", "finance"), says("bo", "security")...)}, []error{ErrOvertaken}, Pending},
		"after it is complete":       {ClassTap, one, [][]Answer{says("ana", "finance"), says("bo", "finance")}, []error{nil, ErrOvertaken}, Approved},
	} {
		a := pendingApproval()
		a.Class, a.Rules = c.class, c.rules
		for i, yes := range c.yes {
			next, err := a.Agree(time.Unix(1500, 0), yes...)
			if !errors.Is(err, c.want[i]) || err != nil && (next.State != a.State || len(next.Answers) != len(a.Answers)) {
				t.Errorf("%s: answer %d: %v, want %v", name, i, err, c.want[i])
			}
			a = next
		}
		if a.State != c.state || (a.State == Approved) != a.Complete() {
			t.Errorf("%s: %s, complete: %v", name, a.State, a.Complete())
		}
	}
}

// Whatever people say in whatever order: a question is approved exactly when each
// group has said yes and, in the highest class, two people at least and each group
// one of its own; and an answer is never lost.
func TestAgreeNeedsEverybody(t *testing.T) {
	people := []string{"ana", "bo", "cy"}
	groups := []string{"finance", "security", "board"}
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 1, 3, rapid.ID[string]).Draw(t, "asked")
		a := pendingApproval()
		a.Class, a.Rules = rapid.SampledFrom([]Class{ClassTap, ClassType, ClassPair}).Draw(t, "class"), []Rule{{ID: "x", Ask: asked, Digest: DigestOf(nil)}}
		said := map[[2]string]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "answers") {
			yes := says(rapid.SampledFrom(people).Draw(t, "by"), rapid.SliceOfNDistinct(rapid.SampledFrom(asked), 1, -1, rapid.ID[string]).Draw(t, "groups")...)
			next, err := a.Agree(time.Unix(1500, 0), yes...)
			if err != nil {
				continue
			}
			for _, y := range yes {
				said[[2]string{y.By, y.Group}] = true
			}
			if a = next; len(a.Answers) != len(said) {
				t.Fatalf("%d answers of %d", len(a.Answers), len(said))
			}
		}
		// Every way to give the groups to people, counted out.
		enough := false
		for n := range 27 {
			who := []string{people[n%3], people[n/3%3], people[n/9]}
			all, taken := true, map[string]bool{}
			for i, group := range asked {
				all = all && said[[2]string{who[i], group}] && !(a.Class == ClassPair && taken[who[i]])
				taken[who[i]] = true
			}
			enough = enough || all
		}
		distinct := map[string]bool{}
		for s := range said {
			distinct[s[0]] = true
		}
		enough = enough && (a.Class < ClassPair || len(distinct) >= 2)
		if enough != (a.State == Approved) {
			t.Fatalf("%s by %v", a.State, said)
		}
		if a.State == Approved != a.Covers(a.Rules[0]) {
			t.Fatal("what is approved is not covered, or the other way round")
		}
	})
}

// The number is the question's own, and four digits.
func TestNumber(t *testing.T) {
	a, b := pendingApproval(), pendingApproval()
	a.Digest, b.Digest = DigestOf([]byte("a")), DigestOf([]byte("b"))
	c := a
	c.ID = "a_2"
	if n := a.Number(); len(n) != 4 || strings.Trim(n, "0123456789") != "" || n == b.Number() || n == c.Number() || strings.Contains(a.Digest.String(), n) {
		t.Errorf("%s, %s, %s", n, b.Number(), c.Number())
	}
}

// What people agreed to in place of a question is told with its refusal, and with
// no other.
func TestNarrow(t *testing.T) {
	in := time.Unix(1500, 0)
	a := pendingApproval()
	a.Digest = DigestOf([]byte("wide"))
	to := Approval{ID: "a_2", Digest: DigestOf([]byte("narrow")), Narrows: a.ID}
	next, err := a.Narrow(&to, "ana", "less", in)
	if err != nil || next.State != Refused || next.Narrower != "a_2" || next.By != "ana" || next.Reason != "less" {
		t.Errorf("%+v, %v", next, err)
	}
	for name, change := range map[string]func(a, to *Approval){
		"of another question": func(_, to *Approval) { to.Narrows = "a_3" },
		"the same":            func(a, to *Approval) { to.Digest = a.Digest },
		"nothing":             func(_, to *Approval) { to.ID = "" },
		"answered already":    func(a, _ *Approval) { a.State = Approved },
		"too late":            func(a, _ *Approval) { a.Expires = in },
	} {
		a, to := a, to
		if change(&a, &to); a.ID == "" {
			t.Fatal(name)
		}
		if next, err := a.Narrow(&to, "ana", "less", in); err == nil || next.Narrower != "" {
			t.Errorf("%s: %+v", name, next)
		}
	}
	if e := (&RefusedError{Decision: Decision{Reason: "Refused."}, Narrower: MustParse(`{"amount":1}`)}); e.Error() != `Refused. Make exactly this call instead: {"amount":1}` {
		t.Error(e.Error())
	}
}

// An agent can take back what it has asked, as long as nobody has refused or used
// it; whoever took it back is named.
func TestWithdraw(t *testing.T) {
	now := time.Now()
	for state, can := range map[ApprovalState]bool{NoApproval: false, Pending: true, Approved: true, Refused: false, Expired: false, Spent: false} {
		a, err := Approval{State: state, Expires: now.Add(time.Hour)}.Withdraw("bot", now)
		if (err == nil) != can || can && (a.State != Expired || a.By != "bot" || a.Reason == "" || !a.Over(now)) {
			t.Errorf("%v: %+v, %v", state, a, err)
		}
	}
}
