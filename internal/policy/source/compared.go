package source

import (
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
)

// Compared tells note of each constant, as JSON, that a comparison sets against
// what stands at a path.
func Compared(t *Tree, note func(path []string, constant string)) {
	at := func(kid *Tree, text string) {
		if path, ok := PathOf(kid); ok {
			note(path, text)
		}
	}
	if pattern, ok := t.Node.(ast.NodeTypeLike); ok {
		at(t.Kids[0], strings.NewReplacer(`\*`, "*", "*", "x").Replace(string(pattern.Value.MarshalCedar())))
		return
	}
	for i, kid := range t.Kids {
		for j, other := range t.Kids {
			if i == j {
				continue
			}
			other.Walk(func(t *Tree) bool {
				if value, ok := t.Node.(ast.NodeValue); ok {
					for _, text := range constant(value.Value) {
						at(kid, text)
					}
				}
				return true
			})
		}
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
