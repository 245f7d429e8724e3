package sallyport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Approval is one question to people, and what became of it. It is bound to
// everything that was asked by Digest, and lets exactly one call through.
type Approval struct {
	ID    string // "a_…"
	State ApprovalState
	// Digest is that of Question.
	Digest Digest
	// Question is what people are shown and what they answer: the bytes of
	// AppendQuestion. Nil where they were erased, or not asked for.
	Question []byte

	Call      string // that was held first
	Principal Principal
	Run       string
	Kind      Kind
	Server    string
	Name      string
	Effects   []Effect
	Rules     []Rule // that ask
	Class     Class
	Amount    string    // the one amount of money of a payment, as it was sent; "" for none
	Findings  []Finding // what scanners saw in the arguments
	Origins   []string  // where the arguments came from, as the hold's entry says it
	Asked     time.Time
	Expires   time.Time

	Answers []Answer // so far: once it is approved, all that it takes
	By      string   // who refused
	Reason  string   // why
	Spent   string   // the call that it let through

	// Seen is how many answers there were when it was looked at: a change that an
	// answer has overtaken is none.
	Seen int

	Narrows  string // the question in whose place people agreed to this one
	Narrower string // the one that they agreed to in place of this one
}

// Answer is the yes of one person in the name of one group.
type Answer struct {
	Group string // that is asked
	By    string
	At    time.Time
	As    string `json:",omitempty"` // the group that By is in, where an escalation made it answer for Group
	Proof string `json:",omitempty"` // how sure it is that it was By: see Proof
}

// Class is how much a yes can do, and so how much it takes. The zero Class is
// nobody's judgement, and takes the most.
type Class uint8

// The classes. Each takes what the one before takes, too.
const (
	ClassTap  Class = iota + 1 // a person who is sure to be the one
	ClassType                  // who types the amount or the number that the agent was told, and is not the one for whom it acts
	ClassPair                  // two such people, each group one of its own
)

// Known is the class, the highest where it is none.
func (c Class) Known() Class {
	if c < ClassTap || c > ClassPair {
		return ClassPair
	}
	return c
}

// ApprovalState is where a question stands. The zero state is none, and answers
// nothing.
type ApprovalState uint8

// The states.
const (
	NoApproval ApprovalState = iota
	Pending
	Approved
	Refused
	Expired
	Spent
)

var approvalStates = [...]string{"none", "pending", "approved", "refused", "expired", "spent"}

func (s ApprovalState) String() string {
	if int(s) < len(approvalStates) {
		return approvalStates[s]
	}
	return approvalStates[0]
}

// ApprovalStateOf is the inverse of ApprovalState.String; anything unknown is
// NoApproval.
func ApprovalStateOf(name string) ApprovalState {
	return ApprovalState(max(0, slices.Index(approvalStates[:], name)))
}

// From are the states from which a question can come into this one. There is no
// way back and no way around, so a question that is still in the state in which
// somebody saw it is still the one they saw.
func (s ApprovalState) From() []ApprovalState {
	switch s {
	case Pending, Approved, Refused: // pending with one answer more
		return []ApprovalState{Pending}
	case Spent:
		return []ApprovalState{Approved}
	case Expired:
		return []ApprovalState{Pending, Approved}
	default:
		return nil
	}
}

// Errors of changing an approval.
var (
	// ErrOvertaken says that a question is not any more, or not yet, where a
	// change to it starts from.
	ErrOvertaken = errors.New("this question has been answered, used or closed already")
	// ErrAnswered says that a person has said yes already, and that it takes
	// another.
	ErrAnswered = errors.New("this person has said yes already: it takes another one")
	// ErrCrowded says that an agent waits for as many answers as it may.
	ErrCrowded = errors.New("this agent waits for as many answers as it may. Wait for those, or until their time is over")
)

// At is the approval as it stands at a time: silence denies, and so does a yes
// that nobody used in time.
func (a Approval) At(now time.Time) Approval {
	if slices.Contains(Expired.From(), a.State) && !now.Before(a.Expires) {
		a.State = Expired
	}
	return a
}

// Over reports whether the question says nothing any more, so that the same call
// is a new question. A no holds for as long as the question would have: asking
// again at once must not wear people down.
func (a Approval) Over(now time.Time) bool {
	return a.State == NoApproval || a.State == Spent || a.State == Expired || a.State == Refused && !now.Before(a.Expires)
}

// move is the one way from state to state. Expiring alone does not need that
// there is time left.
func (a Approval) move(to ApprovalState, at time.Time) (Approval, error) {
	if !slices.Contains(to.From(), a.State) || to != Expired && !at.Before(a.Expires) {
		return a, ErrOvertaken
	}
	a.State = to
	return a, nil
}

// Agree is a yes of one person, in the name of one group or of several. Until
// there is all that it takes, the question stays pending with what there is.
func (a Approval) Agree(at time.Time, yes ...Answer) (Approval, error) {
	next, err := a.move(Approved, at)
	if err != nil || len(yes) == 0 {
		return a, ErrOvertaken
	}
	next.Answers = slices.Clone(a.Answers)
	for _, answer := range yes {
		switch {
		case answer.By == "" || answer.By != yes[0].By || !slices.Contains(a.Groups(), answer.Group):
			return a, ErrOvertaken
		case slices.ContainsFunc(next.Answers, func(was Answer) bool { return was.By == answer.By && was.Group == answer.Group }):
			return a, ErrAnswered
		}
		next.Answers = append(next.Answers, answer)
	}
	if !next.Complete() {
		next.State = Pending
	}
	return next, nil
}

// Approve is a yes of one person in the name of every group that is asked.
func (a Approval) Approve(by string, at time.Time) (Approval, error) {
	var yes []Answer
	for _, group := range a.Groups() {
		yes = append(yes, Answer{Group: group, By: by, At: at})
	}
	return a.Agree(at, yes...)
}

// Complete reports whether the answers are all that it takes: one of each group
// and, in the highest class, of two people at least, each group of another.
func (a Approval) Complete() bool {
	groups := a.Groups()
	if a.Class.Known() < ClassPair {
		return !slices.ContainsFunc(groups, func(group string) bool { return a.yes(group, nil) == nil })
	}
	people := a.approvers()
	return len(groups) > 0 && len(people) >= 2 && a.pairs(groups, nil)
}

// pairs reports whether each group has a yes of a person of its own.
func (a Approval) pairs(groups, taken []string) bool {
	if len(groups) == 0 {
		return true
	}
	for _, by := range a.yes(groups[0], taken) {
		if a.pairs(groups[1:], append(slices.Clone(taken), by)) {
			return true
		}
	}
	return false
}

// yes are the people who said yes in the name of a group, without those taken.
func (a Approval) yes(group string, taken []string) (people []string) {
	for _, answer := range a.Answers {
		if answer.Group == group && answer.By != "" && !slices.Contains(taken, answer.By) {
			people = append(people, answer.By)
		}
	}
	return people
}

// Narrow is a no to what is asked and a yes to another question in its place, of
// which the agent is told.
func (a Approval) Narrow(to *Approval, by, reason string, at time.Time) (Approval, error) {
	next, err := a.Refuse(by, reason, at)
	if err != nil || to.ID == "" || to.Digest == a.Digest || to.Narrows != a.ID {
		return a, ErrOvertaken
	}
	next.Narrower = to.ID
	return next, nil
}

// Refuse is a no, with a reason that the agent hears.
func (a Approval) Refuse(by, reason string, at time.Time) (Approval, error) {
	next, err := a.move(Refused, at)
	if err != nil {
		return a, err
	}
	next.By, next.Reason = by, reason
	return next, nil
}

// Spend lets one call through.
func (a Approval) Spend(call string, at time.Time) (Approval, error) {
	next, err := a.move(Spent, at)
	if err != nil {
		return a, err
	}
	next.Spent = call
	return next, nil
}

// Expire closes a question whose time is over.
func (a Approval) Expire(at time.Time) (Approval, error) {
	if at.Before(a.Expires) {
		return a, ErrOvertaken
	}
	return a.move(Expired, at)
}

// End closes a question that a kill covers: what is not answered is refused, and
// a yes that nobody has used yet is used up, so that it can't be used once the
// kill is over.
func (a Approval) End(by, reason string, at time.Time) (Approval, error) {
	to := Refused
	if a.State == Approved {
		to = Expired
	}
	next, err := a.move(to, at)
	if err != nil {
		return a, err
	}
	next.By, next.Reason = by, reason
	return next, nil
}

// Withdraw closes a question that its agent does not ask any more. If it does
// after all, that is a new one.
func (a Approval) Withdraw(by string, at time.Time) (Approval, error) {
	next, err := a.move(Expired, at)
	if err != nil {
		return a, err
	}
	next.By, next.Reason = by, "withdrawn by the agent"
	return next, nil
}

// Groups are all that must answer, each once, in order.
func (a Approval) Groups() []string {
	var groups []string
	for _, rule := range a.Rules {
		groups = append(groups, rule.Ask...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// Approver names who said yes.
func (a Approval) Approver() string { return strings.Join(a.approvers(), ", ") }

func (a Approval) approvers() (names []string) {
	for _, answer := range a.Answers {
		if answer.By != "" {
			names = append(names, answer.By)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Number is what the agent is told and people are not: whoever types it has seen
// the agent's end of the question.
func (a Approval) Number() string {
	text := AppendString([]byte("sallyport number "), a.ID)
	d := DigestOf(append(text, a.Digest[:]...))
	return fmt.Sprintf("%04d", binary.BigEndian.Uint32(d[:4])%10_000)
}

// Covers reports whether people have agreed to what a rule asks: to this very
// rule, word for word, and all of them that it takes.
func (a Approval) Covers(rule Rule) bool {
	asked := slices.ContainsFunc(a.Rules, func(r Rule) bool { return r.ID == rule.ID && r.Digest == rule.Digest })
	if a.State != Approved || !asked || rule.Digest.IsZero() || len(rule.Ask) == 0 || !a.Complete() {
		return false
	}
	return !slices.ContainsFunc(rule.Ask, func(group string) bool { return a.yes(group, nil) == nil })
}

// QuestionDigest is the digest of AppendQuestion: it binds an approval to one
// call, so that nothing but that call can use it.
func QuestionDigest(facts *Facts, rules []Rule) Digest {
	return DigestOf(AppendQuestion(nil, facts, rules))
}

// AppendQuestion appends the canonical bytes of a question to people: who wants
// to do what with which arguments, where those came from as far as the policy
// looks at it, and the rules that ask. They are one JSON
// object: names sorted, no space, strings in their shortest form, numbers as
// they were sent, empty members left out. Of what the agent sent only the member
// _meta of the params, which belongs to one request, is not part of it.
func AppendQuestion(dst []byte, facts *Facts, rules []Rule) []byte {
	call := facts.Call
	w := entryWriter{append(dst, '{')}
	w.text("agent", call.Principal.Agent)
	if call.Args.Type() != Absent { // whole: an argument called _meta is one like any other
		w.name("args")
		w.dst = call.Args.AppendCanonical(w.dst)
	}
	if facts.Tool != nil {
		writeList(&w, "effects", facts.Tool.Effects)
	}
	w.text("kind", call.Kind.String())
	w.text("method", call.Method)
	w.text("name", call.Name)
	w.origins(facts.Flow)
	w.params(call)
	w.text("role", call.Principal.Role)
	w.name("rules")
	w.dst = append(w.dst, '[')
	rules = slices.Clone(rules)
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	for i, rule := range rules {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, '{')
		writeList(&w, "asks", rule.Ask)
		w.digest("digest", rule.Digest)
		w.text("id", rule.ID)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
	w.text("run", call.Run.ID)
	w.text("server", call.Server)
	w.text("tenant", call.Principal.Tenant)
	if facts.Tool != nil {
		w.digest("tool", facts.Tool.Digest)
	}
	w.text("user", call.Principal.User)
	w.integer("v", QuestionVersion)
	return append(w.dst, '}')
}

// QuestionVersion is the version of a question's canonical bytes, its member
// "v".
const QuestionVersion = 1

// params appends the rest of what an agent sent: without the member _meta, and
// without the member arguments where that is what args has already.
func (w *entryWriter) params(call *Call) {
	v := call.Params
	if v.Type() == Absent {
		return
	}
	w.name("params")
	if v.Type() != Object {
		w.dst = v.AppendCanonical(w.dst)
		return
	}
	names := make([]string, 0, v.Len())
	for name, member := range v.Members() {
		if name != "_meta" && !(name == "arguments" && bytes.Equal(member.Raw(), call.Args.Raw())) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	w.dst = append(w.dst, '{')
	for i, name := range names {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = v.Get(name).AppendCanonical(append(AppendString(w.dst, name), ':'))
	}
	w.dst = append(w.dst, '}')
}

// origins appends where each argument came from, by path: what people agreed to
// of a value of the user's own they did not agree to of a stranger's.
func (w *entryWriter) origins(flow *Flow) {
	if flow == nil || len(flow.Traces) == 0 {
		return
	}
	traces := slices.Clone(flow.Traces)
	slices.SortStableFunc(traces, func(a, b Trace) int { return strings.Compare(a.Path, b.Path) })
	w.name("origins")
	w.dst = append(w.dst, '[')
	for i, trace := range traces {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, '{')
		w.text("path", trace.Path)
		w.text("readers", trace.Origin.Readers.String())
		w.text("writer", trace.Origin.Writer.String())
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
}

// Words is the digest's first 64 bits as four words that can be said and
// compared: each 16 bits as a proquint (D. S. Wilkerson, arXiv:0901.4016).
func (d Digest) Words() string {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	words := make([]string, 4)
	for i := range words {
		n := binary.BigEndian.Uint16(d[2*i:])
		words[i] = string([]byte{consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15]})
	}
	return strings.Join(words, "-")
}
