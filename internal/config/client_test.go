package config

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/provenance"
)

// The tools of a client have the effects of the table, until the operator says
// otherwise, and what they bring is never trusted for being built in.
func TestClientTools(t *testing.T) {
	c, err := Parse("x.yaml", []byte("servers:\n  cc:\n    builtin: claude-code\n    effects: {Glob: write}\n  desk: {builtin: desk}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for tool, want := range map[string]sallyport.Effect{"Bash": sallyport.Exec, "Read": sallyport.Read, "Write": sallyport.Write, "Glob": sallyport.Write, "Telepathy": sallyport.Exec, "unknown": sallyport.Exec} {
		if effects, undeclared := c.Settings("cc", tool); !slices.Equal(effects, []sallyport.Effect{want}) || undeclared != (tool == "unknown") {
			t.Errorf("%s: %v %v", tool, effects, undeclared)
		}
	}
	if effects, _ := c.Settings("desk", "Read"); !slices.Equal(effects, []sallyport.Effect{sallyport.Exec}) {
		t.Errorf("another server's Read: %v", effects)
	}
	if c.ClientServer() != "cc" || (&Config{}).ClientServer() != "" {
		t.Error(c.ClientServer())
	}
	d := c.Declaration("cc")
	if d.Trust != provenance.Community || len(d.Rules) != 2 || d.Rules[0].Tool != "WebFetch" || d.Rules[0].Origin.Writer != sallyport.WriterUntrusted || d.Rules[0].Origin.Readers != sallyport.ReadersPublic {
		t.Errorf("%+v", d)
	}
	if len(c.Declaration("desk").Rules) != 0 {
		t.Error("another server's results are public")
	}
	_, err = Parse("x.yaml", []byte("servers:\n  a: {builtin: claude-code}\n  b: {builtin: claude-code}\n"))
	if err == nil || !strings.Contains(err.Error(), "already") {
		t.Error(err)
	}
}

// What docs/hooks.md shows must load.
func TestHooksDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d configurations are shown", len(blocks))
	}
	for _, block := range blocks {
		if _, err := Parse("docs/hooks.md", []byte(block[1])); err != nil {
			t.Error(err)
		}
	}
}
