package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// damaged is the state of a question that nobody can read.
const damaged = "damaged"

func waits(q inbox.Question) bool { return q.State == sallyport.Pending.String() || q.State == damaged }

// pending are the questions that wait, equal ones together.
func (c *Console) pending(ctx context.Context) ([]inbox.Question, error) {
	all := []inbox.Question{}
	return all, c.Gate.Get(ctx, "/approvals", &all)
}

type approvalsData struct {
	Waiting []inbox.Question `json:"waiting"`
	Over    []inbox.Question `json:"over"` // the latest first
}

// shownOver is how many of those that are over are shown.
const shownOver = 20

func (c *Console) approvals(r *http.Request) (string, any, error) {
	data := approvalsData{Waiting: []inbox.Question{}, Over: []inbox.Question{}}
	var all []inbox.Question
	if err := c.Gate.Get(r.Context(), "/approvals?all", &all); err != nil {
		return "", nil, err
	}
	for _, q := range all {
		if waits(q) {
			data.Waiting = append(data.Waiting, q)
		} else {
			data.Over = append(data.Over, q)
		}
	}
	slices.SortStableFunc(data.Over, func(a, b inbox.Question) int { return b.Asked.Compare(a.Asked) })
	data.Over = data.Over[:min(len(data.Over), shownOver)]
	return "Approvals", data, nil
}

// approvalData is one question as a person decides on it. The card is made of the
// bytes that the digest covers, and nothing of it is left out.
type approvalData struct {
	inbox.Question
	Passkeys int `json:"-"` // that the person has here
}

// Pending reports whether it can be answered.
func (a approvalData) Pending() bool { return a.State == sallyport.Pending.String() }

// Args are the arguments as text, to be made narrower.
func (a approvalData) Args() string {
	question, err := sallyport.Parse([]byte(a.Question.Question))
	if err != nil || question.Get("args").Type() != sallyport.Object {
		return ""
	}
	return indent(question.Get("args").Raw())
}

// Typed reports whether a yes takes the amount or the number.
func (a approvalData) Typed() bool { return a.Class > int(sallyport.ClassTap) }

// Signed reports whether a yes takes a passkey.
func (a approvalData) Signed() bool { return takesPasskey(a.Question) }

func takesPasskey(q inbox.Question) bool { return q.Class >= int(sallyport.ClassPair) }

func (c *Console) approval(r *http.Request) (string, any, error) {
	q, err := c.fetch(r.Context(), r.PathValue("id"))
	if err != nil {
		return "", nil, missing(err)
	}
	data := approvalData{Question: q}
	if who := c.session(r); who.Person() {
		data.Passkeys, err = c.Passkeys.Has(r.Context(), c.origin(r), who.Who)
	}
	return "Approval", data, err
}

// fetch gets a question. What it shows must be what its digest covers.
func (c *Console) fetch(ctx context.Context, id string) (q inbox.Question, err error) {
	err = c.Gate.Get(ctx, "/approvals/"+url.PathEscape(id), &q)
	if err == nil && q.Problem == "" && sallyport.DigestOf([]byte(q.Question)).String() != q.Digest {
		q.Problem = "what it asks is not what its digest covers"
	}
	return q, err
}

// answered is what a page sends: which question, what was shown, and what is said
// to it.
type answered struct {
	Digest string `json:"digest"`
	Yes    string `json:"yes"` // "yes" or "no"
	Typed  string `json:"typed"`
	Reason string `json:"reason"`
}

// answer answers exactly what was shown, which its digest names. A yes that takes
// a passkey comes by answerShown.
func (c *Console) answer(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := read(w, r, &in); err != nil {
		return nil, err
	}
	if in.Yes != "yes" && in.Yes != "no" {
		return nil, refused(http.StatusBadRequest, "Say yes or no.")
	}
	return c.say(r, in, who, bySession)
}

// byPasskey is what a person has shown whose device signed this very digest.
const byPasskey = "passkey"

func (c *Console) say(r *http.Request, in answered, who *session.Session, how string) (any, error) {
	given := inbox.Answer{By: who.Who, Digest: in.Digest, Approve: in.Yes == "yes", Reason: in.Reason,
		Proof: asking.Proof{Session: c.sessions.Vouch(who.Who, how), Typed: in.Typed}}
	var now inbox.Question
	return done{}, c.Gate.Post(r.Context(), "/approvals/"+escaped(r, "id"), given, &now)
}

// narrow is a yes to narrower arguments than were asked about: the agent is told
// them, and makes that call instead. Where a yes takes a passkey this is none: a
// device signs what was shown, and nothing else.
func (c *Console) narrow(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		answered
		Args string `json:"args"`
	}
	if err := read(w, r, &in); err != nil {
		return nil, err
	}
	given := inbox.Narrowing{By: who.Who, Digest: in.Digest, Args: in.Args, Reason: in.Reason,
		Proof: asking.Proof{Session: c.sessions.Vouch(who.Who, bySession), Typed: in.Typed}}
	var now inbox.Question
	err := c.Gate.Post(r.Context(), "/approvals/"+escaped(r, "id")+"/narrow", given, &now)
	return done{Path + "approvals/" + now.ID}, err
}

// answerBegin has the person's device sign the digest of what was shown.
func (c *Console) answerBegin(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := read(w, r, &in); err != nil {
		return nil, err
	}
	bound, err := c.shown(r, in.Digest)
	if err != nil {
		return nil, err
	}
	id, ask, err := c.Passkeys.BeginShow(r.Context(), c.origin(r), who.Who, bound)
	return ceremony{ID: id, Ask: ask}, err
}

// shown is the digest of a question that is still the one that was shown.
func (c *Console) shown(r *http.Request, digest string) (sallyport.Digest, error) {
	q, err := c.fetch(r.Context(), r.PathValue("id"))
	if err != nil {
		return sallyport.Digest{}, err
	}
	if q.Problem != "" || q.Digest != digest {
		return sallyport.Digest{}, refused(http.StatusConflict, "What was shown is not what it asks: look again.")
	}
	return sallyport.DigestOf([]byte(q.Question)), nil
}

// answerShown is a yes with what the device signed.
func (c *Console) answerShown(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		answered
		ceremony
	}
	if err := read(w, r, &in); err != nil {
		return nil, err
	}
	bound, err := c.shown(r, in.Digest)
	if err != nil {
		return nil, err
	}
	by, err := c.Passkeys.FinishShow(r.Context(), in.ID, in.Answer, bound)
	if err != nil {
		return nil, err
	}
	if by != who.Who {
		return nil, refused(http.StatusForbidden, "This passkey is another person's.")
	}
	in.Yes = "yes"
	return c.say(r, in.answered, who, byPasskey)
}
