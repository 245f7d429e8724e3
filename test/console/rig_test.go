// Package console tests the console in a real browser, against the built gateway
// and agents that speak MCP.
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/starter"
	"sallyport/test/rig"
)

// secretOf is a person's secret in these tests.
func secretOf(who string) string { return "the secret of " + who + ", for tests" }

// gate is a built gateway that runs in a directory of its own.
type gate struct {
	*rig.Gate
	binary, dir string
	listen      string // the same after a restart: browsers know it by its port
	origin      string // http://localhost:PORT
	servers     int    // that are pinned once it is up
	tokens      map[string]string
	notes       *notes
}

var build = sync.OnceValues(func() (string, error) { return rig.Build(context.Background()) })

// begin starts a gateway with these files; $LISTEN in the configuration is where it
// is to listen. The operator enrolls.
func begin(t testing.TB, servers int, files map[string]string) *gate {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{binary: binary, dir: t.TempDir(), servers: servers, tokens: map[string]string{}}
	if g.listen, err = rig.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(g.listen, ":")
	g.origin = "http://localhost:" + port
	for name, text := range files {
		g.write(t, name, strings.Replace(text, "$LISTEN", g.listen, 1))
	}
	g.up(t)
	t.Cleanup(func() {
		g.Kill()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", g.Output())
		}
	})
	g.enroll(t, "operator")
	return g
}

// start starts a gateway with the starter's servers, people, agents and policies, and
// one server more. more is added to its configuration.
func start(t testing.TB, more string, people ...string) *gate {
	t.Helper()
	return startOver(t, map[string]string{}, more, people...)
}

// startOver starts one over files that are there already.
func startOver(t testing.TB, files map[string]string, more string, people ...string) *gate {
	t.Helper()
	notes := newNotes(t)
	config, err := starter.Files.ReadFile("sallyport.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), "listen: 127.0.0.1:7717", "listen: $LISTEN", 1)
	text = strings.Replace(text, "servers:\n", fmt.Sprintf("servers:\n  notes:\n    url: %s\n    effects: {search_notes: read}\n", notes.url), 1)
	files["sallyport.yaml"] = text + "\n" + more
	files["policy/notes.cedar"] = "@id(\"notes-read\")\npermit (principal, action in Action::\"effect:read\", resource == Server::\"notes\");\n"
	entries, err := starter.Files.ReadDir("policy")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		policy, err := starter.Files.ReadFile("policy/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		files["policy/"+entry.Name()] = string(policy)
	}
	g := begin(t, 2, files) // the built-in ones are known
	g.notes = notes
	for _, who := range people {
		g.enroll(t, who)
	}
	g.wait(t, "notes to be seen", func() bool { return g.waits(t, "notes") > 0 })
	g.sallyport(t, "servers", "pin", "notes", "--secret-file", g.path("operator.secret"))
	return g
}

// enroll has a person of the configuration enroll.
func (g *gate) enroll(t testing.TB, who string) {
	t.Helper()
	g.write(t, who+".secret", secretOf(who)+"\n")
	args := []string{"enroll", "--secret-file", g.path(who + ".secret")}
	if who != "operator" {
		args = append(args, "--as", who, "--current-secret-file", g.path("operator.secret"))
	}
	g.sallyport(t, args...)
}

func (g *gate) path(name string) string { return filepath.Join(g.dir, name) }

func (g *gate) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(g.path(name)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gate) up(t testing.TB) {
	t.Helper()
	var err error
	if g.Gate, err = rig.Up(context.Background(), g.binary, g.dir, g.servers); err != nil {
		t.Fatal(err)
	}
}

// restart ends the gateway as a loss of power would, and starts it again.
func (g *gate) restart(t testing.TB) {
	t.Helper()
	g.Kill()
	g.up(t)
}

// waits is how many items of a server nobody has looked at.
func (g *gate) waits(t testing.TB, server string) int {
	var servers []struct {
		Name             string
		New, Quarantined int
	}
	if err := json.Unmarshal([]byte(g.sallyport(t, "servers", "-o", "json")), &servers); err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if s.Name == server {
			return s.New + s.Quarantined
		}
	}
	return 0
}

// sallyport runs a verb.
func (g *gate) sallyport(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(g.binary, append(args, "--dir", g.path("state"))...).CombinedOutput()
	if err != nil {
		t.Fatalf("sallyport %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (g *gate) wait(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// link is a link that shows the console.
func (g *gate) link(t testing.TB) string { return strings.TrimSpace(g.sallyport(t, "console")) }

// bearer sends a token.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// agent connects as an agent.
func (g *gate) agent(t testing.TB, name string) *mcp.ClientSession {
	t.Helper()
	if g.tokens[name] == "" {
		var token struct{ Token string }
		out := g.sallyport(t, "agents", "rotate", name, "-o", "json", "--secret-file", g.path("operator.secret"))
		if err := json.Unmarshal([]byte(out), &token); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		g.tokens[name] = token.Token
	}
	return g.connect(t, g.tokens[name])
}

func (g *gate) connect(t testing.TB, token string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: g.origin + "/mcp", HTTPClient: &http.Client{Transport: bearer{token}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// inRun connects as an agent in a run with a task.
func (g *gate) inRun(t testing.TB, agent, task string) *mcp.ClientSession {
	t.Helper()
	script := g.path("token.sh")
	g.write(t, "token.sh", "#!/bin/sh\nprintf %s \"$SALLYPORT_TOKEN\" >\""+g.path("run.token")+"\"\ncat >/dev/null\n")
	os.Chmod(script, 0o700)
	os.Remove(g.path("run.token"))
	cmd := exec.Command(g.binary, "run", "--agent", agent, "--task", task, "--dir", g.path("state"), "--secret-file", g.path("operator.secret"), "--", script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	var token []byte
	g.wait(t, "the run to begin", func() bool {
		token, err = os.ReadFile(g.path("run.token"))
		return err == nil && len(token) > 0
	})
	return g.connect(t, string(token))
}

type args = map[string]any

// call makes a call and returns what the agent reads.
func call(t testing.TB, s *mcp.ClientSession, tool string, arguments args) string {
	t.Helper()
	result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, c := range result.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

// notes is a server that changes what it says of itself.
type notes struct {
	url    string
	server *mcp.Server
}

func newNotes(t testing.TB) *notes {
	n := &notes{server: mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)}
	n.offer("Searches the team's notes.")
	web := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return n.server }, nil))
	t.Cleanup(web.Close)
	n.url = web.URL
	return n
}

func (n *notes) offer(description string) {
	n.server.AddTool(&mcp.Tool{Name: "search_notes", Description: description,
		InputSchema: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "no notes"}}}, nil
		})
}
