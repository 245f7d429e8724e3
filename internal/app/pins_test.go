package app

import (
	"path/filepath"
	"testing"

	"sallyport"
	"sallyport/internal/control"
)

// acceptPending accepts the files as a human does.
func acceptPending(t *testing.T, a *App) {
	t.Helper()
	a.Reload(t.Context())
	p := a.PolicyStatus().Pending
	if p == nil {
		t.Fatalf("nothing waits: %+v", a.PolicyStatus())
	}
	if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: secret, Digest: p.Digest}); err != nil {
		t.Fatal(err)
	}
}

// usable are how many items of a server are pinned.
func usable(a *App, server string) (n int) {
	for _, s := range a.Servers() {
		if s.Name == server {
			n = s.Pinned
		}
	}
	return n
}

// Another program under the same name says the same words, or nothing at all:
// it must not be called under what was accepted of the one before.
func TestAnotherProgramHasNoPins(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	enroll(t, a)
	edit(t, file, "builtin: desk", "command: "+demoServer(t)+"\n    args: [desk]")
	acceptPending(t, a)
	settle(t, a, "desk")
	if n := usable(a, "desk"); n != 0 || a.pins.Tool("desk", "list_tickets") != nil {
		t.Errorf("%d items of a program that nobody has looked at can be used", n)
	}
	if got := changes(t, a, "quarantine desk"); len(got) != 1 || got[0] != "another program" {
		t.Errorf("on the record: %q", got)
	}
	token, err := a.FirstTokens(t.Context(), "support-bot")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []sallyport.Kind{sallyport.KindTool, sallyport.KindResource, sallyport.KindSubscribe} {
		call := &sallyport.Call{Kind: kind, Server: "desk", Name: "list_tickets", Args: sallyport.MustParse(`{"uri":"x"}`)}
		_, err := a.gateway.Open(t.Context(), sallyport.Credential{Token: token[0].Token}, call)
		if refused, ok := err.(*sallyport.RefusedError); !ok || refused.Cause != sallyport.CausePin {
			t.Errorf("%s: %v", kind, err)
		}
	}
	stop(t, a)
	a = started(t, dir, file)
	settle(t, a, "desk")
	if n := usable(a, "desk"); n != 0 {
		t.Fatalf("a restart makes %d items usable", n)
	}
	shown, err := a.Changes("desk")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AcceptChanges(t.Context(), "desk", control.Accept{Secret: secret, Digest: shown.Digest}); err != nil {
		t.Fatal(err)
	}
	if a.pins.Tool("desk", "list_tickets") == nil {
		t.Error("accepted, and still not usable")
	}
	stop(t, a)
	a = started(t, dir, file)
	if usable(a, "desk") == 0 {
		t.Error("the same program has lost its pins over a restart")
	}
}

// What is accepted of one command line is not accepted of the next.
func TestAnotherCommandHasNoPins(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "policy: [policy]", "policy: [policy]\npin: trust-first-use")
	options := Options{Dir: filepath.Join(dir, "state"), Config: file, Command: []string{demoServer(t), "desk"}}
	for range 2 {
		a := startedWith(t, options)
		settle(t, a, CommandServer)
		if usable(a, CommandServer) == 0 {
			t.Fatal("the first command is not usable")
		}
		stop(t, a)
	}
	options.Command = []string{"env", demoServer(t), "desk"}
	a := startedWith(t, options)
	settle(t, a, CommandServer)
	if n := usable(a, CommandServer); n != 0 {
		t.Errorf("%d items of another command can be used", n)
	}
}
