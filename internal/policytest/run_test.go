package policytest

import (
	"strings"
	"testing"

	"sallyport/internal/policy"
)

const text = `
@id("reads") permit (principal in Role::"support", action in Action::"effect:read", resource);
@id("pays") permit (principal in Role::"support", action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("1000.0")) };
@id("ask") @ask("finance, legal") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };
@id("mail") permit (principal, action == Action::"desk/tool:send_email", resource) when { context.user.groups.contains("finance") };
@id("big") permit (principal in Role::"infrastructure", action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 700 };
@id("slow") @ask("legal") forbid (principal, action == Action::"cloud/tool:create_instance", resource);
@id("unused") forbid (principal in Role::"analyst", action == Action::"desk/tool:delete_ticket", resource);
@id("keys") @on("result") forbid (principal, action, resource) when { context.result.text like "*KEY*" };
`

const head = "suite: s\nagents: {bot: {role: support}, fin: {role: analyst, for: ben}, lead: {for: ana, tenant: acme}}\nusers: {ana: {groups: [support-leads]}}\n"

// outcomes are the results as "name ok" or "name: detail".
func outcomes(t *testing.T, suite string) string {
	t.Helper()
	report, err := Run(rules(t, text), world(t), suites(suite))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range report.Results {
		line := r.Name + " ok"
		if !r.Passed {
			line = r.Name + ": " + r.Detail
		}
		lines = append(lines, line)
	}
	if report.Passed() == strings.Contains(strings.Join(lines, ""), ": ") && !strings.Contains(suite, "matrix") {
		t.Error("Passed")
	}
	return strings.Join(lines, "\n")
}

// What scanners found is what the test says; what comes back is changed as the
// rules want.
func TestFindings(t *testing.T) {
	const more = `
@id("reads") @mask("secret") permit (principal, action == Action::"desk/tool:get_ticket", resource);
@id("mails") @on("result") @mask("pii") @neutralise forbid (principal, action, resource) when { context.findings.contains("pii/email") };
@id("orders") @on("result") forbid (principal, action, resource) when { context.findings.contains("order") };
@id("misled") forbid (principal, action, resource) when { context.run.found.contains("order") || context.findings.contains("secret") };`
	const call = `{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}`
	for _, c := range []struct{ test, want string }{
		{call + `}, expect: allow}`, "n ok"},
		{call + `, found: [secret/jwt]}, expect: {deny: misled}}`, "n ok"},
		{call + `, run: {found: [order/override]}}, expect: {deny: misled}}`, "n ok"},
		{call + `}, expect: allow, result: x, release: {masked: [secret], neutralised: false}}`, "n ok"},
		{call + `}, expect: allow, result: x, found: [pii/email], release: {masked: [secret, pii], neutralised: true}}`, "n ok"},
		{call + `}, expect: allow, result: x, found: [pii/email], release: {allow: mails, neutralised: true}}`, "n ok"},
		{call + `}, expect: allow, result: x, found: [pii/email], release: {masked: []}}`, `n: release: expected allow with [] masked, got allow with ["pii" "secret"] masked and neutralised by reads, mails`},
		{call + `}, expect: allow, result: x, found: [scanner/failed], release: {deny: orders}}`, "n ok"},
		{call + `, found: [order/overide]}, expect: allow}`, `a.test.yaml:5:1: there is no finding "order/overide"; did you mean "order/override"?`},
		{call + `, found: [order]}, expect: allow}`, `a.test.yaml:5:1: there is no finding "order"`},
		{call + `}, expect: {masked: [secret]}}`, `a.test.yaml:5:1: only what comes back is masked or neutralised: say so in release`},
		{call + `}, expect: allow, found: [pii/email]}`, `a.test.yaml:5:1: a step needs call and expect, result only together with release, and found only with result`},
	} {
		got := ""
		report, err := Run(rules(t, more), world(t), suites(head+"tests: [\n"+c.test+"]\n"))
		switch {
		case err != nil:
			got = err.Error()
		case report.Passed():
			got = "n ok"
		default:
			got = "n: " + report.Results[0].Detail
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.test, got, c.want)
		}
	}
}

func TestExpectations(t *testing.T) {
	for _, c := range []struct{ test, want string }{
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: allow}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: {allow: reads}}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: {allow: pays}}`, "n: expected allow by pays, got allow by reads"},
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: deny}`, "n: expected deny, got allow by reads"},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 600}}, expect: hold}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 600}}, expect: {hold: [legal, finance], rule: ask}}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 600}}, expect: {hold: [finance]}}`,
			`n: expected hold for ["finance"], got hold for ["finance" "legal"] by ask: Held by rule "ask" (p.cedar:4). People of finance and of legal must agree. Nobody is asked when input.amount is at most 500.0.`},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 600}}, expect: {deny: ask}}`,
			`n: expected deny by ask, got hold for ["finance" "legal"] by ask: Held by rule "ask" (p.cedar:4). People of finance and of legal must agree. Nobody is asked when input.amount is at most 500.0.`},
		{`{name: n, as: fin, call: {server: desk, tool: delete_ticket, args: {id: "1"}}, expect: {deny: unused}}`, "n ok"},
		{`{name: n, as: fin, call: {server: desk, tool: send_email, args: {to: a, subject: b, body: c}}, expect: allow}`, "n ok"},
		{`{name: n, as: lead, call: {server: desk, tool: send_email, args: {to: a, subject: b, body: c}}, expect: deny}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, resource: "desk://x"}, expect: allow}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, prompt: summarize, args: {ticket: "1"}}, expect: allow}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, ask: elicitation}, expect: deny}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, answer: sampling}, expect: deny}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 99.99999}}, expect: deny}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 99.990000}}, expect: allow}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: allow, result: a KEY, release: {deny: keys}}`, "n ok"},
		{`{name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: "1"}}, expect: allow, result: {structuredContent: {a: [a KEY]}}, release: allow}`,
			`n: release: expected allow, got deny by keys: Refused by rule "keys" (p.cedar:9). It does not apply when result.text is not like "*KEY*".`},
		{`{name: n, as: bot, steps: [{call: {server: desk, resource: x}, expect: allow}, {call: {server: cloud, resource: x}, expect: hold}]}`, `n: step 2: expected hold, got allow by reads`},
	} {
		if got := outcomes(t, head+"tests:\n- "+c.test+"\n"); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.test, got, c.want)
		}
	}
}

func TestMatrix(t *testing.T) {
	for _, c := range []struct{ matrix, want string }{
		{`{role: support, servers: {desk: {read: allow, pay: allow, delete: deny}, cloud: {exec: deny}}}`,
			"support on cloud: exec deny ok\nsupport on desk: read allow ok\nsupport on desk: pay allow ok\nsupport on desk: delete deny ok"},
		{`{role: support, servers: {desk: {read: deny}}}`,
			"support on desk: read deny: desk/tool:get_ticket: expected deny, got allow: anyone (role support, for nobody) desk/tool:get_ticket {\"id\":\"x\"}\ndesk/tool:list_tickets: expected deny, got allow: anyone (role support, for nobody) desk/tool:list_tickets {}"},
		{`{role: support, servers: {desk: {delete: allow}}}`, "support on desk: delete allow: desk/tool:delete_ticket: expected allow, got at most deny"},
		{`{role: support, servers: {desk: {pay: hold}}}`, "support on desk: pay hold: desk/tool:refund: expected hold, got allow: anyone (role support, for nobody) desk/tool:refund {\"amount\":1000,\"customer\":\"x\"}"},
		{`{role: infrastructure, servers: {cloud: {write: hold}}}`, "infrastructure on cloud: write hold ok"},
		{`{role: infrastructure, servers: {cloud: {read: hold}}}`, "infrastructure on cloud: read hold: cloud/tool:list_instances: expected hold, got at most deny"},
		{`{role: analyst, servers: {desk: {send: allow}}}`, "analyst on desk: send allow ok"}, // fin acts for ben of finance
		{`{role: analyst, servers: {desk: {send: deny}}}`, "analyst on desk: send deny: desk/tool:send_email: expected deny, got allow: fin (role analyst, for ben) desk/tool:send_email {\"body\":\"x\",\"subject\":\"x\",\"to\":\"x\"}"},
	} {
		got := outcomes(t, head+"matrix:\n- "+c.matrix+"\n")
		if i := strings.Index(c.want, "{\"amount\""); i > 0 {
			c.want, got = c.want[:i], got[:min(i, len(got))] // which amount was tried first does not matter
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.matrix, got, c.want)
		}
	}
}

func TestNever(t *testing.T) {
	for _, c := range []struct{ invariant, want string }{
		{`{name: n, call: {server: cloud, tool: run_command}}`, "n ok"},
		{`{name: n, call: {effect: exec}}`, "n ok"},
		{`{name: n, call: {effect: read}, unless: {role: support}}`, "n ok"},
		{`{name: n, call: {effect: read}}`, "n: allow: bot (role support, for nobody) cloud/tool:list_instances {}"},
		{`{name: n, call: {server: desk, tool: refund}, unless: {role: support}}`, "n ok"},
		{`{name: n, call: {server: desk, tool: refund, where: {amount: 501}}, unless: {held: true}}`, "n ok"},
		{`{name: n, call: {server: desk, tool: refund, where: {amount: 501}}}`, "n: hold: bot (role support, for nobody) desk/tool:refund {\"amount\":501"},
		{`{name: n, call: {server: desk, tool: refund}, unless: {held: true}}`, "n: allow: bot (role support, for nobody) desk/tool:refund {\"amount\":"},
		// Found only by trying what the rule compares with.
		{`{name: n, call: {server: cloud, tool: create_instance}}`, "n: hold: anyone (role infrastructure, for nobody) cloud/tool:create_instance {\"count\":"},
		{`{name: n, call: {server: cloud, tool: create_instance}, unless: {held: true}}`, "n ok"},
		// Found only by trying users.
		{`{name: n, call: {server: desk, tool: send_email}}`, "n: allow: fin (role analyst, for ben) desk/tool:send_email {"},
		{`{name: n, call: {server: desk, tool: send_email}, unless: {agent: fin}}`, "n: allow: anyone (role none, for ben) desk/tool:send_email {"},
		{`{name: n, call: {server: desk, tool: send_email}, unless: {group: finance}}`, "n ok"},
		{`{name: n, call: {server: desk, tool: send_email}, unless: {user: ben, tenant: acme}}`, "n ok"},
		{`{name: n, call: {server: desk, tool: send_email}, unless: {user: ben, tenant: other}}`, "n: allow: fin (role analyst, for ben) desk/tool:send_email {"},
		{`{name: n, call: {prompt: summarize}, unless: {role: support}}`, "n ok"},
		{`{name: n, call: {server: desk}, unless: {role: support}}`, "n: allow: fin (role analyst, for ben) desk/tool:send_email {"},
	} {
		if got := outcomes(t, head+"never:\n- "+c.invariant+"\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.invariant, got, c.want)
		}
	}
	report, err := Run(rules(t, text), world(t), suites(head+"never:\n- {name: a, call: {effect: exec}}\n- {name: b, call: {tool: refund}, unless: {held: true, role: support}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"proved for 1 of 1 actions and 15 callers", "proved for 1 of 1 actions and 11 callers"} {
		if got := report.Results[i].Detail; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWrongSuites(t *testing.T) {
	for _, c := range []struct{ suite, want string }{
		{"tests: []", "a.test.yaml:1:1: a suite needs a name: suite: …"},
		{"suite: s\ntets: []", `a.test.yaml:2:1: unknown field "tets"`},
		{"suite: s\ntests:\n- {name: n, as: bot, expekt: allow}", `a.test.yaml:3:22: unknown field "expekt"`},
		{"suite: s\ntests:\n- name: n\n  as: bot\n  call: {server: desk, tol: x}\n  expect: allow", `a.test.yaml:5:24: unknown field "tol"`},
		{head + "never:\n- {name: n, call: {server: desk}, unless: {rol: support}}", `a.test.yaml:5:44: unknown field "rol"`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket}, expect: maybe}", "a.test.yaml:5:70: "},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket}, expect: {deny: a, hold: [b]}}", "a.test.yaml:5:70: expect is allow"},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket}, expect: {deny: nope}}", `a.test.yaml:5:1: there is no rule "nope"`},
		{head + "tests:\n- {name: n, as: bto, call: {server: desk, tool: get_ticket}, expect: deny}", `a.test.yaml:5:1: there is no agent "bto" in this suite`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_tickets}, expect: deny}", `a.test.yaml:5:1: desk/tool:get_tickets is not pinned`},
		{head + "tests:\n- {name: n, as: bot, call: {server: dsk, resource: x}, expect: deny}", `a.test.yaml:5:1: there is no server "dsk"`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: x}, untrusted: [idd]}, expect: deny}", `a.test.yaml:5:1: the call sends nothing at idd`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket, args: {id: x}, run: {sawuntrusted: true}}, expect: deny}", `a.test.yaml:5:82: unknown field "sawuntrusted"`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: a, prompt: b}, expect: deny}", `a.test.yaml:5:1: a call needs a server and one of`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, ask: nothing}, expect: deny}", `a.test.yaml:5:1: a call needs a server and one of`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket}}", `a.test.yaml:5:1: a step needs call and expect`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket}, expect: deny, result: x}", `a.test.yaml:5:1: a step needs call and expect, result only together with release`},
		{head + "tests:\n- {name: n, as: bot}", `a.test.yaml:5:1: a test needs a name, and either call with expect, or steps`},
		{head + "tests:\n- {as: bot, call: {server: desk, tool: get_ticket}, expect: deny}", `a.test.yaml:5:1: a test needs a name`},
		{head + "tests:\n- {name: n, as: bot, expect: deny, steps: []}", `a.test.yaml:5:1: a test needs a name, and either`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket, args: {a: .inf}}, expect: deny}", `a.test.yaml:5:71: this can't be an argument`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket, args: {a: 0x1F}}, expect: deny}", `a.test.yaml:5:`},
		{head + "tests:\n- {name: n, as: bot, call: {server: desk, tool: get_ticket, args: {a: 1, a: 2}}, expect: deny}", `a.test.yaml:5:`},
		{strings.Replace(head, "role: support", "role: suport", 1) + "tests:\n- {name: n, as: bot, call: {server: desk, resource: x}, expect: deny}", `a.test.yaml:5:1: agent "bot" has the role "suport", which is not declared`},
		{strings.Replace(head, "for: ana", "for: eve", 1) + "tests:\n- {name: n, as: lead, call: {server: desk, resource: x}, expect: deny}", `a.test.yaml:5:1: agent "lead" acts for "eve", who is neither`},
		{head + "matrix:\n- {role: suport, servers: {}}", `a.test.yaml:5:1: role "suport" is not declared`},
		{head + "matrix:\n- {role: support, servers: {desk: {raed: deny}}}", `a.test.yaml:5:1: there is no effect "raed"`},
		{head + "matrix:\n- {role: support, servers: {desk: {read: alow}}}", `a.test.yaml:5:1: desk read: expected allow, hold or deny, not "alow"`},
		{head + "matrix:\n- {role: support, servers: {desk: {exec: deny}}}", `a.test.yaml:5:1: no tool of desk has the effect exec`},
		{head + "matrix:\n- {role: support, servers: {dsk: {exec: deny}}}", `a.test.yaml:5:1: there is no server "dsk"`},
		{head + "never:\n- {name: n, call: {tool: nothing}}", `a.test.yaml:5:1: "n" is about nothing`},
		{head + "never:\n- {call: {tool: refund}}", `a.test.yaml:5:1: an invariant needs a name`},
		{"suite: s\n a: [", `a.test.yaml:`},
	} {
		_, err := Run(rules(t, text), world(t), suites(c.suite))
		problems, ok := err.(policy.Problems)
		if !ok || len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.suite, err, c.want)
		}
	}
}

func TestCoverageAndOrder(t *testing.T) {
	suite := head + `tests:
- {name: n, as: bot, call: {server: desk, tool: refund, args: {customer: c, amount: 600}}, expect: hold}
matrix:
- {role: support, servers: {desk: {read: allow, pay: allow}, cloud: {read: allow, exec: deny}}}
`
	run := func() (string, string) {
		report, err := Run(rules(t, text), world(t), suites(strings.Replace(suite, "suite: s", "suite: z", 1), suite))
		if err != nil {
			t.Fatal(err)
		}
		var results, coverage []string
		for _, r := range report.Results {
			results = append(results, r.File+" "+r.Suite+" "+r.Name)
		}
		for _, c := range report.Coverage {
			switch {
			case c.Fired > 0:
				coverage = append(coverage, c.Rule.ID+" fired")
			case c.Judged > 0:
				coverage = append(coverage, c.Rule.ID+" judged")
			default:
				coverage = append(coverage, c.Rule.ID+" never")
			}
		}
		return strings.Join(results, "\n"), strings.Join(coverage, ", ")
	}
	results, coverage := run()
	if want := "reads fired, pays fired, ask fired, mail never, big never, slow never, unused never, keys never"; coverage != want {
		t.Errorf("%s\nwant %s", coverage, want)
	}
	for range 5 {
		if again, _ := run(); again != results || !strings.HasPrefix(results, "a.test.yaml z n\na.test.yaml z support on cloud: read allow\na.test.yaml z support on cloud: exec deny\na.test.yaml z support on desk: read allow") {
			t.Fatalf("another order:\n%s\n%s", results, again)
		}
	}
}

func TestArgumentsKeepTheirDigits(t *testing.T) {
	s, problem := parse(policy.File{Name: "x", Text: []byte(`suite: s
tests:
- name: n
  as: bot
  call:
    server: desk
    tool: t
    args: {big: 9007199254740993, money: 12.50, s: "1", t: yes, n: null, b: true, l: [1, {a: x}], "q r": 'single', neg: -0.10}
  expect: deny
`)})
	if problem != nil {
		t.Fatal(problem)
	}
	want := `{"big":9007199254740993,"money":12.50,"s":"1","t":"yes","n":null,"b":true,"l":[1,{"a":"x"}],"q r":"single","neg":-0.10}`
	if got := string(s.Tests[0].it.Call.Args.Raw()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A permit that may apply before the arguments are known has not applied.
func TestCoverageIsNotWhatMayBe(t *testing.T) {
	const never = `@id("both") permit (principal in Role::"support", action == Action::"desk/tool:refund", resource) when { context.input.customer == "a" && context.input.customer == "b" };
@id("asks") @ask("finance") forbid (principal, action == Action::"desk/tool:get_ticket", resource);
@id("reads") permit (principal in Role::"support", action == Action::"desk/tool:get_ticket", resource);
@id("no") forbid (principal, action in Action::"server:cloud", resource);`
	report, err := Run(rules(t, never), world(t), suites(head+"matrix:\n- {role: support, servers: {desk: {pay: deny}}}\nnever:\n- {name: n, call: {server: cloud}}\n- {name: m, call: {server: desk, tool: get_ticket}, unless: {held: true}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, c := range report.Coverage {
		got[c.Rule.ID] = c.Fired > 0
	}
	if got["both"] || !got["no"] || !got["asks"] {
		t.Errorf("made to apply: %v", got)
	}
}
