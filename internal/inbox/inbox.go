// Package inbox is where people look at questions and answer them, whatever they
// look with: the command line or the console.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
)

// Inbox is wired from its parts.
type Inbox struct {
	Store   Store
	Gateway Gateway
	Terms   func() *asking.Terms
	// Prove says how surely a proof is that of a person who does something of a
	// class, in the word that the log keeps; signed is what a device of theirs must
	// have signed, where it takes one. An error means that it is not. It never looks
	// at what was typed.
	Prove func(ctx context.Context, by string, class sallyport.Class, signed sallyport.Digest, proof asking.Proof) (strength string, err error)
	// Around is what people want to know beside a question, as far as it is known.
	Around func(ctx context.Context, asked *sallyport.Approval) card.Around
	// Record puts on the record what a person tried. An error is told the person.
	Record  func(ctx context.Context, subject, by string, before, after sallyport.Digest) error
	Guesses *Guesses
	Now     func() time.Time
}

// Store keeps the questions.
type Store interface {
	// Approvals are all, the oldest first, without what they ask, and the ids of
	// those that are damaged.
	Approvals(ctx context.Context) (all []sallyport.Approval, damaged []string, err error)
	// OpenApproval is one. With an error it may come without what it asks: then
	// nobody may agree to it.
	OpenApproval(ctx context.Context, id string) (sallyport.Approval, error)
	// Grants are all, with agent "".
	Grants(ctx context.Context, agent, server, name string) ([]sallyport.Grant, error)
}

// Gateway puts answers into force.
type Gateway interface {
	// Answer puts an answer on the record and into force, as one. An error means
	// that neither happened; sallyport.ErrOvertaken, that the question had moved on.
	Answer(ctx context.Context, answered sallyport.Approval, by string) error
	// Narrow is Answer for a yes to other arguments than were asked about: see
	// gateway.Narrow.
	Narrow(ctx context.Context, asked sallyport.Approval, args sallyport.Value, reason, by string,
		agree func(*sallyport.Approval) ([]sallyport.Answer, error)) (narrower sallyport.Approval, err error)
	// Grant is Answer for a yes that makes a grant, too. Revoke ends one: an error
	// means that it still counts.
	Grant(ctx context.Context, answered sallyport.Approval, grant sallyport.Grant, by string) error
	Revoke(ctx context.Context, grant sallyport.Grant, by, reason string) error
}

// Question is a question as people see it.
type Question struct {
	card.Card
	Server string `json:"server"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Call   string `json:"call"` // that was held first
	// Groups are all that must agree; Escalated may answer in the place of any.
	Groups    []string `json:"groups"`
	Escalated []string `json:"escalated"`
	// Later are those that may from Escalates on, while it has not come to that.
	Later     []string  `json:"later"`
	Escalates time.Time `json:"escalates,omitzero"`
	// People are those who may agree to it now.
	People []Person `json:"people"`
	// Grant answers it, though it waits: the identical call goes through now.
	Grant string `json:"grant,omitempty"`
	// Short says that too few people have enrolled to agree to it now.
	Short bool `json:"short,omitempty"`
	// Equal are the other questions that wait and can be looked at with this one.
	Equal []string `json:"equal"`
	// Question is the canonical bytes that the digest covers, of one question
	// alone; a text, so that they arrive as they are.
	Question string `json:"question,omitempty"`
	Problem  string `json:"problem,omitempty"` // why it can't be shown, and so not be agreed to
}

// Person is somebody who is asked.
type Person struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"` // in whose name they may agree
}

// Answer answers what was shown, which Digest names.
type Answer struct {
	ID      string       `json:"id"`
	By      string       `json:"by"` // a person who has enrolled
	Digest  string       `json:"digest"`
	Approve bool         `json:"approve"`
	Reason  string       `json:"reason,omitempty"` // of a no, for the agent
	Proof   asking.Proof `json:"proof"`
}

// Narrowing is a yes to narrower arguments than were asked about.
type Narrowing struct {
	ID     string       `json:"id"`
	By     string       `json:"by"`
	Digest string       `json:"digest"` // of what was shown
	Args   string       `json:"args"`   // all of them, a JSON object
	Reason string       `json:"reason,omitempty"`
	Proof  asking.Proof `json:"proof"`
}

// List are the questions that wait or, with all, that are kept, the oldest first,
// equal ones together. One that a grant answers waits for nobody. What is around
// each is left to Show.
func (i *Inbox) List(ctx context.Context, all bool) ([]Question, error) {
	kept, damaged, err := i.Store.Approvals(ctx)
	if err != nil {
		return nil, err
	}
	list := []Question{}
	for _, id := range damaged {
		q := i.bare(&sallyport.Approval{ID: id})
		q.State, q.Problem = "damaged", "its row in the database is damaged: the identical call is refused"
		list = append(list, q)
	}
	now, earlier := i.Now(), &past{kept: kept}
	grants := i.live(ctx)
	var waiting []card.Card
	byID := map[string]Question{}
	for _, a := range kept {
		if a = a.At(now); a.State != sallyport.Pending {
			if all {
				list = append(list, i.bare(&a))
			}
			continue
		}
		q := i.open(ctx, a, card.Around{}, earlier)
		q.Grant = i.grantOf(grants, &a, q.Question)
		q.Question = ""
		if q.Grant != "" {
			if all {
				list = append(list, q)
			}
			continue
		}
		byID[q.ID], waiting = q, append(waiting, q.Card)
	}
	for _, group := range card.Group(waiting) {
		for _, c := range group {
			q := byID[c.ID]
			for _, other := range group {
				if other.ID != c.ID {
					q.Equal = append(q.Equal, other.ID)
				}
			}
			list = append(list, q)
		}
	}
	return list, nil
}

// Show is one question.
func (i *Inbox) Show(ctx context.Context, id string) (Question, error) {
	kept, _, err := i.Store.Approvals(ctx)
	if err != nil {
		return Question{}, err
	}
	a, err := i.Store.OpenApproval(ctx, id)
	if a.ID == "" {
		return Question{}, err
	}
	q := i.open(ctx, a.At(i.Now()), i.around(ctx, &a), &past{kept: kept})
	if a.State == sallyport.Pending {
		q.Grant = i.grantOf(i.live(ctx), &a, q.Question)
		listed, err := i.List(ctx, false)
		if err != nil {
			return Question{}, err
		}
		if at := slices.IndexFunc(listed, func(l Question) bool { return l.ID == id }); at >= 0 {
			q.Equal = listed[at].Equal
		}
	}
	return q, nil
}

// around is what people want to know beside a question that can be shown.
func (i *Inbox) around(ctx context.Context, a *sallyport.Approval) card.Around {
	if a.Question == nil {
		return card.Around{}
	}
	return i.Around(ctx, a)
}

// open is a question with its card, compared with the earlier ones.
func (i *Inbox) open(ctx context.Context, a sallyport.Approval, around card.Around, earlier *past) Question {
	q := i.bare(&a)
	opened, err := i.Store.OpenApproval(ctx, a.ID)
	if err != nil {
		q.Problem = err.Error()
		return q
	}
	a.Question = opened.Question
	a = i.Terms().Standing(a, a.Class)
	around.Past = earlier.of(ctx, i.Store, &a)
	c, err := card.New(&a, around)
	if err != nil {
		q.Problem = err.Error()
		return q
	}
	q.Card, q.Question = c, string(a.Question)
	return q
}

// bare is what is known of a question without what it asks.
func (i *Inbox) bare(a *sallyport.Approval) Question {
	q := Question{
		Card: card.Bare(a), Server: card.Exact(a.Server), Name: card.Exact(a.Name), Kind: a.Kind.String(), Call: a.Call,
		Groups: []string{}, Escalated: []string{}, Later: []string{}, People: []Person{}, Equal: []string{},
	}
	q.Groups = append(q.Groups, a.Groups()...)
	if a.State == sallyport.Pending {
		terms, now := i.Terms(), i.Now()
		q.Escalated = append(q.Escalated, terms.Escalated(a, now)...)
		if len(q.Escalated) == 0 && terms.After > 0 {
			q.Later, q.Escalates = append(q.Later, terms.To...), a.Asked.Add(terms.After)
		}
		q.People, q.Short = people(terms, a, now), !terms.Answerable(*a, now)
	}
	return q
}

// people are those who may agree to a question at a time.
func people(terms *asking.Terms, a *sallyport.Approval, at time.Time) []Person {
	all := []Person{}
	names := slices.Collect(maps.Keys(terms.Groups))
	if terms.Alone != "" {
		names = append(names, terms.Alone)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		yes, err := terms.Agrees(a, name, "", at)
		if err != nil {
			continue
		}
		one := Person{Name: name}
		for _, y := range yes {
			one.Groups = append(one.Groups, y.Group)
		}
		all = append(all, one)
	}
	return all
}

// past is what was asked before. What a question asked is opened once, however
// many are compared with it.
type past struct {
	kept   []sallyport.Approval
	opened map[string][]byte // what each asked, by id; nil where it can't be had
}

// of are the last questions of the same agent about the same tool, the newest
// first, with what they asked: of one that waits all that were answered by now, so
// that an answer to one of two equal ones does not part them; of one that is over
// those that were asked before it.
func (p *past) of(ctx context.Context, store Store, a *sallyport.Approval) []sallyport.Approval {
	var found []sallyport.Approval
	for _, one := range slices.Backward(p.kept) {
		if len(found) == card.MaxPast {
			break
		}
		if one.ID == a.ID || one.State == sallyport.Pending || one.Server != a.Server || one.Name != a.Name || one.Kind != a.Kind || one.Principal.Agent != a.Principal.Agent || a.State != sallyport.Pending && one.Asked.After(a.Asked) {
			continue
		}
		one.Question = p.open(ctx, store, one.ID) // without it the question counts, and is not compared
		found = append(found, one)
	}
	return found
}

func (p *past) open(ctx context.Context, store Store, id string) []byte {
	question, known := p.opened[id]
	if !known {
		if p.opened == nil {
			p.opened = map[string][]byte{}
		}
		a, _ := store.OpenApproval(ctx, id)
		question = a.Question
		p.opened[id] = question
	}
	return question
}

// Answer is a person's yes or no. The question that comes back is still pending
// when a yes needs others.
func (i *Inbox) Answer(ctx context.Context, given Answer) (Question, error) {
	asked, proof, err := i.look(ctx, given.ID, given.By, given.Digest, given.Proof, given.Approve, itself)
	if err != nil {
		return Question{}, err
	}
	return i.answered(ctx, given.ID, i.say(ctx, asked, proof, given))
}

// say puts an answer of a person who has shown who they are into force.
func (i *Inbox) say(ctx context.Context, asked sallyport.Approval, proof string, given Answer) error {
	now := i.Now()
	var next sallyport.Approval
	var err error
	if given.Approve {
		next, err = i.agree(ctx, asked, given.By, proof, given.Proof, now)
	} else {
		next, err = i.refuse(asked, given.By, given.Reason, now)
	}
	if err == nil {
		err = i.Gateway.Answer(ctx, next, given.By)
	}
	return i.failed(ctx, &asked, given.By, err)
}

// Narrow refuses a question and agrees to the same call with narrower arguments,
// which the agent is told. What comes back is the question about those.
func (i *Inbox) Narrow(ctx context.Context, given Narrowing) (Question, error) {
	args, err := Arguments(given.Args)
	if err != nil {
		return Question{}, err
	}
	asked, proof, err := i.look(ctx, given.ID, given.By, given.Digest, given.Proof, true, func(digest sallyport.Digest) sallyport.Digest {
		return asking.Narrowed(digest, args)
	})
	if err != nil {
		return Question{}, err
	}
	narrower, err := i.Gateway.Narrow(ctx, asked, args, given.Reason, given.By, func(to *sallyport.Approval) ([]sallyport.Answer, error) {
		terms, now := i.Terms(), i.Now()
		typed := terms.Standing(asked, asked.Class) // the number is the one that the agent was told; the amount, the one that is agreed to
		typed.Amount = to.Amount
		// Whoever may not answer what is asked can't answer it by changing it.
		yes, err := terms.Agrees(&typed, given.By, proof, now)
		if err == nil && len(to.Rules) > 0 {
			yes, err = terms.Agrees(to, given.By, proof, now)
		}
		if err != nil {
			return nil, err
		}
		return yes, i.typed(ctx, &asked, &typed, given.By, given.Proof)
	})
	return i.answered(ctx, narrower.ID, i.failed(ctx, &asked, given.By, err))
}

// Arguments reads those that a question is narrowed to.
func Arguments(text string) (sallyport.Value, error) {
	args, err := sallyport.Parse([]byte(text))
	if err != nil || args.Type() != sallyport.Object {
		return args, errors.New("the narrower arguments must be one JSON object, without a name given twice")
	}
	return args, nil
}

// itself is what a device signs who agrees to a question as it is.
func itself(digest sallyport.Digest) sallyport.Digest { return digest }

// look checks who answers, and that it answers what was shown. signed is what a
// device signs, where a yes takes that; a no, which only tightens, never does.
func (i *Inbox) look(ctx context.Context, id, by, digest string, shown asking.Proof, yes bool, signed func(sallyport.Digest) sallyport.Digest) (asked sallyport.Approval, proof string, err error) {
	asked, unseen := i.Store.OpenApproval(ctx, id)
	class := asked.Class
	if !yes {
		class = sallyport.ClassTap
	}
	if proof, err = i.Prove(ctx, by, class, signed(asked.Digest), shown); err != nil {
		return asked, "", err
	}
	switch {
	case asked.ID == "":
		err = unseen
	case asked.Digest.String() != digest:
		err = fmt.Errorf("what was shown is not what %s asks: look again", id)
	case yes && unseen != nil:
		err = fmt.Errorf("what %s asks can't be shown, so nobody can agree to it: %w", id, unseen)
	}
	return asked, proof, i.failed(ctx, &asked, by, err)
}

func (i *Inbox) agree(ctx context.Context, asked sallyport.Approval, by, proof string, shown asking.Proof, now time.Time) (sallyport.Approval, error) {
	terms := i.Terms()
	standing := terms.Standing(asked, asked.Class)      // nobody completes what somebody began who has left since
	yes, err := terms.Agrees(&standing, by, proof, now) // whoever may not answer learns nothing by guessing
	if err == nil {
		err = i.typed(ctx, &asked, &standing, by, shown)
	}
	if err != nil {
		return asked, err
	}
	return standing.Agree(now, yes...)
}

func (i *Inbox) refuse(asked sallyport.Approval, by, reason string, now time.Time) (sallyport.Approval, error) {
	if strings.TrimSpace(reason) == "" {
		return asked, errors.New("a refusal needs a reason: the agent hears it")
	}
	if err := i.Terms().MayRefuse(&asked, by); err != nil {
		return asked, err
	}
	return asked.Refuse(by, reason, now)
}

func (i *Inbox) answered(ctx context.Context, id string, err error) (Question, error) {
	if err != nil {
		return Question{}, moved(id, err)
	}
	return i.Show(ctx, id)
}

// moved says of a question that it has moved on, where that is the error.
func moved(id string, err error) error {
	if errors.Is(err, sallyport.ErrOvertaken) {
		return fmt.Errorf("it can't be answered: it has moved on meanwhile (sallyport approvals show %s)", id)
	}
	return err
}
