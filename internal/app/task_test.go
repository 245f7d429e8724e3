package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/store"
	"sallyport/internal/wire"
)

// jobs is a stateless server whose tool is carried out as a task.
func jobs(t *testing.T) (url string, seen func() string) {
	t.Helper()
	var mu sync.Mutex
	var methods []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		m, err := wire.Parse(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		result := map[string]string{
			"server/discover": `"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"jobs","version":"1"}}`,
			"tools/list":      `"tools":[{"name":"job","inputSchema":{"type":"object","properties":{"size":{"type":"integer"}}}}],"ttlMs":0,"cacheScope":"private"`,
			"tools/call":      `"taskId":"t1","status":"working"`,
			"tasks/get":       `"taskId":"t1","status":"working"`,
			"tasks/update":    `"taskId":"t1"`,
			"tasks/cancel":    `"taskId":"t1"`,
		}[m.Method]
		mu.Lock()
		if strings.HasPrefix(m.Method, "tasks/") {
			methods = append(methods, m.Method)
		}
		mu.Unlock()
		kind := "complete"
		if m.Method == "tools/call" {
			kind = "task"
		}
		w.Header().Set("Content-Type", "application/json")
		if result == "" {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID.Raw())
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"%s",%s}}`, m.ID.Raw(), kind, result)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(methods, " ")
		methods = nil
		return all
	}
}

// workshop is a gateway over jobs, with a task that agent one has opened.
type workshop struct {
	*App
	t                 *testing.T
	dir, file, policy string
	seen              func() string
}

func openWorkshop(t *testing.T) *workshop {
	url, seen := jobs(t)
	dir := t.TempDir()
	w := &workshop{t: t, dir: dir, file: filepath.Join(dir, "sallyport.yaml"), policy: filepath.Join(dir, "policy", "p.cedar"), seen: seen}
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.policy), 0o700),
		os.WriteFile(w.policy, []byte("permit (principal, action, resource);"), 0o600),
		os.WriteFile(w.file, []byte(`listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers: {jobs: {url: "`+url+`", effects: {"*": write}}}
tenants: [acme]
users: {ana: {tenant: acme}, bob: {tenant: acme}}
roles: [tester]
agents: {one: {role: tester, for: ana, tenant: acme}, two: {role: tester, for: bob, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: one}, {address: "127.0.0.1:0", agent: two}]
`), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.App = started(t, dir, w.file)
	if got := w.ask("one", "tools/call", `"name":"job","arguments":{"size":1000}`); !strings.Contains(got, `"taskId":"t1"`) {
		t.Fatalf("no task was opened: %s", got)
	}
	return w
}

func (w *workshop) restart() {
	w.t.Helper()
	stop(w.t, w.App)
	w.App = started(w.t, w.dir, w.file)
}

// ask sends one request of the stateless era.
func (w *workshop) ask(agent, method, params string) string {
	w.t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}},` + params + `}}`
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.Addresses().Listeners[agent]+"/mcp/jobs", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	name := "t1"
	if method == "tools/call" {
		name = "job"
	}
	for key, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name} {
		r.Header.Set(key, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

const (
	task    = `"taskId":"t1"`
	answers = task + `,"inputResponses":{"k":{"action":"accept"}}`
)

// A task is its principal's after a restart, too.
func TestTasksOverARestart(t *testing.T) {
	w := openWorkshop(t)
	w.restart()
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if got := w.ask("two", method, task); !strings.Contains(got, "no open task") {
			t.Errorf("somebody else's %s: %s", method, got)
		}
		if got := w.ask("one", method, task); !strings.Contains(got, `"result"`) {
			t.Errorf("%s: %s", method, got)
		}
	}
	if got := w.seen(); got != "tasks/get tasks/update tasks/cancel" {
		t.Errorf("the server saw %s", got)
	}
	found, err := w.store.Query(t.Context(), store.Filter{Agent: "one"})
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, f := range found {
		if f.Entry.Kind == sallyport.KindTask && f.Entry.Type == sallyport.Intent {
			acts = append(acts, f.Entry.Name)
		}
	}
	if got := strings.Join(acts, ", "); got != "tasks/cancel, tasks/update" {
		t.Errorf("on the record, latest first: %s", got)
	}
	// An act on a task is judged as the call that opened it, and counts as no
	// call of its own when the past is looked at.
	if why, err := w.Why(t.Context(), found[0].Entry.Call); err != nil || !strings.Contains(why.Note, found[0].Entry.Parent) {
		t.Errorf("why: %+v, %v", why, err)
	}
	calls, _, skipped, err := w.past(t.Context(), control.Past{})
	if err != nil || len(calls) != 1 || skipped != 0 {
		t.Errorf("%d calls of the past, %d skipped, %v", len(calls), skipped, err)
	}
}

// After a restart a task is judged by the arguments that opened it, and by the
// policy of now; without them it can't be fed at all. It can be cancelled.
func TestRestoredTasksAreJudged(t *testing.T) {
	for name, change := range map[string]func(*workshop) error{
		"a tighter policy": func(w *workshop) error {
			return os.WriteFile(w.policy, []byte(`permit (principal, action, resource);
forbid (principal, action == Action::"jobs/tool:job", resource) when { context.input has size && context.input.size > 10 };`), 0o600)
		},
		"arguments that are lost": func(w *workshop) error {
			runs, err := w.store.Runs(t.Context(), "", 1)
			if err != nil {
				return err
			}
			for range 100 { // it says "erase again" while somebody reads
				if err = w.store.EraseRun(t.Context(), runs[0].ID); err == nil {
					break
				}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWorkshop(t)
			if err := change(w); err != nil {
				t.Fatal(err)
			}
			w.restart()
			if got := w.ask("one", "tasks/update", answers); strings.Contains(got, `"result"`) {
				t.Errorf("fed: %s", got)
			}
			if got := w.ask("one", "tasks/cancel", task); !strings.Contains(got, `"result"`) || w.seen() != "tasks/cancel" {
				t.Errorf("could not be cancelled: %s", got)
			}
		})
	}
}
