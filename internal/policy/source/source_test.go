package source

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

func parse(t testing.TB, text string) []Statement {
	t.Helper()
	statements, problems := File{Name: "p.cedar", Text: []byte(text)}.Statements()
	if problems != nil {
		t.Fatal(problems)
	}
	return statements
}

func condition(t testing.TB, text string) *Tree {
	t.Helper()
	return parse(t, "permit (principal, action, resource) when {"+text+"};")[0].Conditions()[0].Body
}

// Every node's place is that of the token that stands for it.
func TestPlaces(t *testing.T) {
	const head = "@id(\"when\") permit (principal in Role::\"unless\", action, resource) when {\n"
	for _, text := range []string{
		`context.a.b == 1`,
		`context["a"]["b c"].d`,
		`context has a && context.a has "b c"`,
		`context has a.b.c && context.a.b.c > -5`,
		`(context has a.b) || principal in Role::"x"`,
		`[1, 2, context.x].contains(context.contains)`,
		`{a: context.a, "context": [context.b]} == context.c`,
		`if context.if1 then context.a like "x*" else !(context.b)`,
		`context.a.lessThan(decimal("1.0")) && ip("1.1.1.1").isInRange(ip("1.1.1.0/24"))`,
		`context.a is A::B in A::B::"c" && context.principal == principal`,
		`/* context.no */ context.yes // context.no
		  == "context.no"`,
		`context.a + context.b * 3 - 4 < context.c`,
		`context.a.containsAny(context.b) && context.c.isEmpty() && true`,
	} {
		s := parse(t, head+text+"\n};")[0]
		for _, c := range s.Conditions() {
			c.Body.Walk(func(n *Tree) bool {
				at := (head + text)[n.At.Offset:]
				want := ""
				if has, ok := n.Node.(ast.NodeTypeHas); ok && strings.Contains(text, "."+string(has.Value)) {
					return false // what `has a.b` repeats is nowhere
				}
				switch n := n.Node.(type) {
				case ast.NodeTypeVariable:
					want = string(n.Name)
				case ast.NodeTypeAccess:
					want = string(n.Value)
				case ast.NodeTypeHas:
					want = string(n.Value)
				case ast.NodeValue:
					want = strings.TrimPrefix(string(n.Value.MarshalCedar()), "-")
				default:
					return true
				}
				if !strings.HasPrefix(strings.TrimPrefix(at, `"`), strings.Trim(want, `"`)) && !strings.HasPrefix(at, want) {
					t.Errorf("%s\n%T %s is placed at %q", text, n.Node, want, at)
				}
				if lines := strings.Split((head + text)[:n.At.Offset], "\n"); n.At.Line != len(lines) || n.At.Column != len([]rune(lines[len(lines)-1]))+1 {
					t.Errorf("%s: %+v", text, n.At)
				}
				return true
			})
			if start := c.Body.Start(); start.Line < 2 {
				t.Errorf("%s starts at %+v", text, start)
			}
		}
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	body := condition(t, `context.a == "äöü€😀" && context.b == 2`)
	if at := body.Kids[1].Kids[0].At; at.Column != 1+len([]rune(`permit (principal, action, resource) when {context.a == "äöü€😀" && context.`)) {
		t.Errorf("%+v", at)
	}
}

func TestStatements(t *testing.T) {
	for _, c := range []struct {
		text string
		good int
		want string
	}{
		{"", 0, ""},
		{"// only ; a comment\n/* permit; */", 0, ""},
		{"permit (principal, action, resource);forbid (principal, action, resource) when { \"a;b\" == \"\\\";\" };", 2, ""},
		{"permit (principal, action, resource)", 0, `p:1:36: expected ";" at the end of this policy`},
		{"permit (principal, action, resource); x", 1, `p:1:39: unexpected effect: x; a rule begins with permit or forbid`},
		{"permit;\n\nforbid (principal, action, resource);\n permit (principal, action);", 1, "p:1:7: expected \"(\", found \";\"\np:4:27: expected \",\", found \")\""},
		{"permit (principal, action, resource) when { a };", 0, "p:1:45: invalid primary; a value stands here: context.…, principal, action, resource or a literal"},
		{"permit (principal, action, resource) when { [1 2] };", 0, "p:1:48: got 2 want ,"},
		{"permit (principal, action, resource) when { {a: 1, a: 2} };", 0, "p:1:56: duplicate key: a"},
		{"permit (principal, action, resource) when { \"\\q\" };", 0, "p:1:45: invalid char escape"},
		{"permit (principal, action, resource) /* ", 0, "p:1:38: unexpected '/'"},
		{"permit (principal in Role::'a', action, resource);", 0, `p:1:28: unexpected '\''; strings stand in double quotes`},
		{"permit (principal in Role::“a”, action, resource);", 0, `p:1:28: unexpected '“'; strings stand in straight double quotes`},
		{"permit (principal in [Role::\"a\"], action, resource);", 0, `p:1:22: expected ident; one entity stands here, such as Role::"…"; a condition takes several: principal in [Role::"a", Role::"b"]`},
		{"permit (principal, action, resource) when { context.a = 1 };", 0, "p:1:55: unexpected '='; compare with =="},
		{"permit (principal, action, resource);\n  €", 1, "p:2:3: unexpected '€'"},
	} {
		good, problems := File{Name: "p", Text: []byte(c.text)}.Statements()
		got := ""
		if problems != nil {
			got = problems.Error()
		}
		if len(good) != c.good || c.want != got {
			t.Errorf("%q: %d, %s\nwant %d, %s", c.text, len(good), got, c.good, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	p := Problems{{"b", 1, 1, "x"}, {"a", 2, 1, "x"}, {"a", 1, 2, "x"}, {"a", 1, 1, "x"}, {"a", 1, 1, "x"}, {"", 0, 0, "none"}, {"a", 0, 0, "all"}}
	if got, want := p.Sorted().Error(), "none\na: all\na:1:1: x\na:1:2: x\na:2:1: x\nb:1:1: x"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestLooks(t *testing.T) {
	for text, want := range map[string]string{
		`context.a.b`: "a.b false true", `context.a has b`: "a.b true true", `context has a`: "a true true", `1 == 1`: " false true",
		`[context].a`: " false false", `(if true then context else context) has a`: " true false", `principal.a`: "a false true",
	} {
		path, exists, ok := Looks(condition(t, text))
		got := ""
		if ok && path != nil {
			got = PathText(path[1:])
		}
		if got = fmt.Sprint(got, " ", exists, " ", ok); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestConjuncts(t *testing.T) {
	for _, c := range []struct{ when, unless, want string }{
		{`context.a && context.b`, ``, "+a +b"},
		{`context.a && (context.b && !context.c)`, ``, "+a +b -c"},
		{`context.a || context.b`, ``, "+||"},
		{`!(context.a || context.b)`, ``, "-a -b"},
		{`!(context.a && context.b)`, ``, "-&&"},
		{`context.a`, `context.b || context.c`, "+a -b -c"},
		{`context.a`, `context.b && context.c`, "+a -&&"},
		{`!(!(context.a))`, ``, "+a"},
	} {
		text := "permit (principal, action, resource) when {" + c.when + "}"
		if c.unless != "" {
			text += " unless {" + c.unless + "}"
		}
		var got []string
		for _, part := range Conjuncts(parse(t, text+";")[0].Conditions()) {
			sign := "-"
			if part.Want {
				sign = "+"
			}
			switch n := part.Body.Node.(type) {
			case ast.NodeTypeAccess:
				sign += string(n.Value)
			case ast.NodeTypeAnd:
				sign += "&&"
			case ast.NodeTypeOr:
				sign += "||"
			}
			got = append(got, sign)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %s", text, got, c.want)
		}
	}
}

func TestSay(t *testing.T) {
	for _, c := range []struct{ text, yes, no string }{
		{`context.input.a < 5`, "input.a is less than 5", "input.a is at least 5"},
		{`context.input.a <= 5`, "input.a is at most 5", "input.a is more than 5"},
		{`context.input.a > 5`, "input.a is more than 5", "input.a is at most 5"},
		{`context.input.a >= -5`, "input.a is at least -5", "input.a is less than -5"},
		{`context.input.a == "x"`, `input.a is "x"`, `input.a is not "x"`},
		{`context.input["a b"] != 1`, `input["a b"] is not 1`, `input["a b"] is 1`},
		{`context.input.a.lessThan(decimal("5.0"))`, "input.a is less than 5.0", "input.a is at least 5.0"},
		{`context.input.a.lessThanOrEqual(decimal("5.0"))`, "input.a is at most 5.0", "input.a is more than 5.0"},
		{`context.input.a.greaterThan(decimal("5.0"))`, "input.a is more than 5.0", "input.a is at most 5.0"},
		{`context.input.a.greaterThanOrEqual(decimal("5.0"))`, "input.a is at least 5.0", "input.a is less than 5.0"},
		{`context.input.a.isInRange(ip("1.1.1.1"))`, "", ""},
		{`["a", "b"].contains(context.input.a)`, `input.a is one of "a", "b"`, `input.a is none of "a", "b"`},
		{`context.input.a.contains("x")`, `input.a is a list with "x"`, `input.a is a list without "x"`},
		{`context.input.a like "x*"`, `input.a is like "x*"`, `input.a is not like "x*"`},
		{`context.input has a`, "input.a is given", "input.a is left out"},
		{`context.input.a.isEmpty()`, "input.a is empty", "input.a is not empty"},
		{`context.input.a`, "input.a is true", "input.a is false"},
		{`!context.input.a`, "input.a is false", "input.a is true"},
		{`principal in Role::"x"`, `the agent is in Role::"x"`, `the agent is not in Role::"x"`},
		{`action == Action::"x"`, "", ""},
		{`resource == Server::"x"`, "", ""},
		{`context.input.a && context.input.b`, "input.a is true and input.b is true", "input.a is false or input.b is false"},
		{`context.input.a || context.input.b`, "input.a is true or input.b is true", "input.a is false and input.b is false"},
		{`context.input.a == context.input.b`, "", ""},
		{`[context.input.b].contains(context.input.a)`, "", ""},
		{`context.input.a + 1 == 2`, "", ""},
		{`if context.input.a then true else false`, "", ""},
		{`true`, "", ""},
	} {
		body := condition(t, c.text)
		for want, expected := range map[bool]string{true: c.yes, false: c.no} {
			got, ok := body.Say(want)
			if ok != (expected != "") || ok && got != expected {
				t.Errorf("%s, %v: %q %v, want %q", c.text, want, got, ok, expected)
			}
		}
	}
}

func TestPathText(t *testing.T) {
	for want, path := range map[string][]string{`a`: {"a"}, `a.b`: {"a", "b"}, `["a b"]`: {"a b"}, `a["b.c"].d`: {"a", "b.c", "d"}, `[""]`: {""}, `a["1"]`: {"a", "1"}, `["a\n\"]"]`: {"a\n\"]"}} {
		if got := PathText(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

// What is certain about has takes its place; everything else stays as it is.
func TestSettled(t *testing.T) {
	given := func(path []string) (there, certain bool) {
		return path[len(path)-1] == "yes", path[len(path)-1] != "maybe"
	}
	for text, want := range map[string]string{
		`context has yes`:   `true`,
		`context has no`:    `false`,
		`context has maybe`: `context has maybe`,
		`context has yes && !(context has no) || context has maybe`:         `true && !false || context has maybe`,
		`if context has yes then context has no else context.a has yes`:     `if true then false else true`,
		`(context has yes) == (context has no)`:                             `(context has yes) == (context has no)`,
		`context has no && context.no == "x" && ["a"].contains(context.no)`: `false && context.no == "x" && ["a"].contains(context.no)`,
	} {
		if got := condition(t, text).Settled(given); !reflect.DeepEqual(got, condition(t, want).Node) {
			t.Errorf("%s: %#v", text, got)
		}
	}
}
