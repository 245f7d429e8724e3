// Package table is what the tools are that an agent client carries out itself,
// and what they do: the manifest that no server sends.
package table

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"sync"

	"sallyport"
)

// ClaudeCode is the name of Claude Code's own tools, as a built-in server.
const ClaudeCode = "claude-code"

// Unknown stands for every tool that the table does not have. It is taken for
// the worst: its arguments are {"tool": NAME, "input": …}.
const Unknown = "unknown"

// Tool is one of the client's own.
type Tool struct {
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Effects     []sallyport.Effect `json:"effects"`
	InputSchema json.RawMessage    `json:"inputSchema"`
	// Undeclared admits arguments that the schema does not declare.
	Undeclared bool `json:"undeclared"`
	// Echo says that the agent gets nothing back but what it has written itself.
	Echo bool `json:"echo"`
	// Speaks says that the client submits what the agent writes there, as it
	// submits what the user types.
	Speaks bool `json:"speaks"`
	// Public says that everybody may read what it brings.
	Public bool `json:"public"`
}

//go:embed claude-code.json
var claudeCode []byte

var tools = sync.OnceValue(func() []Tool {
	var all []Tool
	decoder := json.NewDecoder(bytes.NewReader(claudeCode))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&all); err != nil {
		panic("the table of a client's tools: " + err.Error()) // it is part of the program, and tested
	}
	return all
})

// Tools are all of the table, in order of name.
func Tools() []Tool { return tools() }

// Lookup finds a tool of the table.
func Lookup(name string) (Tool, bool) {
	all := tools()
	i := slices.IndexFunc(all, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, false
	}
	return all[i], true
}
