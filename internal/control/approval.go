package control

import (
	"cmp"
	"context"
	"net/http"

	"sallyport/internal/identity"
	"sallyport/internal/inbox"
)

// Approvals are questions to people, as inbox.Inbox has them. An error of Answer
// and Narrow means that nothing was answered.
type Approvals interface {
	List(ctx context.Context, all bool) ([]inbox.Question, error)
	Show(ctx context.Context, id string) (inbox.Question, error)
	Answer(ctx context.Context, given inbox.Answer) (inbox.Question, error)
	Narrow(ctx context.Context, given inbox.Narrowing) (inbox.Question, error)
}

// Equal are questions that are answered together. An error of AnswerEqual means
// that none was.
type Equal interface {
	Equal(ctx context.Context, id string) ([]inbox.Question, error)
	AnswerEqual(ctx context.Context, given inbox.Together) ([]inbox.Outcome, error)
}

func equalHandlers(mux *http.ServeMux, equal Equal, look Attention) {
	mux.Handle("GET /approvals/{id}/equal", answer(func(r *http.Request, _ struct{}) ([]inbox.Question, error) {
		all, err := equal.Equal(r.Context(), r.PathValue("id"))
		for _, q := range all {
			look.Shown(r.Context(), r.URL.Query().Get("to"), q.ID)
		}
		return all, err
	}))
	mux.Handle("POST /approvals/equal", answer(func(r *http.Request, given inbox.Together) ([]inbox.Outcome, error) {
		given.By = cmp.Or(given.By, identity.OperatorName)
		var questions []string
		for _, row := range given.Rows {
			questions = append(questions, row.ID)
		}
		look.Together(given.By, questions)
		return equal.AnswerEqual(r.Context(), given)
	}))
}

func approvalHandlers(mux *http.ServeMux, approvals Approvals, look Attention) {
	mux.Handle("GET /approvals", answer(func(r *http.Request, _ struct{}) ([]inbox.Question, error) {
		return approvals.List(r.Context(), r.URL.Query().Has("all"))
	}))
	mux.Handle("GET /approvals/{id}", answer(func(r *http.Request, _ struct{}) (inbox.Question, error) {
		q, err := approvals.Show(r.Context(), r.PathValue("id"))
		if err == nil {
			look.Shown(r.Context(), r.URL.Query().Get("to"), q.ID)
		}
		return q, err
	}))
	mux.Handle("POST /approvals/{id}", answer(func(r *http.Request, given inbox.Answer) (inbox.Question, error) {
		given.ID, given.By = r.PathValue("id"), cmp.Or(given.By, identity.OperatorName)
		return approvals.Answer(r.Context(), given)
	}))
	mux.Handle("POST /approvals/{id}/narrow", answer(func(r *http.Request, given inbox.Narrowing) (inbox.Question, error) {
		given.ID, given.By = r.PathValue("id"), cmp.Or(given.By, identity.OperatorName)
		return approvals.Narrow(r.Context(), given)
	}))
}
