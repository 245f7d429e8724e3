package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
	"sallyport/internal/limits"
	"sallyport/internal/store"
)

type order struct {
	ID    string `json:"id"`
	Pause bool   `json:"pause,omitempty"`
	Scope struct {
		Kind string `json:"kind"`
		Name string `json:"name,omitempty"`
	} `json:"scope"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// What says what the order stops, and how.
func (o order) What() string {
	if o.Pause {
		return "Paused: " + scopeText(o.Scope.Kind, o.Scope.Name)
	}
	return "Killed: " + scopeText(o.Scope.Kind, o.Scope.Name)
}

func scopeText(kind, name string) string {
	if kind == "all" {
		return "everything"
	}
	return kind + " " + name
}

type check struct {
	Level string `json:"level"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
}

type homeData struct {
	Held    []inbox.Question `json:"held"`
	Blocked int              `json:"blocked_today"`
	Asked   int              `json:"held_today"`
	Recent  []call           `json:"blocked"`
	Log     logHealth        `json:"log"`
	Checks  []check          `json:"checks"`      // what is not in order
	Spent   []limits.Spent   `json:"spent_today"` // of what money is counted in first, the fullest first
	Rules   rules            `json:"rules"`
	Stopped []order          `json:"stopped"`
	Scopes  []scope          `json:"scopes"`
}

type logHealth struct {
	Size    uint64    `json:"entries"`
	Signed  uint64    `json:"checkpoint"`
	Root    string    `json:"root"`
	Last    time.Time `json:"last,omitzero"` // entry
	Problem string    `json:"problem,omitempty"`
}

// scope is what can be stopped at once.
type scope struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
}

func (s scope) String() string { return scopeText(s.Kind, s.Name) }

// Value is the scope as a form sends it.
func (s scope) Value() string { return strings.TrimSuffix(s.Kind+" "+s.Name, " ") }

func (c *Console) home(r *http.Request) (string, any, error) {
	ctx := r.Context()
	data := homeData{Recent: []call{}, Checks: []check{}}
	var err error
	if data.Held, err = c.asked.Pending(ctx); err != nil {
		return "", nil, err
	}
	now := c.Now().Local()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if data.Blocked, err = c.Log.Count(ctx, store.Filter{Type: sallyport.Refusal, Since: today}); err != nil {
		return "", nil, err
	}
	if data.Asked, err = c.Log.Count(ctx, store.Filter{Type: sallyport.Held, Since: today}); err != nil {
		return "", nil, err
	}
	recent, err := c.Log.Query(ctx, store.Filter{Type: sallyport.Refusal, Limit: 6})
	if err != nil {
		return "", nil, err
	}
	for _, found := range recent {
		data.Recent = append(data.Recent, callOf(found))
	}
	data.Log = c.health(r)
	if data.Spent, err = c.spent(ctx, today); err != nil {
		return "", nil, err
	}
	if data.Rules, err = c.rules(r); err != nil {
		return "", nil, err
	}
	var report struct {
		Checks []check `json:"checks"`
	}
	if err := c.Gate.Get(ctx, "/doctor", &report); err != nil {
		return "", nil, err
	}
	for _, found := range report.Checks {
		if found.Level == "warning" || found.Level == "broken" {
			data.Checks = append(data.Checks, found)
		}
	}
	if err := c.Gate.Get(ctx, "/kills", &data.Stopped); err != nil {
		return "", nil, err
	}
	data.Scopes, err = c.scopes(r)
	return "Home", data, err
}

// spent is what calls took since a time: of what counts calls and bytes only where
// nothing else is counted.
func (c *Console) spent(ctx context.Context, since time.Time) ([]limits.Spent, error) {
	var all []limits.Spent
	if err := c.Gate.Get(ctx, "/spent?"+url.Values{"since": {since.Format(time.RFC3339)}}.Encode(), &all); err != nil {
		return nil, err
	}
	plain := func(s limits.Spent) bool { return s.Unit == "calls" || s.Unit == "bytes" }
	if !slices.ContainsFunc(all, func(s limits.Spent) bool { return !plain(s) }) {
		return all, nil
	}
	return slices.DeleteFunc(all, plain), nil
}

func (c *Console) health(r *http.Request) (h logHealth) {
	var err error
	if h.Size, err = c.Proof.Size(r.Context()); err == nil {
		signed, _, failed := c.Proof.Checkpoint()
		h.Signed, h.Root, err = signed.Size, signed.Root.String(), failed
	}
	if err != nil {
		h.Problem = err.Error()
	}
	return h
}

// scopes are what can be stopped here: everything, agents, and servers.
func (c *Console) scopes(r *http.Request) ([]scope, error) {
	all := []scope{{Kind: "all"}}
	var agents, servers []struct {
		Name string `json:"name"`
	}
	if err := c.Gate.Get(r.Context(), "/agents", &agents); err != nil {
		return nil, err
	}
	if err := c.Gate.Get(r.Context(), "/servers", &servers); err != nil {
		return nil, err
	}
	for _, a := range agents {
		all = append(all, scope{"agent", a.Name})
	}
	for _, s := range servers {
		all = append(all, scope{"server", s.Name})
	}
	return all, nil
}

// kill stops a scope. Its name is typed, so that a slip stops nothing.
func (c *Console) kill(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		What, Scope, Typed, Reason string
	}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	kind, name, _ := strings.Cut(in.Scope, " ")
	if in.What != "kill" && in.What != "pause" {
		return nil, form.Refused(http.StatusBadRequest, "Choose kill or pause.")
	}
	if wanted := scopeText(kind, name); strings.TrimSpace(in.Typed) != wanted {
		return nil, form.Refused(http.StatusUnprocessableEntity, "Nothing was stopped: type %q to confirm.", wanted)
	}
	wanted := struct {
		Pause  bool   `json:"pause"`
		Scope  scope  `json:"scope"`
		Reason string `json:"reason"`
	}{in.What == "pause", scope{kind, name}, in.Reason}
	var out order
	if err := c.Gate.Post(r.Context(), "/kills", wanted, &out); err != nil {
		return nil, err
	}
	// Who it was is put down afterwards: nothing may keep a kill waiting.
	return form.Done{Go: Path}, c.Record.Record(r.Context(), "console "+in.What+" "+out.ID, who.Who, sallyport.Digest{}, sallyport.Digest{})
}

// resume takes an order out of force. It loosens: the person vouches for it.
func (c *Console) resume(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	return form.Done{Go: Path}, c.Gate.Post(r.Context(), "/kills/"+form.Escaped(r, "id")+"/resume", secret{c.sessions.Vouch(who.Who)}, &struct{}{})
}

// secret is what a verb takes that loosens.
type secret struct {
	Secret string `json:"secret"`
}
