package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the command line says for one start must not hide what the files say
// for all.
func TestObserveOnTheCommandLineHidesNothing(t *testing.T) {
	dir, file := starterFiles(t)
	state := filepath.Join(dir, "state")
	stop(t, started(t, dir, file))
	a := startedWith(t, Options{Dir: state, Config: file, Observe: true})
	if !a.observe.Load() {
		t.Error("--observe is not heeded")
	}
	edit(t, file, "policy: [policy]", "policy: [policy]\nmode: observe")
	a.Reload(t.Context())
	if a.PolicyStatus().Pending == nil {
		t.Error("mode: observe did not wait for a human")
	}
	stop(t, a)
	if started(t, dir, file).observe.Load() {
		t.Error("observe mode is in force, and nobody's credential was asked")
	}
}

func TestCommandOnTheCommandLineHidesNoServer(t *testing.T) {
	dir, file := starterFiles(t)
	stop(t, started(t, dir, file))
	a := startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: file, Command: []string{demoServer(t), "desk"}})
	settle(t, a, CommandServer)
	edit(t, file, "servers:\n", "servers:\n  local: {command: /nonexistent/another}\n")
	a.Reload(t.Context())
	if a.PolicyStatus().Pending == nil {
		t.Error("a new server did not wait for a human")
	}
	if s := a.config().Servers[CommandServer]; s.Command != demoServer(t) {
		t.Errorf("%s is started in place of what the command line says", s.Command)
	}
	stop(t, a)
	if s, there := started(t, dir, file).config().Servers[CommandServer]; there {
		t.Errorf("started without anybody's credential: %s", s.Command)
	}
}

// The permit that comes with the command line's server is not one of the
// files: a file with the same permit is looser.
func TestCommandOnTheCommandLinePermitsNothingForFiles(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "servers:\n", "servers:\n  local: {command: "+demoServer(t)+", args: [desk]}\n")
	edit(t, file, "policy: [policy]", "policy: [policy]\npin: trust-first-use")
	a := started(t, dir, file)
	settle(t, a, CommandServer)
	stop(t, a)
	a = startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: file, Command: []string{demoServer(t), "desk"}})
	settle(t, a, CommandServer)
	if err := os.WriteFile(filepath.Join(dir, "policy/more.cedar"),
		[]byte(strings.Replace(commandPolicy, "local-reads", "more", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Reload(t.Context())
	if status := a.PolicyStatus(); status.Pending == nil {
		t.Errorf("a new permit did not wait for a human: %+v", status)
	}
}

// Rules about servers that nobody has looked at are in no set of rules that
// could be compared, and come to be in force once somebody has.
func TestChangedRulesAboutUnseenServersWait(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "servers:\n", "servers:\n  late: {command: /nonexistent/server}\n")
	late := filepath.Join(dir, "policy/late.cedar")
	if err := os.WriteFile(late, []byte(`forbid (principal, action, resource == Server::"late");`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := started(t, dir, file)
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
		"@id(\"no-notes\") forbid (principal, action == Action::\"desk/tool:add_note\", resource);\n@id(\"support-reads\")")
	a.Reload(t.Context())
	if p := a.PolicyStatus().Pending; p != nil {
		t.Errorf("a tighter rule about another server waits: %q", p.Reasons)
	}
	edit(t, late, "forbid", "permit")
	a.Reload(t.Context())
	if a.PolicyStatus().Pending == nil {
		t.Error("forbid became permit, and nobody's credential was asked")
	}
	for _, f := range a.inForce().Files {
		if strings.HasSuffix(f.Name, "late.cedar") && strings.HasPrefix(string(f.Text), "permit") {
			t.Errorf("in force: %s", f.Text)
		}
	}
}
