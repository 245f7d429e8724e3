package importer

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestServerName(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	for key, want := range map[string]string{
		"files": "files", "My Server": "my-server", "a__b": "a-b", "__": "server", "": "server", "日本": "server",
		"-x-": "x", "@scope/name": "scope-name", "UPPER_case.v2": "upper-case-v2", "x\n\"y": "x-y",
	} {
		if got := serverName(key); got != want || !valid.MatchString(got) || strings.Contains(got, "__") {
			t.Errorf("%q becomes %q", key, got)
		}
	}
}

// collide is a machine on which several clients use the same names.
func collide(t *testing.T) *machine {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	for path, text := range map[string]string{
		".claude.json": `{"mcpServers": {
			"files": {"command": "files-mcp", "env": {"API_KEY": "key-one"}},
			"Same!": {"command": "same-mcp"}},
		  "projects": {"/p": {"mcpServers": {"files": {"command": "files-mcp", "env": {"API_KEY": "key-two"}}}}}}`,
		".cursor/mcp.json": `{"mcpServers": {
			"files": {"command": "files-mcp", "args": ["--other"], "env": {"API_KEY": "key-one"}},
			"another name": {"command": "same-mcp", "args": []}}}`,
		".codex/config.toml": "[mcp_servers.files]\ncommand = \"files-mcp\"\n[mcp_servers.files.env]\nAPI_KEY = \"key-one\"\n",
	} {
		m.write(t, filepath.Join(m.home, filepath.FromSlash(path)), []byte(text))
	}
	return m
}

func TestNames(t *testing.T) {
	m := collide(t)
	names := func(plan Plan) map[string]string {
		names := make(map[string]string)
		for _, e := range plan.Edits {
			for _, entry := range e.Entries {
				names[string(e.Client)+" "+strings.Join(entry.Path, "/")] = entry.Server
			}
		}
		return names
	}
	want := map[string]string{
		"claude-code mcpServers/files":             "files",
		"claude-code projects//p/mcpServers/files": "files-claude-code", // other key, other directory
		"cursor mcpServers/files":                  "files-cursor",
		"codex mcp_servers/files":                  "files", // the same server
		"claude-code mcpServers/Same!":             "same",
		"cursor mcpServers/another name":           "same",
	}
	files := m.find(t)
	for range 20 {
		rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		plan, err := NewPlan(files, Options{Endpoints: testEndpoints()})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(plan); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v", got)
		}
		if len(plan.Servers) != 4 {
			t.Errorf("%d servers", len(plan.Servers))
		}
		secrets := make(map[string]string)
		for _, s := range plan.Servers {
			for _, secret := range s.Secrets() {
				secrets[secret.Name] = secret.Value.Reveal()
			}
		}
		if want := map[string]string{"files-API_KEY": "key-one", "files-claude-code-API_KEY": "key-two", "files-cursor-API_KEY": "key-one"}; !reflect.DeepEqual(secrets, want) {
			t.Errorf("secrets %v", secrets)
		}
	}

	// A client added later shares the server; a stranger with its name doesn't.
	m.wrap(t)
	m.write(t, filepath.Join(m.home, ".gemini", "settings.json"), []byte(`{"mcpServers": {
		"copy": {"command": "files-mcp", "env": {"API_KEY": "key-one"}},
		"files": {"command": "unrelated"}, "taken": {"command": "x"}}}`))
	known, err := Known(m.state)
	if err != nil {
		t.Fatal(err)
	}
	known["taken"] = "" // by a server in the configuration
	plan, err := NewPlan(m.find(t), Options{Endpoints: testEndpoints(), Known: known})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(plan), map[string]string{
		"gemini-cli mcpServers/copy": "files", "gemini-cli mcpServers/files": "files-gemini-cli", "gemini-cli mcpServers/taken": "taken-gemini-cli",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

// Names of credentials are unique although a dash joins their parts.
func TestSecretNamesDoNotClash(t *testing.T) {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	m.write(t, filepath.Join(m.home, ".cursor", "mcp.json"), []byte(`{"mcpServers": {
		"a": {"command": "x", "env": {"b-token": "token-one"}},
		"a-b": {"command": "y", "env": {"token": "token-two"}}}}`))
	seen := make(map[string]string)
	for _, s := range m.plan(t).Servers {
		for _, secret := range s.Secrets() {
			if other, ok := seen[secret.Name]; ok {
				t.Errorf("%s is %s and %s", secret.Name, other, secret.Value.Reveal())
			}
			seen[secret.Name] = secret.Value.Reveal()
		}
	}
	if len(seen) != 2 {
		t.Error(seen)
	}
}

func TestOurOwnEntriesAreLeftAlone(t *testing.T) {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	m.write(t, filepath.Join(m.home, ".cursor", "mcp.json"), []byte(`{"mcpServers": {
		"by address": {"url": "http://127.0.0.1:7717/mcp/x"},
		"all": {"url": "http://127.0.0.1:7717/mcp"},
		"by marker": {"url": "http://127.0.0.1:1234/mcp/x", "headers": {"x-managed-by": "sallyport"}},
		"by shim": {"command": "C:\\Tools\\Sallyport.exe", "args": ["--dir", "x", "stdio", "--server", "y"]}}}`))
	if plan := m.plan(t); len(plan.Edits) != 0 || len(plan.Skipped) != 0 {
		t.Errorf("%+v", plan)
	}
	m.write(t, filepath.Join(m.home, ".cursor", "mcp.json"), []byte(`{"mcpServers": {
		"elsewhere": {"url": "http://127.0.0.1:7717/mcpx"}, "other tool": {"command": "sallyport", "args": ["doctor"]}}}`))
	if plan := m.plan(t); len(plan.Servers) != 2 {
		t.Errorf("%+v", plan)
	}
}

func TestPlanNeedsEndpoints(t *testing.T) {
	m := everyone(t)
	for name, e := range map[string]Endpoint{
		"nothing": {}, "no token": {URL: "http://127.0.0.1:7717", Shim: []string{"s"}}, "no shim": {URL: "http://127.0.0.1:7717", Token: "t"},
	} {
		endpoints := make(map[Client]Endpoint)
		for _, c := range Clients() {
			endpoints[c] = e
		}
		if _, err := NewPlan(m.find(t), Options{Endpoints: endpoints}); err == nil {
			t.Errorf("%s: planned all the same", name)
		}
	}
}

func TestBadAddressIsSkipped(t *testing.T) {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	m.write(t, filepath.Join(m.home, ".cursor", "mcp.json"), []byte(`{"mcpServers": {
		"scheme": {"url": "ftp://user:hidden-password@example.com/"}, "host": {"url": "https:///mcp"}, "broken": {"url": "https://[::1"}}}`))
	plan := m.plan(t)
	if len(plan.Skipped) != 3 || len(plan.Edits) != 0 {
		t.Errorf("%+v", plan)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", plan, plan), "hidden-password") {
		t.Error("the password is shown")
	}
}

// However a plan is printed, no credential shows.
func TestPlanPrintsMasked(t *testing.T) {
	m := everyone(t)
	files := m.find(t)
	var shown strings.Builder
	for _, f := range files {
		for _, s := range f.Servers {
			fmt.Fprintf(&shown, "%v %v %#v %v %v %s", s.Args, s.Env, s.Headers, s.URL, s.Problem, s.Key)
		}
	}
	plan, err := NewPlan(files, Options{Endpoints: testEndpoints(), Lookup: m.lookup})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Servers {
		fmt.Fprintf(&shown, "%v %+v", s.Secrets(), s.Env)
	}
	for _, e := range plan.Edits {
		shown.WriteString(e.Diff())
	}
	fmt.Fprint(&shown, plan.Notes, plan.Skipped)
	for _, archive := range archives(t) {
		for _, f := range archive.Files {
			if f.Name != "secrets" {
				continue
			}
			for secret := range strings.FieldsSeq(string(f.Data)) {
				if strings.Contains(shown.String(), secret) {
					t.Errorf("%s is shown", secret)
				}
			}
		}
	}
}

// The lines around an edit may hold credentials of something else.
func TestDiffMasksItsContext(t *testing.T) {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	m.write(t, filepath.Join(m.home, ".config", "Code", "User", "settings.json"), []byte(`{
  "db.password": "plain-neighbour",
  "mcp": {"servers": {"a": {"command": "x"}}},
  "tokens": ["second-neighbour"]
}`))
	diff := m.plan(t).Edits[0].Diff()
	if strings.Contains(diff, "neighbour") || !strings.Contains(diff, "db.password") {
		t.Error(diff)
	}
}

// What import doesn't edit is at least pointed out.
func TestLeftoverCredentials(t *testing.T) {
	m := &machine{home: t.TempDir(), state: t.TempDir(), files: make(map[string][]byte)}
	m.write(t, filepath.Join(m.home, ".cursor", "mcp.json"), []byte(`{
  // ghp_0123456789abcdefghijABCDEFGHIJ012345
  "mcpServers": {"a": {"command": "x", "env": {"TOKEN": "a-plain-password"}}},
  "copy": "a-plain-password"
}`))
	notes := m.plan(t).Notes
	for _, n := range notes {
		if strings.Contains(n.String(), "ghp_") || strings.Contains(n.String(), "a-plain") {
			t.Errorf("the note quotes it: %s", n)
		}
	}
	if len(notes) != 1 || !strings.HasSuffix(notes[0].Text, "edits: line 2, 4") {
		t.Errorf("%q", notes)
	}
}

func TestReferences(t *testing.T) {
	lookup := func(kind, name string) (string, bool) {
		v, ok := map[string]string{"env:SET": "value", "env:EMPTY": "", "input:id-1": "asked"}[kind+":"+name]
		return v, ok
	}
	for _, test := range []struct {
		style     references
		text      string
		want      string
		isMissing bool
	}{
		{shellReferences, "a ${SET} ${SET}", "a value value", false},
		{shellReferences, "${UNSET:-a b}", "a b", false},
		{shellReferences, "${EMPTY:-b}", "b", false},
		{shellReferences, "${EMPTY}", "", false},
		{shellReferences, "${UNSET}", "${UNSET}", true},
		{shellReferences, "$SET costs $5", "$SET costs $5", false},
		{dollarReferences, "$SET ${SET} $UNSET ${UNSET} $5", "value value $UNSET ${UNSET} $5", false},
		{editorReferences, "${env:SET}/${input:id-1}/${userHome}", "value/asked//home/ana", false},
		{editorReferences, "${workspaceFolder} ${workspaceFolderBasename}", "/srv/shop shop", false},
		{editorReferences, "${SET}", "${SET}", true},
		{editorReferences, "${env:UNSET}", "${env:UNSET}", true},
		{editorReferences, "${command:pick}", "${command:pick}", true},
		{noReferences, "${SET} $SET ${env:SET}", "${SET} $SET ${env:SET}", false},
	} {
		r := &resolver{style: test.style, home: "/home/ana", project: "/srv/shop", lookup: lookup}
		if got := r.expand(test.text); got != test.want || (len(r.missing) > 0) != test.isMissing {
			t.Errorf("%d %q becomes %q, missing %q", test.style, test.text, got, r.missing)
		}
	}
}
