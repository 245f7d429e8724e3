package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts plays testdata/script against the built-in servers. Besides
// testscript's own commands they have:
//
//	up [ARGS…]               start a gateway on the directory ./state and wait until it listens
//	down                     interrupt it and wait for its end
//	gone                     wait for its end, which comes by itself
//	call AGENT TOOL [JSON]   call a tool with the token in the file AGENT.token; the result's text is the output
//	v1 NAME STATUS METHOD PATH [JSON]  ask for runs over HTTP with the token in NAME.token, and expect this status
//	code N sallyport ARGS…   run and expect exactly this exit code
//	mode NAME OCTAL          expect a file's permissions
//	eventually sallyport …   run until it succeeds, up to 10 s
//	prints FORMAT sallyport … run and expect json or yaml on standard output and nothing else
//	first NAME REGEXP        set the variable to the first match in the last output
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("HOME", env.WorkDir)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "secret"), []byte("correct horse battery\n"), 0o600); err != nil {
				return err
			}
			if err := documentedLimits(filepath.Join(env.WorkDir, "limits.yaml")); err != nil {
				return err
			}
			return starterOnFreePort(filepath.Join(env.WorkDir, "state"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"up": startGateway, "down": stopGateway, "gone": awaitEnd, "call": callTool, "code": exitsWith,
			"mode": hasMode, "eventually": eventually, "first": firstMatch, "prints": printsFormat, "v1": asksForRuns,
		},
	})
}

// starterOnFreePort makes a state directory as the first start does, but for
// the port: tests run beside each other.
func starterOnFreePort(dir string) error {
	if err := writeStarter(dir); err != nil {
		return err
	}
	name := filepath.Join(dir, "sallyport.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, bytes.Replace(text, []byte("127.0.0.1:7717"), []byte("127.0.0.1:0"), 1), 0o600)
}

// documentedLimits writes the example of docs/limits.md, but for the port.
func documentedLimits(name string) error {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	return os.WriteFile(name, []byte(strings.Replace(example, "127.0.0.1:7717", "127.0.0.1:0", 1)), 0o600)
}

// running are the gateways that scripts have started, by directory: an
// *exec.Cmd each. Scripts run at the same time.
var running sync.Map

func startGateway(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("state")
	addresses := ts.MkAbs("addresses.json")
	os.Remove(addresses)
	binary, err := exec.LookPath("sallyport")
	ts.Check(err)
	command := exec.Command(binary, append([]string{"up", "--dir", dir, "--addr-file", addresses}, args...)...)
	command.Dir = ts.MkAbs(".")
	command.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "NO_COLOR=1"}
	log, err := os.Create(ts.MkAbs("up.log"))
	ts.Check(err)
	command.Stdout, command.Stderr = log, log
	ts.Check(command.Start())
	running.Store(dir, command)
	ts.Defer(func() {
		command.Process.Kill()
		command.Wait()
		log.Close()
	})
	for range 400 {
		said, _ := os.ReadFile(ts.MkAbs("up.log"))
		if text, err := os.ReadFile(addresses); err == nil && welcomed.Match(said) {
			var at struct{ Listen string }
			ts.Check(json.Unmarshal(text, &at))
			ts.Setenv("LISTEN", at.Listen)
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	said, _ := os.ReadFile(ts.MkAbs("up.log"))
	ts.Fatalf("the gateway does not listen:\n%s", said)
}

// welcomed matches the end of what up says when it is ready.
var welcomed = regexp.MustCompile(`--method tools/list|Agents connect with the token|No agent is declared`)

func stopGateway(ts *testscript.TestScript, neg bool, args []string) {
	started, ok := running.Load(ts.MkAbs("state"))
	if !ok {
		ts.Fatalf("no gateway was started here")
	}
	ts.Check(started.(*exec.Cmd).Process.Signal(os.Interrupt))
	awaitEnd(ts, neg, args)
}

func awaitEnd(ts *testscript.TestScript, neg bool, args []string) {
	started, ok := running.Load(ts.MkAbs("state"))
	if !ok {
		ts.Fatalf("no gateway was started here")
	}
	if err := started.(*exec.Cmd).Wait(); err != nil {
		said, _ := os.ReadFile(ts.MkAbs("up.log"))
		ts.Fatalf("the gateway ended with %v:\n%s", err, said)
	}
}

type withToken string

func (token withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

func callTool(ts *testscript.TestScript, neg bool, args []string) {
	token := strings.Fields(ts.ReadFile(args[0] + ".token"))[0]
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "script", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: "http://" + ts.Getenv("LISTEN") + "/mcp", HTTPClient: &http.Client{Transport: withToken(token)}, MaxRetries: -1,
	}, nil)
	var text string
	failed := true
	if err == nil {
		defer session.Close()
		arguments := json.RawMessage(`{}`)
		if len(args) > 2 {
			arguments = json.RawMessage(args[2])
		}
		var result *mcp.CallToolResult
		if result, err = session.CallTool(ctx, &mcp.CallToolParams{Name: args[1], Arguments: arguments}); err == nil {
			failed = result.IsError
			for _, content := range result.Content {
				if t, ok := content.(*mcp.TextContent); ok {
					text += t.Text
				}
			}
		}
	}
	if err != nil {
		text = err.Error()
	}
	fmt.Fprintln(ts.Stdout(), text)
	if failed != neg {
		ts.Fatalf("the call ended with %s", text)
	}
}

func asksForRuns(ts *testscript.TestScript, neg bool, args []string) {
	body := ""
	if len(args) > 4 {
		body = args[4]
	}
	request, err := http.NewRequest(args[2], "http://"+ts.Getenv("LISTEN")+"/v1/runs"+args[3], strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	response, err := withToken(strings.Fields(ts.ReadFile(args[0] + ".token"))[0]).RoundTrip(request)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), string(text))
	if fmt.Sprint(response.StatusCode) != args[1] {
		ts.Fatalf("status %d, want %s: %s", response.StatusCode, args[1], text)
	}
}

func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if e, ok := err.(*exec.ExitError); ok {
		exit = e
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func hasMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		ts.Fatalf("%s belongs to user %d", args[0], stat.Uid)
	}
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	var err error
	for range 200 {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s never succeeded: %v", strings.Join(args, " "), err)
}

func printsFormat(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec(args[1], append(args[2:], "-o", args[0])...))
	text := ts.ReadFile("stdout")
	var value any
	if args[0] == "json" {
		ts.Check(json.Unmarshal([]byte(text), &value))
	} else {
		ts.Check(yaml.Unmarshal([]byte(text), &value))
	}
	switch value.(type) {
	case map[string]any, []any:
	default:
		ts.Fatalf("%s is no value of %s:\n%s", strings.Join(args[1:], " "), args[0], text)
	}
}

func firstMatch(ts *testscript.TestScript, neg bool, args []string) {
	match := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if match == nil {
		ts.Fatalf("the output has no match for %s", args[1])
	}
	ts.Setenv(args[0], match[len(match)-1])
}

// TestPanicsEndAsASentence: nobody is shown a stack trace.
func TestPanicsEndAsASentence(t *testing.T) {
	var errs bytes.Buffer
	code := run([]string{"version"}, nil, panicking{}, &errs)
	if code != exitError || strings.Contains(errs.String(), "goroutine") || !strings.Contains(errs.String(), "an error in the program") {
		t.Errorf("exit code %d, said %q", code, errs.String())
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("no") }
