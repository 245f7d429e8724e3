package inbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
)

// A grant takes one person whose yes is enough, and nobody else's to one call
// counts for it.
func TestGrant(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	wanted := Granting{ID: "a_1", By: "bo", Digest: a.Digest.String(), Free: []Free{{Path: "amount", Most: "9"}}, For: 3600, Count: 3, Proof: secretly("bo")}
	for name, c := range map[string]struct {
		change func(a *sallyport.Approval, g *Granting)
		want   string
	}{
		"as it is":         {func(*sallyport.Approval, *Granting) {}, ""},
		"another digest":   {func(_ *sallyport.Approval, g *Granting) { g.Digest = "x" }, "look again"},
		"another's secret": {func(_ *sallyport.Approval, g *Granting) { g.Proof.Secret = "dee's" }, "wrong secret"},
		"nothing typed":    {func(_ *sallyport.Approval, g *Granting) { g.Proof.Typed = "" }, "neither the amount"},
		"not asked":        {func(_ *sallyport.Approval, g *Granting) { g.By, g.Proof = "dee", secretly("dee") }, "other people are asked"},
		"of one's own":     {func(_ *sallyport.Approval, g *Granting) { g.By, g.Proof = "ana", secretly("ana") }, "acts for this person"},
		"two groups":       {func(a *sallyport.Approval, _ *Granting) { a.Rules[0].Ask = []string{"finance", "legal"} }, "takes one person"},
		"half a yes": {func(a *sallyport.Approval, g *Granting) {
			a.Rules[0].Ask = []string{"finance", "legal"}
			a.Answers = []sallyport.Answer{{Group: "finance", By: "bo", At: start}}
			g.By, g.Proof = "dee", secretly("dee")
		}, "agreed to this one call"},
		"always": {func(_ *sallyport.Approval, g *Granting) { g.For = 1 << 60 }, "30 days"},
	} {
		a, given := asks("a_1", `{"amount":7}`), wanted
		c.change(&a, &given)
		i, d := opened(a)
		made, err := i.Grant(t.Context(), given)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || len(d.grants) != 0 || d.kept[0].State != sallyport.Pending {
				t.Errorf("%s: %+v, %v", name, made, err)
			}
			continue
		}
		if err != nil || made.State != Live || made.By != "bo" || len(d.grants) != 1 || !d.grants[0].Until.Equal(start.Add(time.Hour+time.Second)) || d.kept[0].State != sallyport.Approved {
			t.Errorf("%s: %+v, %v", name, made, err)
		}
		if ended, err := i.Revoke(t.Context(), made.ID, "dee", "over", secretly("dee")); err != nil || ended.State != "revoked by dee" {
			t.Errorf("%+v, %v", ended, err)
		}
		// The yes that it was made with, which no call has used, is none any more.
		if d.kept[0].State != sallyport.Expired || d.kept[0].By != "dee" {
			t.Errorf("%s outlived its grant: %s", d.kept[0].ID, d.kept[0].State)
		}
	}
}

// Why a grant answers nothing is said as long as people could think that it does.
func TestGrantsThatAreDead(t *testing.T) {
	a := asks("a_1", `{"amount":7}`)
	for name, c := range map[string]struct {
		change func(i *Inbox, d *desk)
		state  string
		listed int // without those that are over
	}{
		"live":     {func(*Inbox, *desk) {}, Live, 1},
		"erased":   {func(_ *Inbox, d *desk) { d.unseen = map[string]error{"a_1": errors.New("its key was erased")} }, "what was agreed to can't be read, so it answers nothing: its key was erased", 1},
		"who left": {func(i *Inbox, _ *desk) { delete(i.Terms().Groups, "bo") }, "who agreed may not any more", 1},
		"revoked":  {func(_ *Inbox, d *desk) { d.grants[0].Revoked = "dee" }, "revoked by dee", 0},
		"erased, revoked": {func(_ *Inbox, d *desk) {
			d.grants[0].Revoked, d.unseen = "dee", map[string]error{"a_1": errors.New("its key was erased")}
		}, "revoked by dee", 0},
	} {
		i, d := opened(a)
		if _, err := i.Grant(t.Context(), Granting{ID: "a_1", By: "bo", Digest: a.Digest.String(), Free: []Free{{Path: "amount", Most: "9"}}, For: 3600, Count: 3, Proof: secretly("bo")}); err != nil {
			t.Fatal(err)
		}
		c.change(i, d)
		listed, err := i.Grants(t.Context(), false)
		all, errAll := i.Grants(t.Context(), true)
		if err != nil || errAll != nil || len(listed) != c.listed || len(all) != 1 || all[0].State != c.state {
			t.Errorf("%s: %d listed, %+v, %v, %v", name, len(listed), all, err, errAll)
		}
	}
}

// What a grant answers waits for nobody, as long as the grant does; everything else
// does.
func TestGranted(t *testing.T) {
	a, like, beyond := asks("a_1", `{"amount":7}`), asks("a_2", `{"amount":8}`), asks("a_3", `{"amount":10}`)
	for name, c := range map[string]struct {
		change func(i *Inbox, d *desk)
		want   string // that waits
	}{
		"a grant":              {func(*Inbox, *desk) {}, "a_3"},
		"revoked":              {func(_ *Inbox, d *desk) { d.grants[0].Revoked = "bo" }, "a_2 a_3"},
		"used up":              {func(_ *Inbox, d *desk) { d.grants[0].Used = d.grants[0].Count }, "a_2 a_3"},
		"out of its time":      {func(i *Inbox, d *desk) { d.grants[0].Until = i.Now() }, "a_2 a_3"},
		"of another agent":     {func(_ *Inbox, d *desk) { d.kept[1].Principal.Agent = "bob" }, "a_2 a_3"},
		"of another server":    {func(_ *Inbox, d *desk) { d.kept[1].Server = "x" }, "a_2 a_3"},
		"of another tool":      {func(_ *Inbox, d *desk) { d.kept[1].Name = "x" }, "a_2 a_3"},
		"of a higher class":    {func(_ *Inbox, d *desk) { d.kept[1].Class = sallyport.ClassPair }, "a_2 a_3"},
		"of another rule":      {func(_ *Inbox, d *desk) { d.kept[1].Rules = []sallyport.Rule{{ID: "y", Ask: []string{"finance"}}} }, "a_2 a_3"},
		"of a changed rule":    {func(_ *Inbox, d *desk) { d.kept[1].Rules = []sallyport.Rule{{ID: "x", Ask: []string{"finance"}}} }, "a_2 a_3"},
		"whoever made it left": {func(i *Inbox, _ *desk) { delete(i.Terms().Groups, "bo") }, "a_2 a_3"},
		"its question ended":   {func(_ *Inbox, d *desk) { d.kept[0].State, d.kept[0].Reason = sallyport.Expired, "killed" }, "a_2 a_3"},
		"its question erased":  {func(_ *Inbox, d *desk) { d.unseen = map[string]error{"a_1": errors.New("erased")} }, "a_2 a_3"},
		"the question erased":  {func(_ *Inbox, d *desk) { d.unseen = map[string]error{"a_2": errors.New("erased")} }, "a_2 a_3"},
	} {
		i, d := opened(a, like, beyond)
		if _, err := i.Grant(t.Context(), Granting{ID: "a_1", By: "bo", Digest: a.Digest.String(), Free: []Free{{Path: "amount", Most: "9"}}, For: 3600, Count: 3, Proof: secretly("bo")}); err != nil {
			t.Fatal(err)
		}
		c.change(i, d)
		waiting := func(all bool) string {
			list, err := i.List(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, q := range list {
				if q.State == "pending" && q.Grant == "" {
					ids = append(ids, q.ID)
				}
			}
			slices.Sort(ids)
			return strings.Join(ids, " ")
		}
		if waiting(false) != c.want || waiting(true) != c.want {
			t.Errorf("%s: %q waits, of all %q; want %q", name, waiting(false), waiting(true), c.want)
		}
		q, err := i.Show(t.Context(), "a_2")
		if want := map[bool]string{true: "g_1"}[c.want == "a_3"]; err != nil || q.Grant != want || q.State != "pending" {
			t.Errorf("%s: %q answers it (%s), %v", name, q.Grant, q.State, err)
		}
	}
}
