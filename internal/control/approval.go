package control

import (
	"context"
	"net/http"
	"time"
)

// Approvals are questions to people. An error of AnswerApproval means that
// nothing was answered.
type Approvals interface {
	Approvals(ctx context.Context) ([]Approval, error)
	Approval(ctx context.Context, id string) (Approval, error)
	AnswerApproval(ctx context.Context, id string, answer ApprovalAnswer) (Approval, error)
}

// Approval is a question to people, and what became of it.
type Approval struct {
	ID      string         `json:"id"`
	State   string         `json:"state"` // pending, approved, refused, expired, spent; damaged, with ID and Problem alone
	Agent   string         `json:"agent"`
	User    string         `json:"user,omitempty"`
	Run     string         `json:"run"`
	Call    string         `json:"call"` // that was held first
	Kind    string         `json:"kind"`
	Server  string         `json:"server"`
	Name    string         `json:"name"`
	Effects []string       `json:"effects"`
	Groups  []string       `json:"groups"` // each of which must answer
	Rules   []ApprovalRule `json:"rules"`  // that ask
	Asked   time.Time      `json:"asked"`
	Expires time.Time      `json:"expires"`
	// Digest covers Question; Words is its beginning, as the agent was told it.
	Digest string `json:"digest"`
	Words  string `json:"words"`
	// Question is the canonical bytes of what is asked, of one approval alone;
	// a text, so that they arrive as they are.
	Question string `json:"question,omitempty"`
	Problem  string `json:"problem,omitempty"` // why the question can't be shown, and so not be agreed to

	Approver string `json:"approver,omitempty"`
	Refuser  string `json:"refuser,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Spent    string `json:"spent,omitempty"` // the call that it let through
}

// ApprovalRule is a rule that asks.
type ApprovalRule struct {
	ID      string   `json:"id"`
	Place   string   `json:"place"`
	Because string   `json:"because,omitempty"`
	Groups  []string `json:"groups"`
}

// ApprovalAnswer answers what was shown, which Digest names.
type ApprovalAnswer struct {
	Secret  string `json:"secret"`
	Digest  string `json:"digest"`
	Approve bool   `json:"approve"`
	Reason  string `json:"reason,omitempty"` // of a refusal, for the agent
}

func approvalHandlers(mux *http.ServeMux, approvals Approvals) {
	mux.Handle("GET /approvals", answer(func(r *http.Request, _ struct{}) ([]Approval, error) { return approvals.Approvals(r.Context()) }))
	mux.Handle("GET /approvals/{id}", answer(func(r *http.Request, _ struct{}) (Approval, error) {
		return approvals.Approval(r.Context(), r.PathValue("id"))
	}))
	mux.Handle("POST /approvals/{id}", answer(func(r *http.Request, given ApprovalAnswer) (Approval, error) {
		return approvals.AnswerApproval(r.Context(), r.PathValue("id"), given)
	}))
}
