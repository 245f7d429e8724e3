package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/test/rig"
)

// TestAggregate sends the same traffic to /mcp and to /mcp/{server} for three
// servers, in both eras, and compares all but the names. The conformance suite
// can't see this: it knows one server.
func TestAggregate(t *testing.T) {
	gate := startThree(t)
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			every := connect(t, "http://"+gate.Agent+"/mcp", era)
			for _, server := range []string{"both", "stateless", "sessions"} {
				t.Run(server, func(t *testing.T) {
					compareNames(t, server, every, connect(t, "http://"+gate.Agent+"/mcp/"+server, era))
				})
			}
		})
	}
}

// startThree starts a gate over a server of both eras, one that knows only the
// new and one that knows only the old.
func startThree(t *testing.T) *rig.Gate {
	t.Helper()
	binary := build(t)
	both, err := rig.TypeScriptFixture(t.Context())
	fetched(t, err)
	t.Cleanup(both.Stop)
	stateless, err := rig.GoFixture(t.Context(), true)
	fetched(t, err)
	t.Cleanup(stateless.Stop)
	sessions, err := rig.Everything(t.Context())
	fetched(t, err)
	t.Cleanup(sessions.Stop)
	gate, err := rig.StartGate(t.Context(), binary, t.TempDir(), map[string]rig.Server{
		"both": {URL: both.URL}, "stateless": {URL: stateless.URL}, "sessions": {URL: sessions.URL},
	}, "permit (principal, action, resource);")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Stop)
	return gate
}

// request is one request, in the server's own names.
type request struct {
	method string
	params map[string]any
}

func traffic(server string) []request {
	call := func(tool string, args map[string]any) request {
		return request{"tools/call", map[string]any{"name": tool, "arguments": args}}
	}
	none := map[string]any{}
	if server == "sessions" {
		return []request{
			call("echo", map[string]any{"message": "hello"}),
			call("echo", none), // refused for its arguments
			call("get-sum", map[string]any{"a": 9007199254740993, "b": 1}),
			call("get-tiny-image", none),
			call("get-resource-links", map[string]any{"count": 3}),
			call("get-structured-content", map[string]any{"location": "Chicago"}),
			call("no-such-tool", none),
			{"prompts/get", map[string]any{"name": "simple-prompt"}},
			{"prompts/get", map[string]any{"name": "no-such-prompt"}},
			{"resources/read", map[string]any{"uri": "test://no/such/resource"}},
		}
	}
	return []request{
		call("test_simple_text", none),
		call("test_image_content", none),
		call("test_embedded_resource", none),
		call("test_multiple_content_types", none),
		call("test_error_handling", none),
		call("no_such_tool", none),
		{"tools/call", map[string]any{"name": "test_tool_with_progress", "arguments": none, "_meta": map[string]any{"progressToken": "p-1"}}},
		{"prompts/get", map[string]any{"name": "test_simple_prompt"}},
		{"prompts/get", map[string]any{"name": "test_prompt_with_arguments", "arguments": map[string]any{"arg1": "x", "arg2": "y"}}},
		{"prompts/get", map[string]any{"name": "test_prompt_with_embedded_resource", "arguments": map[string]any{"resourceUri": "test://x"}}},
		{"prompts/get", map[string]any{"name": "no_such_prompt"}},
		{"resources/read", map[string]any{"uri": "test://static-text"}},
		{"resources/read", map[string]any{"uri": "test://static-binary"}},
		{"resources/read", map[string]any{"uri": "test://template/42/data"}},
		{"resources/read", map[string]any{"uri": "test://no-such-resource"}},
		{"completion/complete", map[string]any{
			"ref":      map[string]any{"type": "ref/prompt", "name": "test_prompt_with_arguments"},
			"argument": map[string]any{"name": "arg1", "value": "par"}}},
	}
}

func compareNames(t *testing.T, server string, every, one *connection) {
	for method, items := range map[string]string{
		"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources", "resources/templates/list": "resourceTemplates",
	} {
		own, all := one.items(t, method, items), every.items(t, method, items)
		all = slices.DeleteFunc(all, func(item string) bool {
			return !strings.Contains(item, shownAs(server)) && !strings.Contains(item, shownAt(server))
		})
		for i := range all {
			all[i] = ownNames(server, all[i])
		}
		if len(own) == 0 && items != "resourceTemplates" {
			t.Errorf("%s: nothing is listed, so nothing is compared", method)
		}
		if !slices.Equal(own, all) {
			t.Errorf("%s differs:\nalone:  %s\namong all: %s", method, own, all)
		}
	}
	for _, r := range traffic(server) {
		alone := one.send(t, r)
		among := every.send(t, request{r.method, shownNames(server, r.params)})
		for i := range among.messages {
			among.messages[i] = ownNames(server, among.messages[i])
		}
		perCall(alone.messages)
		perCall(among.messages)
		if !reflect.DeepEqual(alone, among) {
			t.Errorf("%s %v differs:\nalone:  %+v\namong all: %+v", r.method, r.params, alone, among)
		}
	}
}

// perCall takes out what is new for every call: the id in a refusal, and the
// progress token that a fixture says back, which is the gate's own.
func perCall(messages []string) {
	for i, m := range messages {
		m = callID.ReplaceAllString(m, "CALL")
		messages[i] = tokenSaidBack.ReplaceAllString(m, `"text":"TOKEN"`)
	}
}

var (
	callID        = regexp.MustCompile(`c_[0-9A-Z]{26}`)
	tokenSaidBack = regexp.MustCompile(`"text":"[0-9]+"`)
)

// On /mcp a tool or prompt is server__name, a resource sallyport:server/uri.
func shownAs(server string) string { return server + "__" }
func shownAt(server string) string { return "sallyport:" + server + "/" }

// ownNames turns the names in text back into the server's own.
func ownNames(server, text string) string {
	return strings.NewReplacer(shownAs(server), "", shownAt(server), "").Replace(text)
}

// shownNames is params with what they name as it is called on /mcp.
func shownNames(server string, params map[string]any) map[string]any {
	shown := map[string]any{}
	for key, value := range params {
		switch key {
		case "name":
			value = shownAs(server) + value.(string)
		case "uri":
			value = shownAt(server) + value.(string)
		case "ref":
			value = shownNames(server, value.(map[string]any))
		}
		shown[key] = value
	}
	return shown
}

// connection is a client of one URL in one era, as thin as can be: it must not
// repair what the gate does.
type connection struct {
	url, era, session string
	capabilities      json.RawMessage
}

func connect(t *testing.T, url, era string) *connection {
	t.Helper()
	return connectAs(t, url, era, `{}`)
}

func connectAs(t *testing.T, url, era, capabilities string) *connection {
	t.Helper()
	c := &connection{url: url, era: era, capabilities: json.RawMessage(capabilities)}
	if era == "2026-07-28" {
		return c
	}
	if r := c.send(t, request{"initialize", map[string]any{
		"protocolVersion": era, "capabilities": c.capabilities, "clientInfo": map[string]any{"name": "aggregate", "version": "1"}}}); r.status != http.StatusOK {
		t.Fatalf("initialize at %s: %+v", url, r)
	}
	c.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, request{}).Body.Close()
	return c
}

// reply is what a request brought: the status, how it was written, and every
// message in order, each with its keys sorted.
type reply struct {
	status   int
	kind     string
	messages []string
}

func (c *connection) send(t *testing.T, r request) reply {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": r.method, "params": c.withMeta(r.params)})
	if err != nil {
		t.Fatal(err)
	}
	response := c.post(t, string(body), r)
	defer response.Body.Close()
	if id := response.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	answer := reply{status: response.StatusCode, kind: kind}
	if kind != "text/event-stream" {
		answer.messages = append(answer.messages, sorted(t, text))
		return answer
	}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		if data, ok := bytes.CutPrefix(scan.Bytes(), []byte("data:")); ok && len(bytes.TrimSpace(data)) > 0 {
			answer.messages = append(answer.messages, sorted(t, data))
		}
	}
	return answer
}

// withMeta is params with what belongs to every request of the stateless era.
func (c *connection) withMeta(given map[string]any) map[string]any {
	params := map[string]any{}
	for key, value := range given {
		params[key] = value
	}
	if c.era == "2026-07-28" {
		meta := map[string]any{
			"io.modelcontextprotocol/protocolVersion":    c.era,
			"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "aggregate", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": c.capabilities,
		}
		if given, ok := params["_meta"].(map[string]any); ok {
			for key, value := range given {
				meta[key] = value
			}
		}
		params["_meta"] = meta
	}
	return params
}

func (c *connection) post(t *testing.T, body string, r request) *http.Response {
	t.Helper()
	response, err := http.DefaultClient.Do(c.request(t, t.Context(), http.MethodPost, body, r))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func (c *connection) request(t *testing.T, ctx context.Context, method, body string, r request) *http.Request {
	t.Helper()
	post, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		post.Header.Set("Content-Type", "application/json")
	}
	post.Header.Set("Accept", "application/json, text/event-stream")
	if r.method != "initialize" {
		post.Header.Set("MCP-Protocol-Version", c.era)
	}
	if c.session != "" {
		post.Header.Set("Mcp-Session-Id", c.session)
	}
	if c.era == "2026-07-28" {
		post.Header.Set("Mcp-Method", r.method)
		for _, key := range []string{"name", "uri", "taskId"} {
			if name, ok := r.params[key].(string); ok {
				post.Header.Set("Mcp-Name", name)
			}
		}
	}
	return post
}

// items are the items of a list over all its pages, each with its keys sorted.
func (c *connection) items(t *testing.T, method, items string) []string {
	t.Helper()
	var all []string
	for params := map[string]any{}; ; {
		r := c.send(t, request{method, params})
		var message struct {
			Result map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(r.messages[len(r.messages)-1]), &message); err != nil {
			t.Fatal(err)
		}
		if message.Result == nil {
			t.Fatalf("%s at %s: %+v", method, c.url, r)
		}
		var page []json.RawMessage
		if err := json.Unmarshal(message.Result[items], &page); err != nil {
			t.Fatalf("%s at %s: %v in %+v", method, c.url, err, r)
		}
		for _, item := range page {
			all = append(all, sorted(t, item))
		}
		next := message.Result["nextCursor"]
		if next == nil {
			return all
		}
		params = map[string]any{"cursor": next}
	}
}

// sorted is JSON in one form, numbers as they are. Text that isn't JSON stays.
func sorted(t *testing.T, text []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return fmt.Sprintf("%q", text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
