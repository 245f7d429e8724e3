package app

import (
	"context"

	"sallyport"
	"sallyport/internal/app/past"
	"sallyport/internal/judge"
	"sallyport/internal/memory"
	"sallyport/internal/provenance"
)

// Definitions implements memory.Servers.
func (a *App) Definitions() []sallyport.Definition { return a.pins.Definitions() }

// Declaration implements memory.Servers.
func (a *App) Declaration(server string) provenance.Declaration {
	return a.config().Declaration(server)
}

// Use implements memory.Servers.
func (a *App) Use(server, tool string) memory.Use {
	c := a.config()
	use := memory.Use{Memory: c.Servers[server].Memory, Meanings: c.Meanings(server, tool)}
	use.Audience, use.Declared = c.Audience(server, tool)
	return use
}

// Written implements memory.Servers.
func (a *App) Written(ctx context.Context, server string, most int) ([]memory.Act, bool, error) {
	return past.Past{Store: a.store, Runs: a.runs}.Written(ctx, server, most, a.config().Servers[server].Arguments != nil)
}

// narrowed are memories of which a judge narrows what a task needs.
type narrowed struct {
	*memory.Memories
	judges *judge.Judges
}

// Flow implements gateway.Memories.
func (n narrowed) Flow(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) *sallyport.Flow {
	flow := n.Memories.Flow(ctx, call, tool)
	n.judges.Narrow(ctx, call, tool, flow)
	return flow
}
