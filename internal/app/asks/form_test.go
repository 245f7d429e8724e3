package asks

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/config"
)

var now = time.Unix(1_800_000_000, 0)

// desk is a question of ana's agent, in which only she is asked.
func desk(change func(*sallyport.Approval, *sallyport.Call)) *sallyport.Approval {
	call := &sallyport.Call{
		Kind: sallyport.KindTool, Server: "desk", Name: "note", Method: "tools/call", Args: sallyport.MustParse(`{"text":"call b\u0430nk"}`),
		Principal: sallyport.Principal{Agent: "bot", User: "ana"},
	}
	a := &sallyport.Approval{
		ID: "a_1", State: sallyport.Pending, Class: sallyport.ClassTap, Server: "desk", Name: "note", Kind: sallyport.KindTool,
		Rules: []sallyport.Rule{{ID: "mine", Ask: []string{"self"}, Because: "Yours to say.", Digest: sallyport.DigestOf([]byte("x"))}},
		Asked: now, Expires: now.Add(time.Hour),
	}
	if change != nil {
		change(a, call)
	}
	a.Principal = call.Principal
	a.Question = sallyport.AppendQuestion(nil, &sallyport.Facts{Call: call}, a.Rules)
	a.Digest = sallyport.DigestOf(a.Question)
	return a
}

// world has one question, and keeps its answer.
type world struct {
	Forms
	answered *sallyport.Approval
	by       string
	shown    string // to whom, and what
}

func newWorld(a *sallyport.Approval) *world {
	w := &world{}
	w.Forms = Forms{
		Groups: func() []string { return []string{"self"} },
		Terms: func() *asking.Terms {
			return &asking.Terms{Groups: map[string][]string{"ana": {"self"}, "bo": {"self", "finance"}}}
		},
		Question: func(_ context.Context, id string) (sallyport.Approval, error) {
			if id != a.ID || a.Question == nil {
				return sallyport.Approval{}, errors.New("no such question")
			}
			return *a, nil
		},
		Answer: func(_ context.Context, answered sallyport.Approval, by string) error {
			w.answered, w.by = &answered, by
			return nil
		},
		Shown: func(_ context.Context, who string, questions ...string) {
			w.shown = who + " " + strings.Join(questions, " ")
		},
	}
	return w
}

// A form shows all that is asked, with what can fool the eye, and what comes of it
// is the user's own answer, as sure as a form is.
func TestForm(t *testing.T) {
	a := desk(nil)
	w := newWorld(a)
	text := w.Text(t.Context(), "a_1")
	for _, part := range []string{"desk / note", "bot wants this", `\u{430}`, "Yours to say.", "a_1", a.Digest.Words()} {
		if !strings.Contains(text, part) {
			t.Errorf("the form does not show %q:\n%s", part, text)
		}
	}
	if w.shown != "ana a_1" { // from now on their time counts
		t.Errorf("shown %q", w.shown)
	}
	if err := w.Confirm(t.Context(), a, true, now); err != nil || w.answered.State != sallyport.Approved || w.by != "ana" ||
		w.answered.Answers[0].By != "ana" || w.answered.Answers[0].Proof != "form" {
		t.Errorf("a yes: %v, %+v by %s", err, w.answered, w.by)
	}
	if err := w.Confirm(t.Context(), a, false, now); err != nil || w.answered.State != sallyport.Refused || w.answered.By != "ana" {
		t.Errorf("a no: %v, %+v", err, w.answered)
	}
}

// What a taken-over client must not be able to answer has no form, and an answer
// to it is none.
func TestNoForm(t *testing.T) {
	for name, change := range map[string]func(*sallyport.Approval, *sallyport.Call){
		"another group":      func(a *sallyport.Approval, _ *sallyport.Call) { a.Rules[0].Ask = []string{"finance"} },
		"another group, too": func(a *sallyport.Approval, _ *sallyport.Call) { a.Rules[0].Ask = []string{"self", "finance"} },
		"nobody":             func(a *sallyport.Approval, _ *sallyport.Call) { a.Rules = nil },
		"a higher class":     func(a *sallyport.Approval, _ *sallyport.Call) { a.Class = sallyport.ClassType },
		"an unknown class":   func(a *sallyport.Approval, _ *sallyport.Call) { a.Class = 0 },
		"an agent of nobody": func(_ *sallyport.Approval, c *sallyport.Call) { c.Principal.User = "" },
		"answered":           func(a *sallyport.Approval, _ *sallyport.Call) { a.State = sallyport.Approved },
		"more than a form shows": func(_ *sallyport.Approval, c *sallyport.Call) {
			c.Args = sallyport.MustParse(`{"text":"` + strings.Repeat("x", longest) + `"}`)
		},
	} {
		a := desk(change)
		w := newWorld(a)
		if text := w.Text(t.Context(), "a_1"); text != "" || w.shown != "" {
			t.Errorf("%s: shown in a form: %s", name, text)
		}
		if name == "more than a form shows" {
			continue // it is not shown, so nobody can answer it
		}
		if err := w.Confirm(t.Context(), a, true, now); err == nil || w.answered != nil {
			t.Errorf("%s: answered in a form", name)
		}
	}
	a := desk(func(_ *sallyport.Approval, c *sallyport.Call) { c.Principal.User = "cy" })
	w := newWorld(a)
	if err := w.Confirm(t.Context(), a, true, now); !errors.Is(err, asking.ErrNotAsked) || w.answered != nil {
		t.Errorf("a user who is not in the group: %v", err)
	}
	a = desk(nil)
	w = newWorld(a)
	other := *a
	other.Digest = sallyport.DigestOf([]byte("other"))
	if err := w.Confirm(t.Context(), &other, true, now); !errors.Is(err, ErrNoForm) || w.answered != nil {
		t.Errorf("another question than was shown: %v", err)
	}
	w.Groups = func() []string { return nil }
	if w.Text(t.Context(), "a_1") != "" || w.Confirm(t.Context(), a, true, now) == nil {
		t.Error("a form counts without the operator's word")
	}
}

func TestSite(t *testing.T) {
	for _, c := range []struct {
		listen string
		config config.Config
		want   string
	}{
		{"127.0.0.1:7723", config.Config{}, "http://127.0.0.1:7723"},
		{"[::]:7723", config.Config{}, "http://localhost:7723"},
		{"0.0.0.0:7723", config.Config{Hosts: []string{"gate.acme.example"}, TLS: &config.TLS{}}, "https://gate.acme.example:7723"},
	} {
		at, err := net.ResolveTCPAddr("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		if got := Site(&c.config, at); got != c.want {
			t.Errorf("%s: %s, want %s", c.listen, got, c.want)
		}
	}
}
