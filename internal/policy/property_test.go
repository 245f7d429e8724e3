package policy

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"pgregory.net/rapid"

	"sallyport"
	"sallyport/internal/policy/beside"
)

var (
	principals = []string{
		`principal`, `principal == Agent::"bot"`, `principal == Agent::"ops"`, `principal in Role::"support"`, `principal in Role::"infrastructure"`,
		`principal in User::"ana"`, `principal in Tenant::"acme"`, `principal is Agent`, `principal is Agent in Role::"support"`, `principal in Agent::"bot"`,
	}
	actions = []string{
		`action`, `action == Action::"desk/tool:refund"`, `action == Action::"desk/tool:get_ticket"`, `action == Action::"cloud/tool:create_instance"`,
		`action in Action::"effect:pay"`, `action in Action::"effect:read"`, `action in Action::"server:desk"`, `action in Action::"server:cloud"`,
		`action in [Action::"desk/tool:refund", Action::"effect:pay"]`, `action in [Action::"desk/prompt:summarize", Action::"desk/resource:read", Action::"server:cloud"]`,
	}
	resources = []string{`resource`, `resource == Server::"desk"`, `resource == Server::"cloud"`, `resource is Server`, `resource in Server::"desk"`, `resource is Server in Server::"cloud"`}
	atoms     = []string{
		`context.input has amount && context.input.amount.greaterThan(decimal("500.0"))`,
		`context.input has amount && context.input.amount.lessThanOrEqual(decimal("10.0"))`,
		`context.input has id && context.input.id == "x"`,
		`context.input has customer && context.input.customer like "a*"`,
		`context.input has ticket`, `context.input has tone && context.input.tone == "x"`, `context.input has reference`, `context.input has disk`,
		`context.input has count && context.input.count + 9223372036854775800 > 5`,
		`context.input has disk && context.input.disk has kind && context.input.disk.kind == "ssd"`,
		`context.input has tags && context.input.tags.contains("x")`,
		`context.user.groups.contains("finance")`,
		`context.user.tenant == "acme"`,
		`context.user.attributes has region && context.user.attributes.region == "eu"`,
		`principal in Role::"support"`, `principal == Agent::"ops"`, `action in Action::"effect:read"`, `resource == Server::"desk"`,
		`context.opaque.isEmpty()`, `true`, `false`,
		// Entities that are named, not asked for.
		`Agent::"bot" in Role::"support"`, `Action::"desk/tool:refund" in Action::"effect:pay"`,
		`principal in [Role::"infrastructure", Role::"support"]`, `action == Action::"desk/tool:refund"`, `[action, Action::"desk/tool:refund"].contains(action)`,
		`ip("10.0.0.1").isInRange(ip("10.0.0.0/8"))`, `datetime("2026-01-01").offset(duration("1d")) > datetime("2026-01-01")`,
		// What can fail, and what always does.
		`context.input has count && context.input.count * 9223372036854775807 > 0`,
		`9223372036854775807 + 1 > 0`,
		// Whole records and sets.
		`context.input has disk && [context.input.disk].contains(context.input.disk)`, `context.input has disk.kind`,
		`context.input == {id: "x"}`, `context.user == context.user`, `[context.user.name, "x"].contains("ana")`,
		`context.input has tags && ["x", "y"].containsAll(context.input.tags)`, `context.input has tags && context.input.tags.containsAny(["x"])`,
		`context.input has tags && context.input.tags == ["x"]`, `context.user.groups.containsAny(["finance", "legal"])`,
		`principal is Agent in Role::"support"`, `context.user.name like "a*"`,
	}
	agents = []sallyport.Principal{
		bot,
		{Agent: "ops", Role: "infrastructure"},
		{Agent: "bot", Role: "infrastructure", User: "ben", Groups: []string{"finance"}},
		{Agent: "nobody", Tenant: "acme", Attributes: map[string]string{"region": "us"}},
	}
	arguments = map[string][]string{
		"desk/tool:refund": {
			`{"customer":"abc","amount":1}`, `{"customer":"xyz","amount":499.5}`, `{"customer":"a","amount":501}`,
			`{"customer":"a","amount":null}`, `{"customer":7,"amount":1e99}`, `{}`, `[]`, `{"amount":5,"reference":1}`,
		},
		"desk/tool:get_ticket":       {`{"id":"x"}`, `{"id":"y"}`, `{"id":null}`, `{}`, `{"id":"x","amount":501,"customer":"abc"}`, `{"tags":["x"]}`},
		"cloud/tool:create_instance": {`{"size":"small","count":1}`, `{"size":"small","count":9,"tags":["x"],"disk":{"gb":1,"kind":"ssd"}}`, `{"count":1e30,"tags":["x",1]}`, `{"disk":{"kind":null}}`},
		"cloud/tool:run_command":     {`{"host":"h","command":"c"}`, `{"host":"h","command":"c","id":"x"}`},
		"desk/prompt:summarize":      {`{"ticket":"x"}`, `{}`},
		"desk/resource:read":         {`{"uri":"x"}`},
	}
)

// condition is any of the atoms, combined.
func drawCondition(t *rapid.T, depth int) string {
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		return rapid.SampledFrom(atoms).Draw(t, "atom")
	}
	a, b := drawCondition(t, depth-1), drawCondition(t, depth-1)
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 4:
		return "((" + a + ") == (" + b + "))"
	case 0:
		return "(" + a + ") && (" + b + ")"
	case 1:
		return "(" + a + ") || (" + b + ")"
	case 2:
		return "!(" + a + ")"
	default:
		return "(if " + a + " then " + b + " else " + rapid.SampledFrom([]string{"false", "true", "!(" + b + ")"}).Draw(t, "else") + ")"
	}
}

func drawPolicy(t *rapid.T) string {
	var b strings.Builder
	switch rapid.IntRange(0, 4).Draw(t, "effect") {
	case 0, 1, 2:
		b.WriteString("permit")
	case 3:
		b.WriteString("forbid")
	case 4:
		b.WriteString(`@ask("finance") forbid`)
	}
	fmt.Fprintf(&b, " (%s, %s, %s)", rapid.SampledFrom(principals).Draw(t, "principal"), rapid.SampledFrom(actions).Draw(t, "action"), rapid.SampledFrom(resources).Draw(t, "resource"))
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		fmt.Fprintf(&b, "\n%s { %s }", rapid.SampledFrom([]string{"when", "unless"}).Draw(t, "when"), drawCondition(t, 2))
	}
	return b.String() + ";"
}

// drawRules draws policies and loads those that load: an atom may be about an
// argument that no action in the drawn scope has.
func drawRules(t *rapid.T, defs []sallyport.Definition, most int) *Rules {
	var good []string
	if rapid.Bool().Draw(t, "everything is permitted") { // else little is, and little held
		good = append(good, "permit (principal, action, resource);")
	}
	for range rapid.IntRange(0, most).Draw(t, "n") {
		text := drawPolicy(t)
		if _, err := Load(files("p.cedar", text), defs, declared); err == nil {
			good = append(good, text)
		}
	}
	text := strings.Join(good, "\n")
	t.Logf("%s", text)
	r, err := Load(files("p.cedar", text), defs, declared)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawFacts(t *rapid.T, tb testing.TB) *sallyport.Facts {
	action := rapid.SampledFrom(sortedKeys(arguments)).Draw(t, "call")
	facts := call(tb, action, rapid.SampledFrom(arguments[action]).Draw(t, "args"))
	facts.Call.Principal = rapid.SampledFrom(agents).Draw(t, "agent")
	if facts.Call.Kind == sallyport.KindPrompt && rapid.Bool().Draw(t, "completion") {
		facts.Call.Kind = sallyport.KindCompletion // of one argument, while the others may be missing
		facts.Call.Args = sallyport.MustParse(`{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"` + rapid.SampledFrom([]string{"ticket", "tone"}).Draw(t, "argument") + `","value":"x"}}`)
	}
	return facts
}

// reference decides by plain Cedar over all rules, without index, pruning or
// anything else that makes Decide fast.
func reference(r *Rules, facts *sallyport.Facts) sallyport.Verdict {
	q, refused := newQuestion(r, facts)
	if refused != "" {
		return sallyport.Deny
	}
	q.uses = uses{all: true, user: beside.UserParts}
	request := cedar.Request{Principal: q.agent.UID, Action: q.act.uid, Resource: q.server, Context: q.context()}
	entities := types.EntityMap{q.agent.UID: q.agent}
	for uid, e := range r.static {
		entities[uid] = e
	}
	judge := func(asking bool) (cedar.Decision, cedar.Diagnostic) {
		set := cedar.NewPolicySet()
		for _, rule := range r.rules {
			if rule.result || asking != (rule.Ask != nil) {
				continue
			}
			head := *rule.source
			head.Conditions = nil
			scope := cedar.NewPolicySet()
			scope.Add("", cedar.NewPolicyFromAST(permitted(&head)))
			inScope, _ := cedar.Authorize(scope, entities, request)
			for _, look := range rule.reads {
				for _, path := range q.opaque {
					if inScope == cedar.Allow && look.touches(path) {
						return cedar.Deny, cedar.Diagnostic{Errors: []cedar.DiagnosticError{{}}}
					}
				}
			}
			set.Add(cedar.PolicyID(rule.ID), rule.policy)
		}
		return cedar.Authorize(set, entities, request)
	}
	verdict, diagnostic := judge(false)
	if verdict != cedar.Allow || len(diagnostic.Errors) > 0 {
		return sallyport.Deny
	}
	_, diagnostic = judge(true)
	switch {
	case len(diagnostic.Errors) > 0:
		return sallyport.Deny
	case len(diagnostic.Reasons) > 0:
		return sallyport.Hold
	default:
		return sallyport.Allow
	}
}

func TestDecideIsPlainCedar(t *testing.T) {
	defs := pinned(t)
	seen := map[sallyport.Verdict]int{}
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRules(rt, defs, 8)
		for range 8 {
			facts := drawFacts(rt, t)
			got, want := Decide(r, facts), reference(r, facts)
			seen[got.Verdict]++
			if got.Verdict != want {
				rt.Fatalf("%s %s by %s: %v (%s), plain Cedar says %v", facts.Call.Action(), facts.Call.Args.Raw(), facts.Call.Principal.Agent, got.Verdict, got.Reason, want)
			}
			if got.Verdict != sallyport.Allow && got.Reason == "" {
				rt.Fatal("no reason")
			}
		}
	})
	if len(seen) < 3 {
		t.Errorf("the test saw %v only", seen)
	}
}

// What is refused with the arguments unknown is refused whatever they are, and
// what is held then is never allowed.
func TestPartialBindsEveryCompletion(t *testing.T) {
	defs := pinned(t)
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRules(rt, defs, 6)
		for range 8 {
			facts := drawFacts(rt, t)
			unknown := *facts
			c := *facts.Call
			if c.Kind != sallyport.KindCompletion { // which says there what it completes
				c.Args = sallyport.Value{}
			}
			unknown.Call, unknown.Partial = &c, true
			before, after := Decide(r, &unknown), Decide(r, facts)
			seen[before.Verdict.String()+" "+after.Verdict.String()]++
			if before.Verdict < after.Verdict {
				rt.Fatalf("%s %s by %s: %v before the arguments are known (%s), then %v", c.Action(), facts.Call.Args.Raw(), c.Principal.Agent, before.Verdict, before.Reason, after.Verdict)
			}
		}
	})
	for _, way := range []string{"deny deny", "allow allow", "allow deny"} {
		if seen[way] == 0 {
			t.Errorf("never seen: %s", way)
		}
	}
}

// A list that shows what is refused anyway is useless: where no rule in scope
// looks at the arguments, what is said without them is said with them.
func TestPartialIsExactWithoutArguments(t *testing.T) {
	defs := pinned(t)
	seen := map[sallyport.Verdict]int{}
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRules(rt, defs, 4)
		for range 8 {
			facts := drawFacts(rt, t)
			q, _ := newQuestion(r, facts)
			q.find(&r.calls)
			looks := func(r *rule) bool { return r.uses.input() || r.fallible }
			if slices.ContainsFunc(slices.Concat(q.plain, q.asking), looks) {
				continue
			}
			unknown := *facts
			unknown.Partial = true
			before, after := Decide(r, &unknown), Decide(r, facts)
			seen[before.Verdict]++
			if before.Verdict != after.Verdict || names(before.Rules) != names(after.Rules) {
				rt.Fatalf("%s by %s: %v (%s), then %v (%s)", facts.Call.Action(), facts.Call.Principal.Agent, before.Verdict, before.Reason, after.Verdict, after.Reason)
			}
		}
	})
	if seen[sallyport.Deny] == 0 || seen[sallyport.Allow] == 0 {
		t.Errorf("the test saw %v only", seen)
	}
}

// FuzzDecide: whatever the bytes of the arguments are, an allowed refund is
// one of at most 500.
func FuzzDecide(f *testing.F) {
	for _, all := range arguments {
		for _, args := range all {
			f.Add(args)
		}
	}
	for _, args := range []string{`{"customer":"a","amount":0.5e3}`, `{"customer":"a","amount":5000e-1}`, `{"customer":"a","\u0061mount":501}`, `{"customer":"a","amount":-1e-3}`, `{"customer":"a","amount":500.00009}`} {
		f.Add(args)
	}
	r := load(f, `
permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };
`)
	limit := big.NewRat(500, 1)
	f.Fuzz(func(t *testing.T, args string) {
		v, err := sallyport.Parse([]byte(args))
		if err != nil {
			return
		}
		facts := call(t, "desk/tool:refund", "")
		facts.Call.Args = v
		d := Decide(r, facts)
		if d.Verdict == sallyport.Allow {
			amount, ok := new(big.Rat).SetString(string(v.Get("amount").Raw()))
			if v.Get("amount").Type() != sallyport.Number || !ok || amount.Cmp(limit) > 0 {
				t.Errorf("%s is allowed", args)
			}
		}
		for _, action := range []string{"desk/tool:send_email", "cloud/tool:create_instance", "cloud/tool:run_command", "desk/prompt:summarize", "desk/resource:read"} {
			other := call(t, action, "")
			other.Call.Args = v
			Decide(r, other)
			other.Result = v
			DecideResult(r, other)
		}
	})
}

func TestTouches(t *testing.T) {
	path := func(s string) []string {
		return slices.DeleteFunc(strings.Split(s, "."), func(s string) bool { return s == "" })
	}
	for _, c := range []struct {
		read   string
		exists bool
		opaque string
		want   bool
	}{
		{"a", false, "a", true}, {"a", false, "a.b", true}, {"a.b", false, "a", true}, {"a.b", false, "a.c", false}, {"", false, "a", true},
		{"a", true, "a", true}, {"a", true, "a.b", false}, {"a.b", true, "a", true}, {"a.b", true, "a.c", false}, {"a", true, "", true}, {"b", false, "a", false},
	} {
		if got := (read{path: path(c.read), exists: c.exists}).touches(path(c.opaque)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
