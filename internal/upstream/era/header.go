package era

import (
	"bytes"

	"sallyport"
	"sallyport/internal/wire"
)

// Headers are the headers that repeat what a request's body says (MCP
// 2026-07-28, Streamable HTTP): the method, the name, and the arguments that
// the pinned definition of the tool, nil for none, marks.
func Headers(method string, params sallyport.Value, tool *sallyport.Definition) wire.Header {
	h := wire.Header{wire.HeaderMethod: {method}}
	if name, ok := wire.EncodeHeader(wire.NameOf(method, params)); ok {
		h[wire.HeaderName] = []string{name}
	}
	if tool == nil || method != "tools/call" || !bytes.Contains(tool.Raw.Raw(), []byte("x-mcp-header")) {
		return h
	}
	for _, param := range wire.ParamHeaders(tool.Raw.Get("inputSchema")) {
		if value, ok := wire.EncodeHeader(param.Argument(params.Get("arguments"))); ok {
			h[param.Name] = []string{value}
		}
	}
	return h
}
