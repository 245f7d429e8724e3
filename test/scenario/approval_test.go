package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

const humanSecret = "correct horse battery"

// act is a step of people, or of fate.
func (g *gateway) act(t *testing.T, act string) {
	t.Helper()
	verb, reason, _ := strings.Cut(act, " ")
	if verb == "kill" {
		g.kill(t)
		return
	}
	secret := filepath.Join(g.dir, "secret")
	if _, err := os.Stat(secret); err != nil {
		if err := os.WriteFile(secret, []byte(humanSecret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := g.sallyport("enroll", "--secret-file", secret); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"approvals", verb, g.question(t), "--secret-file", secret}
	if reason != "" {
		args = append(args, "--reason", reason)
	}
	if _, err := g.sallyport(args...); err != nil {
		t.Fatal(err)
	}
}

// question is the one that was put last and waits.
func (g *gateway) question(t *testing.T) string {
	t.Helper()
	out, err := g.sallyport("approvals", "list", "-o", "json")
	var all []struct{ ID string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("nothing waits: %v %s", err, out)
	}
	return all[len(all)-1].ID
}

// kill ends the gateway as a loss of power would, and starts it again.
func (g *gateway) kill(t *testing.T) {
	t.Helper()
	g.command.Process.Kill()
	g.command.Wait()
	again := launch(t, g.binary, g.dir)
	again.ready(t)
	*g = *again
}

const transfer = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"transfer","arguments":{"to":"friend","amount":5000}}}`

// slow is a server that can stop in the middle of a transfer.
type slow struct {
	*scripted
	transfers atomic.Int32
	stop      atomic.Bool
	reached   chan struct{}
	release   chan struct{}
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.Contains(body, []byte(`"tools/call"`)) {
		s.transfers.Add(1)
		if s.stop.Load() {
			s.reached <- struct{}{}
			<-s.release
		}
	}
	s.scripted.ServeHTTP(w, r)
}

// held starts a gateway before such a server, with the files of a scenario.
func held(t *testing.T) (*gateway, *slow) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.Command("go", "build", "-o", binary, "sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	archive, err := txtar.ParseFile("testdata/hold.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"sallyport.yaml": defaultConfig}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	server := &slow{scripted: newScripted(t, files["server.json"]), reached: make(chan struct{}), release: make(chan struct{})}
	upstream := httptest.NewServer(server)
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "policy"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sallyport.yaml", "policy/pay.cedar"} {
		text := strings.ReplaceAll(files[name], "$SERVER", upstream.URL+"/mcp")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := launch(t, binary, dir)
	g.ready(t)
	return g, server
}

// Killed after the approval was spent and before the act has an outcome: the
// intent is there, its outcome is unknown, and the same call asks again.
func TestKilledBetweenSpendAndOutcome(t *testing.T) {
	g, server := held(t)
	g.post(t, "/mcp/pay", nil, transfer)
	g.act(t, "approve")
	server.stop.Store(true)
	ended := make(chan struct{})
	request, err := http.NewRequest(http.MethodPost, "http://"+g.address+"/mcp/pay", strings.NewReader(transfer))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Session-Id": g.session, "Mcp-Protocol-Version": "2025-11-25"} {
		request.Header.Set(name, value)
	}
	go func() {
		defer close(ended)
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	select {
	case <-server.reached:
	case <-time.After(20 * time.Second):
		t.Fatal("the approved call did not reach the server")
	}
	g.command.Process.Kill()
	<-ended
	server.stop.Store(false)
	close(server.release)
	g.kill(t)
	_, answer, _ := g.post(t, "/mcp/pay", nil, transfer)
	if !strings.Contains(answer, "pending_approval") || server.transfers.Load() != 1 {
		t.Errorf("spent again: %d transfers, %s", server.transfers.Load(), answer)
	}
	equalLines(t, "the log says", g.entries(t), `hold pay/tool:transfer hold hold
intent pay/tool:transfer allow
outcome unknown
hold pay/tool:transfer hold hold`)
	if _, err := g.sallyport("log", "verify"); err != nil {
		t.Error(err)
	}
}

// Identical calls that race use one yes once, counted where the money moves.
func TestIdenticalCallsRace(t *testing.T) {
	g, server := held(t)
	var wait sync.WaitGroup
	race := func() (pending int) {
		var mu sync.Mutex
		for id := range 200 {
			wait.Go(func() {
				_, answer, _ := g.post(t, "/mcp/pay", nil, strings.Replace(transfer, `"id":1`, fmt.Sprintf(`"id":%d`, id), 1))
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(answer, "pending_approval") {
					pending++
				}
			})
		}
		wait.Wait()
		return pending
	}
	if pending := race(); pending != 200 || server.transfers.Load() != 0 {
		t.Fatalf("%d wait, %d transfers", pending, server.transfers.Load())
	}
	for n := int32(1); n <= 3; n++ {
		g.act(t, "approve")
		if pending := race(); pending != 199 || server.transfers.Load() != n {
			t.Errorf("%d wait, %d transfers after %d approvals", pending, server.transfers.Load(), n)
		}
	}
}
