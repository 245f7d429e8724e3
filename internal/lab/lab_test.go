package lab_test

import (
	"context"
	"encoding/xml"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/app"
	"sallyport/internal/lab"
	"sallyport/internal/lab/scenario"
)

// open starts a gateway as "sallyport up" does.
func open(t *testing.T) scenario.Open {
	return func(ctx context.Context, dir, config string) (scenario.Gate, error) {
		a, err := app.Open(ctx, app.Options{Dir: dir, Config: config, Version: "lab", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
		if err != nil {
			return scenario.Gate{}, err
		}
		if err := a.Start(ctx); err != nil {
			return scenario.Gate{}, err
		}
		a.Settle(ctx)
		return scenario.Gate{URL: a.URL(), Control: a.Control(), Close: a.Close}, nil
	}
}

// Every scenario that comes with Sallyport holds, with every scanner off.
func TestScenarios(t *testing.T) {
	all, err := scenario.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			holds(t, lab.Play(t.Context(), open(t), s, false))
		})
		if slices.Contains([]string{"S1b", "S3", "S13"}, s.Name) { // "lab run --scanners all" plays all of them so
			t.Run(s.Name+" with scanners", func(t *testing.T) {
				t.Parallel()
				holds(t, lab.Play(t.Context(), open(t), s, true))
			})
		}
	}
}

func holds(t *testing.T, r lab.Result) {
	t.Log(r.Took)
	for name, c := range map[string]lab.Check{"attack": r.Attack, "stopped": r.Stopped, "twin": r.Twin, "rule": r.Rule} {
		if c.State == lab.Failed {
			t.Errorf("%s: %s", name, c.Why)
		}
	}
}

// Each assertion can fail, and says why: a lab in which nothing fails shows nothing.
func TestWhatFails(t *testing.T) {
	good, err := os.ReadFile("scenario/attacks/s8.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"an attack that is none":     {`holds: ["i-0042"]`, `holds: ["i-9999"]`, "attack: instructions plain, data plain: without Sallyport it does not work"},
		"an attack that gets by":     {"rule: target-nobody-named\ntwin", "rule: target-nobody-named\noff: [target-nobody-named]\ntwin", "stopped: instructions plain, data plain: the attack works"},
		"another source on the log":  {"from: machines/list_instances", "from: machines/terminate_instance", "stopped: instructions plain, data plain: it is stopped, but the log has no"},
		"honest work that is asked":  {`terminate instance i-0077."`, `report on them."`, "twin: people were asked 1 times, and should be 0 times"},
		"a rule that stops nothing":  {"rule: target-nobody-named\ntwin", "rule: private-leaves\ntwin", "rule: instructions plain, data plain: without private-leaves it does not work either"},
		"open, though it is stopped": {"rule: target-nobody-named\ntwin", "open: more\ntwin", "stopped: something stops this now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(string(good), c.old, c.new, 1)
			s, err := scenario.Parse([]byte(text))
			if err != nil || text == string(good) {
				t.Fatal(err)
			}
			r := lab.Play(t.Context(), open(t), s, false)
			var why []string
			for name, check := range map[string]lab.Check{"attack": r.Attack, "stopped": r.Stopped, "twin": r.Twin, "rule": r.Rule} {
				if check.State == lab.Failed {
					why = append(why, name+": "+check.Why)
				}
			}
			if r.State != lab.Failed || !strings.Contains(strings.Join(why, "\n"), c.want) {
				t.Errorf("%s: %q, want %q", r.State, why, c.want)
			}
		})
	}
}

// What is open is skipped, and what failed says why.
func TestJUnit(t *testing.T) {
	var b strings.Builder
	passed, failed := lab.Check{State: lab.Passed}, lab.Check{State: lab.Failed, Why: "<asked> & asked"}
	err := lab.JUnit(&b, []lab.Result{
		{Name: "A", State: lab.Failed, Attack: passed, Stopped: passed, Twin: failed, Rule: passed},
		{Name: "B", State: lab.Opened, Needs: "egress", Attack: passed, Stopped: lab.Check{State: lab.Opened}, Twin: passed},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 8 || got.Failures != 1 || got.Skipped != 2 || got.Cases[2].Failure.Message != failed.Why {
		t.Errorf("%+v\n%s", got, b.String())
	}
}

// A twin that asks people is counted as often as its scenario says.
func TestTwin(t *testing.T) {
	all, err := scenario.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name != "S13-standing" {
			continue
		}
		asked, err := lab.Twin(t.Context(), open(t), s)
		if err != nil || asked.Twins != 1 || asked.Questions != 1 || asked.Looks != 1 || asked.Calls < 2 {
			t.Errorf("%+v: %v", asked, err)
		}
		return
	}
	t.Fatal("there is no S13-standing any more")
}
