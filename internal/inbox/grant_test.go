package inbox

import (
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
	}
}
