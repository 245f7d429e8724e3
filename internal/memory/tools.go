package memory

import (
	"regexp"
	"slices"

	"sallyport"
	"sallyport/internal/scope"
)

// toolset is the tools that runs can call, as scope knows them: what a tool does
// is read off its words once, not for every run.
type toolset struct {
	of       []sallyport.Definition // tools alone
	all      []*scope.Tool
	byAction map[string]*scope.Tool
}

// toolsOf is the set of the tools that are pinned now; another one when a tool,
// or what the operator says that it does, is another one.
func (m *Memories) toolsOf(definitions []sallyport.Definition) *toolset {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tools.made(definitions) {
		return m.tools
	}
	s := &toolset{byAction: map[string]*scope.Tool{}}
	for i := range definitions {
		if d := &definitions[i]; d.Kind == sallyport.KindTool {
			t := toolOf(d)
			t.Learn()
			s.of, s.all, s.byAction[d.Action()] = append(s.of, *d), append(s.all, t), t
		}
	}
	m.tools = s
	return s
}

// made reports whether the set was made of these definitions.
func (s *toolset) made(definitions []sallyport.Definition) bool {
	if s == nil {
		return false
	}
	n := 0
	for i := range definitions {
		d := &definitions[i]
		if d.Kind != sallyport.KindTool {
			continue
		}
		if n == len(s.of) {
			return false
		}
		was := &s.of[n]
		if d.Digest != was.Digest || d.Name != was.Name || d.Server != was.Server || !slices.Equal(d.Effects, was.Effects) {
			return false
		}
		n++
	}
	return n == len(s.of)
}

// mint reads the scope again when there are new words or other tools.
func (r *memory) mint(tools *toolset) {
	if r.minted && r.tools == tools {
		return
	}
	r.minted, r.tools, r.scope = true, tools, nil
	if len(r.words) > 0 {
		r.scope = scope.Mint(scope.ReadTask(r.words...), tools.all)
	}
}

// tool is what a call is made to, with what the operator says of its arguments.
func (m *Memories) tool(call *sallyport.Call, definition *sallyport.Definition) *scope.Tool {
	t := *m.toolsOf(m.servers.Definitions()).find(call, definition)
	if meanings := m.servers.Use(call.Server, call.Name).Meanings; meanings != nil {
		t.Roles = meanings
	}
	return &t
}

func (s *toolset) find(call *sallyport.Call, definition *sallyport.Definition) *scope.Tool {
	if t := s.byAction[call.Action()]; t != nil {
		return t
	}
	if definition != nil && definition.Kind == sallyport.KindTool {
		return toolOf(definition)
	}
	t := &scope.Tool{Server: call.Server, Name: call.Name, Effects: effectsOf(definition)}
	if uri, ok := call.Args.Get("uri").Text(); ok && !elsewhere.MatchString(uri) {
		// A name within the server: it leads nowhere else.
		t.Roles = map[string]scope.Role{"uri": scope.RoleQuery}
	}
	return t
}

// elsewhere finds the schemes of what a server would fetch from others, also
// within an address of its own.
var elsewhere = regexp.MustCompile(`(?i)(?:https?|ftps?|wss?)(?::|%3a)|^\s*//`)

func toolOf(d *sallyport.Definition) *scope.Tool {
	description, _ := d.Raw.Get("description").Text()
	return &scope.Tool{Server: d.Server, Name: d.Name, Description: description, Schema: d.Raw.Get("inputSchema"), Effects: effectsOf(d)}
}

// effectsOf are those of a tool; prompts and resources are read.
func effectsOf(d *sallyport.Definition) []sallyport.Effect {
	if d == nil || d.Kind != sallyport.KindTool {
		return onlyRead
	}
	return d.Effects
}

// onlyRead are the effects of what does nothing but read.
var onlyRead = []sallyport.Effect{sallyport.Read}
