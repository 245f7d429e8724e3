package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport"
)

const before = `
@id("reads") permit (principal in Role::"support", action in Action::"effect:read", resource);
@id("refunds") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("1000.0")) };
@id("ask") @ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };
@id("no") @because("No.") forbid (principal in Tenant::"acme", action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 3 } unless { context.input.size == "small" };
@id("keys") @on("result") forbid (principal, action, resource) when { context.result.text like "*KEY*" };
`

func TestCompare(t *testing.T) {
	edit := func(from, to string) string {
		if !strings.Contains(before, from) {
			t.Fatalf("no %q", from)
		}
		return strings.Replace(before, from, to, 1)
	}
	line := func(id string) string {
		start := strings.Index(before, `@id("`+id+`")`)
		return before[start : start+strings.Index(before[start:], "\n")+1]
	}
	for _, c := range []struct{ name, after, want string }{
		{"the same", before, ""},
		{"comments and blanks", "// hello\n" + strings.ReplaceAll(before, ", ", ",  "), ""},
		{"order", line("keys") + line("no") + line("ask") + line("refunds") + line("reads"), ""},
		{"another because", edit("No.", "Never."), ""},
		{"another name for a permit", edit(`@id("reads")`, `@id("read-all")`), ""},
		{"another name for a forbid", edit(`@id("no")`, `@id("not")`), ""},
		{"a permit removed", edit(line("reads"), ""), ""},
		{"a permit with conditions removed", edit(line("refunds"), ""), ""},
		{"everything removed", "", "ask,no,keys"},
		{"a forbid added", before + "forbid (principal, action, resource);", ""},
		{"a question added", before + `@ask("legal") forbid (principal, action, resource);`, ""},
		{"a condition added to a permit", edit(`decimal("1000.0")) }`, `decimal("1000.0")) && context.input.customer != "x" }`), ""},
		{"a condition added to a permit, elsewhere", edit(`decimal("1000.0")) }`, `decimal("1000.0")) } unless { principal in Role::"analyst" }`), ""},
		{"a permit for fewer agents", edit(`permit (principal,`, `permit (principal in Role::"support",`), ""},
		{"a permit for fewer actions", edit(`action in Action::"effect:read", resource`, `action == Action::"desk/tool:get_ticket", resource`), ""},
		{"a permit for one server", edit(`action in Action::"effect:read", resource`, `action in Action::"effect:read", resource == Server::"desk"`), ""},
		{"a question becomes a refusal", edit(`@ask("finance") `, ""), ""},
		{"a forbid for more agents", edit(`forbid (principal in Tenant::"acme",`, `forbid (principal,`), ""},
		{"the groups in another spelling", edit(`@ask("finance")`, `@ask(" finance,finance ")`), ""},

		{"a permit added", before + `@id("new") permit (principal, action == Action::"desk/tool:delete_ticket", resource);`, "new"},
		{"a condition removed from a permit", edit(`when { context.input.amount.lessThan(decimal("1000.0")) }`, ""), "refunds"},
		{"a condition changed", edit("1000.0", "2000.0"), "refunds"},
		{"a permit for more agents", edit(`permit (principal in Role::"support",`, "permit (principal,"), "reads"},
		{"a permit for another role", edit(`permit (principal in Role::"support",`, `permit (principal in Role::"analyst",`), "reads"},
		{"a permit for more actions", edit(`action == Action::"desk/tool:refund", resource) when { context.input.amount.less`, `action in Action::"effect:pay", resource) when { context.input has amount && context.input.amount.less`), "refunds"},
		{"a forbid removed", edit(line("no"), ""), "no"},
		{"a forbid for fewer agents", edit(`forbid (principal in Tenant::"acme",`, `forbid (principal in Role::"analyst",`), "no"},
		{"a forbid for another action", edit(line("no"), `@id("no") forbid (principal in Tenant::"acme", action == Action::"cloud/tool:list_instances", resource);`), "no"},
		{"a question for another action", edit(`forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) }`, `forbid (principal, action == Action::"desk/tool:get_ticket", resource)`), "ask"},
		{"a rule about results for one action", edit(`forbid (principal, action, resource) when { context.result`, `forbid (principal, action == Action::"desk/tool:get_ticket", resource) when { context.result`), "keys"},
		{"a rule about results in one server", edit(`forbid (principal, action, resource) when { context.result`, `forbid (principal, action, resource in Server::"desk") when { context.result`), "keys"},
		{"a rule about results for what is in one server", edit(`forbid (principal, action, resource) when { context.result`, `forbid (principal, action, resource is Server in Server::"desk") when { context.result`), "keys"},
		{"a rule about results for what is in one role", edit(`forbid (principal, action, resource) when { context.result`, `forbid (principal is Agent in Role::"support", action, resource) when { context.result`), "keys"},
		{"a rule about results for one server", edit(`forbid (principal, action, resource) when { context.result`, `forbid (principal, action, resource == Server::"desk") when { context.result`), "keys"},
		{"a condition added to a forbid", edit("context.input.count > 3", `context.input.count > 3 && context.input has tags`), "no"},
		{"a forbid from a higher number", edit("context.input.count > 3", `context.input.count > 4`), "no"},
		{"a forbid from a lower number", edit("context.input.count > 3", `context.input.count > 2`), ""},
		{"a refusal becomes a question", edit(`@because("No.")`, `@ask("finance")`), "no"},
		{"others are asked", edit(`@ask("finance")`, `@ask("legal")`), "ask"},
		{"more are asked", edit(`@ask("finance")`, `@ask("finance, legal")`), "ask"},
		{"a question removed", edit(line("ask"), ""), "ask"},
		{"a rule about results removed", edit(line("keys"), ""), "keys"},
		{"a rule about results asks", edit(`@on("result")`, `@on("result") @ask("legal")`), "keys"},
		{"a forbid becomes a permit", edit(`@because("No.") forbid`, "permit"), "no,no"},
		// Two rules may look at the same argument, and one of them go: calls on
		// which it could not be judged were refused by it alone.
		{"a permit that refused what it could not judge", edit(line("refunds"), `@id("all") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("1000.0")) && context.input.customer == "x" };`), ""},
	} {
		var got []string
		for _, l := range Compare(load(t, before), load(t, c.after)) {
			got = append(got, l.Rule.ID)
			if l.Pin || l.Text == "" || l.Rule.Line == 0 {
				t.Errorf("%s: %+v", c.name, l)
			}
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: looser by %q, want %q", c.name, got, c.want)
		}
	}
}

// What people do to a policy to make it tighter is taken for that, and asks
// nobody anything; the same the other way round waits.
func TestCompareTightenings(t *testing.T) {
	for _, c := range []struct{ name, loose, tight string }{
		{"a lower limit", `permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("1000.0")) };`, `permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("500.0")) };`},
		{"a lower count", `permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count <= 5 };`, `permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count <= 3 };`},
		{"a shorter list", `permit (principal, action == Action::"desk/tool:send_email", resource) when { ["a", "b"].contains(context.input.to) };`, `permit (principal, action == Action::"desk/tool:send_email", resource) when { ["b"].contains(context.input.to) };`},
		{"one word of a list", `permit (principal, action == Action::"desk/tool:send_email", resource) when { ["a", "b"].contains(context.input.to) };`, `permit (principal, action == Action::"desk/tool:send_email", resource) when { context.input.to == "a" };`},
		{"a deeper folder", `permit (principal, action == Action::"desk/resource:read", resource) when { context.input.uri like "file:///srv/*" };`, `permit (principal, action == Action::"desk/resource:read", resource) when { context.input.uri like "file:///srv/a/*" };`},
		{"fewer that copies go to", `permit (principal, action == Action::"desk/tool:send_email", resource) when { context.input has cc && ["a", "b"].containsAll(context.input.cc) };`, `permit (principal, action == Action::"desk/tool:send_email", resource) when { context.input has cc && ["a"].containsAll(context.input.cc) };`},
		{"one alternative less, about the user", `permit (principal, action, resource) when { principal in Role::"support" || context.user.tenant == "acme" };`, `permit (principal, action, resource) when { principal in Role::"support" };`},
		{"an exception gone", `permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:refund", resource) unless { principal in Role::"support" || principal in Role::"analyst" };`, `permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:refund", resource) unless { principal in Role::"support" };`},
		{"a forbid from a lower amount", `permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };`, `permit (principal, action, resource);
forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("400.0")) };`},
		{"a question from a lower amount", `permit (principal, action, resource);
@ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };`, `permit (principal, action, resource);
@ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("400.0")) };`},
		{"more words that are forbidden", `permit (principal, action, resource);
forbid (principal, action == Action::"cloud/tool:run_command", resource) when { ["a"].contains(context.input.host) };`, `permit (principal, action, resource);
forbid (principal, action == Action::"cloud/tool:run_command", resource) when { ["a", "b"].contains(context.input.host) };`},
		{"one role instead of everybody", `permit (principal, action, resource);`, `permit (principal in Role::"support", action, resource);`},
		{"an action less", `permit (principal, action in [Action::"desk/tool:refund", Action::"desk/tool:get_ticket"], resource);`, `permit (principal, action in [Action::"desk/tool:get_ticket"], resource);`},
		{"a question about what was free", `permit (principal, action, resource);`, `permit (principal, action, resource);
@ask("finance") forbid (principal, action, resource);`},
		{"a refusal instead of a question", `permit (principal, action, resource);
@ask("finance") forbid (principal, action, resource);`, `permit (principal, action, resource);
forbid (principal, action, resource);`},
	} {
		loose, tight := load(t, c.loose), load(t, c.tight)
		if l := Compare(loose, tight); l != nil {
			t.Errorf("%s is taken for looser: %v", c.name, l)
		}
		if l := Compare(tight, loose); l == nil {
			t.Errorf("undoing it is taken for tighter: %s", c.name)
		}
	}
}

// A forbid also refuses what it can't be judged on. One that fires more often
// but looks at less lets that through.
func TestCompareForbidThatLooksAtLess(t *testing.T) {
	const rest = "permit (principal, action, resource);\n"
	two := load(t, rest+`@id("f") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) && context.input.customer == "x" };`)
	one := load(t, rest+`@id("f") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("500.0")) };`)
	if l := Compare(two, one); len(l) != 1 || l[0].Rule.ID != "f" {
		t.Errorf("%v", l)
	}
	facts := call(t, "desk/tool:refund", `{"customer":null,"amount":1}`)
	if Decide(two, facts).Verdict >= Decide(one, facts).Verdict {
		t.Error("then it need not be looser")
	}
}

// Where a forbid can fail, which refuses, a wider one that can't is not wider.
func TestCompareForbidThatFails(t *testing.T) {
	const rest = "permit (principal, action, resource);\n"
	fails := load(t, rest+`@id("f") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 1 && context.input.count + 9223372036854775800 > 5 };`)
	calm := load(t, rest+`@id("f") @ask("finance") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 1 };`)
	asks := load(t, rest+`@id("f") @ask("finance") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 1 && context.input.count + 9223372036854775800 > 5 };`)
	if l := Compare(asks, calm); len(l) != 1 {
		t.Errorf("%v", l)
	}
	facts := call(t, "cloud/tool:create_instance", `{"size":"small","count":100}`)
	if Decide(asks, facts).Verdict >= Decide(calm, facts).Verdict {
		t.Error("then it need not be looser")
	}
	if l := Compare(asks, fails); l != nil {
		t.Errorf("%v", l)
	}
}

func TestCompareNothing(t *testing.T) {
	r := load(t, before)
	if l := Compare(r, nil); l != nil {
		t.Errorf("refusing everything is looser: %v", l)
	}
	if l := Compare(r, &Rules{}); l != nil {
		t.Errorf("refusing everything is looser: %v", l)
	}
	for _, old := range []*Rules{nil, {}} {
		if l := Compare(old, r); len(l) != 2 {
			t.Errorf("a first policy is looser by %v", l)
		}
	}
}

// A permit also refuses, what it can't be judged on.
func TestComparePermitThatRefused(t *testing.T) {
	both := `@id("a") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("9.0")) };
@id("b") permit (principal, action, resource);`
	one := `@id("b") permit (principal, action, resource);`
	if l := Compare(load(t, both), load(t, one)); len(l) != 1 || l[0].Rule.ID != "b" || !strings.Contains(l[0].Text, `"a" (p.cedar:1)`) {
		t.Errorf("%v", l)
	}
	facts := call(t, "desk/tool:refund", `{"customer":"c","amount":null}`)
	if Decide(load(t, both), facts).Verdict >= Decide(load(t, one), facts).Verdict {
		t.Error("then it need not be looser")
	}
	apart := strings.Replace(both, "permit (principal, action, resource)", `permit (principal, action in Action::"server:cloud", resource)`, 1)
	if l := Compare(load(t, apart), load(t, strings.SplitN(apart, "\n", 2)[1])); l != nil {
		t.Errorf("%v", l)
	}
}

func TestCompareWithoutATool(t *testing.T) {
	text := `permit (principal, action in Action::"server:desk", resource) when { context.input has limit && context.input.limit < 5 };
forbid (principal, action in Action::"server:desk", resource) when { context.input has id && context.input.id == "x" };`
	fewer, err := Load(files("p.cedar", text), pinned(t)[1:], declared)
	if err != nil {
		t.Fatal(err)
	}
	if l := Compare(load(t, text), fewer); l != nil {
		t.Errorf("%v", l)
	}
	more := `@id("a") permit (principal, action in Action::"effect:read", resource) when { context.opaque.isEmpty() };` + "\n"
	rest := `@id("b") permit (principal, action == Action::"desk/tool:list_tickets", resource);`
	if fewer, err = Load(files("p.cedar", rest), pinned(t)[1:], declared); err != nil {
		t.Fatal(err)
	}
	if l := Compare(load(t, more+rest), fewer); len(l) != 1 || l[0].Rule.ID != "b" {
		t.Errorf("%v", l)
	}
}

// What guards the calls that a removed permit refused, and what doesn't.
func TestCompareGuards(t *testing.T) {
	const a = `@id("a") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("9.0")) };` + "\n"
	const b = `@id("b") permit (principal, action, resource);` + "\n"
	const sum = `@id("a") permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count + 9223372036854775800 > 5 };` + "\n"
	for _, c := range []struct{ name, gone, rest, want string }{
		{"a forbid that looks at as much", a, b + `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("0.0")) };`, ""},
		{"one of other agents", a, b + `forbid (principal in Role::"analyst", action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("0.0")) };`, "b"},
		{"one of another action", a, b + `forbid (principal, action == Action::"desk/tool:send_email", resource) when { context.input.to == "x" };`, "b"},
		{"one about results", a, b + `@on("result") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("0.0")) };`, "b"},
		{"a look at something else", a, b + `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "x" };`, "b"},
		{"no permit that could let anything through", a, `forbid (principal, action == Action::"desk/tool:refund", resource);`, ""},
		{"the permit itself looks at as much", a, `@id("b") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("1.0")) };`, ""},
		{"a sum that fails, and a look that doesn't", sum, `@id("b") permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count > 0 };`, "b"},
		{"a sum that always fails", `@id("a") permit (principal, action, resource) when { 9223372036854775807 + 1 > 5 };` + "\n", b, "b"},
		{"an offset that always fails", `@id("a") permit (principal, action, resource) when { datetime("9999-12-31").offset(duration("9223372036854775807ms")) > datetime("2026-01-01") };` + "\n", b, "b"},
		{"one agent, and all of a role", strings.Replace(a, "principal", `principal == Agent::"bot"`, 1), strings.Replace(b, "principal", `principal in Role::"support"`, 1), "b"},
		{"two agents", strings.Replace(a, "principal", `principal == Agent::"bot"`, 1), strings.Replace(b, "principal", `principal == Agent::"ops"`, 1), ""},
		{"a narrower permit that looks at as much", a, `@id("b") permit (principal in Role::"support", action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("1.0")) };`, ""},
		{"a sum that fails, kept first", sum, strings.Replace(strings.Replace(sum, `"a"`, `"b"`, 1), "> 5 }", "> 5 && context.input.size == \"small\" }", 1), ""},
	} {
		var got []string
		for _, l := range Compare(load(t, c.gone+c.rest), load(t, c.rest)) {
			got = append(got, l.Rule.ID)
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: looser by %q, want %q", c.name, got, c.want)
		}
	}
}

// A permit that keeps its name and looks at less no longer refuses what it did.
func TestCompareNamesakeThatLooksAtLess(t *testing.T) {
	const old = `@id("a") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("9.0")) && context.input.customer == "x" };
@id("b") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "x" };
`
	new := strings.Replace(old, `context.input.amount.lessThan(decimal("9.0")) && `, "", 1)
	if l := Compare(load(t, old), load(t, new)); len(l) != 1 || l[0].Rule.ID != "a" {
		t.Errorf("%v", l)
	}
	facts := call(t, "desk/tool:refund", `{"customer":"x","amount":null}`)
	if Decide(load(t, old), facts).Verdict >= Decide(load(t, new), facts).Verdict {
		t.Error("then it need not be looser")
	}
}

// Where evaluating can fail, a condition that comes first can keep it from that.
func TestCompareSums(t *testing.T) {
	const was = `permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count + 9223372036854775800 > 5 };`
	const calm = `permit (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count < 5 };`
	for _, c := range []struct {
		old, new string
		looser   bool
	}{
		{was, was, false},
		{was, strings.Replace(was, "> 5 }", `> 5 && context.input.size == "small" }`, 1), false},
		{was, strings.Replace(was, "when {", `when { context.input.size == "small" && `, 1), true},
		{was, strings.Replace(was, "> 5", "> 6", 1), true},
		{was, strings.Replace(was, "when { context.input.count + 9223372036854775800 > 5 }", "", 1), true},
		{calm, strings.Replace(calm, "when {", `when { context.input.size == "small" && `, 1), false},
	} {
		if l := Compare(load(t, c.old), load(t, c.new)); (len(l) > 0) != c.looser {
			t.Errorf("%s\n%s\n%v", c.old, c.new, l)
		}
	}
}

// seesAll answers yes only when it is so, for every argument that could be
// hidden.
func TestSeesAll(t *testing.T) {
	var paths [][]string
	for _, p := range []string{"", "a", "b", "a a", "a b", "b a", "a a a", "a a b"} {
		paths = append(paths, strings.Fields(p))
	}
	looks := []read{{opaque: true}}
	for _, p := range paths {
		looks = append(looks, read{path: p}, read{path: p, exists: true})
	}
	for _, was := range looks {
		for _, l := range looks {
			covers := true
			for _, p := range paths {
				covers = covers && (!was.touches(p) || l.touches(p))
			}
			if got := seesAll(&rule{reads: []read{l}}, &rule{reads: []read{was}}); got && !covers {
				t.Errorf("%+v does not see all of %+v", l, was)
			}
		}
	}
	look := func(path string, exists bool) []read { return []read{{path: strings.Fields(path), exists: exists}} }
	for _, c := range []struct{ g, was []read }{
		{look("a", false), look("a", false)}, {look("a", false), look("a", true)}, {look("a", false), look("a b", false)}, {look("a", false), look("a b", true)},
		{look("a", true), look("a", true)}, {look("a b", true), look("a", true)}, {look("a b", false), look("a", true)}, {look("a", true), []read{{opaque: true}}},
		{append(look("b", true), look("a", false)...), append(look("a c", false), look("b", true)...)},
	} {
		if !seesAll(&rule{reads: c.g}, &rule{reads: c.was}) {
			t.Errorf("%+v sees all of %+v", c.g, c.was)
		}
	}
	if seesAll(&rule{}, &rule{reads: []read{{path: []string{"a"}}}}) || !seesAll(&rule{}, &rule{}) {
		t.Error("without looks")
	}
}

func TestCompareStages(t *testing.T) {
	call := `@id("x") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "x" };`
	for _, c := range []struct{ old, new, want string }{
		{call, `@on("result") ` + call, "x: no longer forbids all that it did, or asks others"},
		{`@on("result") ` + call, call, "x: no longer forbids all that it did, or asks others"},
		{call, strings.Replace(call, `"x"`, `"y"`, 1) + "forbid (principal, action == Action::\"desk/tool:delete_ticket\", resource);", ""},
		{call, "", "x: is a forbid that is gone"},
		{`@id("x") forbid (principal, action, resource == Server::"desk");`, `@id("x") forbid (principal, action, resource == Server::"cloud");`, "x: no longer forbids all that it did, or asks others"},
		{`@id("x") permit (principal, action, resource == Server::"desk");`, `@id("x") permit (principal, action, resource == Server::"cloud");`, "x: permits something else than before"},
		{`@ask("legal, finance") ` + call, `@ask("finance, legal") ` + call, ""},
		{`permit (principal, action == Action::"desk/tool:refund", resource);`, `@id("n") permit (principal, action == Action::"desk/tool:get_ticket", resource);`, "n: is a new permit"},
		{`@id("n") permit (principal, action == Action::"desk/tool:refund", resource);`, `@id("n") permit (principal, action == Action::"desk/tool:get_ticket", resource);`, "n: permits something else than before"},
	} {
		got := ""
		for _, l := range Compare(load(t, c.old), load(t, c.new)) {
			got += l.Rule.ID + ": " + l.Text
		}
		if got != c.want {
			t.Errorf("%s\n%s\n got %s\nwant %s", c.old, c.new, got, c.want)
		}
	}
}

func TestComparePermitThatAskedWhatIsOpaque(t *testing.T) {
	both := `@id("a") permit (principal, action == Action::"desk/tool:refund", resource) when { context.opaque.isEmpty() };
@id("b") permit (principal, action, resource);`
	one := `@id("b") permit (principal, action, resource);`
	if l := Compare(load(t, both), load(t, one)); len(l) != 1 || l[0].Rule.ID != "b" {
		t.Errorf("%v", l)
	}
	facts := call(t, "desk/tool:refund", `[]`)
	if Decide(load(t, both), facts).Verdict >= Decide(load(t, one), facts).Verdict {
		t.Error("then it need not be looser")
	}
}

func TestComparePins(t *testing.T) {
	text := `@id("reads") permit (principal, action in Action::"effect:read", resource);
@id("pays") permit (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(decimal("9.0")) };
@id("tests") permit (principal, action == Action::"desk/tool:delete_ticket", resource) when { action in Action::"effect:delete" };
@id("role") permit (principal, action == Action::"desk/tool:send_email", resource) when { principal in Role::"support" };
@id("no") forbid (principal, action in Action::"server:desk", resource) when { context.input has id && context.input.id == "x" };
@id("out") @on("result") forbid (principal, action == Action::"desk/tool:update_ticket", resource) when { action in Action::"effect:write" && context.result.isError };`
	find := func(defs []sallyport.Definition, name string) *sallyport.Definition {
		return &defs[slices.IndexFunc(defs, func(d sallyport.Definition) bool { return d.Name == name })]
	}
	for _, c := range []struct {
		name   string
		change func([]sallyport.Definition) []sallyport.Definition
		want   string
	}{
		{"nothing", func(d []sallyport.Definition) []sallyport.Definition { return d }, ""},
		{"another description", func(d []sallyport.Definition) []sallyport.Definition { find(d, "refund").Digest[0]++; return d }, ""},
		{"a tool gone", func(d []sallyport.Definition) []sallyport.Definition { return d[1:] }, ""},
		{"a new tool that a rule reaches", func(d []sallyport.Definition) []sallyport.Definition {
			n := d[0]
			n.Name = "more"
			return append(d, n)
		}, "reads pin"},
		{"a new tool that none reaches", func(d []sallyport.Definition) []sallyport.Definition {
			n := *find(d, "refund")
			n.Name = "more"
			return append(d, n)
		}, ""},
		{"an effect that a permit is about", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "refund").Effects = []sallyport.Effect{"read"}
			return d
		}, "reads"},
		{"an effect that a condition tests", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "delete_ticket").Effects = []sallyport.Effect{"write", "delete"}
			return d
		}, "tests pin"},
		{"an effect that a condition about results tests", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "update_ticket").Effects = []sallyport.Effect{"send"}
			return d
		}, "out pin"},
		{"an effect of a tool about which another condition is", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "send_email").Effects = []sallyport.Effect{"write"}
			return d
		}, ""},
		{"a schema that no rule looks at", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "list_instances").Raw = sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"n":{"type":"number"}}}}`)
			return d
		}, ""},
		{"an effect that no rule is about", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "refund").Effects = []sallyport.Effect{"send"}
			return d
		}, ""},
		{"a schema that a rule looks at", func(d []sallyport.Definition) []sallyport.Definition {
			find(d, "refund").Raw = sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"amount":{"type":"number"}},"required":["amount"]}}`)
			return d
		}, "pays pin,no pin"},
		{"arguments beyond the schema", func(d []sallyport.Definition) []sallyport.Definition { find(d, "refund").Undeclared = true; return d }, "pays pin,no pin"},
	} {
		r, err := Load(files("p.cedar", text), c.change(pinned(t)), declared)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range Compare(load(t, text), r) {
			id := l.Rule.ID
			if l.Pin {
				id += " pin"
			}
			got = append(got, id)
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: looser by %q, want %q", c.name, got, c.want)
		}
	}
}

// constants that stand in the atoms, and others that may stand there.
var constants = [][2]string{
	{`"500.0"`, `"5.0"`}, {`"10.0"`, `"5.0"`}, {`"10.0"`, `"500.0"`}, {`> 5`, `> 4`}, {`> 5`, `>= 5`}, {`like "a*"`, `like "ab*"`}, {`like "a*"`, `like "*"`},
	{`== "x"`, `!= "x"`}, {`["x", "y"]`, `["y"]`}, {`["x"]`, `["x", "z"]`}, {`["finance", "legal"]`, `["finance"]`}, {`== "x"`, `== "y"`},
}

// What is not looser allows nothing that was refused or held before.
func TestTighterIsTighter(t *testing.T) {
	defs := pinned(t)
	tighter, changed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var old []string
		for range rapid.IntRange(1, 5).Draw(rt, "n") {
			text := drawPolicy(rt)
			if _, err := Load(files("p.cedar", text), defs, declared); err == nil {
				old = append(old, text)
			}
		}
		new := slices.Clone(old)
		for range rapid.IntRange(1, 3).Draw(rt, "edits") {
			if len(new) == 0 {
				break
			}
			i := rapid.IntRange(0, len(new)-1).Draw(rt, "which")
			switch rapid.IntRange(0, 11).Draw(rt, "edit") {
			case 8, 9:
				swap := rapid.SampledFrom(constants).Draw(rt, "constant")
				new[i] = strings.Replace(new[i], swap[0], swap[1], 1)
			case 10:
				swap := rapid.SampledFrom(constants).Draw(rt, "constant")
				new[i] = strings.Replace(new[i], swap[1], swap[0], 1)
			case 11:
				new[i] = strings.Replace(new[i], rapid.SampledFrom([]string{" && ", " || "}).Draw(rt, "from"), rapid.SampledFrom([]string{" && ", " || "}).Draw(rt, "to"), 1)
			case 0:
				new = slices.Delete(new, i, i+1)
			case 1:
				new = append(new, drawPolicy(rt))
			case 2:
				new[i] = strings.TrimSuffix(new[i], ";") + fmt.Sprintf("\nwhen { %s };", drawCondition(rt, 1))
			case 3:
				if head, rest, ok := strings.Cut(new[i], "\nwhen {"); ok { // a condition in front of the others
					new[i] = head + fmt.Sprintf("\nwhen { %s }\nwhen {", drawCondition(rt, 1)) + rest
				}
			case 4:
				new[i] = strings.Replace(new[i], `@ask("finance") `, "", 1)
			case 5:
				new[i] = strings.Replace(new[i], "(principal,", "("+rapid.SampledFrom(principals).Draw(rt, "principal")+",", 1)
			case 6:
				new[i] = strings.Replace(new[i], ", resource)", ", resource == Server::\"desk\")", 1)
			case 7:
				new[i] = strings.Replace(new[i], "permit (", "permit ("+rapid.SampledFrom(principals).Draw(rt, "wide"), 1)
			}
		}
		a, err := Load(files("p.cedar", strings.Join(old, "\n")), defs, declared)
		if err != nil {
			rt.Fatal(err)
		}
		b, err := Load(files("p.cedar", strings.Join(new, "\n")), defs, declared)
		if err != nil || len(Compare(a, b)) > 0 {
			return
		}
		tighter++
		rt.Logf("old:\n%s\nnew:\n%s", strings.Join(old, "\n"), strings.Join(new, "\n"))
		for range 30 {
			facts := drawFacts(rt, t)
			was, is := Decide(a, facts), Decide(b, facts)
			if was.Verdict != is.Verdict {
				changed++
			}
			if was.Verdict < is.Verdict {
				rt.Fatalf("%s %s by %s: %v, now %v", facts.Call.Action(), facts.Call.Args.Raw(), facts.Call.Principal.Agent, was.Verdict, is.Verdict)
			}
		}
	})
	if tighter == 0 || changed == 0 {
		t.Errorf("the test saw %d tighter sets and %d tighter verdicts", tighter, changed)
	}
	t.Log(tighter, "tighter sets,", changed, "tighter verdicts")
}
