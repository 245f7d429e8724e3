package asking

import (
	"testing"
	"time"

	"sallyport"
)

func quiet(t *testing.T, text string) Quiet {
	t.Helper()
	q, err := ParseQuiet(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQuiet(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 30, hour, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		hours string
		at    time.Time
		want  bool
	}{
		{"22:00-07:00", at(21, 59), false}, {"22:00-07:00", at(22, 0), true}, {"22:00-07:00", at(3, 0), true}, {"22:00-07:00", at(6, 59), true}, {"22:00-07:00", at(7, 0), false},
		{"12:00-13:30 UTC", at(12, 0), true}, {"12:00-13:30 UTC", at(13, 30), false}, {"12:00-13:30 UTC", at(0, 0), false},
		{"22:00-07:00 Europe/Berlin", at(21, 0), true}, {"22:00-07:00 Europe/Berlin", at(6, 30), false}, // an hour earlier in winter
	} {
		if got := quiet(t, c.hours).At(c.at); got != c.want {
			t.Errorf("%s at %s: %v", c.hours, c.at, got)
		}
	}
	if (Quiet{}).At(at(0, 0)) {
		t.Error("none are some")
	}
	for _, text := range []string{"", "22:00", "22-7", "22:00-22:00", "24:00-07:00", "22:00-07:00 Europe/Nowhere", "22:00-07:00 Local", "22:00-07:00  UTC"} {
		if _, err := ParseQuiet(text); err == nil {
			t.Errorf("%q are quiet hours", text)
		}
	}
}

// An escalation waits while all to whom it leads rest. Whoever is asked may answer
// at any hour.
func TestEscalationWaits(t *testing.T) {
	night := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	terms := &Terms{Groups: map[string][]string{"bo": {"finance"}, "cy": {"board"}, "dana": {"board", "finance"}}, After: time.Minute, To: []string{"board"},
		Quiet: map[string]Quiet{"bo": quiet(t, "22:00-07:00"), "cy": quiet(t, "22:00-07:00"), "dana": quiet(t, "22:00-03:00")}}
	a := &sallyport.Approval{Asked: night, Class: sallyport.ClassTap, Rules: []sallyport.Rule{{Ask: []string{"finance"}}}}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{time.Second, false}, {30 * time.Minute, false}, {time.Hour, true}} { // dana is up at three
		at := night.Add(c.after)
		if got := len(terms.Escalated(a, at)) > 0; got != c.want {
			t.Errorf("after %s: %v", c.after, got)
		}
		if _, err := terms.Agrees(a, "cy", "", at); (err == nil) != c.want {
			t.Errorf("after %s cy: %v", c.after, err)
		}
		if _, err := terms.Agrees(a, "bo", "", at); err != nil {
			t.Errorf("after %s bo: %v", c.after, err)
		}
	}
	if terms.Resting([]string{"nobody"}, night) || terms.Resting(nil, night) || !terms.Resting([]string{"finance"}, night) || terms.Resting([]string{"finance"}, night.Add(time.Hour)) {
		t.Error("resting")
	}
	terms.Quiet = nil
	if len(terms.Escalated(a, night.Add(time.Hour))) == 0 {
		t.Error("without quiet hours nobody rests")
	}
}
