package gateway

import (
	"maps"
	"slices"
	"sync"

	"sallyport"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
)

// Reveals reports whether an agent may know that a server is there: when it
// may use at least one thing of it, by the partial decision that lists are made
// by, or has a task open there. To all others the server does not exist, and
// what it says of itself (instructions go straight into a model's context) is
// nothing that they could need.
//
// What is in quarantine counts as it was accepted, so that a server that changes
// does not vanish while a human looks.
func (g *Gateway) Reveals(principal sallyport.Principal, server string) bool {
	if g.Observe() || g.tasks.any(server, principal) {
		return true
	}
	rules, pins := g.Rules(), g.Pins.State()
	known := g.revealed.Load()
	if known == nil || known.rules != rules || known.pins != pins {
		known = &revelations{rules: rules, pins: pins}
		g.revealed.Store(known) // another one's may be lost: it is a cache
	}
	if yes, found := known.find(principal, server); found {
		return yes
	}
	yes := g.mayUse(rules, pins, principal, server)
	known.keep(principal, server, yes)
	return yes
}

func (g *Gateway) mayUse(rules *policy.Rules, pins *pin.State, principal sallyport.Principal, server string) bool {
	may := func(kind sallyport.Kind, name string, tool *sallyport.Definition) bool {
		call := &sallyport.Call{Kind: kind, Server: server, Name: name, Principal: principal}
		return policy.Decide(rules, &sallyport.Facts{Call: call, Tool: tool, Partial: true}).Verdict != sallyport.Deny
	}
	for item := range pins.Accepted(server) {
		if item.Kind != sallyport.KindUnknown && may(item.Kind, item.Name, item) {
			return true
		}
	}
	capabilities, _ := g.Pins.Capabilities(server)
	offers := capabilities.Type() == sallyport.Absent || capabilities.Get("resources").Type() != sallyport.Absent
	return offers && may(sallyport.KindResource, "", nil)
}

// revelations remembers what was found under one policy and one state of the
// pins, so that the many requests of an agent cost one look.
type revelations struct {
	rules *policy.Rules
	pins  *pin.State

	mu    sync.RWMutex
	found map[revelation]revealedTo
}

type revelation struct{ server, agent, user, tenant string }

type revealedTo struct {
	principal sallyport.Principal
	yes       bool
}

// maxRevelations bounds what is remembered.
const maxRevelations = 10_000

func (r *revelations) find(p sallyport.Principal, server string) (yes, found bool) {
	r.mu.RLock()
	to, found := r.found[revelation{server, p.Agent, p.User, p.Tenant}]
	r.mu.RUnlock()
	// Role, groups and attributes change with the configuration alone.
	found = found && to.principal.Role == p.Role && slices.Equal(to.principal.Roles, p.Roles) &&
		slices.Equal(to.principal.Groups, p.Groups) && maps.Equal(to.principal.Attributes, p.Attributes)
	return to.yes, found
}

func (r *revelations) keep(p sallyport.Principal, server string, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil || len(r.found) >= maxRevelations {
		r.found = map[revelation]revealedTo{}
	}
	r.found[revelation{server, p.Agent, p.User, p.Tenant}] = revealedTo{p, yes}
}
