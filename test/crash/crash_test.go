// Package crash kills the gateway at random moments under load and asks what
// is left: every effect that a server saw has a durable intent, no intent is
// without an outcome after the restart, and the log verifies.
package crash

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/control"
	"sallyport/test/rig"
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

// moments are when the gateway dies. Each names from when it is counted and the
// most that may pass, so that between them they hit the start with the recovery
// of what the last death left, the load, the passes that sign the log (one
// every half second) and the orderly end.
var moments = []struct {
	name           string
	from           func(t *testing.T, l *lane, g gateway)
	earliest, span time.Duration
}{
	{"start", func(*testing.T, *lane, gateway) {}, 0, 0}, // as long as a start takes
	{"load", untilEffect, 0, 150 * time.Millisecond},
	{"signing", untilEffect, 400 * time.Millisecond, 300 * time.Millisecond},
	{"end", func(t *testing.T, l *lane, g gateway) {
		untilEffect(t, l, g)
		g.command.Process.Signal(os.Interrupt)
	}, 0, 30 * time.Millisecond},
}

// untilEffect waits until a call of this life of the gateway has acted.
func untilEffect(t *testing.T, l *lane, g gateway) {
	t.Helper()
	select {
	case <-l.effects.next():
	case <-g.ended:
		t.Fatalf("the gateway ended by itself:\n%s", g.output)
	case <-time.After(30 * time.Second):
		g.kill()
		t.Fatalf("no call got through within 30 s:\n%s", g.output)
	}
}

// lanes are how many gateways live and die beside each other, each in a
// directory of its own.
const lanes = 4

func TestKilledUnderLoad(t *testing.T) {
	binary := build(t)
	n := kills(t)
	for i := range lanes {
		t.Run(fmt.Sprint("lane ", i), func(t *testing.T) {
			t.Parallel()
			l := newLane(t, binary)
			for kill := i; kill < n; kill += lanes {
				l.live(t, kill)
				if kill/lanes%5 == 4 {
					l.verify(t)
				}
			}
			l.judge(t, max(1, n/lanes/2))
		})
	}
}

// lane is one directory in which the gateway lives and dies.
type lane struct {
	binary, dir string
	effects     *effects
	start       time.Duration // how long the last start took that came to its end
	checkpoints []string      // files, kept elsewhere
}

func newLane(t *testing.T, binary string) *lane {
	l := &lane{binary: binary, dir: t.TempDir(), effects: newEffects()}
	url, stop := rig.Serve(l.effects)
	t.Cleanup(stop)
	configure(t, l.dir, url)
	g := launch(t, binary, l.dir)
	(&caller{t: t, address: l.started(t, g)}).waitForTool() // so that the server is pinned
	g.kill()
	return l
}

// started waits until the gateway listens, and notes how long that took.
func (l *lane) started(t *testing.T, g gateway) string {
	t.Helper()
	begin := time.Now()
	address := g.address(t)
	l.start = time.Since(begin)
	return address
}

// live is one life of the gateway and its end.
func (l *lane) live(t *testing.T, kill int) {
	moment := moments[kill/lanes%len(moments)]
	g := launch(t, l.binary, l.dir)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	if moment.name != "start" {
		address := l.started(t, g)
		for client := range 4 {
			wait.Go(func() { load(address, fmt.Sprintf("%08x%08x", kill, client), stop) })
		}
	}
	moment.from(t, l, g)
	time.Sleep(moment.earliest + rand.N(cmp.Or(moment.span, l.start))) // the moment itself
	g.kill()
	close(stop)
	wait.Wait()
}

// verify looks at what a death left, before anything has cleaned up: the log
// verifies, and has grown out of every checkpoint seen before.
func (l *lane) verify(t *testing.T) {
	t.Helper()
	args := []string{"log", "verify", "-o", "json"}
	for _, name := range l.checkpoints {
		args = append(args, "--checkpoint", name)
	}
	var verified control.Verified
	if err := json.Unmarshal([]byte(run(t, l.binary, l.dir, args...)), &verified); err != nil || !verified.OK {
		t.Fatalf("%v\n%s", err, verified.Report)
	}
	name := filepath.Join(l.dir, fmt.Sprint("checkpoint.", len(l.checkpoints)))
	text, err := os.ReadFile(filepath.Join(l.dir, "state", "log", "checkpoint"))
	if err := errors.Join(err, os.WriteFile(name, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	l.checkpoints = append(l.checkpoints, name)
}

// judge starts the gateway once more, ends it in order, and holds what the
// server saw against the log.
func (l *lane) judge(t *testing.T, atLeast int) {
	g := launch(t, l.binary, l.dir)
	l.started(t, g)
	g.command.Process.Signal(os.Interrupt)
	<-g.ended
	l.verify(t)
	intents, outcomes := map[string]string{}, map[string][]string{}
	for _, e := range query(t, l.binary, l.dir) {
		switch e.Type {
		case "intent":
			intents[e.Trace] = e.Call
			outcomes[e.Call] = append(outcomes[e.Call], "")
		case "outcome":
			outcomes[e.Call] = append(outcomes[e.Call], e.Outcome)
		}
	}
	if l.effects.count() < atLeast {
		t.Fatalf("only %d effects: the load never got through, nothing is shown", l.effects.count())
	}
	for trace, times := range l.effects.all() {
		if intents[trace] == "" {
			t.Errorf("the effect of %s has no durable intent", trace)
		}
		if times > 1 {
			t.Errorf("the call %s reached the server %d times", trace, times)
		}
	}
	unknown := 0
	for call, ends := range outcomes {
		if len(ends) != 2 || ends[0] != "" || ends[1] == "" {
			t.Errorf("call %s: an intent must have one outcome, and has %q", call, ends[1:])
		} else if ends[1] == "unknown" {
			unknown++
		}
	}
	if unknown == 0 && !testing.Short() {
		t.Error("no call was ever under way at a death: the load is too weak to show anything")
	}
	t.Logf("%d effects, %d intents, %d outcomes unknown; the last start took %s", l.effects.count(), len(intents), unknown, l.start)
}

// effects is an MCP server that remembers every call that reached it, by the
// trace id that the client gave it.
type effects struct {
	*rig.Upstream
	mu    sync.Mutex
	seen  map[string]int
	heard chan struct{} // closed at the next effect; nil when nobody waits
}

func newEffects() *effects {
	e := &effects{seen: map[string]int{}}
	e.Upstream = rig.NewUpstream(`[{"name":"act","inputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}]`, e.act)
	return e
}

var traceparent = regexp.MustCompile(`00-[0-9a-f]{32}-[0-9a-f]{16}-01`)

func (e *effects) act(_ context.Context, params json.RawMessage) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[string(traceparent.Find(params))]++
	if e.heard != nil {
		close(e.heard)
		e.heard = nil
	}
	return `{"content":[{"type":"text","text":"done"}]}`
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// next is closed at the next effect.
func (e *effects) next() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard == nil {
		e.heard = make(chan struct{})
	}
	return e.heard
}

func (e *effects) all() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

func build(t *testing.T) string {
	t.Helper()
	binary, err := rig.Build(t.Context())
	if err != nil {
		t.Fatal(err)
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
	command   *exec.Cmd
	addresses string // file that it writes once it listens
	output    *bytes.Buffer
	ended     chan struct{} // closed when the process is gone; then output may be read
}

// launch starts the gateway and does not wait for it.
func launch(t *testing.T, binary, dir string) gateway {
	t.Helper()
	g := gateway{addresses: filepath.Join(dir, "addresses.json"), output: new(bytes.Buffer), ended: make(chan struct{})}
	os.Remove(g.addresses)
	g.command = exec.Command(binary, "up", "--config", filepath.Join(dir, "sallyport.yaml"),
		"--dir", filepath.Join(dir, "state"), "--addr-file", g.addresses)
	g.command.Stdout, g.command.Stderr = g.output, g.output
	if err := g.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.command.Wait()
		close(g.ended)
	}()
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("the gateway said:\n%.2000s", g.output)
		}
	})
	return g
}

func (g gateway) kill() {
	g.command.Process.Kill()
	<-g.ended
}

// address waits until the gateway listens, and is where it does for the tester.
func (g gateway) address(t *testing.T) string {
	t.Helper()
	return g.listening(t).Listeners["tester"]
}

func (g gateway) listening(t *testing.T) (at app.Addresses) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(g.addresses); err == nil && json.Unmarshal(text, &at) == nil && at.Listeners["tester"] != "" {
			return at
		}
		select {
		case <-g.ended:
			t.Fatalf("the gateway ended by itself:\n%s", g.output)
		default:
		}
	}
	g.kill()
	t.Fatalf("the gateway did not come up within 30 s:\n%s", g.output)
	return at
}

// load calls as fast as it can until the gateway is gone.
func load(address, prefix string, stop chan struct{}) {
	session, err := rig.Open("http://" + address + "/mcp/act")
	if err != nil {
		return
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			session.Close()
			return
		default:
		}
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"_meta":{"traceparent":"00-%s%016x-00000000000000ff-01"},"name":"act","arguments":{"n":%d}}}`, i+2, prefix, i, i)
		if _, err := session.Post(body); err != nil {
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
	out := run(t, binary, dir, "log", "query", "--limit", "0", "-o", "json")
	var entries []entry
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatalf("log query -o json: %v\n%.500s", err, out)
	}
	return entries
}

func run(t *testing.T, binary, dir string, args ...string) string {
	t.Helper()
	command := exec.Command(binary, append(args, "--dir", filepath.Join(dir, "state"))...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("sallyport %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}
