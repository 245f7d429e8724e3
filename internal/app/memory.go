package app

import (
	"sallyport"
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
	use := memory.Use{Meanings: c.Meanings(server, tool)}
	use.Audience, use.Declared = c.Audience(server, tool)
	return use
}
