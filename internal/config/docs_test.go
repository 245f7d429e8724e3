package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/starter"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// What the documentation shows must load, and every key must be in it.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatal("docs/configuration.md shows no configuration")
	}
	shown := slices.Clone(blocks)
	for _, name := range []string{"provenance", "limits", "notifications"} {
		text, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		more := yamlBlock.FindAllStringSubmatch(string(text), -1)
		if len(more) == 0 {
			t.Errorf("docs/%s.md shows no configuration", name)
		}
		shown = append(shown, more...)
	}
	for _, block := range shown {
		if _, err := Parse("docs", []byte(block[1])); err != nil {
			t.Error(err)
		}
	}
	for _, key := range configKeys {
		if !regexp.MustCompile(`(?m)\b` + key + `\b`).MatchString(strings.Join(firsts(blocks), "")) {
			t.Errorf("the key %q is in no example", key)
		}
	}
}

func firsts(blocks [][]string) (all []string) {
	for _, block := range blocks {
		all = append(all, block[1])
	}
	return all
}

func TestStarter(t *testing.T) {
	text, err := starter.Files.ReadFile("sallyport.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("sallyport.yaml", text); err != nil {
		t.Error(err)
	}
}
