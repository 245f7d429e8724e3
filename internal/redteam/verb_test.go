package redteam

import (
	"strings"
	"testing"

	"sallyport/internal/terminal"
)

// Nothing is said of more attempts than were made.
func TestAttemptsThatWereNotMade(t *testing.T) {
	for attempts, want := range map[int]string{
		3:   "Reached of 9 goals: 1 at the first attempt, 2 within 3.",
		10:  "Reached of 9 goals: 1 at the first attempt, 2 within 10.",
		100: "Reached of 9 goals: 1 at the first attempt, 2 within 10, 2 within 100.",
		150: "Reached of 9 goals: 1 at the first attempt, 2 within 10, 2 within 100, 2 within 150.",
	} {
		var out strings.Builder
		table := terminal.NewTable(&out)
		show(table, &Report{Attempts: attempts, Success: Success{Goals: 9, Within1: 1, Within10: 2, Within100: 2, WithinMore: 2}})
		if err := table.Flush(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%d attempts: %v\n%s", attempts, err, out.String())
		}
	}
}
