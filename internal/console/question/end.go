package question

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

// patience is how long the end of a run waits for the no to the question.
const patience = time.Second

// End is a no to a question, and the end of the run that asks: what it does is
// cancelled, whatever else it asks is refused, and it does nothing any more until a
// human resumes it. Nothing keeps a run from being stopped: neither a slow database
// nor that the question has moved on.
func (p *Pages) End(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in answered
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	q, err := p.fetch(r.Context(), r.PathValue("id"), "")
	if err != nil {
		return nil, form.Missing(err)
	}
	soon, cancel := context.WithTimeout(r.Context(), patience)
	in.Yes = "no"
	_, unsaid := p.say(r.WithContext(soon), &in, who, p.Sessions.Vouch(who.Who))
	cancel()
	type scope struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	}
	wanted := struct {
		Scope  scope  `json:"scope"`
		Reason string `json:"reason"`
	}{scope{"run", q.Run}, in.Reason}
	var order struct {
		ID string `json:"id"`
	}
	if err := p.Gate.Post(r.Context(), "/kills", wanted, &order); err != nil {
		return nil, fmt.Errorf("the run goes on: %w", err)
	}
	if err := p.Record.Record(r.Context(), "console kill "+order.ID, who.Who, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		return nil, err
	}
	if unsaid != nil {
		return nil, fmt.Errorf("the run was ended; your no was not put down beside it: %w", unsaid)
	}
	return form.Done{}, nil
}
