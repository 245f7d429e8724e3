package attention

import (
	"slices"
	"sync"
	"time"
)

// Day is the day of a time, in UTC: the one that a load is counted for.
func Day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Loads count how many questions people are asked on a day. The zero Loads is ready.
type Loads struct {
	mu   sync.Mutex
	day  string
	asks map[string]int
}

// Ask counts one question to people, and names those for whom it is the first one
// above a cap; a cap of 0 is none. It is not asked, and not ok, where it must not be
// beyond the cap and that would be so for all of them. Nobody at all is not beyond
// anything: who is to answer is another matter.
func (l *Loads) Ask(people []string, at time.Time, most int, never bool) (above []string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(at)
	below := func(who string) bool { return l.asks[who] < most }
	if never && most > 0 && len(people) > 0 && !slices.ContainsFunc(people, below) {
		return nil, false
	}
	for _, who := range people {
		if l.asks[who]++; most > 0 && l.asks[who] == most+1 {
			above = append(above, who)
		}
	}
	return above, true
}

// TakeBack takes back a question that was not asked after all.
func (l *Loads) TakeBack(people []string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn(at); l.day != Day(at) {
		return
	}
	for _, who := range people {
		l.asks[who]--
	}
}

// Of is how many questions a person was asked on the day of a time.
func (l *Loads) Of(who string, at time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(at)
	return l.asks[who]
}

// turn begins another day. One that is over is not gone back to.
func (l *Loads) turn(at time.Time) {
	if day := Day(at); day > l.day {
		l.day, l.asks = day, map[string]int{}
	}
}
