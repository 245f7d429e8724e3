package policytest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/inspect"
	"sallyport/internal/policy"
)

func pinned(t testing.TB) []sallyport.Definition {
	t.Helper()
	text, err := os.ReadFile("../policy/testdata/servers.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []sallyport.Definition
	for _, item := range sallyport.MustParse(string(text)).Items() {
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

var declared = policy.Declared{
	Agents:  []string{"bot"},
	Roles:   []string{"support", "analyst", "infrastructure"},
	Users:   []string{"ana", "ben"},
	Groups:  []string{"support-leads", "finance", "legal"},
	Tenants: []string{"acme"},

	Findings: inspect.Names,
}

func world(t testing.TB) World {
	return World{Pinned: pinned(t), Roles: declared.Roles, Users: map[string]User{"ben": {Groups: []string{"finance"}, Tenant: "acme"}}}
}

func rules(t testing.TB, text string) *policy.Rules {
	t.Helper()
	r, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte(text)}}, pinned(t), declared)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func suites(texts ...string) []policy.File {
	var out []policy.File
	for i, text := range texts {
		out = append(out, policy.File{Name: fmt.Sprintf("%c.test.yaml", 'a'+i), Text: []byte(text)})
	}
	return out
}

// blocks are the fenced blocks of the guide with this language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			out = append(out, m[2])
		}
	}
	if out == nil {
		t.Fatalf("the guide has no %s", language)
	}
	return out
}

// The guide's examples are true.
func TestGuide(t *testing.T) {
	r := rules(t, strings.Join(blocks(t, "cedar"), "\n"))
	report, err := Run(r, world(t), suites(blocks(t, "yaml")...))
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		if !result.Passed {
			t.Errorf("%s:%d %s: %s", result.File, result.Line, result.Name, result.Detail)
		}
	}
	for _, c := range report.Coverage {
		if c.Fired == 0 {
			t.Errorf("no test makes %s apply", c.Rule.ID)
		}
	}
	for _, text := range blocks(t, "cedar wrong") {
		var want []string
		for _, m := range regexp.MustCompile(`(?m)^// error: (.*)$`).FindAllStringSubmatch(text, -1) {
			want = append(want, "p.cedar:"+m[1])
		}
		_, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte(text)}}, pinned(t), declared)
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("%s\n got %v\nwant %s", text, err, strings.Join(want, "\n"))
		}
	}
}
