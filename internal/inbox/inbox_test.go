package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
)

var start = time.Unix(10_000, 0)

// desk is a store and a gateway that keep what they are given.
type desk struct {
	kept    []sallyport.Approval
	damaged []string
	unseen  map[string]error
	failed  error
	by      []string
	grants  []sallyport.Grant

	recorded []string
}

func (d *desk) Approvals(context.Context) ([]sallyport.Approval, []string, error) {
	all := make([]sallyport.Approval, len(d.kept))
	for i, a := range d.kept {
		a.Question = nil
		all[i] = a
	}
	return all, d.damaged, d.failed
}

func (d *desk) OpenApproval(_ context.Context, id string) (sallyport.Approval, error) {
	for _, a := range d.kept {
		if a.ID == id {
			if err := d.unseen[id]; err != nil {
				a.Question = nil
				return a, err
			}
			return a, nil
		}
	}
	return sallyport.Approval{}, errors.New("no approval " + id)
}

func (d *desk) Answer(_ context.Context, next sallyport.Approval, by string) error {
	for i, a := range d.kept {
		if a.ID == next.ID && slices.Contains(next.State.From(), a.State) {
			d.kept[i], d.by = next, append(d.by, by)
			return nil
		}
	}
	return sallyport.ErrOvertaken
}

func (d *desk) Narrow(ctx context.Context, asked sallyport.Approval, args sallyport.Value, reason, by string,
	agree func(*sallyport.Approval) ([]sallyport.Answer, error)) (sallyport.Approval, error) {
	to := asks("a_narrow", string(args.Raw()))
	to.Narrows, to.Amount, to.Rules = asked.ID, "5", nil
	if args.Get("asked").Type() != sallyport.Absent {
		to.Rules = asked.Rules
	}
	yes, err := agree(&to)
	if err != nil {
		return to, err
	}
	to.Answers, to.State = yes, sallyport.Approved
	d.kept = append(d.kept, to)
	return to, nil
}

func asks(id, args string) sallyport.Approval {
	question := []byte(fmt.Sprintf(`{"agent":"bot","args":%s,"effects":["pay"],"kind":"tool","name":"refund","run":"r_1","server":"crm","user":"ana","v":1}`, args))
	return sallyport.Approval{
		ID: id, State: sallyport.Pending, Class: sallyport.ClassType, Question: question, Digest: sallyport.DigestOf(question), Run: "r_1", Call: "c_" + id,
		Principal: sallyport.Principal{Agent: "bot", User: "ana"}, Kind: sallyport.KindTool, Server: "crm", Name: "refund", Amount: "7",
		Rules: []sallyport.Rule{{ID: "x", File: "p.cedar", Line: 1, Ask: []string{"finance"}, Digest: sallyport.DigestOf(nil)}},
		Asked: start, Expires: start.Add(time.Hour),
	}
}

func opened(kept ...sallyport.Approval) (*Inbox, *desk) {
	d := &desk{kept: kept}
	terms := &asking.Terms{Expire: time.Hour, After: time.Minute, To: []string{"board"},
		Groups: map[string][]string{"bo": {"finance"}, "cy": {"finance"}, "ana": {"finance"}, "dee": {"legal"}, "eve": {"board"}}}
	return &Inbox{
		Store: d, Gateway: d, Terms: func() *asking.Terms { return terms }, Now: func() time.Time { return start.Add(time.Second) },
		Prove: func(_ context.Context, by string, _ sallyport.Class, _ sallyport.Digest, p asking.Proof) (string, error) {
			if p.Secret != by+"'s" {
				return "", errors.New("wrong secret")
			}
			return "secret", nil
		},
		Guesses: &Guesses{}, Record: func(_ context.Context, subject, by string, _, _ sallyport.Digest) error {
			d.recorded = append(d.recorded, subject+" by "+by)
			return nil
		},
		Around: func(_ context.Context, a *sallyport.Approval) card.Around {
			return card.Around{Words: []card.Said{{Text: "in " + a.Run, Strength: "human"}}}
		},
	}, d
}

func secretly(by string) asking.Proof { return asking.Proof{Secret: by + "'s", Typed: "7"} }

// An answer is a person's, of those who are asked, to what was shown, with what its
// class takes.
func TestAnswer(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	for name, c := range map[string]struct {
		given  Answer
		change func(i *Inbox, d *desk)
		want   string // error, or "" for a yes
	}{
		"a yes":                    {given: Answer{By: "bo", Approve: true, Proof: secretly("bo")}},
		"with the number":          {given: Answer{By: "bo", Approve: true, Proof: asking.Proof{Secret: "bo's", Typed: a.Number()}}},
		"nobody's secret":          {given: Answer{By: "bo", Approve: true, Proof: secretly("cy")}, want: "wrong secret"},
		"a no of nobody":           {given: Answer{By: "bo", Reason: "no", Proof: secretly("cy")}, want: "wrong secret"},
		"nothing typed":            {given: Answer{By: "bo", Approve: true, Proof: asking.Proof{Secret: "bo's"}}, want: asking.ErrTyped.Error()},
		"typed wrong":              {given: Answer{By: "bo", Approve: true, Proof: asking.Proof{Secret: "bo's", Typed: "70"}}, want: asking.ErrTyped.Error()},
		"the user":                 {given: Answer{By: "ana", Approve: true, Proof: secretly("ana")}, want: asking.ErrOwn.Error()},
		"another group":            {given: Answer{By: "dee", Approve: true, Proof: secretly("dee")}, want: asking.ErrNotAsked.Error()},
		"before it escalates":      {given: Answer{By: "eve", Approve: true, Proof: secretly("eve")}, want: asking.ErrNotAsked.Error()},
		"another group's no":       {given: Answer{By: "dee", Reason: "no", Proof: secretly("dee")}, want: asking.ErrNotAsked.Error()},
		"another question":         {given: Answer{ID: "a_2", By: "bo", Approve: true, Proof: secretly("bo")}, want: "no approval a_2"},
		"something else was shown": {given: Answer{By: "bo", Digest: sallyport.DigestOf(nil).String(), Approve: true, Proof: secretly("bo")}, want: "look again"},
		"a no to something else":   {given: Answer{By: "bo", Digest: "x", Reason: "no", Proof: secretly("bo")}, want: "look again"},
		"a no without a reason":    {given: Answer{By: "bo", Reason: " ", Proof: secretly("bo")}, want: "needs a reason"},
		"erased": {given: Answer{By: "bo", Approve: true, Proof: secretly("bo")}, change: func(_ *Inbox, d *desk) { d.unseen = map[string]error{"a_1": errors.New("erased")} },
			want: "nobody can agree to it"},
		"answered meanwhile": {given: Answer{By: "bo", Approve: true, Proof: secretly("bo")}, change: func(_ *Inbox, d *desk) { d.kept[0].State = sallyport.Refused }, want: "moved on"},
		"too late":           {given: Answer{By: "bo", Approve: true, Proof: secretly("bo")}, change: func(i *Inbox, _ *desk) { i.Now = func() time.Time { return a.Expires } }, want: "moved on"},
	} {
		i, d := opened(a)
		if c.change != nil {
			c.change(i, d)
		}
		if c.given.ID == "" {
			c.given.ID = "a_1"
		}
		if c.given.Digest == "" {
			c.given.Digest = a.Digest.String()
		}
		q, err := i.Answer(t.Context(), c.given)
		switch {
		case c.want == "" && (err != nil || q.State != "approved" || d.kept[0].Approver() != "bo" || d.kept[0].Answers[0].Proof != "secret" || d.by[0] != "bo"):
			t.Errorf("%s: %+v, %v", name, q, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(d.by) > 0):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	i, d := opened(a)
	d.unseen = map[string]error{"a_1": errors.New("erased")}
	if q, err := i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: a.Digest.String(), Reason: "unseen", Proof: asking.Proof{Secret: "bo's"}}); err != nil || q.State != "refused" {
		t.Errorf("what can't be shown can be refused: %+v, %v", q, err)
	}
}

// Two people: each types, and one who has left since does not count.
func TestAnswerOfTwo(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	a.Class = sallyport.ClassPair
	i, d := opened(a)
	give := func(by string) (Question, error) {
		return i.Answer(t.Context(), Answer{ID: "a_1", By: by, Digest: a.Digest.String(), Approve: true, Proof: secretly(by)})
	}
	if q, err := give("bo"); err != nil || q.State != "pending" || len(q.Given) != 1 || q.Given[0].By != "bo" {
		t.Fatalf("%+v, %v", q, err)
	}
	if _, err := give("bo"); !errors.Is(err, sallyport.ErrAnswered) {
		t.Errorf("the same again: %v", err)
	}
	groups := i.Terms().Groups
	groups["bo"] = nil
	if q, err := give("cy"); err != nil || q.State != "pending" || len(q.Given) != 1 || q.Given[0].By != "cy" {
		t.Errorf("who has left counts: %+v, %v", q, err)
	}
	groups["bo"] = []string{"finance"}
	if q, err := give("bo"); err != nil || q.State != "approved" || len(d.kept[0].Answers) != 2 {
		t.Errorf("%+v, %v", q, err)
	}
}

// Who may not answer what is asked can't answer it by changing it; what is typed is
// the amount that is agreed to, or the number that the agent was told.
func TestNarrow(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	for name, c := range map[string]struct {
		by, typed, args string
		want            string
	}{
		"the amount":        {"bo", "5", `{"amount":5}`, ""},
		"the number":        {"bo", a.Number(), `{"amount":5,"asked":true}`, ""},
		"the amount asked":  {"bo", "7", `{"amount":5}`, asking.ErrTyped.Error()},
		"nothing":           {"bo", "", `{"amount":5}`, asking.ErrTyped.Error()},
		"the user":          {"ana", "5", `{"amount":5}`, asking.ErrOwn.Error()},
		"another group":     {"dee", "5", `{"amount":5}`, asking.ErrNotAsked.Error()},
		"another, asked":    {"dee", "5", `{"amount":5,"asked":true}`, asking.ErrNotAsked.Error()},
		"no JSON":           {"bo", "5", `{"amount":5`, "one JSON object"},
		"a list":            {"bo", "5", `[5]`, "one JSON object"},
		"two of a name":     {"bo", "5", `{"amount":5,"amount":7}`, "one JSON object"},
		"somebody's secret": {"zed", "5", `{"amount":5}`, asking.ErrNotAsked.Error()},
	} {
		i, d := opened(a)
		q, err := i.Narrow(t.Context(), Narrowing{ID: "a_1", By: c.by, Digest: a.Digest.String(), Args: c.args, Proof: asking.Proof{Secret: c.by + "'s", Typed: c.typed}})
		if c.want == "" && (err != nil || q.ID != "a_narrow" || len(d.kept) != 2) {
			t.Errorf("%s: %+v, %v", name, q, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(d.kept) != 1) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	i, _ := opened(a)
	if _, err := i.Narrow(t.Context(), Narrowing{ID: "a_1", By: "bo", Digest: "x", Args: `{}`, Proof: secretly("bo")}); err == nil || !strings.Contains(err.Error(), "look again") {
		t.Errorf("%v", err)
	}
}

// Equal questions are together, a damaged one is named, and closed ones are left
// out unless all are wanted.
func TestList(t *testing.T) {
	spent := asks("a_0", `{"amount":9}`)
	spent.State, spent.Asked = sallyport.Spent, start.Add(-time.Hour)
	over := asks("a_over", `{"amount":9}`)
	over.Expires = start
	other := asks("a_2", `{"amount":7,"to":"x"}`)
	i, d := opened(spent, over, asks("a_1", `{"amount":9}`), other, asks("a_3", `{"amount":9}`), asks("a_4", `{"amount":8}`))
	d.damaged = []string{"a_bad"}
	d.unseen = map[string]error{"a_2": errors.New("erased")}
	text := func(list []Question) string {
		var all []string
		for _, q := range list {
			all = append(all, strings.TrimSpace(q.ID+" "+q.State+" "+strings.Join(q.Equal, ",")))
		}
		return strings.Join(all, "; ")
	}
	list, err := i.List(t.Context(), false)
	if want := "a_bad damaged; a_1 pending a_3; a_2 pending; a_3 pending a_1; a_4 pending"; err != nil || text(list) != "a_bad damaged; a_1 pending a_3; a_3 pending a_1; a_2 pending; a_4 pending" {
		t.Errorf("%s, %v; want about %s", text(list), err, want)
	}
	if q := list[1]; q.Question != "" || q.Verb != "PAY 7 with crm / refund" || q.Groups[0] != "finance" || q.Arguments[0].New || q.Past.Approved != 1 {
		t.Errorf("%+v", q)
	}
	if list[1].Short {
		t.Error("there are people enough")
	}
	delete(i.Terms().Groups, "bo")
	delete(i.Terms().Groups, "cy")
	if q, err := i.Show(t.Context(), "a_1"); err != nil || !q.Short {
		t.Errorf("the user alone is in the group: %+v, %v", q, err)
	}
	if q := list[3]; q.Problem != "erased" || len(q.Arguments) != 0 {
		t.Errorf("%+v", q)
	}
	if q := list[4]; !q.Arguments[0].New || q.Arguments[0].Before[0] != "9" {
		t.Errorf("%+v", q.Arguments)
	}
	d.kept[5].Name = "refund\u202e"
	if q, err := i.Show(t.Context(), "a_4"); err != nil || q.Name != `refund\u{202e}` {
		t.Errorf("a name in the list is %q, %v", q.Name, err)
	}
	all, err := i.List(t.Context(), true)
	if err != nil || len(all) != 7 || all[1].State != "spent" || all[2].State != "expired" {
		t.Errorf("%s, %v", text(all), err)
	}
	i.Now = func() time.Time { return start.Add(time.Minute) }
	shown, err := i.Show(t.Context(), "a_1")
	if err != nil || shown.Equal[0] != "a_3" || shown.Question != string(d.kept[2].Question) || shown.Escalated[0] != "board" || shown.Words[0].Text != "in r_1" {
		t.Errorf("%+v, %v", shown, err)
	}
	d.failed = errors.New("no database")
	if _, err := i.List(t.Context(), false); err == nil {
		t.Error("nothing waits, as far as anybody knows")
	}
}

func (d *desk) Grants(context.Context, string, string, string) ([]sallyport.Grant, error) {
	return d.grants, d.failed
}

func (d *desk) Grant(ctx context.Context, next sallyport.Approval, g sallyport.Grant, by string) error {
	if err := d.Answer(ctx, next, by); err != nil {
		return err
	}
	d.grants = append(d.grants, g)
	return nil
}

func (d *desk) Revoke(_ context.Context, g sallyport.Grant, by, _ string) error {
	for i := range d.grants {
		if d.grants[i].ID == g.ID && d.grants[i].Revoked == "" {
			d.grants[i].Revoked = by
			return nil
		}
	}
	return sallyport.ErrOvertaken
}

// A no only tightens: whoever is sure to be a person may say it, also where a yes
// takes more than that.
func TestNoTakesNoMore(t *testing.T) {
	pair := asks("a_1", `{"amount":7}`)
	pair.Class = sallyport.ClassPair
	for approve, ok := range map[bool]bool{false: true, true: false} {
		i, _ := opened(pair)
		i.Prove = func(_ context.Context, _ string, class sallyport.Class, _ sallyport.Digest, _ asking.Proof) (string, error) {
			if class.Known() == sallyport.ClassPair { // as the console says of a session
				return "", errors.New("this takes your passkey")
			}
			return "session", nil
		}
		_, err := i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: pair.Digest.String(), Approve: approve, Reason: "no", Proof: secretly("bo")})
		if (err == nil) != ok {
			t.Errorf("approve %v: %v", approve, err)
		}
	}
}

// What a device must have signed is the very thing that is agreed to.
func TestWhatIsSigned(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	a.Class = sallyport.ClassPair
	type proved struct {
		class  sallyport.Class
		signed sallyport.Digest
	}
	for name, c := range map[string]struct {
		do   func(i *Inbox)
		want proved
	}{
		"a yes": {func(i *Inbox) { i.Answer(t.Context(), Answer{ID: "a_1", Approve: true}) }, proved{sallyport.ClassPair, a.Digest}},
		"less": {func(i *Inbox) { i.Narrow(t.Context(), Narrowing{ID: "a_1", Args: `{"amount":5}`}) },
			proved{sallyport.ClassPair, asking.Narrowed(a.Digest, sallyport.MustParse(`{"amount":5}`))}},
		"a while": {func(i *Inbox) { i.Grant(t.Context(), Granting{ID: "a_1"}) }, proved{sallyport.ClassPair, a.Digest}},
		"an end":  {func(i *Inbox) { i.Revoke(t.Context(), "g_1", "bo", "", asking.Proof{}) }, proved{class: sallyport.ClassTap}},
	} {
		i, _ := opened(a)
		var got proved
		i.Prove = func(_ context.Context, _ string, class sallyport.Class, signed sallyport.Digest, _ asking.Proof) (string, error) {
			got = proved{class, signed}
			return "", errors.New("enough")
		}
		if c.do(i); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
