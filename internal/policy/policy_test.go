package policy

import (
	"os"
	"strings"
	"testing"

	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
)

// pinned are the servers in testdata, as definitions.
func pinned(t testing.TB) []sallyport.Definition {
	t.Helper()
	text, err := os.ReadFile("testdata/servers.json")
	if err != nil {
		t.Fatal(err)
	}
	all, err := sallyport.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var out []sallyport.Definition
	for _, item := range all.Items() {
		d := sallyport.Definition{Kind: sallyport.KindTool, Raw: item.Get("tool")}
		if prompt := item.Get("prompt"); prompt.Type() == sallyport.Object {
			d.Kind, d.Raw = sallyport.KindPrompt, prompt
		}
		d.Server, _ = item.Get("server").Text()
		d.Name, _ = d.Raw.Get("name").Text()
		d.Undeclared = item.Get("undeclared").Type() == sallyport.True
		for _, effect := range item.Get("effects").Items() {
			word, _ := effect.Text()
			d.Effects = append(d.Effects, sallyport.Effect(word))
		}
		d.Digest = sallyport.DigestOf(d.Raw.Raw())
		out = append(out, d)
	}
	return out
}

var declared = Declared{
	Servers:    []string{"desk", "cloud", "empty"},
	Agents:     []string{"bot", "ops"},
	Roles:      []string{"support", "analyst", "infrastructure"},
	Users:      []string{"ana", "ben"},
	Groups:     []string{"support-leads", "finance", "legal"},
	Tenants:    []string{"acme"},
	Attributes: []string{"region", "limit"},
	Findings:   []string{"order/override", "pii/email", "pii/iban", "secret/jwt", "external/flagged"},
}

// files are policy files: names and texts by turns.
func files(namesAndTexts ...string) []File {
	var out []File
	for i := 0; i < len(namesAndTexts); i += 2 {
		out = append(out, File{Name: namesAndTexts[i], Text: []byte(namesAndTexts[i+1])})
	}
	return out
}

func load(t testing.TB, text string) *Rules {
	t.Helper()
	r, err := Load(files("p.cedar", text), pinned(t), declared)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var bot = sallyport.Principal{
	Agent: "bot", Role: "support", User: "ana", Tenant: "acme",
	Roles: []string{"support"}, Groups: []string{"support-leads"}, Attributes: map[string]string{"region": "eu"},
}

// call makes the facts of a call by bot: "desk/tool:refund" and its arguments.
func call(t testing.TB, action, args string) *sallyport.Facts {
	t.Helper()
	server, name, _ := strings.Cut(action, "/")
	kind, name, _ := strings.Cut(name, ":")
	c := &sallyport.Call{Kind: sallyport.KindOf(kind), Server: server, Name: name, Principal: bot}
	if args != "" {
		var err error
		if c.Args, err = sallyport.Parse([]byte(args)); err != nil {
			t.Fatal(err)
		}
	}
	facts := &sallyport.Facts{Call: c}
	for _, d := range pinned(t) {
		if d.Action() == action {
			facts.Tool = &d
		}
	}
	return facts
}

// permitted is a policy's head as a permit.
func permitted(p *ast.Policy) *publicast.Policy {
	p.Effect = ast.EffectPermit
	return (*publicast.Policy)(p)
}
