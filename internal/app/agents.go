package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/app/people"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/policy/source"
)

// Agents implements control.Agents.
func (a *App) Agents() []control.Agent {
	listeners := a.Addresses().Listeners
	all := []control.Agent{}
	for _, s := range a.identities.List() {
		all = append(all, control.Agent{
			Name: s.Name, Role: s.Agent.Role, For: s.Agent.User, Tenant: s.Tenant,
			Declared: s.Declared, State: s.State, Expires: s.Expires, Listener: listeners[s.Name],
		})
	}
	return all
}

// AddAgent implements control.Agents.
func (a *App) AddAgent(ctx context.Context, agent control.NewAgent) (control.Token, error) {
	if err := a.verify(ctx, agent.Secret); err != nil {
		return control.Token{}, err
	}
	return a.mint(ctx, agent, "agent added "+agent.Name, operator, a.identities.Add)
}

// RotateAgent implements control.Agents.
func (a *App) RotateAgent(ctx context.Context, agent control.NewAgent) (control.Token, error) {
	if err := a.verify(ctx, agent.Secret); err != nil {
		return control.Token{}, err
	}
	if token, good := a.stillGood(ctx, agent.Name, agent.Unless); good {
		return token, nil
	}
	return a.mint(ctx, agent, "agent rotated "+agent.Name, operator,
		func(ctx context.Context, name string, _ identity.Agent, lifetime time.Duration) (string, error) {
			token, err := a.identities.Rotate(ctx, name, lifetime)
			if err == nil {
				err = a.runs.EndBegunBy(ctx, name)
			}
			return token, err
		})
}

// stillGood says whether a token is the agent's and would be let in.
func (a *App) stillGood(ctx context.Context, agent, token string) (control.Token, bool) {
	if token == "" {
		return control.Token{}, false
	}
	principal, _, err := a.identities.Identify(ctx, sallyport.Credential{Token: token})
	if err != nil || principal.Agent != agent {
		return control.Token{}, false
	}
	for _, s := range a.identities.List() {
		if s.Name == agent {
			return control.Token{Agent: agent, Token: token, Expires: s.Expires}, true
		}
	}
	return control.Token{}, false
}

// ErrHasToken says that tokens were given out before.
var ErrHasToken = errors.New("an agent has a token already")

// StarterAgent is the agent that the first start gives a token, of those that
// are declared and have no listener: the preferred one, else the first; "" for
// none.
func (a *App) StarterAgent(preferred string) string {
	first := ""
	for _, agent := range a.Agents() {
		switch {
		case !agent.Declared || agent.Listener != "":
		case agent.Name == preferred:
			return agent.Name
		case first == "":
			first = agent.Name
		}
	}
	return first
}

// FirstTokens mints the first tokens of agents that the configuration
// declares, for whoever starts a gateway that has never given out any.
func (a *App) FirstTokens(ctx context.Context, names ...string) ([]control.Token, error) {
	for _, s := range a.identities.List() {
		if !s.Created.IsZero() || s.State == "revoked" {
			return nil, ErrHasToken
		}
	}
	var tokens []control.Token
	for _, name := range names {
		token, err := a.mint(ctx, control.NewAgent{Name: name, Lifetime: identity.DefaultLifetime}, "agent added "+name, "first start", a.identities.Add)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func (a *App) mint(ctx context.Context, agent control.NewAgent, subject, by string,
	make func(context.Context, string, identity.Agent, time.Duration) (string, error)) (control.Token, error) {
	if err := a.config().Declares(agent.Role, agent.Tenant); err != nil {
		return control.Token{}, err
	}
	token, err := make(ctx, agent.Name, identity.Agent{Role: agent.Role, User: agent.For, Tenant: agent.Tenant}, agent.Lifetime)
	if err != nil {
		return control.Token{}, err
	}
	// A token that is not on the record is not handed out.
	if err := a.gateway.Record(ctx, subject, by, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return control.Token{}, err
	}
	for _, s := range a.identities.List() {
		if s.Name == agent.Name {
			return control.Token{Agent: s.Name, Token: token, Expires: s.Expires}, nil
		}
	}
	return control.Token{}, fmt.Errorf("agent %s is gone", agent.Name)
}

// RevokeAgent implements control.Agents. It only tightens: nobody is asked.
func (a *App) RevokeAgent(ctx context.Context, name string) error {
	err := a.identities.Revoke(ctx, name)
	if !errors.Is(err, identity.ErrNoAgent) { // after any other error it is revoked until the next start
		err = errors.Join(err, a.runs.EndOf(ctx, name))
		a.record(ctx, "agent revoked "+name, "control socket", sallyport.Digest{}, sallyport.Digest{})
	}
	return err
}

// ErasePayloads implements control.Payloads. It destroys evidence, so it is the
// human's to say, and on the record before it is done.
func (a *App) ErasePayloads(ctx context.Context, erasure control.Erasure) error {
	if err := a.verify(ctx, erasure.Secret); err != nil {
		return err
	}
	if err := a.gateway.Record(ctx, "payloads erased "+erasure.Run, operator, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return err
	}
	return a.store.EraseRun(ctx, erasure.Run)
}

// Enrolled implements control.Human.
func (a *App) Enrolled() bool { return a.human.Enrolled() }

// People implements control.Human.
func (a *App) People() []string { return a.human.People() }

// Enroll implements control.Human.
func (a *App) Enroll(ctx context.Context, enrolment control.Enrolment) error {
	who := cmp.Or(enrolment.As, operator)
	if _, declared := a.config().Users[who]; !declared && who != operator {
		return fmt.Errorf("no user %q is declared in the configuration%s", who, source.Meant(who, slices.Sorted(maps.Keys(a.config().Users))))
	}
	// On the record first: an enrolment that nobody sees must not be.
	if err := a.gateway.Record(ctx, people.Subject("human enrolls", who), "control socket", sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return err
	}
	if err := a.human.Enroll(ctx, who, enrolment.Secret, enrolment.Current); err != nil {
		a.record(ctx, people.Subject("human not enrolled", who), "control socket", sallyport.Digest{}, sallyport.Digest{})
		return err
	}
	return a.console.Leave(ctx, who)
}
