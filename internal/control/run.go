package control

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/identity"
)

// Runs shows runs.
type Runs interface {
	Runs() []identity.RunStatus
	ShowRun(ctx context.Context, id string) (identity.ShownRun, error)
}

// RunChanges begins, tells and ends runs. An error means that it was not done,
// but for EndRun: there the run has ended all the same, when there was one.
type RunChanges interface {
	BeginRun(ctx context.Context, run NewRun) (identity.Begun, error)
	TellRun(ctx context.Context, id string, told Told) error
	EndRun(ctx context.Context, id string, end RunEnd) (RunEnded, error)
}

// Sources are who may begin runs, or say what users said, without a human. An
// error means that nothing was changed, but for RevokeSource: there the token
// is refused all the same.
type Sources interface {
	Sources() []identity.SourceStatus
	AddSource(ctx context.Context, source NewSource) (SourceToken, error)
	RevokeSource(ctx context.Context, name string) error
}

// NewRun asks for a run.
type NewRun struct {
	Secret string `json:"secret"`
	Agent  string `json:"agent,omitempty"`
	For    string `json:"for,omitempty"`
	Task   string `json:"task,omitempty"`
	Parent string `json:"parent,omitempty"`
}

// Told is what the user says to a run.
type Told struct {
	Secret string `json:"secret"`
	Text   string `json:"text"`
}

// RunEnd ends a run; a standing one takes the human's secret.
type RunEnd struct {
	Secret string `json:"secret,omitempty"`
}

// RunEnded is a run that has ended.
type RunEnded struct {
	Run     string `json:"run"`
	Instead string `json:"instead,omitempty"` // the standing run that took its place
}

// NewSource asks for a token of a source.
type NewSource struct {
	Secret   string        `json:"secret"`
	Name     string        `json:"name"`
	Lifetime time.Duration `json:"lifetime"`
}

// SourceToken is a fresh token of a source, shown once.
type SourceToken struct {
	Source  string    `json:"source"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func runHandlers(mux *http.ServeMux, runs Runs, changes RunChanges, sources Sources) {
	mux.Handle("GET /runs", answer(func(*http.Request, struct{}) ([]identity.RunStatus, error) { return runs.Runs(), nil }))
	mux.Handle("GET /runs/{id}", answer(func(r *http.Request, _ struct{}) (identity.ShownRun, error) {
		return runs.ShowRun(r.Context(), r.PathValue("id"))
	}))
	mux.Handle("POST /runs", answer(func(r *http.Request, run NewRun) (identity.Begun, error) {
		return changes.BeginRun(r.Context(), run)
	}))
	mux.Handle("POST /runs/{id}/messages", answer(func(r *http.Request, told Told) (struct{}, error) {
		return struct{}{}, changes.TellRun(r.Context(), r.PathValue("id"), told)
	}))
	mux.Handle("POST /runs/{id}/end", answer(func(r *http.Request, end RunEnd) (RunEnded, error) {
		return changes.EndRun(r.Context(), r.PathValue("id"), end)
	}))
	mux.Handle("GET /sources", answer(func(*http.Request, struct{}) ([]identity.SourceStatus, error) { return sources.Sources(), nil }))
	mux.Handle("POST /sources", answer(func(r *http.Request, source NewSource) (SourceToken, error) {
		return sources.AddSource(r.Context(), source)
	}))
	mux.Handle("POST /sources/{name}/revoke", answer(func(r *http.Request, _ struct{}) (struct{}, error) {
		return struct{}{}, sources.RevokeSource(r.Context(), r.PathValue("name"))
	}))
}
