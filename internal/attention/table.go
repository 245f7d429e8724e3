package attention

import (
	"fmt"
	"math"
	"time"
)

// Tables are the stats as people read them in a terminal: the classes and the people,
// each with its head, and a line for each yes that is worth a look.
func (s *Stats) Tables() (classes, people [][]string, notes []string) {
	classes = [][]string{{"CLASS", "ASKED", "APPROVED", "REFUSED", "NOT ANSWERED", "WAITING", "RATE", "TOO FAST", "TAKEN BACK"}}
	for i := range s.Classes {
		c := &s.Classes[i]
		classes = append(classes, []string{fmt.Sprint(c.Class), fmt.Sprint(c.Asked), fmt.Sprint(c.Approved), fmt.Sprint(c.Refused), fmt.Sprint(c.Expired),
			fmt.Sprint(c.Waiting), rate(c.Rate()), fmt.Sprint(c.Hasty), fmt.Sprint(c.Reversed)})
	}
	people = [][]string{{"PERSON", "ASKED", "A DAY", "MOST", "DAYS OVER", "APPROVED", "REFUSED", "RATE", "MEDIAN", "P90", "TOO FAST", "TAKEN BACK"}}
	for i := range s.People {
		p := &s.People[i]
		most := ""
		if m := p.Most(); m.Asked > 0 {
			most = fmt.Sprintf("%d on %s", m.Asked, m.Day)
		}
		people = append(people, []string{p.Name, fmt.Sprint(p.Asked), fmt.Sprintf("%.1f", p.PerDay()), most, fmt.Sprint(p.Over), fmt.Sprint(p.Approved),
			fmt.Sprint(p.Refused), rate(p.Rate()), seconds(p.Median), seconds(p.Ninth), fmt.Sprint(p.Hasty), fmt.Sprint(p.Reversed)})
	}
	for _, a := range s.Hasty {
		looked := "looked at for " + seconds(a.Took)
		if a.Took == 0 {
			looked = "never shown to them by this gateway"
		}
		notes = append(notes, a.yes()+": "+looked+", at least "+seconds(a.Read)+" to read.")
	}
	for _, a := range s.Reversed {
		notes = append(notes, a.yes()+", and that was taken back: "+a.Why+".")
	}
	return classes, people, notes
}

func (a *Answer) yes() string {
	return fmt.Sprintf("%s said yes to %s (class %d) on %s", a.By, a.Approval, a.Class, a.At.Local().Format(time.DateTime))
}

func rate(percent float64) string {
	if math.IsNaN(percent) {
		return ""
	}
	return fmt.Sprintf("%.0f %%", percent)
}

// seconds is a time as people compare it; "" for none.
func seconds(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}
