package card

import (
	"strings"
	"testing"
	"time"
)

func TestReading(t *testing.T) {
	for _, c := range []struct {
		texts []string
		words int
	}{
		{nil, 0}, {[]string{""}, 0}, {[]string{"PAY 5 with desk / refund"}, 6}, {[]string{"a", "b c"}, 3},
		{[]string{"DE89370400440532013000"}, 2}, {[]string{strings.Repeat("x", 12)}, 1}, {[]string{strings.Repeat("é", 13)}, 2},
	} {
		if got := wordsOf(c.texts...); got != c.words {
			t.Errorf("%q: %d words, want %d", c.texts, got, c.words)
		}
	}
	c := Card{Verb: "PAY 5", Undo: "gone", Agent: "bot", User: "ana", Findings: []string{"order in note"}, Careful: []string{"look twice"},
		Rules: []Rule{{ID: "r", Because: "It is much."}}, Arguments: []Argument{{Path: "amount", Value: "5"}, {Path: "note", Value: `"two words"`}},
		Beside: []Argument{{Path: "x", Value: "1"}}}
	if got, want := c.Reading(), 21*200*time.Millisecond; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := c.ReadingValues(), 3*200*time.Millisecond; got != want {
		t.Errorf("values: %s, want %s", got, want)
	}
}
