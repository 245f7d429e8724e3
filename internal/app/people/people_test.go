package people

import (
	"slices"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/config"
)

// Of the enrolled, who is declared is in its groups; the operator is in all of them
// only while nobody else has ever enrolled.
func TestTerms(t *testing.T) {
	c, err := config.Parse("/x/sallyport.yaml", []byte(`
users: {ana: {groups: [finance]}, bo: {groups: [finance, board]}, operator: {groups: [board]}}
roles: [support]
agents: {bot: {role: support, for: ana}}
approvals: {expire: 30m, escalate: {after: 10m, to: [board]}, classes: {delete: 3}, large: "1000", load: {cap: 7, beyond: deny}, quiet: {bo: "22:00-07:00"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	terms := Terms(c, []string{"ana", "gone", "operator"}, nil)
	if !slices.Equal(terms.Groups["ana"], []string{"finance"}) || !slices.Equal(terms.Groups["operator"], []string{"board"}) || len(terms.Groups) != 2 || terms.Alone != "" {
		t.Errorf("%v, alone %q", terms.Groups, terms.Alone)
	}
	if night := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC); !terms.Quiet["bo"].At(night) || terms.Quiet["ana"].At(night) {
		t.Errorf("quiet: %v", terms.Quiet)
	}
	if terms.Expire != 30*time.Minute || terms.After != 10*time.Minute || !slices.Equal(terms.To, []string{"board"}) ||
		terms.Classes[sallyport.Delete] != sallyport.ClassPair || terms.Load != 7 || !terms.Never || terms.Large != "1000" {
		t.Errorf("%+v", terms)
	}
	for _, enrolled := range [][]string{{"gone", "operator"}, {"ana"}, nil} {
		if got := Terms(c, enrolled, nil).Alone; got != "" {
			t.Errorf("%q: %q answers for everybody", enrolled, got)
		}
	}
	if got := Terms(c, []string{"operator"}, nil).Alone; got != "operator" {
		t.Errorf("%q", got)
	}
	if people := Declared(c); people.Agents["bot"].User != "ana" || len(people.Users) != 3 {
		t.Errorf("%+v", people)
	}
}
