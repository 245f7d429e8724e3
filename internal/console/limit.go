package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/console/burn"
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

// onLimit is how many accounts of a limit are shown.
const onLimit = 100

type limitData struct {
	limits.ShownAll
	More    int            `json:"more,omitempty"`   // accounts that are not shown
	Course  *limits.Course `json:"course,omitempty"` // of one account
	Picture *burn.Picture  `json:"-"`
}

func (c *Console) limit(r *http.Request) (string, any, error) {
	var data limitData
	path := "/limits/" + url.PathEscape(r.PathValue("name"))
	if err := c.Gate.Get(r.Context(), path, &data.ShownAll); err != nil {
		return "", nil, form.Missing(err)
	}
	key, chosen := r.URL.Query().Get("account"), r.URL.Query().Has("account")
	if !chosen && len(data.Accounts) > 0 {
		key, chosen = data.Accounts[0].Key, true // the fullest
	}
	if chosen {
		var course limits.Course
		if err := c.Gate.Get(r.Context(), path+"/course?"+url.Values{"account": {key}}.Encode(), &course); err != nil {
			return "", nil, form.Missing(err)
		}
		for _, account := range data.Accounts {
			if account.Key == key {
				course.Account = account // with its name as people read it
			}
		}
		picture := burn.Draw(&course, time.Local)
		data.Course, data.Picture = &course, &picture
	}
	if data.More = max(0, len(data.Accounts)-onLimit); data.More > 0 {
		data.Accounts = data.Accounts[:onLimit]
	}
	return "Limit", data, nil
}

// Shows reports whether an account is the one whose course is shown.
func (d limitData) Shows(key string) bool { return d.Course != nil && d.Course.Account.Key == key }

// amount is an exact decimal with its thousands apart.
func amount(text string) string {
	whole, rest, fraction := strings.Cut(text, ".")
	if strings.Trim(whole, "-0123456789") != "" {
		return text
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 && whole[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if fraction {
		b.WriteString("." + rest)
	}
	return b.String()
}

// short is a time of today without the day.
func short(t time.Time) string {
	if t = t.Local(); t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2 Jan 15:04")
}
