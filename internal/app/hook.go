package app

import (
	"os"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/hookdoor"
	"sallyport/internal/hookdoor/own"
)

// hookDeadline is how long a client may carry out a call until what it brought
// counts as missed: longer than the longest command that Claude Code waits for.
const hookDeadline = 30 * time.Minute

// hooks is the door for clients that carry out tools of their own.
func (a *App) hooks(c *config.Config) *hookdoor.Door {
	return hookdoor.New(hookdoor.Parts{
		Gateway: a.gateway, Runs: a.runs, Missed: a.memories.Missed, Own: a.own, Observe: a.observe.Load,
		Server: func() string { return a.config().ClientServer() },
		Behind: func(server string) bool {
			c := a.config()
			_, configured := c.Servers[server]
			return server == "sallyport" || configured && server != c.ClientServer()
		},
		Hosts: c.Hosts, Origins: c.Origins, Body: int(c.Limits.Body), Deadline: hookDeadline,
	})
}

// own is what no tool of a client may touch: whoever can write it decides.
func (a *App) own() own.Things {
	c := a.config()
	things := own.Things{Paths: append([]string{a.options.Dir, a.configPath, c.Dir}, c.Policy...)}
	things.Home, _ = os.UserHomeDir() // else ~ leads to the root, and nothing of ours is there
	return things
}
