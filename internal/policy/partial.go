package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// outlook is what can be said of a condition or a rule before the arguments are
// known. Only a flat "no" and an empty rest are certain: whatever else partial
// evaluation leaves, an error included, is maybe.
type outlook uint8

const (
	maybe outlook = iota
	never
	always
)

// foresee splits a rule's conditions into those about the caller, which are
// compiled for when the caller is known, those about the arguments, and those
// about both.
func (r *rule) foresee() {
	known := ast.Permit()
	for _, c := range source.Conjuncts(r.conditions) {
		var u rule
		u.note(c.Body)
		switch {
		case !u.uses.later():
			known.Conditions = append(known.Conditions, ast.ConditionType{Condition: ast.Condition(c.Want), Body: c.Body.Node})
		case !u.uses.caller:
			r.rest = append(r.rest, c)
		default:
			r.mixed = append(r.mixed, c)
		}
	}
	if len(known.Conditions) > 0 {
		r.known = cedar.NewPolicyFromAST((*publicast.Policy)(known))
	}
	r.asks = slices.ContainsFunc(r.reads, func(l read) bool { return l.exists })
	r.bare = foreseen(r.rest, func([]string) (there, certain bool) { return false, false }, blind())
}

// blind is the environment of conditions about the arguments alone.
func blind() eval.Env {
	return eval.Env{Entities: types.EntityMap{}, Context: eval.Variable("context")}
}

// foreseen evaluates conditions as far as env is known, and what is there.
func foreseen(conditions []source.Condition, given func(path []string) (there, certain bool), env eval.Env) outlook {
	policy := ast.Permit()
	for _, c := range conditions {
		policy.Conditions = append(policy.Conditions, ast.ConditionType{Condition: ast.Condition(c.Want), Body: c.Body.Settled(given)})
	}
	rest, keep := eval.PartialPolicy(env, policy)
	switch {
	case !keep:
		return never
	case len(rest.Conditions) == 0:
		return always
	default:
		return maybe
	}
}

// given says what a rule learns that asks whether an argument is there, before
// the arguments are known. One that the schema does not declare, or that Cedar
// can't hold, is not there; one that is required is: a call of which that isn't
// true can't be judged by the rule that asks, and so is refused.
func (q *question) given(path []string) (there, certain bool) {
	in := q.act.at(path[1 : len(path)-1]) // nil for all but arguments
	if in == nil {
		return false, false
	}
	f := in.Fields[path[len(path)-1]]
	if f == nil || f.Shape.Kind == shape.Opaque {
		return false, true
	}
	return true, f.Required && q.call.Kind != sallyport.KindCompletion
}

// partialContext is the context with the arguments unknown. Whole records are
// the variables: conditions can only reach context through its parts, so none
// ever sees a record of which it knows half.
func (q *question) partialContext() types.Record {
	context := types.RecordMap{
		"input":  eval.Variable("input"),
		"opaque": eval.Variable("opaque"),
		"user":   beside.User(&q.call.Principal, beside.UserParts),

		"findings": eval.Variable("findings"),
	}
	for _, part := range beside.FlowParts {
		context[types.String(part)] = eval.Variable(types.String(part))
	}
	return types.NewRecord(context)
}

func (q *question) partialEnv() eval.Env {
	return eval.Env{Entities: q, Principal: q.agent.UID, Action: q.act.uid, Resource: q.server, Context: q.partialContext()}
}

// look is what a rule in scope will say, whatever the arguments are.
func (q *question) look(r *rule) outlook {
	if r.bare == never {
		return never
	}
	out := always
	if r.known != nil {
		if q.request.Principal == (types.EntityUID{}) {
			q.request = cedar.Request{Principal: q.agent.UID, Action: q.act.uid, Resource: q.server, Context: q.knownContext()}
		}
		verdict, diagnostic := cedar.Authorize(one{r.known}, q, q.request)
		switch {
		case len(diagnostic.Errors) > 0:
			out = maybe
		case verdict != cedar.Allow:
			return never
		}
	}
	rest := r.bare
	if rest == maybe && r.asks {
		rest = foreseen(r.rest, q.given, blind())
	}
	mixed := always
	if len(r.mixed) > 0 && rest != never {
		mixed = foreseen(r.mixed, q.given, q.partialEnv())
	}
	switch {
	case rest == never || mixed == never:
		return never
	case rest == maybe || mixed == maybe:
		return maybe
	default:
		return out
	}
}

// knownContext is what is known of the context without the arguments.
func (q *question) knownContext() types.Record {
	if len(q.uses.user) == 0 {
		return types.Record{}
	}
	return types.NewRecord(types.RecordMap{"user": beside.User(&q.call.Principal, q.uses.user)})
}

// possible reports whether some arguments may be allowed or held.
func (q *question) possible() bool {
	permitted := false
	for _, r := range q.plain {
		if r.permit && permitted {
			continue
		}
		switch o := q.look(r); {
		case r.permit:
			permitted = o != never
		case o == always:
			return false
		}
	}
	return permitted
}

// partial decides with the arguments unknown.
func (q *question) partial() sallyport.Decision {
	var firing, permits, open candidates
	for _, r := range q.plain {
		switch o := q.look(r); {
		case r.permit && o != never:
			permits = append(permits, r)
		case !r.permit && o == always:
			firing = append(firing, r)
		}
	}
	switch {
	case len(firing) > 0:
		return q.deny(q.refusedBy(firing.first()), firing...)
	case len(permits) == 0:
		return q.deny(q.nobodyPermits())
	}
	for _, r := range q.asking {
		if q.look(r) == always {
			open = append(open, r)
		}
	}
	return q.hold(sallyport.Decision{Verdict: sallyport.Allow, Rules: permits.sorted(), Policy: q.rules.digest}, open)
}
