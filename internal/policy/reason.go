package policy

import (
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"

	"sallyport/internal/policy/source"
)

// Reasons are kept in the log and sent to the agent, so they name arguments and
// what the rules compare them with, never the arguments' values.

func (r *rule) String() string {
	if strings.HasPrefix(r.ID, r.File+":") {
		return fmt.Sprintf("rule %s", r.ID)
	}
	return fmt.Sprintf("rule %q (%s:%d)", r.ID, r.File, r.Line)
}

func because(prefix string, r *rule) string {
	if r.Because == "" {
		return prefix
	}
	return prefix + ": " + r.Because
}

func (q *question) refusedBy(r *rule) string {
	hint := ""
	if way := r.otherwise(); way != "" {
		hint = "It does not apply when " + way
	} else {
		hint = q.instead()
	}
	return source.Sentences(because("Refused by "+r.String(), r), hint)
}

func (q *question) heldBy(r *rule, groups []string) string {
	who := "People of " + strings.Join(groups, " and of ") + " must agree"
	if len(groups) == 1 {
		who = groups[0] + " must agree"
	}
	hint := ""
	if r.Otherwise != "" {
		hint = "Nobody is asked when " + r.Otherwise
	}
	return source.Sentences(because("Held by "+r.String(), r), who, hint)
}

func (q *question) cannotJudge(r *rule) string {
	if look := q.hidden(r); look != nil {
		what := source.PathText(look.path)
		if what == "" {
			what = "all arguments"
		}
		return source.Sentences(fmt.Sprintf("Refused: %s looks at %s, and this call sends nothing there that it can be judged by", r, what),
			"Send what the schema declares: nothing required left out, no null, no integer beyond 64 bits, at most four decimal places and 1,024 items, no other properties")
	}
	return source.Sentences(fmt.Sprintf("Refused: %s can't be evaluated on this call", r), "Change the arguments that it looks at, or the rule")
}

// nobodyPermits says what the nearest permit wants, else what is permitted.
func (q *question) nobodyPermits() string {
	agent := q.agent.UID.ID
	head := fmt.Sprintf("Refused: no rule permits %s to do %s", agent, q.act.key())
	var nearest *rule
	var way string
	fewest := 0
	for _, r := range q.plain {
		if !r.permit {
			continue
		}
		unmet := q.unmet(r)
		if phrase, ok := needs(unmet); ok && len(unmet) > 0 && (nearest == nil || len(unmet) < fewest) {
			nearest, way, fewest = r, phrase, len(unmet)
		}
	}
	if nearest != nil {
		return source.Sentences(head, fmt.Sprintf("%s%s would permit it when %s", strings.ToUpper(nearest.String()[:1]), nearest.String()[1:], way))
	}
	return source.Sentences(head, q.instead())
}

// A refusal names at most this many other actions, and looks at no more than
// maxTried to find them, so that refusing stays cheap.
const (
	maxOffered = 5
	maxTried   = 64
)

// instead names what else this principal may do on the same server.
func (q *question) instead() string {
	var offered []string
	tried := 0
	for _, a := range q.rules.ordered {
		if a.server != q.act.server || a == q.act || !a.listed {
			continue
		}
		if tried++; tried > maxTried || len(offered) == maxOffered {
			break
		}
		other := question{rules: q.rules, facts: q.facts, call: q.call, act: a, agent: q.agent, server: q.server}
		other.find(&q.rules.calls)
		if other.possible() {
			offered = append(offered, strings.TrimPrefix(a.name, "tool:"))
		}
	}
	switch {
	case len(offered) == 0 && tried > maxTried:
		return "Ask whoever keeps the policy"
	case len(offered) == 0:
		return fmt.Sprintf("%s may do nothing on %s; ask whoever keeps the policy", q.agent.UID.ID, q.act.server)
	}
	return fmt.Sprintf("On %s it may use %s", q.act.server, strings.Join(offered, ", "))
}

// otherwise says what would keep the rule from applying: the opposite of any
// part of it that is about the arguments, "" when that can't be said simply.
func (r *rule) otherwise() string {
	var ways []string
	for _, c := range source.Conjuncts(r.conditions) {
		if _, isHas := c.Body.Node.(ast.NodeTypeHas); isHas && c.Want {
			continue // a guard; what follows it says more
		}
		way, ok := c.Body.Say(!c.Want)
		if !ok {
			return ""
		}
		ways = append(ways, way)
	}
	return strings.Join(ways, ", or when ")
}

// unmet are the parts of a rule that this call does not meet. With the arguments
// unknown these are the parts about the caller.
func (q *question) unmet(r *rule) []source.Condition {
	env := q.partialEnv()
	if !q.facts.Partial {
		env.Context = q.request.Context
	}
	var out []source.Condition
	for _, c := range source.Conjuncts(r.conditions) {
		body := ast.Permit().When(ast.NewNode(c.Body.Node))
		if !c.Want {
			body = ast.Permit().Unless(ast.NewNode(c.Body.Node))
		}
		if _, keep := eval.PartialPolicy(env, body); !keep {
			out = append(out, c)
		}
	}
	return out
}

// needs says what all of these want.
func needs(unmet []source.Condition) (string, bool) {
	var ways []string
	for _, c := range unmet {
		way, ok := c.Body.Say(c.Want)
		if !ok {
			return "", false
		}
		ways = append(ways, way)
	}
	return strings.Join(ways, " and "), true
}
