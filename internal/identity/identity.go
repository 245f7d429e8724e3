// Package identity says who a credential stands for: which agent, acting for
// which user. It keeps no secret that it could give away: of a token and of
// the human's secret it holds hashes only.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
)

// Store keeps named records durably.
type Store interface {
	// Credentials loads every record by its name. An error means that nobody
	// is known for certain.
	Credentials(ctx context.Context) (map[string][]byte, error)
	// SaveCredential writes one record durably, replacing the one of that
	// name. An error means that it must not be taken as saved.
	SaveCredential(ctx context.Context, name string, record []byte) error
}

// People are the users, agents and sources that the operator declared.
type People struct {
	Users   map[string]User
	Agents  map[string]Agent
	Sources map[string]Source
}

// User is a person for whom agents act.
type User struct {
	Roles      []string
	Groups     []string
	Tenant     string
	Attributes map[string]string // for policy
}

// Agent is a program that acts for a user.
type Agent struct {
	Role   string `json:"role,omitempty"`
	User   string `json:"user,omitempty"`
	Tenant string `json:"tenant,omitempty"` // "" means that of the user
}

// Identities knows every agent and every token but those of runs.
type Identities struct {
	store Store
	now   func() time.Time

	mu          sync.Mutex // held while changing
	people      People
	credentials map[string]credential // by agent
	sources     map[string]credential // by source
	current     atomic.Pointer[index]
}

// index is one immutable state of who is known.
type index struct {
	people   People
	tokens   map[sallyport.Digest]*known
	agents   map[string]*known // that are declared
	everyone map[string]*known // that were not revoked
	sources  map[sallyport.Digest]*knownSource
}

type known struct {
	agent     Agent
	principal sallyport.Principal
	run       sallyport.Run
	expires   time.Time
	problem   error // why this agent can't be used although it is known
}

// Load reads the credentials from their store.
func Load(ctx context.Context, store Store, people People, now func() time.Time) (*Identities, error) {
	records, err := store.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading credentials: %w", err)
	}
	i := &Identities{store: store, now: now, people: people, credentials: map[string]credential{}, sources: map[string]credential{}}
	for name, record := range records {
		if source, ok := strings.CutPrefix(name, sourceRecord); ok {
			var c credential
			if err := json.Unmarshal(record, &c); err != nil {
				return nil, fmt.Errorf("the credential of source %s is damaged: %w", source, err)
			}
			i.sources[source] = c
			continue
		}
		agent, ok := strings.CutPrefix(name, agentPrefix)
		if !ok {
			continue
		}
		var c credential
		if err := json.Unmarshal(record, &c); err != nil {
			return nil, fmt.Errorf("the credential of agent %s is damaged: %w", agent, err)
		}
		i.credentials[agent] = c
	}
	return i, i.declare(ctx)
}

// Configure takes other people into force. Whoever is no longer declared is
// refused from the next call on. An error means that not all of this would
// hold after a restart.
func (i *Identities) Configure(ctx context.Context, people People) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.people = people
	return i.declare(ctx)
}

// declare ends the rights that an agent was added with once the configuration
// declares it: they must not come back when the declaration goes, which nobody
// is asked about. The caller holds mu.
func (i *Identities) declare(ctx context.Context) error {
	var errs []error
	for name := range i.people.Agents {
		c, exists := i.credentials[name]
		if !exists || c.Declared {
			continue
		}
		c.Agent, c.Declared = Agent{}, true
		i.credentials[name] = c // even when it can't be saved
		errs = append(errs, i.save(ctx, name, c))
	}
	i.publish()
	return errors.Join(errs...)
}

// publish makes a new index of people and credentials. The caller holds mu.
func (i *Identities) publish() {
	next := &index{people: i.people, tokens: map[sallyport.Digest]*known{}, agents: map[string]*known{},
		everyone: map[string]*known{}, sources: map[sallyport.Digest]*knownSource{}}
	i.publishSources(next)
	for name, agent := range i.people.Agents {
		next.agents[name] = i.people.know(name, agent)
		next.everyone[name] = next.agents[name]
		if !i.credentials[name].Revoked.IsZero() {
			next.agents[name].problem = fmt.Errorf("agent %s was revoked: a human can let it in again with \"sallyport agents rotate %s\"", name, name)
		}
	}
	for name, c := range i.credentials {
		if !c.Revoked.IsZero() {
			continue
		}
		agent, declared := i.people.Agents[name]
		if !declared {
			agent = c.Agent
		}
		k := i.people.know(name, agent)
		if c.Declared && !declared {
			k.problem = fmt.Errorf("agent %s is no longer declared in the configuration", name)
		}
		k.expires = c.Expires
		next.tokens[c.Token], next.everyone[name] = k, k
	}
	i.current.Store(next)
}

func (p People) know(name string, agent Agent) *known {
	user, declared := p.Users[agent.User]
	k := &known{agent: agent, principal: sallyport.Principal{
		Agent: name, Role: agent.Role, User: agent.User, Tenant: agent.Tenant,
		Roles: user.Roles, Groups: user.Groups, Attributes: user.Attributes,
	}}
	if k.principal.Tenant == "" {
		k.principal.Tenant = user.Tenant
	}
	switch {
	case !declared:
		k.problem = fmt.Errorf("agent %s acts for user %q, who is not declared in the configuration", name, agent.User)
	case user.Tenant != "" && k.principal.Tenant != user.Tenant:
		k.problem = fmt.Errorf("agent %s is of tenant %s, but its user %s is of tenant %s", name, k.principal.Tenant, agent.User, user.Tenant)
	}
	k.run = sallyport.Run{ID: standingRun(k.principal), Standing: true}
	return k
}

// Errors of Identify.
var (
	ErrNoCredential = errors.New("no credential: send the header \"Authorization: Bearer sp_…\" with a token made by \"sallyport agents add\"")
	ErrUnknown      = errors.New("this token is not known here or was revoked: a human can make another with \"sallyport agents rotate NAME\"")
)

// Identify says who a credential stands for. A token counts before the
// listener it came in on; a wrong token is refused even on a bound listener.
func (i *Identities) Identify(_ context.Context, credential sallyport.Credential) (sallyport.Principal, sallyport.Run, error) {
	current := i.current.Load()
	var k *known
	switch {
	case credential.Token != "":
		// A lookup by hash: how long it takes says nothing about the token.
		if k = current.tokens[hashToken(credential.Token)]; k == nil {
			return sallyport.Principal{}, sallyport.Run{}, ErrUnknown
		}
		if !i.now().Before(k.expires) {
			return sallyport.Principal{}, sallyport.Run{}, fmt.Errorf("this token of agent %s expired on %s: a human can make another with \"sallyport agents rotate %s\"",
				k.principal.Agent, k.expires.UTC().Format(time.DateOnly), k.principal.Agent)
		}
	case credential.Listener != "":
		if k = current.agents[credential.Listener]; k == nil {
			return sallyport.Principal{}, sallyport.Run{}, fmt.Errorf("this listener is bound to agent %s, which is not declared in the configuration", credential.Listener)
		}
	default:
		return sallyport.Principal{}, sallyport.Run{}, ErrNoCredential
	}
	if k.problem != nil {
		return sallyport.Principal{}, sallyport.Run{}, k.problem
	}
	return k.principal, k.run, nil
}

// standingRun names the run of an identity that has no run credential. It is
// derived, so that a restart, another token or a changed header never gives
// an agent a run with a clean memory.
func standingRun(p sallyport.Principal) string {
	h := sha256.New()
	for _, part := range []string{"sallyport standing run", p.Agent, p.User, p.Tenant} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "r_" + encoding.EncodeToString(h.Sum(nil)[:16])
}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func hashToken(token string) sallyport.Digest { return sha256.Sum256([]byte(token)) }

// Principal is whom an agent's calls are made as, whatever credential it has;
// known is false when the agent can't be used.
func (i *Identities) Principal(agent string) (principal sallyport.Principal, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	declaration, declared := i.people.Agents[agent]
	c, exists := i.credentials[agent]
	if !c.Revoked.IsZero() {
		return sallyport.Principal{}, false
	}
	if !declared {
		if !exists || c.Declared {
			return sallyport.Principal{}, false
		}
		declaration = c.Agent
	}
	k := i.people.know(agent, declaration)
	return k.principal, k.problem == nil
}

// actingFor is an agent's principal when it acts for a user, "" for its own.
func (i *Identities) actingFor(agent, user string) (sallyport.Principal, error) {
	current := i.current.Load()
	k := current.everyone[agent]
	if k == nil {
		return sallyport.Principal{}, fmt.Errorf("there is no agent %s, or it was revoked; \"sallyport agents list\" shows all", agent)
	}
	if k.problem == nil && user != "" && user != k.principal.User {
		k = current.people.know(agent, Agent{Role: k.agent.Role, User: user, Tenant: k.agent.Tenant})
	}
	return k.principal, k.problem
}
