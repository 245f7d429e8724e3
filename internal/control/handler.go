package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/breaker"
	"sallyport/internal/identity"
)

// maxBody bounds what the command line sends, in bytes.
const maxBody = 16 << 20

// Parts are what the verbs are wired to.
type Parts struct {
	Door      Door
	Doctor    Doctor
	Servers   Servers
	Pins      Pins
	Agents    Agents
	Human     Human
	Approvals Approvals
	Equal     Equal
	Attention Attention
	Grants    Grants
	Policy    Policy
	Files     PolicyFiles
	History   History
	Usage     Usage
	Payloads  Payloads
	Limits    Limits
	Runs      Runs
	Changes   RunChanges
	Sources   Sources
	Kills     Kills
	Breakers  Breakers
	Console   Console
	Log       http.Handler // LogHandler's
}

// Door is where agents come in.
type Door interface {
	URL() string
}

// Console is shown to whoever opens a link, once.
type Console interface {
	ConsoleLink() (url string)
}

// Breakers are what is cut off for a while, and what would be.
type Breakers interface {
	All() []breaker.Status
}

// Doctor looks for what is open or broken.
type Doctor interface {
	Doctor(ctx context.Context) Report
}

// Servers shows what is behind the gateway.
type Servers interface {
	Servers() []Server
	Tools() []Tool
}

// Pins shows and accepts what servers say of themselves. An error of
// AcceptChanges means that nothing was accepted.
type Pins interface {
	Changes(server string) (Changes, error)
	AcceptChanges(ctx context.Context, server string, accept Accept) (Accepted, error)
}

// Agents are the agents and their tokens. An error means that nothing was
// changed, but for RevokeAgent: there the token is refused all the same.
type Agents interface {
	Agents() []Agent
	AddAgent(ctx context.Context, agent NewAgent) (Token, error)
	RotateAgent(ctx context.Context, agent NewAgent) (Token, error)
	RevokeAgent(ctx context.Context, name string) error
}

// Human is the human's credential.
type Human interface {
	Enrolled() bool
	People() []string
	Enroll(ctx context.Context, enrolment Enrolment) error
}

// Payloads are the arguments and results beside the log. An error means that
// nothing was erased for certain.
type Payloads interface {
	ErasePayloads(ctx context.Context, erasure Erasure) error
}

// Policy is what is in force and what waits. An error of AcceptPolicy means
// that the policy in force stays.
type Policy interface {
	Reload(ctx context.Context)
	PolicyStatus() PolicyStatus
	PolicyText() []File // in force
	AcceptPolicy(ctx context.Context, accept Accept) error
}

// Handler answers every verb.
func Handler(p Parts) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /door", answer(func(*http.Request, struct{}) (Address, error) { return Address{p.Door.URL()}, nil }))
	mux.Handle("GET /doctor", answer(func(r *http.Request, _ struct{}) (Report, error) { return p.Doctor.Doctor(r.Context()), nil }))
	mux.Handle("GET /servers", answer(func(*http.Request, struct{}) ([]Server, error) { return p.Servers.Servers(), nil }))
	mux.Handle("GET /tools", answer(func(*http.Request, struct{}) ([]Tool, error) { return p.Servers.Tools(), nil }))
	mux.Handle("GET /servers/{name}/changes", answer(func(r *http.Request, _ struct{}) (Changes, error) {
		return p.Pins.Changes(r.PathValue("name"))
	}))
	mux.Handle("POST /servers/{name}/accept", answer(func(r *http.Request, accept Accept) (Accepted, error) {
		return p.Pins.AcceptChanges(r.Context(), r.PathValue("name"), accept)
	}))
	mux.Handle("GET /agents", answer(func(*http.Request, struct{}) ([]Agent, error) { return p.Agents.Agents(), nil }))
	mux.Handle("POST /agents", answer(func(r *http.Request, agent NewAgent) (Token, error) {
		return p.Agents.AddAgent(r.Context(), agent)
	}))
	mux.Handle("POST /agents/{name}/rotate", answer(func(r *http.Request, agent NewAgent) (Token, error) {
		agent.Name = r.PathValue("name")
		return p.Agents.RotateAgent(r.Context(), agent)
	}))
	mux.Handle("POST /agents/{name}/revoke", answer(func(r *http.Request, _ struct{}) (struct{}, error) {
		return struct{}{}, p.Agents.RevokeAgent(r.Context(), r.PathValue("name"))
	}))
	mux.Handle("GET /human", answer(func(*http.Request, struct{}) (Enrolled, error) {
		return Enrolled{p.Human.Enrolled(), p.Human.People()}, nil
	}))
	mux.Handle("POST /human", answer(func(r *http.Request, enrolment Enrolment) (Enrolled, error) {
		err := p.Human.Enroll(r.Context(), enrolment)
		return Enrolled{p.Human.Enrolled(), p.Human.People()}, err
	}))
	mux.Handle("GET /policy", answer(func(*http.Request, struct{}) (PolicyStatus, error) { return p.Policy.PolicyStatus(), nil }))
	mux.Handle("GET /policy/files", answer(func(*http.Request, struct{}) ([]File, error) { return p.Policy.PolicyText(), nil }))
	mux.Handle("POST /policy/reload", answer(func(r *http.Request, _ struct{}) (PolicyStatus, error) {
		p.Policy.Reload(r.Context())
		return p.Policy.PolicyStatus(), nil
	}))
	mux.Handle("POST /policy/accept", answer(func(r *http.Request, accept Accept) (struct{}, error) {
		return struct{}{}, p.Policy.AcceptPolicy(r.Context(), accept)
	}))
	policyHandlers(mux, p.Files, p.History, p.Usage)
	approvalHandlers(mux, p.Approvals, p.Attention)
	attentionHandler(mux, p.Attention)
	equalHandlers(mux, p.Equal, p.Attention)
	grantHandlers(mux, p.Grants)
	killHandlers(mux, p.Kills)
	mux.Handle("GET /breakers", answer(func(*http.Request, struct{}) ([]breaker.Status, error) { return p.Breakers.All(), nil }))
	limitHandlers(mux, p.Limits)
	runHandlers(mux, p.Runs, p.Changes, p.Sources)
	mux.Handle("POST /log/erase", answer(func(r *http.Request, erasure Erasure) (struct{}, error) {
		return struct{}{}, p.Payloads.ErasePayloads(r.Context(), erasure)
	}))
	mux.Handle("POST /console/link", answer(func(*http.Request, struct{}) (Address, error) { return Address{p.Console.ConsoleLink()}, nil }))
	mux.Handle("/log", p.Log)
	mux.Handle("/log/", p.Log)
	return mux
}

// answer makes a handler of a function from a request's body to an answer.
func answer[In, Out any](serve func(*http.Request, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if r.Method == http.MethodPost {
			decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&in); err != nil {
				refuse(w, fmt.Errorf("this verb's request is malformed; are the gateway and the command line of one version? %w", err))
				return
			}
		}
		out, err := serve(r, in)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out)
	})
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	json.NewEncoder(w).Encode(problem{Error: err.Error(), Code: codeOf(err)})
}

func codeOf(err error) Code {
	if coded, ok := errors.AsType[*CodedError](err); ok {
		return coded.Code
	}
	for _, denied := range []error{identity.ErrNotEnrolled, identity.ErrEnrolled, identity.ErrWrongSecret, identity.ErrTooSoon, identity.ErrForbidden,
		identity.ErrNoPerson, asking.ErrNotAsked, asking.ErrOwn, asking.ErrTyped, sallyport.ErrAnswered} {
		if errors.Is(err, denied) {
			return Denied
		}
	}
	return ""
}
