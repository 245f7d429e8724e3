package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/importer/wording"
)

// Tool is what a server says about one of its tools. All of it is the server's
// claim. The hints are MCP's tool annotations (2025-11-25); nil is not given.
type Tool struct {
	Name, Title, Description string
	ReadOnlyHint             *bool
	DestructiveHint          *bool
}

// Listed is a server with its tools.
type Listed struct {
	Server Server
	Tools  []Tool
}

// ToolEffect is a proposal for one tool.
type ToolEffect struct {
	Tool   string
	Effect sallyport.Effect
	Known  bool   // false: nothing says what the tool does, so the effect is the strictest
	Reason string // for the human who confirms it; never quotes the server
}

// Proposal is what import proposes for one server.
type Proposal struct {
	Server Server
	Tools  []ToolEffect // by name
	Odd    int          // tools left out because of their names; they count as exec
}

// plainToolName is what MCP recommends for tool names (2025-11-25, tools). Any
// other name is left out: one with a * would be read as a pattern in our
// configuration and so loosen other tools.
var plainToolName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`)

// Propose suggests an effect for each tool, for a human to confirm. What it
// can't tell gets the strictest. Annotations only tighten: a hostile server
// says of itself that it is harmless.
func Propose(listed []Listed) []Proposal {
	var proposals []Proposal
	for _, l := range listed {
		p := Proposal{Server: l.Server}
		for _, tool := range l.Tools {
			if plainToolName.MatchString(tool.Name) {
				p.Tools = append(p.Tools, propose(tool))
			} else {
				p.Odd++
			}
		}
		// A tool that a server lists twice keeps the strictest of its effects.
		slices.SortStableFunc(p.Tools, func(a, b ToolEffect) int {
			return cmp.Or(strings.Compare(a.Tool, b.Tool), wording.Strictness(b.Effect)-wording.Strictness(a.Effect))
		})
		p.Tools = slices.CompactFunc(p.Tools, func(a, b ToolEffect) bool { return a.Tool == b.Tool })
		proposals = append(proposals, p)
	}
	slices.SortFunc(proposals, func(a, b Proposal) int { return strings.Compare(a.Server.Name, b.Server.Name) })
	return proposals
}

func propose(tool Tool) ToolEffect {
	e := ToolEffect{Tool: tool.Name}
	claim := func(where string, effect sallyport.Effect, word string) {
		if word != "" && (!e.Known || wording.IsStricter(effect, e.Effect)) {
			e.Effect, e.Known, e.Reason = effect, true, fmt.Sprintf("the %s says %q", where, word)
		}
	}
	effect, word := wording.Name(tool.Name)
	claim("name", effect, word)
	effect, word = wording.Sentence(tool.Title)
	claim("title", effect, word)
	effect, word = wording.Sentence(tool.Description)
	claim("description", effect, word)

	is := func(hint *bool, value bool) bool { return hint != nil && *hint == value }
	switch {
	case !e.Known && is(tool.ReadOnlyHint, true):
		e.Effect, e.Reason = sallyport.Exec, "only the server's own hint calls it read-only: the strictest until you know"
	case !e.Known:
		e.Effect, e.Reason = sallyport.Exec, "nothing says what it does: the strictest until you know"
	case e.Effect == sallyport.Read && is(tool.DestructiveHint, true) && !is(tool.ReadOnlyHint, true):
		e.Effect, e.Reason = sallyport.Delete, "it sounds like reading, but the server calls it destructive"
	case e.Effect == sallyport.Read && is(tool.ReadOnlyHint, false):
		e.Effect, e.Reason = sallyport.Write, "it sounds like reading, but the server says it is not read-only"
	}
	return e
}
