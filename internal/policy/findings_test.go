package policy

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
)

const findingsPolicy = `
@id("notes") permit (principal, action == Action::"desk/tool:update_ticket", resource);
@id("reads") @mask("secret") permit (principal, action == Action::"desk/tool:get_ticket", resource) when { context.input.id == "1" };
@id("reads-all") permit (principal, action == Action::"desk/tool:get_ticket", resource);

@id("no-secrets-in-notes") forbid (principal, action == Action::"desk/tool:update_ticket", resource)
when { context.findings.contains("secret") };
@id("misled") forbid (principal, action == Action::"desk/tool:update_ticket", resource)
when { context.run.found.contains("order/override") };

@id("orders") @on("result") forbid (principal, action, resource) when { context.findings.contains("order/override") };
@id("mails") @on("result") @mask("pii/email, pii/iban") @neutralise forbid (principal, action, resource)
when { context.findings.contains("pii") };
`

func found(names ...string) (all []sallyport.Finding) {
	for _, name := range names {
		scanner, rule, _ := strings.Cut(name, "/")
		all = append(all, sallyport.Finding{Scanner: scanner, Rule: rule})
	}
	return all
}

// Calls are judged by what is in their arguments, and by what their run has
// read. What a scanner did not see counts as all that it could have seen.
func TestFindings(t *testing.T) {
	r := load(t, findingsPolicy)
	for _, c := range []struct {
		name    string
		found   []sallyport.Finding
		before  []string
		verdict sallyport.Verdict
		rules   string
	}{
		{"nothing", nil, nil, sallyport.Allow, "notes"},
		{"another", found("pii/email"), []string{"secret/jwt"}, sallyport.Allow, "notes"},
		{"by its scanner", found("pii/email", "secret/jwt"), nil, sallyport.Deny, "no-secrets-in-notes"},
		{"before", nil, []string{"pii/email", "order/override"}, sallyport.Deny, "misled"},
		{"nobody looked", found("scanner/failed"), nil, sallyport.Deny, "no-secrets-in-notes"},
		{"nobody was to look", found("scanner/unasked"), nil, sallyport.Deny, "no-secrets-in-notes"},
		{"that scanner failed", found("secret/failed"), nil, sallyport.Deny, "no-secrets-in-notes"},
		{"another scanner failed", found("external/failed"), nil, sallyport.Allow, "notes"},
		{"nobody looked before", nil, []string{"scanner/failed"}, sallyport.Deny, "misled"},
		{"nobody was to look before", nil, []string{"scanner/unasked"}, sallyport.Deny, "misled"},
	} {
		facts := call(t, "desk/tool:update_ticket", `{"id":"1","status":"open"}`)
		facts.Flow, facts.Findings = &sallyport.Flow{Run: sallyport.Labels{Found: c.before}}, c.found
		if d := Decide(r, facts); d.Verdict != c.verdict || names(d.Rules) != c.rules {
			t.Errorf("%s: %s by %s (%s)", c.name, d.Verdict, names(d.Rules), d.Reason)
		}
		facts.Partial = true
		if d := Decide(r, facts); d.Verdict == sallyport.Deny {
			t.Errorf("%s: refused before anybody looked: %s", c.name, d.Reason)
		}
	}
	facts := call(t, "desk/tool:update_ticket", `{"id":"1","status":"open"}`)
	if d := Decide(r, facts); d.Verdict != sallyport.Deny || names(d.Rules) != "misled" {
		t.Errorf("nobody knows what the run has read: %s by %s", d.Verdict, names(d.Rules))
	}
}

// What comes back is changed by the forbids that fire and by the permits that
// let the call through.
func TestObligations(t *testing.T) {
	r := load(t, findingsPolicy)
	for _, c := range []struct {
		name       string
		found      []sallyport.Finding
		permits    []string
		verdict    sallyport.Verdict
		rules      string
		mask       string
		neutralise bool
	}{
		{"nothing", nil, []string{"reads-all"}, sallyport.Allow, "", "", false},
		{"a permit", nil, []string{"reads", "reads-all"}, sallyport.Allow, "reads", "secret", false},
		{"nobody knows by which permit", nil, nil, sallyport.Allow, "reads", "secret", false},
		{"a finding", found("pii/iban"), []string{"reads-all"}, sallyport.Allow, "mails", "pii/email,pii/iban", true},
		{"both", found("pii/iban"), []string{"reads"}, sallyport.Allow, "mails,reads", "pii/email,pii/iban,secret", true},
		{"withheld, and masked for the log", found("pii/iban", "order/override"), []string{"reads"}, sallyport.Deny, "orders", "pii/email,pii/iban,secret", true},
		{"nobody looked", found("scanner/failed"), []string{"reads-all"}, sallyport.Deny, "orders", "pii/email,pii/iban", true},
	} {
		facts := call(t, "desk/tool:get_ticket", `{"id":"1"}`)
		facts.Findings, facts.Permits, facts.Result = c.found, c.permits, sallyport.MustParse(`{}`)
		d := DecideResult(r, facts)
		ids := strings.Split(names(d.Rules), ",")
		slices.Sort(ids)
		if d.Verdict != c.verdict || strings.Join(ids, ",") != c.rules || strings.Join(d.Mask, ",") != c.mask || d.Neutralise != c.neutralise {
			t.Errorf("%s: %s by %s, masks %q, neutralises %v", c.name, d.Verdict, ids, d.Mask, d.Neutralise)
		}
	}
	if !load(t, `@neutralise permit (principal, action, resource);`).JudgesResults() {
		t.Error("a permit that changes results needs them judged")
	}
}

func TestFindingProblems(t *testing.T) {
	for text, want := range map[string]string{
		`forbid (principal, action, resource) when { context.findings.contains("secrets") };`:                 `context.findings is never "secrets"; did you mean "secret"?`,
		`forbid (principal, action, resource) when { context.run.found.contains("secret/jvt") };`:             `context.run.found is never "secret/jvt"; did you mean "secret/jwt"?`,
		`@mask("secret/jvt") permit (principal, action, resource);`:                                           `p.cedar:1:2: no finding "secret/jvt" is declared; did you mean "secret/jwt"?`,
		`@mask permit (principal, action, resource);`:                                                         `no finding "" is declared`,
		`@mask("scanner") permit (principal, action, resource);`:                                              `what no scanner saw can't be masked`,
		`@neutralise("links") permit (principal, action, resource);`:                                          `@neutralise says all`,
		`@mask("secret") forbid (principal, action, resource);`:                                               `only a permit, or a forbid marked @on("result"), can change what comes back`,
		`@neutralise forbid (principal, action, resource);`:                                                   `only a permit, or a forbid marked @on("result"), can change what comes back`,
		`@on("result") @ask("finance") @neutralise forbid (principal, action, resource);`:                     `a rule that asks can't change what comes back`,
		`@on("result") @mask("pii") forbid (principal, action, resource) when { context.findings == "pii" };`: `p.cedar:1`,
	} {
		_, err := Load(files("p.cedar", text), pinned(t), declared)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// A rule that changes results can't be judged: then nothing is released.
func TestObligationThatFails(t *testing.T) {
	r := load(t, `permit (principal, action, resource);
@id("sum") @on("result") @mask("pii") forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count * 9223372036854775807 > 1 };`)
	facts := call(t, "cloud/tool:create_instance", `{"name":"a","size":"small","count":3}`)
	if d := DecideResult(r, facts); d.Verdict != sallyport.Deny || names(d.Rules) != "sum" {
		t.Errorf("%s by %s: %s", d.Verdict, names(d.Rules), d.Reason)
	}
}

func TestCompareChanges(t *testing.T) {
	const (
		permit  = `@id("p") permit (principal, action, resource);`
		masking = `@id("p") @mask("secret/jwt") permit (principal, action, resource);`
		more    = `@id("p") @mask("secret, pii") @neutralise permit (principal, action, resource);`
		holds   = `@id("r") @on("result") forbid (principal, action, resource) when { context.findings.contains("pii") };`
		masks   = `@id("r") @on("result") @mask("pii") forbid (principal, action, resource) when { context.findings.contains("pii") };`
		inert   = `@id("r") @on("result") @mask("pii") @neutralise forbid (principal, action, resource) when { context.findings.contains("pii") };`
	)
	for _, c := range []struct{ name, old, new, want string }{
		{"masked from now on", permit, masking, ""},
		{"more is masked", masking, more, ""},
		{"less is masked", more, masking, "p,p"},
		{"nothing is masked any more", masking, permit, "p,p"},
		{"the permit that masks goes, another stays", masking + "\n" + `@id("q") permit (principal, action, resource);`, `@id("q") permit (principal, action, resource);`, "p"},
		{"withheld, then masked", holds, masks, "r"},
		{"masked, then withheld", masks, holds, ""},
		{"masked and neutralised", masks, inert, ""},
		{"no longer neutralised", inert, masks, "r"},
		{"released", masks, "", "r"},
	} {
		var ids []string
		for _, l := range Compare(load(t, c.old), load(t, c.new)) {
			ids = append(ids, l.Rule.ID)
		}
		if strings.Join(ids, ",") != c.want {
			t.Errorf("%s: looser are %q, want %q", c.name, ids, c.want)
		}
	}
}
