package app

import (
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/store"
)

// What a run that has read others' text leaves in a memory taints whoever reads
// it there, in another run, over a restart, and nothing else.
func TestMemoryServer(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "    builtin: desk\n", `    builtin: desk
    memory: true
    results: [{tool: get_ticket, writer: trusted, readers: public}, {tool: update_ticket, writer: trusted, readers: public}]
    arguments: [{tool: get_ticket, argument: id, means: id}, {tool: update_ticket, argument: id, means: id}]
`)
	a := started(t, dir, file)
	enroll(t, a)
	begin := func(task string) (token, run string) {
		t.Helper()
		begun, err := a.BeginRun(t.Context(), control.NewRun{Secret: secret, Agent: "support-bot", Task: task})
		if err != nil {
			t.Fatal(err)
		}
		return begun.Token, begun.Run
	}
	call := func(token, tool, args string) {
		t.Helper()
		if text, refused := callTool(t, a, token, tool, args); refused {
			t.Fatalf("%s %s: %s", tool, args, text)
		}
	}
	// labels are those of a call after reading a ticket in a run of its own.
	labels := func(ticket string) string {
		t.Helper()
		token, run := begin("close ticket tic_2207 and ticket tic_2210")
		call(token, "desk__get_ticket", `{"id":"`+ticket+`"}`)
		call(token, "desk__get_ticket", `{"id":"`+ticket+`"}`)
		found, err := a.store.Query(t.Context(), store.Filter{Run: run, Name: "get_ticket", Limit: 1})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		var words []string
		for _, l := range found[0].Entry.Labels {
			words = append(words, string(l))
		}
		return strings.Join(words, " ")
	}
	if got := labels("tic_2207"); got != "task" {
		t.Errorf("before anybody wrote: %s", got)
	}
	token, _ := begin("close ticket tic_2207")
	call(token, "desk__update_ticket", `{"id":"tic_2207","status":"solved"}`)
	if got := labels("tic_2207"); got != "task" {
		t.Errorf("after a run wrote that had read nothing: %s", got)
	}
	call(token, "desk__list_tickets", `{"tenant":"acme"}`)
	call(token, "desk__update_ticket", `{"id":"tic_2207","status":"solved"}`)
	for _, when := range []string{"at once", "after a restart"} {
		if got := labels("tic_2207"); got != "task sawUntrusted sawPrivate" {
			t.Errorf("%s, after a run wrote that had read others' text: %s", when, got)
		}
		if got := labels("tic_2210"); got != "task" {
			t.Errorf("%s, another item: %s", when, got)
		}
		if when == "at once" {
			stop(t, a)
			a = started(t, dir, file)
		}
	}
}
