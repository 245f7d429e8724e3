package table

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/manifest"
)

// What reaches beyond the client is never milder than what it does, and every
// schema is one that arguments can be checked against.
func TestTable(t *testing.T) {
	least := map[string]sallyport.Effect{
		"Bash": sallyport.Exec, "Skill": sallyport.Exec, "SlashCommand": sallyport.Exec, Unknown: sallyport.Exec,
		"Write": sallyport.Write, "Edit": sallyport.Write, "MultiEdit": sallyport.Write, "NotebookEdit": sallyport.Write,
		"WebFetch": sallyport.Read, "Read": sallyport.Read,
	}
	for _, tool := range Tools() {
		if want, ok := least[tool.Name]; ok && !slices.Equal(tool.Effects, []sallyport.Effect{want}) {
			t.Errorf("%s does %v, want %v", tool.Name, tool.Effects, want)
		}
		delete(least, tool.Name)
		for _, effect := range tool.Effects {
			if !slices.Contains(sallyport.Effects[:], effect) {
				t.Errorf("%s: no effect %q", tool.Name, effect)
			}
		}
		raw, err := sallyport.Parse([]byte(`{"name":"` + tool.Name + `","inputSchema":` + string(tool.InputSchema) + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.Compile(&sallyport.Definition{Name: tool.Name, Raw: raw}); err != nil || len(tool.Effects) == 0 || tool.Description == "" {
			t.Errorf("%s: %v", tool.Name, err)
		}
	}
	if len(least) > 0 {
		t.Errorf("not in the table: %v", least)
	}
	if !slices.IsSortedFunc(Tools(), func(a, b Tool) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("out of order")
	}
	if _, ok := Lookup("Telepathy"); ok {
		t.Error("a tool that there is not")
	}
}

// What brings in text that others wrote must not pass for an echo: it would be
// neither kept nor labelled.
func TestEchoes(t *testing.T) {
	for _, name := range []string{"Bash", "BashOutput", "Read", "Edit", "Glob", "Grep", "WebFetch", "WebSearch", "Task", "Agent", "TaskOutput", "Skill", "AskUserQuestion", Unknown} {
		if tool, ok := Lookup(name); !ok || tool.Echo {
			t.Errorf("%s: %+v", name, tool)
		}
	}
	for _, name := range []string{"Bash", "Read", "Grep", Unknown} {
		if tool, _ := Lookup(name); tool.Public {
			t.Errorf("what %s brings is not everybody's", name)
		}
	}
}
