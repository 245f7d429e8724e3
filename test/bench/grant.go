package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sallyport/test/rig"
)

// asking are rules that ask people, and look at every call, but don't fire.
var asking = func() (rules string) {
	for i := range 5 {
		rules += fmt.Sprintf("@id(\"ask-text-%d\") @ask(\"people\") forbid(principal in Role::\"tester\", action == Action::\"bench/tool:echo\", resource) when { context.input.text like \"pay %d*\" };\n", i, i)
		rules += fmt.Sprintf("@id(\"ask-size-%d\") @ask(\"people\") forbid(principal in Role::\"tester\", action == Action::\"bench/tool:blob\", resource) when { context.input.kib > %d };\n", i, 1000+i)
	}
	return rules
}()

// granter is the person who grants what a gateway asks about.
type granter struct {
	binary, dir string
	secret      string // a file; "" before the first grant
	asked       int    // questions, each about something else
}

// most is how many calls one grant is for at most.
const most = 1000

// make makes grants for exactly so many calls. All questions are asked first: a
// grant would answer them.
func (g *granter) make(s *rig.Session, l load, calls int) error {
	if g.secret == "" {
		g.secret = filepath.Join(g.dir, "operator.secret")
		if err := os.WriteFile(g.secret, []byte("a secret for this bench alone"), 0o600); err != nil {
			return err
		}
		if _, err := g.run("enroll", "--secret-file", g.secret); err != nil {
			return err
		}
	}
	for range (calls + most - 1) / most {
		g.asked++
		args, err := json.Marshal(map[string]any{"text": fmt.Sprintf("question %d", g.asked)})
		if l.Tool == "blob" {
			args, err = json.Marshal(map[string]any{"kib": g.asked})
		}
		if err != nil {
			return err
		}
		answer, err := s.Post(call(1, l.Tool, string(args)))
		if err != nil || !strings.Contains(string(answer), "pending_approval") {
			return fmt.Errorf("asking a person: %.300s: %w", answer, err)
		}
	}
	listed, err := g.run("approvals", "list", "-o", "json")
	if err != nil {
		return err
	}
	var waiting []struct {
		ID    string   `json:"id"`
		Equal []string `json:"equal"`
	}
	if err := json.Unmarshal(listed, &waiting); err != nil {
		return err
	}
	free := map[string]string{"echo": "text", "blob": "kib"}[l.Tool]
	for _, q := range waiting {
		count := min(calls, most)
		if _, err := g.run("grants", "make", q.ID, "--any", free, "--count", fmt.Sprint(count), "--secret-file", g.secret); err != nil {
			return err
		}
		calls -= count
	}
	if calls != 0 {
		return fmt.Errorf("%d questions wait, too few for %d calls", len(waiting), calls)
	}
	return nil
}

func (g *granter) run(args ...string) ([]byte, error) {
	out, err := exec.Command(g.binary, append(args, "--dir", filepath.Join(g.dir, "state"))...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, failed.Stderr)
	}
	return out, err
}
