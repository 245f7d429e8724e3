package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// script is a scripted MCP server of 2025-11-25: what it lists, and what it
// answers to "METHOD NAME" (else {"content":[]}).
type script struct {
	Instructions string                     `json:"instructions"`
	Tools        []json.RawMessage          `json:"tools"`
	Prompts      []json.RawMessage          `json:"prompts"`
	Resources    []json.RawMessage          `json:"resources"`
	Templates    []json.RawMessage          `json:"templates"`
	Answers      map[string]json.RawMessage `json:"answers"`
	// Becomes replaces the tools once "METHOD NAME" has been called.
	Becomes map[string][]json.RawMessage `json:"becomes"`
}

// scripted serves a script and remembers what reached it.
type scripted struct {
	mu     sync.Mutex
	script script
	seen   []string
}

func newScripted(t *testing.T, text string) *scripted {
	t.Helper()
	s := &scripted{}
	if err := json.Unmarshal([]byte(text), &s.script); err != nil {
		t.Fatalf("server.json: %v", err)
	}
	return s
}

func (s *scripted) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

func (s *scripted) calls() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if message.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if result := s.answer(message.Method, message.Params); result != nil {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, message.ID, result)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, message.ID)
}

func (s *scripted) answer(method string, params json.RawMessage) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := func(member string, items []json.RawMessage) []byte {
		if items == nil {
			items = []json.RawMessage{}
		}
		text, _ := json.Marshal(map[string]any{member: items})
		return text
	}
	switch method {
	case "initialize":
		text, _ := json.Marshal(map[string]any{
			"protocolVersion": "2025-11-25", "instructions": s.script.Instructions,
			"capabilities": map[string]any{"tools": map[string]any{"listChanged": true}, "prompts": map[string]any{}, "resources": map[string]any{}, "completions": map[string]any{}},
			"serverInfo":   map[string]any{"name": "scripted", "version": "1"},
		})
		return text
	case "ping":
		return []byte(`{}`)
	case "server/discover":
		return nil
	case "tools/list":
		return list("tools", s.script.Tools)
	case "prompts/list":
		return list("prompts", s.script.Prompts)
	case "resources/list":
		return list("resources", s.script.Resources)
	case "resources/templates/list":
		return list("resourceTemplates", s.script.Templates)
	}
	s.seen = append(s.seen, method+" "+string(params))
	var named struct{ Name, URI string }
	json.Unmarshal(params, &named)
	key := method + " " + named.Name + named.URI
	if tools := s.script.Becomes[key]; tools != nil {
		s.script.Tools = tools
	}
	if answer := s.script.Answers[key]; answer != nil {
		return answer
	}
	return []byte(`{"content":[]}`)
}
