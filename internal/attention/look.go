// Package attention says how people look at what they are asked: how many questions
// reach them, how long they look before they answer, and what becomes of it. It is
// pure: what it counts is in the log.
package attention

import (
	"sync"
	"time"
)

// maxLooks is how many looks are remembered. One that is not is none: its answer
// counts as one that nobody has looked for.
const maxLooks = 4096

// Looks remembers, in memory, since when people have questions before them. After a
// restart nobody has. The zero Looks is ready.
type Looks struct {
	mu       sync.Mutex
	looks    map[look]looked
	answered map[string]time.Time // by person: the last answer
}

type look struct{ who, question string }

type looked struct {
	since time.Time
	until time.Time // nobody can answer any more
	with  int       // questions that are answered at once with it, itself included
}

// Shown remembers that a person was shown a question that can be answered until a
// time. The first time counts, however often the page is fetched again.
func (l *Looks) Shown(who, question string, at, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks == nil {
		l.looks, l.answered = map[look]looked{}, map[string]time.Time{}
	}
	if _, known := l.looks[look{who, question}]; known || who == "" {
		return
	}
	if len(l.looks) >= maxLooks {
		for one, seen := range l.looks {
			if !at.Before(seen.until) {
				delete(l.looks, one)
			}
		}
	}
	if len(l.looks) < maxLooks {
		l.looks[look{who, question}] = looked{at, until, 1}
	}
}

// Together remembers that a person answers questions at once: what they had looked
// at last counts for all.
func (l *Looks) Together(who string, questions []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var since time.Time
	for _, question := range questions {
		one, known := l.looks[look{who, question}]
		if !known {
			return
		}
		since = later(since, l.begun(who, one))
	}
	for _, question := range questions {
		one := l.looks[look{who, question}]
		l.looks[look{who, question}] = looked{since, one.until, len(questions)}
	}
}

// begun is since when a person can have looked at one question and no other: nobody
// reads two at a time.
func (l *Looks) begun(who string, one looked) time.Time {
	if one.with > 1 {
		return one.since
	}
	return later(one.since, l.answered[who])
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Answered is how long a person has had a question before them who answers it now,
// and how many they answer at once; zero for one that they were not shown.
func (l *Looks) Answered(who, question string, at time.Time) (took time.Duration, with int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, known := l.looks[look{who, question}]
	if !known {
		return 0, 1
	}
	took = max(at.Sub(l.begun(who, one)), time.Microsecond) // looked at, if only just
	l.answered[who] = later(l.answered[who], at)
	return took, one.with
}
