package policy

import (
	"fmt"
	"strings"
	"testing"

	"sallyport"
)

func TestExplain(t *testing.T) {
	r := load(t, deskPolicy+`
@id("region") forbid (principal, action == Action::"desk/tool:refund", resource)
when { context.user.attributes has region && context.user.attributes.region == "us" };
@id("keys") @on("result") forbid (principal, action, resource) when { context.result.isError && context.input has amount };
`)
	show := func(e Explanation) string {
		var b strings.Builder
		fmt.Fprintln(&b, e.Decision.Verdict)
		for _, j := range e.Rules {
			fmt.Fprintf(&b, "%s %s; %s\n", j.Rule.ID, j.Outcome, j.Change)
			for _, reading := range j.Reads {
				fmt.Fprintf(&b, "  %s = %s\n", reading.Path, reading.Value)
			}
		}
		return b.String()
	}
	facts := call(t, "desk/tool:refund", `{"customer":"c","amount":600.50}`)
	partial := *facts
	partial.Partial = true
	hidden := call(t, "desk/tool:refund", `{"customer":"c","amount":null}`)
	result := *facts
	result.Result = sallyport.MustParse(`{"isError":true}`)
	for _, c := range []struct{ name, got, want string }{
		{"held", show(Explain(r, facts)), `hold
refund-over-limit applies; it would not apply if input.amount is at most 500.0
  context.input.amount = 600.50
refunds applies; it would not apply if input.amount is more than 1000.0
  context.input.amount = 600.50
legal-too does not apply; it would apply if input.amount is more than 900.0
  context.input.amount = 600.50
region does not apply; it would apply if user.attributes.region is "us"
  context.user.attributes.region = "eu"
`},
		{"partial", show(Explain(r, &partial)), `allow
refunds may apply; 
  context.input.amount = 600.50
refund-over-limit may apply; 
  context.input.amount = 600.50
legal-too may apply; 
  context.input.amount = 600.50
region does not apply; it would apply if user.attributes.region is "us"
  context.user.attributes.region = "eu"
`},
		{"can't be judged", show(Explain(r, hidden)), `deny
refunds can't be judged; 
  context.input.amount = null
refund-over-limit can't be judged; 
  context.input.amount = null
legal-too can't be judged; 
  context.input.amount = null
region does not apply; it would apply if user.attributes.region is "us"
  context.user.attributes.region = "eu"
`},
		{"result", show(ExplainResult(r, &result)), `deny
keys applies; it would not apply if result.isError is false
  context.result.isError = 
  context.input.amount = 600.50
`},
		{"nothing", show(Explain(nil, facts)), "deny\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, c.got, c.want)
		}
	}
}
