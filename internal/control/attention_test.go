package control

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attention"
	"sallyport/internal/card"
	"sallyport/internal/inbox"
)

// looker is questions, and whoever looks at them.
type looker struct{ heard []string }

func (*looker) List(context.Context, bool) ([]inbox.Question, error) { return nil, nil }
func (*looker) Show(_ context.Context, id string) (inbox.Question, error) {
	return inbox.Question{Card: card.Card{ID: id}}, nil
}
func (*looker) Answer(context.Context, inbox.Answer) (q inbox.Question, _ error)    { return q, nil }
func (*looker) Narrow(context.Context, inbox.Narrowing) (q inbox.Question, _ error) { return q, nil }
func (*looker) Equal(context.Context, string) ([]inbox.Question, error) {
	return []inbox.Question{{Card: card.Card{ID: "a_1"}}, {Card: card.Card{ID: "a_2"}}}, nil
}
func (l *looker) AnswerEqual(context.Context, inbox.Together) ([]inbox.Outcome, error) {
	l.heard = append(l.heard, "answered")
	return nil, nil
}
func (l *looker) Shown(_ context.Context, who string, questions ...string) {
	l.heard = append(l.heard, who+" sees "+strings.Join(questions, " "))
}
func (l *looker) Together(who string, questions []string) {
	l.heard = append(l.heard, who+" answers "+strings.Join(questions, " "))
}
func (l *looker) Stats(_ context.Context, since, until time.Time) (s attention.Stats, _ error) {
	l.heard = append(l.heard, fmt.Sprint(until.Sub(since)))
	return s, nil
}

// Whoever is shown a question is said, and what is answered at once.
func TestAttentionHears(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{"GET", "/approvals/a_1?to=bo", "", 200, []string{"bo sees a_1"}},
		{"GET", "/approvals/a_1/equal?to=bo", "", 200, []string{"bo sees a_1", "bo sees a_2"}},
		{"POST", "/approvals/equal", `{"by":"bo","rows":[{"id":"a_1"},{"id":"a_2"}]}`, 200, []string{"bo answers a_1 a_2", "answered"}},
		{"POST", "/approvals/equal", `{"rows":[{"id":"a_1"}]}`, 200, []string{"operator answers a_1", "answered"}},
		{"GET", "/attention?since=2026-11-30T00:00:00Z&until=2026-11-30T02:00:00Z", "", 200, []string{"2h0m0s"}},
		{"GET", "/attention?since=yesterday&until=2026-11-30T02:00:00Z", "", 422, nil},
		{"GET", "/attention", "", 422, nil},
	} {
		l := &looker{}
		mux := http.NewServeMux()
		approvalHandlers(mux, l, l)
		equalHandlers(mux, l, l)
		attentionHandler(mux, l)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code/100 != c.status/100 || !slices.Equal(l.heard, c.want) {
			t.Errorf("%s %s: HTTP %d %s, %q", c.method, c.path, w.Code, w.Body, l.heard)
		}
	}
}
