package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawJSON writes a value the way no formatter would: any white space, comments
// and trailing commas wherever they may stand.
func drawJSON(t *rapid.T, b *strings.Builder, v any) {
	extra := func() {
		b.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n  ", " // note: {\"a\": [\n", "/* \"b\": } */", "\t/**/\t"}).Draw(t, "extra"))
	}
	text := func(s string) {
		encoded, _ := json.Marshal(s)
		if rapid.Bool().Draw(t, "escape") {
			encoded = []byte(`"` + escapeAll(s) + `"`)
		}
		b.Write(encoded)
	}
	switch v := v.(type) {
	case string:
		text(v)
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			extra()
			drawJSON(t, b, e)
			extra()
			if i < len(v)-1 || rapid.Bool().Draw(t, "trailing comma") {
				b.WriteByte(',')
			}
		}
		extra()
		b.WriteByte(']')
	case map[string]any:
		keys := rapid.Permutation(slices.Sorted(keysOf(v))).Draw(t, "order")
		b.WriteByte('{')
		for i, key := range keys {
			extra()
			text(key)
			extra()
			b.WriteByte(':')
			extra()
			drawJSON(t, b, v[key])
			extra()
			if i < len(keys)-1 || rapid.Bool().Draw(t, "trailing comma") {
				b.WriteByte(',')
			}
		}
		extra()
		b.WriteByte('}')
	default:
		encoded, _ := json.Marshal(v)
		b.Write(encoded)
	}
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

func escapeAll(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// drawServers draws a table of servers, some of which can't be wrapped.
func drawServers(t *rapid.T) map[string]any {
	word := rapid.StringMatching(`[a-zA-Z0-9_ .é📝"\\-]{1,8}`)
	strs := rapid.Custom(func(t *rapid.T) any { return word.Draw(t, "text") })
	return rapid.MapOfN(word, rapid.Custom(func(t *rapid.T) any {
		fields := map[string]any{}
		maybe := func(key string, value func() any) {
			if rapid.Bool().Draw(t, key) {
				fields[key] = value()
			}
		}
		table := func() any {
			m := make(map[string]any)
			for key := range rapid.MapOfN(word, rapid.Bool(), 0, 3).Draw(t, "table") {
				m[key] = strs.Draw(t, "value")
			}
			return m
		}
		maybe("command", func() any { return strs.Draw(t, "command") })
		maybe("args", func() any { return rapid.SliceOfN(strs, 0, 3).Draw(t, "args") })
		maybe("env", table)
		maybe("url", func() any { return "https://example.com/" + rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "url") })
		maybe("headers", table)
		maybe("type", func() any { return rapid.SampledFrom([]any{"stdio", "http", "sse", "ws"}).Draw(t, "type") })
		maybe("disabled", func() any { return rapid.Bool().Draw(t, "is disabled") })
		maybe("timeout", func() any { return 12.5 })
		maybe("alwaysAllow", func() any { return []any{"x", map[string]any{"command": "y"}} })
		return fields
	}), 0, 4).Draw(t, "servers")
}

// For any file of any form: what is wrapped comes back byte for byte, wrapping
// again does nothing, and between the two nothing but our entries differs, which
// NewPlan itself proves before it returns.
func TestAnyJSONComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := map[string]any{
			"mcpServers": drawServers(t), "other": []any{1, "two", nil, map[string]any{"mcpServers": map[string]any{}}},
			"projects": map[string]any{"/p": map[string]any{"mcpServers": drawServers(t), "history": []any{}}, "/q": nil},
		}
		var b strings.Builder
		drawJSON(t, &b, root)
		text := []byte(b.String() + rapid.SampledFrom([]string{"", "\n", "// end", "\r\n"}).Draw(t, "end"))
		if rapid.Bool().Draw(t, "mark") {
			text = slices.Concat(byteOrderMark, text)
		}
		comesBack(t, filepath.Join(".claude.json"), text, true)
	})
}

type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

// comesBack wraps and unwraps one file of the user. With must, it has to be
// readable.
func comesBack(t fataler, path string, text []byte, must bool) {
	dir, err := os.MkdirTemp("", "importer")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	home, state := filepath.Join(dir, "home"), filepath.Join(dir, "state")
	path = filepath.Join(home, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	plan := func() Plan {
		files, err := Find(home, "", "linux", nil)
		if err != nil && must {
			t.Fatalf("%v in\n%s", err, text)
		}
		plan, err := NewPlan(files, Options{Endpoints: testEndpoints()})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return plan
	}
	p := plan()
	for _, e := range p.Edits {
		e.Diff()
	}
	if err := Wrap(state, p); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	wrapped, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if again := plan(); len(again.Edits) > 0 {
		t.Fatalf("wrapped twice:\n%s", wrapped)
	}
	if len(p.Edits) > 0 {
		// First as if the file had been changed since, in memory only.
		m, err := readManifest(state)
		if err != nil {
			t.Fatal(err)
		}
		restored, notes, err := restoreEntries(m.Layers[0], wrapped, text)
		if err != nil || len(notes) > 0 {
			t.Fatalf("%v %v restoring\n%s", err, notes, wrapped)
		}
		if !sameServers(t, path, restored, text) {
			t.Fatalf("merged back to\n%s\nfrom\n%s", restored, text)
		}
	}
	if _, err := Unwrap(state, false); err != nil {
		t.Fatal(err)
	}
	back, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back, text) {
		t.Fatalf("came back as\n%q\nwas\n%q", back, text)
	}
}

// sameServers compares all entries of two texts of a file.
func sameServers(t fataler, path string, a, b []byte) bool {
	c, tables := ClaudeCode, [][]string{{"mcpServers"}, {"projects", "*", "mcpServers"}}
	if filepath.Ext(path) == ".toml" {
		c, tables = Codex, [][]string{{"mcp_servers"}}
	}
	read := func(text []byte) string {
		entries, err := c.dialect().format.Entries(text, tables)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		var lines []string
		for _, e := range entries {
			encoded, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(encoded))
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	return read(a) == read(b)
}

func FuzzJSONFile(f *testing.F) {
	for _, archive := range archives(f) {
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".json") && strings.HasPrefix(file.Name, "home/") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) { comesBack(t, ".claude.json", text, false) })
}

func FuzzTOMLFile(f *testing.F) {
	for _, archive := range archives(f) {
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".toml") {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("mcp_servers = { a = { command = 'x', env.B = \"c\" }, b.command = \"y\" }\n"))
	f.Add([]byte("[mcp_servers.'a.b'.env]\nX = \"\"\"\na\n\"\"\"\n[mcp_servers.'a.b']\n  \"command\" = '''x'''  # c"))
	f.Add([]byte("mcp_servers.a.command = \"x\"\nmcp_servers . a . args = [ # c\n 'y', ]\n[[z]]\n"))
	f.Fuzz(func(t *testing.T, text []byte) { comesBack(t, ".codex/config.toml", text, false) })
}
