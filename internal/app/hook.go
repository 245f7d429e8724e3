package app

import (
	"maps"
	"os"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/config"
	"sallyport/internal/control"
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
		Hosts: c.Hosts, Origins: c.Origins, Body: int(c.Sizes.Body), Deadline: hookDeadline,
	})
}

// examineHooks says what stays open where a client carries out tools itself.
func (a *App) examineHooks(add examiner) {
	c := a.config()
	if c.ClientServer() == "" {
		return
	}
	one := slices.ContainsFunc(slices.Collect(maps.Values(c.Sources)), func(s config.Source) bool {
		return s.Kind == string(sallyport.StrengthHook) && len(s.Agents) == 1
	})
	if !one {
		add(control.Warning, "declare a source of kind hook with one agent, below sources:", "hooks of Claude Code are known by the credential of a run alone, and what users type does not count as their word")
	}
	add(control.Note, "", "hooks stop a client that asks: an agent with a shell under your user can read the hook's token, say what you would say, take the hooks out, or start programs that no hook sees (docs/hooks.md)")
}

// own is what no tool of a client may touch: whoever can write it decides.
func (a *App) own() own.Things {
	c := a.config()
	things := own.Things{Paths: append([]string{a.options.Dir, a.configPath, c.Dir}, c.Policy...)}
	if c.TLS != nil {
		things.Paths = append(things.Paths, c.TLS.Cert, c.TLS.Key)
	}
	things.Home, _ = os.UserHomeDir() // else ~ leads to the root, and nothing of ours is there
	return things
}
