package console

import (
	"net/http"
	"net/url"

	"sallyport/internal/limits"
)

type limitsData struct {
	Limits []limitLine `json:"limits"` // each before its parts
}

// limitLine is a limit in the tree.
type limitLine struct {
	limits.Shown
	Depth int `json:"depth"`
}

func (c *Console) limits(r *http.Request) (string, any, error) {
	var all []limits.Shown
	if err := c.Gate.Get(r.Context(), "/limits", &all); err != nil {
		return "", nil, err
	}
	return "Limits", limitsData{tree(all)}, nil
}

// tree puts each limit behind the one of which it is a part. One whose whole is
// not there stands by itself.
func tree(all []limits.Shown) []limitLine {
	names, parts := map[string]bool{}, map[string][]limits.Shown{}
	for _, l := range all {
		names[l.Name] = true
	}
	for _, l := range all {
		within := l.Within
		if !names[within] {
			within = ""
		}
		parts[within] = append(parts[within], l)
	}
	lines := []limitLine{}
	var below func(whole string, depth int)
	below = func(whole string, depth int) {
		for _, l := range parts[whole] {
			lines = append(lines, limitLine{l, depth})
			if depth < len(all) { // no circle, whatever the gate says
				below(l.Name, depth+1)
			}
		}
	}
	below("", 0)
	return lines
}

func (c *Console) limit(r *http.Request) (string, any, error) {
	var data limits.ShownAll
	err := c.Gate.Get(r.Context(), "/limits/"+url.PathEscape(r.PathValue("name")), &data)
	return "Limit", data, missing(err)
}
