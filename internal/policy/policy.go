// Package policy decides. It is pure: no clock, no input or output, no state.
//
// Policies are Cedar. What Cedar leaves open is settled here: which entities
// and types there are (from the pinned manifests), what an error means (a
// refusal), what a question is (a forbid marked @ask), and what can be said
// before the arguments are known.
package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
	"sallyport/internal/policy/source"
)

// File is one policy file; Problem is one thing wrong with a policy, and where;
// Problems, the error of Load, is all of them.
type (
	File     = source.File
	Problem  = source.Problem
	Problems = source.Problems
)

// Rules is a loaded policy set: parsed, checked against the pinned manifests,
// indexed. It is immutable. The zero Rules, and a nil *Rules, refuse everything.
type Rules struct {
	digest   sallyport.Digest
	rules    []*rule // by file and line
	actions  map[string]*action
	ordered  []*action // by name
	declared Declared
	calls    index
	results  index
	flow     bool            // some rule looks at where arguments came from
	finds    bool            // some rule looks at what scanners see
	changing bool            // some permit changes what comes back
	static   types.EntityMap // the actions, for conditions that test their groups
}

// Digest identifies the policy set and the schemas and effects that it was
// checked against; every decision records it.
func (r *Rules) Digest() sallyport.Digest {
	if r == nil {
		return sallyport.Digest{}
	}
	return r.digest
}

// JudgesResults reports whether any rule is marked @on("result"), or changes
// what comes back.
func (r *Rules) JudgesResults() bool { return r != nil && (r.changing || len(r.results.rules) > 0) }

// LooksAtFlow reports whether any rule looks at where arguments came from or at
// what the run has done.
func (r *Rules) LooksAtFlow() bool { return r != nil && r.flow }

// LooksAtFindings reports whether any rule looks at what scanners see, or has it
// masked.
func (r *Rules) LooksAtFindings() bool { return r != nil && r.finds }

// All are the rules as written, by file and line.
func (r *Rules) All() []sallyport.Rule {
	if r == nil {
		return nil
	}
	out := make([]sallyport.Rule, len(r.rules))
	for i, rule := range r.rules {
		out[i] = rule.Rule
	}
	return out
}

// rule is one loaded policy.
type rule struct {
	sallyport.Rule
	permit bool
	result bool // @on("result")

	source     *ast.Policy
	policy     *cedar.Policy
	conditions []source.Condition
	scope      scope

	reads    []read // of the arguments
	uses     uses
	fallible bool // evaluating can fail on values of the right type

	// With the arguments unknown, a rule is three parts that must all hold.
	known *cedar.Policy      // conditions about the caller; nil for none
	mixed []source.Condition // about both
	rest  []source.Condition // about the arguments
	bare  outlook            // what the rest says, whatever the action is
	asks  bool               // whether an argument is there, which the action may know
}

// scope is the head of a rule. The zero value of each part is "any".
type scope struct {
	principal types.EntityUID   // it, or what it is in
	actions   []types.EntityUID // actions or groups of them
	server    string
}

func (s *scope) covers(a *action) bool {
	if s.server != "" && s.server != a.server {
		return false
	}
	if s.actions == nil {
		return true
	}
	for _, uid := range s.actions {
		if uid == a.uid {
			return true
		}
		for _, group := range a.groups {
			if uid == group {
				return true
			}
		}
	}
	return false
}

// uses says which parts of the context a rule looks at, so that the rest is not
// built.
type uses struct {
	arguments []string // by their first name
	all       bool     // of the arguments: something is asked of them as a whole
	user      []string // parts of context.user
	flow      []string // what is known of where arguments came from
	result    bool
	findings  bool
	found     bool // in what the run has read
	caller    bool // anything known before the arguments are: user, principal, action, resource
}

func (u *uses) input() bool { return u.all || len(u.arguments) > 0 }

// later reports whether something is looked at that is unknown before the
// arguments are.
func (u *uses) later() bool { return u.input() || u.result || u.findings || len(u.flow) > 0 }

func (u *uses) add(v *uses) {
	u.arguments = append(u.arguments, v.arguments...)
	u.all = u.all || v.all
	u.user = append(u.user, v.user...)
	u.flow = append(u.flow, v.flow...)
	u.result = u.result || v.result
	u.findings = u.findings || v.findings
	u.found = u.found || v.found
}

// read is one look at the arguments: at a value and all below it, only whether
// it is there, or at the set of what is opaque.
type read struct {
	path   []string
	exists bool
	opaque bool
}

// touches reports whether Cedar's not holding the value at path makes this look
// a guess. The empty path is everything: then not even what is opaque is known.
func (r read) touches(path []string) bool {
	if r.opaque || len(path) == 0 {
		return len(path) == 0
	}
	if r.exists && len(path) > len(r.path) {
		return false // it is there, whatever is hidden further down
	}
	return startsWith(path, r.path) || startsWith(r.path, path)
}

func startsWith(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}
