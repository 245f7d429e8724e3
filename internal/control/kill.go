package control

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/kill"
)

// Kills stops and resumes. After an error of Kill the order is in force all the
// same, unless its scope is nothing that is here; after one of Resume it stays
// in force.
type Kills interface {
	Kills() []kill.Order
	Kill(ctx context.Context, wanted kill.Wanted) (kill.Done, error)
	Resume(ctx context.Context, id, secret string) error
	Drain(ctx context.Context, within time.Duration) (kill.Drained, error)
}

// Resume takes an order out of force.
type Resume struct {
	Secret string `json:"secret"`
}

// Drain lets what runs come to its end, for so long.
type Drain struct {
	Within time.Duration `json:"within"`
}

func killHandlers(mux *http.ServeMux, kills Kills) {
	mux.Handle("GET /kills", answer(func(*http.Request, struct{}) ([]kill.Order, error) { return kills.Kills(), nil }))
	mux.Handle("POST /kills", answer(func(r *http.Request, wanted kill.Wanted) (kill.Done, error) { return kills.Kill(r.Context(), wanted) }))
	mux.Handle("POST /kills/{id}/resume", answer(func(r *http.Request, resume Resume) (struct{}, error) {
		return struct{}{}, kills.Resume(r.Context(), r.PathValue("id"), resume.Secret)
	}))
	mux.Handle("POST /drain", answer(func(r *http.Request, drain Drain) (kill.Drained, error) {
		return kills.Drain(r.Context(), drain.Within)
	}))
}
