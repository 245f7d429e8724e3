package asking

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport"
	"sallyport/internal/scope"
)

var (
	asked = time.Unix(1000, 0)
	soon  = asked.Add(time.Minute)
	late  = asked.Add(15 * time.Minute)
)

func terms() *Terms {
	return &Terms{
		Expire: time.Hour, After: 15 * time.Minute, To: []string{"board"},
		Groups: map[string][]string{"ana": {"finance"}, "bo": {"finance", "security"}, "cy": {"board"}, "dee": nil, "eve": {"security"}},
		Owner:  func(agent string) string { return map[string]string{"bot": "eve"}[agent] },
	}
}

func question() *sallyport.Approval {
	return &sallyport.Approval{
		ID: "a_1", State: sallyport.Pending, Class: sallyport.ClassType, Principal: sallyport.Principal{Agent: "bot", User: "ana"},
		Rules: []sallyport.Rule{{ID: "x", Ask: []string{"finance", "security"}, Digest: sallyport.DigestOf(nil)}}, Asked: asked, Expires: asked.Add(time.Hour),
	}
}

// A person answers for the groups that it is in, never for its own agent, and
// once it has waited long enough, those answer to whom it escalates.
func TestWhoAgrees(t *testing.T) {
	for name, c := range map[string]struct {
		by     string
		at     time.Time
		change func(t *Terms, a *sallyport.Approval)
		want   string // GROUP or GROUP<AS
		err    error
	}{
		"in both groups":               {by: "bo", at: soon, want: "finance security"},
		"in another":                   {by: "cy", at: soon, err: ErrNotAsked},
		"in none":                      {by: "dee", at: late, err: ErrNotAsked},
		"not enrolled":                 {by: "zed", at: late, err: ErrNotAsked},
		"nobody":                       {by: "", at: late, err: ErrNotAsked},
		"the user":                     {by: "ana", at: soon, err: ErrOwn},
		"the agent's owner":            {by: "eve", at: soon, err: ErrOwn},
		"the user, of little":          {by: "ana", at: soon, change: func(_ *Terms, a *sallyport.Approval) { a.Class = sallyport.ClassTap }, want: "finance"},
		"the user, of the most":        {by: "ana", at: soon, change: func(_ *Terms, a *sallyport.Approval) { a.Class = sallyport.ClassPair }, err: ErrOwn},
		"the user, of no class":        {by: "ana", at: soon, change: func(_ *Terms, a *sallyport.Approval) { a.Class = 0 }, err: ErrOwn},
		"escalated":                    {by: "cy", at: late, want: "finance<board security<board"},
		"escalated, a moment too soon": {by: "cy", at: late.Add(-1), err: ErrNotAsked},
		"never escalated":              {by: "cy", at: late, change: func(t *Terms, _ *sallyport.Approval) { t.After = 0 }, err: ErrNotAsked},
		"asked and escalated":          {by: "bo", at: late, want: "finance security"},
		"the only one":                 {by: "operator", at: soon, change: func(t *Terms, _ *sallyport.Approval) { t.Alone = "operator" }, want: "finance security"},
		"not the only one":             {by: "operator", at: soon, err: ErrNotAsked},
	} {
		terms, a := terms(), question()
		if c.change != nil {
			c.change(terms, a)
		}
		yes, err := terms.Agrees(a, c.by, "secret", c.at)
		var got []string
		for _, y := range yes {
			text := y.Group
			if y.As != "" {
				text += "<" + y.As
			}
			if got = append(got, text); y.By != c.by || y.Proof != "secret" || !y.At.Equal(c.at) {
				t.Errorf("%s: %+v", name, y)
			}
		}
		if strings.Join(got, " ") != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

// A yes counts as long as it could be given: whoever has left the group, lost the
// way of escalation or become the user does not count any more.
func TestWhatStillCounts(t *testing.T) {
	a := question()
	a.State, a.Seen = sallyport.Approved, 2
	a.Answers = []sallyport.Answer{{Group: "finance", By: "bo", At: soon}, {Group: "security", By: "cy", As: "board", At: late}}
	for name, c := range map[string]struct {
		change func(t *Terms, a *sallyport.Approval)
		left   int
	}{
		"as it was":               {func(*Terms, *sallyport.Approval) {}, 2},
		"left the group":          {func(t *Terms, _ *sallyport.Approval) { t.Groups["bo"] = []string{"security"} }, 1},
		"left":                    {func(t *Terms, _ *sallyport.Approval) { delete(t.Groups, "bo") }, 1},
		"left the board":          {func(t *Terms, _ *sallyport.Approval) { t.Groups["cy"] = nil }, 1},
		"in the group since":      {func(t *Terms, _ *sallyport.Approval) { t.Groups["cy"] = []string{"security"} }, 1},
		"escalates elsewhere":     {func(t *Terms, _ *sallyport.Approval) { t.To = []string{"legal"} }, 1},
		"escalates later":         {func(t *Terms, _ *sallyport.Approval) { t.After *= 2 }, 1},
		"does not escalate":       {func(t *Terms, _ *sallyport.Approval) { t.After = 0 }, 1},
		"is the user":             {func(_ *Terms, a *sallyport.Approval) { a.Principal.User = "bo" }, 1},
		"owns the agent":          {func(t *Terms, _ *sallyport.Approval) { t.Owner = func(string) string { return "cy" } }, 1},
		"nobody's yes":            {func(_ *Terms, a *sallyport.Approval) { a.Answers[0].By = "" }, 1},
		"was the only one":        {func(_ *Terms, a *sallyport.Approval) { a.Answers[0].By = "operator" }, 1},
		"still is":                {func(t *Terms, a *sallyport.Approval) { a.Answers[0].By, t.Alone = "operator", "operator" }, 2},
		"board, without a reason": {func(_ *Terms, a *sallyport.Approval) { a.Answers[1].As = "" }, 1},
	} {
		terms, a := terms(), *a
		a.Answers = slices.Clone(a.Answers)
		c.change(terms, &a)
		got := terms.Standing(a, sallyport.ClassType)
		if len(got.Answers) != c.left || got.Seen != 2 || got.Class != sallyport.ClassType {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Complete() != (c.left == 2) {
			t.Errorf("%s: complete %v", name, got.Complete())
		}
	}
	if got := terms().Standing(*a, sallyport.ClassPair); got.Class != sallyport.ClassPair {
		t.Error("it weighs more now, and its class is not raised")
	}
	lower := *a
	lower.Class = sallyport.ClassPair
	if got := terms().Standing(lower, sallyport.ClassTap); got.Class != sallyport.ClassPair {
		t.Error("a class is lowered")
	}
}

// Whether there are people enough: one who is asked and is not the user, in the
// highest class two.
func TestAnswerable(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *Terms, a *sallyport.Approval)
		want   bool
	}{
		"people enough":     {func(*Terms, *sallyport.Approval) {}, true},
		"nobody of a group": {func(t *Terms, _ *sallyport.Approval) { t.Groups["bo"] = []string{"finance"} }, false},
		"the user alone":    {func(t *Terms, a *sallyport.Approval) { a.Principal.User = "bo" }, false},
		"not two":           {func(_ *Terms, a *sallyport.Approval) { a.Class = sallyport.ClassPair }, false},
		"two": {func(t *Terms, a *sallyport.Approval) {
			a.Class, t.Groups["zed"] = sallyport.ClassPair, []string{"security"}
		}, true},
		"the operator": {func(t *Terms, _ *sallyport.Approval) { t.Groups, t.Alone = nil, "operator" }, true},
		"the operator, of the most": {func(t *Terms, a *sallyport.Approval) {
			t.Groups, t.Alone, a.Class = nil, "operator", sallyport.ClassPair
		}, false},
	} {
		terms, a := terms(), question()
		c.change(terms, a)
		if got := terms.Answerable(*a, soon); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	a := question()
	a.Principal.User = "bo"
	if !terms().Answerable(*a, late) {
		t.Error("those to whom it escalates are people, too")
	}
}

func TestMayRefuse(t *testing.T) {
	for by, may := range map[string]bool{"ana": true, "bo": true, "cy": true, "eve": true, "dee": false, "zed": false, "": false, "operator": false} {
		if err := terms().MayRefuse(question(), by); (err == nil) != may {
			t.Errorf("%s: %v", by, err)
		}
	}
	alone := terms()
	alone.Alone = "operator"
	if err := alone.MayRefuse(question(), "operator"); err != nil {
		t.Error(err)
	}
}

func call(effects []sallyport.Effect, args string) *sallyport.Facts {
	return &sallyport.Facts{
		Call: &sallyport.Call{Kind: sallyport.KindTool, Server: "bank", Name: "transfer", Args: sallyport.MustParse(args)},
		Tool: &sallyport.Definition{Effects: effects, Raw: sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"string"}}}}`)},
	}
}

func TestClass(t *testing.T) {
	pay, read := []sallyport.Effect{sallyport.Pay}, []sallyport.Effect{sallyport.Read}
	for name, c := range map[string]struct {
		change func(t *Terms)
		facts  *sallyport.Facts
		rules  []sallyport.Rule
		want   sallyport.Class
	}{
		"by effect":              {facts: call(pay, `{"amount":1}`), want: sallyport.ClassType},
		"raised by effect":       {change: func(t *Terms) { t.Classes = map[sallyport.Effect]sallyport.Class{sallyport.Read: 3} }, facts: call(read, `{}`), want: 3},
		"never lowered":          {change: func(t *Terms) { t.Classes = map[sallyport.Effect]sallyport.Class{sallyport.Pay: 1} }, facts: call(pay, `{}`), want: 2},
		"raised by a rule":       {facts: call(read, `{}`), rules: []sallyport.Rule{{}, {Class: 2}}, want: 2},
		"not lowered by a rule":  {facts: call(pay, `{}`), rules: []sallyport.Rule{{Class: 1}}, want: 2},
		"large":                  {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":1000.0}`), want: 3},
		"large and negative":     {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":-1000}`), want: 3},
		"large, as a text":       {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":"2000"}`), want: 3},
		"not to be read":         {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":"two"}`), want: 3},
		"with an exponent":       {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":1e2}`), want: 3},
		"small":                  {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":999.99}`), want: 2},
		"one of several":         {change: func(t *Terms) { t.Large = "1000" }, facts: call(pay, `{"amount":1,"lines":[{"amount":5000}]}`), want: 3},
		"large and pays nothing": {change: func(t *Terms) { t.Large = "1000" }, facts: call(read, `{"amount":5000}`), want: 1},
		"by what it means": {change: func(t *Terms) {
			t.Large, t.Means = "1000", func(string, string) map[string]scope.Role { return map[string]scope.Role{"size": scope.RoleAmount} }
		}, facts: call(pay, `{"size":5000}`), want: 3},
		"a tool that nobody knows": {facts: &sallyport.Facts{Call: &sallyport.Call{Kind: sallyport.KindTool}}, want: 2},
	} {
		terms := terms()
		if c.change != nil {
			c.change(terms)
		}
		if got := terms.Class(c.facts, c.rules); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// What is typed is the amount, however it is written, or the number.
func TestTyped(t *testing.T) {
	a := question()
	a.Amount = terms().Amount(call([]sallyport.Effect{sallyport.Pay}, `{"amount":250.50,"to":"x"}`))
	if a.Amount != "250.50" {
		t.Fatalf("amount %q", a.Amount)
	}
	for typed, ok := range map[string]bool{
		"250.50": true, "250.5": true, " 250.500 ": true, a.Number(): true,
		"": false, "250": false, "250.51": false, "0250.5": true, "-250.5": false, "250,50": false, "2505e-1": false, "yes": false,
	} {
		if err := Typed(a, Proof{Typed: typed}); (err == nil) != ok || err != nil && !errors.Is(err, ErrTyped) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	a.Amount = terms().Amount(call([]sallyport.Effect{sallyport.Pay}, `{"amount":1,"lines":[{"amount":5}]}`))
	if a.Amount != "" || Typed(a, Proof{Typed: ""}) == nil || Typed(a, Proof{Typed: "1"}) == nil {
		t.Errorf("of several amounts one is typed: %q", a.Amount)
	}
	a.Class = sallyport.ClassPair
	if Typed(a, Proof{}) == nil {
		t.Error("the highest class takes nothing")
	}
	if a.Class = sallyport.ClassTap; Typed(a, Proof{}) != nil {
		t.Error("a tap takes more")
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		order int
		ok    bool
	}{
		{"1", "1.0", 0, true}, {"9007199254740993", "9007199254740992", 1, true}, {"-1", "0.5", -1, true},
		{"1e9", "1", 0, false}, {"", "1", 0, false}, {"1", "x", 0, false}, {"1/3", "1", 0, false}, {"0x10", "1", 0, false}, {"+1", "1", 0, false},
	} {
		if order, ok := Compare(c.a, c.b); order != c.order || ok != c.ok {
			t.Errorf("%s and %s: %d, %v", c.a, c.b, order, ok)
		}
	}
}

func TestChanges(t *testing.T) {
	for _, c := range [][3]string{
		{`{"amount":5}`, `{"amount":5}`, ``},
		{`{"amount":5,"a":1}`, `{"a":1,"amount":5}`, ``},
		{`{"amount":5}`, `{"amount":4.5}`, `amount smaller`},
		{`{"amount":-5}`, `{"amount":-4}`, `amount smaller`},
		{`{"amount":5}`, `{"amount":6}`, `amount changed`},
		{`{"amount":5}`, `{"amount":-4}`, `amount changed`},
		{`{"amount":5}`, `{"amount":1e-9}`, `amount changed`},
		{`{"amount":5}`, `{"amount":"4"}`, `amount changed`},
		{`{"to":["a","b","c"]}`, `{"to":["a","c"]}`, `to fewer`},
		{`{"to":["a","b"]}`, `{"to":[]}`, `to fewer`},
		{`{"to":["a","b"]}`, `{"to":["b","a"]}`, `to changed`},
		{`{"to":["a"]}`, `{"to":["a","a"]}`, `to changed`},
		{`{"to":["a"]}`, `{"to":["x"]}`, `to changed`},
		{`{"a":{"b":5,"c":1}}`, `{"a":{"b":4,"c":1}}`, `a.b smaller`},
		{`{"a":1,"filter":"x"}`, `{"a":1}`, `filter left out`},
		{`{"a":1}`, `{"a":1,"b":2}`, `b added`},
		{`{"a":{"b":1}}`, `{"a":2}`, `a changed`},
		{`{"memo":"x"}`, `{"memo":"y"}`, `memo changed`},
	} {
		if got := strings.Join(Changes(sallyport.MustParse(c[0]), sallyport.MustParse(c[1])), ", "); got != c[2] {
			t.Errorf("%s to %s: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// Nothing differs exactly when the canonical bytes are the same.
func TestChangesNamesEveryDifference(t *testing.T) {
	value := rapid.SampledFrom([]string{`1`, `2`, `-1`, `"x"`, `""`, `null`, `[1,2]`, `[2]`, `[]`, `{}`, `{"a":1}`, `{"a":2,"b":[]}`, `true`})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) sallyport.Value {
			return sallyport.MustParse(`{"p":` + value.Draw(t, name) + `,"q":{"r":` + value.Draw(t, name) + `}}`)
		}
		a, b := draw("a"), draw("b")
		same := string(a.AppendCanonical(nil)) == string(b.AppendCanonical(nil))
		if got := Changes(a, b); (len(got) == 0) != same {
			t.Fatalf("%s to %s: %q", a.Raw(), b.Raw(), got)
		}
	})
}
