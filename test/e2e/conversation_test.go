package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAggregateConversations is TestAggregate for what takes more than one
// message: what servers ask, log lines, subscriptions, changes of lists, tasks.
func TestAggregateConversations(t *testing.T) {
	gate := startThree(t)
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		every := func(t *testing.T) *connection {
			return connectAs(t, "http://"+gate.Agent+"/mcp", era, able)
		}
		alone := func(t *testing.T, server string) *connection {
			return connectAs(t, "http://"+gate.Agent+"/mcp/"+server, era, able)
		}
		for _, c := range conversations {
			if c.era != "" && c.era != era {
				continue
			}
			t.Run(era+" "+c.server+" "+c.name, func(t *testing.T) {
				own := c.hold(t, c.server, alone(t, c.server), func(name string) string { return name }, func(uri string) string { return uri })
				among := c.hold(t, c.server, every(t), func(name string) string { return shownAs(c.server) + name },
					func(uri string) string { return shownAt(c.server) + uri })
				for i := range among {
					among[i] = passing.ReplaceAllString(ownNames(c.server, among[i]), `"$1":"…"`)
				}
				for i := range own {
					own[i] = passing.ReplaceAllString(own[i], `"$1":"…"`)
				}
				if !slices.Equal(own, among) {
					t.Errorf("differs:\nalone:     %s\namong all: %s", strings.Join(own, "\n           "), strings.Join(among, "\n           "))
				}
				if all := strings.Join(own, "\n"); !strings.Contains(all, c.holds) {
					t.Errorf("nothing was compared: no %q in\n%s", c.holds, all)
				}
			})
		}
	}
}

// passing is what is new each time: state, handles and times.
var passing = regexp.MustCompile(`"(requestState|taskId|createdAt|lastUpdatedAt)":"[^"]*"`)

const able = `{"elicitation":{},"sampling":{},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`

const watched = "test://watched-resource"

// conversation is held once with a server alone and once among all, and gives
// every message that came.
type conversation struct {
	name, server, era string
	holds             string // must be in what came, or nothing was compared
	hold              func(t *testing.T, server string, c *connection, name, uri func(string) string) []string
}

var conversations = []conversation{
	{"elicitation", "both", "2025-11-25", "elicitation/create", asking("test_elicitation", map[string]any{"message": "Who?"})},
	{"sampling", "both", "2025-11-25", "sampling/createMessage", asking("test_sampling", map[string]any{"prompt": "Hi"})},
	{"elicitation", "both", "2026-07-28", "elicitation/create", asking("test_input_required_result_elicitation", nil)},
	{"sampling", "both", "2026-07-28", "sampling/createMessage", asking("test_input_required_result_sampling", nil)},
	{"roots", "both", "2026-07-28", "roots/list", asking("test_input_required_result_list_roots", nil)},
	{"sealed state", "both", "2026-07-28", "state-ok", asking("test_input_required_result_request_state", nil)},
	{"elicitation", "stateless", "2026-07-28", "elicitation/create", asking("test_input_required_result_elicitation", nil)},
	{"sampling", "stateless", "2026-07-28", "sampling/createMessage", asking("test_input_required_result_sampling", nil)},
	{"roots", "stateless", "2026-07-28", "roots/list", asking("test_input_required_result_list_roots", nil)},
	{"log lines", "both", "", "notifications/message", logging},
	{"subscription", "both", "", "notifications/resources/updated", subscribing},
	{"changed list", "both", "2026-07-28", "notifications/tools/list_changed", listening},
	{"changed list", "stateless", "2026-07-28", "notifications/tools/list_changed", listening},
	{"task", "both", "2026-07-28", "a.txt deleted", working},
	{"cancelled task", "both", "2026-07-28", `"status":"cancelled"`, cancelling},
}

func asking(tool string, args map[string]any) func(*testing.T, string, *connection, func(string) string, func(string) string) []string {
	return func(t *testing.T, _ string, c *connection, name, _ func(string) string) []string {
		if args == nil {
			args = map[string]any{}
		}
		return c.converse(t, request{"tools/call", map[string]any{"name": name(tool), "arguments": args}})
	}
}

func logging(t *testing.T, _ string, c *connection, name, _ func(string) string) []string {
	params := map[string]any{"name": name("test_tool_with_logging"), "arguments": map[string]any{}}
	var all []string
	if c.era == "2025-11-25" {
		all = c.send(t, request{"logging/setLevel", map[string]any{"level": "info"}}).messages
	} else {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/logLevel": "info"}
	}
	return append(all, c.send(t, request{"tools/call", params}).messages...)
}

func subscribing(t *testing.T, _ string, c *connection, _, uri func(string) string) []string {
	if c.era == "2026-07-28" {
		return c.hear(t, http.MethodPost, request{"subscriptions/listen", map[string]any{
			"notifications": map[string]any{"resourceSubscriptions": []string{uri(watched)}}}}, 2, func() {})
	}
	all := c.send(t, request{"resources/subscribe", map[string]any{"uri": uri(watched)}}).messages
	all = append(all, c.hear(t, http.MethodGet, request{}, 1, func() {})...)
	return append(all, c.send(t, request{"resources/unsubscribe", map[string]any{"uri": uri(watched)}}).messages...)
}

func listening(t *testing.T, server string, c *connection, name, _ func(string) string) []string {
	change := func() {
		c.send(t, request{"tools/call", map[string]any{"name": name("test_trigger_tool_change"), "arguments": map[string]any{}}})
	}
	return c.hear(t, http.MethodPost, request{"subscriptions/listen", map[string]any{
		"notifications": map[string]any{"toolsListChanged": true, "promptsListChanged": true}}}, 2, change)
}

// begin opens a task and gives its handle, as it is called here.
func (c *connection) begin(t *testing.T, tool string) (task string, all []string) {
	t.Helper()
	all = c.send(t, request{"tools/call", map[string]any{"name": tool, "arguments": map[string]any{"filename": "a.txt"}}}).messages
	var m struct{ Result struct{ TaskID string } }
	if err := json.Unmarshal([]byte(all[0]), &m); err != nil || m.Result.TaskID == "" {
		t.Fatalf("no task was opened: %v %s", err, all)
	}
	return m.Result.TaskID, all
}

// until asks for a task until it has a status.
func (c *connection) until(t *testing.T, task, status string) string {
	t.Helper()
	for range 200 {
		last := c.send(t, request{"tasks/get", map[string]any{"taskId": task}}).messages[0]
		if strings.Contains(last, `"status":"`+status+`"`) {
			return last
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the task never was %s", status)
	return ""
}

func working(t *testing.T, _ string, c *connection, name, _ func(string) string) []string {
	task, all := c.begin(t, name("confirm_delete"))
	all = append(all, c.until(t, task, "input_required"))
	all = append(all, c.send(t, request{"tasks/update", map[string]any{"taskId": task,
		"inputResponses": map[string]any{"confirm": json.RawMessage(answers["elicitation/create"])}}}).messages...)
	return append(all, c.until(t, task, "completed"))
}

func cancelling(t *testing.T, _ string, c *connection, name, _ func(string) string) []string {
	task, all := c.begin(t, name("confirm_delete"))
	all = append(all, c.send(t, request{"tasks/cancel", map[string]any{"taskId": task}}).messages...)
	return append(all, c.until(t, task, "cancelled"))
}

// answers are what is answered to what a server asks.
var answers = map[string]string{
	"elicitation/create":     `{"action":"accept","content":{"name":"Ann","username":"ann","email":"ann@example.com","ok":true,"confirm":true}}`,
	"sampling/createMessage": `{"role":"assistant","model":"m","content":{"type":"text","text":"Paris"}}`,
	"roots/list":             `{"roots":[{"uri":"file:///home"}]}`,
}

// converse sends a request and answers what the server asks meanwhile, in the
// way of the era.
func (c *connection) converse(t *testing.T, r request) (all []string) {
	t.Helper()
	if c.era == "2025-11-25" {
		return c.converseInSession(t, r)
	}
	for range 5 {
		came := c.send(t, r).messages
		all = append(all, came...)
		var m struct {
			Result struct {
				RequestState  *string
				InputRequests map[string]struct{ Method string }
			}
		}
		if err := json.Unmarshal([]byte(came[len(came)-1]), &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Result.InputRequests) == 0 {
			return all
		}
		responses := map[string]any{}
		for key, asked := range m.Result.InputRequests {
			responses[key] = json.RawMessage(answers[asked.Method])
		}
		params := map[string]any{"name": r.params["name"], "arguments": r.params["arguments"], "inputResponses": responses}
		if m.Result.RequestState != nil {
			params["requestState"] = *m.Result.RequestState
		}
		r = request{r.method, params}
	}
	t.Fatalf("asked again and again: %s", all)
	return nil
}

func (c *connection) converseInSession(t *testing.T, r request) (all []string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": r.method, "params": r.params})
	if err != nil {
		t.Fatal(err)
	}
	response := c.post(t, string(body), r)
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return []string{sorted(t, text)}
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok || len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		all = append(all, sorted(t, data))
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		if m.Method == "" {
			return all
		}
		if m.ID == nil {
			continue
		}
		answered := c.post(t, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":`+answers[m.Method]+`}`, request{})
		answered.Body.Close()
		if answered.StatusCode != http.StatusAccepted {
			t.Fatalf("answering %s: %d", m.Method, answered.StatusCode)
		}
	}
	t.Fatalf("no answer came, only %s", all)
	return nil
}

// hear opens a stream and gives its first messages. After the first it does
// something.
func (c *connection) hear(t *testing.T, method string, r request, count int, do func()) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	body := ""
	if method == http.MethodPost {
		text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": r.method, "params": c.withMeta(r.params)})
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	response, err := http.DefaultClient.Do(c.request(t, ctx, method, body, r))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); len(all) < count && lines.Scan(); {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok && len(bytes.TrimSpace(data)) > 0 {
			if all = append(all, sorted(t, data)); len(all) == 1 {
				do()
			}
		}
	}
	if len(all) < count {
		t.Fatalf("%d messages came, want %d: %s", len(all), count, all)
	}
	return all
}
