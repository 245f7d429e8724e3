package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"sallyport/internal/console/form"
	"sallyport/internal/store"
)

type runStatus struct {
	Run      string    `json:"run"`
	Parent   string    `json:"parent,omitempty"`
	Standing bool      `json:"standing"`
	Agent    string    `json:"agent"`
	User     string    `json:"user"`
	Tenant   string    `json:"tenant,omitempty"`
	State    string    `json:"state"`
	By       string    `json:"by,omitempty"`
	Began    time.Time `json:"began,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	EndedBy  string    `json:"ended_by,omitempty"`
	Messages int       `json:"messages"`
}

type shownRun struct {
	runStatus
	Calls    int      `json:"calls"`
	Refused  int      `json:"refused"`
	Children []string `json:"children"`
	Words    []struct {
		Time     time.Time `json:"time"`
		By       string    `json:"by"`
		Strength string    `json:"strength"`
		Text     string    `json:"text,omitempty"`
		Gone     string    `json:"gone,omitempty"`
	} `json:"words"`
}

type runsData struct {
	Runs []runStatus `json:"runs"`
}

func (c *Console) runs(r *http.Request) (string, any, error) {
	data := runsData{Runs: []runStatus{}}
	err := c.Gate.Get(r.Context(), "/runs", &data.Runs)
	slices.SortStableFunc(data.Runs, func(a, b runStatus) int { return b.Began.Compare(a.Began) })
	return "Runs", data, err
}

// onTimeline is how many calls of a run are shown.
const onTimeline = 200

type runData struct {
	shownRun
	Timeline []call `json:"timeline"`          // oldest first
	Labels   int    `json:"-"`                 // how many the last call knew
	Earlier  string `json:"earlier,omitempty"` // the address of those before
}

func (c *Console) run(r *http.Request) (string, any, error) {
	data := runData{Timeline: []call{}}
	id := r.PathValue("id")
	if err := c.Gate.Get(r.Context(), "/runs/"+url.PathEscape(id), &data.shownRun); err != nil {
		return "", nil, form.Missing(err)
	}
	found, err := c.Log.Query(r.Context(), store.Filter{Run: id, Limit: onTimeline})
	if err != nil {
		return "", nil, err
	}
	known := map[string]bool{}
	for _, one := range slices.Backward(found) {
		next := callOf(one)
		for _, label := range next.Labels {
			if !known[label] {
				next.New, known[label] = append(next.New, label), true
			}
		}
		data.Timeline = append(data.Timeline, next)
	}
	data.Labels = len(known)
	if len(found) == onTimeline {
		data.Earlier = Path + "log?" + url.Values{"run": {id}}.Encode()
	}
	return "Run", data, nil
}
