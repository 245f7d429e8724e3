package app

import (
	"maps"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/importer"
	"sallyport/internal/manifest"
	"sallyport/internal/policy"
)

// CommandServer is what the server given on the command line is called.
const CommandServer = "local"

// commandPolicy goes with the server given on the command line: it may be
// read, and for anything else it has to be configured.
const commandPolicy = `@id("local-reads")
permit (principal, action in Action::"effect:read", resource == Server::"local");
`

// overlay puts what the command line says over a ruling. Nobody has to accept
// it: whoever starts the gateway says it, for this start.
func (o *Options) overlay(r *ruling, pins []gateway.Pin) {
	config := *r.config // others are reading the old one
	r.config = &config
	if o.Observe {
		config.Mode = Observe
	}
	if len(o.Command) == 0 {
		return
	}
	s := Server{Command: o.Command[0], Effects: proposedEffects(CommandServer, pins)}
	for _, arg := range o.Command[1:] {
		s.Args = append(s.Args, Text{Value: arg})
	}
	config.Servers = maps.Clone(config.Servers)
	if config.Servers == nil {
		config.Servers = map[string]Server{}
	}
	config.Servers[CommandServer] = s
	r.more = []policy.File{{Name: "command-line.cedar", Text: []byte(commandPolicy)}}
}

// proposedEffects reads effects off what a server says of its tools. They are
// shown when the server is accepted, and they stay as long as its words do.
func proposedEffects(server string, pins []gateway.Pin) map[string]EffectList {
	effects := map[string]EffectList{}
	for _, proposal := range importer.Propose([]importer.Listed{{Tools: listedTools(server, pins)}}) {
		for _, tool := range proposal.Tools {
			effects[tool.Tool] = EffectList{tool.Effect}
		}
	}
	return effects
}

func listedTools(server string, pins []gateway.Pin) []importer.Tool {
	var tools []importer.Tool
	for _, pin := range pins {
		if kind, _ := pin.Key.Split(); pin.Server != server || kind != sallyport.KindTool {
			continue
		}
		raw := pin.Raw
		if raw == nil {
			raw = pin.Seen
		}
		if value, err := sallyport.Parse(raw); err == nil {
			tools = append(tools, listedTool(value))
		}
	}
	return tools
}

func listedTool(raw sallyport.Value) importer.Tool {
	text := func(name string) string {
		text, _ := raw.Get(name).Text()
		return text
	}
	hint := func(name string) *bool {
		switch raw.Get("annotations").Get(name).Type() {
		case sallyport.True:
			return new(true)
		case sallyport.False:
			return new(false)
		default:
			return nil
		}
	}
	return importer.Tool{
		Name: text("name"), Title: text("title"), Description: text("description"),
		ReadOnlyHint: hint("readOnlyHint"), DestructiveHint: hint("destructiveHint"),
	}
}

// toolsOf are the tools of a manifest.
func toolsOf(m manifest.Manifest) []importer.Tool {
	var tools []importer.Tool
	for _, key := range m.Keys() {
		if kind, _ := key.Split(); kind == sallyport.KindTool {
			tools = append(tools, listedTool(m.Items[key].Raw))
		}
	}
	return tools
}
