package app

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/control"
)

// A run that has read what others can write is a run that has, whatever
// connection it comes by, also after a restart, and also when the rules that
// ask about it came in force later.
func TestWhatARunHasReadStaysWithIt(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	tokens, err := a.FirstTokens(t.Context(), "support-bot")
	if err != nil {
		t.Fatal(err)
	}
	// A session for each call: another connection, another session id.
	call := func(tool, args string) string {
		t.Helper()
		session, err := connect(t, a.URL(), tokens[0].Token)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := result.Content[0].(*mcp.TextContent)
		if result.IsError {
			return "refused: " + text.Text
		}
		return text.Text
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
		tokens, err := a.FirstTokens(t.Context(), "support-bot")
		if err != nil {
			t.Fatal(err)
		}
		within := func(do func(*mcp.ClientSession)) {
			t.Helper()
			session, err := connect(t, a.URL(), tokens[0].Token)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			do(session)
		}
		if listed {
			within(func(s *mcp.ClientSession) {
				if list, err := s.ListResources(t.Context(), nil); err != nil || len(list.Resources) == 0 {
					t.Fatalf("%+v, %v", list, err)
				}
			})
		}
		stop(t, a)
		a = started(t, dir, file)
		within(func(s *mcp.ClientSession) {
			result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "desk__add_note", Arguments: json.RawMessage(`{"id":"tic_2207","text":"seen"}`)})
			if err != nil || result.IsError != listed {
				t.Errorf("listed: %v, refused: %v, %v", listed, result.IsError, err)
			}
		})
	}
}
