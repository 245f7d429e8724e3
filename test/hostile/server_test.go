package hostile

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// server is an MCP server of 2025-11-25 over HTTP that remembers what reached
// it, and does to single tools what a test wants.
type server struct {
	url string

	mu    sync.Mutex
	tools string // raw
	seen  []string
	do    map[string]func(w http.ResponseWriter, r *http.Request, id string)
	wake  chan string // says something on the session's own stream
}

const getBalance = `{"name":"get_balance","inputSchema":{"type":"object","properties":{"account":{"type":"string"}}}}`

const tools = getBalance + `,
{"name":"get_region","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}},
{"name":"transfer","inputSchema":{"type":"object","properties":{"to":{"type":"string"},"amount":{"type":"integer"},"path":{"type":"string"}},"required":["to"]}}`

func newServer(t testing.TB) *server {
	s := &server{tools: tools, do: map[string]func(http.ResponseWriter, *http.Request, string){}, wake: make(chan string)}
	s.url = serve(t, s)
	return s
}

// serve serves a handler until the test ends.
func serve(t testing.TB, handler http.Handler) (url string) {
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// saw gives what reached the server since the last time: METHOD PARAMS, a line
// each.
func (s *server) saw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.seen, "\n")
	s.seen = nil
	return all
}

// on says what happens when a tool is called. Set before the gate starts.
func (s *server) on(tool string, do func(w http.ResponseWriter, r *http.Request, id string)) {
	s.do[tool] = do
	s.tools += `,{"name":"` + tool + `","inputSchema":{"type":"object"}}`
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for {
			select {
			case text := <-s.wake:
				fmt.Fprintf(w, "data: %s\n\n", text)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil || m.Method == "" || m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	var named struct{ Name string }
	json.Unmarshal(m.Params, &named)
	if do := s.do[named.Name]; do != nil && m.Method == "tools/call" {
		do(w, r, string(m.ID))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if result := s.answer(m.Method, named.Name, string(m.Params)); result != "" {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, m.ID)
}

func (s *server) answer(method, name, params string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch method {
	case "initialize":
		return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"completions":{},"logging":{}},"serverInfo":{"name":"hostile","version":"1"}}`
	case "ping":
		return `{}`
	case "server/discover":
		return ""
	case "tools/list":
		return `{"tools":[` + s.tools + `]}`
	case "prompts/list":
		return `{"prompts":[{"name":"letter","arguments":[{"name":"to"}]}]}`
	case "resources/list":
		return `{"resources":[{"uri":"pay://secrets","name":"secrets"}]}`
	case "resources/templates/list":
		return `{"resourceTemplates":[]}`
	}
	s.seen = append(s.seen, strings.TrimSpace(method+" "+params))
	if name == "get_balance" {
		return `{"content":[{"type":"text","text":"12.50"}]}`
	}
	return `{"content":[{"type":"text","text":"done"}]}`
}

// effects are those of every tool of a server in these tests: what is called
// get_… reads, the rest pays.
const effects = `effects: {"get_*": read, "*": pay}`

func (s *server) as(name string) string {
	return name + `: {url: "` + s.url + `/mcp", ` + effects + `}`
}
