package policy

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
)

const flowPolicy = `
@id("mail") permit (principal, action == Action::"desk/tool:send_email", resource);
@id("refunds") permit (principal, action == Action::"desk/tool:refund", resource);

@id("payee") @because("The customer comes from text that others can write.")
forbid (principal, action == Action::"desk/tool:refund", resource)
when { context.untrusted.contains("customer") };

@id("secrets") @ask("finance")
forbid (principal, action == Action::"desk/tool:send_email", resource)
when { context.private.contains("body") && !context.private.contains("to") };

@id("misled") @ask("finance")
forbid (principal, action == Action::"desk/tool:send_email", resource)
when { context.run.sawUntrusted && context.critical.containsAny(context.unknown) };

@id("not after money")
forbid (principal, action == Action::"desk/tool:send_email", resource)
when { context.run.did.contains("pay") };

@id("scope") @ask("finance")
forbid (principal, action == Action::"desk/tool:refund", resource)
when { context.run.outside };
`

// flow is a flow with these paths under suspicion.
func flow(labels sallyport.Labels, paths ...string) *sallyport.Flow {
	f := &sallyport.Flow{Run: labels}
	for _, path := range paths {
		path, what, _ := strings.Cut(path, " ")
		t := sallyport.Trace{Path: path, Origin: sallyport.Origin{Writer: sallyport.WriterUser, Readers: sallyport.ReadersPublic}}
		for what := range strings.FieldsSeq(what) {
			switch what {
			case "untrusted":
				t.Origin.Writer = sallyport.WriterUntrusted
			case "unknown":
				t.Origin.Writer = sallyport.WriterUnknown
			case "private":
				t.Origin = sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: sallyport.ReadersPrivate}
			case "critical":
				t.Critical = true
			}
		}
		f.Traces = append(f.Traces, t)
	}
	return f
}

func TestFlow(t *testing.T) {
	r := load(t, flowPolicy)
	const mail, refund = `{"to":"a","subject":"s","body":"b"}`, `{"customer":"c","amount":1}`
	none := sallyport.Labels{}
	for _, c := range []struct {
		name, action, args string
		flow               *sallyport.Flow
		verdict            sallyport.Verdict
		rules              string
	}{
		{"nothing suspect", "desk/tool:refund", refund, flow(none, "customer", "amount"), sallyport.Allow, "refunds"},
		{"another path", "desk/tool:refund", refund, flow(none, "customer", "amount untrusted"), sallyport.Allow, "refunds"},
		{"that path", "desk/tool:refund", refund, flow(none, "customer untrusted", "amount"), sallyport.Deny, "payee"},
		{"a value below that path", "desk/tool:refund", refund, flow(none, "customer[3].id untrusted"), sallyport.Deny, "payee"},
		{"a longer name", "desk/tool:refund", refund, flow(none, "customers untrusted"), sallyport.Allow, "refunds"},
		{"an odd name", "desk/tool:refund", refund, flow(none, `["customer"] untrusted`), sallyport.Allow, "refunds"},
		{"unknown is not untrusted", "desk/tool:refund", refund, flow(none, "customer unknown"), sallyport.Allow, "refunds"},
		{"too much to trace", "desk/tool:refund", refund, &sallyport.Flow{Traces: []sallyport.Trace{{Path: "amount", Origin: sallyport.Origin{Writer: sallyport.WriterUser}}, {}}}, sallyport.Deny, "payee"},
		{"nobody knows", "desk/tool:refund", refund, nil, sallyport.Deny, "payee"},
		{"outside the task", "desk/tool:refund", refund, &sallyport.Flow{Outside: "the task asks for no payment"}, sallyport.Hold, "scope"},
		{"private, to whom it is private", "desk/tool:send_email", mail, flow(none, "to private", "body private"), sallyport.Allow, "mail"},
		{"private, to others", "desk/tool:send_email", mail, flow(none, "to", "body private"), sallyport.Hold, "secrets"},
		{"private, and dictated by the user", "desk/tool:send_email", mail, &sallyport.Flow{Traces: []sallyport.Trace{
			{Path: "body", Origin: sallyport.Origin{Writer: sallyport.WriterUser}}}}, sallyport.Allow, "mail"},
		{"made up", "desk/tool:send_email", mail, flow(none, "to critical unknown"), sallyport.Allow, "mail"},
		{"made up by who may be misled", "desk/tool:send_email", mail, flow(sallyport.Labels{SawUntrusted: true}, "to critical unknown"), sallyport.Hold, "misled"},
		{"made up, but not critical", "desk/tool:send_email", mail, flow(sallyport.Labels{SawUntrusted: true}, "to critical", "body unknown"), sallyport.Allow, "mail"},
		{"a sequence", "desk/tool:send_email", mail, flow(sallyport.Labels{Did: []sallyport.Effect{sallyport.Read, sallyport.Pay}}), sallyport.Deny, "not after money"},
		{"nobody knows the sequence", "desk/tool:send_email", mail, nil, sallyport.Deny, "not after money"},
	} {
		facts := call(t, c.action, c.args)
		facts.Flow = c.flow
		if d := Decide(r, facts); d.Verdict != c.verdict || names(d.Rules) != c.rules {
			t.Errorf("%s: %s by %s (%s)", c.name, d.Verdict, names(d.Rules), d.Reason)
		}
		facts.Partial = true
		if d := Decide(r, facts); d.Verdict == sallyport.Deny {
			t.Errorf("%s: refused before it is known where the arguments come from: %s", c.name, d.Reason)
		}
	}
}

// A permit that needs to know where arguments came from does not hold when
// nobody knows.
func TestFlowOfNobody(t *testing.T) {
	r := load(t, `permit (principal, action == Action::"desk/tool:refund", resource)
when { context.untrusted.isEmpty() && context.unknown.isEmpty() && context.private.isEmpty() && !context.run.sawUntrusted };`)
	facts := call(t, "desk/tool:refund", `{"customer":"c","amount":1}`)
	if d := Decide(r, facts); d.Verdict != sallyport.Deny {
		t.Errorf("%s without a flow", d.Verdict)
	}
	facts.Flow = &sallyport.Flow{}
	if d := Decide(r, facts); d.Verdict != sallyport.Allow {
		t.Errorf("%s: %s", d.Verdict, d.Reason)
	}
}

func TestFlowProblems(t *testing.T) {
	for condition, want := range map[string]string{
		`context.untrusted.contains("custmer")`:                     `p.cedar:2:35: context.untrusted is never "custmer"; did you mean "customer"?`,
		`context.private.containsAny(["customer", "amount", "to"])`: `context.private is never "to"`,
		`context.run.did.contains("paid")`:                          `context.run.did is never "paid"; did you mean "pay"?`,
		`context.run.sawUntrused`:                                   `p.cedar:2:20: no action in this rule's scope has context.run.sawUntrused; did you mean "sawUntrusted"?`,
		`context.untrusted == "customer"`:                           `p.cedar:2`,
		`context.tainted.isEmpty()`:                                 `no action in this rule's scope has context.tainted`,
	} {
		_, err := Load(files("p.cedar", "forbid (principal, action == Action::\"desk/tool:refund\", resource)\nwhen { "+condition+" };"), pinned(t), declared)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

// A rule about an effect that no tool has yet waits for one: the flow rules
// come with every gateway, whatever its servers do. What is misspelt in it is
// found all the same.
func TestFlowOfEffectsThatNoToolHas(t *testing.T) {
	rule := func(condition string) []File {
		return files("p.cedar", "forbid (principal, action in Action::\"effect:access\", resource)\nwhen { "+condition+" };")
	}
	for _, a := range load(t, "permit (principal, action, resource);").actions {
		if slices.Contains(a.effects, sallyport.Access) {
			t.Fatalf("%s has the effect", a.key())
		}
	}
	if _, err := Load(rule(`context.run.sawUntrusted && (context.run.outside || !context.unlinked.isEmpty())`), pinned(t), declared); err != nil {
		t.Error(err)
	}
	for condition, want := range map[string]string{
		`context.run.sawUntrused`:                              `has context.run.sawUntrused; did you mean "sawUntrusted"?`,
		`context.input.amount.greaterThan(decimal("1.0"))`:     `has context.input.amount`,
		`context.unliked.isEmpty() && context.user.name == ""`: `has context.unliked; did you mean "unlinked"?`,
	} {
		if _, err := Load(rule(condition), pinned(t), declared); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", condition, err)
		}
	}
}
