// Package scenario plays txtar files through the built gateway's real door:
// a configuration, a policy, a scripted server, and steps. What counts is
// asserted in three places: what the agent hears, what the server saw, and
// what the log says.
//
// Files of a scenario:
//
//	sallyport.yaml   optional; $SERVER is the scripted server's URL
//	policy/*.cedar   the policy
//	server.json      the scripted server, see script
//	steps            blocks separated by an empty line:
//	                   PATH [Header: value]…     "-" stands for no session
//	                   BODY                      sent byte for byte
//	                   < TEXT                    must be in "STATUS BODY"
//	                   ! TEXT                    must not be in it
//	                 or one of
//	                   $ approve                 the question that was put last
//	                   $ deny REASON
//	                   $ narrow ARGUMENTS
//	                   $ NAME: approve           as somebody else than the operator
//	                   $ enroll NAME
//	                   $ tighten                 the policy, so that it refuses transfers
//	                   $ kill                    the gateway at once, and start it again
//	seen             every call that reached the server, in order: METHOD PARAMS
//	log              every entry about a call, in order: TYPE ACTION VERDICT [CAUSE]
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
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestScenarios(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.Command("go", "build", "-o", binary, "sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { play(t, binary, file) })
	}
}

const defaultConfig = `
listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers: {pay: {url: $SERVER, effects: {"get_*": read, "*": pay}}}
roles: [tester]
tenants: [acme]
users: {ana: {tenant: acme}, finn: {tenant: acme, groups: [finance]}}
agents: {tester: {role: tester, for: ana, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: tester}]
`

func play(t *testing.T, binary, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	server := newScripted(t, files["server.json"])
	upstream := httptest.NewServer(server)
	defer upstream.Close()

	dir := t.TempDir()
	if files["sallyport.yaml"] == "" {
		files["sallyport.yaml"] = defaultConfig
	}
	for name, text := range files {
		if name != "sallyport.yaml" && !strings.HasPrefix(name, "policy/") {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "$SERVER", upstream.URL+"/mcp")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := launch(t, binary, dir)
	g.ready(t)
	server.forget()
	for _, block := range strings.Split(strings.TrimSpace(files["steps"]), "\n\n") {
		g.step(t, block)
	}
	equalLines(t, "the server saw", server.calls(), files["seen"])
	equalLines(t, "the log says", g.entries(t), files["log"])
}

func equalLines(t *testing.T, what, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s:\n%s\nwanted:\n%s", what, got, want)
	}
}

type gateway struct {
	binary, dir, address, session string
	command                       *exec.Cmd
	number                        *atomic.Int32 // to type, as the agent was told it last
}

var number = regexp.MustCompile(`"number":"([0-9]{4})"`)

func launch(t *testing.T, binary, dir string) *gateway {
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
		command.Process.Signal(os.Interrupt)
		command.Wait()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", output.String())
		}
	})
	for range 400 {
		var at struct {
			Listeners map[string]string `json:"listeners"`
		}
		if text, err := os.ReadFile(addresses); err == nil && json.Unmarshal(text, &at) == nil && at.Listeners["tester"] != "" {
			return &gateway{binary: binary, dir: dir, address: at.Listeners["tester"], command: command, number: new(atomic.Int32)}
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("the gateway did not come up within 10 s")
	return nil
}

// ready opens a session and waits until the server behind it is pinned.
func (g *gateway) ready(t *testing.T) {
	t.Helper()
	var body string
	for range 200 { // until the server is accepted and the policy knows its tools, it is hidden
		var status int
		var header http.Header
		status, body, header = g.post(t, "/mcp/pay", nil, `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"scenario","version":"1"}}}`)
		out, err := g.sallyport("servers", "-o", "json")
		if status == http.StatusOK && err == nil && regexp.MustCompile(`"pinned":\s*[1-9]`).MatchString(out) {
			g.session = header.Get("Mcp-Session-Id")
			g.post(t, "/mcp/pay", nil, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	out, err := g.sallyport("servers", "-o", "json")
	t.Fatalf("the server was not pinned within 5 s: %v\n%s\n%s", err, out, body)
}

func (g *gateway) step(t *testing.T, block string) {
	t.Helper()
	lines := strings.Split(block, "\n")
	if act, ok := strings.CutPrefix(lines[0], "$ "); ok {
		g.act(t, act)
		return
	}
	head, body := lines[0], lines[1]
	path, rest, _ := strings.Cut(head, " ")
	header := map[string]string{}
	for _, h := range regexp.MustCompile(`\[([^\]]*)\]`).FindAllStringSubmatch(rest, -1) {
		name, value, _ := strings.Cut(h[1], ": ")
		header[name] = value
	}
	if strings.Contains(rest, " -") || strings.HasPrefix(rest, "-") {
		header["-"] = ""
	}
	status, answer, _ := g.post(t, path, header, body)
	got := fmt.Sprintf("%d %s", status, answer)
	for _, line := range lines[2:] {
		mark, text, _ := strings.Cut(line, " ")
		switch found := strings.Contains(got, text); {
		case mark == "<" && !found:
			t.Errorf("%s\n%s\nanswered %s\nwithout %q", head, body, got, text)
		case mark == "!" && found:
			t.Errorf("%s\n%s\nanswered %s\nwith %q", head, body, got, text)
		case mark != "<" && mark != "!":
			t.Fatalf("a step's line is %q", line)
		}
	}
}

// post sends bytes as they are. The body is unquoted where it starts with a
// double quote, for bytes that a text file can't hold.
func (g *gateway) post(t *testing.T, path string, header map[string]string, body string) (int, string, http.Header) {
	t.Helper()
	if strings.HasPrefix(body, `"`) {
		var err error
		if body, err = unquote(body); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+g.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if _, without := header["-"]; g.session != "" && !without {
		request.Header.Set("Mcp-Session-Id", g.session)
		request.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	for name, value := range header {
		switch name {
		case "-":
		case "Host":
			request.Host = value
		default:
			request.Header.Set(name, value)
		}
	}
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", path, body, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if told := number.FindSubmatch(answer); told != nil {
		n, _ := strconv.Atoi(string(told[1]))
		g.number.Store(int32(n))
	}
	return response.StatusCode, string(answer), response.Header
}

func unquote(text string) (string, error) {
	var out string
	_, err := fmt.Sscanf(text, "%q", &out)
	return out, err
}

func (g *gateway) sallyport(args ...string) (string, error) {
	command := exec.Command(g.binary, append(args, "--dir", filepath.Join(g.dir, "state"))...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), err
}

// entries are the log's entries about calls, in short.
var intents, outcomes = regexp.MustCompile(`"type":\s*"intent"`), regexp.MustCompile(`"type":\s*"outcome"`)

func (g *gateway) entries(t *testing.T) string {
	t.Helper()
	for range 100 { // an outcome becomes durable soon after it was answered
		if out, err := g.sallyport("log", "query", "--limit", "0", "-o", "json"); err == nil &&
			len(intents.FindAllString(out, -1)) == len(outcomes.FindAllString(out, -1)) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	out, err := g.sallyport("log", "query", "--limit", "0", "-o", "json")
	if err != nil {
		t.Fatalf("log query: %v", err)
	}
	var entries []struct{ Type, Action, Verdict, Cause, Outcome string }
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatalf("log query -o json: %v\n%.300s", err, out)
	}
	var lines strings.Builder
	for _, e := range entries {
		switch e.Type {
		case "intent":
			fmt.Fprintln(&lines, e.Type, e.Action, e.Verdict)
		case "refusal", "hold":
			fmt.Fprintln(&lines, e.Type, e.Action, e.Verdict, e.Cause)
		case "outcome":
			fmt.Fprintln(&lines, e.Type, e.Outcome)
		}
	}
	return strings.ReplaceAll(lines.String(), "\x00", `\0`)
}
