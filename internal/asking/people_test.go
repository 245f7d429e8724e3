package asking

import (
	"slices"
	"testing"
	"time"

	"sallyport"
)

// A question reaches those who may agree to it, each once, and nobody else.
func TestAsked(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	terms := &Terms{Groups: map[string][]string{"bo": {"finance", "leads"}, "ana": {"finance"}, "cy": {"finance"}, "dana": {"board"}}, After: time.Hour, To: []string{"board"}}
	a := &sallyport.Approval{Asked: now, Class: sallyport.ClassType, Principal: sallyport.Principal{User: "ana"},
		Rules: []sallyport.Rule{{Ask: []string{"finance", "leads"}}}}
	if got := terms.Asked(a, now); !slices.Equal(got, []string{"bo", "cy"}) { // ana's own agent, and dana's group is not asked
		t.Errorf("%q", got)
	}
	if got := terms.Asked(a, now.Add(time.Hour)); !slices.Equal(got, []string{"bo", "cy", "dana"}) {
		t.Errorf("escalated: %q", got)
	}
	if got := (&Terms{Alone: "operator"}).Asked(a, now); !slices.Equal(got, []string{"operator"}) {
		t.Errorf("alone: %q", got)
	}
}
