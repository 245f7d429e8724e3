package config

import (
	"strings"
	"testing"

	"sallyport"
)

const limited = `servers: {desk: {builtin: desk}}
users: {ana: {groups: [finance]}}
limits:
  refunds: {unit: USD, cap: 500, window: day Europe/Berlin, per: [user, input.customer_id], applies: {tools: [desk/issue_refund]}, estimate: input.amount, currency: input.currency, within: all}
  all: {unit: USD, cap: 2000.50, window: month, beyond: "ask finance"}
  rows: {unit: rows, cap: 100, window: sliding 24h, per: [agent], applies: {effects: [read]}, estimate: history, first: 10, cost: count(result.rows), ramp: {from: 10%, days: 14}}
  calls: {unit: calls, cap: 9, window: fixed 1m}
`

func TestLimits(t *testing.T) {
	c := must(t, limited)
	set, err := c.LimitSet([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, l := range set.All() {
		all[l.Name] = strings.Join([]string{l.Unit, l.Cap.String(), l.Spell, strings.Join(l.Per, ","), l.Estimate.String(), l.Cost.String(), l.Currency.String(), strings.Join(l.Ask, ",")}, " | ")
		if l.Line == 0 || l.File != "sallyport.yaml" {
			t.Errorf("%s is written nowhere: %s:%d", l.Name, l.File, l.Line)
		}
		if (l.Name == "rows") != (l.Ramp.Days == 14 && l.Ramp.From == 10 && l.History && l.First == 10_000_000) {
			t.Errorf("%+v", l)
		}
	}
	for name, want := range map[string]string{
		"refunds": "USD | 500 | day Europe/Berlin | user,input.customer_id | input.amount |  | input.currency | ",
		"all":     "USD | 2000.5 | month |  |  |  |  | finance",
		"rows":    "rows | 100 | sliding 24h | agent |  | count(result.rows) |  | ",
		"calls":   "calls | 9 | fixed 1m |  | 1 |  |  | ",
	} {
		if all[name] != want {
			t.Errorf("%s: %s\nwant %s", name, all[name], want)
		}
	}
	// Only what runs inside the gateway, or was called first-party, is believed.
	call := &sallyport.Call{Kind: sallyport.KindTool, Server: "desk", Name: "issue_refund", Args: sallyport.MustParse(`{"amount":5,"currency":"USD","customer_id":1}`)}
	charges, err := set.Charges(call, &sallyport.Definition{Effects: []sallyport.Effect{sallyport.Pay}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string]sallyport.Amount{"desk": 0, "other": 5_000_000} {
		call.Server = server
		for _, settled := range set.Settle(charges, call, sallyport.OutcomeToolErr, true, sallyport.MustParse(`{}`)) {
			if settled.Limit == "refunds" && settled.Cost != want {
				t.Errorf("%s says that it failed: %s", server, settled.Cost)
			}
		}
	}
}

func TestLimitsRefused(t *testing.T) {
	for _, c := range []struct{ old, next, want string }{
		{"unit: calls, ", "", "say what limit calls counts"},
		{"unit: calls", "unit: 1$", "say what limit calls counts"},
		{"cap: 9, ", "", "say how much there may be, with cap"},
		{"cap: 9", "cap: many", `"many" is not a number`},
		{"cap: 9", "cap: -1", "only amounts from 0"},
		{"cap: 9", "cap: 1e300", "is not a number"},
		{", window: fixed 1m", "", `"" is not a window`},
		{"fixed 1m", "fixed 1ms", "is not a window"},
		{"fixed 1m", "fixed 400d", "is not a window"},
		{"fixed 1m", "hourly", "is not a window"},
		{"fixed 1m", "call 1m", "is not a window"},
		{"day Europe/Berlin", "day Europe/Berlinn", "there is no time zone"},
		{"day Europe/Berlin", "day Local", "name a time zone"},
		{"day Europe/Berlin", "day ../../etc/passwd", "there is no time zone"},
		{"per: [agent]", "per: [agents]", `there are no accounts per "agents"`},
		{"per: [agent]", `per: ["input.a + 1"]`, "neither a number"},
		{"per: [agent]", `per: ["input.count(x)"]`, "only functions can be called"},
		{"within: all", "within: al", `there is no limit "al"`},
		{"unit: USD, cap: 2000.50", "unit: EUR, cap: 2000.50", "limit all counts EUR, and refunds counts USD"},
		{`beyond: "ask finance"`, "within: refunds", "is no limit, or within it"},
		{"tools: [desk/issue_refund]", "tools: [issue_refund]", "write SERVER/TOOL"},
		{"tools: [desk/issue_refund]", "tools: [dsk/issue_refund]", `no server "dsk" is declared; did you mean "desk"?`},
		{"tools: [desk/issue_refund]", "tools: []", "an empty list is about no call"},
		{"tools: [desk/issue_refund]", "servers: [dsk]", `no server "dsk"`},
		{"effects: [read]", "effects: [reed]", `there is no effect "reed"`},
		{"ask finance", "ask", "beyond is deny, or ask and a group"},
		{"ask finance", "ask finanze", `no group "finanze" is declared`},
		{"ask finance", "ask finance,", "say which group is asked"},
		{"ask finance", "allow", "beyond is deny, or ask and a group"},
		{"estimate: input.amount, ", "", "say how many USD a call takes"},
		{"estimate: input.amount", "estimate: result.amount", "there is no result here"},
		{"estimate: input.amount", "estimate: input.amount >", "is not an expression"},
		{"currency: input.currency", "currency: count(input.currency)", "the currency is an argument"},
		{"first: 10, ", "", "first is the estimate while there is no history"},
		{"estimate: history", "estimate: count(input.x)", "first is the estimate while there is no history"},
		{"from: 10%", "from: 10", "a ramp starts from"},
		{"from: 10%", "from: 0%", "a ramp starts from"},
		{"days: 14", "days: 0", "a ramp starts from"},
		{"per: [agent]", "per: [user]", "a ramp is for accounts per agent"},
		{"sliding 24h", "call", "a ramp is for accounts per agent"},
		{"window: fixed 1m", "window: call, cost: result.x", "nothing is kept of what counts for one call"},
		{"window: fixed 1m", "window: call, estimate: history, first: 1", "nothing is kept of what counts for one call"},
		{"  calls:", "  Calls:", "can't be a limit's name"},
		{"unit: calls", "unit: calls, caps: 1", `there is no key "caps" here`},
	} {
		if !strings.Contains(limited, c.old) {
			t.Fatalf("there is no %q", c.old)
		}
		_, err := Parse("sallyport.yaml", []byte(strings.Replace(limited, c.old, c.next, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sallyport.yaml:") {
			t.Errorf("%q for %q: %v, want %q", c.next, c.old, err, c.want)
		}
	}
}

func TestLooserLimits(t *testing.T) {
	for _, c := range []struct{ old, next, want string }{
		{"", "", ""},
		{"cap: 500", "cap: 499.99", ""},
		{"cap: 500", "cap: 500.000001", "limit refunds is raised"},
		{`, beyond: "ask finance"`, "", ""},
		{"fixed 1m}", "fixed 1m, beyond: ask finance}", "people can let calls go beyond it"},
		{`"ask finance"`, `"ask finance, finance"`, "how it counts, changes"},
		{"  calls: {unit: calls, cap: 9, window: fixed 1m}\n", "", "limit calls is gone"},
		{"  calls:", "  more: {unit: calls, cap: 1, window: fixed 1m}\n  calls:", ""},
		{"  calls:", "  more: {unit: calls, cap: 1, window: fixed 1m, applies: {effects: [pay]}, within: calls}\n  calls:", "it is about its parts alone, and was about every call"},
		{"fixed 1m", "sliding 1m", "how it counts, changes"},
		{"per: [user, input.customer_id]", "per: [input.customer_id]", "how it counts, changes"},
		{"estimate: input.amount", "estimate: input.amount / 100", "how it counts, changes"},
		{"currency: input.currency, ", "", "how it counts, changes"},
		{"cost: count(result.rows)", "cost: 0", "how it counts, changes"},
		{"first: 10", "first: 1", "how it counts, changes"},
		{"tools: [desk/issue_refund]", "tools: [desk/other]", "what it is about"},
		{"from: 10%, days: 14", "from: 5%, days: 30", ""},
		{"from: 10%, days: 14", "from: 11%, days: 14", "how it counts, changes"},
		{"from: 10%, days: 14", "from: 10%, days: 13", "how it counts, changes"},
		{", ramp: {from: 10%, days: 14}", "", "how it counts, changes"},
		{"builtin: desk", "builtin: desk, trust: vetted", ""},
	} {
		old, next := must(t, limited), must(t, strings.Replace(limited, c.old, c.next, 1))
		why := strings.Join(Looser(old, next), "; ")
		if c.want == "" && why != "" || !strings.Contains(why, c.want) {
			t.Errorf("%q for %q: looser because %q, want %q", c.next, c.old, why, c.want)
		}
	}
	// A limit that becomes a part of another still counts on its own account.
	apart := strings.Replace(limited, ", within: all", "", 1)
	apart = strings.Replace(apart, "all: {", "all: {applies: {effects: [pay]}, estimate: input.amount, ", 1)
	joined := strings.Replace(apart, "currency: input.currency}", "currency: input.currency, within: all}", 1)
	if why := Looser(must(t, apart), must(t, joined)); len(why) > 0 {
		t.Errorf("part of another: %v", why)
	}
	if why := Looser(must(t, joined), must(t, apart)); len(why) != 1 || !strings.Contains(why[0], "how it counts, changes") {
		t.Errorf("part of another no more: %v", why)
	}
}
