package limits

import (
	"fmt"
	"testing"
	"time"

	"sallyport"
)

func TestTold(t *testing.T) {
	var told Told
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		account string
		percent int64
		after   time.Duration
		want    bool
	}{
		{"ana", 50, 0, true}, {"ana", 50, time.Minute, false}, {"bob", 50, time.Minute, true}, {"ana", 80, 2 * time.Minute, true},
		{"ana", 50, 3 * time.Minute, false}, {"ana", 80, 3 * time.Minute, false}, {"ana", 100, 4 * time.Minute, true},
		{"ana", 50, time.Hour, true}, {"ana", 50, 61 * time.Minute, false},
	} {
		until := noon.Add(time.Hour)
		if c.after >= time.Hour {
			until = until.Add(time.Hour)
		}
		if got := told.News(&sallyport.Charge{Limit: "refunds", Account: c.account, Until: until}, c.percent, noon.Add(c.after)); got != c.want {
			t.Errorf("%d: %s at %d %% is news: %v", i, c.account, c.percent, got)
		}
	}
	for i := range 3 * maxTold {
		told.News(&sallyport.Charge{Account: fmt.Sprint(i), Until: noon.Add(time.Hour)}, 50, noon)
	}
	if len(told.said) > maxTold {
		t.Errorf("%d accounts are remembered", len(told.said))
	}
}
