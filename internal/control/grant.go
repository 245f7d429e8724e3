package control

import (
	"cmp"
	"context"
	"net/http"

	"sallyport/internal/asking"
	"sallyport/internal/identity"
	"sallyport/internal/inbox"
)

// Grants are yeses to more calls than one, as inbox.Inbox has them. An error of
// Grant means that nothing was granted; of Revoke, that the grant still counts.
type Grants interface {
	Grants(ctx context.Context, all bool) ([]inbox.Grant, error)
	Forecast(ctx context.Context, wanted inbox.Granting) (inbox.Forecast, error)
	Grant(ctx context.Context, given inbox.Granting) (inbox.Grant, error)
	Revoke(ctx context.Context, id, by, reason string, proof asking.Proof) (inbox.Grant, error)
}

// Revocation ends a grant.
type Revocation struct {
	By     string       `json:"by"`
	Reason string       `json:"reason,omitempty"`
	Proof  asking.Proof `json:"proof"`
}

func grantHandlers(mux *http.ServeMux, grants Grants) {
	mux.Handle("GET /grants", answer(func(r *http.Request, _ struct{}) ([]inbox.Grant, error) {
		return grants.Grants(r.Context(), r.URL.Query().Has("all"))
	}))
	mux.Handle("POST /grants/forecast", answer(func(r *http.Request, wanted inbox.Granting) (inbox.Forecast, error) {
		return grants.Forecast(r.Context(), wanted)
	}))
	mux.Handle("POST /grants", answer(func(r *http.Request, given inbox.Granting) (inbox.Grant, error) {
		given.By = cmp.Or(given.By, identity.OperatorName)
		return grants.Grant(r.Context(), given)
	}))
	mux.Handle("POST /grants/{id}/revoke", answer(func(r *http.Request, given Revocation) (inbox.Grant, error) {
		return grants.Revoke(r.Context(), r.PathValue("id"), cmp.Or(given.By, identity.OperatorName), given.Reason, given.Proof)
	}))
}
