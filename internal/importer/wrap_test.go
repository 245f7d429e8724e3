package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestWrapAndUnwrap(t *testing.T) {
	for name, archive := range archives(t) {
		for form, change := range forms {
			t.Run(filepath.Base(name)+" "+form, func(t *testing.T) {
				m := newMachine(t, archive, change)
				plan := m.wrap(t)
				if len(plan.Edits) == 0 || len(plan.Edits) != len(m.files) {
					t.Fatalf("%d edits of %d files", len(plan.Edits), len(m.files))
				}
				for _, e := range plan.Edits {
					got := readTestFile(t, e.Path)
					if !bytes.Equal(got, e.after) || bytes.Equal(got, e.before) {
						t.Errorf("%s is not what was planned", e.Path)
					}
					m.checkAround(t, e.Path)
					for _, secret := range m.secrets {
						if bytes.Contains(got, []byte(secret)) {
							t.Errorf("%s still holds %q", e.Path, secret)
						}
						if strings.Contains(e.Diff(), secret) {
							t.Errorf("the diff of %s shows %q", e.Path, secret)
						}
					}
					if e.Path == "" || strings.Contains(e.Diff(), "test-token") {
						t.Error("the diff shows the new token")
					}
				}
				m.checkState(t, plan)
				m.checkIdempotent(t)

				for _, r := range m.unwrap(t, false) {
					if r.Outcome != Restored || r.Backup != "" || r.Notes != nil {
						t.Errorf("%+v", r)
					}
				}
				m.checkOriginal(t)
				if left := m.unwrap(t, false); left != nil {
					t.Errorf("the second unwrap did %+v", left)
				}
				if left, _ := os.ReadDir(backupDir(m.state)); len(left) != 1 || left[0].Name() != "manifest.json" {
					t.Errorf("backups are left: %v", left)
				}
			})
		}
	}
}

// checkState checks what Wrap left in the state directory.
func (m *machine) checkState(t *testing.T, plan Plan) {
	t.Helper()
	err := filepath.WalkDir(m.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := OpenSecrets(m.state)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Servers {
		for _, secret := range s.Secrets() {
			if got, _ := store.Get(secret.Name); got != secret.Value.Reveal() {
				t.Errorf("%s is %q in the store", secret.Name, got)
			}
		}
	}
	for _, secret := range m.secrets {
		if bytes.Contains(readTestFile(t, manifestPath(m.state)), []byte(secret)) {
			t.Errorf("the manifest holds %q", secret)
		}
	}
}

// checkIdempotent wraps again and expects nothing to happen.
func (m *machine) checkIdempotent(t *testing.T) {
	t.Helper()
	before := readTestFile(t, manifestPath(m.state))
	again := m.wrap(t)
	if len(again.Edits) != 0 || len(again.Servers) != 0 {
		t.Errorf("the second plan has edits %v and servers %v", again.Edits, again.Servers)
	}
	if !bytes.Equal(before, readTestFile(t, manifestPath(m.state))) {
		t.Error("the second wrap wrote the manifest")
	}
}

// everyone is a machine on which every client has servers.
func everyone(t testing.TB) *machine {
	t.Helper()
	return machineOf(t, slices.Sorted(maps.Keys(archives(t)))...)
}

// some is a machine with enough clients for a test that repeats itself.
func some(t testing.TB) *machine {
	t.Helper()
	return machineOf(t, "testdata/claude-code.txtar", "testdata/claude-desktop.txtar", "testdata/codex.txtar")
}

func machineOf(t testing.TB, names ...string) *machine {
	t.Helper()
	all := newMachine(t, archives(t)[names[0]], unchanged)
	root := filepath.Dir(all.home)
	for _, name := range names[1:] {
		for _, f := range archives(t)[name].Files {
			if strings.HasPrefix(f.Name, "home/") || strings.HasPrefix(f.Name, "project/") {
				all.write(t, filepath.Join(root, f.Name), f.Data)
			}
		}
	}
	return all
}

// A crash between any two writes leaves a state from which Unwrap restores and
// from which Wrap goes on.
func TestCrash(t *testing.T) {
	probe := some(t)
	steps, err := probe.plan(t).steps(probe.state)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) < 12 {
		t.Fatalf("only %d steps", len(steps))
	}
	for done := 0; done <= len(steps); done++ {
		for _, resume := range []bool{false, true} {
			m := some(t)
			steps, err := m.plan(t).steps(m.state)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps[:done] {
				if err := s.do(); err != nil {
					t.Fatal(s.what, err)
				}
			}
			if resume {
				m.wrap(t)
				m.checkIdempotent(t)
			}
			for _, r := range m.unwrap(t, false) {
				if r.Outcome != Restored && r.Outcome != Untouched {
					t.Errorf("crash after %d steps, resumed %v: %+v", done, resume, r)
				}
			}
			m.checkOriginal(t)
			if t.Failed() {
				t.Fatalf("crash after %d steps, resumed %v", done, resume)
			}
		}
	}
}

// The order of the steps is what TestCrash relies on: nothing of a client is
// touched before its backup and the manifest are there.
func TestBackupsComeFirst(t *testing.T) {
	m := everyone(t)
	plan := m.plan(t)
	steps, err := plan.steps(m.state)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if strings.HasPrefix(s.what, "edit ") {
			break
		}
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
	}
	m.checkOriginal(t)
	manifest, err := readManifest(m.state)
	if err != nil || len(manifest.Layers) != len(plan.Edits) {
		t.Fatal(manifest, err)
	}
	for _, l := range manifest.Layers {
		if _, err := readBackup(m.state, l.Before); err != nil {
			t.Error(err)
		}
	}
}

// A crash of Unwrap between a file and the manifest, and a write that was cut
// short.
func TestCrashOfUnwrap(t *testing.T) {
	m := everyone(t)
	plan := m.wrap(t)
	target := plan.Edits[0].target
	if err := replaceFile(target, plan.Edits[0].after, plan.Edits[0].before); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(filepath.Dir(plan.Edits[1].target), "."+filepath.Base(plan.Edits[1].target)+".sallyport")
	if err := os.WriteFile(cut, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	results := m.unwrap(t, false)
	if results[0].Outcome != Untouched || results[1].Outcome != Restored {
		t.Errorf("%+v", results[:2])
	}
	m.checkOriginal(t)
}

func TestStaleTemporaryIsNotFollowed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	m := everyone(t)
	plan := m.plan(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := plan.Edits[0].target
	if err := os.Symlink(victim, filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".sallyport")); err != nil {
		t.Fatal(err)
	}
	if err := Wrap(m.state, plan); err != nil {
		t.Fatal(err)
	}
	if got := readTestFile(t, victim); string(got) != "mine" {
		t.Errorf("a planted link was followed: %q", got)
	}
	m.unwrap(t, false)
	m.checkOriginal(t)
}

func TestSymbolicLinkIsFollowed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	m := newMachine(t, archives(t)["testdata/cursor.txtar"], unchanged)
	path := filepath.Join(m.home, ".cursor", "mcp.json")
	dotfiles := filepath.Join(filepath.Dir(m.home), "dotfiles", "cursor.json")
	m.write(t, dotfiles, m.files[path])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dotfiles, path); err != nil {
		t.Fatal(err)
	}
	// Windsurf reads the very same file: it must be edited once.
	windsurf := filepath.Join(m.home, ".codeium", "windsurf", "mcp_config.json")
	if err := os.MkdirAll(filepath.Dir(windsurf), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dotfiles, windsurf); err != nil {
		t.Fatal(err)
	}
	m.wrap(t)
	if bytes.Equal(readTestFile(t, dotfiles), m.files[dotfiles]) {
		t.Error("the file behind the link was not edited")
	}
	for _, link := range []string{path, windsurf} {
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("the link %s was replaced: %v", link, err)
		}
	}
	m.unwrap(t, false)
	m.checkOriginal(t)
}

func TestFileChangedSincePlan(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	plan := m.plan(t)
	path := plan.Edits[0].Path
	m.write(t, path, append([]byte("// new\n"), m.files[path]...))
	if err := Wrap(m.state, plan); !errors.Is(err, ErrChanged) {
		t.Fatalf("got %v", err)
	}
	m.unwrap(t, false)
	m.checkOriginal(t)
}

func TestReadOnlyFile(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	plan := m.plan(t)
	if err := os.Chmod(plan.Edits[0].Path, 0o440); err != nil {
		t.Fatal(err)
	}
	if err := Wrap(m.state, plan); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Fatalf("got %v", err)
	}
}

func TestSecondWrapIsALayer(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	path := m.plan(t).Edits[0].Path
	first := m.wrap(t)
	added := `"mcpServers": {
        "later": { "command": "later-mcp", "env": { "LATER_TOKEN": "later-token-1" } },`
	withLater := func(text []byte) []byte {
		return bytes.Replace(text, []byte(`"mcpServers": {`), []byte(added), 1)
	}
	if err := os.WriteFile(path, withLater(first.Edits[0].after), 0o640); err != nil {
		t.Fatal(err)
	}
	second := m.wrap(t)
	if len(second.Servers) != 1 || second.Servers[0].Name != "later" {
		t.Fatalf("%+v", second.Servers)
	}
	if bytes.Contains(readTestFile(t, path), []byte("later-token-1")) {
		t.Error("the credential is still there")
	}
	m.checkIdempotent(t)
	results := m.unwrap(t, false)
	if len(results) != 1 || results[0].Outcome != Merged || len(results[0].Notes) != 0 {
		t.Errorf("%+v", results)
	}
	checkSame(t, path, decode(t, path, withLater(m.files[path])))
}

// The upper layer undone by hand: the lower one still comes off.
func TestUpperLayerUndoneByHand(t *testing.T) {
	m, path := simpleMachine(t)
	first := m.wrap(t)
	added := bytes.Replace(first.Edits[0].after, []byte(`"mcpServers": {`), []byte(`"mcpServers": {"later": {"command": "later-mcp"},`), 1)
	if err := os.WriteFile(path, added, 0o640); err != nil {
		t.Fatal(err)
	}
	m.wrap(t)
	if err := os.WriteFile(path, added, 0o640); err != nil {
		t.Fatal(err)
	}
	m.unwrap(t, false)
	checkSame(t, path, decode(t, path, bytes.Replace([]byte(simple), []byte(`"mcpServers": {`), []byte(`"mcpServers": {"later": {"command": "later-mcp"},`), 1)))
}

// Undone by hand, then wrapped again: the layers must not pile up.
func TestUndoneByHand(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	path := m.wrap(t).Edits[0].Path
	for range 3 {
		if err := os.WriteFile(path, m.files[path], 0o640); err != nil {
			t.Fatal(err)
		}
		m.wrap(t)
	}
	manifest, err := readManifest(m.state)
	if err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("%+v %v", manifest, err)
	}
	m.unwrap(t, false)
	m.checkOriginal(t)
}

func TestSecretStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	store, err := OpenSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put([]Secret{{"a-KEY", Text{"1", true}}, {"b-KEY", Text{"\u2028\"<&>", true}}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Put([]Secret{{"a-KEY", Text{"2", true}}}); err != nil {
		t.Fatal(err)
	}
	store, err = OpenSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := store.Get("a-KEY")
	b, _ := store.Get("b-KEY")
	if _, ok := store.Get("c-KEY"); ok || a != "2" || b != "\u2028\"<&>" {
		t.Errorf("%q %q %v", a, b, ok)
	}
	path := filepath.Join(dir, "secrets.json")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSecrets(dir); err == nil {
			t.Error("a store that others can read was opened")
		}
	}
	if err := os.WriteFile(path, []byte(`{"a": {"value": "hidden-value"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSecrets(dir); err == nil || strings.Contains(err.Error(), "hidden-value") {
		t.Errorf("a damaged store: %v", err)
	}
}

func TestDamagedState(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	plan := m.wrap(t)
	backup := backupPath(m.state, hash(plan.Edits[0].before))
	if err := os.WriteFile(backup, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		results, err := Unwrap(m.state, force)
		if err == nil || len(results) != 1 || results[0].Outcome != Refused {
			t.Errorf("a damaged backup was used: %+v, %v", results, err)
		}
	}
	if !bytes.Equal(readTestFile(t, plan.Edits[0].Path), plan.Edits[0].after) {
		t.Error("the file was touched")
	}
	for _, text := range []string{`{"version": 2}`, `{`} {
		if err := os.WriteFile(manifestPath(m.state), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Unwrap(m.state, true); err == nil {
			t.Errorf("manifest %s was taken", text)
		}
		if _, err := Known(m.state); err == nil {
			t.Errorf("manifest %s was taken", text)
		}
	}
}

func TestUnwrapKeepsOthersBackup(t *testing.T) {
	m := newMachine(t, archives(t)["testdata/claude-desktop.txtar"], unchanged)
	path := slices.Collect(func(yield func(string) bool) {
		for p := range m.files {
			yield(p)
		}
	})[0]
	// Two clients' files with one text share one backup.
	twin := filepath.Join(m.home, ".cursor", "mcp.json")
	m.write(t, twin, m.files[path])
	m.wrap(t)
	if err := os.WriteFile(twin, []byte("broken {"), 0o640); err != nil {
		t.Fatal(err)
	}
	results, err := Unwrap(m.state, false)
	if err == nil || len(results) != 2 {
		t.Fatalf("%+v %v", results, err)
	}
	m.unwrap(t, true)
	m.checkOriginal(t)
}

func TestOwnerIsKept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	m, path := simpleMachine(t)
	if err := os.Chown(path, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(){func() { m.wrap(t) }, func() { m.unwrap(t, false) }} {
		change()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", info.Sys()); !strings.Contains(got, "Uid:12345") || !strings.Contains(got, "Gid:23456") {
			t.Error(got)
		}
	}
}
