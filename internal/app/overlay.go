package app

import (
	"maps"

	"sallyport"
	"sallyport/internal/app/ruling"
	"sallyport/internal/config"
	"sallyport/internal/importer"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
)

// CommandServer is what the server given on the command line is called.
const CommandServer = "local"

// commandPolicy goes with the server given on the command line: it may be
// read, and for anything else it has to be configured.
const commandPolicy = `@id("local-reads")
permit (principal, action in Action::"effect:read", resource == Server::"local");
`

// overlay is a ruling with what the command line says over it. Nobody has to
// accept that: whoever starts the gateway says it, for this start. So it is put
// into force, and never compared or kept: it would hide what the files say.
func (o *Options) overlay(r *ruling.Ruling, pins []pin.Pin) *ruling.Ruling {
	over, c := *r, *r.Config
	over.Config = &c
	if o.Observe {
		c.Mode = config.Observe
	}
	if len(o.Command) == 0 {
		return &over
	}
	s := config.Server{Command: o.Command[0], Effects: proposedEffects(CommandServer, pins)}
	for _, arg := range o.Command[1:] {
		s.Args = append(s.Args, config.Text{Value: arg})
	}
	c.Servers = maps.Clone(c.Servers)
	if c.Servers == nil {
		c.Servers = map[string]config.Server{}
	}
	c.Servers[CommandServer] = s
	over.More = []policy.File{{Name: "command-line.cedar", Text: []byte(commandPolicy)}}
	return &over
}

// proposedEffects reads effects off what a server says of its tools. They are
// shown when the server is accepted, and they stay as long as its words do.
func proposedEffects(server string, pins []pin.Pin) map[string]config.EffectList {
	effects := map[string]config.EffectList{}
	for _, proposal := range importer.Propose([]importer.Listed{{Tools: listedTools(server, pins)}}) {
		for _, tool := range proposal.Tools {
			effects[tool.Tool] = config.EffectList{tool.Effect}
		}
	}
	return effects
}

func listedTools(server string, pins []pin.Pin) []importer.Tool {
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
			tools = append(tools, importer.ToolOf(value))
		}
	}
	return tools
}
