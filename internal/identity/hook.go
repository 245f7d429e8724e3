package identity

// HookAgent is the agent in whose standing run a client's hook speaks that has
// no credential of a run. It takes a source of kind hook, with one agent: of
// several nobody could say which one it is.
func (c Caller) HookAgent() (string, error) {
	switch {
	case c.kind != hookCaller:
		return "", forbidden("%s is no hook of a client: give it the token of a source of kind hook (sources: in the configuration)", c.By())
	case len(c.source.Agents) != 1:
		return "", forbidden("source %s reaches %d agents, so nobody knows whose call this is: give the client a source with one agent, or start it with \"sallyport run\"", c.name, len(c.source.Agents))
	}
	return c.source.Agents[0], nil
}

// IsAgent reports whether the caller is an agent in its run.
func (c Caller) IsAgent() bool { return c.kind == agentCaller }
