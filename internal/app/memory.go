package app

import (
	"sallyport"
	"sallyport/internal/config"
	"sallyport/internal/provenance"
)

// Definitions implements memory.Servers.
func (a *App) Definitions() []sallyport.Definition { return a.pins.Definitions() }

// Declaration implements memory.Servers.
func (a *App) Declaration(server string) provenance.Declaration {
	return provenance.Declaration{Trust: trust(a.config().Servers[server])}
}

func trust(s config.Server) provenance.Trust {
	switch {
	case s.Trust == "first-party", s.Trust == "" && s.Builtin != "":
		return provenance.FirstParty
	case s.Trust == "vetted":
		return provenance.Vetted
	default:
		return provenance.Community
	}
}
