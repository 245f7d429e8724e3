package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sallyport"
)

// Each policy is wrong in the way that its problem says.
func TestLoadProblems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", `permit (principal, action, resource`, `p.cedar:1:28: expected ")" at the end of this policy`},
		{"syntax in the middle", "permit (principal, action, resource);\nforbid (principal action, resource);", `p.cedar:2:19: expected ",", found "action"`},
		{"bad string", "permit (principal, action, resource) when { \"a };\n", `p.cedar:1:45: this string does not end on its line`},
		{"strange character", "permit (principal, action, resource) when { 1 # 2 };", `p.cedar:1:47: unexpected '#'`},
		{"unknown role", `permit (principal in Role::"suport", action, resource);`, `p.cedar:1:22: no role "suport" is declared; did you mean "support"?`},
		{"unknown agent", `permit (principal == Agent::"bto", action, resource);`, `p.cedar:1:22: no agent "bto" is declared; did you mean "bot"?`},
		{"unknown user", `permit (principal in User::"anna", action, resource);`, `p.cedar:1:22: no user "anna" is declared; did you mean "ana"?`},
		{"unknown tenant", `permit (principal in Tenant::"acne", action, resource);`, `p.cedar:1:22: no tenant "acne" is declared; did you mean "acme"?`},
		{"unknown server", `permit (principal, action, resource == Server::"dsk");`, `p.cedar:1:40: no server "dsk" is declared; did you mean "desk"?`},
		{"unknown tool", `permit (principal, action == Action::"desk/tool:refnd", resource);`, `p.cedar:1:30: desk has no tool "refnd"; did you mean "desk/tool:refund"?`},
		{"unknown tool in a list", `permit (principal, action in [Action::"desk/tool:refund", Action::"desk/tool:x"], resource);`, `p.cedar:1:59: desk has no tool "x"`},
		{"unknown server of a tool", `permit (principal, action == Action::"dsk/tool:refund", resource);`, `p.cedar:1:30: no server "dsk" is declared; did you mean "desk"?`},
		{"unknown effect", `permit (principal, action in Action::"effect:raed", resource);`, `p.cedar:1:30: there is no action "effect:raed"; did you mean "effect:read"?`},
		{"an effect without its prefix", `permit (principal, action in Action::"read", resource);`, `p.cedar:1:30: there is no action "read"`},
		{"a group of a server that isn't", `permit (principal, action in Action::"server:dsk", resource);`, `p.cedar:1:30: there is no action "server:dsk"; did you mean "server:desk"?`},
		{"a tool without its kind", `permit (principal, action == Action::"desk/refund", resource);`, `p.cedar:1:30: there is no action "desk/refund"`},
		{"a kind of action that isn't", `permit (principal, action == Action::"desk/tol:refund", resource);`, `p.cedar:1:30: there is no action "desk/tol:refund"; did you mean "desk/tool:refund"?`},
		{"an unknown tool on another server", `permit (principal, action == Action::"desk/tool:x", resource == Server::"cloud");`, `p.cedar:1:30: desk has no tool "x"`},
		{"a type that isn't, in a condition", `permit (principal, action, resource) when { principal is Group };`, `p.cedar:1:58: there is no entity type Group`},
		{"a type that isn't, in another condition", `permit (principal, action, resource) when { principal is Group in Role::"support" };`, `p.cedar:1:58: there is no entity type Group`},
		{"equal to a group", `permit (principal, action == Action::"effect:read", resource);`, "p.cedar:1:30: Action::\"effect:read\" is a group of actions; write `action in`"},
		{"no actions", `permit (principal, action in [], resource);`, `p.cedar:1:1: no action is in []; this rule can never apply`},
		{"wrong entity type in the scope", `permit (principal in Server::"desk", action, resource);`, `p.cedar:1:22: Server::"desk" can't stand here; expected Agent or Role or User or Tenant`},
		{"wrong principal type", `permit (principal is User, action, resource);`, `p.cedar:1:22: this is always an Agent, never User`},
		{"wrong resource type", `permit (principal, action, resource is Agent);`, `p.cedar:1:40: this is always a Server, never Agent`},
		{"no such entity type", `permit (principal, action, resource) when { principal in Team::"x" };`, `p.cedar:1:58: there is no entity type Team; there are Agent, Role, User, Tenant, Server and Action`},
		{"actions of another server", `permit (principal, action == Action::"desk/tool:refund", resource == Server::"cloud");`, `p.cedar:1:1: none of these actions is on server "cloud"; this rule can never apply`},

		{"undeclared path", "forbid (principal, action == Action::\"desk/tool:refund\", resource)\n  when { context.input.ammount.lessThan(decimal(\"1.0\")) };", `p.cedar:2:24: no action in this rule's scope has context.input.ammount; did you mean "amount"?`},
		{"undeclared has", "forbid (principal, action == Action::\"desk/tool:refund\", resource)\n  when { context.input has ammount };", `p.cedar:2:28: no action in this rule's scope has context.input.ammount; did you mean "amount"?`},
		{"undeclared has in quotes", `forbid (principal, action, resource) when { context.input has "b c" };`, `p.cedar:1:63: no action in this rule's scope has context.input["b c"]; did you mean "cc"?`},
		{"undeclared in a chain", `forbid (principal, action, resource) when { context.input has disk.kynd };`, `p.cedar:1:68: no action in this rule's scope has context.input.disk.kynd; did you mean "kind"?`},
		{"undeclared in brackets", `forbid (principal, action, resource) when { context["inputs"] has x };`, `p.cedar:1:53: no action in this rule's scope has context.inputs; did you mean "input"?`},
		{"an attribute of the principal", `forbid (principal, action, resource) when { principal.name == "bot" };`, `p.cedar:1:55: principal has no attributes; what is known is in context`},
		{"has of the principal", `forbid (principal, action, resource) when { principal has name };`, `p.cedar:1:59: principal has no attributes; what is known is in context`},
		{"reaching into an expression", `forbid (principal, action, resource) when { (if true then context.input else context.input) has ammount };`, `p.cedar:1:97: write the whole path here, from context or principal; conditions can't reach into other expressions`},
		{"context as a whole", `forbid (principal, action, resource) when { [context] == [] };`, `p.cedar:1:46: context as a whole can't be compared; name the parts`},
		{"result in a rule about calls", `forbid (principal, action, resource) when { context.result.isError };`, `p.cedar:1:53: only a rule marked @on("result") can look at context.result`},
		{"opaque by its schema", `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input has reference };`, `p.cedar:1:93: context.input.reference can be of several kinds, which Cedar can't hold; ask context.opaque.contains("reference") instead`},
		{"not in all actions of the scope", `forbid (principal, action in Action::"server:desk", resource) when { context.input.id == "1" };`, "p.cedar:1:84: desk/answer:elicitation has no context.input.id; test it with `has` first, or name other actions in the scope"},
		{"optional without has", `forbid (principal, action == Action::"desk/tool:send_email", resource) when { 1 == 1 && !context.input.urgent };`, "p.cedar:1:104: context.input.urgent is optional in desk/tool:send_email; test it with `has` first, in the same condition"},
		{"optional, has in another condition", `forbid (principal, action == Action::"desk/tool:send_email", resource) when { context.input has urgent } when { context.input.urgent };`, "p.cedar:1:127: context.input.urgent is optional in desk/tool:send_email; test it with `has` first, in the same condition"},
		{"a user's attribute without has", `forbid (principal, action, resource) when { context.user.attributes.region == "eu" };`, "p.cedar:1:69: context.user.attributes.region is optional in cloud/answer:elicitation; test it with `has` first, in the same condition"},
		{"a number compared as an integer", `forbid (principal, action == Action::"desk/tool:refund", resource) when { true && context.input.amount > 500 };`, `p.cedar:1:83: unexpected type: expected datetime, or duration, or Long but saw decimal; a number is a decimal here: compare with .lessThan(decimal("1.0")), .greaterThan(…)`},
		{"after or", `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.customer == "a" || context.input.amount > 500 };`, `p.cedar:1:108: unexpected type: expected datetime, or duration, or Long but saw decimal; a number is a decimal here: compare with .lessThan(decimal("1.0")), .greaterThan(…)`},
		{"in then", `forbid (principal, action == Action::"desk/tool:refund", resource) when { if context.input has reason then context.input.reason == 5 else true };`, `p.cedar:1:108: the types Long and String are not compatible`},
		{"in else", `forbid (principal, action == Action::"desk/tool:refund", resource) when { if context.input has reason then true else context.input.customer == 5 };`, `p.cedar:1:118: the types Long and String are not compatible`},
		{"in if", `forbid (principal, action == Action::"desk/tool:refund", resource) when { if context.input.customer == 5 then true else true };`, `p.cedar:1:78: the types Long and String are not compatible`},
		{"in not", `forbid (principal, action == Action::"desk/tool:refund", resource) when { !(context.input.customer == 5) };`, `p.cedar:1:77: the types Long and String are not compatible`},
		{"types that can't be equal", `forbid (principal, action == Action::"desk/tool:get_ticket", resource) when { context.input.id == 5 };`, `p.cedar:1:79: the types Long and String are not compatible`},
		{"a condition that is no truth value", `forbid (principal, action, resource) when { context.user.name };`, `p.cedar:1:45: unexpected type: expected Bool but saw String`},
		{"a decimal that isn't one", `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount == decimal("1") };`, "p.cedar:1:75: error during extension function argument validation: failed to parse as a decimal value: `\"1\"`; a decimal has one to four places: decimal(\"1.0\")"},
		{"a decimal compared with an integer", `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input.amount.lessThan(5) };`, `p.cedar:1:75: unexpected type: expected decimal but saw Long; write decimal("1.0")`},
		{"an argument made an address", `forbid (principal, action == Action::"desk/tool:refund", resource) when { ip(context.input.customer).isLoopback() };`, `p.cedar:1:75: extension constructors may not be called with non-literal expressions; ip, decimal and their like are made of what is written here, not of arguments`},
		{"a word that the enumeration lacks", `forbid (principal, action == Action::"desk/tool:update_ticket", resource) when { context.input.status == "close" };`, `p.cedar:1:106: context.input.status is never "close"; did you mean "closed"?`},
		{"a word that the enumeration lacks, in a set", `forbid (principal, action == Action::"desk/tool:update_ticket", resource) when { ["open", "done"].contains(context.input.status) };`, `p.cedar:1:91: context.input.status is never "done"`},
		{"a group that isn't", `forbid (principal, action, resource) when { context.user.groups.contains("suport-leads") };`, `p.cedar:1:74: context.user.groups is never "suport-leads"; did you mean "support-leads"?`},
		{"an opaque path that can't be", `forbid (principal, action == Action::"desk/tool:refund", resource) when { context.opaque.contains("refrence") };`, `p.cedar:1:99: context.opaque is never "refrence"; did you mean "reference"?`},

		{"a principal of another type, in something", `permit (principal is User in Role::"support", action, resource);`, `p.cedar:1:22: this is always an Agent, never User`},
		{"a principal in an unknown role", `permit (principal is Agent in Role::"suport", action, resource);`, `p.cedar:1:31: no role "suport" is declared; did you mean "support"?`},
		{"a resource in an unknown server", `permit (principal, action, resource in Server::"dsk");`, `p.cedar:1:40: no server "dsk" is declared; did you mean "desk"?`},
		{"a resource of another type, in something", `permit (principal, action, resource is Role in Server::"desk");`, `p.cedar:1:40: this is always a Server, never Role`},
		{"a resource that is in an unknown server", `permit (principal, action, resource is Server in Server::"dsk");`, `p.cedar:1:50: no server "dsk" is declared; did you mean "desk"?`},
		{"a resource in a role", `permit (principal, action, resource in Role::"support");`, `p.cedar:1:40: Role::"support" can't stand here; expected Server`},
		{"an annotation in another case", `@Ask("finance") forbid (principal, action, resource);`, `p.cedar:1:2: there is no annotation @Ask; did you mean "ask"?`},
		{"an annotation that is misspelt", `@masc("secret") permit (principal, action, resource);`, `p.cedar:1:2: there is no annotation @masc; did you mean "mask"?`},
		{"another that is not built", `@id("x") @route("judge") permit (principal, action, resource);`, `p.cedar:1:11: there is no annotation @route`},
		{"two of an annotation", `@ask("finance") @ask("legal") forbid (principal, action, resource);`, `p.cedar:1:21: duplicate annotation: @ask`},
		{"an unknown annotation", `@askk("finance") forbid (principal, action, resource);`, `p.cedar:1:2: there is no annotation @askk; did you mean "ask"?`},
		{"asking nobody known", `@ask("finanse") forbid (principal, action, resource);`, `p.cedar:1:2: no group "finanse" is declared; did you mean "finance"?`},
		{"asking nobody", `@ask forbid (principal, action, resource);`, `p.cedar:1:2: no group "" is declared`},
		{"a permit that asks", `@ask("finance") permit (principal, action, resource);`, `p.cedar:1:1: only a forbid can ask or judge results; a permit with @ask or @on would allow without asking`},
		{"a permit about results", `@on("result") permit (principal, action, resource);`, `p.cedar:1:1: only a forbid can ask or judge results; a permit with @ask or @on would allow without asking`},
		{"on what?", `@on("results") forbid (principal, action, resource);`, `p.cedar:1:2: @on("result") is the only one there is`},
		{"two of a name", "@id(\"a\") forbid (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);", `p.cedar:2:1: the rule at p.cedar:1 is called "a" too`},
		{"no name", `@id("") forbid (principal, action, resource);`, `p.cedar:1:2: @id needs a name`},
		{"too long", `permit (principal, action, resource) when { ` + strings.Repeat("(", 1<<16) + `true };`, `p.cedar:1:1: this policy is longer than 65536 bytes; split it`},
		{"not UTF-8", "// \xff\n", `p.cedar:1:1: the file is not valid UTF-8`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(files("p.cedar", c.text), pinned(t), declared)
			switch {
			case err == nil:
				t.Fatal("loaded")
			case c.want != "" && err.Error() != c.want:
				t.Errorf("\n got %s\nwant %s", err, c.want)
			}
			if _, ok := err.(Problems); !ok {
				t.Errorf("%T", err)
			}
		})
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	_, err := Load(files(
		"b.cedar", "permit (principal in Role::\"x\", action, resource);\npermit (principal, action, resource) when { };\nforbid (principal, action, resource) when { context.nothing };",
		"a.cedar", "nonsense;\npermit (principal, action, resource);\n\"",
	), pinned(t), declared)
	want := `a.cedar:1:1: unexpected effect: nonsense; a rule begins with permit or forbid
a.cedar:3:1: this string does not end on its line
b.cedar:1:22: no role "x" is declared
b.cedar:2:45: invalid primary; a value stands here: context.…, principal, action, resource or a literal
b.cedar:3:53: no action in this rule's scope has context.nothing`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestLoadAccepts(t *testing.T) {
	for _, text := range []string{
		``,
		"// nothing but a comment",
		`permit (principal, action, resource);`,
		`permit (principal is Agent in Role::"support", action in Action::"effect:read", resource is Server);`,
		`forbid (principal, action in Action::"effect:pay", resource) when { context.input has amount && context.input.amount.greaterThan(decimal("5.0")) };`,
		`forbid (principal, action, resource) when { context.input has disk.gb && context.input.disk.gb > 100 };`,
		`forbid (principal, action, resource) unless { principal in Role::"support" || action in Action::"effect:read" };`,
		`forbid (principal, action, resource) when { if context.input has limit then context.input.limit > 50 else false };`,
		`forbid (principal, action, resource) when { context.input has cc && context.input.cc.containsAny(["a", "b"]) };`,
		`forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.input.count * 2 + -1 > 5 };`,
		`forbid (principal, action == Action::"cloud/tool:run_command", resource) when { context.opaque.contains("anything") };`,
		`forbid (principal, action == Action::"desk/tool:refund", resource) when { context.opaque.contains("reference") };`,
		`forbid (principal, action in Action::"effect:access", resource == Server::"desk");`, // nothing has this effect yet
		`forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { context.opaque.contains("disk.kind") };`,
		`forbid (principal, action == Action::"desk/ask:elicitation", resource) when { context.opaque.contains("requestedSchema") };`,
		`forbid (principal, action == Action::"desk/answer:elicitation", resource) when { context.opaque.contains("content.name") };`,
		`permit (principal, action in [Action::"desk/resource:read", Action::"desk/prompt:summarize", Action::"desk/ask:elicitation", Action::"desk/answer:sampling", Action::"server:empty"], resource);`,
		`@on("result") @ask("finance, legal") forbid (principal, action, resource) when { context.result.text like "*secret*" && !context.result.isError };`,
		`forbid (principal, action, resource) when { context.user.attributes has region && context.user.attributes.region == "eu" };`,
		`forbid (principal, action, resource) when { context.user.name == "" || context.user.tenant != "acme" || context.user.roles.contains("support") };`,
		`forbid (principal, action == Action::"desk/tool:update_ticket", resource) when { context.input has note && context.input.note like "*x*" };`,
		`forbid (principal, action == Action::"cloud/tool:create_instance", resource) when { {a: context.input.size, b: [1]} == {a: "small", b: [1]} };`,
	} {
		if _, err := Load(files("p.cedar", text), pinned(t), declared); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// A word is only wrong when no action in scope could send it.
func TestWords(t *testing.T) {
	var defs []sallyport.Definition
	for name, tags := range map[string]string{
		"free": `{"type":"array","items":{"type":"string"}}`, "few": `{"type":"array","items":{"enum":["a","b"]}}`,
		"union": `{"type":["array","string"],"items":{"enum":["a","b"]}}`, "other": `{"type":"array","items":{"enum":["c"]}}`,
	} {
		raw := sallyport.MustParse(`{"inputSchema":{"type":"object","properties":{"tags":` + tags + `}}}`)
		defs = append(defs, sallyport.Definition{Server: "s", Kind: sallyport.KindTool, Name: name, Raw: raw})
	}
	for _, c := range []struct {
		scope string
		word  string
		loads bool
	}{
		{`action == Action::"s/tool:few"`, "a", true}, {`action == Action::"s/tool:few"`, "z", false},
		{`action in [Action::"s/tool:few", Action::"s/tool:other"]`, "c", true}, {`action in [Action::"s/tool:few", Action::"s/tool:other"]`, "z", false},
		{`action in [Action::"s/tool:few", Action::"s/tool:free"]`, "z", true}, {`action in [Action::"s/tool:few", Action::"s/tool:union"]`, "z", false},
	} {
		text := fmt.Sprintf("forbid (principal, %s, resource) when { context.input has tags && context.input.tags.contains(%q) };", c.scope, c.word)
		if _, err := Load(files("p.cedar", text), defs, Declared{}); (err == nil) != c.loads {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// However the files come, they are one policy.
func TestLoadSortsFiles(t *testing.T) {
	const a, b = `@id("a") permit (principal, action, resource);`, `@id("b") permit (principal, action, resource);`
	given := files("z.cedar", b, "a.cedar", a)
	r, err := Load(given, pinned(t), declared)
	if err != nil {
		t.Fatal(err)
	}
	if names(r.All()) != "a,b" || given[0].Name != "z.cedar" {
		t.Errorf("%s, and %s came first", names(r.All()), given[0].Name)
	}
	if other, err := Load(files("a.cedar", a, "z.cedar", b), pinned(t), declared); err != nil || other.Digest() != r.Digest() {
		t.Error("another order, another policy")
	}
	if _, err := Load(files("a.cedar", a, "b.cedar", "", "a.cedar", b), pinned(t), declared); err == nil || err.Error() != "a.cedar: two policy files have this name" {
		t.Error(err)
	}
}

func TestDigest(t *testing.T) {
	base := load(t, `permit (principal, action, resource);`)
	if base.Digest() != load(t, `permit (principal, action, resource);`).Digest() {
		t.Error("the same policy has two digests")
	}
	if (*Rules)(nil).Digest() != (&Rules{}).Digest() {
		t.Error("no policy has a digest")
	}
	seen := map[string]string{base.Digest().String(): "base"}
	differs := func(what string, files []File) {
		t.Helper()
		defs := pinned(t)
		switch what {
		case "effects":
			defs[0].Effects = append(defs[0].Effects, "exec")
		case "definition":
			defs[0].Digest[0]++
		case "undeclared":
			defs[0].Undeclared = true
		case "tool":
			defs[0].Name = "another"
		}
		r, err := Load(files, defs, declared)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[r.Digest().String()]; other != "" {
			t.Errorf("%s has the digest of %s", what, other)
		}
		seen[r.Digest().String()] = what
	}
	const text = `permit (principal, action, resource);`
	for _, what := range []string{"effects", "definition", "undeclared", "tool"} {
		differs(what, files("p.cedar", text))
	}
	differs("name", files("q.cedar", text))
	differs("a name that ends early", files("p", "//x\n"+text))
	differs("a name that ends late", files("p//x\n", text))
	differs("text", files("p.cedar", " "+text))
	differs("files", files("p.cedar", text, "q.cedar", ""))
}

// FuzzLoad: any bytes load or give problems, each with a place within the file.
// What loads is as tight as itself.
func FuzzLoad(f *testing.F) {
	if text, err := os.ReadFile("../../docs/policy.md"); err == nil {
		for i, block := range strings.Split(string(text), "```") {
			if rest, ok := strings.CutPrefix(block, "cedar\n"); ok && i%2 == 1 {
				for _, one := range strings.SplitAfter(rest, ";") {
					f.Add(one)
				}
			}
		}
	}
	for _, seed := range []string{
		`permit (principal, action, resource) when { decimal() };`, `@id @x() permit`, `forbid(principal,action,resource)when{context.input has a.b.c.d};`,
		`permit (principal, action in [], resource) when { [[]] == [] && {} has a };`, "/* ; */ permit", `permit (principal, action, resource) when { if if true then true else false then 1 else 2 };`,
	} {
		f.Add(seed)
	}
	defs := pinned(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Load(files("p.cedar", text), defs, declared)
		if err == nil {
			Decide(r, call(t, "desk/tool:refund", `{"customer":"c","amount":5}`))
			if l := Compare(r, r); l != nil {
				t.Errorf("looser than itself: %v", l)
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range err.(Problems) {
			if p.File != "p.cedar" || p.Line < 1 || p.Line > lines || p.Column < 1 || p.Text == "" {
				t.Errorf("%#v", p)
			}
		}
	})
}
