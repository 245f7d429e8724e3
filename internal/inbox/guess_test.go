package inbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
)

// wrong is a number that is not the one of a question.
func wrong(a *sallyport.Approval, n int) string {
	return fmt.Sprintf("%04d", (atoi(a.Number())+1+n)%10_000)
}

func atoi(text string) (n int) {
	fmt.Sscan(strings.TrimLeft(text, "0")+" 0", &n)
	return n
}

// What a yes takes can't be found by trying, in whatever way it is given, and
// whoever tries is on the record.
func TestGuessing(t *testing.T) {
	a := asks("a_1", `{"note":"x"}`)
	a.Amount = ""
	i, d := opened(a)
	try := func(way, typed string) error {
		proof := asking.Proof{Secret: "bo's", Typed: typed}
		var err error
		switch way {
		case "narrow":
			_, err = i.Narrow(t.Context(), Narrowing{ID: "a_1", By: "bo", Digest: a.Digest.String(), Args: `{}`, Proof: proof})
		case "grant":
			_, err = i.Grant(t.Context(), Granting{ID: "a_1", By: "bo", Digest: a.Digest.String(), For: 3600, Count: 2, Proof: proof})
		case "equal":
			var all []Outcome
			all, err = i.AnswerEqual(t.Context(), Together{By: "bo", Approve: true, Rows: []Row{{"a_1", a.Digest.String(), typed}}, Proof: proof})
			if err == nil && all[0].Said != "" {
				err = errors.New(all[0].Said)
			}
		default:
			_, err = i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: a.Digest.String(), Approve: true, Proof: proof})
		}
		return err
	}
	for n, way := range []string{"answer", "narrow", "grant", "equal"} {
		if err := try(way, wrong(&a, n)); err == nil || !strings.Contains(err.Error(), asking.ErrTyped.Error()) {
			t.Fatalf("%s: %v", way, err)
		}
		if err := try(way, ""); err == nil { // who types nothing does not guess
			t.Fatal("nothing was taken")
		}
		if len(d.recorded) != 2*(n+1) {
			t.Errorf("%s: on the record is %q", way, d.recorded)
		}
	}
	if _, err := i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: "another", Approve: true, Proof: secretly("bo")}); err == nil || !slices.Contains(d.recorded, "approval not answered a_1 by bo") {
		t.Errorf("what was not shown: %v, on the record is %q", err, d.recorded)
	}
	if d.kept[0].State != sallyport.Pending {
		t.Fatalf("refused after %d: %+v", MaxWrong-1, d.kept[0])
	}
	if err := try("answer", wrong(&a, 9)); err == nil || !strings.Contains(err.Error(), "is refused") {
		t.Errorf("%v", err)
	}
	if now := d.kept[0]; now.State != sallyport.Refused || now.By != "bo" || !strings.Contains(now.Reason, "typed wrongly 5 times") {
		t.Errorf("after %d it is %+v", MaxWrong, now)
	}
	if n := len(slices.DeleteFunc(slices.Clone(d.recorded), func(line string) bool { return line != "approval mistyped a_1 by bo" })); n < MaxWrong {
		t.Errorf("on the record is %q", d.recorded)
	}
	d.kept[0].State = sallyport.Pending // as if the log could not be written
	for _, way := range []string{"answer", "narrow", "grant", "equal"} {
		if err := try(way, a.Number()); err == nil {
			t.Errorf("%s: the right number is taken after %d wrong ones", way, MaxWrong)
		}
	}
}

// The right one counts as long as there were few wrong ones.
func TestMistyping(t *testing.T) {
	a := asks("a_1", `{"note":"x"}`)
	i, d := opened(a)
	for n := range MaxWrong - 1 {
		_, _ = i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: a.Digest.String(), Approve: true, Proof: asking.Proof{Secret: "bo's", Typed: wrong(&a, n)}})
	}
	if _, err := i.Answer(t.Context(), Answer{ID: "a_1", By: "bo", Digest: a.Digest.String(), Approve: true, Proof: asking.Proof{Secret: "bo's", Typed: a.Number()}}); err != nil || d.kept[0].State != sallyport.Approved {
		t.Errorf("%v, %+v", err, d.kept[0])
	}
}

// Whoever may not answer neither learns the number by what they are told, nor has
// the question closed for others.
func TestOthersGuessNothing(t *testing.T) {
	a := asks("a_1", `{"note":"x"}`)
	i, d := opened(a)
	for n := range 2 * MaxWrong {
		for _, by := range []string{"dee", "ana"} {
			for _, typed := range []string{wrong(&a, n), a.Number()} {
				_, err := i.Answer(t.Context(), Answer{ID: "a_1", By: by, Digest: a.Digest.String(), Approve: true, Proof: asking.Proof{Secret: by + "'s", Typed: typed}})
				if err == nil || errors.Is(err, asking.ErrTyped) {
					t.Fatalf("%s is told %v", by, err)
				}
				_, err = i.Narrow(t.Context(), Narrowing{ID: "a_1", By: by, Digest: a.Digest.String(), Args: `{}`, Proof: asking.Proof{Secret: by + "'s", Typed: typed}})
				if err == nil || errors.Is(err, asking.ErrTyped) {
					t.Fatalf("%s is told %v", by, err)
				}
			}
		}
	}
	if d.kept[0].State != sallyport.Pending || !slices.Contains(d.recorded, "approval not answered a_1 by dee") {
		t.Errorf("%+v %q", d.kept[0], d.recorded[:2])
	}
}

// Of many at once no more are looked at than of as many in a row.
func TestGuessingAtOnce(t *testing.T) {
	var g Guesses
	a := asks("a_1", `{"note":"x"}`)
	a.Amount = ""
	var looked atomic.Int32
	var wait sync.WaitGroup
	for n := range 200 {
		wait.Go(func() {
			if times, _ := g.compare(&a, asking.Proof{Typed: wrong(&a, n)}, start); times < MaxWrong {
				looked.Add(1)
			}
		})
	}
	wait.Wait()
	if looked.Load() != MaxWrong-1 {
		t.Errorf("%d were looked at", looked.Load())
	}
	if _, err := g.compare(&a, asking.Proof{Typed: a.Number()}, start); err == nil {
		t.Error("the right one is taken after that")
	}
	other := asks("a_2", `{}`) // and what can't be answered any more is forgotten
	_, _ = g.compare(&other, asking.Proof{Typed: "x"}, start.Add(time.Hour))
	if len(g.wrong) != 1 {
		t.Errorf("%d are remembered", len(g.wrong))
	}
}
