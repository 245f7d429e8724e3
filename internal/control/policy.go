package control

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/policyhistory"
)

// PolicyFiles checks and tests policies without putting them in force.
type PolicyFiles interface {
	CheckPolicy(ctx context.Context, files Files) (Checked, error)
	TestPolicy(ctx context.Context, files Files) (Tested, error)
}

// History asks policies about recorded calls.
type History interface {
	Why(ctx context.Context, id string) (Why, error)
	Replay(ctx context.Context, wanted Replay) (Replayed, error)
	Suggest(ctx context.Context, wanted Past) (Suggestion, error)
}

// Usage says which of the rules in force have decided calls.
type Usage interface {
	RuleUse(ctx context.Context) ([]policyhistory.Use, error)
}

// Files are policies and suites; without any, those that the configuration
// names are read.
type Files struct {
	Policies []File `json:"policies,omitempty"`
	Suites   []File `json:"suites,omitempty"`
}

// Checked is how a check went.
type Checked struct {
	OK       bool     `json:"ok"`
	Rules    int      `json:"rules"`
	Problems []string `json:"problems"` // FILE:LINE:COLUMN: TEXT
	// Looser says what would not be provably tighter than what is in force.
	Looser []string `json:"looser"`
}

// Tested is how tests went.
type Tested struct {
	OK       bool         `json:"ok"`
	Problems []string     `json:"problems"` // suites or policies that can't be read
	Results  []TestResult `json:"results"`
	Coverage []Coverage   `json:"coverage"`
}

// TestResult is how one test went.
type TestResult struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Suite  string `json:"suite"`
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"`
}

// Coverage says how often the tests made a rule matter.
type Coverage struct {
	Rule  string `json:"rule"`
	Place string `json:"place"`
	Fired int    `json:"fired"`
}

// Why is a recorded decision, and what the policy in force says of the call.
type Why struct {
	Call    string      `json:"call"`
	Action  string      `json:"action"`
	Agent   string      `json:"agent"`
	Verdict string      `json:"verdict"` // then
	Cause   string      `json:"cause,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Policy  string      `json:"policy"` // then
	Now     Judged      `json:"now"`
	Rules   []Judgement `json:"rules"` // in scope now
	Note    string      `json:"note,omitempty"`
	// Approval is what people were asked about the call, Approver who agreed or
	// refused.
	Approval string `json:"approval,omitempty"`
	Approver string `json:"approver,omitempty"`
	// Origins say where the arguments came from that mattered, then.
	Origins []string `json:"origins,omitempty"`
	// Findings are what scanners saw in the arguments; Found what they saw in
	// what came back, and Modified how that was changed before it was released.
	Findings []string `json:"findings,omitempty"`
	Found    []string `json:"found,omitempty"`
	Modified []string `json:"modified,omitempty"`
}

// Judged is what the policy in force says.
type Judged struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Policy  string `json:"policy"`
}

// Judgement is what one rule says.
type Judgement struct {
	Rule    string    `json:"rule"`
	Place   string    `json:"place"`
	Permit  bool      `json:"permit"`
	Outcome string    `json:"outcome"`
	Because string    `json:"because,omitempty"`
	Reads   []Reading `json:"reads,omitempty"`
	Change  string    `json:"change,omitempty"` // that would turn the outcome around
}

// Reading is one thing that a rule looked at.
type Reading struct {
	Path  string `json:"path"`
	Value string `json:"value,omitempty"`
}

// Past says which recorded calls are meant.
type Past struct {
	Agent string    `json:"agent,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Replay asks what a policy would have changed.
type Replay struct {
	Past
	Policies []File `json:"policies"`
}

// Replayed is what it would have changed.
type Replayed struct {
	Calls   int `json:"calls"`   // that were judged again
	Skipped int `json:"skipped"` // whose payloads or tools are gone
	// Unlabelled are those of which nobody kept where their arguments came from.
	Unlabelled int            `json:"unlabelled"`
	Changed    []ReplayedCall `json:"changed"`
}

// ReplayedCall is a recorded call that a policy decides otherwise.
type ReplayedCall struct {
	Call   string    `json:"call"`
	Time   time.Time `json:"time"`
	Agent  string    `json:"agent"`
	Action string    `json:"action"`
	Then   string    `json:"then"`
	Now    string    `json:"now"`
	Reason string    `json:"reason,omitempty"`
}

// Suggestion is a policy from what was recorded.
type Suggestion struct {
	Calls   int    `json:"calls"`
	Skipped int    `json:"skipped"` // whose payloads or tools are gone
	Policy  string `json:"policy"`
}

func policyHandlers(mux *http.ServeMux, files PolicyFiles, history History, usage Usage) {
	mux.Handle("GET /policy/rules", answer(func(r *http.Request, _ struct{}) ([]policyhistory.Use, error) { return usage.RuleUse(r.Context()) }))
	mux.Handle("POST /policy/check", answer(func(r *http.Request, f Files) (Checked, error) { return files.CheckPolicy(r.Context(), f) }))
	mux.Handle("POST /policy/test", answer(func(r *http.Request, f Files) (Tested, error) { return files.TestPolicy(r.Context(), f) }))
	mux.Handle("GET /policy/why/{id}", answer(func(r *http.Request, _ struct{}) (Why, error) {
		return history.Why(r.Context(), r.PathValue("id"))
	}))
	mux.Handle("POST /policy/replay", answer(func(r *http.Request, wanted Replay) (Replayed, error) {
		return history.Replay(r.Context(), wanted)
	}))
	mux.Handle("POST /policy/suggest", answer(func(r *http.Request, wanted Past) (Suggestion, error) {
		return history.Suggest(r.Context(), wanted)
	}))
}
