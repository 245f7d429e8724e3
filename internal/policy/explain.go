package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/source"
)

// Explanation is a decision with everything that went into it. Unlike a reason
// it holds the values of arguments: it is for people who may see them.
type Explanation struct {
	Decision sallyport.Decision
	Rules    []Judgement // every rule in scope: those that decided, then the others
}

// Judgement is what one rule said of a call.
type Judgement struct {
	Rule    sallyport.Rule
	Permit  bool
	Outcome Outcome
	Reads   []Reading
	// Change is the nearest change that would turn the outcome around, in words;
	// "" where none can be derived.
	Change string
}

// Outcome says how judging a rule ended.
type Outcome string

// The outcomes of judging a rule in scope.
const (
	Applies  Outcome = "applies"
	Silent   Outcome = "does not apply"
	Failed   Outcome = "can't be judged" // which refuses the call
	Possible Outcome = "may apply"       // the arguments aren't known
)

// Reading is one thing that a rule looked at.
type Reading struct {
	Path  string // "context.input.amount"
	Value string // as JSON; "" when it is not there
}

// Explain decides as Decide does and says how each rule in scope came out.
func Explain(r *Rules, facts *sallyport.Facts) Explanation {
	return explain(r, facts, Decide(r, facts), false)
}

// ExplainResult decides as DecideResult does and says how each rule came out.
func ExplainResult(r *Rules, facts *sallyport.Facts) Explanation {
	return explain(r, facts, DecideResult(r, facts), true)
}

func explain(r *Rules, facts *sallyport.Facts, decision sallyport.Decision, result bool) Explanation {
	out := Explanation{Decision: decision}
	q, refused := newQuestion(r, facts)
	if refused != "" {
		return out
	}
	index := &r.calls
	if result {
		index = &r.results
	}
	q.find(index)
	rules := slices.Concat(q.plain, q.asking)
	q.uses.user = beside.UserParts // conditions are taken apart, so nothing may be missing
	for _, rule := range rules {
		out.Rules = append(out.Rules, q.judgement(rule, facts.Partial && !result))
	}
	decided := func(j Judgement) bool {
		return slices.ContainsFunc(decision.Rules, func(rule sallyport.Rule) bool { return rule.ID == j.Rule.ID })
	}
	slices.SortStableFunc(out.Rules, func(a, b Judgement) int {
		if x, y := decided(a), decided(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return byPlace(a.Rule, b.Rule)
	})
	return out
}

func (q *question) judgement(r *rule, partial bool) Judgement {
	j := Judgement{Rule: r.Rule, Permit: r.permit, Outcome: q.outcome(r, partial), Reads: q.readings(r)}
	switch j.Outcome {
	case Applies:
		if way := r.otherwise(); way != "" {
			j.Change = "it would not apply if " + way
		}
	case Silent:
		if way, ok := needs(q.unmet(r)); ok && way != "" {
			j.Change = "it would apply if " + way
		}
	}
	return j
}

func (q *question) outcome(r *rule, partial bool) Outcome {
	if partial {
		return map[outlook]Outcome{always: Applies, never: Silent, maybe: Possible}[q.look(r)]
	}
	_, diagnostic, failed := q.evaluate(candidates{r})
	switch {
	case failed != nil:
		return Failed
	case len(diagnostic.Reasons) > 0:
		return Applies
	default:
		return Silent
	}
}

// readings are the looks of a rule with what they saw, each once, in the order
// in which the rule has them.
func (q *question) readings(r *rule) []Reading {
	var out []Reading
	for _, condition := range r.conditions {
		condition.Body.Walk(func(t *source.Tree) bool {
			path, _, _ := source.Looks(t)
			if path == nil {
				return true
			}
			reading := Reading{Path: source.PathText(path), Value: q.value(path[1:])}
			if path[0] == "context" && !slices.Contains(out, reading) {
				out = append(out, reading)
			}
			return false
		})
	}
	return out
}

// value is what is at a path below context.
func (q *question) value(path []string) string {
	switch path[0] {
	case "input":
		v := q.input()
		for _, name := range path[1:] {
			v = v.Get(name)
		}
		return string(v.Raw())
	case "opaque":
		return q.opaqueSet().String()
	case "findings":
		return beside.Findings(q.facts.Findings, q.rules.declared.Findings).String()
	case "user":
		var v types.Value = beside.User(&q.call.Principal, beside.UserParts)
		for _, name := range path[1:] {
			record, _ := v.(types.Record)
			if v, _ = record.Get(types.String(name)); v == nil {
				return ""
			}
		}
		return string(v.MarshalCedar())
	default:
		if !beside.IsFlow(path[0]) {
			return ""
		}
		v := beside.Flow(q.facts.Flow, q.input(), path[0], q.rules.declared.Findings)
		if record, ok := v.(types.Record); ok && len(path) > 1 {
			v, _ = record.Get(types.String(path[1]))
		}
		return string(v.MarshalCedar())
	}
}
