package app

import (
	"time"

	"sallyport/internal/app/people"
	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/control"
	"sallyport/internal/identity/passkey"
)

// openConsole makes the console, of what answers the command line.
func (a *App) openConsole(c *config.Config) (err error) {
	a.console, err = console.New(console.Parts{Gate: control.Local(a.Control()), Log: a.store, Proof: a.store, People: &people.Visitors{Human: a.human, Config: a.config},
		Passkeys: passkey.New(a.store, time.Now), Record: a.gateway, Now: time.Now, Version: a.options.Version}, c.Hosts, c.TLS != nil)
	return err
}

// ConsoleLink implements control.Console.
func (a *App) ConsoleLink() string { return a.console.Site(a.Addresses().Listen) + a.console.Link() }
