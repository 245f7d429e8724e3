package policy

import (
	"iter"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
)

// index finds the rules whose scope can match a call without looking at the
// others, so that a decision costs the same among 50 and 5,000 rules. A rule
// that it missed would be a forbid that is never judged: a property test
// compares it with plain Cedar over all rules.
type index struct {
	ids   map[types.EntityUID]uint32 // entities that scopes name; 0 is any
	rules map[[2]uint32][]*rule      // by principal and action
}

func newIndex() index {
	return index{ids: map[types.EntityUID]uint32{}, rules: map[[2]uint32][]*rule{}}
}

func (x *index) id(uid types.EntityUID) uint32 {
	if uid == (types.EntityUID{}) {
		return 0
	}
	id := x.ids[uid]
	if id == 0 {
		id = uint32(len(x.ids) + 1)
		x.ids[uid] = id
	}
	return id
}

func (x *index) add(r *rule) {
	principal := x.id(r.scope.principal)
	actions := r.scope.actions
	if actions == nil {
		actions = []types.EntityUID{{}}
		if r.scope.server != "" {
			actions[0] = serverGroup(r.scope.server)
		}
	}
	for _, action := range actions {
		key := [2]uint32{principal, x.id(action)}
		x.rules[key] = append(x.rules[key], r)
	}
}

// in appends the rules whose scope matches.
func (x *index) in(dst []*rule, principal *sallyport.Principal, a *action) []*rule {
	var principals, actions [8]uint32
	p := append(principals[:0], 0)
	for _, uid := range identities(principal) {
		if id := x.ids[uid]; id != 0 {
			p = append(p, id)
		}
	}
	q := append(actions[:0], 0)
	if id := x.ids[a.uid]; id != 0 {
		q = append(q, id)
	}
	for _, group := range a.groups {
		if id := x.ids[group]; id != 0 {
			q = append(q, id)
		}
	}
	first := len(dst)
	for _, p := range p {
		for _, q := range q {
			for _, r := range x.rules[[2]uint32{p, q}] {
				if (r.scope.server == "" || r.scope.server == a.server) && !contains(dst[first:], r) {
					dst = append(dst, r)
				}
			}
		}
	}
	return dst
}

// contains tells whether a rule that names several actions was found under
// another of them, or under the same that it names twice.
func contains(rules []*rule, r *rule) bool {
	return len(r.scope.actions) > 1 && slices.Contains(rules, r)
}

// identities are the entities that a principal is in: itself, its role, the
// user it acts for and its tenant. A name that is missing is in nothing.
func identities(p *sallyport.Principal) [4]types.EntityUID {
	var out [4]types.EntityUID
	for i, name := range [4]string{p.Agent, p.Role, p.User, p.Tenant} {
		if name != "" {
			out[i] = types.NewEntityUID([4]types.EntityType{typeAgent, typeRole, typeUser, typeTenant}[i], types.String(name))
		}
	}
	return out
}

// candidates lets Cedar judge a few rules.
type candidates []*rule

// All implements cedar.PolicyIterator.
func (c candidates) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range c {
			if !yield(cedar.PolicyID(r.ID), r.policy) {
				return
			}
		}
	}
}

func (c candidates) named(id cedar.PolicyID) *rule {
	for _, r := range c {
		if r.ID == string(id) {
			return r
		}
	}
	return nil
}

// one lets Cedar judge a single policy.
type one struct{ policy *cedar.Policy }

// All implements cedar.PolicyIterator.
func (o one) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) { yield("", o.policy) }
}
