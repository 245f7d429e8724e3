package control

import (
	"context"
	"net/http"

	"sallyport/internal/limits"
)

// Limits are how much there may be of what calls do, and what was taken.
type Limits interface {
	Limits(ctx context.Context) ([]limits.Shown, error)
	Limit(ctx context.Context, name string) (limits.ShownAll, error)
}

func limitHandlers(mux *http.ServeMux, l Limits) {
	mux.Handle("GET /limits", answer(func(r *http.Request, _ struct{}) ([]limits.Shown, error) { return l.Limits(r.Context()) }))
	mux.Handle("GET /limits/{name}", answer(func(r *http.Request, _ struct{}) (limits.ShownAll, error) {
		return l.Limit(r.Context(), r.PathValue("name"))
	}))
}
