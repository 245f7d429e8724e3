package console

import (
	"net/http"
	"net/url"
	"slices"

	"sallyport"
	"sallyport/internal/console/flow"
)

// onMap is how many of the last records the map is made of.
const onMap = 300

type mapData struct {
	flow.Map
	Picture flow.Picture      `json:"-"`
	Filter  map[string]string `json:"filter"`
}

// Href is the log's page that shows the calls of a box.
func (m mapData) Href(n *flow.Node) string {
	q := url.Values{}
	for name, value := range n.Query {
		q.Set(name, value)
	}
	return Path + "log?" + q.Encode()
}

func (c *Console) flowMap(r *http.Request) (string, any, error) {
	data := mapData{Filter: map[string]string{}}
	for _, name := range []string{"agent", "user", "run", "since"} {
		if value := r.URL.Query().Get(name); value != "" {
			data.Filter[name] = value
		}
	}
	filter, err := filterOf(r.URL.Query())
	if err != nil {
		return "", nil, err
	}
	filter.Limit = onMap
	found, err := c.Log.Query(r.Context(), filter)
	if err != nil {
		return "", nil, err
	}
	var servers []server
	if err := c.Gate.Get(r.Context(), "/servers", &servers); err != nil {
		return "", nil, err
	}
	readers := map[string]string{}
	for _, s := range servers {
		readers[s.Name] = s.Readers
	}
	entries := make([]sallyport.Entry, 0, len(found))
	for _, one := range slices.Backward(found) {
		entries = append(entries, one.Entry)
	}
	data.Map = flow.Of(entries, func(server string) string {
		if readers[server] == "" {
			return "private" // what is not known counts as the fewest readers
		}
		return readers[server]
	})
	data.Picture = data.Draw()
	return "Flow map", data, nil
}
