// Package hostile attacks the built gateway: as an agent that has been taken
// over, as a server that means harm, as a web page in the user's browser, and
// as a program beside it. What counts is what the servers saw, and that others
// are served while the attack goes on, in bounded memory.
package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sallyport-hostile")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sallyport")
	if out, err := exec.Command("go", "build", "-o", path, "sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		beChild(mode)
		return
	}
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// gate is a running gateway with two agents that bring tokens.
type gate struct {
	t            testing.TB
	dir, address string
	pid          int
	tokens       map[string]string // by agent
	output       *output
}

// output collects what a process writes while it is read.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

const policy = `
@id("reads") permit(principal in Role::"tester", action in Action::"effect:read", resource);
@id("to-friends") permit(principal in Role::"tester", action == Action::"pay/tool:transfer", resource) when { context.input.to == "friend" };
`

// start runs a gateway over servers, which are written as the configuration
// has them (flow YAML), and waits until those named in pinned are accepted.
func start(t testing.TB, servers, policy string, pinned ...string) *gate {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, dir: t.TempDir(), output: &output{}, tokens: map[string]string{}}
	g.file("sallyport.yaml", `listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers: {`+servers+`}
roles: [tester]
tenants: [acme]
users: {ana: {tenant: acme}, bob: {tenant: acme}}
agents: {ana: {role: tester, for: ana}, bob: {role: tester, for: bob}}
sizes: {body: 8MiB, result: 16MiB}
`)
	g.file("policy/test.cedar", policy)
	g.file("secret", "a secret for this test alone")
	command := exec.Command(path, "up", "--config", filepath.Join(g.dir, "sallyport.yaml"),
		"--dir", g.state(), "--addr-file", filepath.Join(g.dir, "addresses.json"))
	command.Stdout, command.Stderr = g.output, g.output
	command.Env = append(os.Environ(), "GATEWAY_SECRET=the-gateways-own")
	inherited, err := os.Create(filepath.Join(g.dir, "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	command.ExtraFiles = []*os.File{inherited} // as from a careless launcher
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	g.pid = command.Process.Pid
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt)
		ended := time.AfterFunc(10*time.Second, func() { syscall.Kill(-g.pid, syscall.SIGKILL) })
		command.Wait()
		ended.Stop()
		if t.Failed() {
			text := g.output.String()
			t.Logf("the gateway said:\n%s", text[max(0, len(text)-4000):])
		}
	})
	g.until("it listens", func() bool {
		var at struct{ Listen string }
		text, err := os.ReadFile(filepath.Join(g.dir, "addresses.json"))
		if err != nil || json.Unmarshal(text, &at) != nil {
			return false
		}
		g.address = at.Listen
		return g.address != ""
	})
	g.must("enroll", "--secret-file", filepath.Join(g.dir, "secret"))
	for _, name := range []string{"ana", "bob"} {
		var added struct{ Token string }
		out, err := g.run("agents", "add", name, "--secret-file", filepath.Join(g.dir, "secret"), "-o", "json")
		if err != nil { // the first of them has got one already
			out = g.must("agents", "rotate", name, "--secret-file", filepath.Join(g.dir, "secret"), "-o", "json")
		}
		if err := json.Unmarshal([]byte(out), &added); err != nil || added.Token == "" {
			t.Fatalf("agents add: %v %s", err, out)
		}
		g.tokens[name] = added.Token
	}
	g.until("every server is pinned", func() bool {
		var all []struct {
			Name   string
			Pinned int
		}
		if json.Unmarshal([]byte(g.must("servers", "-o", "json")), &all) != nil {
			return false
		}
		n := 0
		for _, s := range all {
			for _, name := range pinned {
				if s.Name == name && s.Pinned > 0 {
					n++
				}
			}
		}
		return n == len(pinned)
	})
	return g
}

func (g *gate) state() string { return filepath.Join(g.dir, "state") }

func (g *gate) file(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		g.t.Fatal(err)
	}
}

// run runs a verb on the running gateway.
func (g *gate) run(args ...string) (string, error) {
	path, _ := binary()
	command := exec.Command(path, append(args, "--dir", g.state())...)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return string(out), err
}

func (g *gate) must(args ...string) string {
	g.t.Helper()
	out, err := g.run(args...)
	if err != nil {
		g.t.Fatalf("%v: %v", args, err)
	}
	return out
}

func (g *gate) until(what string, ready func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("20 s went by before %s", what)
		}
	}
}

// status reads a number of /proc/PID/status, in bytes.
func (g *gate) status(name string) int {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	if err != nil {
		g.t.Fatalf("the gateway is gone: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n << 10
		}
	}
	g.t.Fatalf("no %s", name)
	return 0
}

// peak measures the most memory that the gateway held while something was
// done, beyond what it held before (Linux resets VmHWM on writing 5).
func (g *gate) peak(do func()) int {
	g.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.pid), []byte("5"), 0o200); err != nil {
		g.t.Fatal(err)
	}
	before := g.status("VmRSS")
	do()
	return g.status("VmHWM") - before
}

// conn is a connection on which bytes are sent as they are.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (g *gate) dial() *conn {
	g.t.Helper()
	c, err := net.Dial("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return &conn{c, bufio.NewReader(c)}
}

// answer reads one response.
func (c *conn) answer() (status int, body string, header http.Header, err error) {
	response, err := http.ReadResponse(c.in, nil)
	if err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(c.in, nil)
	}
	if err != nil {
		return 0, "", nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header, err
}

// request is an HTTP request that can be wrong in every way.
type request struct {
	line    string   // of the request; "" for POST /mcp/pay HTTP/1.1
	headers []string // "Name: value"; the first of a name replaces ours, "Name:" removes it
	body    string
}

// bytes writes the request. Ours are the headers that a good one has.
func (r request) bytes(g *gate, token, session string) []byte {
	line := r.line
	if line == "" {
		line = "POST /mcp/pay HTTP/1.1"
	}
	ours := []string{
		"Host: " + g.address, "Authorization: Bearer " + token, "Content-Type: application/json",
		"Accept: application/json, text/event-stream", "Content-Length: " + strconv.Itoa(len(r.body)),
	}
	if session != "" {
		ours = append(ours, "Mcp-Session-Id: "+session, "Mcp-Protocol-Version: 2025-11-25")
	}
	var out strings.Builder
	out.WriteString(line + "\r\n")
	for _, h := range ours {
		name, _, _ := strings.Cut(h, ":")
		replaced := false
		for _, theirs := range r.headers {
			other, _, _ := strings.Cut(theirs, ":")
			replaced = replaced || strings.EqualFold(name, other)
		}
		if !replaced {
			out.WriteString(h + "\r\n")
		}
	}
	for _, h := range r.headers {
		if !strings.HasSuffix(h, ":") {
			out.WriteString(h + "\r\n")
		}
	}
	return []byte(out.String() + "\r\n" + r.body)
}

// agent is one of the gate's agents in a session of its own.
type agent struct {
	g              *gate
	token, session string
	path           string
}

func (g *gate) connect(name, path string) *agent {
	g.t.Helper()
	a := &agent{g: g, token: g.tokens[name], path: path}
	c := g.dial()
	c.Write(request{line: "POST " + path + " HTTP/1.1", body: `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hostile","version":"1"}}}`}.bytes(g, a.token, ""))
	status, body, header, err := c.answer()
	if a.session = header.Get("Mcp-Session-Id"); err != nil || status != 200 || a.session == "" {
		g.t.Fatalf("initialize: %v %d %s", err, status, body)
	}
	c.Close()
	a.send(request{body: `{"jsonrpc":"2.0","method":"notifications/initialized"}`})
	return a
}

// send sends a request on a connection of its own and reads one answer.
func (a *agent) send(r request) string {
	if r.line == "" {
		r.line = "POST " + a.path + " HTTP/1.1"
	}
	c := a.g.dial()
	defer c.Close()
	if _, err := c.Write(r.bytes(a.g, a.token, a.session)); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return "failed: " + err.Error()
	}
	status, body, _, err := c.answer()
	if err != nil {
		return "failed: " + err.Error()
	}
	return strconv.Itoa(status) + " " + body
}

// tool calls a tool.
func (a *agent) tool(name, arguments string) string {
	return a.send(request{body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":` + arguments + `}}`})
}

// served fails unless the agent is served as ever.
func (a *agent) served(when string) {
	a.g.t.Helper()
	began := time.Now()
	if got := a.tool("get_balance", `{"account":"other"}`); !strings.Contains(got, "12.50") {
		a.g.t.Errorf("%s: another agent hears %.300s", when, got)
	}
	if took := time.Since(began); took > 5*time.Second {
		a.g.t.Errorf("%s: another agent waited %s", when, took)
	}
}
