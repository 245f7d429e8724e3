package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/test/rig"
)

// A form that the operator lets count is filled in by the agent's user in a real
// client of each era, and what they say is their own answer on the record. What
// asks another group as well is not asked in a form.
func TestHeldFormsOfRealClients(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	cmd, err := rig.Node(context.Background(), "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio")
	fetched(t, err)
	heard := filepath.Join(dir, "heard")
	gate, err := rig.StartGate(t.Context(), binary, dir, map[string]rig.Server{"everything": {Command: overheard(heard, cmd.Args)}},
		strings.Replace(asksPeople, `@ask("people")`, `@ask("self")`, 1)+`
@id("two") @ask("people")
forbid (principal, action == Action::"everything/tool:echo", resource)
when { context.input.message like "held-two-*" };`)
	if err != nil {
		t.Fatal(err)
	}
	gate.Stop()
	config := filepath.Join(dir, "sallyport.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "groups: [people]", "groups: [people, self]", 1) + "approvals: {form: [self]}\n"
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if gate, err = rig.Up(t.Context(), binary, dir, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Stop)
	state := filepath.Join(dir, "state")
	if _, err := rig.Mint(t.Context(), binary, state, "human"); err != nil {
		t.Fatal(err)
	}
	operator := person{binary, state, filepath.Join(state, "human.secret")}
	hers := filepath.Join(dir, "ana.secret")
	if err := os.WriteFile(hers, []byte("what ana alone knows of this"), 0o600); err != nil {
		t.Fatal(err)
	}
	operator.verb(t, "enroll", "--as", "ana", "--secret-file", hers, "--current-secret-file", operator.secret)

	for _, c := range []struct {
		name, era, fill, message string
		form, ran                bool
	}{
		{"agreed", "", "yes", "held-form", true, true},
		{"agreed to, stateless", "modern", "yes", "held-form-modern", true, true},
		{"refused", "", "no", "held-no", true, false},
		{"refused, stateless", "modern", "no", "held-no-modern", true, false},
		{"of two groups", "", "yes", "held-two-groups", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := client{"form", "client", c.era, false, []string{"--fill", c.fill}}
			_, answers := who.run(t, target{URL: "http://" + gate.Agent + "/mcp"}, call{"everything__echo", map[string]any{"message": c.message}})
			if asked := len(answers[0].Opened) == 1 && strings.Contains(answers[0].Opened[0], c.message); asked != c.form {
				t.Errorf("shown %q", answers[0].Opened)
			}
			text, err := os.ReadFile(heard)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if c.ran {
				want = 1
			}
			if n := strings.Count(string(text), `"`+c.message+`"`); answers[0].OK != c.ran && c.form || n != want {
				t.Errorf("%+v, and the server heard it %d times", answers[0], n)
			}
		})
	}
	log := string(operator.verb(t, "log", "query", "--type", "change", "-o", "json"))
	yes, no := strings.Count(log, `"reason":"for self by form"`), strings.Count(log, `"reason":"declined in the agent's client"`)
	if yes != 2 || no != 2 {
		t.Errorf("%d yeses and %d noes by form are on the record, not 2 and 2:\n%s", yes, no, log)
	}
}
