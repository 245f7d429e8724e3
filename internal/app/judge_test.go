package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/store"
)

// Judges of the configuration hold what the task does not need, whatever an
// agent was made to believe; when they don't answer, they hold, too.
func TestJudgesHold(t *testing.T) {
	var down atomic.Bool
	var asked atomic.Pointer[string]
	models := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer := `{"needed":true}`
		switch {
		case strings.Contains(text, `"scope"`):
			answer = `{"tools":["desk/send_email","desk/get_ticket"]}`
		case strings.Contains(text, "Extra"):
			answer = `{"needed":false}`
			fallthrough
		default:
			asked.Store(&text)
		}
		fmt.Fprintf(w, `{"choices":[{"message":{"content":%s},"finish_reason":"stop"}]}`, sallyport.AppendString(nil, answer))
	}))
	defer models.Close()
	dir, file := starterFiles(t)
	edit(t, file, "listen:", fmt.Sprintf("judge:\n  scope: {url: %q, model: scope}\n  calls: {url: %q, model: calls}\nlisten:", models.URL+"/v1", models.URL+"/v1"))
	edit(t, filepath.Join(dir, "policy/support.cedar"), `@id("support-reads")`, `@id("unneeded") @ask("support-leads")
forbid (principal, action, resource) when { context.findings.contains("checker") };
@id("outside") @ask("support-leads")
forbid (principal, action, resource) when { context.run.outside };
@id("support-reads")`)
	a := started(t, dir, file)
	enroll(t, a)
	begun, err := a.BeginRun(t.Context(), control.NewRun{Secret: secret, Agent: "support-bot", Task: "answer ticket tic_2207 by email to mads.kjaer@inbox.example, and note that on the ticket"})
	if err != nil {
		t.Fatal(err)
	}
	call := func(tool, args string) string {
		t.Helper()
		text, _ := callTool(t, a, begun.Token, tool, args)
		return text
	}
	const mail = `{"tenant":"acme","to":[{"email":"mads.kjaer@inbox.example"}],"subject":"Your ticket","body":%q}`
	const note = `{"id":"tic_2207","text":"answered"}`
	var ticket struct{ Subject string }
	if err := json.Unmarshal([]byte(call("desk__get_ticket", `{"id":"tic_2207"}`)), &ticket); err != nil || ticket.Subject == "" {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, tool, args, want string
		down                   bool
	}{
		{"needed", "desk__send_email", fmt.Sprintf(mail, "Done."), `"mail_1"`, false},
		{"unneeded", "desk__send_email", fmt.Sprintf(mail, "Extra."), "unneeded", false},
		{"no tool of the task's", "desk__add_note", note, "outside", false},
		{"nobody answers", "desk__send_email", fmt.Sprintf(mail, "Done again."), "unneeded", true},
	} {
		down.Store(test.down)
		if got := call(test.tool, test.args); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", test.name, got)
		}
	}
	if text := *asked.Load(); strings.Contains(text, ticket.Subject) {
		t.Errorf("the checker is told what tools returned: %s", text)
	}
	found, err := a.store.Query(t.Context(), store.Filter{Agent: "support-bot", Name: "send_email", Limit: 1})
	if err != nil || len(found) != 1 || !slices.Contains(found[0].Entry.Findings, "checker/failed") {
		t.Errorf("on the record: %+v, %v", found, err)
	}
	if !slices.ContainsFunc(a.Doctor(t.Context()).Checks, func(c control.Check) bool {
		return strings.Contains(c.What, "is told tasks, and the arguments of calls")
	}) {
		t.Error("doctor does not say who is told what")
	}
}
