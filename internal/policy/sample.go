package policy

import (
	"sallyport"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// Arguments are arguments to try an action with, at most so many: they fit its
// schema and go through the values that the rules in scope compare with, and
// their neighbours. fixed gives some of them.
func (r *Rules) Arguments(action string, fixed sallyport.Value, most int) []sallyport.Value {
	a := r.actions[action]
	if a == nil {
		return nil
	}
	constants := shape.Constants{}
	for _, rule := range r.rules {
		if rule.scope.covers(a) {
			for _, condition := range rule.conditions {
				condition.Body.Walk(func(t *source.Tree) bool {
					source.Compared(t, constants.Note)
					return true
				})
			}
		}
	}
	return a.input.Samples(constants, fixed, most)
}
