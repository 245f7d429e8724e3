package app

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport"
	"sallyport/internal/demo/desk"
	"sallyport/internal/starter"
	"sallyport/internal/store"
)

// started runs a gateway on a configuration until the test ends.
func started(t *testing.T, dir, config string) *App {
	t.Helper()
	return startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: config})
}

func startedWith(t *testing.T, options Options) *App {
	t.Helper()
	options.Version, options.Log = "test", slog.New(slog.NewTextHandler(t.Output(), nil))
	a, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !stopped[a] {
			stop(t, a)
		}
	})
	settle, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a.Settle(settle)
	a.Reload(t.Context())
	return a
}

// stopped are the gateways that a test has stopped itself.
var stopped = map[*App]bool{}

func stop(t *testing.T, a *App) {
	t.Helper()
	stopped[a] = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// starterFiles writes the files of the first minute, listening on a free port.
func starterFiles(t *testing.T) (dir, config string) {
	t.Helper()
	dir = t.TempDir()
	err := fs.WalkDir(starter.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return os.MkdirAll(filepath.Join(dir, name), 0o700)
		}
		text, err := starter.Files.ReadFile(name)
		if err != nil {
			return err
		}
		text = []byte(strings.Replace(string(text), "127.0.0.1:7717", "127.0.0.1:0", 1))
		return os.WriteFile(filepath.Join(dir, name), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "sallyport.yaml")
}

// TestMain is also the demo server that tests start as a child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "desk" {
		if err := desk.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// demoServer is a command that serves desk on stdio.
func demoServer(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func connect(t *testing.T, url, token string) (*mcp.ClientSession, error) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	return client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}, MaxRetries: -1,
	}, nil)
}

// supportToken is the first token of the starter's support-bot.
func supportToken(t *testing.T, a *App) string {
	t.Helper()
	tokens, err := a.FirstTokens(t.Context(), "support-bot")
	if err != nil {
		t.Fatal(err)
	}
	return tokens[0].Token
}

// callTool calls a tool in a session of its own: another connection, another
// session id than the call before.
func callTool(t *testing.T, a *App, token, tool, args string) (text string, refused bool) {
	t.Helper()
	session, err := connect(t, a.URL(), token)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	first, _ := result.Content[0].(*mcp.TextContent)
	return first.Text, result.IsError
}

func TestAllowedAndDenied(t *testing.T) {
	dir, config := starterFiles(t)
	a := started(t, dir, config)
	tokens, err := a.FirstTokens(t.Context(), "support-bot")
	if err != nil {
		t.Fatal(err)
	}
	session, err := connect(t, a.URL(), tokens[0].Token)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "desk__list_tickets", Arguments: map[string]any{"tenant": "acme"}})
	if err != nil || allowed.IsError {
		t.Fatalf("the allowed call: %v %+v", err, allowed)
	}
	denied, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "desk__delete_customer", Arguments: map[string]any{"customer_id": "cus_1001"}})
	if err != nil || !denied.IsError {
		t.Fatalf("the denied call: %v %+v", err, denied)
	}
	for _, effect := range a.demos.desk.Effects() {
		t.Errorf("the denied call left a trace at the server: %+v", effect)
	}
	session.Close()

	log, err := store.OpenReader(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	found, err := log.Query(t.Context(), store.Filter{Agent: "support-bot"})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, f := range found {
		line := string(f.Entry.Type) + " " + f.Entry.Action
		if f.Outcome != nil {
			line += " " + string(f.Outcome.Outcome)
		}
		said = append(said, line)
	}
	want := "refusal desk/tool:delete_customer, intent desk/tool:list_tickets " + string(sallyport.OutcomeOK)
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("the log says %q, want %q", got, want)
	}
}
