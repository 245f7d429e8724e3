package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// serve is a small MCP server of 2025-11-25 that answers with plain JSON.
func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Name      string `json:"name"`
			Arguments struct {
				Text string `json:"text"`
				KiB  int    `json:"kib"`
			} `json:"arguments"`
		} `json:"params"`
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
	switch message.Method {
	case "initialize":
		w.Header().Set("Mcp-Session-Id", "bench")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}}`, message.ID)
	case "ping":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{}}`, message.ID)
	case "tools/list":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":%s}}`, message.ID, tools)
	case "tools/call":
		text := message.Params.Arguments.Text
		if message.Params.Name == "blob" {
			text = strings.Repeat("All customers were told of the change. ", message.Params.Arguments.KiB*1024/39)
		}
		quoted, _ := json.Marshal(text)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]}}`, message.ID, quoted)
	default:
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, message.ID)
	}
}

// tools are 64: two that are called and 62 beside them, as a real gateway has.
var tools = func() string {
	list := []string{
		`{"name":"echo","description":"Says it again.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}`,
		`{"name":"blob","description":"Says much.","inputSchema":{"type":"object","properties":{"kib":{"type":"integer"}},"required":["kib"]}}`,
	}
	for i := range 62 {
		list = append(list, fmt.Sprintf(`{"name":"other_%d","description":"Another tool.","inputSchema":{"type":"object","properties":{"id":{"type":"string"},"amount":{"type":"integer"},"note":{"type":"string"}}}}`, i))
	}
	return "[" + strings.Join(list, ",") + "]"
}()
