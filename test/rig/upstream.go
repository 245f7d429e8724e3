package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Upstream is an MCP server of 2025-11-25 written out by hand: behind a call
// happens what a test says, and nothing else.
type Upstream struct {
	// Call carries out a tools/call and returns its result. The context ends when
	// nobody waits for that any more.
	Call func(ctx context.Context, params json.RawMessage) string

	mu      sync.Mutex
	tools   string
	changed chan struct{} // closed when it offers something else
}

// NewUpstream offers tools, which are a JSON array.
func NewUpstream(tools string, call func(ctx context.Context, params json.RawMessage) string) *Upstream {
	return &Upstream{Call: call, tools: tools, changed: make(chan struct{})}
}

// Serve serves an upstream until stop, which also ends the streams that are open.
func Serve(upstream http.Handler) (url string, stop func()) {
	server := httptest.NewServer(upstream)
	return server.URL, func() {
		server.CloseClientConnections()
		server.Close()
	}
}

// Offer has it offer other tools, and say so.
func (u *Upstream) Offer(tools string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tools = tools
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *Upstream) offered() (tools string, changed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.tools, u.changed
}

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		u.stream(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	if r.Method != http.MethodPost || json.Unmarshal(body, &m) != nil {
		http.Error(w, "POST JSON", http.StatusMethodNotAllowed)
		return
	}
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	result := ""
	switch m.Method {
	case "ping":
		result = `{}`
	case "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"upstream","version":"1"}}`
	case "tools/list":
		tools, _ := u.offered()
		result = `{"tools":` + tools + `}`
	case "tools/call":
		result = u.Call(r.Context(), m.Params)
	}
	answer := `"result":` + result
	if result == "" {
		answer = `"error":{"code":-32601,"message":"Method not found"}`
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
}

// stream says when other tools are offered.
func (u *Upstream) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		_ = http.NewResponseController(w).Flush()
		_, changed := u.offered()
		select {
		case <-changed:
			fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
		case <-r.Context().Done():
			return
		}
	}
}
