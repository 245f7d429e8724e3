package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
	"sallyport/internal/policy/beside"
)

// manyTools are 64 tools with 8 argument leaves each, and n rules about them:
// a role each, a permit with a condition, every eighth a forbid.
func manyTools(t testing.TB, n int) (*Rules, *sallyport.Facts) {
	t.Helper()
	names := Declared{Servers: []string{"s"}, Tenants: []string{"acme"}}
	var defs []sallyport.Definition
	for i := range 64 {
		raw := sallyport.MustParse(fmt.Sprintf(`{"name":"t%d","inputSchema":{"type":"object","properties":{
			"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"number"},"d":{"type":"boolean"},
			"e":{"type":"array","items":{"type":"string"}},"f":{"type":"object","properties":{"g":{"type":"string"},"h":{"type":"integer"}},"required":["g"]},
			"i":{"type":"string"}},"required":["a","b","c"]}}`, i))
		defs = append(defs, sallyport.Definition{
			Server: "s", Kind: sallyport.KindTool, Name: fmt.Sprintf("t%d", i),
			Effects: []sallyport.Effect{sallyport.Effects[i%len(sallyport.Effects)]}, Raw: raw, Digest: sallyport.DigestOf(raw.Raw()),
		})
	}
	var text strings.Builder
	for i := range n {
		role := fmt.Sprintf("r%d", i/8)
		if i%8 == 0 {
			names.Roles = append(names.Roles, role)
		}
		effect := "permit"
		if i%8 == 7 {
			effect = "forbid"
		}
		fmt.Fprintf(&text, "%s (principal in Role::%q, action == Action::\"s/tool:t%d\", resource)\nwhen { context.input.b < 1000 && context.input.a like \"x*\" && context.user.tenant == \"acme\" };\n", effect, role, i%64)
	}
	text.WriteString("@ask(\"leads\") forbid (principal, action in Action::\"effect:pay\", resource) when { context.input has c && context.input.c.greaterThan(decimal(\"500.0\")) };\n")
	names.Groups = []string{"leads"}
	r, err := Load(files("p.cedar", text.String()), defs, names)
	if err != nil {
		t.Fatal(err)
	}
	return r, &sallyport.Facts{Tool: &defs[3], Call: &sallyport.Call{
		Kind: sallyport.KindTool, Server: "s", Name: "t3",
		Principal: sallyport.Principal{Agent: "bot", Role: "r0", User: "ana", Tenant: "acme", Roles: []string{"x"}, Groups: []string{"y", "z"}},
		Args:      sallyport.MustParse(`{"a":"xyz","b":12,"c":99.5,"d":true,"e":["u","v"],"f":{"g":"hello","h":3},"i":"more"}`),
	}}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		r, facts := manyTools(b, n)
		if d := Decide(r, facts); d.Verdict != sallyport.Allow {
			b.Fatal(d.Reason)
		}
		b.Run(fmt.Sprintf("sallyport/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(r, facts)
			}
		})
		partial := *facts
		partial.Partial = true
		b.Run(fmt.Sprintf("partial/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(r, &partial)
			}
		})
		refused := *facts
		call := *facts.Call
		call.Name, call.Principal.Role = "t60", "r1"
		refused.Call = &call
		for _, a := range r.ordered {
			if a.name == "tool:t60" {
				refused.Tool = &sallyport.Definition{Digest: a.pinned}
			}
		}
		b.Run(fmt.Sprintf("refused/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(r, &refused)
			}
		})
		// The same rules, entities and context, as the library does it.
		b.Run(fmt.Sprintf("plain-cedar/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			set := cedar.NewPolicySet()
			for _, rule := range r.rules {
				set.Add(cedar.PolicyID(rule.ID), rule.policy)
			}
			for b.Loop() {
				q, _ := newQuestion(r, facts)
				q.uses = uses{all: true, user: beside.UserParts}
				entities := types.EntityMap{q.agent.UID: q.agent, q.act.uid: r.static[q.act.uid]}
				cedar.Authorize(set, entities, cedar.Request{Principal: q.agent.UID, Action: q.act.uid, Resource: q.server, Context: q.context()})
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		manyTools(b, 5000)
	}
}
