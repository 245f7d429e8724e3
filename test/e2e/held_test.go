package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/rig"
)

const asksPeople = `
@id("all") permit (principal, action, resource);
@id("people") @ask("people") @because("people decide")
forbid (principal, action == Action::"everything/tool:echo", resource)
when { context.input.message like "held-*" };`

// How each client is told that people are asked. Those that are "parked" want no
// progress and declare no pages.
var heldClients = []struct {
	client
	rung string
}{
	{client{"progress", "client", "", false, []string{"--progress"}}, "progress"},
	{client{"progress-modern", "client", "modern", false, []string{"--progress"}}, "progress"},
	{client{"progress-stdio", "client", "", true, []string{"--progress"}}, "progress"},
	{client{"page", "client", "", false, []string{"--open"}}, "page"},
	{client{"page-modern", "client", "modern", false, []string{"--open"}}, "page"},
	{client{"page-stdio", "client", "", true, []string{"--open"}}, "page"},
	{client{"inspector-legacy", "inspector", "legacy", false, nil}, "parked"},
	{client{"inspector-modern", "inspector", "modern", false, nil}, "parked"},
	{client{"openai-agents", "openai-agents", "", false, nil}, "parked"},
	{client{"langchain", "langchain", "", false, nil}, "parked"},
	{client{"ai-sdk", "ai-sdk", "", false, nil}, "parked"},
}

// person is somebody who answers the questions of a gate.
type person struct {
	binary, state, secret string
}

// verb runs a verb as this person.
func (p person) verb(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.binary, append(args, "--dir", p.state)...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// asked is the one question that there is.
func (p person) asked(t *testing.T) (id string) {
	t.Helper()
	var all []struct{ ID, State string }
	if err := json.Unmarshal(p.verb(t, "approvals", "list", "-o", "json"), &all); err != nil || len(all) != 1 || all[0].State != "pending" {
		t.Fatalf("asked: %v, %v", all, err)
	}
	return all[0].ID
}

// answers waits for a question, leaves the agent waiting for a moment, and
// answers.
func (p person) answers(t *testing.T, yes bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var all []struct{ ID, State string }
		if err := json.Unmarshal(p.verb(t, "approvals", "list", "-o", "json"), &all); err != nil {
			t.Error(err)
			return
		}
		for _, a := range all {
			if a.State != "pending" {
				continue
			}
			time.Sleep(time.Second)
			if yes {
				p.verb(t, "approvals", "approve", a.ID, "--secret-file", p.secret)
			} else {
				p.verb(t, "approvals", "deny", a.ID, "--reason", "not today, thanks", "--secret-file", p.secret)
			}
			return
		}
	}
	t.Error("nobody was asked")
}

func startAsking(t *testing.T) (*rig.Gate, target, person, string) {
	t.Helper()
	binary, dir := build(t), t.TempDir()
	cmd, err := rig.Node(context.Background(), "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio")
	fetched(t, err)
	heard := filepath.Join(dir, "heard")
	gate, err := rig.StartGate(t.Context(), binary, dir, map[string]rig.Server{"everything": {Command: overheard(heard, cmd.Args)}}, asksPeople)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Stop)
	state := filepath.Join(dir, "state")
	token, err := rig.Mint(t.Context(), binary, state, "shim")
	if err != nil {
		t.Fatal(err)
	}
	to := target{URL: "http://" + gate.Agent + "/mcp", Command: []string{binary, "stdio", "--dir", state, "--token-file", token}}
	return gate, to, person{binary, state, filepath.Join(state, "shim.secret")}, heard
}

// Every client hears as well as it can that people are asked, and what they say:
// the call runs once, or their reason arrives. Who can't wait makes the identical
// call again.
func TestHeldCallsOfRealClients(t *testing.T) {
	gate, to, operator, heard := startAsking(t)
	for _, c := range heldClients {
		for _, yes := range []bool{true, false} {
			if !yes && c.stdio {
				continue // as over HTTP
			}
			t.Run(fmt.Sprintf("%s/%v", c.name, yes), func(t *testing.T) {
				message := fmt.Sprintf("held-%s-%v", c.name, yes)
				echo := call{"everything__echo", map[string]any{"message": message}}
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					operator.answers(t, yes)
				}()
				_, first := c.run(t, to, echo)
				<-answered
				last, rung := first[0], ""
				switch {
				case len(last.Opened) > 0:
					rung = "page"
					if !strings.HasPrefix(last.Opened[0], "http://"+gate.Listen+"/console/approvals/a_") || len(last.Opened) > 1 {
						t.Errorf("shown %q", last.Opened)
					}
				case len(last.Progress) > 0:
					rung = "progress"
					if !strings.Contains(last.Progress[0], "Waiting for approval a_") || !strings.Contains(last.Progress[0], "by people") {
						t.Errorf("told %q", last.Progress)
					}
				case strings.Contains(last.Text, "Waiting for approval"):
					rung = "parked"
					_, second := c.run(t, to, echo)
					last = second[0]
				}
				if rung != c.rung {
					t.Errorf("it was told by %q, not by %q", rung, c.rung)
				}
				text, err := os.ReadFile(heard)
				if err != nil {
					t.Fatal(err)
				}
				times := strings.Count(string(text), message)
				if yes && (!last.OK || !strings.Contains(last.Text, message) || times != 1) {
					t.Errorf("agreed to: %+v, and the server heard it %d times", last, times)
				}
				if !yes && (last.OK || !strings.Contains(last.Text, "not today, thanks") || times != 0) {
					t.Errorf("refused: %+v, and the server heard it %d times", last, times)
				}
			})
		}
	}
}

// A held call as a task of a server that has tasks: it survives a loss of power
// while it waits for people and another one when they have agreed, and then it is
// carried out once.
func TestHeldTaskSurvivesKills(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	fixture, err := rig.TypeScriptFixture(t.Context())
	fetched(t, err)
	t.Cleanup(fixture.Stop)
	policy := strings.NewReplacer("everything/tool:echo", "ts/tool:test_simple_text", `when { context.input.message like "held-*" }`, "").Replace(asksPeople)
	gate, err := rig.StartGate(t.Context(), binary, dir, map[string]rig.Server{"ts": {URL: fixture.URL}}, policy)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	if _, err := rig.Mint(t.Context(), binary, state, "human"); err != nil {
		t.Fatal(err)
	}
	operator := person{binary, state, filepath.Join(state, "human.secret")}
	again := func() {
		t.Helper()
		gate.Kill()
		if gate, err = rig.Up(t.Context(), binary, dir, 1); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { gate.Stop() }()

	task := stateless(t, gate, "tools/call", "test_simple_text", `"name":"test_simple_text","arguments":{}`)
	if task.ResultType != "task" || task.Status != "working" {
		t.Fatalf("no task: %s", task.raw)
	}
	get := func() result {
		t.Helper()
		return stateless(t, gate, "tasks/get", task.TaskID, `"taskId":"`+task.TaskID+`"`)
	}
	again()
	if now := get(); now.Status != "working" {
		t.Errorf("after a restart: %+v", now)
	}
	operator.verb(t, "approvals", "approve", operator.asked(t), "--secret-file", operator.secret)
	again()
	var now result
	for range 100 {
		if now = get(); now.Status != "working" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if now.Status != "completed" || !strings.Contains(string(now.Result), "a plain text for the test") {
		t.Errorf("agreed to: %+v", now)
	}
	if log := string(operator.verb(t, "log", "query", "--type", "intent", "-o", "json")); strings.Count(log, "ts/tool:test_simple_text") != 1 {
		t.Errorf("on the record:\n%s", log)
	}
}

// result is a result of the stateless era, with what there is of a task.
type result struct {
	ResultType, TaskID, Status, StatusMessage string
	Result                                    json.RawMessage
	raw                                       []byte
}

// stateless makes a request of an agent that takes tasks; params are members
// without braces.
func stateless(t *testing.T, gate *rig.Gate, method, name, params string) (r result) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gate.Agent+"/mcp/ts", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name} {
		request.Header.Set(key, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var answer struct{ Result result }
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || answer.Result.ResultType == "" {
		t.Fatalf("%v: %s", err, text)
	}
	answer.Result.raw = text
	return answer.Result
}
