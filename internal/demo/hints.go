package demo

import "github.com/modelcontextprotocol/go-sdk/mcp"

// The annotations of demo tools. They are honest here; a gateway must not count on that.

// Reads is for tools that change nothing.
func Reads() *mcp.ToolAnnotations {
	no := false
	return &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &no}
}

// Adds is for tools that only add records, anew with each call.
func Adds() *mcp.ToolAnnotations {
	no := false
	return &mcp.ToolAnnotations{DestructiveHint: &no, OpenWorldHint: &no}
}

// Sets is for tools that overwrite what was there; repeating the call changes nothing more.
func Sets() *mcp.ToolAnnotations {
	yes, no := true, false
	return &mcp.ToolAnnotations{DestructiveHint: &yes, IdempotentHint: true, OpenWorldHint: &no}
}

// Leaves is for tools whose effect leaves the company and can't be taken back.
func Leaves() *mcp.ToolAnnotations {
	yes := true
	return &mcp.ToolAnnotations{DestructiveHint: &yes, OpenWorldHint: &yes}
}
