package console

import (
	"net/http"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

type accountData struct {
	Who      string `json:"person,omitempty"`
	Passkeys int    `json:"passkeys"` // at this address
	Problem  string `json:"problem,omitempty"`
}

func (c *Console) account(r *http.Request) (string, any, error) {
	data := accountData{Who: c.session(r).Who}
	if data.Who == "" {
		return "Your session", data, nil
	}
	var err error
	data.Passkeys, err = c.Passkeys.Has(r.Context(), c.origin(r), data.Who)
	return "Your session", data, err
}

// enrolBegin begins to enrol a passkey, of a person who shows who they are anew: a
// session that somebody else got hold of must not become a passkey, which outlives
// it and agrees to more. A link never gets here.
func (c *Console) enrolBegin(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		Secret string `json:"secret"`
	}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	if err := c.prove(r, who.Who, in.Secret); err != nil {
		return nil, err
	}
	id, ask, err := c.Passkeys.BeginEnrol(r.Context(), c.origin(r), who.Who)
	return form.Ceremony{ID: id, Ask: ask}, err
}

func (c *Console) enrolShown(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in form.Ceremony
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	// On the record first: a passkey that nobody sees must not be.
	if err := c.Record.Record(r.Context(), "passkey enrolled", who.Who, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return nil, err
	}
	if err := c.Passkeys.FinishEnrol(r.Context(), in.ID, in.Answer); err != nil {
		recorded := c.Record.Record(r.Context(), "passkey not enrolled", who.Who, sallyport.Digest{}, sallyport.Digest{})
		return nil, joined(err, recorded)
	}
	return form.Done{Go: Path + "account"}, nil
}

// logInBegin begins a login with a passkey, of whoever has one.
func (c *Console) logInBegin(w http.ResponseWriter, r *http.Request) {
	id, ask, err := c.Passkeys.BeginShow(r.Context(), c.origin(r), "", sallyport.Digest{})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.writeJSON(w, http.StatusOK, form.Ceremony{ID: id, Ask: ask})
}

func (c *Console) logInShown(w http.ResponseWriter, r *http.Request) {
	var in form.Ceremony
	if err := form.Read(w, r, &in); err != nil {
		c.fail(w, r, err)
		return
	}
	who, err := c.Passkeys.FinishShow(r.Context(), in.ID, in.Answer, sallyport.Digest{})
	if err != nil {
		c.turnAway(w, r, who, &form.Problem{Status: http.StatusForbidden, Text: err.Error()})
		return
	}
	c.welcome(w, r, who, "passkey", in.Next)
}
