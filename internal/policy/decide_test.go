package policy

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/source"
)

const deskPolicy = `
@id("reads")
permit (principal in Role::"support", action in Action::"effect:read", resource == Server::"desk");

@id("refunds")
permit (principal in Role::"support", action == Action::"desk/tool:refund", resource)
when { context.input.amount.lessThanOrEqual(decimal("1000.0")) };

@id("mail")
permit (principal, action == Action::"desk/tool:send_email", resource)
when { context.user.groups.contains("support-leads") };

@id("refund-over-limit") @ask("finance")
@because("Refunds over 500 need a second pair of eyes")
forbid (principal, action == Action::"desk/tool:refund", resource)
when { context.input.amount.greaterThan(decimal("500.0")) };

@id("legal-too") @ask("legal, finance")
forbid (principal, action == Action::"desk/tool:refund", resource)
when { context.input.amount.greaterThan(decimal("900.0")) };

@id("no-copies")
@because("Copies go to colleagues only.")
forbid (principal, action == Action::"desk/tool:send_email", resource)
when { context.input has cc && !context.input.cc.isEmpty() };

@id("writes")
permit (principal, action == Action::"cloud/tool:create_instance", resource)
when { context.input.count < 3 && context.input.size == "small" };
@id("never-odd")
forbid (principal, action == Action::"cloud/tool:create_instance", resource)
when { context.input.count * 4611686018427387904 < 0 };
`

func TestDecide(t *testing.T) {
	r := load(t, deskPolicy)
	for _, c := range []struct {
		name, action, args string
		verdict            sallyport.Verdict
		rules, asks        string
		reason             string
	}{
		{"a permit", "desk/tool:get_ticket", `{"id":"1"}`, sallyport.Allow, "reads", "", ""},
		{"reading by prompt", "desk/prompt:summarize", `{"ticket":"1"}`, sallyport.Allow, "reads", "", ""},
		{"reading a resource", "desk/resource:read", `{"uri":"x"}`, sallyport.Allow, "reads", "", ""},
		{"no permit", "desk/tool:delete_ticket", `{"id":"1"}`, sallyport.Deny, "", "",
			"Refused: no rule permits bot to do desk/tool:delete_ticket. On desk it may use prompt:summarize, resource:read, get_ticket, list_tickets, refund."},
		{"no permit on the whole server", "cloud/tool:run_command", `{"host":"h","command":"c"}`, sallyport.Deny, "", "",
			"Refused: no rule permits bot to do cloud/tool:run_command. On cloud it may use create_instance."},
		{"a permit's condition", "desk/tool:refund", `{"customer":"c","amount":1000.01}`, sallyport.Deny, "", "",
			`Refused: no rule permits bot to do desk/tool:refund. Rule "refunds" (p.cedar:5) would permit it when input.amount is at most 1000.0.`},
		{"the nearest permit", "cloud/tool:create_instance", `{"size":"large","count":1}`, sallyport.Deny, "", "",
			`Refused: no rule permits bot to do cloud/tool:create_instance. Rule "writes" (p.cedar:27) would permit it when input.size is "small".`},
		{"a forbid", "desk/tool:send_email", `{"to":"a","subject":"b","body":"c","cc":["d"]}`, sallyport.Deny, "no-copies", "",
			`Refused by rule "no-copies" (p.cedar:22): Copies go to colleagues only. It does not apply when input.cc is empty.`},
		{"an empty set of copies", "desk/tool:send_email", `{"to":"a","subject":"b","body":"c","cc":[]}`, sallyport.Allow, "mail", "", ""},
		{"a question", "desk/tool:refund", `{"customer":"c","amount":500.0001}`, sallyport.Hold, "refund-over-limit", "finance",
			`Held by rule "refund-over-limit" (p.cedar:13): Refunds over 500 need a second pair of eyes. finance must agree. Nobody is asked when input.amount is at most 500.0.`},
		{"at the limit", "desk/tool:refund", `{"customer":"c","amount":5e2}`, sallyport.Allow, "refunds", "", ""},
		{"two questions", "desk/tool:refund", `{"customer":"c","amount":901}`, sallyport.Hold, "refund-over-limit,legal-too", "finance,legal",
			`Held by rule "refund-over-limit" (p.cedar:13): Refunds over 500 need a second pair of eyes. People of finance and of legal must agree. Nobody is asked when input.amount is at most 500.0.`},
		{"a question does not allow what nobody permits", "desk/tool:refund", `{"customer":"c","amount":5000}`, sallyport.Deny, "", "",
			`Refused: no rule permits bot to do desk/tool:refund. Rule "refunds" (p.cedar:5) would permit it when input.amount is at most 1000.0.`},
		{"a forbid that fails is not skipped", "cloud/tool:create_instance", `{"size":"small","count":2}`, sallyport.Deny, "never-odd", "",
			`Refused: rule "never-odd" (p.cedar:30) can't be evaluated on this call. Change the arguments that it looks at, or the rule.`},
		{"a required argument that is missing", "desk/tool:refund", `{"customer":"c"}`, sallyport.Deny, "refunds", "",
			`Refused: rule "refunds" (p.cedar:5) looks at amount, and this call sends nothing there that it can be judged by. Send what the schema declares: nothing required left out, no null, no integer beyond 64 bits, at most four decimal places and 1,024 items, no other properties.`},
		{"an action that the policy does not know", "desk/tool:new_tool", `{}`, sallyport.Deny, "", "",
			"The policy in force knows no action desk/tool:new_tool: it was not pinned when the policy was loaded."},
		{"a number that Cedar can't hold", "desk/tool:refund", `{"customer":"c","amount":1e400}`, sallyport.Deny, "refunds", "",
			`Refused: rule "refunds" (p.cedar:5) looks at amount, and this call sends nothing there that it can be judged by. Send what the schema declares: nothing required left out, no null, no integer beyond 64 bits, at most four decimal places and 1,024 items, no other properties.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(r, call(t, c.action, c.args))
			if d.Verdict != c.verdict || names(d.Rules) != c.rules || strings.Join(d.Asks, ",") != c.asks || d.Reason != c.reason {
				t.Errorf("%v by %q asking %q\n got %s\nwant %s", d.Verdict, names(d.Rules), d.Asks, d.Reason, c.reason)
			}
			if d.Policy != r.Digest() {
				t.Error("the decision names another policy")
			}
		})
	}
}

// Whatever finds the rules, they are named once, by place, and so are the groups.
func TestOrder(t *testing.T) {
	r := load(t, `@id("one") permit (principal == Agent::"bot", action == Action::"desk/tool:refund", resource);
@id("two") permit (principal, action in [Action::"desk/tool:refund", Action::"effect:pay", Action::"server:desk", Action::"desk/tool:refund"], resource);
@id("three") permit (principal in Role::"support", action, resource);
@id("four") @ask("legal") forbid (principal == Agent::"bot", action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("5.0")) };
@id("five") @ask("finance") forbid (principal, action, resource) when { context.input has amount && context.input.amount.greaterThan(decimal("5.0")) };`)
	d := Decide(r, call(t, "desk/tool:refund", `{"customer":"c","amount":1}`))
	if names(d.Rules) != "one,two,three" {
		t.Error(names(d.Rules))
	}
	d = Decide(r, call(t, "desk/tool:refund", `{"customer":"c","amount":6}`))
	if names(d.Rules) != "four,five" || strings.Join(d.Asks, ",") != "finance,legal" {
		t.Error(names(d.Rules), d.Asks)
	}
}

// The groups of all questions that are open are asked, each once, in one order.
func TestQuestionsAreUnited(t *testing.T) {
	const permit = "permit (principal, action, resource);\n"
	const questions = `@id("one") @ask("support-leads, legal") forbid (principal, action, resource);
@id("two") @ask("finance") forbid (principal, action, resource);
@id("three") @ask("legal") forbid (principal, action, resource);
@id("silent") @ask("finance") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 900 };
@id("odd") @ask("finance") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count * 4611686018427387904 < 0 };
`
	for _, c := range []struct {
		policy, action, args string
		verdict              sallyport.Verdict
		rules, asks          string
	}{
		{permit + questions, "desk/tool:refund", `{"customer":"c","amount":1}`, sallyport.Hold, "one,two,three", "finance,legal,support-leads"},
		{questions, "desk/tool:refund", `{"customer":"c","amount":1}`, sallyport.Deny, "", ""},                                                                              // nobody permits it
		{permit + questions, "cloud/tool:create_instance", `{"size":"small","count":2}`, sallyport.Deny, "odd", ""},                                                         // a question that fails
		{permit + questions, "cloud/tool:create_instance", `{"size":"small","count":null}`, sallyport.Deny, "silent", ""},                                                   // one that can't be judged
		{permit + questions + `@id("no") forbid (principal, action, resource);`, "desk/tool:refund", `{"customer":"c","amount":1}`, sallyport.Deny, "no", ""},               // a refusal beats questions
		{permit + `@on("result") @ask("legal") forbid (principal, action, resource);`, "desk/tool:refund", `{"customer":"c","amount":1}`, sallyport.Allow, "p.cedar:1", ""}, // about results alone
	} {
		d := Decide(load(t, c.policy), call(t, c.action, c.args))
		if d.Verdict != c.verdict || names(d.Rules) != c.rules || strings.Join(d.Asks, ",") != c.asks {
			t.Errorf("%s %s: %v by %q asking %q", c.action, c.args, d.Verdict, names(d.Rules), d.Asks)
		}
	}
}

// Rules see of the user what is known of the user, part by part.
func TestUser(t *testing.T) {
	for condition, want := range map[string]sallyport.Verdict{
		`context.user.name == "ana"`: sallyport.Allow, `context.user.name == "ben"`: sallyport.Deny, `context.user.name == ""`: sallyport.Deny,
		`context.user.tenant == "acme"`: sallyport.Allow, `context.user.tenant == ""`: sallyport.Deny,
		`context.user.roles.contains("support")`: sallyport.Allow, `context.user.roles.contains("analyst")`: sallyport.Deny,
		`context.user.groups.contains("support-leads")`: sallyport.Allow, `context.user.groups.contains("finance")`: sallyport.Deny,
		`context.user.attributes has region && context.user.attributes.region == "eu"`: sallyport.Allow, `context.user.attributes has limit`: sallyport.Deny,
		`context.user == context.user`: sallyport.Allow, `[context.user].contains(context.user) && context.user.name == "ben"`: sallyport.Deny,
	} {
		for _, partial := range []bool{false, true} {
			facts := call(t, "desk/tool:get_ticket", `{"id":"1"}`)
			facts.Partial = partial
			if d := Decide(load(t, "permit (principal, action, resource) when { "+condition+" };"), facts); d.Verdict != want {
				t.Errorf("%s: %v %s", condition, d.Verdict, d.Reason)
			}
		}
	}
}

// Whatever a key is called, it is a name among others: never an entity, and never
// another name that looks the same.
func TestOddNames(t *testing.T) {
	raw := sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{
		"__entity":{"type":"object","properties":{"type":{"type":"string"},"id":{"type":"string"}}},"type":{"type":"string"},"id":{"type":"string"},
		"\u00e9":{"type":"string"},"e\u0301":{"type":"string"},"":{"type":"string"},"a.b":{"type":"string"},"a":{"type":"object","properties":{"b":{"type":"string"}}},"__extn":{"type":"string"}}}}`)
	d := sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: "t", Effects: []sallyport.Effect{"read"}, Raw: raw, Digest: sallyport.DigestOf(raw.Raw())}
	for _, c := range []struct{ condition, fires, silent string }{
		{`context.input has "__entity" && context.input["__entity"] has type && context.input["__entity"].type == "Role"`, `{"__entity":{"type":"Role","id":"support"}}`, `{"__entity":{"type":"Agent","id":"bot"}}`},
		{`context.input has "\u{e9}" && context.input["\u{e9}"] == "x"`, `{"\u00e9":"x"}`, `{"e\u0301":"x"}`},
		{`context.input has "e\u{301}" && context.input["e\u{301}"] == "x"`, `{"e\u0301":"x"}`, `{"\u00e9":"x"}`},
		{`context.input has "" && context.input[""] == "x"`, `{"":"x"}`, `{"a":{"b":"x"}}`},
		{`context.input has "a.b" && context.input["a.b"] == "x"`, `{"a.b":"x"}`, `{"a":{"b":"x"}}`},
		{`context.input has a.b && context.input.a.b == "x"`, `{"a":{"b":"x"}}`, `{"a.b":"x"}`},
		{`context.input has "__extn" && context.input["__extn"] == "x"`, `{"__extn":"x"}`, `{"id":"x"}`},
	} {
		r, err := Load(files("p.cedar", "permit (principal, action, resource);\nforbid (principal, action == Action::\"s/tool:t\", resource) when { "+c.condition+" };"), []sallyport.Definition{d}, Declared{})
		if err != nil {
			t.Fatal(err)
		}
		for args, want := range map[string]sallyport.Verdict{c.fires: sallyport.Deny, c.silent: sallyport.Allow} {
			facts := &sallyport.Facts{Tool: &d, Call: &sallyport.Call{Kind: sallyport.KindTool, Server: "s", Name: "t", Principal: bot, Args: sallyport.MustParse(args)}}
			if got := Decide(r, facts); got.Verdict != want {
				t.Errorf("%s on %s: %v %s", c.condition, args, got.Verdict, got.Reason)
			}
		}
	}
}

func names(rules []sallyport.Rule) string {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.ID
	}
	return strings.Join(ids, ",")
}

func TestNothingDecidesWithoutFacts(t *testing.T) {
	r := load(t, `permit (principal, action, resource);`)
	full := func() *sallyport.Facts { return call(t, "desk/tool:get_ticket", `{"id":"1"}`) }
	if d := Decide(r, full()); d.Verdict != sallyport.Allow {
		t.Fatal(d.Reason)
	}
	for name, c := range map[string]struct {
		rules *Rules
		facts func(*sallyport.Facts) *sallyport.Facts
	}{
		"nil rules":          {nil, func(f *sallyport.Facts) *sallyport.Facts { return f }},
		"zero rules":         {&Rules{}, func(f *sallyport.Facts) *sallyport.Facts { return f }},
		"no rule":            {load(t, ``), func(f *sallyport.Facts) *sallyport.Facts { return f }},
		"nil facts":          {r, func(*sallyport.Facts) *sallyport.Facts { return nil }},
		"no call":            {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call = nil; return f }},
		"nobody":             {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call.Principal.Agent = ""; return f }},
		"kind unknown":       {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call.Kind = sallyport.KindUnknown; return f }},
		"server unknown":     {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call.Server = "x"; return f }},
		"tool not pinned":    {r, func(f *sallyport.Facts) *sallyport.Facts { f.Tool = nil; return f }},
		"another definition": {r, func(f *sallyport.Facts) *sallyport.Facts { f.Tool.Digest[0]++; return f }},
		"name in other case": {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call.Name = "Get_ticket"; return f }},
		"name with a blank":  {r, func(f *sallyport.Facts) *sallyport.Facts { f.Call.Name = "get_ticket "; return f }},
		"name of another way": {r, func(f *sallyport.Facts) *sallyport.Facts {
			f.Call.Name = "x"
			f.Call.Kind = sallyport.KindPrompt
			return f
		}},
	} {
		for _, partial := range []bool{false, true} {
			facts := c.facts(full())
			if facts != nil {
				facts.Partial = partial
			}
			if d := Decide(c.rules, facts); d.Verdict != sallyport.Deny || d.Reason == "" {
				t.Errorf("%s: %v %q", name, d.Verdict, d.Reason)
			}
			if d := DecideResult(c.rules, facts); name != "no rule" && (d.Verdict != sallyport.Deny || d.Reason == "") {
				t.Errorf("%s, result: %v %q", name, d.Verdict, d.Reason)
			}
		}
	}
}

// Whatever Cedar can't hold is refused by every rule that looks at it, also
// through has, and by no other.
func TestOpaque(t *testing.T) {
	const read, has, other = "read", "has", "other"
	policies := map[string]map[string]string{
		"desk/tool:refund": {
			read:  `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };`,
			has:   `forbid (principal, action, resource) when { context.input has amount && context.input.amount.greaterThan(decimal("500.0")) };`,
			other: `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "evil" };`,
		},
		"cloud/tool:create_instance": {
			read:  `forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input has disk && context.input.disk == context.input.disk };`,
			has:   `forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input has disk.kind };`,
			other: `forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input has disk };`,
		},
	}
	for _, c := range []struct{ action, args, path string }{
		{"desk/tool:refund", `{"customer":"c","amount":null}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":"9"}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":1.00001}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":922337203685478}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":9223372036854775808}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":1e999999999999}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":[5]}`, "amount"},
		{"desk/tool:refund", `{"customer":"c","amount":{"value":5}}`, "amount"},
		{"desk/tool:refund", `{"customer":"c"}`, "amount"},
		{"desk/tool:refund", `[{"customer":"c","amount":5}]`, ""},
		{"desk/tool:refund", `null`, ""},
		{"desk/tool:refund", `"x"`, ""},
		{"cloud/tool:create_instance", `{"size":"small","count":1,"disk":{"gb":5,"kind":7}}`, "disk.kind"},
		{"cloud/tool:create_instance", `{"size":"small","count":1,"disk":{"gb":5,"kind":null}}`, "disk.kind"},
		{"cloud/tool:create_instance", `{"size":"small","count":1,"disk":null}`, "disk"},
	} {
		for look, policy := range policies[c.action] {
			want := sallyport.Deny
			if look == other && c.path != "" && c.path != "disk" {
				want = sallyport.Allow
				if strings.HasPrefix(c.path, "disk.") {
					want = sallyport.Deny // has disk is true: the forbid fires
				}
			}
			r := load(t, "permit (principal, action, resource);\n"+policy)
			if d := Decide(r, call(t, c.action, c.args)); d.Verdict != want {
				t.Errorf("%s, %s %s: %v, %s", look, c.action, c.args, d.Verdict, d.Reason)
			}
		}
		r := load(t, "permit (principal, action, resource) unless { context.opaque.isEmpty() };")
		want := sallyport.Allow
		if c.path == "" {
			want = sallyport.Deny // not even that can be told
		}
		if d := Decide(r, call(t, c.action, c.args)); d.Verdict != want {
			t.Errorf("%s %s, looking at what is opaque: %v, %s", c.action, c.args, d.Verdict, d.Reason)
		}
		if d := Decide(r, call(t, "cloud/tool:create_instance", `{"size":"small","count":1,"disk":{"gb":5}}`)); d.Verdict != sallyport.Deny {
			t.Error("an argument that Cedar can hold is opaque")
		}
	}
}

// A call may come without arguments: then none is there.
func TestNoArguments(t *testing.T) {
	r := load(t, `permit (principal, action, resource) unless { context.input has limit && context.input.limit > 50 };
forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "x" };`)
	if d := Decide(r, call(t, "desk/tool:list_tickets", "")); d.Verdict != sallyport.Allow {
		t.Error(d.Reason)
	}
	if d := Decide(r, call(t, "desk/tool:refund", "")); d.Verdict != sallyport.Deny {
		t.Error("what is required is missing")
	}
}

// A rule may look at all arguments, or all of the user, at once.
func TestWholeRecords(t *testing.T) {
	r := load(t, `permit (principal, action, resource);
@id("args") forbid (principal, action == Action::"desk/tool:get_ticket", resource) when { context.input == {id: "x"} };
@id("user") forbid (principal, action == Action::"desk/tool:delete_ticket", resource) when { [context.user].contains(context.user) };`)
	for _, c := range []struct {
		action, args string
		verdict      sallyport.Verdict
	}{
		{"desk/tool:get_ticket", `{"id":"x"}`, sallyport.Deny}, {"desk/tool:get_ticket", `{"id":"y"}`, sallyport.Allow},
		{"desk/tool:get_ticket", `{"id":"x","more":1}`, sallyport.Deny}, {"desk/tool:get_ticket", `{"id":"y","more":1}`, sallyport.Deny}, // there is more than the rule can see
		{"desk/tool:delete_ticket", `{"id":"x"}`, sallyport.Deny},
	} {
		if d := Decide(r, call(t, c.action, c.args)); d.Verdict != c.verdict {
			t.Errorf("%s %s: %v %s", c.action, c.args, d.Verdict, d.Reason)
		}
	}
}

// A tool that takes what its schema doesn't declare can be sent what a rule
// looks at in other tools.
func TestUndeclaredArguments(t *testing.T) {
	r := load(t, `permit (principal, action, resource);
forbid (principal, action, resource) when { context.input has amount && context.input.amount.greaterThan(decimal("500.0")) };`)
	for args, want := range map[string]sallyport.Verdict{
		`{"host":"h","command":"c"}`: sallyport.Allow, `{"host":"h","command":"c","other":1}`: sallyport.Allow,
		`{"host":"h","command":"c","amount":1}`: sallyport.Deny, `{"host":"h","command":"c","\u0061mount":1}`: sallyport.Deny,
	} {
		if d := Decide(r, call(t, "cloud/tool:run_command", args)); d.Verdict != want {
			t.Errorf("%s: %v %s", args, d.Verdict, d.Reason)
		}
	}
}

// More opaque arguments than can be listed are all of them.
func TestTooManyOpaqueArguments(t *testing.T) {
	r := load(t, `permit (principal, action, resource);
@id("bcc") forbid (principal, action == Action::"cloud/tool:run_command", resource) when { context.opaque.contains("bcc") };`)
	var args strings.Builder
	args.WriteString(`{"host":"h","command":"c"`)
	for i := range 1025 {
		fmt.Fprintf(&args, `,"x%d":1`, i)
	}
	args.WriteString(`,"bcc":1}`)
	if d := Decide(r, call(t, "cloud/tool:run_command", args.String())); d.Verdict != sallyport.Deny || names(d.Rules) != "bcc" {
		t.Errorf("%v %s", d.Verdict, d.Reason)
	}
}

func TestOpaquePaths(t *testing.T) {
	for _, c := range []struct{ action, args, path string }{
		{"cloud/tool:run_command", `{"host":"h","command":"c","bcc":1}`, "bcc"},
		{"cloud/tool:run_command", `{"host":"h","command":"c","a b":1}`, `[\"a b\"]`},
		{"cloud/tool:run_command", `{"host":"h","command":"c","env":{"PATH":"x"}}`, "env.PATH"},
		{"cloud/tool:run_command", `{"host":"h","command":"c","env.PATH":"x"}`, `[\"env.PATH\"]`},
		{"desk/tool:refund", `{"customer":"c","amount":1,"reference":"x"}`, "reference"},
		{"desk/tool:list_tickets", `{"labels":{"x":"y"}}`, "labels.x"},
		{"desk/tool:send_email", `{"to":"a","subject":"b","body":"c","cc":["x",7]}`, "cc"},
		{"desk/tool:send_email", `{"to":"a","subject":"b","body":"c","cc":[` + strings.Repeat(`"x",`, 1024) + `"x"]}`, "cc"},
	} {
		r := load(t, `permit (principal, action in [Action::"cloud/tool:run_command", Action::"`+c.action+`"], resource) when { context.opaque.contains("`+c.path+`") };`)
		if d := Decide(r, call(t, c.action, c.args)); d.Verdict != sallyport.Allow {
			t.Errorf("%s: %s is not opaque: %s", c.args, c.path, d.Reason)
		}
		if d := Decide(r, call(t, "cloud/tool:run_command", `{"host":"h","command":"c"}`)); d.Verdict != sallyport.Deny {
			t.Errorf("%s is opaque without being there", c.path)
		}
		// Also when other rules look at other arguments only.
		more := load(t, `permit (principal, action in [Action::"cloud/tool:run_command", Action::"`+c.action+`"], resource) when { context.opaque.contains("`+c.path+`") };
forbid (principal, action, resource) when { context.input has host && context.input.host == "x" };
forbid (principal, action, resource) when { context.input has limit && context.input.limit == 7 };`)
		if d := Decide(more, call(t, c.action, c.args)); d.Verdict != sallyport.Allow {
			t.Errorf("%s: %s is not opaque beside other rules: %s", c.args, c.path, d.Reason)
		}
		// And when those are found after it.
		more = load(t, `permit (principal, action, resource) when { context.opaque.contains("`+c.path+`") };
forbid (principal == Agent::"bot", action in Action::"server:desk", resource) when { context.input has limit && context.input.limit == 7 };
forbid (principal == Agent::"bot", action in Action::"server:cloud", resource) when { context.input has host && context.input.host == "x" };`)
		if d := Decide(more, call(t, c.action, c.args)); d.Verdict != sallyport.Allow {
			t.Errorf("%s: %s is not opaque before other rules: %s", c.args, c.path, d.Reason)
		}
	}
}

func TestPartial(t *testing.T) {
	for _, c := range []struct {
		name, policy, action string
		verdict              sallyport.Verdict
	}{
		{"permit", `permit (principal, action, resource);`, "desk/tool:refund", sallyport.Allow},
		{"nothing", ``, "desk/tool:refund", sallyport.Deny},
		{"another role", `permit (principal in Role::"analyst", action, resource);`, "desk/tool:refund", sallyport.Deny},
		{"permit on an argument", `permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("5.0")) };`, "desk/tool:refund", sallyport.Allow},
		{"permit on the user, yes", `permit (principal, action, resource) when { context.user.groups.contains("support-leads") };`, "desk/tool:refund", sallyport.Allow},
		{"permit on the user, no", `permit (principal, action, resource) when { context.user.groups.contains("finance") };`, "desk/tool:refund", sallyport.Deny},
		{"permit on both, the user failing", `permit (principal, action, resource) when { context.user.groups.contains("finance") && context.input has amount };`, "desk/tool:refund", sallyport.Deny},
		{"permit on either, the user failing", `permit (principal, action, resource) when { context.user.groups.contains("finance") || context.input has amount };`, "desk/tool:refund", sallyport.Allow},
		{"forbid", "permit (principal, action, resource);\nforbid (principal, action, resource);", "desk/tool:refund", sallyport.Deny},
		{"forbid on an argument", "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.input has reason };", "desk/tool:refund", sallyport.Allow},
		{"forbid on the user", "permit (principal, action, resource);\nforbid (principal, action, resource) unless { context.user.tenant == \"\" };", "desk/tool:refund", sallyport.Deny},
		{"forbid on either, the user holding", "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.user.tenant == \"acme\" || context.input has amount };", "desk/tool:refund", sallyport.Deny},
		{"forbid unless either, both failing", "permit (principal, action, resource);\nforbid (principal, action, resource) unless { context.user.tenant == \"\" || principal in Role::\"analyst\" };", "desk/tool:refund", sallyport.Deny},
		{"constant conditions", "permit (principal, action, resource) when { true } unless { 1 == 2 };\nforbid (principal, action, resource) when { false };", "desk/tool:refund", sallyport.Allow},
		{"forbid, constantly", "permit (principal, action, resource);\nforbid (principal, action, resource) when { 1 == 1 };", "desk/tool:refund", sallyport.Deny},
		{"ask", "permit (principal, action, resource);\n@ask(\"finance\") forbid (principal, action, resource);", "desk/tool:refund", sallyport.Hold},
		{"ask on an argument", "permit (principal, action, resource);\n@ask(\"finance\") forbid (principal, action, resource) when { context.input has reason };", "desk/tool:refund", sallyport.Allow},
		{"opaque is unknown too", "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.opaque.isEmpty() };", "desk/tool:refund", sallyport.Allow},
		{"the action's group", "permit (principal, action, resource);\nforbid (principal, action, resource) when { action in Action::\"effect:pay\" };", "desk/tool:refund", sallyport.Deny},
		{"a named entity that is the agent", `permit (principal, action, resource) when { if Agent::"bot" in Role::"support" then context.input has amount else false };`, "desk/tool:refund", sallyport.Allow},
		{"a named entity that is not", `permit (principal, action, resource) when { if Agent::"bot" in Role::"analyst" then context.input has amount else false };`, "desk/tool:refund", sallyport.Deny},
		{"the agent, without an entity to compare with", `permit (principal, action, resource) when { if principal is Agent then context.input has reason else false };`, "desk/tool:refund", sallyport.Allow},
		{"a named action", `permit (principal, action, resource) when { if Action::"desk/tool:refund" in Action::"effect:pay" then context.input has amount else false };`, "desk/tool:refund", sallyport.Allow},
		{"permit on an argument that the tool lacks", `permit (principal, action, resource) when { context.input has amount && context.input.amount.lessThan(decimal("5.0")) };`, "desk/tool:delete_ticket", sallyport.Deny},
		{"permit on one that it lacks, or on the user", `permit (principal, action, resource) when { (context.input has amount && principal in Role::"support") || principal in Role::"analyst" };`, "desk/tool:delete_ticket", sallyport.Deny},
		{"permit unless it has one that it lacks", `permit (principal, action, resource) unless { context.input has amount };`, "desk/tool:delete_ticket", sallyport.Allow},
		{"forbid unless it has one that it lacks", "permit (principal, action, resource);\nforbid (principal, action, resource) unless { context.input has amount && context.input.amount.lessThan(decimal(\"5.0\")) };", "desk/tool:delete_ticket", sallyport.Deny},
		{"forbid unless it has a part that it lacks", "permit (principal, action, resource);\nforbid (principal, action, resource) unless { context.input has disk.kind };", "desk/tool:delete_ticket", sallyport.Deny},
		{"forbid unless it has a part that may be there", "permit (principal, action, resource);\nforbid (principal, action, resource) unless { context.input has disk.kind };", "cloud/tool:create_instance", sallyport.Allow},
		{"forbid where a required argument is there", "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.input has amount };", "desk/tool:refund", sallyport.Deny},
		{"forbid where an optional argument is there", "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.input has reason };", "desk/tool:refund", sallyport.Allow},
		{"question where a required argument is there", "permit (principal, action, resource);\n@ask(\"finance\") forbid (principal, action, resource) when { context.input has amount };", "desk/tool:refund", sallyport.Hold},
		{"permit if it lacks what can't be held", `permit (principal, action in [Action::"desk/tool:list_tickets", Action::"desk/tool:refund"], resource) when { if context.input has reason then true else context.input has status };`, "desk/tool:list_tickets", sallyport.Allow},
		{"the resource", "permit (principal, action, resource) when { resource == Server::\"cloud\" };", "desk/tool:refund", sallyport.Deny},
	} {
		r := load(t, c.policy)
		facts := call(t, c.action, "")
		facts.Partial = true
		d := Decide(r, facts)
		if d.Verdict != c.verdict || d.Verdict != sallyport.Allow && d.Reason == "" {
			t.Errorf("%s: %v %s", c.name, d.Verdict, d.Reason)
		}
	}
}

func TestDecideResult(t *testing.T) {
	const policy = `
permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:delete_ticket", resource);
@id("keys") @on("result") forbid (principal, action, resource) when { context.result.text like "*BEGIN PRIVATE KEY*" };
@id("cards") @on("result") @ask("finance") forbid (principal, action, resource) when { context.result.text like "*4111111111111111*" };
@id("errors") @on("result") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.result.isError && context.input.customer == "vip" };
`
	r := load(t, policy)
	if !r.JudgesResults() || load(t, `permit (principal, action, resource);`).JudgesResults() {
		t.Error("JudgesResults")
	}
	key := "-----BEGIN PRIVATE KEY-----"
	for _, c := range []struct {
		action, args, result string
		verdict              sallyport.Verdict
	}{
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"content":[{"type":"text","text":"fine"}]}`, sallyport.Allow},
		{"desk/tool:delete_ticket", `{"id":"1"}`, `{}`, sallyport.Allow}, // forbids about calls say nothing about results
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"content":[{"type":"text","text":"` + key + `"}]}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"structuredContent":{"a":[{"b":"` + key + `"}]}}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"structuredContent":{"` + key + `":1}}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"structuredContent":{"a":[{"b":{"` + key + `":true}}]}}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"content":[],"_meta":{"` + key + `":{"a":{}}}}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"content":[],"_meta":{"a":"` + key + `"}}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"content":[{"type":"resource","resource":{"uri":"x","text":"` + key + `"}}]}`, sallyport.Deny},
		{"desk/resource:read", `{"uri":"x"}`, `{"contents":[{"uri":"x","text":"` + key + `"}]}`, sallyport.Deny},
		{"desk/prompt:summarize", `{"ticket":"x"}`, `{"messages":[{"role":"user","content":{"type":"text","text":"` + key + `"}}]}`, sallyport.Deny},
		{"desk/tool:get_ticket", `{"id":"1"}`, `{"structuredContent":{"card":4111111111111111}}`, sallyport.Hold},
		{"desk/tool:refund", `{"customer":"vip","amount":1}`, `{"isError":true}`, sallyport.Deny},
		{"desk/tool:refund", `{"customer":"vip","amount":1}`, `{"isError":false}`, sallyport.Allow},
		{"desk/tool:refund", `{"customer":"c","amount":1}`, `{"isError":true}`, sallyport.Allow},
		{"desk/tool:refund", `{"customer":7,"amount":1}`, `{"isError":true}`, sallyport.Deny}, // can't be judged
	} {
		facts := call(t, c.action, c.args)
		facts.Result = sallyport.MustParse(c.result)
		d := DecideResult(r, facts)
		if d.Verdict != c.verdict || d.Verdict != sallyport.Allow && d.Reason == "" {
			t.Errorf("%s %s: %v %s", c.action, c.result, d.Verdict, d.Reason)
		}
	}
}

func TestCompletionAndSubscription(t *testing.T) {
	r := load(t, `
permit (principal, action, resource);
forbid (principal, action == Action::"desk/prompt:summarize", resource) when { context.input has tone && context.input.tone == "rude" };
forbid (principal, action == Action::"desk/prompt:summarize", resource) when { context.input has ticket && context.input.ticket == "secret" };
forbid (principal, action == Action::"desk/resource:read", resource) when { context.input.uri like "desk://private/*" };
`)
	for _, c := range []struct {
		kind       sallyport.Kind
		name, args string
		verdict    sallyport.Verdict
	}{
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"ki"}}`, sallyport.Allow},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"rude"}}`, sallyport.Deny},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"k"},"context":{"arguments":{"ticket":"secret"}}}`, sallyport.Deny},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"k"},"context":{"arguments":{"ticket":"1"}}}`, sallyport.Allow},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"k"},"context":{"arguments":{"tone":"rude"}}}`, sallyport.Deny},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":""},"context":{"arguments":{"tone":""}}}`, sallyport.Allow},
		{sallyport.KindCompletion, "summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":""},"context":{"arguments":{"tone":7}}}`, sallyport.Deny},
		{sallyport.KindCompletion, "desk://private/{id}", `{"ref":{"type":"ref/resource","uri":"desk://private/{id}"},"argument":{"name":"id","value":"1"}}`, sallyport.Deny},
		{sallyport.KindCompletion, "desk://public/{id}", `{"ref":{"type":"ref/resource","uri":"desk://public/{id}"},"argument":{"name":"id","value":"1"}}`, sallyport.Allow},
		{sallyport.KindSubscribe, "desk://private/1", `{"uri":"desk://private/1"}`, sallyport.Deny},
		{sallyport.KindResource, "desk://private/1", `{"uri":"desk://private/1"}`, sallyport.Deny},
		{sallyport.KindResource, "desk://public/1", `{"uri":"desk://public/1"}`, sallyport.Allow},
		{sallyport.KindPrompt, "summarize", `{"ticket":"1"}`, sallyport.Allow},
	} {
		facts := call(t, "desk/prompt:summarize", c.args)
		facts.Call.Kind, facts.Call.Name = c.kind, c.name
		if d := Decide(r, facts); d.Verdict != c.verdict {
			t.Errorf("%v %s: %v %s", c.kind, c.args, d.Verdict, d.Reason)
		}
	}
}

// While a prompt is being completed, what it requires may be missing.
func TestPartialCompletion(t *testing.T) {
	r := load(t, `permit (principal, action == Action::"desk/prompt:summarize", resource);
forbid (principal, action == Action::"desk/prompt:summarize", resource) when { context.input has ticket };`)
	for kind, want := range map[sallyport.Kind]sallyport.Verdict{sallyport.KindPrompt: sallyport.Deny, sallyport.KindCompletion: sallyport.Allow} {
		facts := call(t, "desk/prompt:summarize", `{"ref":{"type":"ref/prompt","name":"summarize"},"argument":{"name":"tone","value":"k"}}`)
		facts.Call.Kind, facts.Partial = kind, true
		if d := Decide(r, facts); d.Verdict != want {
			t.Errorf("%v: %v %s", kind, d.Verdict, d.Reason)
		}
	}
}

// An argument that Cedar can't hold in this tool is not there, though another
// tool has one of that name.
func TestPartialOpaque(t *testing.T) {
	var defs []sallyport.Definition
	for name, x := range map[string]string{"plain": `{"type":"string"}`, "union": `{"type":["string","integer"]}`} {
		raw := sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"x":` + x + `},"required":["x"]}}`)
		defs = append(defs, sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: name, Raw: raw, Digest: sallyport.DigestOf(raw.Raw())})
	}
	r, err := Load(files("p.cedar", `permit (principal, action, resource) when { context.input has x && context.input.x == "a" };`), defs, Declared{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defs {
		facts := &sallyport.Facts{Tool: &d, Partial: true, Call: &sallyport.Call{Kind: sallyport.KindTool, Server: "s", Name: d.Name, Principal: bot}}
		if got := Decide(r, facts).Verdict; got != map[string]sallyport.Verdict{"plain": sallyport.Allow, "union": sallyport.Deny}[d.Name] {
			t.Errorf("%s: %v", d.Name, got)
		}
	}
}

func TestPromptsArePinned(t *testing.T) {
	r := load(t, `permit (principal, action, resource);`)
	facts := call(t, "desk/prompt:summarize", `{"ticket":"1"}`)
	facts.Tool.Digest[0]++
	if d := Decide(r, facts); d.Verdict != sallyport.Deny {
		t.Error("another definition")
	}
	facts.Tool = nil
	if d := Decide(r, facts); d.Verdict != sallyport.Deny {
		t.Error("no definition")
	}
}

func TestAsksAndAnswers(t *testing.T) {
	r := load(t, `
permit (principal, action == Action::"desk/ask:elicitation", resource) when { context.input has mode && context.input.mode == "form" };
permit (principal, action == Action::"desk/answer:elicitation", resource) when { context.input has action && context.input.action == "accept" };
permit (principal, action == Action::"desk/ask:sampling", resource) when { context.input has maxTokens && context.input.maxTokens < 100 };
`)
	for _, c := range []struct {
		kind       sallyport.Kind
		name, args string
		verdict    sallyport.Verdict
	}{
		{sallyport.KindAsk, "elicitation/create", `{"mode":"form","message":"m","requestedSchema":{}}`, sallyport.Allow},
		{sallyport.KindAsk, "elicitation/create", `{"mode":"url","message":"m"}`, sallyport.Deny},
		{sallyport.KindAnswer, "elicitation/create", `{"action":"accept","content":{"x":1}}`, sallyport.Allow},
		{sallyport.KindAsk, "sampling/createMessage", `{"maxTokens":99,"messages":[]}`, sallyport.Allow},
		{sallyport.KindAsk, "sampling/createMessage", `{"maxTokens":99.5,"messages":[]}`, sallyport.Deny},
		{sallyport.KindAsk, "roots/list", `{}`, sallyport.Deny},
		{sallyport.KindAsk, "tasks/get", `{}`, sallyport.Deny},
	} {
		facts := call(t, "desk/tool:get_ticket", c.args)
		facts.Call.Kind, facts.Call.Name, facts.Tool = c.kind, c.name, nil
		if d := Decide(r, facts); d.Verdict != c.verdict {
			t.Errorf("%v %s %s: %v %s", c.kind, c.name, c.args, d.Verdict, d.Reason)
		}
	}
}

// Reasons are kept in the clear: an argument's value must never get there.
func TestReasonsHoldNoArguments(t *testing.T) {
	r := load(t, deskPolicy)
	for _, c := range [][2]string{
		{"desk/tool:refund", `{"customer":"s3cret","amount":777777}`},
		{"desk/tool:refund", `{"customer":"s3cret","amount":777}`},
		{"desk/tool:refund", `{"customer":"s3cret","amount":777e777}`},
		{"desk/tool:send_email", `{"to":"s3cret","subject":"s3cret","body":"s3cret","cc":["s3cret"]}`},
		{"cloud/tool:create_instance", `{"size":"s3cret","count":777}`},
	} {
		d := Decide(r, call(t, c[0], c[1]))
		if d.Verdict == sallyport.Allow || strings.Contains(d.Reason, "s3cret") || strings.Contains(d.Reason, "777") {
			t.Errorf("%v %s", d.Verdict, d.Reason)
		}
	}
}

// An effect that nobody knows is the strictest.
func TestEffects(t *testing.T) {
	for _, c := range []struct {
		effects []sallyport.Effect
		want    string
	}{
		{nil, "exec"}, {[]sallyport.Effect{"read"}, "read"}, {[]sallyport.Effect{"pay", "read", "pay"}, "read,pay"},
		{[]sallyport.Effect{"read", "frobnicate"}, "read,exec"}, {[]sallyport.Effect{""}, "exec"},
	} {
		if got := beside.Effects(c.effects); joined(got) != c.want {
			t.Errorf("%q: %q", c.effects, got)
		}
	}
}

func joined(effects []sallyport.Effect) string { return source.Join(effects, ",") }

// Rules are shared by every call in flight.
func TestRulesAreShared(t *testing.T) {
	r := load(t, deskPolicy)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for action, args := range arguments {
				for _, a := range args {
					facts := call(t, action, a)
					Decide(r, facts)
					facts.Partial = true
					Decide(r, facts)
					Explain(r, facts)
				}
			}
		})
	}
	all.Wait()
}

// Refusing looks at a bounded number of other actions, and names few.
func TestRefusingIsBounded(t *testing.T) {
	var defs []sallyport.Definition
	for i := range 500 {
		defs = append(defs, sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: fmt.Sprintf("t%03d", i), Effects: []sallyport.Effect{"read"}})
	}
	for _, c := range []struct{ policy, want string }{
		{`permit (principal, action == Action::"s/tool:t499", resource);`, "s/tool:t000. Ask whoever keeps the policy."},
		{``, "s/tool:t000. Ask whoever keeps the policy."},
		{`permit (principal, action in Action::"effect:read", resource) unless { action == Action::"s/tool:t000" };`, "On s it may use resource:read, t001, t002, t003, t004."},
	} {
		r, err := Load(files("p.cedar", c.policy), defs, Declared{})
		if err != nil {
			t.Fatal(err)
		}
		facts := &sallyport.Facts{Tool: &defs[0], Call: &sallyport.Call{Kind: sallyport.KindTool, Server: "s", Name: "t000", Principal: bot}}
		if d := Decide(r, facts); !strings.HasSuffix(d.Reason, c.want) {
			t.Error(d.Reason)
		}
	}
}
