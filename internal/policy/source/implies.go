package source

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Implies reports whether b comes out as it wants wherever a does: a smaller
// number, a shorter list, a longer prefix. Both must be conditions that can't
// fail. What it does not understand it takes for "no".
func Implies(a, b Condition) bool {
	a, b = a.positive(), b.positive()
	if a.Same(b) {
		return true
	}
	both := func(whole Condition, holds func(Condition) bool) bool {
		left, right := whole.halves()
		return holds(left) && holds(right)
	}
	either := func(whole Condition, holds func(Condition) bool) bool {
		left, right := whole.halves()
		return holds(left) || holds(right)
	}
	toB := func(part Condition) bool { return Implies(part, b) }
	fromA := func(part Condition) bool { return Implies(a, part) }
	switch {
	case a.any():
		return both(a, toB)
	case b.all():
		return both(b, fromA)
	case a.all():
		return either(a, toB)
	case b.any():
		return either(b, fromA)
	}
	x, known := a.test()
	y, alike := b.test()
	return known && alike && x.subject == y.subject && x.within(y)
}

// Same reports whether both say the same in the same words, wherever they stand.
func (c Condition) Same(d Condition) bool {
	return c.Want == d.Want && reflect.DeepEqual(c.Body.Node, d.Body.Node)
}

// positive moves a leading "not" into what is wanted.
func (c Condition) positive() Condition {
	for {
		if _, not := c.Body.Node.(ast.NodeTypeNot); !not {
			return c
		}
		c = Condition{!c.Want, c.Body.Kids[0]}
	}
}

// all reports whether two halves must both come out, any whether one suffices.
func (c Condition) all() bool { return c.joins(c.Want) }
func (c Condition) any() bool { return c.joins(!c.Want) }

func (c Condition) joins(and bool) bool {
	if and {
		_, ok := c.Body.Node.(ast.NodeTypeAnd)
		return ok
	}
	_, ok := c.Body.Node.(ast.NodeTypeOr)
	return ok
}

func (c Condition) halves() (left, right Condition) {
	return Condition{c.Want, c.Body.Kids[0]}, Condition{c.Want, c.Body.Kids[1]}
}

// test is what a condition demands of one value.
type test struct {
	subject string
	kind    testKind
	want    bool
	values  []types.Value // to be one of, to be less than, or all that a set may hold
	pattern types.Pattern
}

type testKind uint8

const (
	oneOf testKind = iota
	less
	atMost
	like
	subset
)

// test takes a comparison of a path with literals apart.
func (c Condition) test() (test, bool) {
	t := c.Body
	listed := func(kind testKind) (test, bool) { return compared(kind, c.Want, t.Kids[1], t.Kids[0], true) }
	single := func(kind testKind, want bool) (test, bool) { return compared(kind, want, t.Kids[0], t.Kids[1], false) }
	switch n := t.Node.(type) {
	case ast.NodeTypeEquals:
		return single(oneOf, c.Want)
	case ast.NodeTypeNotEquals:
		return single(oneOf, !c.Want)
	case ast.NodeTypeContains:
		return listed(oneOf)
	case ast.NodeTypeContainsAll:
		return listed(subset)
	case ast.NodeTypeLessThan:
		return single(less, c.Want)
	case ast.NodeTypeLessThanOrEqual:
		return single(atMost, c.Want)
	case ast.NodeTypeGreaterThan:
		return single(atMost, !c.Want)
	case ast.NodeTypeGreaterThanOrEqual:
		return single(less, !c.Want)
	case ast.NodeTypeLike:
		path, ok := PathOf(t.Kids[0])
		return test{PathText(path), like, c.Want, nil, n.Value}, ok
	case ast.NodeTypeExtensionCall:
		switch n.Name {
		case "lessThan":
			return single(less, c.Want)
		case "lessThanOrEqual":
			return single(atMost, c.Want)
		case "greaterThan":
			return single(atMost, !c.Want)
		case "greaterThanOrEqual":
			return single(less, !c.Want)
		}
	}
	return test{}, false
}

func compared(kind testKind, want bool, path, literal *Tree, list bool) (test, bool) {
	names, ok := PathOf(path)
	values, plain := literal.values()
	_, isList := literal.Node.(ast.NodeTypeSet)
	return test{subject: PathText(names), kind: kind, want: want, values: values}, ok && plain && isList == list
}

// values are those of a literal, or of a list of them.
func (t *Tree) values() ([]types.Value, bool) {
	switch n := t.Node.(type) {
	case ast.NodeValue:
		return []types.Value{n.Value}, true
	case ast.NodeTypeExtensionCall:
		if n.Name == "decimal" {
			text, _ := t.literal()
			d, err := types.ParseDecimal(text)
			return []types.Value{d}, err == nil
		}
	case ast.NodeTypeSet:
		var all []types.Value
		for _, kid := range t.Kids {
			one, ok := kid.values()
			if _, nested := kid.Node.(ast.NodeTypeSet); !ok || nested {
				return nil, false
			}
			all = append(all, one...)
		}
		return all, true
	}
	return nil, false
}

// within reports whether what meets x meets y.
func (x test) within(y test) bool {
	switch {
	case x.kind == oneOf && x.want:
		return !slices.ContainsFunc(x.values, func(v types.Value) bool { return !y.admits(v) })
	case y.kind == oneOf && !y.want:
		return !slices.ContainsFunc(y.values, x.admits)
	case x.want != y.want:
		return false
	case !x.want: // what is not in the wider is not in the narrower
		x, y = y, x
	}
	switch {
	case x.kind == subset && y.kind == subset:
		return !slices.ContainsFunc(x.values, func(v types.Value) bool { return !contains(y.values, v) })
	case x.kind == like && y.kind == like:
		return below(x.pattern, y.pattern)
	case (x.kind == less || x.kind == atMost) && (y.kind == less || y.kind == atMost):
		order, ok := compare(x.values[0], y.values[0])
		return ok && (order < 0 || order == 0 && (x.kind == less || y.kind == atMost))
	default:
		return false
	}
}

// admits reports whether a value meets the test; false when that can't be told.
func (x test) admits(v types.Value) bool {
	switch x.kind {
	case oneOf:
		return contains(x.values, v) == x.want
	case less, atMost:
		order, ok := compare(v, x.values[0])
		return ok && (order < 0 || order == 0 && x.kind == atMost) == x.want
	case like:
		word, ok := v.(types.String)
		return ok && x.pattern.Match(word) == x.want
	default:
		return false
	}
}

// below reports whether all that one pattern matches is matched by another. A
// character that the other does not have stands for what the first leaves open:
// only a wildcard can match it, and so matches whatever else stands there.
func below(narrow, wide types.Pattern) bool {
	const open = "\uffff"
	return !strings.Contains(spelled(wide, ""), open) && wide.Match(types.String(spelled(narrow, open)))
}

// spelled is the pattern with something in the place of its wildcards.
func spelled(p types.Pattern, wildcard string) string {
	var parts []any
	text, err := p.MarshalJSON()
	if err != nil || json.Unmarshal(text, &parts) != nil {
		return wildcard // matched by nothing but a wildcard
	}
	var b strings.Builder
	for _, part := range parts {
		if literal, ok := part.(map[string]any); ok {
			word, _ := literal["Literal"].(string)
			b.WriteString(word)
		} else {
			b.WriteString(wildcard)
		}
	}
	return b.String()
}

func contains(values []types.Value, v types.Value) bool {
	return slices.ContainsFunc(values, v.Equal)
}

func compare(a, b types.Value) (int, bool) {
	switch a := a.(type) {
	case types.Long:
		if b, ok := b.(types.Long); ok {
			return cmp.Compare(a, b), true
		}
	case types.Decimal:
		if b, ok := b.(types.Decimal); ok {
			return a.Compare(b), true
		}
	}
	return 0, false
}
