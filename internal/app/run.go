package app

import (
	"context"
	"errors"
	"strconv"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// runLog is the log as far as runs need it.
type runLog struct {
	*gateway.Gateway
	store *store.Store
}

var errNoWords = errors.New("this entry has no words")

// Words implements identity.RunLog.
func (l runLog) Words(ctx context.Context, index uint64) ([]byte, error) {
	opened, err := l.store.Show(ctx, strconv.FormatUint(index, 10))
	switch {
	case err != nil:
		return nil, err
	case opened[0].ArgsErr != nil:
		return nil, opened[0].ArgsErr
	case opened[0].Args == nil:
		return nil, errNoWords
	}
	return opened[0].Args.Text, nil
}

// Calls implements identity.RunLog.
func (l runLog) Calls(ctx context.Context, run string) (calls, refused int, err error) {
	counts, err := l.store.Runs(ctx, run, 1)
	if err != nil || len(counts) == 0 {
		return 0, 0, err
	}
	return counts[0].Calls, counts[0].Denied, nil
}

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
