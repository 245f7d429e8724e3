// Package card makes of a question to people what a person is shown: pure, from
// the canonical bytes that the answer is bound to. Every text on a card that an
// agent, a server or a rule wrote is shown by Exact, and none is cut.
package card

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/bidi"

	"sallyport"
)

// Card is one question, field by field in the order in which people read it.
type Card struct {
	ID    string `json:"id"`
	State string `json:"state"`

	// Verb is what the call does, by its strictest effect: "PAY 5000 with crm /
	// refund", of which PAY is the Act, and crm / refund the Tool. Undo says whether
	// that can be taken back.
	Verb         string   `json:"verb"`
	Act          string   `json:"act"`
	Amount       string   `json:"amount,omitempty"`
	Tool         string   `json:"tool"`
	Effects      []string `json:"effects"`
	Undo         string   `json:"undo"`
	Irreversible bool     `json:"irreversible"`
	// Class is 1 to 3, Takes what a yes takes, in words.
	Class int    `json:"class"`
	Takes string `json:"takes"`

	Agent  string `json:"agent"`
	Role   string `json:"role,omitempty"`
	User   string `json:"user,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	Run    string `json:"run"`
	Words  []Said `json:"words"` // of the user to the run, the task first
	Chain  []Link `json:"chain"` // the runs above, the first one first

	Arguments []Argument `json:"arguments"` // every leaf
	Beside    []Argument `json:"beside"`    // what else goes to the server
	Findings  []string   `json:"findings"`  // what scanners saw in the arguments
	Unscanned bool       `json:"unscanned"` // no scanner has looked, since no rule asks what they see
	Careful   []string   `json:"careful"`   // what can fool the eye here
	First     []string   `json:"first"`     // whom and what nobody agreed to before
	Costs     []Cost     `json:"costs"`     // what it takes of limits

	Rules   []Rule    `json:"rules"` // that ask
	Given   []Yes     `json:"given"` // so far
	Open    []string  `json:"open"`  // groups without a yes
	Asked   time.Time `json:"asked"`
	Expires time.Time `json:"expires"`

	Past Past `json:"past"` // of this shape: the same agent and tool

	Narrows  string `json:"narrows,omitempty"`  // the question in whose place this one is
	Narrower string `json:"narrower,omitempty"` // the one in place of this one
	Refuser  string `json:"refuser,omitempty"`
	Reason   string `json:"reason,omitempty"` // of a no
	Spent    string `json:"spent,omitempty"`  // the call that it let through

	Digest      string `json:"digest"`
	DigestWords string `json:"digestWords"` // as the agent was told them
}

// Said is one message of the user to the run, with who vouches for it.
type Said struct {
	Text     string `json:"text"`
	Strength string `json:"strength"`
}

// Link is a run above the one that asks.
type Link struct {
	Run   string `json:"run"`
	Agent string `json:"agent"`
	User  string `json:"user,omitempty"`
	Task  string `json:"task,omitempty"` // what its user said first
}

// Cost is what a call takes of a limit, and what is left there without it.
type Cost struct {
	Limit   string    `json:"limit"`
	Account string    `json:"account,omitempty"`
	Unit    string    `json:"unit"`
	Takes   string    `json:"takes"`
	Left    string    `json:"left"`
	Cap     string    `json:"cap"`
	Beyond  bool      `json:"beyond,omitempty"` // there is less left than it takes
	Resets  time.Time `json:"resets,omitzero"`  // when some of what is taken is free again
}

// Argument is one leaf of what goes to the server.
type Argument struct {
	Path  string `json:"path"`
	Value string `json:"value"` // as JSON
	// Means is what it is for, as far as that is known: who gets something, or which
	// thing is meant.
	Means string `json:"means,omitempty"`
	// Writer is who could have written it and Readers who may read it; both empty
	// where the policy does not look. From says where it was seen.
	Writer  string `json:"writer,omitempty"`
	Readers string `json:"readers,omitempty"`
	From    string `json:"from,omitempty"`
	// New says that no call of Past had this value here, Before which values
	// those had, the newest first.
	New    bool     `json:"new,omitempty"`
	Before []string `json:"before,omitempty"`
}

// Rule is a rule that asks.
type Rule struct {
	ID        string   `json:"id"`
	Place     string   `json:"place"` // file and line
	Because   string   `json:"because,omitempty"`
	Otherwise string   `json:"otherwise,omitempty"` // what would make it not ask
	Groups    []string `json:"groups"`
}

// Yes is an answer that was given.
type Yes struct {
	Group string    `json:"group"`
	By    string    `json:"by"`
	As    string    `json:"as,omitempty"` // the group that it answered from
	At    time.Time `json:"at"`
	Proof string    `json:"proof"`
}

// Past is what became of the last questions about the same tool and agent.
type Past struct {
	Approved int `json:"approved"`
	Refused  int `json:"refused"`
	Expired  int `json:"expired"`
	// Last are all of them, the newest first.
	Last []Decision `json:"last"`
}

// Decision is what became of one question.
type Decision struct {
	ID     string    `json:"id"`
	State  string    `json:"state"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Asked  time.Time `json:"asked"`
}

// Text says it in one sentence.
func (p Past) Text() string {
	if len(p.Last) == 0 {
		return "This is the first question of this agent about this tool."
	}
	answered := p.Approved + p.Refused
	if answered == 0 {
		return fmt.Sprintf("Nobody answered or used any of the last %d like this.", p.Expired)
	}
	text := fmt.Sprintf("Of the last %d like this %d were agreed to and %d refused (%d %% of the answers)", len(p.Last), p.Approved, p.Refused, 100*p.Refused/answered)
	if p.Expired > 0 {
		text += fmt.Sprintf("; %d were not answered or not used in time", p.Expired)
	}
	return text + "."
}

// Around is what a card shows beside the question itself.
type Around struct {
	Words []Said
	Chain []Link
	Costs []Cost
	// Uncounted is why nobody knows the costs.
	Uncounted string
	// Means says what arguments are for, by path: see Argument.
	Means map[string]string
	// Past are earlier questions about the same tool by the same agent, with what
	// they asked, the newest first. A card says what differs from them.
	Past []sallyport.Approval
}

// MaxPast is how many earlier questions a card is compared with.
const MaxPast = 20

// ErrUnreadable says that what is asked can't be shown, and so not be agreed to.
var ErrUnreadable = errors.New("what it asks can't be shown, so nobody can agree to it")

// New makes the card of a question. The error is ErrUnreadable when its bytes are
// not what its digest covers, or no question.
func New(a *sallyport.Approval, around Around) (Card, error) {
	if sallyport.DigestOf(a.Question) != a.Digest {
		return Card{}, ErrUnreadable
	}
	q, err := sallyport.Parse(a.Question)
	if err != nil || q.Type() != sallyport.Object {
		return Card{}, ErrUnreadable
	}
	c := Bare(a)
	c.Agent, c.Role, c.User, c.Tenant, c.Run = text(q, "agent"), text(q, "role"), text(q, "user"), text(q, "tenant"), text(q, "run")
	c.Effects = []string{}
	for _, e := range q.Get("effects").Items() {
		name, _ := e.Text()
		c.Effects = append(c.Effects, Exact(name))
	}
	c.does(q, a.Amount)
	for _, said := range around.Words {
		c.Words = append(c.Words, Said{Exact(said.Text), said.Strength})
	}
	c.Findings, c.Careful = findings(a.Findings), careful(a)
	c.Unscanned = slices.ContainsFunc(a.Findings, func(f sallyport.Finding) bool { return f.Rule == sallyport.Unasked })
	for _, link := range around.Chain {
		c.Chain = append(c.Chain, Link{Exact(link.Run), Exact(link.Agent), Exact(link.User), Exact(link.Task)})
	}
	for _, cost := range around.Costs {
		cost.Account = Exact(cost.Account)
		c.Costs = append(c.Costs, cost)
	}
	if around.Uncounted != "" {
		c.Careful = append(c.Careful, Exact("What it takes of limits can't be told: "+around.Uncounted))
	}
	c.Arguments, c.Beside = arguments(q, a.Origins), beside(q)
	for i := range c.Arguments {
		c.Arguments[i].Means = around.Means[c.Arguments[i].Path]
	}
	c.compare(a, around.Past)
	return c, nil
}

// Bare is the card of a question of which what is asked is not at hand. Nobody
// can agree to it.
func Bare(a *sallyport.Approval) Card {
	p := &a.Principal
	c := Card{
		ID: a.ID, State: a.State.String(), Effects: []string{}, Class: int(a.Class.Known()), Takes: takes(a),
		Agent: Exact(p.Agent), Role: Exact(p.Role), User: Exact(p.User), Tenant: Exact(p.Tenant), Run: Exact(a.Run), Words: []Said{}, Chain: []Link{}, First: []string{}, Costs: []Cost{}, Past: Past{Last: []Decision{}},
		Arguments: []Argument{}, Beside: []Argument{}, Findings: []string{}, Careful: []string{},
		Rules: []Rule{}, Given: []Yes{}, Open: open(a), Asked: a.Asked, Expires: a.Expires, Narrows: a.Narrows, Narrower: a.Narrower,
		Refuser: Exact(a.By), Reason: Exact(a.Reason), Spent: Exact(a.Spent), Digest: a.Digest.String(), DigestWords: a.Digest.Words(),
	}
	for _, r := range a.Rules {
		c.Rules = append(c.Rules, Rule{Exact(r.ID), Exact(fmt.Sprintf("%s:%d", r.File, r.Line)), Exact(r.Because), Exact(r.Otherwise), r.Ask})
	}
	for _, y := range a.Answers {
		c.Given = append(c.Given, Yes{y.Group, y.By, y.As, y.At, y.Proof})
	}
	return c
}

func text(q sallyport.Value, name string) string {
	s, _ := q.Get(name).Text()
	return Exact(s)
}

// takes is what a yes takes.
func takes(a *sallyport.Approval) string {
	typed := "the number that the agent was told"
	if a.Amount != "" {
		typed = "the amount, or " + typed
	}
	switch a.Class.Known() {
	case sallyport.ClassTap:
		return "a yes"
	case sallyport.ClassType:
		return "typing " + typed
	default:
		return "two people, each typing " + typed
	}
}

// open are the groups that have not said yes.
func open(a *sallyport.Approval) []string {
	groups := []string{}
	for _, group := range a.Groups() {
		if !slices.ContainsFunc(a.Answers, func(y sallyport.Answer) bool { return y.Group == group && y.By != "" }) {
			groups = append(groups, group)
		}
	}
	return groups
}

func findings(found []sallyport.Finding) []string {
	lines := []string{}
	for _, f := range found {
		if f.Rule == sallyport.Unasked {
			continue
		}
		line := f.Name()
		if f.Path != "" {
			line += " in " + f.Path
		}
		if f.End > f.Start {
			line += fmt.Sprintf(", bytes %d to %d", f.Start, f.End)
		}
		lines = append(lines, Exact(line))
	}
	return lines
}

// careful names what can fool the eye.
func careful(a *sallyport.Approval) []string {
	lines := []string{}
	if names := Alphabets(string(a.Question)); len(names) > 0 {
		lines = append(lines, "There are "+strings.Join(names, " and ")+" letters in it, which can look like Latin ones.")
	}
	if strings.ContainsFunc(string(a.Question), RightToLeft) {
		lines = append(lines, "Some of it is read from right to left: numbers and signs beside that can be shown in another order than they are in.")
	}
	if shown := Exact(string(a.Question)); shown != string(a.Question) {
		lines = append(lines, `There are characters in it that show nothing or look like others: they are written as \u{...}.`)
	}
	return lines
}

// RightToLeft reports whether browsers and terminals turn a character round, with
// what stands beside it, and without any other character that says so.
func RightToLeft(r rune) bool {
	properties, _ := bidi.LookupRune(r)
	class := properties.Class()
	return class == bidi.R || class == bidi.AL || class == bidi.AN
}
