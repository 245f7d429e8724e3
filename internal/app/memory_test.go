package app

import (
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/control"
)

// A run that has read what others can write is a run that has, whatever
// connection it comes by, also after a restart, and also when the rules that
// ask about it came in force later.
func TestWhatARunHasReadStaysWithIt(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	token := supportToken(t, a)
	call := func(tool, args string) string {
		t.Helper()
		text, refused := callTool(t, a, token, tool, args)
		if refused {
			return "refused: " + text
		}
		return text
	}
	const rule = "@id(\"after-reading\") forbid (principal, action == Action::\"desk/tool:add_note\", resource) when { context.run.sawUntrusted };\n"
	note := `{"id":"tic_2207","text":"seen"}`
	if got := call("desk__add_note", note); strings.HasPrefix(got, "refused") {
		t.Fatal(got)
	}
	call("desk__get_ticket", `{"id":"tic_2207"}`)
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`, rule+`@id("support-reads")`)
	a.Reload(t.Context())
	if got := call("desk__add_note", note); !strings.Contains(got, "after-reading") {
		t.Errorf("the run had read a ticket before the rule was there: %s", got)
	}
	stop(t, a)
	a = started(t, dir, file)
	if got := call("desk__add_note", note); !strings.Contains(got, "after-reading") {
		t.Errorf("a restart washed it: %s", got)
	}
	// Only the human's word ends a standing run, and the next one is clean.
	enroll(t, a)
	for _, run := range a.Runs() {
		if run.Agent != "support-bot" {
			continue
		}
		if _, err := a.EndRun(t.Context(), run.Run, control.RunEnd{Secret: secret}); err != nil {
			t.Fatal(err)
		}
	}
	if got := call("desk__add_note", note); strings.HasPrefix(got, "refused") {
		t.Errorf("a fresh run: %s", got)
	}
}

// What lists say is on no record of its own, and yet no restart washes it off.
func TestWhatAListSaidStaysWithTheRun(t *testing.T) {
	for _, listed := range []bool{false, true} {
		dir, file := starterFiles(t)
		edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
			"@id(\"after-reading\") forbid (principal, action == Action::\"desk/tool:add_note\", resource) when { context.run.sawUntrusted };\n@id(\"support-reads\")")
		a := started(t, dir, file)
		token := supportToken(t, a)
		if listed {
			session, err := connect(t, a.URL(), token)
			if err != nil {
				t.Fatal(err)
			}
			if list, err := session.ListResources(t.Context(), nil); err != nil || len(list.Resources) == 0 {
				t.Fatalf("%+v, %v", list, err)
			}
			session.Close()
		}
		stop(t, a)
		a = started(t, dir, file)
		if got, refused := callTool(t, a, token, "desk__add_note", `{"id":"tic_2207","text":"seen"}`); refused != listed {
			t.Errorf("listed: %v, refused: %v, %s", listed, refused, got)
		}
	}
}
