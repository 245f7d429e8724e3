package app

import (
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/store"
)

// The starter policies over the demo: once a customer's text was read, nothing
// goes to whom it names unasked, and the record names source and sink.
func TestStarterFlow(t *testing.T) {
	dir, file := starterFiles(t)
	a := started(t, dir, file)
	token := supportToken(t, a)
	call := func(tool, args string) string {
		t.Helper()
		text, _ := callTool(t, a, token, tool, args)
		return text
	}
	const mail = `{"tenant":"acme","to":[{"email":"mads.kjaer@inbox.example"}],"subject":"Your order","body":"Done."}`
	if got := call("desk__send_email", mail); !strings.Contains(got, `"mail_1"`) {
		t.Errorf("before anything was read: %s", got)
	}
	call("desk__get_ticket", `{"id":"tic_2207"}`)
	if got := call("desk__send_email", mail); !strings.Contains(got, "Nothing has been done yet") || !strings.Contains(got, "recipient-nobody-named") {
		t.Errorf("to an address out of a ticket: %s", got)
	}
	found, err := a.store.Query(t.Context(), store.Filter{Agent: "support-bot", Name: "send_email", Limit: 1})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if got := strings.Join(found[0].Entry.Origins, "\n"); !strings.Contains(got, "to[0].email: untrusted, not linked to the task; desk/get_ticket c_") || !strings.Contains(got, "field reporter.email bytes 0-24") {
		t.Errorf("on the record: %s", got)
	}
	if got := call("desk__add_note", `{"id":"tic_2207","text":"asked"}`); strings.Contains(got, "Nothing has been done") {
		t.Errorf("a note goes to nobody: %s", got)
	}
	// Decided again by what its entries keep, nothing changes.
	replayed, err := a.Replay(t.Context(), control.Replay{})
	if err != nil || replayed.Calls < 4 || replayed.Skipped+replayed.Unlabelled+len(replayed.Changed) > 0 {
		t.Errorf("%+v %v", replayed, err)
	}
}
