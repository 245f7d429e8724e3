package config

import (
	"reflect"
	"strings"
	"testing"
)

const filesServer = `  files:
    {command: npx, args: [a], env: {A: b}, cwd: work, trust: vetted, readers: internal, memory: true,
    results: [{tool: find, field: id, writer: trusted, readers: internal}, {field: name, writer: trusted, readers: private}],
    arguments: [{argument: name, means: id}], audience: {post: internal}}
`

// base is a configuration in which every key is set, so that each can be
// changed.
const base = `
listen: 127.0.0.1:7717
tls: {cert: a.pem, key: a.key}
mode: enforce
pin: ask
policy: [policy]
servers:
  desk: {builtin: desk, effects: {"*": read, refund: pay}, undeclared: [send_email]}
` + filesServer + `  jira: {url: "https://jira.example/mcp", transport: http, headers: {A: b}, allow_addresses: [169.254.0.0/16]}
tenants: [acme]
roles: [support]
users: {ana: {roles: [support], groups: [g], tenant: acme, attributes: {a: b}}}
agents: {bot: {role: support, for: ana, tenant: acme}}
sources: {ci: {kind: launcher, agents: [bot, bott], users: [ana]}}
listeners: [{address: "127.0.0.1:1", agent: bot}]
hosts: [h]
origins: ["https://o.example"]
sizes: {body: 2MiB, result: 2MiB}
telemetry: {otlp: "http://127.0.0.1:4318"}
retention: 30d
approvals: {expire: 1h, escalate: {after: 2m, to: [g]}, classes: {delete: 3, send: 2}, large: "1000", load: {cap: 5, beyond: deny}, quiet: {ana: "22:00-07:00"}}
breakers: [{per: server, on: errors}, {per: agent, on: denials, rate: 80}]
notify: [{name: ops, kind: slack, url: "https://chat.example/x"}]
`

func TestLooser(t *testing.T) {
	for _, test := range []struct {
		name, old, next string // replaced in base
		want            string // "" for tighter
	}{
		{"nothing", "", "", ""},
		{"observe", "mode: enforce", "mode: observe", "no longer enforced"},
		{"trust on first use", "pin: ask", "pin: trust-first-use", "no longer looked at"},
		{"body up", "body: 2MiB", "body: 3MiB", "more is read"},
		{"kind of a source", "kind: launcher", "kind: orchestrator", "source ci: its kind changes"},
		{"more agents of a source", "agents: [bot, bott]", "agents: [bot, bott, other]", "reaches more agents or users"},
		{"fewer agents of a source", "agents: [bot, bott]", "agents: [bott]", ""},
		{"fewer users of a source", "users: [ana]}}", "users: []}}", ""},
		{"another source", "sources: {", "sources: {x: {kind: hook, agents: [bot]}, ", "source x is added"},
		{"no source", "sources: {ci: {kind: launcher, agents: [bot, bott], users: [ana]}}", "", ""},
		{"body down", "body: 2MiB", "body: 1MiB", ""},
		{"result up", "result: 2MiB", "result: 3MiB", "more is read"},
		{"result down", "result: 2MiB", "result: 1MiB", ""},
		{"approvals longer", "expire: 1h", "expire: 2h", "can be used longer"},
		{"approvals shorter", "expire: 1h", "expire: 5m", ""},
		{"a class lower", "delete: 3", "delete: 2", "class of delete is not raised as much"},
		{"a class left out", "classes: {delete: 3, send: 2}", "classes: {send: 2}", "class of delete is not raised as much"},
		{"a class higher", "send: 2", "send: 3", ""},
		{"another class", "send: 2", "send: 2, pay: 3", ""},
		{"large larger", `large: "1000"`, `large: "1000.01"`, "larger payments"},
		{"large left out", `, large: "1000"`, "", "larger payments"},
		{"large smaller", `large: "1000"`, `large: "999"`, ""},
		{"escalates sooner", "after: 2m", "after: 1m", "others can answer"},
		{"escalates to others", "after: 2m, to: [g]", "after: 2m, to: [g, g]", "others can answer"},
		{"forms count", "approvals: {expire: 1h, ", "approvals: {expire: 1h, form: [g], ", "in the client of their agent"},
		{"quieter", `quiet: {ana: "22:00-07:00"}`, `quiet: {ana: "20:00-07:00"}`, "told of questions at other hours"},
		{"not quiet", `, quiet: {ana: "22:00-07:00"}`, ``, ""},
		{"asks more", "load: {cap: 5", "load: {cap: 6", "people are asked more"},
		{"asks beyond", "cap: 5, beyond: deny", "cap: 5", "people are asked more"},
		{"asks less", "load: {cap: 5", "load: {cap: 4", ""},
		{"does not escalate", "escalate: {after: 2m, to: [g]}, ", "", ""},
		{"a breaker more", "breakers: [", "breakers: [{per: tool, on: latency}, ", ""},
		{"a breaker less", "{per: server, on: errors}, ", "", "cut off later, or not at all"},
		{"a breaker later", "rate: 80", "rate: 90", "cut off later, or not at all"},
		{"others are told", "chat.example", "evil.example", "others are told"},
		{"nobody is told", `notify: [{name: ops, kind: slack, url: "https://chat.example/x"}]`, "", "fewer are"},
		{"standing runs forget", "retention: 30d", "retention: 30d\nruns: {standing: 24h}", "forgotten earlier"},
		{"retention shorter", "retention: 30d", "retention: 1d", "erased earlier"},
		{"retention longer", "retention: 30d", "retention: 60d", ""},
		{"telemetry elsewhere", "127.0.0.1:4318", "evil.example", "goes to http://evil.example"},
		{"telemetry off", `telemetry: {otlp: "http://127.0.0.1:4318"}`, "", ""},
		{"another port", "listen: 127.0.0.1:7717", "listen: 127.0.0.1:7718", ""},
		{"another host", "listen: 127.0.0.1:7717", "listen: 0.0.0.0:7717", "others can reach"},
		{"another certificate", "cert: a.pem", "cert: b.pem", "certificate"},
		{"no TLS", "tls: {cert: a.pem, key: a.key}", "", "certificate"},
		{"host", "hosts: [h]", "hosts: [h, i]", "i is admitted"},
		{"no host", "hosts: [h]", "", ""},
		{"origin", "origins: [", `origins: ["https://p.example", `, "p.example is admitted"},
		{"listener", `"127.0.0.1:1"`, `"127.0.0.1:2"`, "whoever can connect to 127.0.0.1:2 is agent bot"},
		{"no listener", `listeners: [{address: "127.0.0.1:1", agent: bot}]`, "", ""},
		{"server", "servers:\n", "servers:\n  more: {builtin: cloud}\n", "server more is added"},
		{"no server", filesServer, "", ""},
		{"effects", "refund: pay", "refund: read", "effects of tools change"},
		{"fewer effects", ", refund: pay", "", "effects of tools change"},
		{"undeclared", "[send_email]", "[send_email, refund]", "undeclared arguments are admitted for [refund]"},
		{"nothing undeclared", ", undeclared: [send_email]", "", ""},
		{"addresses", "[169.254.0.0/16]", "[169.254.0.0/16, 10.0.0.1]", "the addresses [10.0.0.1] are admitted"},
		{"no addresses", ", allow_addresses: [169.254.0.0/16]", "", ""},
		{"builtin", "builtin: desk", "builtin: cloud", "another one"},
		{"command", "command: npx", "command: sh", "another one"},
		{"args", "args: [a]", "args: [b]", "another one"},
		{"env", "env: {A: b}", "env: {A: c}", "another one"},
		{"cwd", "cwd: work", "cwd: /", "another one"},
		{"url", "jira.example", "evil.example", "another one"},
		{"transport", "transport: http", "transport: sse", "another one"},
		{"headers", "headers: {A: b}", "headers: {A: {secret: x}}", "another one"},
		{"user", "users: {", "users: {bo: {}, ", "user bo is added"},
		{"trust up", "trust: vetted", "trust: first-party", "files is trusted further"},
		{"trust down", "trust: vetted", "trust: community", ""},
		{"trust of a built-in server is first-party", "{builtin: desk, ", "{builtin: desk, trust: first-party, ", ""},
		{"more readers", "readers: internal, memory", "readers: public, memory", "more people may read"},
		{"fewer readers", "readers: internal, memory", "readers: private, memory", ""},
		{"serialised", "memory: true", "memory: true, serialised: true", "trusted to be serialised"},
		{"no memory any more", "memory: true", "memory: false", "no memory any more"},
		{"a memory", "{builtin: desk, ", "{builtin: desk, memory: true, ", ""},
		{"a rule that trusts", "results: [", "results: [{tool: x, writer: trusted}, ", "origins of results change"},
		{"a rule that trusts, behind", "readers: private}]", "readers: private}, {tool: x, writer: trusted}]", "origins of results change"},
		{"a rule that shows", "results: [", "results: [{tool: x, readers: public}, ", "origins of results change"},
		{"a rule that says the worst", "results: [", "results: [{tool: x, readers: private}, ", ""},
		{"a rule trusts less", "field: id, writer: trusted", "field: id, writer: untrusted", ""},
		{"a rule shows less", "writer: trusted, readers: internal}", "writer: trusted, readers: private}", ""},
		{"a rule shows more", "writer: trusted, readers: private}", "writer: trusted, readers: public}", "origins of results change"},
		{"a rule is about more", "{tool: find, field: id,", "{field: id,", "origins of results change"},
		{"a rule has a kind", "field: id, writer", "field: id, kind: mail, writer", "origins of results change"},
		{"a rule is gone", "{tool: find, field: id, writer: trusted, readers: internal}, ", "", "origins of results change"},
		{"the last rule is gone", ", {field: name, writer: trusted, readers: private}", "", "origins of results change"},
		{"meaning", "means: id", "means: content", "what arguments mean changes"},
		{"wider audience", "audience: {post: internal}", "audience: {post: public}", ""},
		{"smaller audience", "audience: {post: internal}", "audience: {post: private}", "audiences of tools change"},
		{"no audience", ", audience: {post: internal}", "", "audiences of tools change"},
		{"another audience", "audience: {post: internal}", "audience: {post: internal, x: public}", "audiences of tools change"},
		{"user's groups", "groups: [g]", "groups: [g, h]", "user ana: roles, groups"},
		{"user's attributes", "{a: b}", "{a: c}", "user ana: roles, groups"},
		{"agent", "agents: {", "agents: {more: {for: ana}, ", "agent more is added"},
		{"agent's role", "bot: {role: support, ", "bot: {", "agent bot: role"},
		{"agents are gone", "agents: {bot: {role: support, for: ana, tenant: acme}}\nsources: {ci: {kind: launcher, agents: [bot, bott], users: [ana]}}\nlisteners: [{address: \"127.0.0.1:1\", agent: bot}]\n", "", ""},
		{"role", "roles: [support]\n", "roles: [support, admin]\n", "role admin is declared"},
		{"another judge", "mode: enforce", "mode: enforce\njudge: {calls: {url: \"https://models.example/v1\", model: small}}", "others judge"},
		{"scanners off", "mode: enforce", "mode: enforce\ninspect: off", "scanners no longer look"},
		{"tenant", "tenants: [acme]", "tenants: [acme, globex]", "tenant globex is declared"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(base, test.old) {
				t.Fatalf("base has no %q", test.old)
			}
			old := must(t, base)
			next := must(t, strings.Replace(base, test.old, test.next, 1))
			why := strings.Join(Looser(old, next), "; ")
			if test.want == "" && why != "" || test.want != "" && !strings.Contains(why, test.want) {
				t.Errorf("looser because %q, want %q", why, test.want)
			}
		})
	}
}

func TestNeedsRestart(t *testing.T) {
	old := must(t, base)
	for change, want := range map[[2]string]string{
		{"", ""}: "",
		{"listen: 127.0.0.1:7717", "listen: 127.0.0.1:7718"}: "listen",
		{"cert: a.pem", "cert: b.pem"}:                       "tls",
		{"hosts: [h]", "hosts: []"}:                          "hosts",
		{"https://o.example", "https://p.example"}:           "origins",
		{"body: 2MiB", "body: 1MiB"}:                         "sizes",
		{"127.0.0.1:4318", "127.0.0.1:4319"}:                 "telemetry",
		{"mode: enforce", "mode: observe"}:                   "",
		{"refund: pay", "refund: send"}:                      "",
	} {
		next := must(t, strings.Replace(base, change[0], change[1], 1))
		if got := strings.Join(NeedsRestart(old, next), " "); got != want {
			t.Errorf("%q: %q, want %q", change, got, want)
		}
	}
}

// A key that looser does not know would loosen without a human.
func TestLooserKnowsEveryKey(t *testing.T) {
	known := map[string]bool{
		"Listen": true, "TLS": true, "Mode": true, "Pin": true, "Servers": true, "Tenants": true, "Roles": true,
		"Users": true, "Agents": true, "Listeners": true, "Hosts": true, "Origins": true, "Limits": true,
		"Telemetry": true, "Retention": true, "Approvals": true, "Sources": true, "Inspect": true, "Judge": true, "Runs": true, "Sizes": true, "Breakers": true, "Notify": true,
		"Dir":    true, // the state that is open stays open
		"Policy": true, // the files' text is compared instead
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if !known[field.Name] {
			t.Errorf("looser does not look at %s", field.Name)
		}
	}
}

func must(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("sallyport.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
