package limits

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport"
)

// courses of an account of 100 in a window that began at noon.
func TestCourse(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	minutes := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	step := func(minute, estimate, settled int64) Step {
		return Step{At: minutes(int(minute)), Calls: 1, Estimate: sallyport.Amount(estimate * 1e6), Settled: sallyport.Amount(settled * 1e6)}
	}
	account := func(until ...int) *Account { // and so much that stops to count then, by turns
		a := &Account{}
		for i := 0; i < len(until); i += 2 {
			a.Parts = append(a.Parts, Part{Until: minutes(until[i]), Used: sallyport.Amount(until[i+1] * 1e6)})
		}
		return a
	}
	fixed := sallyport.Window{Kind: sallyport.Fixed, Length: 4 * time.Hour}
	sliding := sallyport.Window{Kind: sallyport.Sliding, Length: 4 * time.Hour}
	for _, one := range []struct {
		name    string
		window  sallyport.Window
		account *Account
		steps   []Step
		now     int // minutes past noon
		want    string
	}{
		{"nothing", fixed, account(), nil, 60, "0 calls, 0 for 0, from 12:00, 0 an hour since 12:00, full never"},
		{"too early for a pace", fixed, account(240, 60), []Step{step(1, 60, 60)}, 2, "1 calls, 60 for 60, from 12:00, 50 % at 12:01, full never"},
		{"used up before the window is over", fixed, account(240, 60), []Step{step(0, 80, 50), step(30, 10, 10)}, 60, "2 calls, 60 for 90, from 12:00, 50 % at 12:00, 60 an hour since 12:00, full 13:40"},
		{"it lasts", fixed, account(240, 20), []Step{step(30, 20, 20)}, 180, "1 calls, 20 for 20, from 12:00, 0 an hour since 14:00, full never"},
		{"what was taken long ago is no pace", fixed, account(240, 80), []Step{step(0, 70, 70), step(120, 10, 10)}, 180, "2 calls, 80 for 80, from 12:00, 50 % at 12:00, 80 % at 14:00, 10 an hour since 14:00, full never"},
		{"taken whole, and beyond", fixed, account(240, 120), []Step{step(0, 100, 120)}, 60, "1 calls, 120 for 100, from 12:00, 50 % at 12:00, 80 % at 12:00, 100 % at 12:00, 120 an hour since 12:00, full 13:00"},
		// 90 of 100, 20 an hour: full in half an hour, unless 80 stop to count before.
		{"a sliding window makes room in time", sliding, account(380, 80, 595, 10), []Step{step(140, 80, 80), step(355, 20, 20)}, 360, "2 calls, 100 for 100, from 14:00, 50 % at 14:20, 80 % at 14:20, 100 % at 17:55, 20 an hour since 17:00, full never"},
		{"a sliding window makes room too late", sliding, account(395, 80, 595, 10), []Step{step(155, 80, 80), step(355, 20, 20)}, 360, "2 calls, 100 for 100, from 14:00, 50 % at 14:35, 80 % at 14:35, 100 % at 17:55, 20 an hour since 17:00, full 18:30"},
	} {
		l := Limit{Window: one.window, Cap: 100e6}
		c := l.CourseOf(one.account, one.steps, l.Cap, minutes(one.now))
		got := []string{fmt.Sprintf("%d calls, %s for %s", c.Calls, c.Settled, c.Estimate), "from " + c.Begins.Format("15:04")}
		for _, r := range c.Reached {
			got = append(got, fmt.Sprintf("%d %% at %s", r.Percent, r.At.Format("15:04")))
		}
		if !c.Since.IsZero() {
			got = append(got, fmt.Sprintf("%s an hour since %s", c.Pace, c.Since.Format("15:04")))
		}
		full := "never"
		if !c.Full.IsZero() {
			full = c.Full.Format("15:04")
		}
		if all := strings.Join(append(got, "full "+full), ", "); all != one.want {
			t.Errorf("%s:\n%s, want\n%s", one.name, all, one.want)
		}
	}
}

func TestBegins(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC) // Monday there
	for want, w := range map[string]sallyport.Window{
		"2026-11-29T23:00:00Z": {Kind: sallyport.Daily, Zone: berlin},
		"2026-11-29T00:00:00Z": {Kind: sallyport.Daily, Zone: time.UTC},
		"2026-11-23T00:00:00Z": {Kind: sallyport.Weekly, Zone: time.UTC},
		"2026-10-31T23:00:00Z": {Kind: sallyport.Monthly, Zone: berlin},
		"2026-11-29T20:00:00Z": {Kind: sallyport.Fixed, Length: 4 * time.Hour},
		"2026-11-29T19:30:00Z": {Kind: sallyport.Sliding, Length: 4 * time.Hour},
	} {
		if got := begins(w, at).Format(time.RFC3339); got != want {
			t.Errorf("%+v: %s, want %s", w, got, want)
		}
	}
	// The week in Berlin has just begun.
	if got := begins(sallyport.Window{Kind: sallyport.Weekly, Zone: berlin}, at); !got.Equal(at.Add(-30 * time.Minute)) {
		t.Errorf("the week began %s", got)
	}
}
