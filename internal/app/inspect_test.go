package app

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/store"
)

// A credential that somebody has written into a ticket reaches neither the agent
// nor the log, and what was found stays with the run over a restart. With
// scanners off nothing is found.
func TestResultsAreInspected(t *testing.T) {
	const key = "AKIAQ3EGJXM7TN5RWL2C"
	for _, inspected := range []bool{true, false} {
		dir, file := starterFiles(t)
		edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`,
			"@id(\"after-keys\") forbid (principal, action == Action::\"desk/tool:update_ticket\", resource) when { context.run.found.contains(\"secret/aws-key\") };\n@id(\"support-reads\")")
		if !inspected {
			edit(t, file, "listen:", "inspect: off\nlisten:")
		}
		a := started(t, dir, file)
		token := supportToken(t, a)
		call := func(tool, args string) (string, bool) {
			t.Helper()
			return callTool(t, a, token, tool, args)
		}
		if got, refused := call("desk__add_note", `{"id":"tic_2207","text":"the customer's key is `+key+`"}`); refused {
			t.Fatal(got)
		}
		if got, _ := call("desk__get_ticket", `{"id":"tic_2207"}`); strings.Contains(got, key) == inspected || strings.Contains(got, "[aws-key]") != inspected {
			t.Errorf("inspected %v: the agent gets %s", inspected, got)
		}
		stop(t, a)
		a = started(t, dir, file)
		if got, refused := call("desk__update_ticket", `{"id":"tic_2207","status":"closed"}`); refused != inspected {
			t.Errorf("inspected %v, after a restart: %s", inspected, got)
		}
		found, err := a.store.Query(t.Context(), store.Filter{Agent: "support-bot", Name: "get_ticket", Limit: 1})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		shown, err := a.store.Show(t.Context(), found[0].Entry.Call)
		if err != nil || len(shown) != 2 {
			t.Fatal(shown, err)
		}
		if outcome := shown[1]; strings.Contains(string(outcome.Result.Text), key) == inspected || slices.ContainsFunc(outcome.Entry.Findings, func(line string) bool { return strings.HasPrefix(line, "secret/aws-key at ") }) != inspected || (outcome.Entry.Modified != nil) != inspected {
			t.Errorf("inspected %v: on the record %+v %s", inspected, outcome.Entry, outcome.Result.Text)
		}
		why, err := a.Why(t.Context(), found[0].Entry.Call)
		if err != nil || (len(why.Found) > 0) != inspected || (len(why.Modified) > 0) != inspected {
			t.Errorf("inspected %v: why %+v, %v", inspected, why, err)
		}
		report := a.Doctor(t.Context())
		said := slices.ContainsFunc(report.Checks, func(c control.Check) bool { return strings.Contains(c.What, "inspect: off") })
		if said == inspected {
			t.Errorf("inspected %v: doctor says %+v", inspected, report.Checks)
		}
	}
}
