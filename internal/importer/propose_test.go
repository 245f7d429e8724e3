package importer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"sallyport"
)

func TestProposedEffects(t *testing.T) {
	yes, no := new(bool), new(bool)
	*yes = true
	for _, test := range []struct {
		tool  Tool
		want  sallyport.Effect
		known bool
	}{
		// from the name
		{Tool{Name: "read_file"}, sallyport.Read, true}, {Tool{Name: "listDirectory"}, sallyport.Read, true}, {Tool{Name: "search-nodes"}, sallyport.Read, true},
		{Tool{Name: "github_get_issue"}, sallyport.Read, true}, {Tool{Name: "get_payments"}, sallyport.Read, true}, {Tool{Name: "fetch_issue"}, sallyport.Read, true},
		{Tool{Name: "write_file"}, sallyport.Write, true}, {Tool{Name: "create_entities"}, sallyport.Write, true}, {Tool{Name: "XMLPatchFile"}, sallyport.Write, true},
		{Tool{Name: "send_message"}, sallyport.Send, true}, {Tool{Name: "email"}, sallyport.Send, true}, {Tool{Name: "create_message"}, sallyport.Send, true},
		{Tool{Name: "fetch"}, sallyport.Send, true}, {Tool{Name: "fetch_url"}, sallyport.Send, true}, {Tool{Name: "browser_navigate"}, sallyport.Send, true},
		{Tool{Name: "delete_file"}, sallyport.Delete, true}, {Tool{Name: "cancel_order"}, sallyport.Delete, true}, {Tool{Name: "cancel_build"}, sallyport.Delete, true},
		{Tool{Name: "refund"}, sallyport.Pay, true}, {Tool{Name: "stripe_create_refund"}, sallyport.Pay, true}, {Tool{Name: "list_refunds"}, sallyport.Read, true},
		{Tool{Name: "grant_role"}, sallyport.Access, true}, {Tool{Name: "add_collaborator"}, sallyport.Access, true}, {Tool{Name: "get_secret"}, sallyport.Access, true},
		{Tool{Name: "run_command"}, sallyport.Exec, true}, {Tool{Name: "execute_sql"}, sallyport.Exec, true}, {Tool{Name: "shell"}, sallyport.Exec, true}, {Tool{Name: "launch_instance"}, sallyport.Exec, true},
		// what is opened may not be there before; money by another name; a noun that asks for a number
		{Tool{Name: "open_issue"}, sallyport.Write, true}, {Tool{Name: "open_file"}, sallyport.Read, true},
		{Tool{Name: "issue_credit", Description: "Put money on the account of a customer."}, sallyport.Pay, true},
		{Tool{Name: "cart_total"}, sallyport.Read, true}, {Tool{Name: "total_reset"}, sallyport.Exec, false}, {Tool{Name: "cart_total", Description: "Deletes the cart."}, sallyport.Delete, true},
		// several verbs: the strictest
		{Tool{Name: "get_or_create_user"}, sallyport.Write, true}, {Tool{Name: "read_write_file"}, sallyport.Write, true}, {Tool{Name: "list_and_delete_all"}, sallyport.Delete, true},
		// nothing known: the strictest
		{Tool{Name: "frobnicate"}, sallyport.Exec, false}, {Tool{Name: "echo"}, sallyport.Exec, false}, {Tool{Name: "customer_refund"}, sallyport.Exec, false}, {Tool{Name: "_"}, sallyport.Exec, false},
		// description and title
		{Tool{Name: "directory_tree", Description: "Get a recursive tree view of files."}, sallyport.Read, true},
		{Tool{Name: "frobnicate", Description: "Deletes everything."}, sallyport.Delete, true},
		{Tool{Name: "frobnicate", Title: "Send invoice"}, sallyport.Send, true},
		{Tool{Name: "get_thing", Description: "Executes a script and gets its output."}, sallyport.Exec, true},
		{Tool{Name: "delete_thing", Description: "Reads a thing."}, sallyport.Delete, true},
		{Tool{Name: "frobnicate", Description: "This is harmless: it only reads."}, sallyport.Exec, false},
		// hints only tighten
		{Tool{Name: "frobnicate", ReadOnlyHint: yes}, sallyport.Exec, false},
		{Tool{Name: "delete_file", ReadOnlyHint: yes, DestructiveHint: no}, sallyport.Delete, true},
		{Tool{Name: "get_file", ReadOnlyHint: no}, sallyport.Write, true},
		{Tool{Name: "get_file", DestructiveHint: yes}, sallyport.Delete, true},
		{Tool{Name: "get_file", ReadOnlyHint: yes, DestructiveHint: yes}, sallyport.Read, true},
		{Tool{Name: "write_file", DestructiveHint: yes}, sallyport.Write, true},
	} {
		got := propose(test.tool)
		if got.Effect != test.want || got.Known != test.known || got.Reason == "" {
			t.Errorf("%+v: %+v", test.tool, got)
		}
	}
}

func proposals() []Proposal {
	files := Server{Name: "files", Transport: Stdio, Command: "npx",
		Args: []Text{{value: "-y"}, {value: "--key=hunter2", secret: true}},
		Env:  map[string]Text{"API_KEY": {value: "hunter2", secret: true}, "MODE": {value: "yes"}}, Cwd: "/home/ana"}
	remote := Server{Name: "remote", Transport: SSE, declared: true, URL: Text{value: "https://example.com/sse"},
		Headers: map[string]Text{"Authorization": {value: "Bearer hunter2", secret: true}}}
	return Propose([]Listed{
		{remote, []Tool{{Name: "send_mail"}, {Name: "*"}, {Name: "a\n  evil: read"}, {Name: "get_\u202etxt"}, {Name: ""}}},
		{files, []Tool{{Name: "read_file"}, {Name: "frobnicate"}, {Name: "run_script"}, {Name: "no"}, {Name: "delete.all"}, {Name: "write_*"}}},
		{Server{Name: "sleeping", Transport: Stdio, Command: "x", Disabled: true}, []Tool{{Name: "pay_bill"}}},
	})
}

func TestServersYAML(t *testing.T) {
	text, err := ServersYAML(proposals())
	if err != nil {
		t.Fatal(err)
	}
	want := `# The servers that import found. Effects are proposals: read them, correct them.
servers:
  # Tools left out for their unusual names: 1. They count as exec.
  files:
    command: npx
    args:
      - -y
      - secret: files-arg-2
    cwd: /home/ana
    env:
      API_KEY:
        secret: files-API_KEY
      MODE: "yes"
    effects:
      delete.all: delete # the name says "delete"
      frobnicate: exec # nothing says what it does: the strictest until you know
      "no": exec # nothing says what it does: the strictest until you know
      read_file: read # the name says "read"
      run_script: exec # the name says "run"
  # Tools left out for their unusual names: 4. They count as exec.
  remote:
    url: https://example.com/sse
    transport: sse
    headers:
      Authorization:
        secret: remote-Authorization
    effects:
      send_mail: send # the name says "send"
  # Switched off in the client, so it is here:
  # sleeping:
  #   command: x
  #   effects:
  #     pay_bill: pay # the name says "pay"
`
	if string(text) != want {
		t.Errorf("got\n%s", text)
	}
}

// Whatever stands in a client's file, the YAML says the same and no more.
func TestServersYAMLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anything := rapid.OneOf(rapid.StringOf(rapid.Rune()), rapid.StringMatching(`[-a-zA-Z0-9@/.:+=_ ~!#]{0,5}`),
			rapid.SampledFrom([]string{"yes", "No", "null", "~", "0x1f", ".inf", ".NaN", "-.5", "1e3", "---", "...", "<<", "=", "2026-11-22", "- a", "a: b", "a #b", "*a", "&a", "!a", "{", "[", "%"}))
		tools := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Tool {
			return Tool{Name: rapid.OneOf(anything, rapid.StringMatching(`[A-Za-z0-9_./-]{1,10}`)).Draw(t, "name"), Description: anything.Draw(t, "description")}
		})).Draw(t, "tools")
		s := Server{Name: "s", Transport: Stdio, Command: anything.Draw(t, "command"), Env: make(map[string]Text)}
		for _, arg := range rapid.SliceOf(anything).Draw(t, "args") {
			s.Args = append(s.Args, Text{value: arg})
		}
		for name, value := range rapid.MapOf(rapid.StringMatching(settingName.String()), anything).Draw(t, "env") {
			s.Env[name] = Text{value: value}
		}
		text, err := ServersYAML(Propose([]Listed{{s, tools}}))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Servers map[string]struct {
				Command string
				Args    []string
				Cwd     string
				Env     map[string]string
				Effects map[string]string
			}
		}
		if err := yaml.UnmarshalWithOptions(text, &got, yaml.Strict()); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		back := got.Servers["s"]
		if len(got.Servers) != 1 || back.Command != s.Command || len(back.Args) != len(s.Args) || len(back.Env) != len(s.Env) {
			t.Fatalf("%v reads back as %v\n%s", s, back, text)
		}
		for i := range s.Args {
			if back.Args[i] != s.Args[i].value {
				t.Fatalf("%q reads back as %q\n%s", s.Args[i].value, back.Args[i], text)
			}
		}
		for name, value := range s.Env {
			if back.Env[name] != value.value {
				t.Fatalf("%q reads back as %q\n%s", value.value, back.Env[name], text)
			}
		}
		for name := range back.Effects {
			if !slices.ContainsFunc(tools, func(tool Tool) bool { return tool.Name == name }) {
				t.Fatalf("effect of a tool %q that is none\n%s", name, text)
			}
		}
	})
}

// The starter policy does what it promises when Cedar evaluates it: permits
// first, then the forbids that ask.
func TestStarterPolicy(t *testing.T) {
	text := StarterPolicy("developer", proposals())
	policies, err := cedar.NewPolicySetFromBytes("starter.cedar", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	entities := make(cedar.EntityMap)
	add := func(kind, id string, parents ...cedar.EntityUID) cedar.EntityUID {
		uid := cedar.NewEntityUID(cedar.EntityType(kind), cedar.String(id))
		entities[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...)}
		return uid
	}
	developer := add("Agent", "claude-code", add("Role", "developer"))
	stranger := add("Agent", "stranger", add("Role", "support"))
	type flow struct{ task, read, outside, unlinked, exposed bool }
	context := func(f flow) cedar.Record {
		paths := func(some bool) cedar.Set {
			if some {
				return cedar.NewSet(cedar.String("to"))
			}
			return cedar.NewSet()
		}
		run := cedar.RecordMap{"task": cedar.Boolean(f.task), "sawUntrusted": cedar.Boolean(f.read), "outside": cedar.Boolean(f.outside)}
		return cedar.NewRecord(cedar.RecordMap{"run": cedar.NewRecord(run), "unlinked": paths(f.unlinked), "exposed": paths(f.exposed)})
	}
	decide := func(who cedar.EntityUID, server, tool string, effect sallyport.Effect, f flow) string {
		action := add("Action", server+"/tool:"+tool, add("Action", "server:"+server), add("Action", "effect:"+string(effect)))
		request := cedar.Request{Principal: who, Action: action, Resource: add("Server", server), Context: context(f)}
		decision, diagnostic := cedar.Authorize(policies, entities, request)
		if len(diagnostic.Errors) > 0 {
			t.Fatal(diagnostic.Errors)
		}
		if decision == cedar.Allow {
			return "allow"
		}
		permits := cedar.NewPolicySet()
		for id, p := range policies.All() {
			if _, asks := p.Annotations()["ask"]; !asks {
				permits.Add(id, p)
			} else if p.Annotations()["ask"] != "owner" || p.Annotations()["because"] == "" {
				t.Errorf("%s asks without saying whom or why", id)
			}
		}
		if decision, _ := cedar.Authorize(permits, entities, request); decision == cedar.Allow {
			return "ask"
		}
		return "deny"
	}
	for _, test := range []struct {
		who          cedar.EntityUID
		server, tool string
		effect       sallyport.Effect
		flow         flow
		want         string
	}{
		{developer, "files", "read_file", sallyport.Read, flow{}, "allow"},
		{developer, "files", "delete.all", sallyport.Delete, flow{}, "ask"},
		{developer, "files", "run_script", sallyport.Exec, flow{}, "ask"},
		{developer, "files", "frobnicate", sallyport.Exec, flow{}, "deny"}, // unknown
		{developer, "files", "write_*", sallyport.Exec, flow{}, "deny"},    // odd
		{developer, "files", "appeared_later", sallyport.Exec, flow{}, "deny"},
		{developer, "files", "pay", sallyport.Pay, flow{}, "deny"}, // no tool of that server pays
		{developer, "remote", "send_mail", sallyport.Send, flow{}, "ask"},
		{developer, "remote", "read_mail", sallyport.Read, flow{}, "deny"}, // nobody has listed one
		{developer, "sleeping", "pay_bill", sallyport.Pay, flow{}, "deny"},
		{developer, "elsewhere", "read", sallyport.Read, flow{}, "deny"},
		{stranger, "files", "read_file", sallyport.Read, flow{}, "deny"},
		{developer, "files", "delete.all", sallyport.Delete, flow{task: true, read: true}, "allow"},
		{developer, "files", "delete.all", sallyport.Delete, flow{task: true, outside: true}, "ask"},
		{developer, "files", "delete.all", sallyport.Delete, flow{task: true, unlinked: true}, "ask"},
		{developer, "remote", "send_mail", sallyport.Send, flow{task: true}, "allow"},
		{developer, "remote", "send_mail", sallyport.Send, flow{task: true, exposed: true}, "ask"},
		{developer, "files", "frobnicate", sallyport.Exec, flow{task: true}, "deny"},
		{developer, "files", "read_file", sallyport.Read, flow{read: true}, "allow"},
		{developer, "files", "read_file", sallyport.Read, flow{task: true, read: true, unlinked: true}, "ask"},
		{developer, "files", "read_file", sallyport.Read, flow{task: true, unlinked: true}, "allow"},
		{developer, "files", "read_file", sallyport.Read, flow{exposed: true}, "ask"},
	} {
		if got := decide(test.who, test.server, test.tool, test.effect, test.flow); got != test.want {
			t.Errorf("%v %s/%s (%s) %+v: %s, want %s", test.who, test.server, test.tool, test.effect, test.flow, got, test.want)
		}
	}
	if empty, err := cedar.NewPolicySetFromBytes("empty.cedar", []byte(StarterPolicy("developer", nil))); err != nil || len(slices.Collect(mapKeys(empty))) != 0 {
		t.Errorf("of nothing: %v", err)
	}
}

func mapKeys(p *cedar.PolicySet) func(func(cedar.PolicyID) bool) {
	return func(yield func(cedar.PolicyID) bool) {
		for id := range p.All() {
			if !yield(id) {
				return
			}
		}
	}
}

func TestToolListedTwice(t *testing.T) {
	for _, descriptions := range [][2]string{{"Reads.", "Runs."}, {"Runs.", "Reads."}} {
		p := Propose([]Listed{{Server{Name: "s"}, []Tool{{Name: "get", Description: descriptions[0]}, {Name: "get", Description: descriptions[1]}}}})
		if len(p[0].Tools) != 1 || p[0].Tools[0].Effect != sallyport.Exec {
			t.Errorf("%+v", p[0].Tools)
		}
	}
}

// A server's words reach neither the configuration nor the policy.
func TestProposalQuotesNoServer(t *testing.T) {
	hostile := Tool{Name: "get_x", Title: "evil-title\n}", Description: "Reads evil-description\n  *: read\n"}
	p := Propose([]Listed{{Server{Name: "s", Transport: Stdio, Command: "c"}, []Tool{hostile}}})
	text, err := ServersYAML(p)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(p) + string(text) + StarterPolicy("r", p); strings.Contains(all, "evil") || bytes.Contains(text, []byte("*")) {
		t.Error(all)
	}
}

// A server that did not answer is not passed over in silence.
func TestStarterPolicySaysWhatItDoesNotKnow(t *testing.T) {
	text := StarterPolicy("developer", []Proposal{{Server: Server{Name: "far"}}})
	if !strings.Contains(text, "// far\n// Its tools are not known") {
		t.Errorf("%s", text)
	}
}

// TestProposeReturns reads "Returns …" as what a tool answers, and only so far
// as no thing can be meant that is given back.
func TestProposeReturns(t *testing.T) {
	for description, want := range map[string]sallyport.Effect{
		"Returns a list of the messages in the channel.": sallyport.Read,
		"Returns all events of the day.":                 sallyport.Read,
		"Returns the password of the account.":           sallyport.Access,
		"Returns the parcel to its sender.":              sallyport.Exec,
		"Returns an order to the shop.":                  sallyport.Exec,
	} {
		if got := propose(Tool{Name: "xq_zv", Description: description}).Effect; got != want {
			t.Errorf("%q: %s, want %s", description, got, want)
		}
	}
}
