package config

import (
	"maps"
	"slices"

	"sallyport"
	"sallyport/internal/hookdoor/table"
	"sallyport/internal/provenance"
)

// ClientServer names the server that stands for the tools which Claude Code
// carries out itself, "" where none is configured.
func (c *Config) ClientServer() string {
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		if c.Servers[name].Builtin == table.ClaudeCode {
			return name
		}
	}
	return ""
}

// checkClient refuses a second one: the same call would be decided by whichever
// comes first.
func (r *reader) checkClient() {
	first := r.config.ClientServer()
	for _, name := range slices.Sorted(maps.Keys(r.config.Servers)) {
		if name != first && r.config.Servers[name].Builtin == table.ClaudeCode {
			r.problem([]any{"servers", name}, "%s stands for the tools of Claude Code already", first)
		}
	}
}

// clientTool is what the table has of a tool of this server, if it is one of a
// client's.
func (s *Server) clientTool(name string) table.Tool {
	if s.Builtin != table.ClaudeCode {
		return table.Tool{}
	}
	tool, _ := table.Lookup(name)
	return tool
}

// clientRules say what everybody may read of what a client's tools bring.
func (s *Server) clientRules() []provenance.Rule {
	if s.Builtin != table.ClaudeCode {
		return nil
	}
	var rules []provenance.Rule
	for _, tool := range table.Tools() {
		if tool.Public {
			rules = append(rules, provenance.Rule{Tool: tool.Name, Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersPublic}})
		}
	}
	return rules
}
