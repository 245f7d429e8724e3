package attention

import (
	"math"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/kill"
)

// Stats are what the log says of a stretch of time.
type Stats struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Classes []Class   `json:"classes"` // with questions, the lowest first
	People  []Person  `json:"people"`  // by name
	// Hasty are the yeses that came faster than what they answer can be read, the
	// latest first.
	Hasty []Answer `json:"hasty"`
	// Reversed are the yeses that were taken back soon, the latest first.
	Reversed []Answer `json:"reversed"`
}

// Class is what became of the questions of one class.
type Class struct {
	Class    int `json:"class"`
	Asked    int `json:"asked"`
	Approved int `json:"approved"`
	Refused  int `json:"refused"` // by a person, also in favour of less
	Expired  int `json:"expired"` // nobody answered, or a kill or its agent ended it
	Waiting  int `json:"waiting"`
	Reversed int `json:"reversed"` // of those approved
	Hasty    int `json:"hasty"`    // of those approved, a yes that came faster than it can be read
}

// Rate is how many of the answered were approved, in percent; NaN of none.
func (c *Class) Rate() float64 { return percent(c.Approved, c.Approved+c.Refused) }

// Person is how one person looked at questions.
type Person struct {
	Name     string `json:"name"`
	Asked    int    `json:"asked"` // questions that reached them, as groups are now
	Days     []Load `json:"days"`  // with any, the first first
	Over     int    `json:"over"`  // days above the cap
	Approved int    `json:"approved"`
	Refused  int    `json:"refused"`
	Hasty    int    `json:"hasty"`  // yeses that came faster than they can be read
	Unseen   int    `json:"unseen"` // of those, what the gateway had not shown them since it started
	Reversed int    `json:"reversed"`
	// Median and Ninth are of the time that they had questions before them, answered
	// or refused, in milliseconds: half and nine tenths were no longer.
	Median int64 `json:"median_ms"`
	Ninth  int64 `json:"p90_ms"`
}

// Rate is how many of the answered were approved, in percent; NaN of none.
func (p *Person) Rate() float64 { return percent(p.Approved, p.Approved+p.Refused) }

// PerDay is how many questions reached them on a day that had any.
func (p *Person) PerDay() float64 { return float64(p.Asked) / float64(max(1, len(p.Days))) }

// Most is the day with the most questions.
func (p *Person) Most() (most Load) {
	for _, d := range p.Days {
		if d.Asked > most.Asked {
			most = d
		}
	}
	return most
}

// Load is how many questions reached a person on a day.
type Load struct {
	Day   string `json:"day"` // in UTC
	Asked int    `json:"asked"`
}

// Answer is one yes that is worth a look.
type Answer struct {
	Approval string    `json:"approval"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Class    int       `json:"class"`
	Took     int64     `json:"took_ms,omitempty"` // 0 for what the gateway had not shown
	Read     int64     `json:"read_ms"`
	Why      string    `json:"why,omitempty"` // it counts as reversed
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}

// Hasty reports whether an entry is a person's yes that came faster than what it
// answers can be read.
func Hasty(e *sallyport.Entry) bool {
	_, yes := yesTo(e)
	return yes && e.Took < e.Read
}

// yesTo is the question that a change says yes to; "" for a change that is no
// person's answer.
func yesTo(e *sallyport.Entry) (question string, yes bool) {
	if e.Type != sallyport.Change || e.Read == 0 { // a kill reads nothing
		return "", false
	}
	what, rest, _ := strings.Cut(e.Subject, " ")
	verb, _, _ := strings.Cut(rest, " ")
	switch {
	case what == "grant" && verb == "made", what == "approval" && (verb == "approved" || verb == "seconded"):
		return e.Approval, true
	case what == "approval" && (verb == "narrowed" || verb == "refused"):
		return e.Approval, false
	}
	return "", false
}

// Soon is until when after a yes something takes it back.
const Soon = time.Hour

// Around is what the entries do not say.
type Around struct {
	Since, Until time.Time
	// Asked are the people whom a question reaches.
	Asked func(question *sallyport.Entry) []string
	// Waiting reports whether a question can still be answered.
	Waiting func(approval string) bool
	Cap     int // questions to one person on a day; 0 for none
}

// Count counts holds and changes, the oldest first. Others say nothing of it.
func Count(entries []sallyport.Entry, around Around) Stats {
	c := counting{Around: around, questions: map[string]*question{}, people: map[string]*Person{}, took: map[string][]time.Duration{}, days: map[string]map[string]int{}}
	for i := range entries {
		switch e := &entries[i]; e.Type {
		case sallyport.Held:
			c.hold(e)
		case sallyport.Change:
			c.change(e)
		}
	}
	return c.stats()
}

// question is one that was put.
type question struct {
	entry    *sallyport.Entry // of its hold
	class    sallyport.Class
	yeses    []*sallyport.Entry
	answered bool // for good
	approved bool
	hasty    bool
	reversed string // why
}

type counting struct {
	Around
	questions map[string]*question
	order     []string
	people    map[string]*Person
	took      map[string][]time.Duration
	days      map[string]map[string]int // by person and day
	hasty     []Answer
}

func (c *counting) person(name string) *Person {
	if c.people[name] == nil {
		c.people[name] = &Person{Name: name, Days: []Load{}}
	}
	return c.people[name]
}

// hold is a question that reaches people, once however often its agent repeats it.
func (c *counting) hold(e *sallyport.Entry) {
	if e.Approval == "" {
		return
	}
	// Without a person's yes the same call waits for the same question.
	if c.questions[e.Approval] != nil {
		return
	}
	c.questions[e.Approval] = &question{entry: e, class: e.Class.Known()}
	c.order = append(c.order, e.Approval)
	for _, who := range c.Asked(e) {
		c.person(who).Asked++
		if c.days[who] == nil {
			c.days[who] = map[string]int{}
		}
		c.days[who][Day(e.Time)]++
	}
}

func (c *counting) change(e *sallyport.Entry) {
	c.undo(e)
	id, yes := yesTo(e)
	if id == "" {
		return
	}
	who, q := c.person(e.By), c.questions[id]
	if e.Took > 0 {
		c.took[e.By] = append(c.took[e.By], e.Took)
	}
	if !yes {
		who.Refused++
	} else {
		who.Approved++
	}
	if Hasty(e) {
		who.Hasty++
		if e.Took == 0 {
			who.Unseen++
		}
		c.hasty = append(c.hasty, answerOf(e, ""))
	}
	if q == nil { // asked before this stretch of time
		return
	}
	q.hasty = q.hasty || Hasty(e)
	q.answered = !strings.HasPrefix(e.Subject, "approval seconded ")
	q.approved = yes && q.answered
	if yes {
		q.yeses = append(q.yeses, e)
	}
}

// undo marks the yeses that a change takes back: a kill or a pause of what they were
// about, a no to the same agent's call of the same thing, and the end of a grant that
// they made.
func (c *counting) undo(e *sallyport.Entry) {
	what, rest, _ := strings.Cut(e.Subject, " ")
	verb, object, _ := strings.Cut(rest, " ")
	var why string
	var covers func(q *question) bool
	refused, yes := yesTo(e)
	switch no := c.questions[refused]; {
	case what == "kill", what == "pause":
		why, covers = what+" "+rest, func(q *question) bool { return scopeOf(object).Covers(kill.TargetOf(q.entry)) }
	case what == "grant" && verb == "revoked":
		why, covers = e.Subject, func(q *question) bool { return "a_"+strings.TrimPrefix(object, "g_") == q.entry.Approval }
	case !yes && no != nil && verb == "refused":
		why, covers = "refused "+refused, func(q *question) bool { return same(q.entry, no.entry) }
	default:
		return
	}
	for _, q := range c.questions {
		for _, yes := range q.yeses {
			if q.reversed == "" && q.approved && e.Time.Sub(yes.Time) < Soon && covers(q) {
				q.reversed = why
			}
		}
	}
}

// same reports whether two questions are of one agent about one thing.
func same(a, b *sallyport.Entry) bool {
	return a.Principal.Agent == b.Principal.Agent && a.Server == b.Server && a.Kind == b.Kind && a.Name == b.Name
}

// scopeOf is the scope that the entry of a kill names.
func scopeOf(text string) kill.Scope {
	kind, name, _ := strings.Cut(text, " ")
	if text == (kill.Scope{Kind: kill.All}).String() {
		kind = string(kill.All)
	}
	return kill.Scope{Kind: kill.Kind(kind), Name: name}
}

func (c *counting) stats() Stats {
	s := Stats{Since: c.Since, Until: c.Until, Classes: []Class{}, People: []Person{}, Hasty: []Answer{}, Reversed: []Answer{}}
	classes := map[sallyport.Class]*Class{}
	for _, id := range c.order {
		q := c.questions[id]
		of := classes[q.class]
		if of == nil {
			of = &Class{Class: int(q.class)}
			classes[q.class] = of
		}
		of.Asked++
		switch {
		case q.approved:
			of.Approved++
		case q.answered:
			of.Refused++
		case c.Waiting(id):
			of.Waiting++
		default:
			of.Expired++
		}
		if q.hasty && q.approved {
			of.Hasty++
		}
		if q.reversed != "" {
			of.Reversed++
			last := q.yeses[len(q.yeses)-1]
			c.person(last.By).Reversed++
			s.Reversed = append(s.Reversed, answerOf(last, q.reversed))
		}
	}
	for class := sallyport.ClassTap; class <= sallyport.ClassPair; class++ {
		if classes[class] != nil {
			s.Classes = append(s.Classes, *classes[class])
		}
	}
	for name, who := range c.people {
		who.Median, who.Ninth = quantile(c.took[name], 0.5), quantile(c.took[name], 0.9)
		for day, asked := range c.days[name] {
			if who.Days = append(who.Days, Load{day, asked}); c.Cap > 0 && asked > c.Cap {
				who.Over++
			}
		}
		slices.SortFunc(who.Days, func(a, b Load) int { return strings.Compare(a.Day, b.Day) })
		s.People = append(s.People, *who)
	}
	slices.SortFunc(s.People, func(a, b Person) int { return strings.Compare(a.Name, b.Name) })
	s.Hasty = append(s.Hasty, c.hasty...)
	slices.Reverse(s.Hasty)
	slices.SortStableFunc(s.Reversed, func(a, b Answer) int { return b.At.Compare(a.At) })
	return s
}

func answerOf(e *sallyport.Entry, why string) Answer {
	return Answer{e.Approval, e.By, e.Time, int(e.Class.Known()), e.Took.Milliseconds(), e.Read.Milliseconds(), why}
}

// quantile is the value that a share of others does not exceed, in milliseconds: one
// of them, by the nearest rank. Of none it is 0.
func quantile(all []time.Duration, share float64) int64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)].Milliseconds()
}
