package app

import (
	"context"
	"errors"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/identity"
)

// Runs implements control.Runs.
func (a *App) Runs() []identity.RunStatus { return a.runs.List(identity.AtSocket()) }

// ShowRun implements control.Runs.
func (a *App) ShowRun(ctx context.Context, id string) (identity.ShownRun, error) {
	return a.runs.Show(ctx, identity.AtSocket(), id)
}

// BeginRun implements control.RunChanges.
func (a *App) BeginRun(ctx context.Context, wanted control.NewRun) (identity.Begun, error) {
	if err := a.verify(ctx, wanted.Secret); err != nil {
		return identity.Begun{}, err
	}
	return a.runs.Begin(ctx, identity.Operator(), identity.NewRun{Agent: wanted.Agent, User: wanted.For, Task: wanted.Task, Parent: wanted.Parent})
}

// TellRun implements control.RunChanges.
func (a *App) TellRun(ctx context.Context, id string, told control.Told) error {
	if err := a.verify(ctx, told.Secret); err != nil {
		return err
	}
	return a.runs.Say(ctx, identity.Operator(), id, told.Text)
}

// EndRun implements control.RunChanges. Ending only tightens, so nobody is
// asked, but for a standing run: its end clears what is remembered.
func (a *App) EndRun(ctx context.Context, id string, end control.RunEnd) (control.RunEnded, error) {
	caller := identity.AtSocket()
	if end.Secret != "" {
		if err := a.verify(ctx, end.Secret); err != nil {
			return control.RunEnded{}, err
		}
		caller = identity.Operator()
	}
	instead, err := a.runs.End(ctx, caller, id)
	return control.RunEnded{Run: id, Instead: instead}, err
}

// Sources implements control.Sources.
func (a *App) Sources() []identity.SourceStatus { return a.identities.Sources() }

// AddSource implements control.Sources.
func (a *App) AddSource(ctx context.Context, source control.NewSource) (control.SourceToken, error) {
	if err := a.verify(ctx, source.Secret); err != nil {
		return control.SourceToken{}, err
	}
	token, expires, err := a.identities.AddSource(ctx, source.Name, source.Lifetime)
	if err != nil {
		return control.SourceToken{}, err
	}
	// A token that is not on the record is not handed out.
	if err := a.gateway.Record(ctx, "source added "+source.Name, operator, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return control.SourceToken{}, err
	}
	return control.SourceToken{Source: source.Name, Token: token, Expires: expires}, nil
}

// RevokeSource implements control.Sources. It only tightens: nobody is asked.
func (a *App) RevokeSource(ctx context.Context, name string) error {
	err := a.identities.RevokeSource(ctx, name)
	if !errors.Is(err, identity.ErrNoToken) { // after any other error it is revoked until the next start
		a.record(ctx, "source revoked "+name, "control socket", sallyport.Digest{}, sallyport.Digest{})
	}
	return err
}
