package question

import (
	"net/http"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// answered is what a page sends: which question, what was shown, what is said to
// it and, where that takes a passkey, what the device signed.
type answered struct {
	Digest string `json:"digest"`
	Yes    string `json:"yes"` // "yes" or "no"
	Typed  string `json:"typed"`
	Reason string `json:"reason"`
	Args   string `json:"args"` // that it is narrowed to
	form.Ceremony
}

// Answer answers exactly what was shown, which its digest names. A yes that takes
// a passkey comes by AnswerSigned.
func (p *Pages) Answer(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	if in.Yes != "yes" && in.Yes != "no" {
		return nil, form.Refused(http.StatusBadRequest, "Say yes or no.")
	}
	return p.say(r, &in, who, p.Sessions.Vouch(who.Who))
}

// AnswerSign has the person's device sign the digest of what was shown.
func (p *Pages) AnswerSign(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	shown, err := p.shown(r, in.Digest)
	if err != nil {
		return nil, err
	}
	return p.sign(r, who, shown)
}

// AnswerSigned is a yes with what the device signed.
func (p *Pages) AnswerSigned(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	shown, err := p.shown(r, in.Digest)
	if err != nil {
		return nil, err
	}
	voucher, err := p.signed(r, who, in.Ceremony, shown)
	if err != nil {
		return nil, err
	}
	in.Yes = "yes"
	return p.say(r, &in, who, voucher)
}

func (p *Pages) say(r *http.Request, in *answered, who *session.Session, voucher string) (any, error) {
	given := inbox.Answer{By: who.Who, Digest: in.Digest, Approve: in.Yes == "yes", Reason: in.Reason,
		Proof: asking.Proof{Session: voucher, Typed: in.Typed}}
	var now inbox.Question
	return form.Done{}, p.Gate.Post(r.Context(), "/approvals/"+form.Escaped(r, "id"), given, &now)
}

// Narrow is a yes to narrower arguments than were asked about: the agent is told
// them, and makes that call instead. One that takes a passkey comes by
// NarrowSigned.
func (p *Pages) Narrow(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	return p.narrow(r, &in, who, p.Sessions.Vouch(who.Who))
}

// NarrowSign has the person's device sign what was shown together with the
// arguments that are agreed to in its place.
func (p *Pages) NarrowSign(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	narrowed, err := p.narrowed(r, &in)
	if err != nil {
		return nil, err
	}
	return p.sign(r, who, narrowed)
}

// NarrowSigned is Narrow with what the device signed.
func (p *Pages) NarrowSigned(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	narrowed, err := p.narrowed(r, &in)
	if err != nil {
		return nil, err
	}
	voucher, err := p.signed(r, who, in.Ceremony, narrowed)
	if err != nil {
		return nil, err
	}
	return p.narrow(r, &in, who, voucher)
}

func (p *Pages) narrow(r *http.Request, in *answered, who *session.Session, voucher string) (any, error) {
	given := inbox.Narrowing{By: who.Who, Digest: in.Digest, Args: in.Args, Reason: in.Reason,
		Proof: asking.Proof{Session: voucher, Typed: in.Typed}}
	var now inbox.Question
	err := p.Gate.Post(r.Context(), "/approvals/"+form.Escaped(r, "id")+"/narrow", given, &now)
	return form.Done{Go: p.Base + "approvals/" + now.ID}, err
}

func (p *Pages) narrowed(r *http.Request, in *answered) (sallyport.Digest, error) {
	shown, err := p.shown(r, in.Digest)
	if err != nil {
		return shown, err
	}
	args, err := inbox.Arguments(in.Args)
	return asking.Narrowed(shown, args), err
}

// shown is the digest of a question that is still the one that was shown.
func (p *Pages) shown(r *http.Request, digest string) (sallyport.Digest, error) {
	q, err := p.fetch(r.Context(), r.PathValue("id"), "")
	if err != nil {
		return sallyport.Digest{}, err
	}
	if q.Problem != "" || q.Digest != digest {
		return sallyport.Digest{}, form.Refused(http.StatusConflict, "What was shown is not what it asks: look again.")
	}
	return sallyport.DigestOf([]byte(q.Question)), nil
}

// sign has the person's device sign what is done.
func (p *Pages) sign(r *http.Request, who *session.Session, what sallyport.Digest) (any, error) {
	id, ask, err := p.Passkeys.BeginShow(r.Context(), p.Origin(r), who.Who, what)
	return form.Ceremony{ID: id, Ask: ask}, err
}

// signed vouches for a person whose device has signed what is done, and nothing
// else.
func (p *Pages) signed(r *http.Request, who *session.Session, answer form.Ceremony, what sallyport.Digest) (voucher string, err error) {
	by, err := p.Passkeys.FinishShow(r.Context(), answer.ID, answer.Answer, what)
	if err != nil {
		return "", err
	}
	if by != who.Who {
		return "", form.Refused(http.StatusForbidden, "This passkey is another person's.")
	}
	return p.Sessions.VouchSigned(who.Who, what), nil
}
