package burn

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/limits"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

// Everything is inside, time goes to the right, and more is higher.
func TestDraw(t *testing.T) {
	c := limits.Course{Begins: noon, Now: at(120), Ends: at(240), Full: at(200),
		Points:  []limits.Point{{At: at(10), Estimate: 40, Settled: 30}, {At: at(60), Estimate: 60, Settled: 55}, {At: at(90), Estimate: 95, Settled: 85}},
		Reached: []limits.Reached{{Percent: 50, At: at(60)}, {Percent: 80, At: at(90)}}}
	p := Draw(&c, time.UTC)
	for _, path := range []string{p.Settled, p.Estimate, p.Area, p.Forecast} {
		x, y := -1, p.Height
		for i, pair := range regexp.MustCompile(`(\d+) (\d+)`).FindAllStringSubmatch(path, -1) {
			nextX, _ := strconv.Atoi(pair[1])
			nextY, _ := strconv.Atoi(pair[2])
			if nextX > p.Width || nextY > p.Height || nextX < p.Left {
				t.Errorf("outside: %s", path)
			}
			if path != p.Area && (nextX < x || nextY > y) {
				t.Errorf("point %d goes back or down: %s", i, path)
			}
			x, y = nextX, nextY
		}
	}
	if !strings.HasSuffix(p.Forecast, fmt.Sprint(p.Levels[3].Y)) || p.Levels[3].Text != "100 %" {
		t.Errorf("the forecast %s does not end at the cap %+v", p.Forecast, p.Levels[3])
	}
	var times []string
	for _, line := range p.Times {
		times = append(times, line.Text)
	}
	if got := strings.Join(times, " "); got != "12:00 13:00 14:00 15:00 16:00" {
		t.Errorf("times %s", got)
	}
	if len(p.Reached) != 2 || p.Reached[1].X <= p.Reached[0].X || p.Reached[1].Y >= p.Reached[0].Y {
		t.Errorf("reached %+v", p.Reached)
	}
}

// What is used up beyond the cap, or not at all, is a picture as well.
func TestDrawExtremes(t *testing.T) {
	over := Draw(&limits.Course{Begins: noon, Now: at(60), Ends: at(60), Points: []limits.Point{{At: noon, Estimate: 100, Settled: 900}}}, time.UTC)
	if over.Forecast != "" || over.Levels[3].Y <= top || strings.Contains(over.Settled, "-") {
		t.Errorf("beyond the cap: %+v", over)
	}
	empty := Draw(&limits.Course{Begins: noon, Now: noon, Ends: noon}, time.UTC)
	if strings.Contains(empty.Settled+empty.Area, "NaN") || empty.Estimate != "" {
		t.Errorf("nothing: %+v", empty)
	}
	month := Draw(&limits.Course{Begins: noon, Now: noon.AddDate(0, 0, 20), Ends: noon.AddDate(0, 1, 0)}, time.UTC)
	if n := len(month.Times); n < 3 || n > 8 || !strings.Contains(month.Times[0].Text, " ") {
		t.Errorf("a month: %+v", month.Times)
	}
	sliding := Draw(&limits.Course{Limit: limits.Shown{Window: "sliding 1h"}, Begins: noon, Now: at(60), Ends: at(100)}, time.UTC)
	if sliding.Now != sliding.Right {
		t.Errorf("a sliding window ends at %d, now is %d", sliding.Right, sliding.Now)
	}
}
