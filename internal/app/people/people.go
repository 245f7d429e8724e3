// Package people is who there is, as the configuration and the enrolled say it.
package people

import (
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/config"
	"sallyport/internal/identity"
)

// Declared are the configuration's users, agents and sources for the package that
// identifies them.
func Declared(c *config.Config) identity.People {
	people := identity.People{Users: map[string]identity.User{}, Agents: map[string]identity.Agent{}, Sources: map[string]identity.Source{}}
	for name, user := range c.Users {
		people.Users[name] = identity.User(user)
	}
	for name, agent := range c.Agents {
		people.Agents[name] = identity.Agent{Role: agent.Role, User: agent.For, Tenant: agent.Tenant}
	}
	for name, source := range c.Sources {
		people.Sources[name] = identity.Source{Kind: sallyport.Strength(source.Kind), Agents: source.Agents, Users: source.Users}
	}
	return people
}

// Terms are those on which people are asked. Of the enrolled only who is declared
// is in any group.
func Terms(c *config.Config, enrolled []string, owner func(agent string) string) *asking.Terms {
	t := &asking.Terms{
		Expire: time.Duration(c.Approvals.Expire), Large: c.Approvals.Large, Classes: map[sallyport.Effect]sallyport.Class{},
		Means: c.Meanings, Groups: map[string][]string{}, Quiet: map[string]asking.Quiet{}, Owner: owner,
		Load: c.Approvals.Load.Cap, Never: c.Approvals.Load.Beyond == config.BeyondDeny,
	}
	if e := c.Approvals.Escalate; e != nil {
		t.After, t.To = time.Duration(e.After), e.To
	}
	for name, hours := range c.Approvals.Quiet {
		t.Quiet[name], _ = asking.ParseQuiet(hours) // it has been checked
	}
	for effect, class := range c.Approvals.Classes {
		t.Classes[sallyport.Effect(effect)] = sallyport.Class(class)
	}
	for _, name := range enrolled {
		if user, declared := c.Users[name]; declared {
			t.Groups[name] = user.Groups
		}
	}
	// Once anybody else has enrolled, also somebody who has left since, nobody
	// answers for groups but their own people.
	if slices.Equal(enrolled, []string{identity.OperatorName}) {
		t.Alone = identity.OperatorName
	}
	return t
}
