package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/asking"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

type grantsData struct {
	Grants []inbox.Grant `json:"grants"`
	Live   string        `json:"-"` // the state of one that answers
}

func (c *Console) grants(r *http.Request) (string, any, error) {
	data := grantsData{Grants: []inbox.Grant{}, Live: inbox.Live}
	err := c.Gate.Get(r.Context(), "/grants?all", &data.Grants)
	return "Grants", data, err
}

// said is what an act has found out, for the form to show.
type said struct {
	OK    bool     `json:"ok"`
	Lines []string `json:"lines"`
}

// grant is a yes to a question and to calls like it for a while. Before it is
// given it says what it would be for, and what it would have done.
func (c *Console) grant(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	in := map[string]string{}
	if err := read(w, r, &in); err != nil {
		return nil, err
	}
	wanted, err := grantingOf(in)
	if err != nil {
		return nil, err
	}
	wanted.ID, wanted.By = r.PathValue("id"), who.Who
	if in["sure"] != "yes" {
		var f inbox.Forecast
		if err := c.Gate.Post(r.Context(), "/grants/forecast", wanted, &f); err != nil {
			return nil, err
		}
		return said{true, []string{f.Text, fmt.Sprintf("Of %d other questions about this it would have saved %d; people said no to %d of those.", f.Asked, f.Saved, f.Refused)}}, nil
	}
	wanted.Proof = asking.Proof{Session: c.sessions.Vouch(who.Who, bySession), Typed: in["typed"]}
	var given inbox.Grant
	return done{Path + "grants"}, c.Gate.Post(r.Context(), "/grants", wanted, &given)
}

// The names of a form's fields about one argument are these before its path.
const freeField, valueField = "free ", "value "

// grantingOf reads the form: which arguments may be others, for how long and how
// often.
func grantingOf(in map[string]string) (g inbox.Granting, err error) {
	hours, err := strconv.ParseFloat(in["hours"], 64)
	if err != nil || !(hours > 0 && hours < 1e6) {
		return g, refused(http.StatusBadRequest, "Say for how many hours.")
	}
	if g.Count, err = strconv.Atoi(in["count"]); err != nil {
		return g, refused(http.StatusBadRequest, "Say for how many calls.")
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
			return g, refused(http.StatusBadRequest, "An argument is the same, any, up to an amount, or like a pattern.")
		}
		if how != "any" && value == "" {
			return g, refused(http.StatusBadRequest, "Say up to what, or like what, %s may be.", path)
		}
		g.Free = append(g.Free, free)
	}
	return g, nil
}

// revoke ends a grant.
func (c *Console) revoke(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	given := struct {
		By    string       `json:"by"`
		Proof asking.Proof `json:"proof"`
	}{who.Who, asking.Proof{Session: c.sessions.Vouch(who.Who, bySession)}}
	var ended inbox.Grant
	return done{}, c.Gate.Post(r.Context(), "/grants/"+escaped(r, "id")+"/revoke", given, &ended)
}
