package control

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sallyport/internal/attention"
)

// Attention is how people look at what they are asked. Shown says that a person was
// shown questions, Together that they answer some at once; whoever has not enrolled
// is nobody.
type Attention interface {
	Shown(ctx context.Context, who string, questions ...string)
	Together(who string, questions []string)
	Stats(ctx context.Context, since, until time.Time) (attention.Stats, error)
}

func attentionHandler(mux *http.ServeMux, look Attention) {
	mux.Handle("GET /attention", answer(func(r *http.Request, _ struct{}) (attention.Stats, error) {
		var between [2]time.Time
		for i, name := range []string{"since", "until"} {
			var err error
			if between[i], err = time.Parse(time.RFC3339, r.URL.Query().Get(name)); err != nil {
				return attention.Stats{}, errors.New("say since and until when, as 2026-11-30T00:00:00Z")
			}
		}
		return look.Stats(r.Context(), between[0], between[1])
	}))
}
