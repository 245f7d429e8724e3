package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

// told is somebody who is told what happens. next is the next message of something.
func told(t *testing.T) (url string, next func(of string) string) {
	messages := make(chan string, 64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		messages <- string(text)
	}))
	t.Cleanup(server.Close)
	return server.URL, func(of string) string {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case m := <-messages:
				if strings.Contains(m, of) {
					return m
				}
			case <-late:
				t.Fatalf("nobody is told of %q", of)
			}
		}
	}
}

// A server that fails is cut off, on the record, for people to see and be told
// of; and so they are told of questions, kills and what changed at a server.
func TestBreakersAndNotifications(t *testing.T) {
	var failing atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		m, err := wire.Parse(text)
		if err != nil || m.Method == "tools/call" && failing.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		result := map[string]string{
			"server/discover": `"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"jobs","version":"1"}}`,
			"tools/list":      `"tools":[{"name":"job","inputSchema":{"type":"object","properties":{"size":{"type":"integer"},"note":{"type":"string"}}}}],"ttlMs":0,"cacheScope":"private"`,
			"tools/call":      `"content":[]`,
		}[m.Method]
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(m.ID.Raw())+`,"result":{"resultType":"complete",`+result+`}}`)
	}))
	t.Cleanup(server.Close)
	hook, next := told(t)
	dir := t.TempDir()
	w := &workshop{t: t, dir: dir, file: filepath.Join(dir, "sallyport.yaml")}
	for name, text := range map[string]string{"p.cedar": `permit (principal, action, resource);
@id("asks") @ask("ops") forbid (principal, action, resource) when { context has input && context.input has size && context.input.size > 5 };`,
		"sallyport.yaml": `listen: 127.0.0.1:0
policy: [p.cedar]
pin: trust-first-use
servers: {jobs: {url: "` + server.URL + `", effects: {"*": write}}}
tenants: [acme]
users: {ana: {tenant: acme}, bob: {tenant: acme, groups: [ops]}}
roles: [tester]
agents: {one: {role: tester, for: ana, tenant: acme}, two: {role: tester, for: bob, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: one}, {address: "127.0.0.1:0", agent: two}]
breakers: [{per: server, on: errors, calls: 4, open: 2s}]
notify: [{name: chat, kind: slack, url: "` + hook + `"}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.App = started(t, dir, w.file)
	if got := w.ask("one", "tools/call", `"name":"job","arguments":{"size":1}`); !strings.Contains(got, `"result"`) {
		t.Fatal(got)
	}

	failing.Store(true)
	for range 3 {
		w.ask("one", "tools/call", `"name":"job","arguments":{"size":1}`)
	}
	if got := w.ask("two", "tools/call", `"name":"job","arguments":{"size":1}`); !strings.Contains(got, "Cut off for now: server jobs, because 3 of its last 4 calls failed") {
		t.Errorf("it goes on: %s", got)
	}
	next("quarantine: “jobs tool:job”")
	if got := next("breaker: “open server jobs on errors”"); !strings.Contains(got, "3 of its last 4 calls failed") || !strings.Contains(got, w.console.Site(w.Addresses().Listen)+"/console") {
		t.Errorf("told: %s", got)
	}
	if got := subjects(t, w.App); !strings.Contains(got, "breaker open server jobs on errors") {
		t.Errorf("on the record: %s", got)
	}
	if all, err := control.Get[[]struct{ State, Name string }](t.Context(), control.Local(w.Control()), "/breakers"); err != nil || len(all) != 1 || all[0].State != "open" || all[0].Name != "jobs" {
		t.Errorf("%+v, %v", all, err)
	}
	report, err := json.Marshal(w.Doctor(t.Context()))
	if err != nil || !strings.Contains(string(report), "cut off (open): server jobs, because 3 of its last 4 calls failed") || !strings.Contains(string(report), "chat is told what happens") {
		t.Errorf("doctor: %s", report)
	}
	failing.Store(false)
	time.Sleep(2100 * time.Millisecond)
	if got := w.ask("two", "tools/call", `"name":"job","arguments":{"size":1}`); !strings.Contains(got, `"result"`) || strings.Contains(got, "Cut off") {
		t.Errorf("the call that tries it: %s", got)
	}
	next("half-open server jobs on errors")
	next("closed server jobs on errors")

	// A question is told once, and without what is in it.
	for range 3 {
		w.ask("one", "tools/call", `"name":"job","arguments":{"size":7,"note":"a-secret-word"}`)
	}
	got := next("An agent waits for people to decide")
	if !strings.Contains(got, "call: “jobs/job”") || !strings.Contains(got, "/console/approvals/a_") || strings.Contains(got, "a-secret-word") {
		t.Errorf("told: %s", got)
	}
	killed(t, w.App, kill.Agent, "one")
	if got := next("Killed by the operator"); !strings.Contains(got, "Killed by the operator") || !strings.Contains(got, "agent one") || !strings.Contains(got, "because") {
		t.Errorf("told: %s", got)
	}
}
