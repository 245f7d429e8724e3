package attend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/store"
)

// world is a log that keeps what is written, and the questions of it.
type world struct {
	*Attend
	written []sallyport.Entry
	kept    []sallyport.Approval
	err     error
	terms   asking.Terms
}

func (w *world) Commit(_ context.Context, record *sallyport.Record) error {
	if w.err != nil {
		return w.err
	}
	w.written = append(w.written, record.Entry)
	return nil
}
func (w *world) Append(context.Context, *sallyport.Record) error { return nil }

func (w *world) Approval(_ context.Context, digest sallyport.Digest) (a sallyport.Approval, _ error) {
	for _, one := range w.kept {
		if one.Digest == digest {
			a = one
		}
	}
	return a, nil
}

func (w *world) Approvals(context.Context) ([]sallyport.Approval, []string, error) {
	return w.kept, nil, nil
}

func (w *world) Query(_ context.Context, f store.Filter) (found []store.Found, _ error) {
	for _, e := range slices.Backward(w.written) {
		if e.Type == f.Type && len(found) < f.Limit {
			found = append(found, store.Found{Entry: e})
		}
	}
	return found, nil
}

func begin() *world {
	w := &world{terms: asking.Terms{Expire: time.Hour, Load: 2, Groups: map[string][]string{"bo": {"finance"}, "cy": {"finance", "leads"}}}}
	w.Attend = &Attend{Log: w, Store: w, Terms: func() *asking.Terms { return &w.terms }, People: func() []string { return []string{"bo", "cy"} }, Err: slog.New(slog.DiscardHandler)}
	return w
}

var number int

// question is another one, to a group.
func question(group string) *sallyport.Approval {
	number++
	text := fmt.Appendf(nil, `{"agent":"bot","args":{"amount":%d,"note":"one two three"},"effects":["pay"],"kind":"tool","name":"pay","server":"desk","v":1}`, number)
	return &sallyport.Approval{ID: fmt.Sprint("a_", number), Call: fmt.Sprint("c_", number), State: sallyport.Pending, Class: sallyport.ClassType,
		Digest: sallyport.DigestOf(text), Question: text, Asked: time.Now(), Expires: time.Now().Add(time.Hour), Rules: []sallyport.Rule{{ID: "much", Ask: []string{group}}}}
}

func (w *world) asks(t *testing.T, q *sallyport.Approval) error {
	t.Helper()
	return w.Attend.Commit(t.Context(), &sallyport.Record{Approval: q, Entry: sallyport.Entry{Type: sallyport.Held, Time: time.Now(), Call: q.Call, Approval: q.ID, Asks: q.Groups()}})
}

func (w *world) answers(t *testing.T, q *sallyport.Approval, by string, at time.Time) *sallyport.Entry {
	t.Helper()
	record := &sallyport.Record{Approval: q, Entry: sallyport.Entry{Type: sallyport.Change, Time: at, Subject: "approval approved " + q.ID, Approval: q.ID, By: by}}
	if err := w.Attend.Commit(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return &record.Entry
}

// An answer says how long its person had looked, and what that should have been.
func TestAnswersAreMeasured(t *testing.T) {
	w, q := begin(), question("finance")
	if err := w.asks(t, q); err != nil || w.written[0].Class != sallyport.ClassType {
		t.Fatal(err, w.written)
	}
	w.Shown(t.Context(), "bo", q.ID)
	w.Shown(t.Context(), "dana", q.ID) // who has not enrolled
	slow := w.answers(t, q, "bo", time.Now().Add(time.Minute))
	// PAY n with desk / pay; what is paid can hardly be had back; bot; much; amount, number, note, text
	if slow.Class != sallyport.ClassType || slow.Took < time.Minute || slow.Took > 61*time.Second || slow.Read < 3*time.Second || slow.Read > 8*time.Second {
		t.Errorf("%+v", slow)
	}
	if unseen := w.answers(t, q, "cy", time.Now()); unseen.Took != 0 || unseen.Read != slow.Read {
		t.Errorf("%+v", unseen)
	}
	if nobody := w.answers(t, q, "agent", time.Now()); nobody.Took != 0 || nobody.Read != 0 || nobody.Class != sallyport.ClassType {
		t.Errorf("%+v", nobody)
	}
	w.People = func() []string { return []string{"bo", "cy", "dana"} }
	if late := w.answers(t, q, "dana", time.Now()); late.Took != 0 {
		t.Errorf("remembered of whom nobody knew: %+v", late)
	}
	gone := question("finance")
	gone.Question = nil
	if e := w.answers(t, gone, "bo", time.Now()); e.Read == 0 {
		t.Error("what can't be shown is read in no time")
	}

	// Two at once: one is read whole, of the other what differs.
	one, two := question("finance"), question("finance")
	w.Shown(t.Context(), "cy", one.ID, two.ID)
	w.Together("cy", []string{one.ID, two.ID})
	first, second := w.answers(t, one, "cy", time.Now().Add(time.Hour)), w.answers(t, two, "cy", time.Now().Add(time.Hour))
	if first.Read != slow.Read+4*200*time.Millisecond || second.Read != first.Read || second.Took < time.Hour-time.Second {
		t.Errorf("%s %s, %s; %s", first.Read, second.Read, second.Took, slow.Read)
	}

	stats, err := w.Stats(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(2*time.Hour))
	if err != nil || len(stats.Classes) != 1 || stats.Classes[0].Approved != 1 || len(stats.People) != 3 || stats.People[0].Asked != 1 || stats.People[1].Unseen != 1 {
		t.Errorf("%+v %v", stats, err)
	}
	if text := w.examined(t); !strings.Contains(text, "cy said yes 1 times today faster") || strings.Contains(text, "agent") {
		t.Error(text)
	}
}

func (w *world) examined(t *testing.T) (text string) {
	w.Examine(t.Context(), func(bad bool, do, what string, args ...any) { text += fmt.Sprintf(what, args...) + "\n" })
	return text
}

func (w *world) loads() (subjects []string) {
	for _, e := range w.written {
		if strings.HasPrefix(e.Subject, "load of ") {
			subjects = append(subjects, strings.Join(strings.Fields(e.Subject)[:5], " "))
		}
	}
	return subjects
}

// The first question beyond a load is on the record, once a day and person, and is
// asked all the same.
func TestLoad(t *testing.T) {
	w := begin()
	before := question("leads")
	yesterday := question("leads")
	yesterday.Asked = time.Now().Add(-25 * time.Hour)
	less := question("leads")
	less.Narrows = before.ID                                  // nobody was asked that
	w.kept = []sallyport.Approval{*before, *yesterday, *less} // before the start
	if err := w.asks(t, before); err != nil {                 // its agent asks again: nobody is asked anew
		t.Fatal(err)
	}
	for i, c := range []struct {
		group string
		want  []string
	}{{"finance", nil}, {"finance", []string{"load of cy above 2"}}, {"leads", []string{"load of cy above 2"}}, {"finance", []string{"load of cy above 2", "load of bo above 2"}}} {
		if err := w.asks(t, question(c.group)); err != nil || !slices.Equal(w.loads(), c.want) {
			t.Errorf("%d: %q, %v", i, w.loads(), err)
		}
	}
	if text := w.examined(t); !strings.Contains(text, "bo was asked 3 questions today, and nobody looks at more than 2") || !strings.Contains(text, "cy was asked 5") {
		t.Error(text)
	}
	for range 3 { // what the log did not take was not asked
		w.err = errors.New("no")
		_ = w.asks(t, question("finance"))
		w.err = nil
	}
	if text := w.examined(t); !strings.Contains(text, "bo was asked 3") {
		t.Error(text)
	}
}

// Where nobody may be asked beyond a load, a call is refused, and what is open stays
// open; nothing is let through.
func TestLoadRefuses(t *testing.T) {
	w := begin()
	w.terms.Never = true
	last := question("finance")
	for _, q := range []*sallyport.Approval{question("finance"), last} {
		if err := w.asks(t, q); err != nil {
			t.Fatal(err)
		}
	}
	w.kept = []sallyport.Approval{*last}
	err := w.asks(t, question("finance"))
	if !errors.Is(err, sallyport.ErrCrowded) || !strings.Contains(err.Error(), "all who could answer have been asked 2 questions today") {
		t.Errorf("%v", err)
	}
	if err := w.asks(t, last); err != nil {
		t.Errorf("an open question: %v", err)
	}
	w.terms.Groups["dana"] = []string{"finance"} // has room
	if err := w.asks(t, question("finance")); err != nil {
		t.Error(err)
	}
	if n := len(w.loads()); n != 2 {
		t.Errorf("%q", w.loads())
	}
}
