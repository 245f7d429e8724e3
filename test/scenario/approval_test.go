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

// act is a step of people, or of fate: "kill", "tighten", "enroll NAME", "grant
// FLAGS", "revoke", or
// "[NAME:] VERB [TEXT]" about the question that was put last.
func (g *gateway) act(t *testing.T, act string) {
	t.Helper()
	who := ""
	if name, rest, ok := strings.Cut(act, ": "); ok && !strings.Contains(name, " ") {
		who, act = name, rest
	}
	verb, text, _ := strings.Cut(act, " ")
	switch verb {
	case "kill":
		g.kill(t)
		return
	case "tighten":
		g.tighten(t)
		return
	case "grant": // grant FLAGS
		g.run(t, append([]string{"grants", "make", g.question(t), "--secret-file", g.secret(t, ""), "--typed", fmt.Sprintf("%04d", g.number.Load())}, strings.Fields(text)...)...)
		return
	case "revoke":
		g.revoke(t)
		return
	case "enroll":
		g.run(t, "enroll", "--as", text, "--secret-file", g.secret(t, text), "--current-secret-file", g.secret(t, ""))
		return
	}
	args := []string{"approvals", verb, g.question(t), "--secret-file", g.secret(t, who)}
	if who != "" {
		args = append(args, "--as", who)
	}
	switch verb {
	case "approve":
		args = append(args, "--typed", fmt.Sprintf("%04d", g.number.Load()))
	case "narrow":
		args = append(args, "--typed", fmt.Sprintf("%04d", g.number.Load()), "--args", text)
	default:
		args = append(args, "--reason", text)
	}
	g.run(t, args...)
}

// revoke ends the one grant that is live.
func (g *gateway) revoke(t *testing.T) {
	t.Helper()
	out, err := g.sallyport("grants", "list", "-o", "json")
	var all []struct{ ID string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil || len(all) != 1 {
		t.Fatalf("not one grant is live: %v %s", err, out)
	}
	g.run(t, "grants", "revoke", all[0].ID, "--secret-file", g.secret(t, ""))
}

func (g *gateway) run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := g.sallyport(args...); err != nil {
		t.Fatal(err)
	}
}

// secret is the file of a person's secret; the operator enrolls with the first use.
func (g *gateway) secret(t *testing.T, who string) string {
	t.Helper()
	name := filepath.Join(g.dir, "secret-"+who)
	if _, err := os.Stat(name); err != nil {
		if err := os.WriteFile(name, []byte(humanSecret+" "+who+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if who == "" {
			g.run(t, "enroll", "--secret-file", name)
		}
	}
	return name
}

// tighten adds a rule that refuses what people were asked about, and waits until
// it is in force.
func (g *gateway) tighten(t *testing.T) {
	t.Helper()
	before, err := g.sallyport("policy", "status", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	rule := []byte("@id(\"never\") forbid(principal, action == Action::\"pay/tool:transfer\", resource);\n")
	if err := os.WriteFile(filepath.Join(g.dir, "policy", "never.cedar"), rule, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if now, err := g.sallyport("policy", "status", "-o", "json"); err == nil && now != before {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the tighter policy is not in force")
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
	again.number = g.number
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

// Eight identical retries at once use one yes once, also when the gateway is killed
// among them and they come again after it: counted where the money moves, and in
// the log.
func TestRetriesAcrossAKill(t *testing.T) {
	g, server := held(t)
	retries := func(n int, after func(i int)) {
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() {
				request, _ := http.NewRequest(http.MethodPost, "http://"+g.address+"/mcp/pay", strings.NewReader(transfer))
				for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
					"Mcp-Session-Id": g.session, "Mcp-Protocol-Version": "2025-11-25"} {
					request.Header.Set(name, value)
				}
				if response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request); err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				} // else the gateway died
				after(i)
			})
		}
		wait.Wait()
	}
	g.post(t, "/mcp/pay", nil, transfer)
	for round := range int32(4) {
		g.act(t, "approve")
		before := server.transfers.Load()
		var kill sync.Once
		process := g.command.Process
		retries(8, func(i int) {
			if i >= int(round)*2 { // earlier or later among them
				kill.Do(func() { process.Kill() })
			}
		})
		g.kill(t)
		retries(8, func(int) {})
		if moved := server.transfers.Load() - before; moved > 1 {
			t.Fatalf("round %d: %d transfers by one yes", round, moved)
		}
		g.post(t, "/mcp/pay", nil, transfer) // whatever came of it, people are asked anew
	}
	// Each death may have come before the act; without one the yes is used.
	g.act(t, "approve")
	before := server.transfers.Load()
	retries(8, func(int) {})
	if moved := server.transfers.Load() - before; moved != 1 {
		t.Errorf("%d transfers by a yes that nothing came between", moved)
	}
	out, err := g.sallyport("log", "query", "--limit", "0", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]int{}
	var entries []struct{ Type, Approval string }
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type == "intent" && e.Approval != "" {
			if spent[e.Approval]++; spent[e.Approval] > 1 {
				t.Errorf("%s is spent twice", e.Approval)
			}
		}
	}
	if n := int(server.transfers.Load()); len(spent) < n {
		t.Errorf("%d transfers, %d yeses used", n, len(spent))
	}
	if _, err := g.sallyport("log", "verify"); err != nil {
		t.Error(err)
	}
}
