package scope

import (
	"fmt"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/scope/english"
)

// Scope is what a run's task needs. It narrows what policy allows and never
// widens it: what is outside is a question to people, never a silent refusal.
// The zero Scope knows no task and admits reading only.
type Scope struct {
	Task  *Task
	admit map[string]Match // by what key gives
}

// Fit says how surely a task asks for a tool. The zero Fit is outside.
type Fit uint8

// The fits, loosest last.
const (
	Outside Fit = iota // no request of the task is of this sort
	Weak               // a request is, but says not to what it is done
	Strong             // a request is, and to this sort of thing
)

func (f Fit) String() string {
	switch f {
	case Strong:
		return "strong"
	case Weak:
		return "weak"
	default:
		return "outside"
	}
}

// Match is how a tool fits a task, and by which request.
type Match struct {
	Fit       Fit
	Verb      string // of the request
	Delegated bool   // the task itself names nothing of the sort, but leaves it to somebody's text
}

// Mint reads the scope of a run from the user's words and the tools that the
// run could call.
func Mint(task *Task, tools []*Tool) *Scope {
	s := &Scope{Task: task, admit: map[string]Match{}}
	profiles := make([]profile, 0, len(tools))
	for _, t := range tools {
		switch {
		case t.Reads():
		case t.learned != nil:
			profiles = append(profiles, *t.learned)
		default:
			profiles = append(profiles, profileOf(t))
		}
	}
	for _, r := range task.Requests {
		if !r.Negated {
			s.add(r, profiles)
		}
	}
	if task.Delegated {
		for _, p := range profiles {
			if s.admit[p.tool.key()].Fit == Outside {
				s.admit[p.tool.key()] = Match{Weak, "", true}
			}
		}
	}
	return s
}

// closeness is how near a tool is to a request, among those that do what its
// verb says. The nearest tools are admitted, no others.
type closeness uint8

const (
	far       closeness = iota
	byClass             // the request does not say to what, and the tool does no more than it asks
	byMention           // the tool does it somewhere near the sort of thing that is asked about
	byWriting           // it writes the sort of thing that is to be written, in another way
	byClause            // the tool is for something that the clause speaks of
	byKind              // the tool is for the sort of thing that is asked about
	byNoun              // … and says so with the same word
	byVerb              // its verb is the request's own, and a telling one
	byOwnVerb           // the tool is called by the very verb, and is for the sort of thing
)

// add admits the tools that a request may need.
func (s *Scope) add(r Request, profiles []profile) {
	near := make([]closeness, len(profiles))
	best := far
	speaks := false // of things that some tool is for; a person may be whom it is done for, and what is told may be about anything
	for i, p := range profiles {
		for kind := range r.Kinds {
			speaks = speaks || kind != "person" && p.kinds[kind] && !(slices.Contains(r.Classes, "tell") && len(english.Lexicon.Kinds[r.Verb]) == 0)
		}
		near[i] = r.nearness(p)
		best = max(best, near[i])
	}
	if best == far || best == byClass && speaks {
		return
	}
	fit := Strong
	if best <= byMention {
		fit = Weak
	}
	for i, p := range profiles {
		if near[i] == best && s.admit[p.tool.key()].Fit < fit {
			s.admit[p.tool.key()] = Match{Fit: fit, Verb: r.Verb}
		}
	}
}

func (r *Request) nearness(p profile) closeness {
	known := len(r.Classes) > 0
	same := r.Verb == p.verb
	switch {
	case !known && (r.Verb == p.own || p.nouns[r.Verb] && len(english.Lexicon.Kinds[r.Verb]) == 0): // "refer": neither the lexicon nor anybody else has such a verb
		return byOwnVerb
	case !known && !p.tool.grave() && p.derives(r.Verb):
		return byVerb
	case r.Unsure:
		return far
	case slices.Contains(english.Lexicon.Kinds[r.Verb], "message") && !same && !p.kinds["message"] && !p.tool.has(sallyport.Send): // "e-mail the bookings"
		return far
	case !known && p.tool.grave():
		return far
	case slices.Contains(r.Classes, "shop") && p.kinds["order"] && (p.tool.mild() || slices.Contains(p.classes, "shop")):
		return byKind // buying takes several steps: into the cart, then to the till
	case known && !same && !meetsList(r.Classes, p.classes):
		if writes(r.Classes) && writes(p.classes) && p.tool.mild() && (meets(r.Kinds, p.kinds) || meets(r.Nouns, p.nouns)) {
			return byWriting // "configure a new event", "enter it into the list"
		}
		return far
	case same && !english.In("generic", r.Verb) && r.speaksOf(p.kinds):
		return byOwnVerb
	case known && !same && p.tool.has(sallyport.Delete) && !r.goesFor(p): // "release" may be one thing and another
		return far
	case meets(r.Object, p.heads):
		return byNoun
	case r.isAbout(p.kinds):
		return byKind
	case r.speaksOf(p.kinds), meets(r.Nouns, p.nouns),
		r.Whom && p.kinds["person"] && (slices.Contains(r.Classes, "admit") || slices.Contains(r.Classes, "dismiss")):
		return byClause
	case same && !english.In("generic", r.Verb) && len(r.Object) == 0:
		return byVerb
	case known && !p.tool.grave() && !p.tool.has(sallyport.Pay) && r.speaksOf(p.around):
		return byMention
	case known && (same && len(r.Classes) == 1 || r.needs(p)):
		return byClass
	}
	return far
}

// goesFor reports whether the request's verb stands for what the tool does, and
// does not merely share a verb with it.
func (r *Request) goesFor(p profile) bool {
	return slices.ContainsFunc(r.Classes, func(class string) bool {
		return slices.Contains(p.classes, class) && p.tool.does(class)
	})
}

// speaksOf reports whether the request's clause speaks of one of some kinds. A
// person in it may be whom something is told or made for, which is no tool's
// kind of thing.
func (r *Request) speaksOf(kinds english.WordSet) bool {
	for kind := range r.Kinds {
		if kinds[kind] && (kind != "person" || !slices.Contains(r.Classes, "tell") && !slices.Contains(r.Classes, "make")) {
			return true
		}
	}
	return false
}

// isAbout reports whether the verb's object is of one of some kinds.
func (r *Request) isAbout(kinds english.WordSet) bool {
	for kind := range r.Direct {
		if kinds[kind] && (kind != "person" || !slices.Contains(r.Classes, "tell")) {
			return true
		}
	}
	return false
}

// derives reports whether the tool is for what a verb makes: "prescribe" and a
// prescription.
func (p *profile) derives(verb string) bool {
	for noun := range p.nouns {
		same := 0
		for same < min(len(verb), len(noun)) && verb[same] == noun[same] {
			same++
		}
		for ending := range english.Lexicon.Lists["nominal"] {
			if same >= 5 && same >= len(verb)-2 && strings.HasSuffix(noun, ending) {
				return true
			}
		}
	}
	return false
}

// writes reports whether classes make or change things: English does not keep
// the two apart.
func writes(classes []string) bool {
	return slices.Contains(classes, "make") || slices.Contains(classes, "change")
}

// needs reports whether carrying the request out may need all that the tool
// does.
func (r *Request) needs(p profile) bool {
	if len(p.tool.Effects) == 0 {
		return false
	}
	for _, effect := range p.tool.Effects {
		needed := false
		for _, class := range r.Classes {
			needed = needed || slices.Contains(p.classes, class) && slices.Contains(english.Lexicon.Effects[class], string(effect))
		}
		if !needed {
			return false
		}
	}
	return true
}

func meets(a, b english.WordSet) bool {
	for w := range a {
		if b[w] {
			return true
		}
	}
	return false
}

func meetsList(a, b []string) bool {
	return slices.ContainsFunc(a, func(w string) bool { return slices.Contains(b, w) })
}

// Admits says how a tool fits the run's task. Reading always does.
func (s *Scope) Admits(t *Tool) Match {
	if t.Reads() {
		return Match{Fit: Strong}
	}
	return s.admit[t.key()]
}

// Why is the match as a sentence.
func (m Match) Why(t *Tool) string {
	switch {
	case m.Delegated:
		return fmt.Sprintf("the task leaves to another text what to do; %s may be part of it", t.Name)
	case m.Fit == Outside:
		return fmt.Sprintf("nothing in the task asks for %s", t.Name)
	case m.Fit == Weak:
		return fmt.Sprintf("the task says %q, but not to what", m.Verb)
	default:
		return fmt.Sprintf("the task says %q", m.Verb)
	}
}
