package console

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/attention"
)

// noting is a gate that remembers what it was asked for.
type noting struct {
	*world
	paths []string
}

func (a *noting) Get(ctx context.Context, path string, out any) error {
	a.paths = append(a.paths, path)
	return a.world.Get(ctx, path, out)
}

// A question that a person has before them says so, from when on their time counts;
// what only shows does not.
func TestQuestionsAreShownToSomebody(t *testing.T) {
	w := newWorld()
	equal(t, w, sallyport.ClassType)
	w.answers["/approvals/a_1"] = w.answers["/approvals?all"].([]map[string]any)[0]
	gate := &noting{world: w}
	c, err := New(Parts{Gate: gate, Log: w, Proof: w, People: w, Passkeys: nobody{}, Record: w, Now: func() time.Time { return w.at }, Version: "test"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _ := person(t, c)
	link := cookieOf(t, ask(c, "GET", c.Link(), ""))
	for page, path := range map[string]string{"approvals/a_1": "/approvals/a_1", "approvals/a_1/equal": "/approvals/a_1/equal"} {
		for who, change := range map[string]func(*http.Request){path + "?to=maren": cookie, path: link} {
			gate.paths = nil
			if w := ask(c, "GET", Path+page, "", change); w.Code != http.StatusOK || !slices.Contains(gate.paths, who) {
				t.Errorf("%s: HTTP %d, asked %q", who, w.Code, gate.paths)
			}
		}
	}
}

func TestAttentionPage(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	w.answers["/attention"] = attention.Count(nil, attention.Around{})
	page := ask(c, "GET", Path+"attention", "", cookie)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "Nobody was asked anything") || strings.Contains(page.Body.String(), `id="classes"`) {
		t.Errorf("of nothing: HTTP %d %s", page.Code, page.Body)
	}
	stats := attention.Stats{
		Classes:  []attention.Class{{Class: 2, Asked: 9, Approved: 3, Refused: 1, Expired: 5}},
		People:   []attention.Person{{Name: "bo", Asked: 23, Days: []attention.Load{{Day: "2026-11-30", Asked: 23}}, Over: 1, Approved: 3, Refused: 1, Median: 4200, Ninth: 61_000, Hasty: 2, Unseen: 1}},
		Hasty:    []attention.Answer{{Approval: "a_1", By: "bo", At: w.at, Class: 2, Took: 900, Read: 8000}, {Approval: "a_2", By: "bo", At: w.at, Class: 2, Read: 8000}},
		Reversed: []attention.Answer{{Approval: "a_3", By: "bo", At: w.at, Class: 2, Why: "kill k_1 agent <b>"}},
	}
	w.answers["/attention"] = stats
	body := ask(c, "GET", Path+"attention?days=30", "", cookie).Body.String()
	for _, wanted := range []string{"23 on 2026-11-30", "75 %", "4.2 s", "61.0 s", "Looked at for 0.9 s", "Never shown to them", "8.0 s at least", "kill k_1 agent &lt;b&gt;", `href="/console/approvals/a_1"`} {
		if !strings.Contains(body, wanted) {
			t.Errorf("the page does not say %q: %s", wanted, body)
		}
	}
	var got attention.Stats
	data := ask(c, "GET", Path+"attention.json", "", cookie)
	if err := json.Unmarshal(data.Body.Bytes(), &got); err != nil || len(got.People) != 1 || got.People[0].Median != 4200 || got.Classes[0] != stats.Classes[0] {
		t.Errorf("%s: %v", data.Body, err)
	}
	for _, days := range []string{"0", "367", "x", "-1"} {
		if w := ask(c, "GET", Path+"attention?days="+days, "", cookie); w.Code != http.StatusBadRequest {
			t.Errorf("%s days: HTTP %d", days, w.Code)
		}
	}
}
