// Package asking says on which terms people are asked: of which class a question
// is, who may answer it, what a person must have shown, and which answers still
// count. It is pure: the same question, people and time give the same answer.
package asking

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/scope"
)

// Terms are what the operator says about asking, and who the people are.
type Terms struct {
	Expire time.Duration // from the question until neither an answer nor its use is possible
	// After this time the people of To may answer, too, in the place of any
	// group; 0 is never.
	After time.Duration
	To    []string
	// Classes raise the class of what has an effect. Large is the amount from
	// which on a payment is of the highest class; "" for none.
	Classes map[sallyport.Effect]sallyport.Class
	Large   string
	// Load is how many questions may reach a person on a day; Never is that none
	// reaches those who were asked so many: the call is refused.
	Load  int
	Never bool
	// Quiet are hours in which people are not told of questions, and are not whom an
	// escalation leads to. They may answer all the same.
	Quiet map[string]Quiet
	// Means says what the arguments of a tool are for, as far as the operator does.
	Means func(server, tool string) map[string]scope.Role

	// Groups are those of each person who has enrolled and is declared.
	Groups map[string][]string
	// Alone answers for every group, as the only person who has enrolled; "" once
	// there are others.
	Alone string
	// Owner is the user for whom an agent is declared.
	Owner func(agent string) string
}

// Proof is what a person shows with an answer. Whoever checks it says how sure
// it is, in the word that the log keeps: see Answer.Proof.
type Proof struct {
	Secret string `json:"secret,omitempty"`
	// Typed is the amount, or the number that the agent was told: what a question
	// of a higher class takes.
	Typed string `json:"typed,omitempty"`
	// Session is that of a person who has logged in to the console; Passkey is a
	// WebAuthn assertion whose challenge is the question's digest.
	Session string `json:"session,omitempty"`
	Passkey []byte `json:"passkey,omitempty"`
}

// Errors of who may answer.
var (
	// ErrNotAsked says that a question is for other people.
	ErrNotAsked = errors.New("other people are asked")
	// ErrOwn says that the agent acts for the very person.
	ErrOwn = errors.New("the agent acts for this person, or is this person's: somebody else has to agree")
	// ErrTyped says that what had to be typed was not.
	ErrTyped = errors.New("that is neither the amount nor the number that the agent was told")
)

// Class is that of a call: by its effects and what it pays, and at least as high
// as the operator or a rule that asks says.
func (t *Terms) Class(facts *sallyport.Facts, rules []sallyport.Rule) sallyport.Class {
	var effects []sallyport.Effect
	if facts.Tool != nil {
		effects = facts.Tool.Effects
	}
	class := classOf(facts.Call.Kind, effects)
	for _, e := range effects {
		class = max(class, t.Classes[e])
	}
	for _, rule := range rules {
		class = max(class, rule.Class)
	}
	if t.Large != "" && slices.ContainsFunc(t.amounts(facts), t.large) {
		class = sallyport.ClassPair
	}
	return class
}

// classOf is the class of a call by its effects: what can be undone is of the
// lowest. Of the highest nothing is by itself: the operator says what is.
func classOf(kind sallyport.Kind, effects []sallyport.Effect) sallyport.Class {
	if len(effects) == 0 {
		if kind == sallyport.KindTool {
			return sallyport.ClassType // nobody knows what it does
		}
		return sallyport.ClassTap
	}
	for _, e := range effects {
		if e != sallyport.Read && e != sallyport.Write {
			return sallyport.ClassType
		}
	}
	return sallyport.ClassTap
}

// Amount is the one amount of money of a payment, as it was sent; "" when it has
// none or several.
func (t *Terms) Amount(facts *sallyport.Facts) string {
	if all := t.amounts(facts); len(all) == 1 {
		return all[0]
	}
	return ""
}

func (t *Terms) amounts(facts *sallyport.Facts) (all []string) {
	if facts.Tool == nil || !slices.Contains(facts.Tool.Effects, sallyport.Pay) {
		return nil
	}
	tool := scope.Tool{Server: facts.Call.Server, Name: facts.Call.Name, Effects: facts.Tool.Effects, Schema: facts.Tool.Raw.Get("inputSchema")}
	if t.Means != nil {
		tool.Roles = t.Means(facts.Call.Server, facts.Call.Name)
	}
	for path, leaf := range facts.Call.Args.Leaves() {
		// By its name alone: an amount that is sent as a text is one.
		if tool.RoleOf(string(path), sallyport.Value{}) != scope.RoleAmount {
			continue
		}
		amount := string(leaf.Raw())
		if text, ok := leaf.Text(); ok {
			amount = text
		}
		all = append(all, amount)
	}
	return all
}

// large reports whether an amount is not known to be below Large.
func (t *Terms) large(amount string) bool {
	order, ok := Compare(strings.TrimPrefix(amount, "-"), t.Large)
	return !ok || order >= 0
}

// Agrees is the yes of a person, in the name of every group of a pending question
// that it may answer for now.
func (t *Terms) Agrees(a *sallyport.Approval, by, proof string, at time.Time) ([]sallyport.Answer, error) {
	if err := t.notOwn(a, by); err != nil {
		return nil, err
	}
	var yes []sallyport.Answer
	for _, group := range a.Groups() {
		answer := sallyport.Answer{Group: group, By: by, At: at, Proof: proof}
		if answer.As = t.as(a, &answer); t.counts(a, &answer) {
			yes = append(yes, answer)
		}
	}
	if len(yes) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotAsked, strings.Join(a.Groups(), " and "))
	}
	return yes, nil
}

// Answerable reports whether all who could agree to a question at a time would be
// enough.
func (t *Terms) Answerable(a sallyport.Approval, at time.Time) bool {
	a.Answers = nil
	everybody := slices.Collect(maps.Keys(t.Groups))
	if t.Alone != "" {
		everybody = append(everybody, t.Alone)
	}
	for _, by := range everybody {
		if yes, err := t.Agrees(&a, by, "", at); err == nil {
			a.Answers = append(a.Answers, yes...)
		}
	}
	return a.Complete()
}

// as is the group from which somebody answers who is not in the one that is asked.
func (t *Terms) as(a *sallyport.Approval, answer *sallyport.Answer) string {
	if t.Alone == answer.By || slices.Contains(t.Groups[answer.By], answer.Group) || !t.escalated(a, answer.At) {
		return ""
	}
	for _, group := range t.To {
		if slices.Contains(t.Groups[answer.By], group) {
			return group
		}
	}
	return ""
}

// Escalated are the groups that may answer, too, at a time.
func (t *Terms) Escalated(a *sallyport.Approval, at time.Time) []string {
	if !t.escalated(a, at) {
		return nil
	}
	return t.To
}

func (t *Terms) escalated(a *sallyport.Approval, at time.Time) bool {
	return t.After > 0 && !at.Before(a.Asked.Add(t.After)) && !t.Resting(t.To, at)
}

// MayRefuse says why somebody may not refuse. A no only tightens: whoever is
// asked, will be, or is concerned may say it.
func (t *Terms) MayRefuse(a *sallyport.Approval, by string) error {
	asked := append(a.Groups(), t.To...)
	in := func(group string) bool { return slices.Contains(asked, group) }
	if by != "" && (by == t.Alone || t.own(a, by) || slices.ContainsFunc(t.Groups[by], in)) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotAsked, strings.Join(a.Groups(), " and "))
}

// Standing is a question with the answers that still count: of people who are
// still in the groups that they answered for, and of its class as it is now.
func (t *Terms) Standing(a sallyport.Approval, class sallyport.Class) sallyport.Approval {
	a.Class = max(a.Class.Known(), class.Known())
	a.Answers = slices.DeleteFunc(slices.Clone(a.Answers), func(answer sallyport.Answer) bool {
		return !t.counts(&a, &answer)
	})
	return a
}

// counts reports whether an answer is one, as people and terms are now.
func (t *Terms) counts(a *sallyport.Approval, answer *sallyport.Answer) bool {
	switch groups := t.Groups[answer.By]; {
	case answer.By == "" || t.notOwn(a, answer.By) != nil:
		return false
	case answer.As != "": // through an escalation, which must still lead there
		return t.escalated(a, answer.At) && slices.Contains(t.To, answer.As) && slices.Contains(groups, answer.As)
	default:
		return answer.By == t.Alone || slices.Contains(groups, answer.Group)
	}
}

// notOwn refuses whoever would agree to a call of an agent of its own, but in the
// lowest class.
func (t *Terms) notOwn(a *sallyport.Approval, by string) error {
	if a.Class.Known() > sallyport.ClassTap && t.own(a, by) {
		return ErrOwn
	}
	return nil
}

// own reports whether an agent acts for somebody, or is declared for them.
func (t *Terms) own(a *sallyport.Approval, by string) bool {
	return by == a.Principal.User || t.Owner != nil && by == t.Owner(a.Principal.Agent)
}

// Typed refuses a proof that has not what the class of a question takes.
func Typed(a *sallyport.Approval, p Proof) error {
	typed := strings.TrimSpace(p.Typed)
	if a.Class.Known() == sallyport.ClassTap || typed == a.Number() {
		return nil
	}
	if order, ok := Compare(typed, a.Amount); ok && order == 0 {
		return nil
	}
	return ErrTyped
}
