package policy

import (
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

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
					compared(constants, t)
					return true
				})
			}
		}
	}
	return a.input.Samples(constants, fixed, most)
}

// compared notes the constants that a comparison sets against an argument.
func compared(constants shape.Constants, t *source.Tree) {
	if pattern, ok := t.Node.(ast.NodeTypeLike); ok {
		quoted := strings.NewReplacer(`\*`, "*", "*", "x").Replace(string(pattern.Value.MarshalCedar()))
		note(constants, t.Kids[0], quoted)
		return
	}
	for i, kid := range t.Kids {
		for j, other := range t.Kids {
			if i != j {
				other.Walk(func(t *source.Tree) bool {
					if value, ok := t.Node.(ast.NodeValue); ok {
						for _, text := range constant(value.Value) {
							note(constants, kid, text)
						}
					}
					return true
				})
			}
		}
	}
}

func note(constants shape.Constants, at *source.Tree, text string) {
	path, ok := source.PathOf(at)
	v, err := sallyport.Parse([]byte(text))
	if ok && err == nil && len(path) > 2 && path[1] == "input" {
		key := shape.Key(path[2:])
		constants[key] = append(constants[key], v)
	}
}

// constant is a literal as JSON; a string may stand for a decimal.
func constant(v types.Value) []string {
	word, ok := v.(types.String)
	if !ok {
		return []string{string(v.MarshalCedar())}
	}
	out := []string{string(sallyport.AppendString(nil, string(word)))}
	if _, err := types.ParseDecimal(string(word)); err == nil {
		out = append(out, string(word))
	}
	return out
}
