package gateway

import (
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/manifest"
	"sallyport/internal/policy"
)

// Who may use nothing of a server does not hear that it is there, nor what it
// says to models.
func TestServersAreRevealedToWhoMayUseThem(t *testing.T) {
	const noReading = "\n" + `forbid(principal, action == Action::"shop/resource:read", resource);`
	for name, c := range map[string]struct {
		rules  string
		change func(g *Gateway, w *world)
		want   bool
	}{
		"nothing is permitted":             {`permit(principal == Agent::"bob", action, resource);`, nil, false},
		"the tool, depending on arguments": {payRules + noReading, nil, true},
		"the tool, after asking": {`permit(principal, action, resource);` + noReading + "\n" +
			`@ask("finance") forbid(principal, action in Action::"effect:pay", resource);`, nil, true},
		"reading alone": {`permit(principal, action in Action::"effect:read", resource);`, nil, true},
		"reading, of a server that has nothing to read": {`permit(principal, action in Action::"effect:read", resource);`,
			func(g *Gateway, w *world) {
				m := shop(t, payTool)
				m.Items[manifest.CapabilitiesKey] = manifest.NewItem(manifest.CapabilitiesKey, sallyport.MustParse(`{"tools":{}}`))
				g.Pins.Observe(t.Context(), m)
				g.Pins.Accept(t.Context(), "shop", shown(m), "ana", time.Now())
			}, false},
		"for another group": {`permit(principal, action, resource) when { context.user.groups.contains("finance") };`, nil, false},
		"for the group it is in since": {`permit(principal, action, resource) when { context.user.groups.contains("finance") };`,
			func(g *Gateway, w *world) { w.principal.Groups = []string{"finance"} }, true},
		"a tool in quarantine": {payRules + noReading, func(g *Gateway, w *world) {
			g.Saw(t.Context(), shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"x"`, 1)))
		}, true},
		"no policy": {payRules, func(g *Gateway, w *world) { g.Rules = func() *policy.Rules { return nil } }, false},
		"observed":  {`permit(principal == Agent::"bob", action, resource);`, func(g *Gateway, w *world) { w.observe = true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			w.query = func(*Query) (Answer, error) {
				return Answer{Result: sallyport.MustParse(hello("{}"))}, nil
			}
			enforce(t, g, w, c.rules)
			before := g.Reveals(w.principal, "shop") // what is remembered of it must not outlive the change
			if c.change == nil && before != c.want {
				t.Errorf("revealed: %v", before)
			}
			if c.change != nil {
				c.change(g, w)
			}
			if g.Reveals(w.principal, "shop") != c.want {
				t.Errorf("revealed: %v, before the change %v", !c.want, before)
			}
			answer, err := g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "initialize"})
			if heard := strings.Contains(string(answer.Result.Raw()), "Sells."); heard != c.want {
				t.Errorf("heard its words: %v (%v)", heard, err)
			}
			if !c.want {
				refusedBecause(t, err, sallyport.CauseServer)
			}
		})
	}
	g, w := open(t)
	enforce(t, g, w, payRules)
	if g.Reveals(w.principal, "shopp") {
		t.Error("a server that does not exist was revealed")
	}
}
