// Package question shows people in a browser what waits for them, and takes their
// answers.
package question

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// Gate answers what the command line can ask, by the same paths. An error of
// Post means what the verb says that it means.
type Gate interface {
	Get(ctx context.Context, path string, out any) error
	Post(ctx context.Context, path string, in, out any) error
}

// Passkeys know a person by what only a device of theirs can sign. What is signed
// holds bound, and FinishShow takes no signature over anything else: an error of
// it means that nobody has shown anything.
type Passkeys interface {
	Has(ctx context.Context, site, person string) (int, error)
	BeginShow(ctx context.Context, site, person string, bound sallyport.Digest) (ceremony string, ask []byte, err error)
	FinishShow(ctx context.Context, ceremony string, answer []byte, bound sallyport.Digest) (person string, err error)
}

// Recorder puts on the record what people do here.
type Recorder interface {
	Record(ctx context.Context, subject, by string, before, after sallyport.Digest) error
}

// Pages are those of the questions and of the grants. Every field must be set.
type Pages struct {
	Gate     Gate
	Passkeys Passkeys
	Record   Recorder
	Sessions *session.Sessions
	Who      func(*http.Request) *session.Session
	Origin   func(*http.Request) string // of the console's own pages
	Base     string                     // below which those are
}

// damaged is the state of a question that nobody can read.
const damaged = "damaged"

func waits(q inbox.Question) bool {
	return q.State == sallyport.Pending.String() && q.Grant == "" || q.State == damaged
}

// Pending are the questions that wait, equal ones together.
func (p *Pages) Pending(ctx context.Context) ([]inbox.Question, error) {
	all := []inbox.Question{}
	return all, p.Gate.Get(ctx, "/approvals", &all)
}

type listData struct {
	Waiting []waiting        `json:"waiting"`
	Over    []inbox.Question `json:"over"` // the latest first
}

// waiting is a question that waits, with those that are equal to it: one card.
type waiting struct {
	inbox.Question
	With []inbox.Question `json:"with"`
}

// shownOver is how many of those that are over are shown.
const shownOver = 20

// List are those that wait, and the last that did.
func (p *Pages) List(r *http.Request) (string, any, error) {
	data := listData{Waiting: []waiting{}, Over: []inbox.Question{}}
	var all []inbox.Question
	if err := p.Gate.Get(r.Context(), "/approvals?all", &all); err != nil {
		return "", nil, err
	}
	for _, q := range all {
		at := slices.IndexFunc(data.Waiting, func(w waiting) bool { return slices.Contains(w.Equal, q.ID) })
		switch {
		case !waits(q):
			data.Over = append(data.Over, q)
		case at >= 0:
			data.Waiting[at].With = append(data.Waiting[at].With, q)
		default:
			data.Waiting = append(data.Waiting, waiting{q, []inbox.Question{}})
		}
	}
	slices.SortStableFunc(data.Over, func(a, b inbox.Question) int { return b.Asked.Compare(a.Asked) })
	data.Over = data.Over[:min(len(data.Over), shownOver)]
	return "Approvals", data, nil
}

// showData is one question as a person decides on it. The card is made of the
// bytes that the digest covers, and nothing of it is left out.
type showData struct {
	inbox.Question
	Passkeys int `json:"-"` // that the person has here
}

// Pending reports whether it can be answered.
func (a showData) Pending() bool { return a.State == sallyport.Pending.String() }

// Args are the arguments as text, to be made narrower.
func (a showData) Args() string {
	question, err := sallyport.Parse([]byte(a.Question.Question))
	if err != nil || question.Get("args").Type() != sallyport.Object {
		return ""
	}
	var b bytes.Buffer
	_ = json.Indent(&b, question.Get("args").Raw(), "", "  ") // it has been parsed
	return b.String()
}

// Typed reports whether a yes takes the amount or the number.
func (a showData) Typed() bool { return a.Class > int(sallyport.ClassTap) }

// Signed reports whether a yes takes a passkey.
func (a showData) Signed() bool { return takesPasskey(a.Question) }

func takesPasskey(q inbox.Question) bool { return q.Class >= int(sallyport.ClassPair) }

// Show is one question.
func (p *Pages) Show(r *http.Request) (string, any, error) {
	q, err := p.fetch(r.Context(), r.PathValue("id"), p.to(r))
	if err != nil {
		return "", nil, form.Missing(err)
	}
	data := showData{Question: q}
	if who := p.Who(r); who.Person() {
		data.Passkeys, err = p.Passkeys.Has(r.Context(), p.Origin(r), who.Who)
	}
	return "Approval", data, err
}

// to says whom a page is shown, from when on the time counts that they take to
// answer; "" where nobody can answer.
func (p *Pages) to(r *http.Request) string {
	if who := p.Who(r); who.Person() {
		return "?" + url.Values{"to": {who.Who}}.Encode()
	}
	return ""
}

// fetch gets a question, to be shown to somebody. What it shows must be what its
// digest covers.
func (p *Pages) fetch(ctx context.Context, id, to string) (q inbox.Question, err error) {
	err = p.Gate.Get(ctx, "/approvals/"+url.PathEscape(id)+to, &q)
	if err == nil && q.Problem == "" && !covered(&q) {
		q.Problem = "what it asks is not what its digest covers"
	}
	return q, err
}
