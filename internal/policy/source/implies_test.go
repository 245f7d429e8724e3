package source

import (
	"fmt"
	"testing"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
	"pgregory.net/rapid"
)

func TestImplies(t *testing.T) {
	for _, c := range []struct {
		a, b string
		both bool // the other way round too
	}{
		{`context.n < 5`, `context.n < 6`, false},
		{`context.n < 5`, `context.n <= 5`, false},
		{`context.n > 6`, `context.n > 5`, false},
		{`context.n >= 6`, `context.n > 5`, false},
		{`context.n == 5`, `context.n < 6`, false},
		{`context.n == 5`, `!(context.n > 5)`, false},
		{`!(context.n < 5)`, `context.n >= 5`, true},
		{`context.n < -9223372036854775808`, `context.n < 9223372036854775807`, false},
		{`context.d.lessThan(decimal("5.0"))`, `context.d.lessThan(decimal("5.0001"))`, false},
		{`context.d.greaterThan(decimal("5.0"))`, `context.d.greaterThanOrEqual(decimal("5.0"))`, false},
		{`context.d.lessThan(decimal("5.0"))`, `context.d.lessThan(decimal("5.00"))`, true},
		{`context.s == "a"`, `["a", "b"].contains(context.s)`, false},
		{`["a"].contains(context.s)`, `context.s == "a"`, true},
		{`["a"].contains(context.s)`, `["b", "a"].contains(context.s)`, false},
		{`context.s == "a"`, `context.s != "b"`, false},
		{`!["a", "b"].contains(context.s)`, `context.s != "b"`, false},
		{`context.n < 5`, `context.n != 5`, false},
		{`[1, 2].contains(context.n)`, `context.n < 3`, false},
		{`context.s == "/srv/x"`, `context.s like "/srv/*"`, false},
		{`context.s like "/srv/a/*"`, `context.s like "/srv/*"`, false},
		{`context.s like "/srv/*.txt"`, `context.s like "/srv/*"`, false},
		{`context.s like "/srv/*"`, `context.s != "/tmp/x"`, false},
		{`!(context.s like "*.*")`, `!(context.s like "*..*")`, false},
		{`context.s like "a\\**"`, `context.s like "a*"`, false},
		{`["a"].containsAll(context.l)`, `["a", "b"].containsAll(context.l)`, false},
		{`principal == Agent::"a"`, `[Agent::"a", Agent::"b"].contains(principal)`, false},
		{`context.s == "a"`, `context.s == "a" || context.n == 5`, false},
		{`context.s == "a" && context.n == 5`, `context.s == "a"`, false},
		{`context.s == "a" || context.s == "b"`, `["a", "b", "c"].contains(context.s)`, false},
		{`context.s == "a" && context.n == 5`, `context.n < 6 && context.s != "b"`, false},
		{`!(context.s == "a" || context.n == 5)`, `!(context.s == "a" && context.l.contains("x"))`, false},
		{`context has s`, `context has s || context has n`, false},
	} {
		if !Implies(Condition{true, condition(t, c.a)}, Condition{true, condition(t, c.b)}) {
			t.Errorf("%s does not imply %s", c.a, c.b)
		}
		if Implies(Condition{true, condition(t, c.b)}, Condition{true, condition(t, c.a)}) != c.both {
			t.Errorf("the other way round: %s and %s", c.b, c.a)
		}
	}
}

// What can't be taken apart implies nothing but itself.
func TestImpliesOnlyWhatItUnderstands(t *testing.T) {
	for _, c := range [][2]string{
		{`1 < 2`, `9 < 3`}, {`context.n < 5`, `context.m < 6`}, {`["a"].contains(context.s)`, `["a", context.t].contains(context.s)`}, {`["b", context.t].contains(context.s)`, `["b", "c"].contains(context.s)`},
		{`[["a"]].contains(context.l)`, `[["a", "b"]].contains(context.l)`}, {`["a"].containsAny(context.l)`, `["a", "b"].containsAny(context.l)`}, {`context.l == ["a"]`, `context.l == ["a", "b"]`}, {`context.l == ["a"]`, `["a"].containsAll(context.l)`},
		{`context.s like "*\u{ffff}*"`, `context.s like "\u{ffff}*"`}, {`context.s like "*"`, `context.s like "\u{ffff}*"`},
	} {
		if Implies(Condition{true, condition(t, c[0])}, Condition{true, condition(t, c[1])}) {
			t.Errorf("%s implies %s", c[0], c[1])
		}
	}
}

// What one condition is said to imply comes out wherever that one does.
func TestImpliesIsTrue(t *testing.T) {
	var leaves []string
	for _, n := range []string{"-1", "0", "1", "2"} {
		for _, op := range []string{"<", "<=", ">", ">=", "==", "!="} {
			leaves = append(leaves, "context.n "+op+" "+n)
		}
		for _, op := range []string{"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"} {
			leaves = append(leaves, fmt.Sprintf(`context.d.%s(decimal("%s.5"))`, op, n))
		}
	}
	leaves = append(leaves,
		`context.s == "a"`, `context.s != "a"`, `context.s == "ab"`, `context.s == ""`, `["a", "ab"].contains(context.s)`, `["b"].contains(context.s)`, `["a", "b", ""].contains(context.s)`,
		`context.s like "*"`, `context.s like "a*"`, `context.s like "*a"`, `context.s like "a*b"`, `context.s like "*a*b*"`, `context.s like "a\*"`, `context.s like "a\**"`, `context.s like "a"`, `context.s like ""`, `context.s like "*\u{ffff}*"`, `context.s like "\u{ffff}*"`, `context.s like "ab*"`,
		`[1, 2].contains(context.n)`, `[0].contains(context.n)`, `context.l.contains("a")`, `["a"].containsAll(context.l)`, `["a", "b"].containsAll(context.l)`, `["a"].containsAny(context.l)`, `context.l == ["a"]`, `context.l == ["a", "b"]`, `context.l.isEmpty()`,
		`context.d == decimal("0.5")`, `context.d != decimal("0.5")`, `context has s`, `1 < context.n`, `2 < context.n`, `context.r == {a: 1}`,
		`1 < 2`, `9 < 3`, `3 == 3`, `[["a"], ["b"]].contains(context.l)`, `[["a", "b"], ["c"]].contains(context.l)`, `["a", context.s].contains(context.s)`, `["a", "b", context.s].contains(context.s)`, `[context.s].containsAll(context.l)`,
		`principal == Agent::"a"`, `principal != Agent::"a"`, `[Agent::"a", Agent::"b"].contains(principal)`, `ip("1.1.1.1") == ip("1.1.1.2")`, `true`,
	)
	draw := func(rt *rapid.T) Condition {
		var text func(depth int) string
		text = func(depth int) string {
			leaf := rapid.SampledFrom(leaves).Draw(rt, "leaf")
			if depth == 0 {
				return leaf
			}
			return rapid.SampledFrom([]string{leaf, "!(" + text(depth-1) + ")", "(" + text(depth-1) + ") && (" + text(depth-1) + ")", "(" + text(depth-1) + ") || (" + text(depth-1) + ")"}).Draw(rt, "form")
		}
		return Condition{rapid.Bool().Draw(rt, "want"), condition(t, text(rapid.IntRange(0, 2).Draw(rt, "depth")))}
	}
	var worlds []eval.Env
	words, lists := []types.String{"", "a", "b", "ab", "a*", "a*b", "aab", "ba", "\uffff", "x\uffffy"}, [][]types.Value{{}, {types.String("a")}, {types.String("a"), types.String("b")}, {types.String("c")}}
	for i := range 120 {
		d, _ := types.NewDecimal(int64(i%9)*5-20, -1)
		agent := types.NewEntityUID("Agent", types.String("abc"[i%3:i%3+1]))
		worlds = append(worlds, eval.Env{Principal: agent, Action: agent, Resource: agent, Entities: types.EntityMap{}, Context: types.NewRecord(types.RecordMap{
			"n": types.Long(i%5 - 1), "d": d, "s": words[i%len(words)], "l": types.NewSet(lists[i%len(lists)]...), "r": types.NewRecord(types.RecordMap{"a": types.Long(i % 2)}),
		})})
	}
	holds := func(c Condition, world eval.Env) bool {
		v, err := eval.Eval(c.Body.Node, world)
		if err != nil {
			t.Fatal(err)
		}
		return v == types.Boolean(c.Want)
	}
	said := 0
	rapid.Check(t, func(rt *rapid.T) {
		all := make([]Condition, 25)
		for i := range all {
			all[i] = draw(rt)
		}
		for _, a := range all {
			for _, b := range all {
				if !Implies(a, b) {
					continue
				}
				said++
				for _, world := range worlds {
					if holds(a, world) && !holds(b, world) {
						rt.Fatalf("%v %s\n%v %s\nnot with %v", a.Want, written(a), b.Want, written(b), world.Context)
					}
				}
			}
		}
	})
	if said == 0 {
		t.Error("nothing was said to imply anything")
	}
}

func written(c Condition) string { return fmt.Sprintf("%#v", c.Body.Node) }

func TestSame(t *testing.T) {
	a, b, c := condition(t, `context.a==1&&(true)`), condition(t, "context . a == 1\n&& true // x\n"), condition(t, `context.a == 2 && true`)
	if !(Condition{true, a}).Same(Condition{true, b}) || (Condition{true, a}).Same(Condition{true, c}) || (Condition{true, a}).Same(Condition{false, b}) {
		t.Error("the same is not the same")
	}
}
