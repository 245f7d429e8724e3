package policy

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
	"sallyport/internal/policy/source"
)

// Looser is one way in which a policy set may allow more than the one before.
type Looser struct {
	Rule sallyport.Rule // of the new set; of the old set when it is gone
	Text string
	Pin  bool // not the rule changed but what is pinned or its effects
}

func (l Looser) String() string {
	return fmt.Sprintf("%s:%d: rule %q %s", l.Rule.File, l.Rule.Line, l.Rule.ID, l.Text)
}

// Compare says why replacing the old set by the new is not provably tighter:
// nothing when every call gets the same verdict or a stricter one. Provable are
// removed permits and conditions added to permits or narrowed, added and widened
// forbids, questions that become refusals, and whatever does not change what
// rules say: comments, names, @because, order. All else is taken for looser.
//
// Who has which role is not part of a policy set: whoever changes that must
// compare it too.
func Compare(old, new *Rules) []Looser {
	if new == nil || new.actions == nil {
		return nil // refuses everything
	}
	if old == nil {
		old = &Rules{} // refuses everything
	}
	c := comparison{old: old, new: new}
	for _, r := range new.rules {
		if r.permit {
			c.permit(r)
		}
	}
	for _, r := range old.rules {
		if r.permit {
			c.gone(r)
		} else {
			c.forbid(r)
		}
	}
	c.pins()
	return c.out
}

type comparison struct {
	old, new *Rules
	out      []Looser
}

func (c *comparison) looser(r *rule, pin bool, format string, args ...any) {
	c.out = append(c.out, Looser{r.Rule, fmt.Sprintf(format, args...), pin})
}

// permit: what it permits, one of the old permits must have permitted.
func (c *comparison) permit(r *rule) {
	within := func(was *rule) bool {
		return was.permit && c.scopeWithin(r, was) && narrows(r, was) && r.changesAs(was)
	}
	namesake := named(c.old, r)
	switch {
	case namesake != nil && within(namesake) || slices.ContainsFunc(c.old.rules, within):
	case namesake != nil:
		c.looser(r, false, "permits something else than before")
	default:
		c.looser(r, false, "is a new permit")
	}
}

// forbid: what an old one refused or asked, one of the new must, and also what
// the old one could not be judged on, and so refused.
func (c *comparison) forbid(was *rule) {
	covers := func(r *rule) bool {
		if r.permit || r.result != was.result || r.Ask != nil && (!slices.Equal(r.Ask, was.Ask) || r.Class < was.Class) || !c.scopeCovers(r, was) {
			return false
		}
		if r.changes() && !(was.changes() && r.changesAs(was)) {
			return false // what was withheld is released, or more of it
		}
		return slices.EqualFunc(r.parts(), was.parts(), source.Condition.Same) ||
			!was.fallible && narrows(was, r) && seesAll(r, was)
	}
	namesake := named(c.new, was)
	switch {
	case namesake != nil && covers(namesake) || slices.ContainsFunc(c.new.rules, covers):
	case namesake != nil:
		c.looser(namesake, false, "no longer forbids all that it did, or asks others")
	default:
		c.looser(was, false, "is a forbid that is gone")
	}
}

// named is the rule of a set that has another's name: mostly that rule as it was
// or has become, and so the first to look at.
func named(in *Rules, r *rule) *rule {
	if i := slices.IndexFunc(in.rules, func(other *rule) bool { return other.ID == r.ID }); i >= 0 {
		return in.rules[i]
	}
	return nil
}

// gone: a permit refuses too, the calls that it can't be judged on. Where
// another permit covers the same calls without looking at as much, dropping the
// first lets them through.
func (c *comparison) gone(was *rule) {
	// What it changed, another permit may let through as it is.
	changes := func(r *rule) bool {
		return r.permit && r.changesAs(was) && c.scopeCovers(r, was) && slices.EqualFunc(r.parts(), was.parts(), source.Condition.Same)
	}
	if was.changes() && !slices.ContainsFunc(c.new.rules, changes) {
		c.looser(was, false, "no longer changes what comes back")
	}
	refuses := func(g *rule) bool { return !g.result && seesAll(g, was) && (!was.fallible || narrows(g, was)) }
	everywhere := func(g *rule) bool { return refuses(g) && c.scopeCovers(g, was) }
	if same := named(c.new, was); same != nil && everywhere(same) || slices.ContainsFunc(c.new.rules, everywhere) {
		return
	}
	for _, r := range c.new.rules {
		if r.permit && c.overlap(was, r) && !refuses(r) {
			c.looser(r, false, "permits calls that rule %q (%s:%d) could not be judged on before, and so refused", was.ID, was.File, was.Line)
			return
		}
	}
}

// pins: new actions that a rule reaches, and rules that say something else of
// an action because its effects or its schema changed.
func (c *comparison) pins() {
	if len(c.old.actions) == 0 {
		return // no policy was in force: every permit is new
	}
	for _, a := range c.new.ordered {
		before := c.old.actions[a.key()]
		sameGroups := before != nil && slices.Equal(before.groups, a.groups)
		sameInput := before != nil && before.undeclared == a.undeclared && bytes.Equal(before.input.AppendTo(nil), a.input.AppendTo(nil))
		for _, r := range c.new.rules {
			switch {
			case !r.scope.covers(a):
			case before == nil:
				if r.permit {
					c.looser(r, true, "reaches %s, which is new", a.key())
				}
			case !sameGroups && r.namesActions():
				c.looser(r, true, "tests actions, and %s has other effects now", a.key())
			case !sameInput && (r.uses.input() || len(r.uses.flow) > 0):
				c.looser(r, true, "looks at arguments of %s, whose schema changed", a.key())
			}
		}
	}
}

func (r *rule) namesActions() bool {
	found := false
	for _, condition := range r.conditions {
		condition.Body.Walk(func(t *source.Tree) bool {
			value, _ := t.Node.(ast.NodeValue)
			if uid, _ := value.Value.(types.EntityUID); uid.Type == typeAction {
				found = true
			}
			return true
		})
	}
	return found
}

// scopeWithin reports whether every call in the scope of a new rule was in the
// scope of an old one, for the actions that both sets know.
func (c *comparison) scopeWithin(r, was *rule) bool {
	if was.scope.principal != (types.EntityUID{}) && was.scope.principal != r.scope.principal {
		return false
	}
	for _, a := range c.new.ordered {
		if before := c.old.actions[a.key()]; before != nil && r.scope.covers(a) && !was.scope.covers(before) {
			return false
		}
	}
	return true
}

// scopeCovers reports whether every call in the scope of an old rule is in the
// scope of a new one. An action that is gone is refused.
func (c *comparison) scopeCovers(r, was *rule) bool {
	if r.scope.principal != (types.EntityUID{}) && r.scope.principal != was.scope.principal {
		return false
	}
	for _, before := range c.old.ordered {
		if a := c.new.actions[before.key()]; a != nil && was.scope.covers(before) && !r.scope.covers(a) {
			return false
		}
	}
	return true
}

// overlap reports whether a call can be in the scope of both: nobody has two
// names, roles, users or tenants.
func (c *comparison) overlap(was, r *rule) bool {
	p, q := was.scope.principal, r.scope.principal
	if p.Type == q.Type && p.ID != q.ID {
		return false
	}
	return slices.ContainsFunc(c.old.ordered, func(before *action) bool {
		a := c.new.actions[before.key()]
		return a != nil && was.scope.covers(before) && r.scope.covers(a)
	})
}

// narrows reports whether r has all conditions of the wider rule or stricter
// ones, and so applies only where that does. Where evaluating can fail, the
// order counts: a condition that comes first can keep another from failing, and
// failing refuses.
func narrows(r, wider *rule) bool {
	have, want := r.parts(), wider.parts()
	if wider.fallible {
		return len(have) >= len(want) && slices.EqualFunc(have[:len(want)], want, source.Condition.Same)
	}
	for _, part := range want {
		if !slices.ContainsFunc(have, func(c source.Condition) bool { return source.Implies(c, part) }) {
			return false
		}
	}
	return true
}

// parts are the conditions that must all come out as wanted.
func (r *rule) parts() []source.Condition { return source.Conjuncts(r.conditions) }

// seesAll reports whether g can't be judged on any call on which was can't.
func seesAll(g, was *rule) bool {
	for _, look := range was.reads {
		if !slices.ContainsFunc(g.reads, func(l read) bool {
			return look.opaque || !l.opaque && (!l.exists && startsWith(look.path, l.path) || look.exists && startsWith(l.path, look.path))
		}) {
			return false
		}
	}
	return true
}
