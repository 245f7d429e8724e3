package limits

import (
	"time"

	"sallyport"
)

// Step is what was taken of an account in one part of its time.
type Step struct {
	At                time.Time
	Calls             int
	Estimate, Settled sallyport.Amount // reserved, and what it came to
}

// Course is how what counts on one account came together, and when the account
// would be used up at this pace. Amounts are exact decimals, and so texts.
type Course struct {
	Limit   Shown        `json:"limit"`
	Account ShownAccount `json:"account"`
	Begins  time.Time    `json:"begins"` // the time that counts now
	Now     time.Time    `json:"now"`
	Ends    time.Time    `json:"ends"` // when the account is empty again, if nothing more is taken
	Points  []Point      `json:"points"`
	Reached []Reached    `json:"reached"`

	Calls    int    `json:"calls"`
	Estimate string `json:"estimate"` // what was reserved before
	Settled  string `json:"settled"`  // what it came to; what is under way counts as reserved

	// Pace is what was taken in an hour, lately: since Since. Full is when nothing
	// is left at that pace, before anything stops to count that would make room;
	// zero when it lasts.
	Pace  string    `json:"pace,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Full  time.Time `json:"full,omitzero"`
}

// Point is how much was taken up to a time, in percent of the cap.
type Point struct {
	At       time.Time `json:"at"`
	Estimate float64   `json:"estimate"`
	Settled  float64   `json:"settled"`
}

// Reached is when so much of an account was taken first.
type Reached struct {
	Percent int       `json:"percent"`
	At      time.Time `json:"at"`
}

// alerts are the parts of a cap at which people are told.
var alerts = []int{50, 80, 100}

const (
	// lately is which part of the window the pace is of, early which part of it has
	// to be over before there is one.
	lately = 4
	early  = 50
)

// CourseOf says how an account came to what it holds, of which steps are oldest
// first. What people are shown of the limit and the account is left to others.
func (l *Limit) CourseOf(account *Account, steps []Step, whole sallyport.Amount, now time.Time) Course {
	c := Course{Begins: now, Now: now, Ends: now, Points: []Point{}, Reached: []Reached{}}
	if n := len(account.Parts); n > 0 {
		c.Ends = account.Parts[n-1].Until
	}
	c.Begins = begins(l.Window, now)
	percent := func(a sallyport.Amount) float64 { return 100 * float64(a) / float64(max(whole, 1)) }
	var estimate, settled sallyport.Amount
	for _, s := range steps {
		c.Calls, estimate, settled = c.Calls+s.Calls, estimate.Plus(s.Estimate), settled.Plus(s.Settled)
		at := s.At
		if at.Before(c.Begins) {
			at = c.Begins // a part of time that began before the window
		}
		point := Point{at, percent(estimate), percent(settled)}
		c.Points = append(c.Points, point)
		for len(c.Reached) < len(alerts) && point.Settled >= float64(alerts[len(c.Reached)]) {
			c.Reached = append(c.Reached, Reached{alerts[len(c.Reached)], at})
		}
	}
	c.Estimate, c.Settled = estimate.String(), settled.String()
	l.forecast(&c, account, steps, whole)
	return c
}

// forecast says when nothing is left, if as much is taken as lately.
func (l *Limit) forecast(c *Course, account *Account, steps []Step, whole sallyport.Amount) {
	length := l.Window.Until(c.Now).Sub(c.Begins)
	if l.Window.Kind == sallyport.Sliding {
		length = l.Window.Length
	}
	if c.Now.Sub(c.Begins) < length/early {
		return
	}
	c.Since = c.Now.Add(-length / lately)
	if c.Since.Before(c.Begins) {
		c.Since = c.Begins
	}
	var recent sallyport.Amount
	for _, s := range steps {
		if !s.At.Before(c.Since) {
			recent = recent.Plus(s.Settled)
		}
	}
	rate := float64(max(recent, 0)) / float64(c.Now.Sub(c.Since)) // a nanosecond
	const cent = 1e4                                              // for the eye
	c.Pace = (sallyport.Amount(min(rate*float64(time.Hour), float64(sallyport.MaxAmount))+cent/2) / cent * cent).String()
	level, at := float64(account.Total()), c.Now
	for _, part := range account.Parts { // each makes room when it stops to count
		if level >= float64(whole) {
			c.Full = at
			return
		}
		if left := (float64(whole) - level) / rate; rate > 0 && left < float64(part.Until.Sub(at)) {
			c.Full = at.Add(time.Duration(left)).Truncate(time.Minute)
			return
		}
		level += rate*float64(part.Until.Sub(at)) - float64(part.Used.Plus(part.Reserved))
		at = part.Until
	}
}

// begins is from when on charges count now.
func begins(w sallyport.Window, now time.Time) time.Time {
	at := now
	switch w.Kind {
	case sallyport.Fixed:
		return now.UTC().Truncate(w.Length)
	case sallyport.Sliding:
		return now.Add(-w.Length)
	case sallyport.Daily, sallyport.Weekly, sallyport.Monthly:
		at = now.In(w.Zone)
	default:
		return now
	}
	year, month, day := at.Date()
	switch w.Kind {
	case sallyport.Weekly:
		day -= (int(at.Weekday()) + 6) % 7
	case sallyport.Monthly:
		day = 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, w.Zone).UTC()
}
