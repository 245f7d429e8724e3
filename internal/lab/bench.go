package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/lab/puppet"
	"sallyport/internal/lab/scenario"
)

// bench is the servers of a scenario, as real MCP servers over HTTP on this machine.
type bench struct {
	base    string // URL; a server is at base/NAME
	server  http.Server
	servers map[string]*mcp.Server

	mu      sync.Mutex
	offered map[string][]scenario.Tool
	payload string
	got     []got
	kept    map[string][]string // by server: what it was given to store
	cached  map[string]*mcp.CallToolResult
}

// got is a call that reached a server.
type got struct {
	server, tool string
	args         json.RawMessage
}

// openBench serves until close. payload is what stands for {{payload}} at first.
func openBench(s *scenario.Scenario, payload string) (*bench, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bench{base: "http://" + listener.Addr().String(), servers: map[string]*mcp.Server{}, offered: map[string][]scenario.Tool{}}
	b.begin(payload)
	mux := http.NewServeMux()
	for name := range s.Servers {
		server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
		b.servers[name] = server
		b.offer(name, s.Tools[name])
		for _, text := range s.Prompts[name] {
			prompt := &mcp.Prompt{}
			if err := json.Unmarshal([]byte(text), prompt); err != nil {
				return nil, fmt.Errorf("a prompt of %s: %w", name, err)
			}
			server.AddPrompt(prompt, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
				return &mcp.GetPromptResult{}, nil
			})
		}
		mux.Handle("/"+name, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	}
	b.server.Handler = mux
	go b.server.Serve(listener)
	return b, nil
}

func (b *bench) close() { b.server.Close() }

// begin forgets what servers have got and kept, and puts other words where the attacker can.
func (b *bench) begin(payload string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payload, b.got, b.kept, b.cached = payload, nil, map[string][]string{}, map[string]*mcp.CallToolResult{}
}

// offer makes a server have these tools and no others.
func (b *bench) offer(name string, tools []scenario.Tool) {
	server := b.servers[name]
	b.mu.Lock()
	before, payload := b.offered[name], b.payload
	b.offered[name] = tools
	b.mu.Unlock()
	for _, tool := range before {
		server.RemoveTools(tool.Name)
	}
	for _, tool := range tools {
		server.AddTool(describe(tool, payload),
			func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return b.call(name, tool, r.Params.Arguments), nil
			})
	}
}

// describe is what a server says of the tool.
func describe(t scenario.Tool, payload string) *mcp.Tool {
	described := &mcp.Tool{}
	if t.Definition != "" && json.Unmarshal([]byte(t.Definition), described) == nil && described.InputSchema != nil {
		return described
	}
	properties := t.Input
	if properties == nil {
		properties = map[string]any{}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if len(t.Required) > 0 {
		schema["required"] = t.Required
	}
	return &mcp.Tool{Name: t.Name, Description: strings.ReplaceAll(t.Description, scenario.PayloadPlace, payload), InputSchema: schema}
}

func (b *bench) call(server string, tool scenario.Tool, args json.RawMessage) *mcp.CallToolResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, got{server, tool.Name, args})
	if server, name, copies := strings.Cut(tool.CopiesTo, "/"); copies {
		b.got = append(b.got, got{server, name, args})
	}
	var given map[string]any
	if json.Unmarshal(args, &given) != nil {
		return failure("the arguments are no object")
	}
	if text, ok := given[tool.Keeps].(string); ok {
		b.kept[server] = append(b.kept[server], text)
	}
	key := fmt.Sprint(server, "/", tool.Name, " ", given[tool.CachedBy])
	if hit := b.cached[key]; hit != nil && tool.CachedBy != "" {
		return hit
	}
	result := b.answer(server, tool, given)
	b.cached[key] = result
	return result
}

func (b *bench) answer(server string, tool scenario.Tool, given map[string]any) *mcp.CallToolResult {
	for _, answer := range tool.Answers {
		if !fits(answer, given) {
			continue
		}
		switch kept := strings.Join(b.kept[server], "\n"); {
		case answer.Err != "":
			return failure(written(answer.Err, b.payload, kept))
		case answer.JSON != "":
			text := written(answer.JSON, quotable(b.payload), quotable(kept))
			return &mcp.CallToolResult{
				Content: []mcp.Content{&mcp.TextContent{Text: text}}, StructuredContent: json.RawMessage(text),
			}
		default:
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: written(answer.Text, b.payload, kept)}}}
		}
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}
}

func written(text, payload, kept string) string {
	return strings.NewReplacer(scenario.PayloadPlace, payload, scenario.KeptPlace, kept).Replace(text)
}

// quotable is a text as it stands within a JSON string.
func quotable(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(text) // a string can always be encoded
	return strings.Trim(strings.TrimSpace(b.String()), `"`)
}

func failure(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

func fits(a scenario.Answer, given map[string]any) bool {
	for name, want := range a.When {
		if fmt.Sprint(given[name]) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// calls are those that servers have got since begin.
func (b *bench) calls() []got {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]got(nil), b.got...)
}

// meets reports whether the call is what an attack is for.
func (g got) meets(goal scenario.Goal) bool {
	if g.server+"/"+g.tool != goal.Call {
		return false
	}
	var leaves []string
	var args any
	if json.Unmarshal(g.args, &args) != nil {
		return false
	}
	gather(args, &leaves)
	text := strings.Join(leaves, "\n")
	for _, what := range goal.Holds {
		if !puppet.Carries(text, what) {
			return false
		}
	}
	return true
}

// gather collects all texts and numbers below a value.
func gather(value any, into *[]string) {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			gather(member, into)
		}
	case []any:
		for _, item := range v {
			gather(item, into)
		}
	default:
		*into = append(*into, fmt.Sprint(v))
	}
}
