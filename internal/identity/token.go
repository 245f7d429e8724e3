package identity

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport"
)

// TokenPrefix begins every token, so that secret scanners can find one that
// went astray.
const TokenPrefix = "sp_"

// DefaultLifetime is how long a token is valid unless said otherwise.
const DefaultLifetime = 90 * 24 * time.Hour

// agentPrefix begins the store's name of an agent's credential.
const agentPrefix = "agent/"

// credential is an agent's token as it is kept.
type credential struct {
	Agent
	Declared bool             `json:"declared,omitempty"` // the agent itself is in the configuration
	Token    sallyport.Digest `json:"token"`
	Created  time.Time        `json:"created"`
	Expires  time.Time        `json:"expires"`
	Revoked  time.Time        `json:"revoked,omitzero"`
}

// Status is an agent as people see it.
type Status struct {
	Name     string
	Agent    Agent
	Tenant   string // the agent's or, when it has none of its own, its user's
	Declared bool   // in the configuration; else it was added with its token
	Created  time.Time
	Expires  time.Time // zero when it has no token
	State    string    // "active", "no token", "expired", "revoked", or why it can't be used
}

// Errors of changes.
var (
	ErrHasToken = errors.New("has a token already")
	ErrNoAgent  = errors.New("there is no such agent; \"sallyport agents list\" shows all")
)

// Add makes an agent with a token, or the first token of an agent that the
// configuration declares; then agent must be empty. The token is returned
// once and kept as a hash. Only a human may do this; the caller checks.
func (i *Identities) Add(ctx context.Context, name string, agent Agent, lifetime time.Duration) (token string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !sallyport.ValidAgent(name) {
		return "", fmt.Errorf("%q can't be an agent's name: use a-z, 0-9, and . _ @ - behind the first letter, at most 64", name)
	}
	_, declared := i.people.Agents[name]
	if declared && agent != (Agent{}) {
		return "", fmt.Errorf("agent %s is declared in the configuration: its role, user and tenant are set there", name)
	}
	if !declared {
		if k := i.people.know(name, agent); k.problem != nil {
			return "", k.problem
		}
	}
	if c, exists := i.credentials[name]; exists && c.Revoked.IsZero() && i.now().Before(c.Expires) {
		return "", fmt.Errorf("agent %s %w: \"sallyport agents rotate %s\" makes another and ends the old one", name, ErrHasToken, name)
	}
	return i.mint(ctx, name, credential{Agent: agent, Declared: declared}, lifetime)
}

// Rotate makes a new token for an agent; its old one is refused from the next
// call on. Only a human may do this; the caller checks.
func (i *Identities) Rotate(ctx context.Context, name string, lifetime time.Duration) (token string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, exists := i.credentials[name]
	if !exists {
		if _, declared := i.people.Agents[name]; !declared {
			return "", fmt.Errorf("%s: %w", name, ErrNoAgent)
		}
		c.Declared = true
	}
	return i.mint(ctx, name, c, lifetime)
}

// mint replaces an agent's token. The caller holds mu.
func (i *Identities) mint(ctx context.Context, name string, c credential, lifetime time.Duration) (string, error) {
	if lifetime <= 0 {
		return "", errors.New("a token needs a lifetime")
	}
	token := newToken(TokenPrefix)
	c.Token, c.Created, c.Revoked = hashToken(token), i.now(), time.Time{}
	c.Expires = c.Created.Add(lifetime)
	return token, i.save(ctx, name, c)
}

// newToken is 256 bits that nobody can guess, as text behind a prefix.
func newToken(prefix string) string {
	var random [32]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return prefix + encoding.EncodeToString(random[:])
}

// Revoke ends an agent's token and shuts its listener: its next call is
// refused, whichever way it comes in.
func (i *Identities) Revoke(ctx context.Context, name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, exists := i.credentials[name]
	if !exists {
		if _, declared := i.people.Agents[name]; !declared {
			return fmt.Errorf("%s: %w", name, ErrNoAgent)
		}
		c.Declared = true // it has no token, but it may have a listener
	}
	if !c.Revoked.IsZero() {
		return nil
	}
	c.Revoked = i.now()
	// In force even when it can't be saved: losing a revocation would loosen.
	err := i.save(ctx, name, c)
	i.credentials[name] = c
	i.publish()
	return err
}

// save writes a credential durably before it is in force.
func (i *Identities) save(ctx context.Context, name string, c credential) error {
	record, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := i.store.SaveCredential(ctx, agentPrefix+name, record); err != nil {
		return fmt.Errorf("saving the credential of agent %s: %w", name, err)
	}
	i.credentials[name] = c
	i.publish()
	return nil
}

// List shows every agent in order of name.
func (i *Identities) List() []Status {
	i.mu.Lock()
	defer i.mu.Unlock()
	names := map[string]bool{}
	for name := range i.people.Agents {
		names[name] = true
	}
	for name := range i.credentials {
		names[name] = true
	}
	var all []Status
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, i.status(name))
	}
	return all
}

func (i *Identities) status(name string) Status {
	agent, declared := i.people.Agents[name]
	c, exists := i.credentials[name]
	if !declared {
		agent = c.Agent
	}
	known := i.people.know(name, agent)
	problem := known.problem
	s := Status{
		Name: name, Agent: agent, Tenant: known.principal.Tenant, Declared: declared,
		Created: c.Created, Expires: c.Expires, State: "active",
	}
	switch {
	case exists && !c.Revoked.IsZero():
		s.State = "revoked"
	case c.Declared && !declared:
		s.State = "no longer declared"
	case problem != nil:
		s.State = problem.Error()
	case !exists:
		s.State = "no token"
	case !i.now().Before(c.Expires):
		s.State = "expired"
	}
	return s
}
