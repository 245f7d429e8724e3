package starter

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport"
	"sallyport/internal/demo/cloud"
	"sallyport/internal/demo/desk"
	"sallyport/internal/inspect"
	"sallyport/internal/policy"
	"sallyport/internal/policytest"
)

// config is what the policy needs of sallyport.yaml.
type config struct {
	Servers map[string]struct {
		Builtin string
		Effects map[string]sallyport.Effect
	}
	Tenants, Roles []string
	Users          map[string]policytest.User
	Agents         map[string]any
}

func readConfig(t *testing.T) config {
	t.Helper()
	text, err := Files.ReadFile("sallyport.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// manifest is what a demo server says of itself.
func manifest(t *testing.T, builtin string) (tools []*mcp.Tool, prompts []*mcp.Prompt) {
	t.Helper()
	serve := map[string]func(context.Context, io.Reader, io.Writer) error{"desk": desk.Serve, "cloud": cloud.Serve}[builtin]
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	go func() { _ = serve(context.Background(), toServer, fromServer) }()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(t.Context(), &mcp.IOTransport{Reader: toClient, Writer: fromClient}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	listedTools, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	listedPrompts, err := session.ListPrompts(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return listedTools.Tools, listedPrompts.Prompts
}

func definition(t *testing.T, server string, kind sallyport.Kind, name string, item any, effects ...sallyport.Effect) sallyport.Definition {
	t.Helper()
	raw, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	value, err := sallyport.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return sallyport.Definition{Server: server, Kind: kind, Name: name, Effects: effects, Raw: value, Digest: sallyport.DigestOf(raw)}
}

// pinned are the definitions of the demo servers with the configured effects. Each tool must have one, and each
// effect a tool.
func pinned(t *testing.T, c config) []sallyport.Definition {
	t.Helper()
	var all []sallyport.Definition
	for name, server := range c.Servers {
		tools, prompts := manifest(t, server.Builtin)
		for _, tool := range tools {
			effect, known := server.Effects[tool.Name]
			if !known {
				t.Errorf("%s/%s has no effect in sallyport.yaml", name, tool.Name)
			}
			delete(server.Effects, tool.Name)
			all = append(all, definition(t, name, sallyport.KindTool, tool.Name, tool, effect))
		}
		for tool := range server.Effects {
			t.Errorf("sallyport.yaml gives %s/%s an effect, but there is no such tool", name, tool)
		}
		for _, prompt := range prompts {
			all = append(all, definition(t, name, sallyport.KindPrompt, prompt.Name, prompt))
		}
	}
	return all
}

func files(t *testing.T, pattern string) []policy.File {
	t.Helper()
	names, err := fs.Glob(Files, pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	var all []policy.File
	for _, name := range names {
		text, err := Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, policy.File{Name: path.Base(name), Text: text})
	}
	return all
}

func keys[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

func declared(c config) policy.Declared {
	d := policy.Declared{Servers: keys(c.Servers), Agents: keys(c.Agents), Roles: c.Roles, Users: keys(c.Users), Tenants: c.Tenants, Findings: inspect.Names}
	for _, user := range c.Users {
		d.Groups = append(d.Groups, user.Groups...)
	}
	return d
}

// TestPolicies loads the policies against what the demo servers really say of themselves, and runs their tests.
func TestPolicies(t *testing.T) {
	c := readConfig(t)
	definitions := pinned(t, c)
	rules, err := policy.Load(files(t, "policy/*.cedar"), definitions, declared(c))
	if err != nil {
		t.Fatal(err)
	}
	report, err := policytest.Run(rules, policytest.World{Pinned: definitions, Roles: c.Roles, Users: c.Users}, files(t, "policy/*.test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if !r.Passed {
			t.Errorf("%s:%d %s: %s", r.File, r.Line, r.Name, r.Detail)
		}
	}
	for _, c := range report.Coverage {
		if c.Fired == 0 {
			t.Errorf("no test makes %s (%s:%d) apply", c.Rule.ID, c.Rule.File, c.Rule.Line)
		}
	}
}
