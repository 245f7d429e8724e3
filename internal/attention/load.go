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

// Add counts one question to people, and names those for whom it is the first one
// above a cap; a cap of 0 is none.
func (l *Loads) Add(people []string, at time.Time, most int) (above []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(at)
	for _, who := range people {
		if l.asks[who]++; most > 0 && l.asks[who] == most+1 {
			above = append(above, who)
		}
	}
	return above
}

// Of is how many questions a person was asked on the day of a time.
func (l *Loads) Of(who string, at time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(at)
	return l.asks[who]
}

// Full reports whether all of some people were asked as much as a cap says; a cap of
// 0 is none. Nobody at all is not full: who is to answer is another matter.
func (l *Loads) Full(people []string, at time.Time, most int) bool {
	return most > 0 && len(people) > 0 && !slices.ContainsFunc(people, func(who string) bool { return l.Of(who, at) < most })
}

// turn begins another day. One that is over is not gone back to.
func (l *Loads) turn(at time.Time) {
	if day := Day(at); day > l.day {
		l.day, l.asks = day, map[string]int{}
	}
}
