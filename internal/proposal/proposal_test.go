package proposal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/importer"
	"sallyport/internal/policy"
	"sallyport/internal/starter"
)

// found is a server of a client, as import finds it.
func found(name string) importer.Proposal {
	return importer.Propose([]importer.Listed{{
		Server: importer.Server{Client: importer.Cursor, Name: name, Transport: importer.Stdio, Command: "npx"},
		Tools:  []importer.Tool{{Name: "read_file"}, {Name: "delete_file"}, {Name: "frobnicate"}},
	}})[0]
}

func TestFresh(t *testing.T) {
	dir := t.TempDir()
	files, err := New(dir, []importer.Client{importer.Cursor}, []importer.Proposal{found("files")})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Write(dir); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Read(filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Pin != config.PinAsk || c.Mode != config.Enforce {
		t.Errorf("import chose mode %s and pin %s", c.Mode, c.Pin)
	}
	agent := c.Agents["cursor"]
	if agent.Role != importRole || c.Users[agent.For].Groups[0] != "owner" {
		t.Errorf("agent %+v, users %+v", agent, c.Users)
	}
	if effects, _ := c.Settings("files", "frobnicate"); effects[0] != "exec" {
		t.Errorf("what nobody knows counts as %v", effects)
	}
	for _, name := range []string{"sallyport.yaml", importPolicy} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

// starterDir is a state directory with the files of the first minute.
func starterDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, starter.Files); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAddsToWhatIsThere(t *testing.T) {
	dir := starterDir(t)
	before, err := os.ReadFile(filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := New(dir, []importer.Client{importer.Cursor}, []importer.Proposal{found("files")})
	if err != nil {
		t.Fatal(err)
	}
	after := strings.Split(string(files.Config), "\n")
	for line := range strings.Lines(string(before)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "roles: ") {
			line = "roles: [support, analyst, infrastructure, developer]"
		}
		at := -1
		for i, l := range after {
			if l == line {
				at = i
				break
			}
		}
		if at < 0 {
			t.Fatalf("the line %q is lost, or out of order:\n%s", line, files.Config)
		}
		after = after[at+1:]
	}
	old, err := config.Parse("a", before)
	if err != nil {
		t.Fatal(err)
	}
	next, err := config.Parse("a", files.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range config.Looser(old, next) {
		if !strings.HasSuffix(why, "is added") && why != "role developer is declared" {
			t.Errorf("import changed what was there: %s", why)
		}
	}
}

// The second import proposes only what is new, and the policy still loads:
// rules have unique names.
func TestTwice(t *testing.T) {
	dir := starterDir(t)
	for _, name := range []string{"files", "more"} {
		files, err := New(dir, []importer.Client{importer.Cursor}, []importer.Proposal{found(name)})
		if err != nil {
			t.Fatal(err)
		}
		if err := files.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, importPolicy))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{`@id("files-use")`: 1, `@id("more-use")`: 1, `@id("ask-delete")`: 1} {
		if got := strings.Count(string(text), id); got != want {
			t.Errorf("%s stands %d times:\n%s", id, got, text)
		}
	}
	if _, problems := (policy.File{Name: "p", Text: text}).Statements(); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestUserWhoIsThereAlready(t *testing.T) {
	dir := t.TempDir()
	text := "roles: [developer]\nusers: {" + userName() + ": {}}\n"
	if err := os.WriteFile(filepath.Join(dir, "sallyport.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := New(dir, []importer.Client{importer.Cursor}, []importer.Proposal{found("files")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("a", files.Config)
	if err != nil || len(c.Declared().Groups) != 1 || len(c.Users[userName()].Groups) != 0 {
		t.Errorf("%v\n%s", err, files.Config)
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, existing := range []string{"[a]", "servers: x", "roles: {a: b}", "a: [", "agents: []"} {
		if merged, err := merge([]byte(existing), []byte("servers: {a: {command: b}}\nroles: [c]\nagents: {d: {}}\n")); err == nil {
			t.Errorf("%q became %q", existing, merged)
		}
	}
	for _, existing := range []string{"", "# only a comment\n", "---\n"} {
		merged, err := merge([]byte(existing), []byte("servers: {a: {command: b}}\n"))
		if err != nil || !strings.Contains(string(merged), "command: b") {
			t.Errorf("%q became %q (%v)", existing, merged, err)
		}
	}
}

// What is merged is what would have been written by hand, in all the ways
// that people write mappings and lists.
func TestMergeForms(t *testing.T) {
	more := "servers:\n  b:\n    command: x\nroles: [r2]\nusers:\n  u2: {roles: [r2]}\n"
	for _, existing := range []string{
		"servers: {a: {builtin: desk}}\nroles: [r1]\nusers: {u1: {}}\n",
		"servers:\n  a:\n    builtin: desk\nroles:\n  - r1\nusers:\n  u1: {}\n",
		"servers:\n    a: {builtin: desk} # mine\nroles: [ r1 ] # few\n\n# people\nusers:\n    u1: {roles: [r1]}\n",
		"roles:\n- r1\nservers:\n  a: {builtin: desk}\nusers: {}\n",
		"roles: []\n",
	} {
		merged, err := merge([]byte(existing), []byte(more))
		if err != nil {
			t.Errorf("%q: %v", existing, err)
			continue
		}
		old, err := config.Parse("a", []byte(existing))
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse("a", merged)
		if err != nil {
			t.Errorf("%q became %q: %v", existing, merged, err)
			continue
		}
		if len(c.Servers) != len(old.Servers)+1 || len(c.Roles) != len(old.Roles)+1 || len(c.Users) != len(old.Users)+1 {
			t.Errorf("%q became %q", existing, merged)
		}
		for _, comment := range []string{"# mine", "# few", "# people"} {
			if strings.Contains(existing, comment) && !strings.Contains(string(merged), comment) {
				t.Errorf("%s is lost in %q", comment, merged)
			}
		}
	}
}

func TestLookAtNobody(t *testing.T) {
	listed, silent := Look(t.Context(), []importer.Server{{Name: "gone", Transport: importer.Stdio, Command: "/nonexistent/server"}}, "test")
	if len(listed) != 1 || len(listed[0].Tools) != 0 || silent["gone"] == nil {
		t.Errorf("%+v %v", listed, silent)
	}
}
