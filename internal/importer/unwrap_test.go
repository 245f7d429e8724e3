package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/tailscale/hujson"

	"sallyport/internal/importer/clientfile"
)

// decode is the test's own reading of a file.
func decode(t testing.TB, path string, text []byte) (v any) {
	t.Helper()
	text = bytes.TrimPrefix(text, byteOrderMark)
	if filepath.Ext(path) == ".toml" {
		var table map[string]any
		if err := toml.Unmarshal(text, &table); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return table
	}
	standard, err := hujson.Standardize(append(bytes.Clone(text), '\n'))
	if err == nil {
		err = json.Unmarshal(standard, &v)
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// checkSame compares a file with what it should decode to.
func checkSame(t testing.TB, path string, want any) {
	t.Helper()
	text := readTestFile(t, path)
	got := decode(t, path, text)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s decodes to\n%v\nwant\n%v\n%s", path, got, want, text)
	}
}

// Clients write into their own files all the time. What they or the user have
// changed stays, our entries go back.
func TestUnwrapChangedFile(t *testing.T) {
	for name, archive := range archives(t) {
		for form, change := range forms {
			t.Run(filepath.Base(name)+" "+form, func(t *testing.T) {
				m := newMachine(t, archive, change)
				wants := make(map[string]any)
				for _, e := range m.wrap(t).Edits {
					touch := func(text []byte) []byte {
						body, marked := bytes.CutPrefix(text, byteOrderMark)
						if filepath.Ext(e.Path) == ".toml" {
							body = append([]byte("added = 1\n"), body...)
						} else {
							body = bytes.Replace(body, []byte("{"), []byte(`{ "added": 1,`), 1)
						}
						if marked {
							body = append(bytes.Clone(byteOrderMark), body...)
						}
						return body
					}
					if err := os.WriteFile(e.Path, touch(e.after), 0o640); err != nil {
						t.Fatal(err)
					}
					wants[e.Path] = decode(t, e.Path, touch(e.before))
				}
				for _, r := range m.unwrap(t, false) {
					if r.Outcome != Merged || r.Notes != nil || r.Backup == "" {
						t.Errorf("%+v", r)
					}
					if _, err := os.Stat(r.Backup); err != nil {
						t.Error("the backup of a changed file is gone:", err)
					}
				}
				for path, want := range wants {
					checkSame(t, path, want)
					m.checkAround(t, path)
				}
			})
		}
	}
}

func TestUnwrapForceBringsBackTheOldText(t *testing.T) {
	m := everyone(t)
	plan := m.wrap(t)
	changed := append(bytes.Clone(plan.Edits[0].after), "\n\n"...)
	if err := os.WriteFile(plan.Edits[0].Path, changed, 0o640); err != nil {
		t.Fatal(err)
	}
	results := m.unwrap(t, true)
	if results[0].Outcome != Restored || !bytes.Equal(readTestFile(t, results[0].Backup), changed) {
		t.Errorf("%+v", results[0])
	}
	m.checkOriginal(t)
}

const simple = `{
  // mine
  "mcpServers": {
    "one": { "command": "one-mcp", "env": { "TOKEN": "token-of-one" } },
    "two": { "command": "two-mcp", "args": ["--verbose"] },
    "three": { "command": "three-mcp" }
  }
}
`

func simpleMachine(t *testing.T) (m *machine, path string) {
	t.Helper()
	root := t.TempDir()
	m = &machine{home: filepath.Join(root, "home"), state: filepath.Join(root, "state"), files: make(map[string][]byte)}
	path = filepath.Join(m.home, ".cursor", "mcp.json")
	m.write(t, path, []byte(simple))
	return m, path
}

func TestUnwrapEntriesTheUserTouched(t *testing.T) {
	m, path := simpleMachine(t)
	m.wrap(t)
	wrapped := string(readTestFile(t, path))
	for _, change := range []struct{ old, new string }{
		{`"one": { "url"`, `"one": { "disabled": true, "url"`}, // switched off meanwhile: stays off
		{`"two"`, `"renamed"`},                                 // renamed: neither restored nor overwritten
		{`"url": "http://127.0.0.1:7717/mcp/three"`, `"url": "http://127.0.0.1:9999/elsewhere"`}, // the marker is still there: ours
	} {
		if !strings.Contains(wrapped, change.old) {
			t.Fatalf("no %s in %s", change.old, wrapped)
		}
		wrapped = strings.Replace(wrapped, change.old, change.new, 1)
	}
	if err := os.WriteFile(path, []byte(wrapped), 0o640); err != nil {
		t.Fatal(err)
	}
	results := m.unwrap(t, false)
	if len(results) != 1 || results[0].Outcome != Merged || len(results[0].Notes) != 2 ||
		!strings.Contains(results[0].Notes[0], "mcpServers.two has been removed") ||
		!strings.Contains(results[0].Notes[1], "mcpServers.renamed still points at Sallyport") {
		t.Errorf("%+v", results)
	}
	got := string(readTestFile(t, path))
	for _, want := range []string{
		"// mine",
		`"one": { "disabled": true, "command": "one-mcp", "env": { "TOKEN": "token-of-one" } }`,
		`"three": { "command": "three-mcp" }`,
		`"renamed": { "url": "http://127.0.0.1:7717/mcp/two"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestUnwrapLeavesRepointedEntry(t *testing.T) {
	m, path := simpleMachine(t)
	m.wrap(t)
	theirs := strings.Replace(simple, `"command": "one-mcp"`, `"command": "one-mcp-v2"`, 1)
	if err := os.WriteFile(path, []byte(theirs), 0o640); err != nil {
		t.Fatal(err)
	}
	results := m.unwrap(t, false)
	if len(results) != 1 || results[0].Outcome != Merged || len(results[0].Notes) != 3 {
		t.Errorf("%+v", results)
	}
	if got := string(readTestFile(t, path)); got != theirs {
		t.Errorf("got %s", got)
	}
}

func TestUnwrapRefusesWhatItCannotRead(t *testing.T) {
	m := everyone(t)
	plan := m.wrap(t)
	broken := []byte("{ \"mcpServers\": [ // ghp_0123456789abcdefghijABCDEFGHIJ012345\n")
	if err := os.WriteFile(plan.Edits[0].Path, broken, 0o640); err != nil {
		t.Fatal(err)
	}
	results, err := Unwrap(m.state, false)
	var parse *clientfile.ParseError
	if !errors.As(err, &parse) || parse.Path != plan.Edits[0].Path || parse.Line != 2 {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), "--force") || strings.Contains(err.Error(), "ghp_") {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(readTestFile(t, plan.Edits[0].Path), broken) {
		t.Error("the broken file was touched")
	}
	for i, r := range results {
		if want := map[bool]Outcome{true: Refused, false: Restored}[i == 0]; r.Outcome != want {
			t.Errorf("%+v", r)
		}
	}
	results = m.unwrap(t, true)
	if len(results) != 1 || !bytes.Equal(readTestFile(t, results[0].Backup), broken) {
		t.Errorf("%+v", results)
	}
	m.checkOriginal(t)
}

func TestUnwrapOfRemovedFile(t *testing.T) {
	for _, force := range []bool{false, true} {
		m, path := simpleMachine(t)
		m.wrap(t)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		results := m.unwrap(t, force)
		if force {
			if got := readTestFile(t, path); results[0].Outcome != Restored || string(got) != simple {
				t.Errorf("%+v %s", results, got)
			}
			continue
		}
		if results[0].Outcome != Gone || string(readTestFile(t, results[0].Backup)) != simple {
			t.Errorf("%+v", results)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("a removed file came back")
		}
	}
}
