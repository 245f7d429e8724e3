package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

const whole = `
listen: 127.0.0.1:0
dir: state
mode: observe
pin: trust-first-use
policy: [policy, more.cedar]
servers:
  desk: {builtin: desk, effects: {"*": read, refund: pay, "send_*": [send, write]}, undeclared: [send_email]}
  crm:
    command: crm
    trust: vetted
    readers: internal
    serialised: true
    memory: true
    results:
    - {tool: "get_*", field: owner.email, writer: trusted, readers: public}
    - {tool: find, field: id, kind: file, writer: trusted}
    - {field: notes}
    arguments:
    - {tool: post_*, argument: channel, means: principal}
    - {argument: channel, means: content}
    audience: {"*": internal, "post_*": public, post_draft: private}
  files:
    command: npx
    args: [-y, "@modelcontextprotocol/server-filesystem", 8, {secret: files-arg-4}]
    env: {HOME: /nowhere, TOKEN: {secret: files-TOKEN}}
    cwd: work
  jira:
    url: https://jira.example/mcp
    transport: sse
    headers: {Authorization: {secret: jira-Authorization}}
    allow_addresses: [169.254.169.254, fd00::/8]
tenants: [acme]
roles: [support]
users: {ana: {roles: [support], groups: [finance], tenant: acme, attributes: {region: eu}}}
agents: {bot: {role: support, for: ana}}
sources: {ci: {kind: orchestrator, agents: [bot, added], users: [ana]}, editor: {kind: hook, agents: [bot]}}
listeners: [{address: "127.0.0.1:0", agent: bot}]
hosts: [gate.example]
origins: ["https://app.example"]
sizes: {body: 1MiB, result: 64MiB}
telemetry: {otlp: "http://127.0.0.1:4318"}
retention: 30d
approvals: {expire: 10m, escalate: {after: 5m, to: [finance]}, classes: {delete: 3}, large: "1000", load: {cap: 8, beyond: deny}, quiet: {ana: "22:00-07:00 Europe/Berlin"}}
`

func TestConfigWhole(t *testing.T) {
	c, err := Parse("/etc/sallyport/sallyport.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	files := c.Servers["files"]
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"dir", c.Dir, "/etc/sallyport/state"},
		{"policy", strings.Join(c.Policy, " "), "/etc/sallyport/policy /etc/sallyport/more.cedar"},
		{"cwd", files.Cwd, "/etc/sallyport/work"},
		{"a number as argument", files.Args[2], Text{Value: "8"}},
		{"a secret as argument", files.Args[3], Text{Secret: "files-arg-4"}},
		{"a secret in env", files.Env["TOKEN"], Text{Secret: "files-TOKEN"}},
		{"body", c.Sizes.Body, Size(1 << 20)},
		{"retention", time.Duration(c.Retention), 30 * 24 * time.Hour},
		{"escalation", fmt.Sprint(time.Duration(c.Approvals.Escalate.After), c.Approvals.Escalate.To), "5m0s [finance]"},
		{"classes", c.Approvals.Classes["delete"], 3},
		{"large", c.Approvals.Large, "1000"},
		{"quiet", c.Approvals.Quiet["ana"], "22:00-07:00 Europe/Berlin"},
		{"load", fmt.Sprint(c.Approvals.Load), "{8 deny}"},
		{"expire", time.Duration(c.Approvals.Expire), 10 * time.Minute},
		{"kind of a source", c.Sources["ci"].Kind, string(sallyport.StrengthOrchestrator)},
		{"agents of a source", strings.Join(c.Sources["ci"].Agents, " "), "bot added"},
		{"users of a source", strings.Join(c.Sources["ci"].Users, " "), "ana"},
		{"users of a hook", len(c.Sources["editor"].Users), 0},
		{"attribute", c.Users["ana"].Attributes["region"], "eu"},
		{"allowed", len(c.Servers["jira"].AllowAddresses), 2},
		{"origins", fmt.Sprint(c.Declaration("crm")), fmt.Sprint(provenance.Declaration{
			Trust: provenance.Vetted, Readers: sallyport.ReadersInternal, Serialised: true, Rules: []provenance.Rule{
				{Tool: "get_*", Field: "owner.email", Origin: sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: sallyport.ReadersPublic}},
				{Tool: "find", Field: "id", Kind: "file", Origin: sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: sallyport.ReadersInternal}},
				{Field: "notes", Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersInternal}},
			}})},
		{"origins of nobody's server", fmt.Sprint(c.Declaration("none")), fmt.Sprint(provenance.Declaration{})},
		{"origins of a built-in server", fmt.Sprint(c.Declaration("desk")), fmt.Sprint(provenance.Declaration{Trust: provenance.FirstParty})},
		{"meaning by the first that fits", c.Meanings("crm", "post_note")["channel"], scope.RolePrincipal},
		{"meaning for every tool", c.Meanings("crm", "draw")["channel"], scope.RoleContent},
		{"audience by name", audience(c, "post_draft"), "private true"},
		{"audience by pattern", audience(c, "post_note"), "public true"},
		{"audience of all", audience(c, "find"), "internal true"},
		{"audience that nobody declared", fmt.Sprint(c.Audience("desk", "find")), "private false"},
	} {
		if check.got != check.want {
			t.Errorf("%s is %v, want %v", check.name, check.got, check.want)
		}
	}
}

func audience(c *Config, tool string) string { return fmt.Sprint(c.Audience("crm", tool)) }

// What is declared and is about nothing is said.
func TestUnfit(t *testing.T) {
	c := must(t, `
servers:
  crm:
    command: crm
    results: [{tool: "get_*", writer: trusted}, {tool: "gett_*"}, {field: id}]
    arguments:
    - {tool: get_user, argument: name, means: id}
    - {tool: get_user, argument: owner.mail, means: principal}
    - {tool: get_user, argument: any.thing, means: principal}
    - {tool: get_user, argument: nmae, means: id}
    - {tool: get_user, argument: owner.mial, means: principal}
    - {argument: owner, means: id}
    audience: {"get_*": internal, pots: public}
`)
	tool := sallyport.Definition{Server: "crm", Kind: sallyport.KindTool, Name: "get_user", Raw: sallyport.MustParse(`{"inputSchema":{"properties":{
		"name":{"type":"string"},"owner":{"type":"array","items":{"type":"object","properties":{"mail":{}}}},"any":{"type":"object"}}}}`)}
	s := c.Servers["crm"]
	got := strings.Join(s.Unfit([]sallyport.Definition{tool}), "\n")
	want := "results[1]: no tool gett_*\narguments[3]: no tool get_user takes nmae\narguments[4]: no tool get_user takes owner.mial\naudience: no tool pots"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestConfigDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		c, err := Parse("/x/sallyport.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if c.Listen != "127.0.0.1:7717" || c.Mode != Enforce || c.Pin != PinAsk || c.Dir != "/x/.sallyport" ||
			c.Policy[0] != "/x/policy" || c.Sizes.Body != 8<<20 {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown key", "listn: x\n", `sallyport.yaml:1:1: there is no key "listn" here; did you mean "listen"?`},
		{"unknown key inside", "servers:\n  a: {builtin: desk, efects: {}}\n", `sallyport.yaml:2:22: there is no key "efects" here; did you mean "effects"?`},
		{"key twice", "mode: enforce\nmode: observe\n", `sallyport.yaml:2:1: mapping key "mode" already defined`},
		{"server twice", "servers:\n  a: {builtin: desk}\n  a: {builtin: cloud}\n", `sallyport.yaml:3:3: mapping key "a" already defined`},
		{"not YAML", "a: [\n", "sallyport.yaml:"},
		{"two documents", "mode: enforce\n---\nmode: observe\n", "sallyport.yaml:3:5: a second document"},
		{"wrong type", "servers: [a]\n", "where mapping is expected"},
		{"scalar document", "hello\n", "sallyport.yaml:"},
		{"alias", "users: {ana: &a {}, bo: *a}\n", "sallyport.yaml:1:14: anchors"},
		{"merge key", "users:\n  ana: &a {}\n  bo: {<<: *a}\n", "anchors, aliases"},
		{"tag", "mode: !!str observe\n", "tags are refused"},
		{"deep", strings.Repeat("[", 200), "nested deeper"},
		{"mode", "mode: off\n", "sallyport.yaml:1:7: mode is enforce or observe"},
		{"inspect", "inspect: some\n", "sallyport.yaml:1:10: inspect is on or off"},
		{"pin", "pin: never\n", "sallyport.yaml:1:6: pin is"},
		{"listen", "listen: 7717\n", "sallyport.yaml:1:9: \"7717\" is not an address"},
		{"listen to all", "listen: 0.0.0.0:7717\n", "others can reach"},
		{"listen to all, in disguise", "listen: \":7717\"\n", "others can reach"},
		{"listen to a name", "listen: myhost:7717\n", "others can reach"},
		{"half of TLS", "tls: {cert: a.pem}\n", "both cert and key"},
		{"bound listener to all", "users: {u: {}}\nagents: {a: {for: u}}\nlisteners: [{address: \"0.0.0.0:1\", agent: a}]\n", "sallyport.yaml:3:23: others can reach"},
		{"bound listener of nobody", "listeners: [{address: \"127.0.0.1:1\"}]\n", "needs the agent"},
		{"bound listener of a ghost", "users: {u: {}}\nagents: {bot: {for: u}}\nlisteners: [{address: \"127.0.0.1:1\", agent: bott}]\n", `did you mean "bot"?`},
		{"server's name", "servers: {a__b: {builtin: desk}}\n", "can't be a server's name"},
		{"server in capitals", "servers: {Desk: {builtin: desk}}\n", "sallyport.yaml:1:11"},
		{"two ways", "servers: {a: {builtin: desk, url: \"http://x\"}}\n", "exactly one of"},
		{"no way", "servers: {a: {}}\n", "exactly one of"},
		{"builtin", "servers: {a: {builtin: dusk}}\n", `did you mean "desk"?`},
		{"env of a URL", "servers: {a: {url: \"http://x\", env: {A: b}}}\n", "belong to a command"},
		{"headers of a command", "servers: {a: {command: x, headers: {A: b}}}\n", "belong to a url"},
		{"URL", "servers: {a: {url: \"file:///etc/passwd\"}}\n", "not an http or https URL"},
		{"transport", "servers: {a: {url: \"http://x\", transport: ws}}\n", "transport is http or sse"},
		{"address", "servers: {a: {url: \"http://x\", allow_addresses: [all]}}\n", "neither an address"},
		{"effect", "servers:\n  a:\n    builtin: desk\n    effects:\n      x: reed\n", `sallyport.yaml:5:10: there is no effect "reed"; did you mean "read"?`},
		{"no effect", "servers: {a: {builtin: desk, effects: {x: []}}}\n", "has no effect"},
		{"readers", "servers: {a: {builtin: desk, readers: intern}}\n", `there is no reader "intern"; did you mean "internal"?`},
		{"writer", "servers: {a: {builtin: desk, results: [{tool: x, writer: trust}]}}\n", `there is no writer "trust"; did you mean "trusted"?`},
		{"server that speaks for the user", "servers: {a: {builtin: desk, results: [{tool: x, writer: user}]}}\n", `there is no writer "user"`},
		{"readers of a field", "servers: {a: {builtin: desk, results: [{tool: x, readers: all}]}}\n", `there is no reader "all"`},
		{"rule about everything", "servers: {a: {builtin: desk, results: [{writer: trusted}]}}\n", "name a tool or a field"},
		{"field with an index", "servers: {a: {builtin: desk, results: [{field: \"a[0].b\"}]}}\n", "without indexes"},
		{"pattern that results don't know", "servers: {a: {builtin: desk, results: [{tool: \"get_?\"}]}}\n", "? for nothing"},
		{"unknown key of a result", "servers: {a: {builtin: desk, results: [{tool: x, writter: trusted}]}}\n", `did you mean "writer"?`},
		{"no argument", "servers: {a: {builtin: desk, arguments: [{tool: x, means: id}]}}\n", "say which argument"},
		{"argument with an index", "servers: {a: {builtin: desk, arguments: [{argument: \"to[0]\", means: id}]}}\n", "without indexes"},
		{"no meaning", "servers: {a: {builtin: desk, arguments: [{argument: to}]}}\n", "say what to means"},
		{"meaning", "servers: {a: {builtin: desk, arguments: [{argument: to, means: principle}]}}\n", `there is no meaning "principle"; did you mean "principal"?`},
		{"audience", "servers: {a: {builtin: desk, audience: {x: everybody}}}\n", `there is no audience "everybody"`},
		{"no audience", "servers: {a: {builtin: desk, audience: {x: \"\"}}}\n", "x has no audience"},
		{"secret", "servers: {a: {command: x, env: {A: {secrt: b}}}}\n", "write a text or {secret: NAME}"},
		{"size", "sizes: {body: many}\n", "is not a size"},
		{"negative size", "sizes: {body: -1}\n", "is not a size"},
		{"tiny size", "sizes: {body: 10}\n", "refuses every call"},
		{"standing", "runs: {standing: 5m}\n", "an hour at least"},
		{"span", "retention: soon\n", "is not a time span"},
		{"a form for no group", "users: {ana: {groups: [board]}}\napprovals: {form: [bord]}\n", `no group "bord" is declared; did you mean "board"?`},
		{"quiet hours of nobody", "approvals: {quiet: {bo: \"22:00-07:00\"}}\n", `user "bo"`},
		{"no quiet hours", "users: {ana: {}}\napprovals: {quiet: {ana: nights}}\n", "write them like 22:00-07:00"},
		{"load of none", "approvals: {load: {cap: -1}}\n", "at least 1"},
		{"load beyond", "approvals: {load: {beyond: allow}}\n", `not "allow"`},
		{"escalation to nobody", "approvals: {escalate: {after: 15m}}\n", "needs groups"},
		{"escalation at once", "users: {ana: {groups: [g]}}\napprovals: {escalate: {to: [g]}}\n", "needs groups"},
		{"escalation too late", "users: {ana: {groups: [g]}}\napprovals: {expire: 15m, escalate: {after: 15m, to: [g]}}\n", "before the question expires (15m0s)"},
		{"escalation to no group", "users: {ana: {groups: [board]}}\napprovals: {escalate: {after: 15m, to: [bord]}}\n", `no group "bord" is declared; did you mean "board"?`},
		{"class of no effect", "approvals: {classes: {spend: 3}}\n", `there is no effect "spend"; did you mean "send"?`},
		{"class too high", "approvals: {classes: {pay: 4}}\n", "a class is 1, 2 or 3, not 4"},
		{"class zero", "approvals: {classes: {pay: 0}}\n", "a class is 1, 2 or 3, not 0"},
		{"large of what", "approvals: {large: much}\n", `"much" is not an amount`},
		{"large, with an exponent", "approvals: {large: 1e3}\n", `is not an amount`},
		{"negative span", "retention: -5h\n", "is not a time span"},
		{"role of an agent", "users: {u: {}}\nroles: [support]\nagents: {a: {role: suport, for: u}}\n", `sallyport.yaml:3:20: no role "suport" is declared; did you mean "support"?`},
		{"user of an agent", "agents: {a: {for: u}}\n", `no user "u" is declared`},
		{"agent for nobody", "agents: {a: {}}\n", "acts for nobody"},
		{"agent's name", "users: {u: {}}\nagents: {\"a/b\": {for: u}}\n", "can't be an agent's name"},
		{"kind of a source", "sources: {ci: {kind: orchestra, agents: [a]}}\n", `sallyport.yaml:1:22: a source is an orchestrator, a launcher or a hook, not "orchestra"`},
		{"source that is human", "sources: {ci: {kind: human, agents: [a]}}\n", "a source is an orchestrator"},
		{"source of no kind", "sources: {ci: {agents: [a]}}\n", "a source is an orchestrator"},
		{"source of no agent", "sources: {ci: {kind: hook}}\n", "reaches no agent"},
		{"agent of a source", "sources: {ci: {kind: hook, agents: [\"*\"]}}\n", "can't be an agent's name"},
		{"user of a source", "sources: {ci: {kind: hook, agents: [a], users: [u]}}\n", `no user "u" is declared`},
		{"source's name", "sources: {\"a/b\": {kind: hook, agents: [a]}}\n", "can't be a source's name"},
		{"tenant of a user", "users: {u: {tenant: t}}\n", `no tenant "t" is declared`},
		{"two tenants", "tenants: [s, t]\nusers: {u: {tenant: t}}\nagents: {a: {for: u, tenant: s}}\n", "is of tenant s, but its user u is of tenant t"},
		{"origin", "origins: [app.example/x]\n", "is not an origin"},
		{"otlp", "telemetry: {otlp: \"127.0.0.1:4318\"}\n", "is not an http or https URL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("sallyport.yaml", []byte(test.text))
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v\nshould say: %s", err, test.want)
			}
		})
	}
}

func TestConfigSaysAllAtOnce(t *testing.T) {
	_, err := Parse("sallyport.yaml", []byte("mode: off\npin: never\nlisten: x\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three problems were reported as: %v", err)
	}
}

func TestEffectsOfATool(t *testing.T) {
	c, err := Parse("sallyport.yaml", []byte(`
servers:
  a:
    builtin: desk
    effects: {"*": read, "delete_*": delete, "delete_draft*": write, "drop": exec, "*_x": write, "y_?": pay, "y_*": send, "group/*": access}
    undeclared: [free, "open_*"]
  b: {builtin: desk}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		server, tool string
		want         []sallyport.Effect
	}{
		{"a", "list", []sallyport.Effect{"read"}},
		{"a", "delete_all", []sallyport.Effect{"delete"}},
		{"a", "delete_draft_1", []sallyport.Effect{"write"}},
		{"a", "drop", []sallyport.Effect{"exec"}},
		{"a", "y_1", []sallyport.Effect{"pay"}}, // as many letters as y_*, and stricter
		{"a", "group/one", []sallyport.Effect{"access"}},
		{"a", "some/thing", []sallyport.Effect{"read"}},
		{"b", "list", []sallyport.Effect{"exec"}},
		{"none", "list", []sallyport.Effect{"exec"}},
	} {
		if got, _ := c.Settings(test.server, test.tool); !slices.Equal(got, test.want) {
			t.Errorf("%s/%s: %v, want %v", test.server, test.tool, got, test.want)
		}
	}
	for tool, want := range map[string]bool{"free": true, "open_1": true, "list": false} {
		if _, got := c.Settings("a", tool); got != want {
			t.Errorf("%s takes undeclared arguments: %v", tool, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 2160 * time.Hour, "12h": 12 * time.Hour, "0d": 0, "1h30m": 90 * time.Minute} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "9999999d", "1d2h", "-3h", "soon"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("servers: {a: {command: x, env: {A: {secret: b}}}}"))
	f.Add([]byte("? - [a, b]\n: {c: |\n d\n}"))
	f.Add([]byte("a: &b [*b, *b]\n<<: *b"))
	f.Add([]byte("- - - - - -\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("sallyport.yaml", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", c, err)
		}
		if err != nil {
			return
		}
		if c.Mode != Enforce && c.Mode != Observe {
			t.Fatalf("mode %q was accepted", c.Mode)
		}
		for name := range c.Servers {
			if strings.Contains(name, "__") {
				t.Fatalf("server %q was accepted", name)
			}
			if effects, _ := c.Settings(name, "x"); len(effects) == 0 {
				t.Fatalf("a tool of %s has no effect", name)
			}
		}
	})
}

func TestJudgeProblems(t *testing.T) {
	for text, want := range map[string]string{
		`{calls: {url: "http://models.example/v1", model: m}}`:        "use https",
		`{calls: {url: "https://models.example/v1?key=k", model: m}}`: "a key goes into key",
		`{calls: {url: "https://k:k@models.example/v1", model: m}}`:   "a key goes into key",
		`{calls: {model: m}}`:                                                    "the calls needs an http or https URL",
		`{scope: {url: "https://models.example/v1"}}`:                            "need a model",
		`{classifier: {url: "https://models.example/", model: m, labels: [X]}}`:  "a classifier has none",
		`{classifier: {url: "https://models.example/"}}`:                         "needs the labels",
		`{classifier: {url: "https://models.example/", labels: [X], above: 2}}`:  "above from 0 to 1",
		`{classifier: {url: "https://models.example/", labels: [X], tokens: 5}}`: "tokens are of",
		`{calls: {url: "https://models.example/v1", model: m, labels: [X]}}`:     "the others have neither",
		`{calls: {url: "https://models.example/v1", model: m, servers: [desk]}}`: "the others have none",
		`{reader: {url: "https://models.example/v1", model: m}}`:                 "it needs some",
		`{reader: {url: "https://models.example/v1", model: m, servers: [dsk]}}`: `there is no server "dsk"`,
		`{calls: {url: "https://models.example/v1", model: m, within: 2m}}`:      "1ms to 1m",
		`{calls: {url: "https://models.example/v1", model: m, wthin: 2s}}`:       `there is no key "wthin"`,
		`{judge: {url: "https://models.example/v1", model: m}}`:                  `"judge"`,
	} {
		_, err := Parse("sallyport.yaml", []byte("servers: {desk: {builtin: desk}}\njudge: "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A key that is missing leaves a judge that fails, not none.
func TestJudges(t *testing.T) {
	c := must(t, `
servers: {desk: {builtin: desk}}
judge:
  calls: {url: "https://models.example/v1", model: m, key: {secret: models}, tokens: 7}
  reader: {url: "http://localhost:1/v1", model: r, key: {secret: none}, servers: [desk]}
  classifier: {url: "http://[::1]:1/predict", labels: [X]}
`)
	j := c.Judges(func(name string) (string, bool) { return "k-1", name == "models" })
	if j.Scope != nil || j.Checker.Key != "k-1" || j.Checker.Err != nil || j.Checker.Within != 10*time.Second || j.Checker.Tokens != 7 {
		t.Errorf("%+v", j.Checker)
	}
	if j.Reader.Err == nil || !slices.Equal(j.ReaderOf, []string{"desk"}) || j.Classifier.Above != 0.9 || j.Classifier.Within != 2*time.Second {
		t.Errorf("%+v %+v", j.Reader, j.Classifier)
	}
	names := c.Declared().Findings
	for _, name := range []string{"secret/jwt", "checker/unneeded", "reader/order", "external/flagged", "reader/failed"} {
		if !slices.Contains(names, name) {
			t.Errorf("policies can't ask for %s", name)
		}
	}
	if slices.ContainsFunc(must(t, "servers: {desk: {builtin: desk}}").Declared().Findings, func(name string) bool { return strings.HasPrefix(name, "checker") }) {
		t.Error("policies can ask what nobody says")
	}
}
