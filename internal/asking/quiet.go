package asking

import (
	"fmt"
	"strings"
	"time"
)

// Quiet are hours of each day in which a person is not told of questions, in a time
// zone. They may go over midnight. The zero Quiet is none.
type Quiet struct {
	from, to int // minutes of the day
	zone     *time.Location
}

// ParseQuiet reads "22:00-07:00 Europe/Berlin"; without a zone the hours are UTC.
func ParseQuiet(text string) (Quiet, error) {
	hours, zone, _ := strings.Cut(text, " ")
	from, to, ok := strings.Cut(hours, "-")
	begin, err := time.Parse("15:04", from)
	end, wrong := time.Parse("15:04", to)
	if !ok || err != nil || wrong != nil || begin.Equal(end) {
		return Quiet{}, fmt.Errorf("%q are no quiet hours: write them like 22:00-07:00 Europe/Berlin", text)
	}
	where, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return Quiet{}, fmt.Errorf("there is no time zone %q", zone)
	}
	minute := func(t time.Time) int { return 60*t.Hour() + t.Minute() }
	return Quiet{minute(begin), minute(end), where}, nil
}

// At reports whether a time is within them.
func (q Quiet) At(at time.Time) bool {
	if q.zone == nil {
		return false
	}
	at = at.In(q.zone)
	now := 60*at.Hour() + at.Minute()
	if q.from < q.to {
		return q.from <= now && now < q.to
	}
	return now >= q.from || now < q.to
}

// Resting reports whether all people of groups have quiet hours. Of groups without
// people nobody rests.
func (t *Terms) Resting(groups []string, at time.Time) bool {
	somebody := false
	for name, of := range t.Groups {
		if !overlap(of, groups) {
			continue
		}
		if somebody = true; !t.Quiet[name].At(at) {
			return false
		}
	}
	return somebody
}

func overlap(a, b []string) bool {
	for _, one := range a {
		for _, other := range b {
			if one == other {
				return true
			}
		}
	}
	return false
}
