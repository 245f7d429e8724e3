package policyhistory

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport"
	"sallyport/internal/policy"
)

func pinned(t testing.TB) map[string]*sallyport.Definition {
	t.Helper()
	text, err := os.ReadFile("../policy/testdata/servers.json")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*sallyport.Definition{}
	for _, item := range sallyport.MustParse(string(text)).Items() {
		d := sallyport.Definition{Kind: sallyport.KindTool, Raw: item.Get("tool")}
		if prompt := item.Get("prompt"); prompt.Type() == sallyport.Object {
			d.Kind, d.Raw = sallyport.KindPrompt, prompt
		}
		d.Server, _ = item.Get("server").Text()
		d.Name, _ = d.Raw.Get("name").Text()
		for _, effect := range item.Get("effects").Items() {
			word, _ := effect.Text()
			d.Effects = append(d.Effects, sallyport.Effect(word))
		}
		d.Digest = sallyport.DigestOf(d.Raw.Raw())
		out[d.Action()] = &d
	}
	return out
}

func load(t interface{ Fatal(...any) }, text string, defs map[string]*sallyport.Definition) *policy.Rules {
	var all []sallyport.Definition
	for _, d := range defs {
		all = append(all, *d)
	}
	r, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte(text)}}, all, policy.Declared{
		Roles: []string{"support", "ops"}, Agents: []string{"bot", "loner"}, Groups: []string{"finance"}, Findings: []string{"secret/jwt"},
	})
	if err != nil {
		t.Fatal(err, "\n", text)
	}
	return r
}

// observed is a call that was let through in observe mode.
func observed(defs map[string]*sallyport.Definition, action, args string) Observed {
	d := defs[action]
	return Observed{
		Call: &sallyport.Call{Kind: d.Kind, Server: d.Server, Name: d.Name, Args: sallyport.MustParse(args), Principal: sallyport.Principal{Agent: "bot", Role: "support"}},
		Tool: d, Verdict: sallyport.Allow, Passed: true,
	}
}

func TestReplay(t *testing.T) {
	defs := pinned(t)
	r := load(t, `permit (principal, action in Action::"effect:read", resource);
permit (principal, action == Action::"desk/tool:refund", resource);
@ask("finance") forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.greaterThan(decimal("5.0")) };`, defs)
	refused := observed(defs, "desk/tool:get_ticket", `{"id":"1"}`)
	refused.Verdict, refused.Passed = sallyport.Deny, false
	got := Replay(r, []Observed{
		observed(defs, "desk/tool:get_ticket", `{"id":"1"}`),
		observed(defs, "desk/tool:refund", `{"customer":"c","amount":5}`),
		observed(defs, "desk/tool:refund", `{"customer":"c","amount":6}`),
		observed(defs, "desk/tool:delete_ticket", `{"id":"1"}`),
		refused,
	})
	var lines []string
	for _, c := range got {
		lines = append(lines, fmt.Sprintf("%d %v->%v", c.Record, c.Then, c.Now.Verdict))
	}
	if want := "2 allow->hold, 3 allow->deny, 4 deny->allow"; strings.Join(lines, ", ") != want {
		t.Errorf("%q, want %s", lines, want)
	}
	withKey := observed(defs, "desk/tool:refund", `{"customer":"c","amount":5}`)
	withKey.Findings = []sallyport.Finding{sallyport.FindingOf("secret/jwt")}
	keys := load(t, "permit (principal, action, resource);\nforbid (principal, action, resource) when { context.findings.contains(\"secret\") };", defs)
	if got := Replay(keys, []Observed{observed(defs, "desk/tool:refund", `{"customer":"c","amount":5}`), withKey}); len(got) != 1 || got[0].Record != 1 {
		t.Errorf("by what was found: %v", got)
	}
	// By where the arguments came from, and what the run had done until then.
	refund := observed(defs, "desk/tool:refund", `{"customer":"c","amount":5}`)
	suspect := refund
	suspect.Flow = &sallyport.Flow{Unlinked: []string{"customer"}}
	elsewhere := refund
	elsewhere.Call = &sallyport.Call{Kind: refund.Call.Kind, Server: "desk", Name: "refund", Args: refund.Call.Args, Principal: refund.Call.Principal, Run: sallyport.Run{ID: "r_2"}}
	clean := refund
	clean.Flow, elsewhere.Flow = &sallyport.Flow{}, &sallyport.Flow{}
	for _, c := range []struct {
		rule, want string
		calls      []Observed
	}{
		{`context.unlinked.contains("customer")`, "1", []Observed{refund, suspect, clean}},
		{`!context.run.task`, "1 2", []Observed{refund, suspect, clean}},
		{`context.run.did.contains("pay")`, "1", []Observed{clean, clean, elsewhere, refund}},
	} {
		flow := load(t, "permit (principal, action, resource);\nforbid (principal, action == Action::\"desk/tool:refund\", resource) when { "+c.rule+" };", defs)
		var got []string
		for _, changed := range Replay(flow, c.calls) {
			got = append(got, fmt.Sprint(changed.Record))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %s", c.rule, got, c.want)
		}
	}
	if got := Replay(nil, []Observed{refused}); got != nil {
		t.Errorf("%v", got)
	}
}

func TestSuggest(t *testing.T) {
	defs := pinned(t)
	var records []Observed
	add := func(action string, args ...string) {
		for _, a := range args {
			records = append(records, observed(defs, action, a))
		}
	}
	add("desk/tool:get_ticket", `{"id":"tic_1"}`, `{"id":"tic_2"}`, `{"id":"tic_3"}`)
	add("desk/tool:list_tickets", `{"status":"open","limit":10}`, `{"status":"pending","limit":50}`, `{"status":"open","limit":20}`)
	add("desk/tool:refund", `{"customer":"a","amount":12.50}`, `{"customer":"b","amount":80}`, `{"customer":"c","amount":3}`)
	add("desk/tool:send_email", `{"to":"a@b.example","subject":"s","body":"1","urgent":false}`, `{"to":"a@b.example","subject":"s","body":"2"}`, `{"to":"a@b.example","subject":"s","body":"3","urgent":false,"cc":["x"]}`)
	add("cloud/tool:run_command", `{"host":"web-1","command":"/opt/tools/status"}`, `{"host":"web-1","command":"/opt/tools/disk"}`, `{"host":"web-1","command":"/opt/tools/sub/x"}`)
	add("cloud/tool:create_instance", `{"size":"small","count":1}`)
	denied, held, tainted, loner := records[0], records[6], records[0], records[0]
	denied.Passed, denied.Verdict = false, sallyport.Deny
	held.Passed, held.Verdict = false, sallyport.Hold
	tainted.Flow = theirs("id")
	c := *loner.Call
	c.Principal = sallyport.Principal{Agent: "loner"}
	loner.Call = &c
	records = append(records, denied, held, tainted, tainted, loner)

	want := `// Suggested from 17 calls. A rule here says what was done, not that it should be:
// read each one before you use it.

// 1 call by "loner".
// "id": 1 value; too few to restrict it
@id("loner-desk-get_ticket")
permit (
  principal == Agent::"loner",
  action == Action::"desk/tool:get_ticket",
  resource == Server::"desk"
);

// 1 call by "bot".
// "count": 1 value; too few to restrict it
// "size": 1 value; too few to restrict it
@id("support-cloud-create_instance")
permit (
  principal in Role::"support",
  action == Action::"cloud/tool:create_instance",
  resource == Server::"cloud"
);

// 3 calls by "bot".
@id("support-cloud-run_command")
permit (
  principal in Role::"support",
  action == Action::"cloud/tool:run_command",
  resource == Server::"cloud"
)
when {
  context.input.command like "/opt/tools/*" && !(context.input.command like "*..*") && !(context.input.command like "*%*") && !(context.input.command like "*\\*") &&
  !(context.input has env) &&
  context.input.host == "web-1"
};

// 3 calls by "bot".
// "id": 3 different values; not restricted
@id("support-desk-get_ticket")
permit (
  principal in Role::"support",
  action == Action::"desk/tool:get_ticket",
  resource == Server::"desk"
);

// 3 calls by "bot".
@id("support-desk-list_tickets")
permit (
  principal in Role::"support",
  action == Action::"desk/tool:list_tickets",
  resource == Server::"desk"
)
when {
  !(context.input has labels) &&
  (if context.input has limit then context.input.limit >= 0 && context.input.limit <= 50 else true) &&
  (if context.input has status then ["open", "pending"].contains(context.input.status) else true)
};

// 3 calls by "bot".
// "customer": 3 different values; not restricted
@id("support-desk-refund")
permit (
  principal in Role::"support",
  action == Action::"desk/tool:refund",
  resource == Server::"desk"
)
when {
  context.input.amount.greaterThanOrEqual(decimal("0.0")) && context.input.amount.lessThanOrEqual(decimal("80.0")) &&
  !(context.input has reason) &&
  !context.opaque.contains("reference")
};

// 3 calls by "bot".
// "body": 3 different values; not restricted
// "cc": 1 value; too few to restrict it
// "urgent": 2 values; too few to restrict it
@id("support-desk-send_email")
permit (
  principal in Role::"support",
  action == Action::"desk/tool:send_email",
  resource == Server::"desk"
)
when {
  context.input.subject == "s" &&
  context.input.to == "a@b.example"
};

// Left out:
//   2 calls, role "support", "desk/tool:get_ticket": acts after reading what others wrote, or is made of it
//   1 call, role "support", "desk/tool:get_ticket": refused then
//   1 call, role "support", "desk/tool:refund": held for a human then
`
	got := Suggest(records)
	if got != want {
		t.Errorf("got\n%s", got)
	}
	r := load(t, got, defs)
	for _, c := range Replay(r, records) {
		if records[c.Record].Passed && records[c.Record].Flow == nil {
			t.Errorf("%s is not allowed: %s", records[c.Record].Call.Action(), c.Now.Reason)
		}
	}
	for _, c := range []struct{ action, args string }{
		{"desk/tool:list_tickets", `{"status":"closed"}`}, {"desk/tool:list_tickets", `{"limit":51}`}, {"desk/tool:list_tickets", `{"limit":-1}`}, {"desk/tool:list_tickets", `{"labels":{}}`},
		{"desk/tool:refund", `{"customer":"a","amount":80.01}`}, {"desk/tool:refund", `{"customer":"a","amount":-1}`}, {"desk/tool:refund", `{"customer":"a","amount":1,"reference":"x"}`}, {"desk/tool:refund", `{"customer":"a","amount":1,"reason":"x"}`},
		{"cloud/tool:run_command", `{"host":"web-2","command":"/opt/tools/x"}`}, {"cloud/tool:run_command", `{"host":"web-1","command":"/opt/tools/../../bin/sh"}`}, {"cloud/tool:run_command", `{"host":"web-1","command":"/opt/tools/%2e%2e/x"}`},
		{"cloud/tool:run_command", `{"host":"web-1","command":"/opt/tools/..\\x"}`}, {"cloud/tool:run_command", `{"host":"web-1","command":"/opt/toolsx"}`}, {"desk/tool:delete_ticket", `{"id":"1"}`},
	} {
		o := observed(defs, c.action, c.args)
		if d := policy.Decide(r, &sallyport.Facts{Call: o.Call, Tool: o.Tool}); d.Verdict != sallyport.Deny {
			t.Errorf("%s %s: %v", c.action, c.args, d.Verdict)
		}
	}
}

// Names come from servers and agents. None may write policy.
func TestSuggestQuotesNames(t *testing.T) {
	evil := "x\npermit (principal, action, resource);\n// \"); permit (principal, action, resource); //"
	raw := sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{` + string(sallyport.AppendString(nil, evil)) + `:{"type":"string"},"a b":{"type":"string"},"in":{"type":"string"}}}}`)
	defs := map[string]*sallyport.Definition{}
	d := &sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: evil, Raw: raw, Digest: sallyport.DigestOf(raw.Raw())}
	defs[d.Action()] = d
	var records []Observed
	for range 4 {
		o := observed(defs, d.Action(), `{`+string(sallyport.AppendString(nil, evil))+`:`+string(sallyport.AppendString(nil, evil))+`,"a b":"*","in":"y"}`)
		o.Call.Principal = sallyport.Principal{Agent: "bot", Role: "support"}
		records = append(records, o)
	}
	other := records[0]
	other.Flow = theirs("in")
	text := Suggest(append(records, other))
	r := load(t, text, defs)
	if n := len(r.All()); n != 1 {
		t.Fatalf("%d rules:\n%s", n, text)
	}
	if changed := Replay(r, records); changed != nil {
		t.Errorf("%+v\n%s", changed, text)
	}
	records[0].Call.Principal.Role = "ops"
	if d := policy.Decide(r, &sallyport.Facts{Call: records[0].Call, Tool: d}); d.Verdict != sallyport.Deny {
		t.Error("everything is allowed")
	}
}

// However a server calls its tools, no two rules get the same name.
func TestSuggestNamesRulesApart(t *testing.T) {
	defs := map[string]*sallyport.Definition{}
	var records []Observed
	for _, name := range []string{"a b", "a?b", "a-b-2", "a!b"} {
		d := &sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: name, Raw: sallyport.MustParse(`{}`)}
		d.Digest = sallyport.DigestOf([]byte(name))
		defs[d.Action()] = d
		o := observed(defs, d.Action(), `{}`)
		records = append(records, o)
	}
	if r := load(t, Suggest(records), defs); len(r.All()) != 4 {
		t.Errorf("%d rules", len(r.All()))
	}
}

// Whatever was observed, the suggestion loads and allows all of it.
func TestSuggestionAllowsWhatWasSeen(t *testing.T) {
	defs := pinned(t)
	none := load(t, "", defs)
	var all []Observed
	for action := range defs {
		for _, args := range none.Arguments(action, sallyport.Value{}, 40) {
			all = append(all, observed(defs, action, string(args.Raw())))
		}
	}
	for _, odd := range []string{`{"customer":"c","amount":1e30}`, `{"customer":null,"amount":1}`, `{"customer":"/a/b/../c","amount":-5.25}`, `{}`, `{"x":1}`, `[]`, `null`} {
		all = append(all, observed(defs, "desk/tool:refund", odd))
	}
	for _, uri := range []string{"file:///srv/a/1", "file:///srv/a/2", "file:///srv/b", "https://x.example/a", "https://x.example.evil/a", `/a/b\c`, "plain"} {
		all = append(all, Observed{
			Call: &sallyport.Call{Kind: sallyport.KindResource, Server: "desk", Name: uri, Args: sallyport.MustParse(`{"uri":` + string(sallyport.AppendString(nil, uri)) + `}`),
				Principal: sallyport.Principal{Agent: "bot", Role: "ops"}}, Verdict: sallyport.Allow, Passed: true,
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		records := rapid.SliceOfN(rapid.SampledFrom(all), 1, 60).Draw(rt, "records")
		text := Suggest(records)
		r := load(rt, text, defs)
		for _, c := range Replay(r, records) {
			rt.Fatalf("%s %s: %v: %s\n%s", records[c.Record].Call.Action(), records[c.Record].Call.Args.Raw(), c.Now.Verdict, c.Now.Reason, text)
		}
		if again := Suggest(records); again != text {
			rt.Fatal("another suggestion")
		}
	})
}

// theirs is the flow of a call whose argument others wrote.
func theirs(path string) *sallyport.Flow {
	return &sallyport.Flow{Run: sallyport.Labels{SawUntrusted: true},
		Traces: []sallyport.Trace{{Path: path, Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}}}}
}

// What others may have led an agent to teaches nothing; what it reads after
// having read them does, or nothing would be left of a day's work.
func TestSuggestLearnsNothingFromOthers(t *testing.T) {
	defs := pinned(t)
	read, act := observed(defs, "desk/tool:get_ticket", `{"id":"tic_1"}`), observed(defs, "desk/tool:refund", `{"customer":"a","amount":1}`)
	after := &sallyport.Flow{Run: sallyport.Labels{SawUntrusted: true}, Traces: []sallyport.Trace{{Path: "id", Origin: sallyport.Origin{Writer: sallyport.WriterTrusted}}}}
	for name, test := range map[string]struct {
		call    Observed
		flow    *sallyport.Flow
		learned bool
	}{
		"a read, by itself":                    {read, nil, true},
		"an act, before anything was read":     {act, &sallyport.Flow{}, true},
		"a read after another":                 {read, after, true},
		"a read of what others wrote":          {read, theirs("id"), false},
		"an act after reading":                 {act, after, false},
		"an act made of what others wrote":     {act, theirs("customer"), false},
		"an act of which nothing was kept":     {act, nil, true},
		"a read before which nothing was read": {read, &sallyport.Flow{Traces: after.Traces}, true},
	} {
		test.call.Flow = test.flow
		if got := Suggest([]Observed{test.call}); strings.Contains(got, "permit") != test.learned {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
