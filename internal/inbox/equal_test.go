package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
)

// rowsOf answers questions as they were shown, each with its number.
func rowsOf(asked ...sallyport.Approval) (rows []Row) {
	for _, a := range asked {
		rows = append(rows, Row{a.ID, a.Digest.String(), a.Number()})
	}
	return rows
}

func said(outcomes []Outcome) string {
	var all []string
	for _, o := range outcomes {
		text := o.ID + " " + o.State
		if o.Said != "" {
			text += " (" + o.Said + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// Equal questions are answered at once, each for itself: with its own digest and
// number, and whatever became of it meanwhile.
func TestAnswerEqual(t *testing.T) {
	a, b, c := asks("a_1", `{"amount":5}`), asks("a_2", `{"amount":6}`), asks("a_3", `{"amount":7}`)
	outlier, other := asks("a_4", `{"amount":700}`), asks("a_5", `{"amount":7,"to":"x"}`)
	gone := asks("a_6", `{"amount":6}`)
	gone.State, gone.By, gone.Reason = sallyport.Refused, "cy", "no"
	for name, test := range map[string]struct {
		rows   []Row
		no     bool
		change func(d *desk)
		want   string
	}{
		"all":              {rows: rowsOf(a, b, c), want: "a_1 approved; a_2 approved; a_3 approved"},
		"without one":      {rows: rowsOf(a, c), want: "a_1 approved; a_3 approved"},
		"a no to all":      {rows: rowsOf(a, b, c), no: true, want: "a_1 refused; a_2 refused; a_3 refused"},
		"another's number": {rows: []Row{rowsOf(a)[0], {b.ID, b.Digest.String(), a.Number()}}, want: "a_1 approved; a_2 pending (" + asking.ErrTyped.Error() + ")"},
		"nothing typed":    {rows: []Row{rowsOf(a)[0], {b.ID, b.Digest.String(), ""}}, want: "a_1 approved; a_2 pending (" + asking.ErrTyped.Error() + ")"},
		"one answered":     {rows: rowsOf(a, gone), want: "a_1 approved; a_6 refused (it can't be answered: it has moved on meanwhile (sallyport approvals show a_6))"},
		"the first is":     {rows: rowsOf(gone, a), want: "a_6 refused (it can't be answered: it has moved on meanwhile (sallyport approvals show a_6)); a_1 approved"},
		"one run out": {rows: rowsOf(a, b), change: func(d *desk) { d.kept[1].Expires = start },
			want: "a_1 approved; a_2 expired (it can't be answered: it has moved on meanwhile (sallyport approvals show a_2))"},
		"one stands out":  {rows: rowsOf(a, outlier), want: "a_1 approved; a_4 pending (it is not equal to the others any more: look at it by itself)"},
		"one is another":  {rows: rowsOf(a, other), want: "a_1 approved; a_5 pending (it is not equal to the others any more: look at it by itself)"},
		"a no to another": {rows: rowsOf(a, other), no: true, want: "a_1 refused; a_5 refused"},
		"one erased": {rows: rowsOf(a, b), change: func(d *desk) { d.unseen = map[string]error{"a_2": errors.New("erased")} },
			want: "a_1 approved; a_2 pending (what it asks can't be shown, so nobody can agree to it: erased)"},
		"a no to one erased": {rows: rowsOf(a, b), no: true, change: func(d *desk) { d.unseen = map[string]error{"a_2": errors.New("erased")} }, want: "a_1 refused; a_2 refused"},
	} {
		i, d := opened(a, b, c, outlier, other, gone)
		if test.change != nil {
			test.change(d)
		}
		got, err := i.AnswerEqual(t.Context(), Together{By: "bo", Approve: !test.no, Reason: "no", Rows: test.rows, Proof: asking.Proof{Secret: "bo's"}})
		if err != nil || said(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", name, said(got), err, test.want)
		}
	}
}

// What was changed or added after it was shown makes all of it void.
func TestAnswerEqualIsWhatWasShown(t *testing.T) {
	a, b := asks("a_1", `{"amount":5}`), asks("a_2", `{"amount":6}`)
	var many []Row
	for n := range card.MaxRows + 1 {
		many = append(many, Row{ID: fmt.Sprint("a_", n)})
	}
	for name, c := range map[string]struct {
		rows []Row
		by   string
		want string
	}{
		"another digest":  {[]Row{rowsOf(a)[0], {b.ID, a.Digest.String(), b.Number()}}, "bo", "nothing was answered"},
		"no digest":       {[]Row{rowsOf(a)[0], {b.ID, "", b.Number()}}, "bo", "nothing was answered"},
		"twice":           {rowsOf(a, b, a), "bo", "twice"},
		"nothing":         {nil, "bo", "1 to 25"},
		"too many":        {many, "bo", "1 to 25"},
		"unknown":         {[]Row{rowsOf(a)[0], {ID: "a_9"}}, "bo", "no approval a_9"},
		"nobody's secret": {rowsOf(a, b), "cy", "wrong secret"},
	} {
		i, d := opened(a, b)
		got, err := i.AnswerEqual(t.Context(), Together{By: c.by, Approve: true, Rows: c.rows, Proof: asking.Proof{Secret: "bo's"}})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(d.by) > 0 {
			t.Errorf("%s: %s, %v, answered by %v", name, said(got), err, d.by)
		}
	}
}

// One signature of the highest class covers every row, and no other: two people
// give one each.
func TestAnswerEqualIsSigned(t *testing.T) {
	a, b := asks("a_1", `{"amount":5}`), asks("a_2", `{"amount":6}`)
	a.Class, b.Class = sallyport.ClassPair, sallyport.ClassPair
	i, _ := opened(a, b)
	var signed sallyport.Digest
	i.Prove = func(_ context.Context, _ string, class sallyport.Class, what sallyport.Digest, _ asking.Proof) (string, error) {
		if class.Known() == sallyport.ClassPair && what != signed {
			return "", errors.New("something else was signed")
		}
		return "passkey", nil
	}
	give := func(by string, approve bool) string {
		got, err := i.AnswerEqual(t.Context(), Together{By: by, Approve: approve, Reason: "no", Rows: rowsOf(a, b)})
		if err != nil {
			return err.Error()
		}
		return said(got)
	}
	for _, wrong := range []sallyport.Digest{{}, a.Digest, asking.Together([]string{a.Digest.String()}), asking.Together([]string{a.Digest.String(), b.Digest.String(), b.Digest.String()})} {
		if signed = wrong; give("bo", true) != "something else was signed" {
			t.Errorf("signed %s: %s", wrong, give("bo", true))
		}
	}
	signed = asking.Together([]string{b.Digest.String(), a.Digest.String()})
	if got := give("bo", true); got != "a_1 pending; a_2 pending" {
		t.Fatal(got)
	}
	group, err := i.Equal(t.Context(), "a_2")
	if err != nil || len(group) != 2 || group[0].ID != "a_1" || group[0].Given[0].By != "bo" || group[0].Question != string(a.Question) || group[0].Equal[0] != "a_2" {
		t.Fatalf("%+v, %v", group, err)
	}
	if got := give("cy", true); got != "a_1 approved; a_2 approved" {
		t.Error(got)
	}
	i, _ = opened(a, b)
	i.Prove = func(_ context.Context, _ string, class sallyport.Class, _ sallyport.Digest, _ asking.Proof) (string, error) {
		if class.Known() == sallyport.ClassPair {
			return "", errors.New("this takes your passkey")
		}
		return "session", nil
	}
	if got := give("bo", false); got != "a_1 refused; a_2 refused" {
		t.Errorf("a no takes a passkey: %s", got)
	}
	if group, err := i.Equal(t.Context(), "a_1"); err != nil || len(group) != 0 {
		t.Errorf("over, and equal to others: %+v %v", group, err)
	}
}

// Who is asked is said by name, and to whom it goes on when nobody answers.
func TestWhoIsAsked(t *testing.T) {
	i, _ := opened(asks("a_1", `{"amount":7}`))
	names := func(q Question) string {
		var all []string
		for _, p := range q.People {
			all = append(all, p.Name+" for "+strings.Join(p.Groups, " "))
		}
		return strings.Join(all, ", ")
	}
	q, err := i.Show(t.Context(), "a_1")
	if err != nil || names(q) != "bo for finance, cy for finance" || len(q.Later) != 1 || q.Later[0] != "board" || !q.Escalates.Equal(start.Add(i.Terms().After)) {
		t.Errorf("%s, then %v at %v; %v", names(q), q.Later, q.Escalates, err)
	}
	i.Now = func() time.Time { return start.Add(i.Terms().After) }
	if q, err := i.Show(t.Context(), "a_1"); err != nil || names(q) != "bo for finance, cy for finance, eve for finance" || len(q.Later) != 0 || q.Escalated[0] != "board" {
		t.Errorf("%s, then %v; %v", names(q), q.Later, err)
	}
	i.Terms().Alone = "operator"
	if q, err := i.Show(t.Context(), "a_1"); err != nil || !strings.Contains(names(q), "operator for finance") {
		t.Errorf("%s; %v", names(q), err)
	}
}

// An answer to one of some equal questions does not part the others.
func TestAnsweredEqually(t *testing.T) {
	a, b, c := asks("a_1", `{"amount":5}`), asks("a_2", `{"amount":6}`), asks("a_3", `{"amount":7}`)
	b.Asked, c.Asked = start.Add(time.Millisecond), start.Add(2*time.Millisecond)
	i, _ := opened(a, b, c)
	if got, err := i.AnswerEqual(t.Context(), Together{By: "bo", Approve: true, Rows: rowsOf(b), Proof: asking.Proof{Secret: "bo's"}}); err != nil || said(got) != "a_2 approved" {
		t.Fatal(said(got), err)
	}
	if group, err := i.Equal(t.Context(), "a_1"); err != nil || len(group) != 2 || !group[0].Arguments[0].New || group[0].Arguments[0].Before[0] != "6" {
		t.Errorf("%+v, %v", group, err)
	}
}
