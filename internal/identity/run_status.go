package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"sallyport"
)

// RunStatus is a run as people see it.
type RunStatus struct {
	Run      string    `json:"run"`
	Parent   string    `json:"parent,omitempty"`
	Standing bool      `json:"standing"`
	Agent    string    `json:"agent"`
	User     string    `json:"user"`
	Tenant   string    `json:"tenant,omitempty"`
	State    string    `json:"state"`        // open, expired, ended
	By       string    `json:"by,omitempty"` // who began it
	Began    time.Time `json:"began,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	EndedBy  string    `json:"ended_by,omitempty"`
	Messages int       `json:"messages"`
}

// ShownRun is a run with what was said to it.
type ShownRun struct {
	RunStatus
	Calls    int      `json:"calls"`
	Refused  int      `json:"refused"` // or held
	Children []string `json:"children"`
	Words    []Word   `json:"words"` // the first is the task
}

// Word is what the user said to a run, as people see it.
type Word struct {
	Time     time.Time          `json:"time"`
	By       string             `json:"by"`
	Strength sallyport.Strength `json:"strength"`
	Text     string             `json:"text,omitempty"`
	Gone     string             `json:"gone,omitempty"` // why the text can't be shown
}

func (r *Runs) status(one *run) RunStatus {
	s := RunStatus{
		Run: one.ID, Parent: one.Parent, Standing: one.Standing, Agent: one.Agent, User: one.User, Tenant: one.Tenant,
		By: one.By, Began: one.Began, Expires: one.Expires, Ended: one.Ended, EndedBy: one.EndedBy, Messages: len(one.Words), State: "open",
	}
	switch {
	case !one.Ended.IsZero():
		s.State = "ended"
	case one.over(r.now()) != nil:
		s.State = "expired"
	}
	return s
}

// List shows the runs that go on and that the caller has to do with, standing
// ones first, the others in the order in which they began.
func (r *Runs) List(caller Caller) []RunStatus {
	var all []*run
	stands := map[string]bool{}
	r.mu.RLock()
	for _, s := range r.byID {
		one := s.now.Load()
		all = append(all, one)
		stands[one.First] = true
	}
	r.mu.RUnlock()
	for _, k := range r.current.Load().everyone {
		if !stands[k.run.ID] {
			all = append(all, standingOf(k))
		}
	}
	list := []RunStatus{}
	for _, one := range all {
		if caller.may(see) && r.reaches(caller, one) && one.Ended.IsZero() {
			list = append(list, r.status(one))
		}
	}
	slices.SortFunc(list, func(a, b RunStatus) int {
		if a.Standing != b.Standing {
			return cmp.Compare(b.rank(), a.rank())
		}
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Run, b.Run))
	})
	return list
}

func (s RunStatus) rank() int {
	if s.Standing {
		return 1
	}
	return 0
}

// Show shows a run, also one that has ended.
func (r *Runs) Show(ctx context.Context, caller Caller, id string) (ShownRun, error) {
	one, err := r.reach(caller, id)
	if err != nil {
		if one, err = r.ended(ctx, id); err != nil {
			return ShownRun{}, err
		}
	}
	if one == nil || !caller.may(see) || !r.reaches(caller, one) {
		return ShownRun{}, noRun(id)
	}
	shown := ShownRun{RunStatus: r.status(one), Words: []Word{}, Children: []string{}}
	if shown.Calls, shown.Refused, err = r.Log.Calls(ctx, id); err != nil {
		return ShownRun{}, err
	}
	children, err := r.store.ChildRuns(ctx, id)
	if err != nil {
		return ShownRun{}, err
	}
	shown.Children = append(shown.Children, children...)
	for _, s := range one.Words {
		word := Word{Time: s.Time, By: s.By, Strength: s.Strength}
		if word.Text, err = r.text(ctx, s); err != nil {
			word.Gone = err.Error()
		}
		shown.Words = append(shown.Words, word)
	}
	return shown, nil
}

// ended is a run that is not in memory any more, nil when there was none.
func (r *Runs) ended(ctx context.Context, id string) (*run, error) {
	row, err := r.store.RunRow(ctx, id)
	if err != nil || row.Record == nil {
		return nil, err
	}
	one := &run{}
	return one, json.Unmarshal(row.Record, one)
}

func (r *Runs) text(ctx context.Context, s said) (string, error) {
	words, err := r.Log.Words(ctx, s.Index)
	if err != nil {
		return "", err
	}
	var p payload
	if err := json.Unmarshal(words, &p); err != nil {
		return "", err
	}
	return p.Text, nil
}
