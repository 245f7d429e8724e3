// Package crash kills the gateway at random moments under load and asks what
// is left: every effect that a server saw has a durable intent, no intent is
// without an outcome after the restart, and the log verifies.
package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kills is how many times the gateway dies: 200 in a normal run, or what
// SALLYPORT_CRASH_KILLS says.
func kills(t *testing.T) int {
	text := os.Getenv("SALLYPORT_CRASH_KILLS")
	if text == "" {
		if testing.Short() {
			return 20
		}
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SALLYPORT_CRASH_KILLS: %v", err)
	}
	return n
}

func TestKilledUnderLoad(t *testing.T) {
	binary := build(t)
	effects := &effects{seen: map[string]bool{}}
	server := httptest.NewServer(effects)
	defer server.Close()
	dir := t.TempDir()
	configure(t, dir, server.URL)

	g := launch(t, binary, dir)
	(&caller{t: t, address: g.address}).waitForTool() // so that the server is pinned
	g.command.Process.Kill()
	g.command.Wait()

	n := kills(t)
	for kill := range n {
		g := launch(t, binary, dir)
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for client := range 8 {
			wait.Go(func() { load(g.address, fmt.Sprintf("%08x%08x", kill, client), stop) })
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		if err := g.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		g.command.Wait()
		close(stop)
		wait.Wait()
		if kill%50 == 49 {
			t.Logf("%d of %d kills, %d effects seen", kill+1, n, effects.count())
		}
	}

	g = launch(t, binary, dir)
	verified := sallyport(t, binary, dir, "log", "verify")
	entries := query(t, binary, dir)
	g.command.Process.Signal(os.Interrupt)
	g.command.Wait()

	intents, outcomes := map[string]string{}, map[string]string{}
	for _, e := range entries {
		switch e.Type {
		case "intent":
			intents[e.Trace] = e.Call
		case "outcome":
			outcomes[e.Call] = e.Outcome
		}
	}
	if effects.count() < n {
		t.Fatalf("only %d effects in %d runs: the load never got through, nothing is shown\n%s", effects.count(), n, verified)
	}
	lost, open, unknown := 0, 0, 0
	for trace := range effects.all() {
		call, recorded := intents[trace]
		if !recorded {
			lost++
			continue
		}
		switch outcomes[call] {
		case "":
			open++
		case "unknown":
			unknown++
		}
	}
	t.Logf("%d kills, %d effects, %d intents, %d outcomes unknown", n, effects.count(), len(intents), unknown)
	if lost > 0 {
		t.Errorf("%d effects without a durable intent", lost)
	}
	if open > 0 {
		t.Errorf("%d intents have no outcome, not even unknown", open)
	}
}

// effects is an MCP server that remembers every call that reached it, by the
// trace id that the client gave it.
type effects struct {
	mu   sync.Mutex
	seen map[string]bool
}

var traceparent = regexp.MustCompile(`00-[0-9a-f]{32}-[0-9a-f]{16}-01`)

func (e *effects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var message struct {
		ID     json.RawMessage
		Method string
	}
	if r.Method != http.MethodPost || json.Unmarshal(body, &message) != nil {
		http.Error(w, "POST JSON", http.StatusMethodNotAllowed)
		return
	}
	if message.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	result := `{}`
	switch message.Method {
	case "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"effects","version":"1"}}`
	case "tools/list":
		result = `{"tools":[{"name":"act","inputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}]}`
	case "tools/call":
		e.mu.Lock()
		e.seen[string(traceparent.Find(body))] = true
		e.mu.Unlock()
		result = `{"content":[{"type":"text","text":"done"}]}`
	case "ping":
	default:
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, message.ID)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, message.ID, result)
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

func (e *effects) all() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sallyport")
	command := exec.Command("go", "build", "-o", binary, "sallyport/cmd/sallyport")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func configure(t *testing.T, dir, server string) {
	t.Helper()
	files := map[string]string{
		"policy/all.cedar": `permit(principal, action, resource);`,
		"sallyport.yaml": fmt.Sprintf(`
listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers: {act: {url: %q, effects: {act: write}}}
roles: [tester]
tenants: [acme]
users: {ana: {tenant: acme}}
agents: {tester: {role: tester, for: ana, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: tester}]
`, server),
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type gateway struct {
	command *exec.Cmd
	address string
}

func launch(t *testing.T, binary, dir string) gateway {
	t.Helper()
	addresses := filepath.Join(dir, "addresses.json")
	os.Remove(addresses)
	var output bytes.Buffer
	command := exec.Command(binary, "up", "--config", filepath.Join(dir, "sallyport.yaml"),
		"--dir", filepath.Join(dir, "state"), "--addr-file", addresses)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		if t.Failed() {
			t.Logf("the gateway said:\n%.2000s", output.String())
		}
	})
	for range 400 {
		var at struct {
			Listeners map[string]string `json:"listeners"`
		}
		if text, err := os.ReadFile(addresses); err == nil && json.Unmarshal(text, &at) == nil && at.Listeners["tester"] != "" {
			return gateway{command, at.Listeners["tester"]}
		}
		time.Sleep(25 * time.Millisecond)
	}
	command.Process.Kill()
	command.Wait()
	t.Fatalf("the gateway did not come up within 10 s:\n%s", output.String())
	return gateway{}
}

// load calls as fast as it can until the gateway is gone.
func load(address, prefix string, stop chan struct{}) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	session := ""
	post := func(body string) bool {
		request, _ := http.NewRequest(http.MethodPost, "http://"+address+"/mcp/act", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			request.Header.Set("Mcp-Session-Id", session)
			request.Header.Set("Mcp-Protocol-Version", "2025-11-25")
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		if id := response.Header.Get("Mcp-Session-Id"); id != "" {
			session = id
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err == nil
	}
	if !post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}`) ||
		!post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`) {
		return
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"_meta":{"traceparent":"00-%s%016x-00000000000000ff-01"},"name":"act","arguments":{"n":%d}}}`, i+2, prefix, i, i)
		if !post(body) {
			return
		}
	}
}

type entry struct {
	Type    string `json:"type"`
	Call    string `json:"call"`
	Trace   string `json:"trace"`
	Outcome string `json:"outcome"`
}

func query(t *testing.T, binary, dir string) []entry {
	t.Helper()
	out := sallyport(t, binary, dir, "log", "query", "--limit", "0", "-o", "json")
	var entries []entry
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatalf("log query -o json: %v\n%.500s", err, out)
	}
	return entries
}

func sallyport(t *testing.T, binary, dir string, args ...string) string {
	t.Helper()
	command := exec.Command(binary, append(args, "--dir", filepath.Join(dir, "state"))...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("sallyport %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}
