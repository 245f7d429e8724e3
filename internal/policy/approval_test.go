package policy

import (
	"strings"
	"testing"
	"time"

	"sallyport"
)

// agreed is a yes of all who are asked about a call now.
func agreed(t *testing.T, r *Rules, facts *sallyport.Facts) sallyport.Approval {
	t.Helper()
	held := Decide(r, facts)
	if held.Verdict != sallyport.Hold || held.Question.IsZero() {
		t.Fatalf("not held: %+v", held)
	}
	at := time.Unix(1, 0)
	a, err := sallyport.Approval{ID: "a_1", State: sallyport.Pending, Digest: held.Question, Rules: held.Rules, Class: sallyport.ClassTap, Expires: at.Add(1)}.Approve("ana", at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDecideWithApproval(t *testing.T) {
	r := load(t, deskPolicy)
	facts := call(t, "desk/tool:refund", `{"customer":"c","amount":901}`) // two rules ask
	yes := agreed(t, r, facts)
	with := func(f *sallyport.Facts, approvals ...sallyport.Approval) sallyport.Decision {
		f.Approvals = approvals
		return Decide(r, f)
	}
	other := yes
	other.Digest = sallyport.DigestOf(nil)
	if d := with(facts, other, yes); d.Verdict != sallyport.Allow || d.Approval != "a_1" || names(d.Rules) != "refunds" {
		t.Errorf("agreed to: %+v", d)
	}
	again := call(t, "desk/tool:refund", `{"amount":901,"customer":"c"}`)
	if d := with(again, yes); d.Verdict != sallyport.Allow {
		t.Errorf("the identical call: %+v", d)
	}
	for name, change := range map[string]func(a *sallyport.Approval){
		"not answered":     func(a *sallyport.Approval) { a.State = sallyport.Pending },
		"used already":     func(a *sallyport.Approval) { a.State = sallyport.Spent },
		"another digest":   func(a *sallyport.Approval) { a.Digest = sallyport.DigestOf(nil) },
		"one group":        func(a *sallyport.Approval) { a.Answers = a.Answers[:1] },
		"one rule":         func(a *sallyport.Approval) { a.Rules = a.Rules[:1] },
		"the zero of them": func(a *sallyport.Approval) { *a = sallyport.Approval{} },
	} {
		a := yes
		change(&a)
		if d := with(facts, a); d.Verdict != sallyport.Hold || d.Approval != "" {
			t.Errorf("%s: %v by %q", name, d.Verdict, d.Approval)
		}
	}
	for name, f := range map[string]*sallyport.Facts{
		"another amount":   call(t, "desk/tool:refund", `{"customer":"c","amount":902}`),
		"the same, longer": call(t, "desk/tool:refund", `{"customer":"c","amount":901.0}`),
	} {
		if d := with(f, yes); d.Verdict != sallyport.Hold {
			t.Errorf("%s: %v", name, d.Verdict)
		}
	}
	// What nobody permits, and what is refused outright, no approval allows.
	for _, text := range []string{
		`@id("refund-over-limit") @ask("finance") forbid (principal, action, resource);`,
		deskPolicy + `forbid (principal, action == Action::"desk/tool:refund", resource);`,
	} {
		facts.Approvals = []sallyport.Approval{yes}
		if d := Decide(load(t, text), facts); d.Verdict != sallyport.Deny {
			t.Errorf("%s\n%+v", text, d)
		}
	}
	// Before the arguments are known nothing is agreed to, and nothing is about
	// what comes back.
	facts.Partial = true
	if d := with(facts, yes); d.Verdict != sallyport.Hold && d.Verdict != sallyport.Allow || d.Approval != "" {
		t.Errorf("partial: %+v", d)
	}
}

// Whoever edits a rule asks anew: what people read is not what asks now.
func TestRuleDigestIsOfItsText(t *testing.T) {
	digest := func(text string) sallyport.Digest {
		for _, rule := range load(t, text).All() {
			if rule.ID == "x" {
				return rule.Digest
			}
		}
		t.Fatal("no rule x")
		return sallyport.Digest{}
	}
	base := `@id("x") @ask("finance") @because("a") forbid (principal, action, resource);`
	if digest(base).IsZero() || digest(base) != digest("// a comment\n\npermit (principal, action, resource);\n  "+base) {
		t.Error("where a rule stands is part of its text")
	}
	for _, other := range []string{
		`@id("x") @ask("finance") @because("b") forbid (principal, action, resource);`,
		`@id("x") @ask("finance, legal") @because("a") forbid (principal, action, resource);`,
		`@id("x") @ask("finance") @because("a") forbid (principal, action, resource) when { true };`,
		`@id("x") @ask("finance") @class("3") @because("a") forbid (principal, action, resource);`,
	} {
		if digest(other) == digest(base) {
			t.Errorf("%s is %s", other, base)
		}
	}
}

// What people agreed to while it was the user's own, they did not agree to once
// it is a stranger's.
func TestApprovalIsOfOrigins(t *testing.T) {
	r := load(t, deskPolicy+`@id("flow") @ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.untrusted.contains("customer") };`)
	facts := func(amount sallyport.Writer) *sallyport.Facts {
		f := call(t, "desk/tool:refund", `{"customer":"c","amount":10}`)
		f.Flow = &sallyport.Flow{Traces: []sallyport.Trace{
			{Path: "customer", Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}}, {Path: "amount", Origin: sallyport.Origin{Writer: amount}}}}
		return f
	}
	yes := agreed(t, r, facts(sallyport.WriterUser))
	for writer, want := range map[sallyport.Writer]sallyport.Verdict{sallyport.WriterUser: sallyport.Allow, sallyport.WriterUntrusted: sallyport.Hold} {
		f := facts(writer)
		f.Approvals = []sallyport.Approval{yes}
		if d := Decide(r, f); d.Verdict != want {
			t.Errorf("an amount of %s: %v", writer, d.Verdict)
		}
	}
}

// A rule that asks says of which class its question is at least, and what would
// keep it from asking.
func TestClassOfARule(t *testing.T) {
	r := load(t, `permit (principal, action, resource);
@id("a") @ask("finance") @class("3") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("900.0")) };
@id("b") @ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource);`)
	d := Decide(r, call(t, "desk/tool:refund", `{"customer":"c","amount":901}`))
	if len(d.Rules) != 2 || d.Rules[0].Class != sallyport.ClassPair || d.Rules[1].Class != 0 {
		t.Fatalf("%+v", d.Rules)
	}
	if got := d.Rules[0].Otherwise; got != "input.amount is at most 900.0" || d.Rules[1].Otherwise != "" {
		t.Errorf("%q, %q", got, d.Rules[1].Otherwise)
	}
	for text, want := range map[string]string{
		`@ask("finance") @class("4") forbid (principal, action, resource);`: `a class is "1", "2" or "3"`,
		`@ask("finance") @class forbid (principal, action, resource);`:      `a class is "1", "2" or "3"`,
		`@class("3") forbid (principal, action, resource);`:                 "@class is of a question",
		`@class("3") permit (principal, action, resource);`:                 "@class is of a question",
	} {
		if _, err := Load(files("p.cedar", text), pinned(t), declared); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	old := `permit (principal, action, resource); @id("a") @ask("finance") @class("2") forbid (principal, action, resource);`
	for class, tighter := range map[string]bool{`"1"`: false, `"2"`: true, `"3"`: true} {
		next := strings.Replace(old, `"2"`, class, 1)
		if got := Compare(load(t, old), load(t, next)); (len(got) == 0) != tighter {
			t.Errorf("class 2 to %s: %v", class, got)
		}
	}
	if got := Compare(load(t, old), load(t, strings.Replace(old, `@class("2") `, "", 1))); len(got) == 0 {
		t.Error("a class is left out, and nobody has to look")
	}
}
