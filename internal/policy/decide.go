package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// Decide is the decision. With facts.Partial it answers what can still be
// said without the arguments: Deny when no permit can hold any more or a
// forbid without @ask certainly fires, else Allow or Hold, meaning maybe.
//
// First the permits and the forbids without @ask: anything but Allow is Deny.
// Then the forbids with @ask that fire: Hold, with their groups united, unless
// people have agreed to exactly this call under all of these rules. An error of
// any rule in scope is Deny.
func Decide(r *Rules, facts *sallyport.Facts) sallyport.Decision {
	q, refused := newQuestion(r, facts)
	if refused != "" {
		return sallyport.Decision{Reason: refused, Policy: r.Digest()}
	}
	q.find(&r.calls)
	if facts.Partial {
		return q.partial()
	}
	return q.decide()
}

// DecideResult judges what came back by the forbids marked @on("result"): when
// none fires it is released. One with @mask or @neutralise does not withhold, it
// says what has to be changed first; so do the permits by which the call went
// out. What is withheld is changed as well, for whoever keeps it. DecideResult
// decides about the result only, never about the call.
func DecideResult(r *Rules, facts *sallyport.Facts) sallyport.Decision {
	q, refused := newQuestion(r, facts)
	if refused != "" {
		return sallyport.Decision{Reason: refused, Policy: r.Digest()}
	}
	q.find(&r.results)
	changed := sallyport.Decision{Verdict: sallyport.Allow, Policy: r.digest}
	if failed := q.oblige(&changed); failed != nil {
		return q.deny(q.cannotJudge(failed), failed)
	}
	d, no := q.judge(q.plain)
	if !no {
		d = q.ask(changed)
	}
	d.Mask, d.Neutralise = changed.Mask, changed.Neutralise
	return d
}

// question is one decision being made.
type question struct {
	rules *Rules
	facts *sallyport.Facts
	call  *sallyport.Call
	act   *action

	plain  candidates // permits, and forbids without @ask
	asking candidates
	uses   uses

	agent  types.Entity
	server types.EntityUID

	// made by the first evaluation
	request cedar.Request
	opaque  [][]string // paths of arguments that Cedar can't hold
}

// newQuestion answers why nothing can be decided, "" when something can.
func newQuestion(r *Rules, facts *sallyport.Facts) (q question, refused string) {
	switch {
	case r == nil || r.actions == nil:
		return q, "No policy is loaded: nothing is allowed."
	case facts == nil || facts.Call == nil:
		return q, "Nothing is known about this call."
	case facts.Call.Principal.Agent == "":
		return q, "Nobody is known to make this call."
	}
	q = question{rules: r, facts: facts, call: facts.Call, act: r.actions[facts.Call.Action()]}
	if q.act == nil {
		return q, fmt.Sprintf("The policy in force knows no action %s: it was not pinned when the policy was loaded.", facts.Call.Action())
	}
	// Types and effects come from the pins that the policy was loaded with.
	// Judging a newer definition by them would be judging another tool.
	if kind := q.call.Kind; kind == sallyport.KindTool || kind == sallyport.KindPrompt {
		if facts.Tool == nil || facts.Tool.Digest != q.act.pinned {
			return q, fmt.Sprintf("The definition of %s is not the one that the policy in force was loaded with.", q.act.key())
		}
	}
	ids := identities(&q.call.Principal)
	q.agent.UID = ids[0]
	parents := make([]types.EntityUID, 0, 3)
	for _, id := range ids[1:] {
		if id != (types.EntityUID{}) {
			parents = append(parents, id)
		}
	}
	q.agent.Parents = types.NewEntityUIDSet(parents...)
	q.server = types.NewEntityUID(typeServer, types.String(q.act.server))
	return q, ""
}

// Get implements types.EntityGetter.
func (q *question) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid == q.agent.UID {
		return q.agent, true
	}
	return q.rules.static.Get(uid)
}

// find gathers the rules in scope.
func (q *question) find(x *index) {
	var room [16]*rule
	for _, r := range x.in(room[:0], &q.call.Principal, q.act) {
		q.uses.add(&r.uses)
		if r.Ask == nil {
			q.plain = append(q.plain, r)
		} else {
			q.asking = append(q.asking, r)
		}
	}
}

func (q *question) decide() sallyport.Decision {
	d, refused := q.judge(q.plain)
	if refused {
		return d
	}
	if len(d.Rules) == 0 {
		return q.deny(q.nobodyPermits())
	}
	for _, limit := range q.facts.Beyond {
		if limit.Ask == nil {
			return q.deny(source.Sentences("Refused by "+limit.ID+": "+limit.Because), &rule{Rule: limit})
		}
	}
	return q.ask(d)
}

// judge has Cedar evaluate rules of which none asks. It refuses when a forbid
// fires or a rule could not be judged; else the decision's rules are the
// permits that hold.
func (q *question) judge(rules candidates) (d sallyport.Decision, refused bool) {
	verdict, diagnostic, failed := q.evaluate(rules)
	if failed != nil {
		return q.deny(q.cannotJudge(failed), failed), true
	}
	var firing candidates
	for _, reason := range diagnostic.Reasons {
		firing = append(firing, rules.named(reason.PolicyID))
	}
	if verdict == cedar.Allow {
		return sallyport.Decision{Verdict: sallyport.Allow, Rules: firing.sorted(), Policy: q.rules.digest}, false
	}
	if len(firing) > 0 {
		return q.deny(q.refusedBy(firing.first()), firing...), true
	}
	return sallyport.Decision{Verdict: sallyport.Allow, Policy: q.rules.digest}, false
}

// ask is phase two: d is what the call gets when no question is open, or when
// people have answered all that are: one approval, of everybody who is asked.
func (q *question) ask(d sallyport.Decision) sallyport.Decision {
	if len(q.asking)+len(q.facts.Beyond) == 0 {
		return d
	}
	_, diagnostic, failed := q.evaluate(q.asking)
	if failed != nil {
		return q.deny(q.cannotJudge(failed), failed)
	}
	var open candidates
	for _, limit := range q.facts.Beyond {
		open = append(open, &rule{Rule: limit})
	}
	for _, reason := range diagnostic.Reasons {
		open = append(open, q.asking.named(reason.PolicyID))
	}
	held := q.hold(d, open)
	if held.Verdict == sallyport.Hold {
		held.Question = sallyport.QuestionDigest(q.facts, held.Rules)
	}
	for _, a := range q.facts.Approvals {
		if held.Verdict == sallyport.Hold && a.Digest == held.Question && !slices.ContainsFunc(held.Rules, func(r sallyport.Rule) bool { return !a.Covers(r) }) {
			d.Approval = a.ID
			return d
		}
	}
	return held
}

// hold unites the groups of the open questions.
func (q *question) hold(d sallyport.Decision, open candidates) sallyport.Decision {
	if len(open) == 0 {
		return d
	}
	held := sallyport.Decision{Verdict: sallyport.Hold, Rules: open.sorted(), Policy: d.Policy}
	for _, r := range open {
		held.Asks = append(held.Asks, r.Ask...)
	}
	slices.Sort(held.Asks)
	held.Asks = slices.Compact(held.Asks)
	held.Reason = q.heldBy(open.first(), held.Asks)
	return held
}

// evaluate has Cedar judge rules. A rule that reads an argument that Cedar
// can't hold, and one that fails, come back as failed: the library itself would
// skip such a rule, and a forbid that is skipped allows.
func (q *question) evaluate(rules candidates) (verdict cedar.Decision, diagnostic cedar.Diagnostic, failed *rule) {
	if q.request.Principal == (types.EntityUID{}) {
		q.request = cedar.Request{Principal: q.agent.UID, Action: q.act.uid, Resource: q.server, Context: q.context()}
	}
	for _, r := range rules {
		if q.hidden(r) != nil {
			return cedar.Deny, diagnostic, r
		}
	}
	verdict, diagnostic = cedar.Authorize(rules, q, q.request)
	if len(diagnostic.Errors) > 0 {
		return cedar.Deny, diagnostic, rules.named(diagnostic.Errors[0].PolicyID)
	}
	return verdict, diagnostic, nil
}

// hidden is the first look of a rule at an argument that Cedar can't hold.
func (q *question) hidden(r *rule) *read {
	for _, path := range q.opaque {
		for i := range r.reads {
			if r.reads[i].touches(path) {
				return &r.reads[i]
			}
		}
	}
	return nil
}

// context holds what the rules in scope look at, and nothing else.
func (q *question) context() types.Record {
	members := make(types.RecordMap, 4)
	if q.uses.input() {
		c := shape.Conversion{Early: q.call.Kind == sallyport.KindCompletion}
		if !q.uses.all {
			c.Only = q.uses.arguments
		}
		members["input"] = c.Arguments(q.act.input, q.input())
		q.opaque = c.Opaque
		members["opaque"] = q.opaqueSet()
	}
	if len(q.uses.user) > 0 {
		members["user"] = beside.User(&q.call.Principal, q.uses.user)
	}
	for _, part := range q.uses.flow {
		if _, done := members[types.String(part)]; !done {
			members[types.String(part)] = beside.Flow(q.facts.Flow, q.input(), part, q.rules.declared.Findings)
		}
	}
	if q.uses.result {
		members["result"] = beside.Result(q.facts.Result)
	}
	if q.uses.findings {
		members["findings"] = beside.Findings(q.facts.Findings, q.rules.declared.Findings)
	}
	return types.NewRecord(members)
}

func (q *question) opaqueSet() types.Set {
	if len(q.opaque) == 0 {
		return types.Set{}
	}
	paths := make([]types.Value, len(q.opaque))
	for i, path := range q.opaque {
		paths[i] = types.String(source.PathText(path))
	}
	return types.NewSet(paths...)
}

// input is the value that stands for the call's arguments. A completion gives
// those of the prompt that it knows so far, or the resource's URI.
func (q *question) input() sallyport.Value {
	args := q.call.Args
	if q.call.Kind != sallyport.KindCompletion {
		return args
	}
	ref := args.Get("ref")
	members := []byte{'{'}
	add := func(name string, v sallyport.Value) {
		if len(members) > 1 {
			members = append(members, ',')
		}
		members = append(append(sallyport.AppendString(members, name), ':'), v.Raw()...)
	}
	if uri := ref.Get("uri"); uri.Type() == sallyport.String {
		add("uri", uri)
	} else {
		argument := args.Get("argument")
		name, _ := argument.Get("name").Text()
		value := argument.Get("value")
		for known, v := range args.Get("context").Get("arguments").Members() {
			if known != name {
				add(known, v)
			} else if text, ok := v.Text(); !ok || !value.IsText(text) {
				value = unclear // sent with two values: nobody knows which counts
			}
		}
		if value.Type() != sallyport.Absent {
			add(name, value)
		}
	}
	v, err := sallyport.Parse(append(members, '}'))
	if err != nil {
		return unclear
	}
	return v
}

// unclear is what Cedar can't hold.
var unclear = sallyport.MustParse("null")

func (q *question) deny(reason string, rules ...*rule) sallyport.Decision {
	return sallyport.Decision{Reason: reason, Rules: candidates(rules).sorted(), Policy: q.rules.digest}
}

// byPlace orders rules by file and line: the same answer every time.
func byPlace(a, b sallyport.Rule) int {
	return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.ID, b.ID))
}

func (c candidates) sorted() []sallyport.Rule {
	out := make([]sallyport.Rule, len(c))
	for i, r := range c {
		out[i] = r.Rule
	}
	slices.SortFunc(out, byPlace)
	return out
}

func (c candidates) first() *rule {
	return slices.MinFunc(c, func(a, b *rule) int { return byPlace(a.Rule, b.Rule) })
}
