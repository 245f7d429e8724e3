package importer

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata")

// machine is a home, a project and a state directory with clients' files.
type machine struct {
	home, project, state string
	lookup               Lookup
	files                map[string][]byte // clients' files by absolute path
	secrets              []string
}

func testEndpoints() map[Client]Endpoint {
	endpoints := make(map[Client]Endpoint)
	for _, c := range Clients() {
		endpoints[c] = Endpoint{
			URL:   "http://127.0.0.1:7717",
			Token: "test-token-of-" + string(c),
			Shim:  []string{"/opt/sallyport/sallyport", "stdio"},
		}
	}
	return endpoints
}

// newMachine sets up what an archive holds. change rewrites each client file.
func newMachine(t testing.TB, archive *txtar.Archive, change func([]byte) []byte) *machine {
	t.Helper()
	root := t.TempDir()
	m := &machine{
		home: filepath.Join(root, "home"), project: filepath.Join(root, "project"), state: filepath.Join(root, "state"),
		files: make(map[string][]byte),
	}
	values := make(map[string]string)
	for _, f := range archive.Files {
		switch {
		case strings.HasPrefix(f.Name, "home/") || strings.HasPrefix(f.Name, "project/"):
			m.write(t, filepath.Join(root, f.Name), change(f.Data))
		case f.Name == "env" || f.Name == "inputs":
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				values[strings.TrimSuffix(f.Name, "s")+":"+name] = value
			}
		case f.Name == "secrets":
			m.secrets = strings.Fields(string(f.Data))
		}
	}
	m.lookup = func(kind, name string) (string, bool) {
		v, ok := values[kind+":"+name]
		return v, ok
	}
	return m
}

func (m *machine) write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil { // whatever the umask
		t.Fatal(err)
	}
	m.files[path] = data
}

func (m *machine) find(t testing.TB) []File {
	t.Helper()
	files, err := Find(m.home, m.project, "linux", nil)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (m *machine) plan(t testing.TB) Plan {
	t.Helper()
	known, err := Known(m.state)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(m.find(t), Options{Endpoints: testEndpoints(), Known: known, Lookup: m.lookup})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (m *machine) wrap(t testing.TB) Plan {
	t.Helper()
	plan := m.plan(t)
	if err := Wrap(m.state, plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

func (m *machine) unwrap(t testing.TB, force bool) []Result {
	t.Helper()
	results, err := Unwrap(m.state, force)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// checkOriginal fails unless every client file is byte for byte as it was, with
// its mode, and nothing lies about.
func (m *machine) checkOriginal(t testing.TB) {
	t.Helper()
	for path, want := range m.files {
		got := readTestFile(t, path)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was:\n%q\nwant\n%q", path, got, want)
		}
		m.checkAround(t, path)
	}
}

func (m *machine) checkAround(t testing.TB, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("%s has mode %o", path, info.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.sallyport")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func readTestFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (m *machine) relative(text string) string {
	return strings.NewReplacer(m.home, "HOME", m.project, "PROJECT", m.state, "STATE").Replace(text)
}

// golden renders everything that import shows and writes.
func (m *machine) golden(t *testing.T, plan Plan) []txtar.File {
	t.Helper()
	var notes, secrets strings.Builder
	for _, n := range plan.Skipped {
		fmt.Fprintf(&notes, "skipped %s\n", n)
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(&notes, "note %s\n", n)
	}
	var proposals []Listed
	for _, s := range plan.Servers {
		proposals = append(proposals, Listed{Server: s})
		for _, secret := range s.Secrets() {
			fmt.Fprintf(&secrets, "%s=%s\n", secret.Name, secret.Value.Reveal())
		}
	}
	yaml, err := ServersYAML(Propose(proposals))
	if err != nil {
		t.Fatal(err)
	}
	var files []txtar.File
	for _, e := range plan.Edits {
		files = append(files, txtar.File{Name: "want/diff of " + m.relative(e.Path), Data: []byte(m.relative(e.Diff()))})
	}
	for _, e := range plan.Edits {
		files = append(files, txtar.File{Name: "want/" + m.relative(e.Path), Data: []byte(m.relative(string(e.after)))})
	}
	return append(files,
		txtar.File{Name: "want/notes", Data: []byte(m.relative(notes.String()))},
		txtar.File{Name: "want/servers.yaml", Data: []byte(m.relative(string(yaml)))},
		txtar.File{Name: "want/store", Data: []byte(m.relative(secrets.String()))},
	)
}

func archives(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	all := make(map[string]*txtar.Archive)
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = archive
	}
	return all
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func unchanged(b []byte) []byte { return b }

// forms are what the same text looks like when other editors wrote it.
var forms = map[string]func([]byte) []byte{
	"as is":      unchanged,
	"CRLF":       func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
	"BOM":        func(b []byte) []byte { return slices.Concat(byteOrderMark, b) },
	"no newline": func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) },
	"BOM, CRLF, no newline": func(b []byte) []byte {
		return slices.Concat(byteOrderMark, bytes.ReplaceAll(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"), []byte("\r\n")))
	},
}

func TestGolden(t *testing.T) {
	for name, archive := range archives(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			m := newMachine(t, archive, unchanged)
			got := m.golden(t, m.plan(t))
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
				archive.Files = append(archive.Files, got...)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := make(map[string]string)
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want/") {
					want[f.Name] = string(f.Data)
				}
			}
			for _, f := range got {
				data := string(f.Data)
				if data != "" && !strings.HasSuffix(data, "\n") {
					data += "\n"
				}
				if data != want[f.Name] {
					t.Errorf("%s:\n%s\nwant\n%s", f.Name, f.Data, want[f.Name])
				}
				delete(want, f.Name)
			}
			for name := range maps.Keys(want) {
				t.Errorf("%s is missing", name)
			}
		})
	}
}
