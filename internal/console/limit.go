package console

import (
	"net/http"
	"net/url"
	"slices"

	"sallyport/internal/console/form"
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
// not there, or is a part of it, stands by itself.
func tree(all []limits.Shown) []limitLine {
	lines, placed := []limitLine{}, map[string]bool{}
	var place func(l limits.Shown, depth int)
	place = func(l limits.Shown, depth int) {
		if placed[l.Name] {
			return
		}
		placed[l.Name] = true
		lines = append(lines, limitLine{l, depth})
		for _, part := range all {
			if part.Within == l.Name {
				place(part, depth+1)
			}
		}
	}
	isWhole := func(l limits.Shown) bool {
		return l.Within == "" || !slices.ContainsFunc(all, func(o limits.Shown) bool { return o.Name == l.Within })
	}
	for _, l := range all {
		if isWhole(l) {
			place(l, 0)
		}
	}
	for _, l := range all {
		place(l, 0)
	}
	return lines
}

func (c *Console) limit(r *http.Request) (string, any, error) {
	var data limits.ShownAll
	err := c.Gate.Get(r.Context(), "/limits/"+url.PathEscape(r.PathValue("name")), &data)
	return "Limit", data, form.Missing(err)
}
