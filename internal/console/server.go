package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

type server struct {
	Name        string   `json:"name"`
	Kind        string   `json:"kind"`
	Address     string   `json:"address"`
	State       string   `json:"state"`
	Error       string   `json:"error,omitempty"`
	Pinned      int      `json:"pinned"`
	Quarantined int      `json:"quarantined"`
	New         int      `json:"new"`
	Trust       string   `json:"trust"`
	Readers     string   `json:"readers"`
	Memory      bool     `json:"memory,omitempty"`
	Unfit       []string `json:"unfit"`
}

// Waits reports whether somebody has to look at it.
func (s server) Waits() bool { return s.Quarantined+s.New > 0 }

type tool struct {
	Server     string   `json:"server"`
	Name       string   `json:"name"`
	Title      string   `json:"title,omitempty"`
	Effects    []string `json:"effects"`
	Undeclared bool     `json:"undeclared,omitempty"`
	Audience   string   `json:"audience,omitempty"`
	Digest     string   `json:"digest,omitempty"`
	State      string   `json:"state"`
	Allowed    []string `json:"allowed"`
	Asked      []string `json:"asked"`
}

type serversData struct {
	Servers []server `json:"servers"`
}

func (c *Console) servers(r *http.Request) (string, any, error) {
	data := serversData{Servers: []server{}}
	err := c.Gate.Get(r.Context(), "/servers", &data.Servers)
	return "Servers", data, err
}

type serverData struct {
	server
	Tools   []tool  `json:"tools"`
	Changes changes `json:"changes"`
}

type changes struct {
	Digest  string   `json:"digest"`
	Changes []change `json:"changes"`
}

type change struct {
	Key      string          `json:"key"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after"`
	Effects  []string        `json:"effects,omitempty"`
	Findings []string        `json:"findings,omitempty"`
	Grave    []string        `json:"grave,omitempty"`
}

// Minor are the findings that honest servers have, too.
func (c change) Minor() []string {
	return slices.DeleteFunc(slices.Clone(c.Findings), func(f string) bool { return slices.Contains(c.Grave, f) })
}

// line is one line of a difference: "+" is new, "-" is gone.
type line struct{ Mark, Text string }

// Lines are the change as lines.
func (c change) Lines() []line {
	var lines []line
	text := string(diff.Diff("accepted", lineUp(c.Before), "now", lineUp(c.After)))
	if c.Before == nil {
		text = "\n\n\n\n+" + strings.ReplaceAll(strings.TrimSuffix(string(lineUp(c.After)), "\n"), "\n", "\n+")
	}
	for i, row := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i < 4 || row == "" { // names of the two files
			continue
		}
		lines = append(lines, line{row[:1], row[1:]})
	}
	return lines
}

func lineUp(raw json.RawMessage) []byte {
	if raw == nil {
		return nil
	}
	return []byte(indent(raw) + "\n")
}

func (c *Console) server(r *http.Request) (string, any, error) {
	ctx, name := r.Context(), r.PathValue("name")
	var all []server
	if err := c.Gate.Get(ctx, "/servers", &all); err != nil {
		return "", nil, err
	}
	data := serverData{Tools: []tool{}}
	for _, s := range all {
		if s.Name == name {
			data.server = s
		}
	}
	if data.Name == "" {
		return "", nil, form.Refused(http.StatusNotFound, "There is no server %q.", name)
	}
	var tools []tool
	if err := c.Gate.Get(ctx, "/tools", &tools); err != nil {
		return "", nil, err
	}
	for _, t := range tools {
		if t.Server == name {
			data.Tools = append(data.Tools, t)
		}
	}
	err := c.Gate.Get(ctx, "/servers/"+url.PathEscape(name)+"/changes", &data.Changes)
	return name, data, err
}

// acceptServer accepts what was shown of a server, which the digest names.
func (c *Console) acceptServer(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		Digest string `json:"digest"`
	}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	return form.Done{}, c.Gate.Post(r.Context(), "/servers/"+form.Escaped(r, "name")+"/accept", accept{c.sessions.Vouch(who.Who), in.Digest}, &struct{}{})
}

// accept accepts what was shown.
type accept struct {
	Secret string `json:"secret"`
	Digest string `json:"digest"`
}
