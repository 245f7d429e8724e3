package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport"
)

// SourcePrefix begins the token of a source.
const SourcePrefix = TokenPrefix + "src_"

// sourceRecord begins the store's name of a source's credential.
const sourceRecord = "source/"

// Source is what may begin runs, or say what users said, without a human: a
// launcher, an orchestrator, a client's prompt hook.
type Source struct {
	Kind   sallyport.Strength // never StrengthHuman
	Agents []string           // whose runs it reaches
	Users  []string           // for whom besides the agents' own users
}

// SourceStatus is a source as people see it.
type SourceStatus struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Agents   []string  `json:"agents"`
	Users    []string  `json:"users"`
	State    string    `json:"state"` // "active", "no token", "expired", "revoked", "no longer declared"
	Expires  time.Time `json:"expires,omitzero"`
	declared bool
}

// knownSource is a source by its token.
type knownSource struct {
	name    string
	source  Source
	expires time.Time
}

// ErrNoToken says that there is nothing to revoke.
var ErrNoToken = errors.New("has no token; \"sallyport sources list\" shows all")

// ErrNoSource says that the configuration declares no such source.
var ErrNoSource = errors.New("the configuration declares no such source: write it below sources: first")

// AddSource makes a token for a source that the configuration declares. It is
// returned once and kept as a hash. Only a human may do this; the caller
// checks.
func (i *Identities) AddSource(ctx context.Context, name string, lifetime time.Duration) (token string, expires time.Time, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, declared := i.people.Sources[name]; !declared {
		return "", time.Time{}, fmt.Errorf("%s: %w", name, ErrNoSource)
	}
	if c, exists := i.sources[name]; exists && c.Revoked.IsZero() && i.now().Before(c.Expires) {
		return "", time.Time{}, fmt.Errorf("source %s %w: end it with \"sallyport sources revoke %s\", then add another", name, ErrHasToken, name)
	}
	if lifetime <= 0 {
		return "", time.Time{}, errors.New("a token needs a lifetime")
	}
	now := i.now()
	token = newToken(SourcePrefix)
	c := credential{Declared: true, Token: hashToken(token), Created: now, Expires: now.Add(lifetime)}
	return token, c.Expires, i.saveSource(ctx, name, c)
}

// RevokeSource ends a source's token. The runs that it began go on.
func (i *Identities) RevokeSource(ctx context.Context, name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, exists := i.sources[name]
	if !exists {
		return fmt.Errorf("source %s %w", name, ErrNoToken)
	}
	c.Revoked = i.now()
	err := i.saveSource(ctx, name, c)
	i.sources[name] = c // even when it can't be saved
	i.publish()
	return err
}

// saveSource writes a source's credential durably before it is in force.
func (i *Identities) saveSource(ctx context.Context, name string, c credential) error {
	record, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := i.store.SaveCredential(ctx, sourceRecord+name, record); err != nil {
		return fmt.Errorf("saving the credential of source %s: %w", name, err)
	}
	i.sources[name] = c
	i.publish()
	return nil
}

// Sources shows every source in order of name.
func (i *Identities) Sources() []SourceStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := map[string]SourceStatus{}
	for name, s := range i.people.Sources {
		all[name] = SourceStatus{Name: name, Kind: string(s.Kind), Agents: s.Agents, Users: s.Users, State: "no token", declared: true}
	}
	for name, c := range i.sources {
		s := all[name]
		s.Name, s.Expires, s.State = name, c.Expires, "active"
		switch {
		case !c.Revoked.IsZero():
			s.State = "revoked"
		case !s.declared:
			s.State = "no longer declared"
		case !i.now().Before(c.Expires):
			s.State = "expired"
		}
		all[name] = s
	}
	list := []SourceStatus{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// publishSources adds to an index the sources that are declared and have a
// token. The caller holds mu.
func (i *Identities) publishSources(next *index) {
	for name, c := range i.sources {
		if source, declared := i.people.Sources[name]; declared && c.Revoked.IsZero() {
			next.sources[c.Token] = &knownSource{name, source, c.Expires}
		}
	}
}

// sourceOf is the source whose token this is.
func (i *Identities) sourceOf(token string) (*knownSource, error) {
	s := i.current.Load().sources[hashToken(token)]
	switch {
	case s == nil:
		return nil, errors.New("this source's token is not known here, was revoked, or the source is no longer declared: a human can make another with \"sallyport sources add NAME\"")
	case !i.now().Before(s.expires):
		return nil, fmt.Errorf("this token of source %s expired on %s: a human can make another with \"sallyport sources add %s\"",
			s.name, s.expires.UTC().Format(time.DateOnly), s.name)
	}
	return s, nil
}
