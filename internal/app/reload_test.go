package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/app/watch"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

const secret = "correct horse battery"

func enroll(t *testing.T, a *App) {
	t.Helper()
	if err := a.Enroll(t.Context(), control.Enrolment{Secret: secret}); err != nil {
		t.Fatal(err)
	}
}

// edit replaces text in a file, as an editor would.
func edit(t *testing.T, name, old, with string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// allowed reports whether policy in force shows a tool to an agent.
func allowed(a *App, tool, agent string) bool {
	for _, x := range a.Tools() {
		if x.Server+"/"+x.Name == tool {
			return strings.Contains(strings.Join(x.Allowed, " ")+" "+strings.Join(x.Asked, " "), agent)
		}
	}
	return false
}

// changes are the subjects and origins of the changes on the record.
func changes(t *testing.T, a *App, subject string) []string {
	t.Helper()
	found, err := a.store.Query(t.Context(), store.Filter{Type: "change", Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := len(found) - 1; i >= 0; i-- {
		all = append(all, found[i].Entry.By)
	}
	return all
}

func TestTighterAppliesAtOnce(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	if !allowed(a, "desk/add_note", "support-bot") {
		t.Fatal("the starter policy does not allow what the test takes away")
	}
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
		"@id(\"no-notes\") forbid (principal, action == Action::\"desk/tool:add_note\", resource);\n@id(\"support-reads\")")
	deadline := time.Now().Add(10 * time.Second)
	for allowed(a, "desk/add_note", "support-bot") { // the watch over the files sees it
		if time.Now().After(deadline) {
			t.Fatal("the tighter policy is not in force")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := changes(t, a, "policy"); strings.Join(got, ", ") != "trust on first use, provably tighter" {
		t.Errorf("on the record: %q", got)
	}
	if p := a.PolicyStatus(); p.Pending != nil || p.Broken != "" {
		t.Errorf("%+v", p)
	}
}

func TestLooserWaitsForAHuman(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	enroll(t, a)
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
		"@id(\"deletes\") permit (principal, action == Action::\"desk/tool:delete_customer\", resource);\n@id(\"support-reads\")")
	a.Reload(t.Context())
	pending := a.PolicyStatus().Pending
	if pending == nil || !strings.Contains(pending.Reasons[0], "deletes") || !strings.Contains(pending.Diff, "+@id(\"deletes\")") {
		t.Fatalf("%+v", pending)
	}
	if allowed(a, "desk/delete_customer", "support-bot") {
		t.Fatal("the looser policy is in force")
	}
	if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: "not the secret", Digest: pending.Digest}); !errors.Is(err, identity.ErrWrongSecret) {
		t.Fatalf("accepted without the secret: %v", err)
	}
	time.Sleep(1100 * time.Millisecond) // the backoff after a wrong guess
	if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: secret, Digest: "sha256:00"}); err == nil {
		t.Fatal("accepted what was not shown")
	}
	if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: secret, Digest: pending.Digest}); err != nil {
		t.Fatal(err)
	}
	if !allowed(a, "desk/delete_customer", "support-bot") {
		t.Error("the accepted policy is not in force")
	}
	if got := changes(t, a, "policy"); strings.Join(got, ", ") != "trust on first use, operator" {
		t.Errorf("on the record: %q", got)
	}
	if got := changes(t, a, "human credential refused"); len(got) != 1 {
		t.Errorf("wrong secrets on the record: %q", got)
	}
	if a.PolicyStatus().Pending != nil {
		t.Error("it still waits")
	}
}

func TestBrokenIsRefused(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	before := a.PolicyStatus().Digest
	policyFile := filepath.Join(dir, "policy/support.cedar")
	edit(t, policyFile, `@id("support-reads")`, "permit (principal, action == Action::\"desk/tool:nonsense\", resource);\n@id(\"support-reads\")")
	a.Reload(t.Context())
	status := a.PolicyStatus()
	if !strings.Contains(status.Broken, "policy/support.cedar:") || !strings.Contains(status.Broken, "nonsense") {
		t.Fatalf("%q does not say where", status.Broken)
	}
	if status.Digest != before || !allowed(a, "desk/add_note", "support-bot") {
		t.Error("the old policy is not in force any more")
	}
	found := false
	for _, check := range a.Doctor(t.Context()).Checks {
		found = found || check.Level == control.Broken && strings.Contains(check.What, "nonsense")
	}
	if !found {
		t.Error("doctor does not say that the files are broken")
	}
	if got := changes(t, a, "policy refused"); len(got) != 1 {
		t.Errorf("on the record: %q", got)
	}
	edit(t, file, "listen:", "lisen:")
	a.Reload(t.Context())
	if broken := a.PolicyStatus().Broken; !strings.Contains(broken, `did you mean "listen"?`) {
		t.Errorf("%q", broken)
	}
	edit(t, file, "lisen:", "listen:")
	edit(t, policyFile, "permit (principal, action == Action::\"desk/tool:nonsense\", resource);\n", "")
	a.Reload(t.Context())
	if broken := a.PolicyStatus().Broken; broken != "" {
		t.Errorf("mended, and still: %s", broken)
	}
}

// Changing the files while no gateway runs must not be a way around.
func TestLoosenedWhileDown(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	enroll(t, a)
	stop(t, a)
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
		"@id(\"all\") permit (principal, action, resource);\n@id(\"support-reads\")")
	edit(t, file, "policy: [policy]", "policy: [policy]\nmode: observe")
	a = started(t, dir, file)
	if a.observe.Load() || allowed(a, "desk/delete_customer", "support-bot") {
		t.Fatal("what was loosened while it was down is in force")
	}
	pending := a.PolicyStatus().Pending
	if pending == nil || len(pending.Reasons) < 2 {
		t.Fatalf("%+v", pending)
	}
	if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: secret, Digest: pending.Digest}); err != nil {
		t.Fatal(err)
	}
	stop(t, a)
	a = started(t, dir, file)
	if !a.observe.Load() || !allowed(a, "desk/delete_customer", "support-bot") {
		t.Error("what was accepted is not in force after a restart")
	}
}

func TestTightenedWhileDown(t *testing.T) {
	dir, file := starterFiles(t)
	stop(t, started(t, dir, file))
	edit(t, file, "  globex-bot: {role: support, for: lena, tenant: globex}\n", "")
	a := started(t, dir, file)
	for _, agent := range a.Agents() {
		if agent.Name == "globex-bot" {
			t.Error("an agent that was removed while the gateway was down is still there")
		}
	}
}

// Nobody is asked when a declaration goes: it must not give an agent the rights
// back that it was added with.
func TestUndeclaringAnAgentGivesNothingBack(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	enroll(t, a)
	if _, err := a.AddAgent(t.Context(), control.NewAgent{Secret: secret, Name: "ci", Role: "support", For: "ana", Lifetime: time.Hour}); err != nil {
		t.Fatal(err)
	}
	edit(t, file, "agents:\n", "agents:\n  ci: {for: ana}\n")
	acceptPending(t, a)
	if who, known := a.identities.Principal("ci"); !known || who.Role != "" {
		t.Fatalf("declared: %+v %v", who, known)
	}
	edit(t, file, "  ci: {for: ana}\n", "")
	for range 2 {
		a.Reload(t.Context())
		if who, known := a.identities.Principal("ci"); known {
			t.Errorf("ci is %+v, and nobody's credential was asked", who)
		}
		stop(t, a)
		a = started(t, dir, file)
	}
}

func TestRemovedAgentIsRefusedAtOnce(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	tokens, err := a.FirstTokens(t.Context(), "globex-bot")
	if err != nil {
		t.Fatal(err)
	}
	session, err := connect(t, a.URL(), tokens[0].Token)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	edit(t, file, "  globex-bot: {role: support, for: lena, tenant: globex}\n", "")
	a.Reload(t.Context())
	if _, err := session.ListTools(t.Context(), nil); err == nil {
		t.Error("an agent that was removed still gets answers")
	}
}

// A server that nobody has accepted must not take the policy for the others
// with it, and none of its rules may count before.
func TestRulesWaitForTheirServer(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "servers:\n", "servers:\n  late: {command: /nonexistent/server}\n")
	if err := os.WriteFile(filepath.Join(dir, "policy/late.cedar"), []byte(
		`@id("late") permit (principal, action == Action::"late/tool:x", resource) when { context.input.y == "z" };`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := started(t, dir, file)
	if !allowed(a, "desk/get_ticket", "support-bot") {
		t.Fatalf("the policy for desk waits for another server: %+v", a.PolicyStatus())
	}
	report, waits := a.Doctor(t.Context()), false
	for _, check := range report.Checks {
		waits = waits || strings.Contains(check.What, "1 rules wait")
	}
	if !waits {
		t.Errorf("doctor does not say that a rule waits: %+v", report.Checks)
	}
}

func TestSecondGatewayIsRefused(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	_, err := Open(t.Context(), a.options)
	if !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second gateway on one directory: %v", err)
	}
}

func TestRevokedAtOnce(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	enroll(t, a)
	if _, err := a.AddAgent(t.Context(), control.NewAgent{Secret: "wrong wrong wrong", Name: "bot", Role: "support", For: "ana", Lifetime: time.Hour}); err == nil {
		t.Fatal("an agent was added without the human's secret")
	}
	time.Sleep(1100 * time.Millisecond) // the backoff after a wrong guess
	for _, wrong := range []control.NewAgent{{Role: "boss", For: "ana"}, {Role: "support", For: "nobody"}, {Role: "support", For: "ana", Tenant: "moon"}} {
		wrong.Secret, wrong.Name, wrong.Lifetime = secret, "bot", time.Hour
		if _, err := a.AddAgent(t.Context(), wrong); err == nil {
			t.Errorf("%+v was added", wrong)
		}
	}
	token, err := a.AddAgent(t.Context(), control.NewAgent{Secret: secret, Name: "bot", Role: "support", For: "ana", Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	session, err := connect(t, a.URL(), token.Token)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeAgent(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	if _, err := session.ListTools(t.Context(), nil); err == nil {
		t.Error("a revoked agent still gets answers")
	}
	if got := changes(t, a, "agent revoked bot"); len(got) != 1 {
		t.Errorf("on the record: %q", got)
	}
}

// A server that was seen and never accepted must not be open after a restart.
func TestUnacceptedStaysUnacceptedOverRestart(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "servers:\n", "servers:\n  other: {command: "+demoServer(t)+", args: [desk]}\n")
	for range 2 {
		a := started(t, dir, file)
		settle(t, a, "other")
		for _, s := range a.Servers() {
			if s.Name == "other" && (s.Pinned != 0 || s.New == 0) {
				t.Errorf("%+v: nobody accepted it", s)
			}
		}
		stop(t, a)
	}
	a := started(t, dir, file)
	enroll(t, a)
	shown, err := a.Changes("other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AcceptChanges(t.Context(), "other", control.Accept{Digest: shown.Digest}); err == nil {
		t.Error("accepted without the human's secret")
	}
	time.Sleep(1100 * time.Millisecond)
	if _, err := a.AcceptChanges(t.Context(), "other", control.Accept{Secret: secret, Digest: "sha256:1"}); err == nil {
		t.Error("accepted what was not shown")
	}
	accepted, err := a.AcceptChanges(t.Context(), "other", control.Accept{Secret: secret, Digest: shown.Digest})
	if err != nil || len(accepted.Items) != len(shown.Changes) {
		t.Fatalf("%v %v", accepted, err)
	}
	stop(t, a)
	a = started(t, dir, file)
	settle(t, a, "other")
	for _, s := range a.Servers() {
		if s.Name == "other" && (s.Pinned == 0 || s.New != 0) {
			t.Errorf("%+v: it was accepted", s)
		}
	}
}

func settle(t *testing.T, a *App, server string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a.Settle(ctx)
	if state, err := a.watch.StateOf(server); state != watch.Ready {
		t.Fatalf("server %s is %s: %v", server, state, err)
	}
}
