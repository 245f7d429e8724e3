package question

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/asking"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

type grantsData struct {
	Grants []inbox.Grant `json:"grants"`
	Live   string        `json:"-"` // the state of one that answers
}

// Grants are all.
func (p *Pages) Grants(r *http.Request) (string, any, error) {
	data := grantsData{Grants: []inbox.Grant{}, Live: inbox.Live}
	err := p.Gate.Get(r.Context(), "/grants?all", &data.Grants)
	return "Grants", data, err
}

// Grant is a yes to a question and to calls like it for a while. Before it is
// given it says what it would be for, and what it would have done.
func (p *Pages) Grant(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	in := map[string]string{}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	wanted, err := grantingOf(in)
	if err != nil {
		return nil, err
	}
	wanted.ID, wanted.By = r.PathValue("id"), who.Who
	if in["sure"] != "yes" {
		var f inbox.Forecast
		if err := p.Gate.Post(r.Context(), "/grants/forecast", wanted, &f); err != nil {
			return nil, err
		}
		return form.Said{OK: true, Lines: []string{f.Text, fmt.Sprintf("Of %d other questions about this it would have saved %d; people said no to %d of those.", f.Asked, f.Saved, f.Refused)}}, nil
	}
	wanted.Proof = asking.Proof{Session: p.Sessions.Vouch(who.Who), Typed: in["typed"]}
	var given inbox.Grant
	return form.Done{Go: p.Base + "grants"}, p.Gate.Post(r.Context(), "/grants", wanted, &given)
}

// The names of a form's fields about one argument are these before its path.
const freeField, valueField = "free ", "value "

// grantingOf reads the form: which arguments may be others, for how long and how
// often.
func grantingOf(in map[string]string) (g inbox.Granting, err error) {
	hours, err := strconv.ParseFloat(in["hours"], 64)
	if err != nil || !(hours > 0 && hours < 1e6) {
		return g, form.Refused(http.StatusBadRequest, "Say for how many hours.")
	}
	if g.Count, err = strconv.Atoi(in["count"]); err != nil {
		return g, form.Refused(http.StatusBadRequest, "Say for how many calls.")
	}
	g.Digest, g.Run, g.For, g.Free = in["digest"], in["run"] != "", int64(hours*3600), []inbox.Free{}
	for name, how := range in {
		path, about := strings.CutPrefix(name, freeField)
		if !about || how == "" {
			continue
		}
		free, value := inbox.Free{Path: path}, in[valueField+path]
		switch how {
		case "any":
		case "most":
			free.Most = value
		case "like":
			free.Like = value
		default:
			return g, form.Refused(http.StatusBadRequest, "An argument is the same, any, up to an amount, or like a pattern.")
		}
		if how != "any" && value == "" {
			return g, form.Refused(http.StatusBadRequest, "Say up to what, or like what, %s may be.", path)
		}
		g.Free = append(g.Free, free)
	}
	return g, nil
}

// Revoke ends a grant.
func (p *Pages) Revoke(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	given := struct {
		By    string       `json:"by"`
		Proof asking.Proof `json:"proof"`
	}{who.Who, asking.Proof{Session: p.Sessions.Vouch(who.Who)}}
	var ended inbox.Grant
	return form.Done{}, p.Gate.Post(r.Context(), "/grants/"+form.Escaped(r, "id")+"/revoke", given, &ended)
}
