// Package e2e lets real clients talk to real servers, directly and through the
// gateway.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/test/rig"
)

// client is a driver in test/clients, speaking one era over one transport.
type client struct {
	name, script string
	era          string // what the driver is told; empty is the client's own choice
	stdio        bool
	more         []string // for the driver
}

var clients = []client{
	{"inspector-legacy", "inspector", "legacy", false, nil},
	{"inspector-auto", "inspector", "auto", false, nil},
	{"inspector-modern", "inspector", "modern", false, nil},
	{"inspector-stdio-legacy", "inspector", "legacy", true, nil},
	{"inspector-stdio-auto", "inspector", "auto", true, nil},
	{"inspector-stdio-modern", "inspector", "modern", true, nil},
	{"client", "client", "", false, nil},
	{"client-modern", "client", "modern", false, nil},
	{"langchain", "langchain", "", false, nil},
	{"openai-agents", "openai-agents", "", false, nil},
	{"ai-sdk", "ai-sdk", "", false, nil},
}

type (
	answer = rig.Answer
	target = rig.Target
)

// call is one tool call.
type call struct {
	Tool string
	Args map[string]any
}

// run lets the client list the tools and then make the calls.
func (c client) run(t *testing.T, to target, calls ...call) (tools []string, answers []answer) {
	t.Helper()
	if c.stdio {
		to.URL = ""
	}
	all := make([]rig.Call, len(calls))
	for i, call := range calls {
		all[i] = rig.Call(call)
	}
	tools, answers, err := rig.Client{Script: c.script, Era: c.era, More: c.more}.ListAndDo(t.Context(), to, all...)
	fetched(t, err)
	return tools, answers
}

// fetched fails on err, but skips when only the packages aren't there and the
// run doesn't claim (SALLYPORT_TEST_FETCHED) that they are.
func fetched(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, rig.ErrNotFetched) && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		t.Skip("NOT RUN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestClientsDirectly shows that the drivers tell the truth: they list and
// call, report an error as one, and send the token that they are given.
func TestClientsDirectly(t *testing.T) {
	fixture, err := rig.TypeScriptFixture(t.Context())
	fetched(t, err)
	t.Cleanup(fixture.Stop)
	server, err := url.Parse(fixture.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := rig.Proxy(server, nil)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer open-sesame" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for _, c := range clients {
		if c.stdio {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := target{URL: front.URL + server.Path, Token: "open-sesame"}
			tools, answers := c.run(t, to, call{"test_simple_text", map[string]any{}}, call{"test_error_handling", map[string]any{}})
			if !slices.Contains(tools, "test_simple_text") {
				t.Errorf("listed %q", tools)
			}
			if a := answers[0]; !a.OK || a.IsError || a.Text != "a plain text for the test" {
				t.Errorf("the call came back as %+v", a)
			}
			if a := answers[1]; a.OK || !a.IsError || !strings.Contains(a.Text, "fails on purpose") {
				t.Errorf("the failing call came back as %+v", a)
			}
		})
	}
}

// The policy under test permits all but one argument value per server.
const because = "nothing that is called forbidden passes here"

const policy = `
@id("all") permit (principal, action, resource);

@id("files") @because("` + because + `")
forbid (principal, action == Action::"files/tool:write_file", resource)
when { context.input.path like "*forbidden*" };

@id("memory") @because("` + because + `")
forbid (principal, action == Action::"memory/tool:search_nodes", resource)
when { context.input.query like "*forbidden*" };

@id("everything") @because("` + because + `")
forbid (principal, action == Action::"everything/tool:echo", resource)
when { context.input.message like "*forbidden*" };

@id("never") @because("memories are kept")
forbid (principal, action == Action::"memory/tool:delete_entities", resource);
`

// behind is a running gate with three real servers, each overheard.
type behind struct {
	*rig.Gate
	binary string
	state  string            // the gate's own directory
	files  string            // the folder that the files server has
	heard  map[string]string // server → file of all that it was sent
}

// build builds the gateway. A run that doesn't claim to have everything skips
// when there is none to build.
func build(t *testing.T) string {
	t.Helper()
	binary, err := rig.Build(t.Context())
	if err != nil && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		t.Skip("NOT RUN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func startBehind(t *testing.T) behind {
	t.Helper()
	binary := build(t)
	dir := t.TempDir()
	b := behind{binary: binary, state: filepath.Join(dir, "state"), files: filepath.Join(dir, "files"), heard: map[string]string{}}
	if err := os.Mkdir(b.files, 0o700); err != nil {
		t.Fatal(err)
	}
	servers := map[string]rig.Server{}
	add := func(name, server string, args ...string) {
		cmd, err := rig.Node(context.Background(), "npm/node_modules/@modelcontextprotocol/"+server+"/dist/index.js", args...)
		fetched(t, err)
		b.heard[name] = filepath.Join(dir, name+".heard")
		servers[name] = rig.Server{Command: overheard(b.heard[name], cmd.Args)}
	}
	add("files", "server-filesystem", b.files)
	add("memory", "server-memory")
	add("everything", "server-everything", "stdio")
	var err error
	if b.Gate, err = rig.StartGate(t.Context(), binary, dir, servers, policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// overheard wraps the command of a stdio server, so that whatever reaches it is
// in the file heard as well. The memory server is told to keep its memory
// beside that file, not among its sources.
func overheard(heard string, server []string) []string {
	return append([]string{"sh", "-c", `tee -a "$0" | exec env MEMORY_FILE_PATH="$0.memory" "$@"`, heard}, server...)
}

// TestClientsThroughGate has every client list the tools of three real
// servers, and make one allowed and one denied call on each. The denied one
// leaves no trace at the server.
func TestClientsThroughGate(t *testing.T) {
	b := startBehind(t)
	token, err := rig.Mint(t.Context(), b.binary, b.state, "shim")
	if err != nil {
		t.Fatal(err)
	}
	to := target{URL: "http://" + b.Agent + "/mcp", Command: []string{b.binary, "stdio", "--dir", b.state, "--token-file", token}}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			welcome, forbidden := "welcome-"+c.name, "forbidden-"+c.name
			path := func(word string) string { return filepath.Join(b.files, word+".txt") }
			var calls []call
			for _, word := range []string{welcome, forbidden} {
				calls = append(calls,
					call{"files__write_file", map[string]any{"path": path(word), "content": word}},
					call{"memory__search_nodes", map[string]any{"query": word}},
					call{"everything__echo", map[string]any{"message": word}})
			}
			tools, answers := c.run(t, to, calls...)
			for i, server := range []string{"files", "memory", "everything"} {
				allowed, denied := answers[i], answers[i+3]
				if !slices.Contains(tools, calls[i].Tool) {
					t.Errorf("%s is missing in %q", calls[i].Tool, tools)
				}
				if !allowed.OK {
					t.Errorf("%s: the allowed call came back as %+v", calls[i].Tool, allowed)
				}
				if denied.OK || !strings.Contains(denied.Text, because) {
					t.Errorf("%s: the denied call came back as %+v", calls[i].Tool, denied)
				}
				heard, err := os.ReadFile(b.heard[server])
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Contains(heard, []byte(welcome)) {
					t.Errorf("%s: the allowed call never reached the server", calls[i].Tool)
				}
				if bytes.Contains(heard, []byte(forbidden)) {
					t.Errorf("%s: the denied call reached the server", calls[i].Tool)
				}
			}
			if slices.Contains(tools, "memory__delete_entities") {
				t.Error("a tool that nobody may call is listed")
			}
			if text, err := os.ReadFile(path(welcome)); err != nil || string(text) != welcome {
				t.Errorf("the allowed file holds %q, %v", text, err)
			}
			if _, err := os.Stat(path(forbidden)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the forbidden file is there (%v)", err)
			}
		})
	}
}

// TestListeningIn shows that what the tests above take for silence would have
// been heard: a server behind the same wrapping, without a gate.
func TestListeningIn(t *testing.T) {
	heard := filepath.Join(t.TempDir(), "heard")
	cmd, err := rig.Node(t.Context(), "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio")
	fetched(t, err)
	c := client{"client", "client", "", true, nil}
	if _, answers := c.run(t, target{Command: overheard(heard, cmd.Args)}, call{"echo", map[string]any{"message": "forbidden-word"}}); !answers[0].OK {
		t.Fatalf("the call came back as %+v", answers[0])
	}
	if text, err := os.ReadFile(heard); err != nil || !bytes.Contains(text, []byte("forbidden-word")) {
		t.Errorf("the call was not heard: %q, %v", text, err)
	}
}
