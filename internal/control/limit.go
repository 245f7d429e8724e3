package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sallyport/internal/limits"
)

// Limits are how much there may be of what calls do, and what was taken.
type Limits interface {
	Limits(ctx context.Context) ([]limits.Shown, error)
	Limit(ctx context.Context, name string) (limits.ShownAll, error)
	Course(ctx context.Context, name, account string) (limits.Course, error)
	Spent(ctx context.Context, since time.Time) ([]limits.Spent, error)
}

func limitHandlers(mux *http.ServeMux, l Limits) {
	mux.Handle("GET /limits", answer(func(r *http.Request, _ struct{}) ([]limits.Shown, error) { return l.Limits(r.Context()) }))
	mux.Handle("GET /limits/{name}", answer(func(r *http.Request, _ struct{}) (limits.ShownAll, error) {
		return l.Limit(r.Context(), r.PathValue("name"))
	}))
	mux.Handle("GET /limits/{name}/course", answer(func(r *http.Request, _ struct{}) (limits.Course, error) {
		return l.Course(r.Context(), r.PathValue("name"), r.URL.Query().Get("account"))
	}))
	mux.Handle("GET /spent", answer(func(r *http.Request, _ struct{}) ([]limits.Spent, error) {
		since, err := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
		if err != nil {
			return nil, fmt.Errorf("since: %w", err)
		}
		return l.Spent(r.Context(), since)
	}))
}
