package importer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/importer/clientfile"
)

func TestPlaces(t *testing.T) {
	for goos, want := range map[string][]string{
		"linux":   {"/h/.config/Claude/claude_desktop_config.json", "/h/.config/Code/User/mcp.json", "/h/.config/Code/User/settings.json"},
		"darwin":  {"/h/Library/Application Support/Claude/claude_desktop_config.json", "/h/Library/Application Support/Code/User/mcp.json"},
		"windows": {"/h/AppData/Roaming/Claude/claude_desktop_config.json", "/h/AppData/Roaming/Code/User/mcp.json"},
	} {
		want = append(want, "/h/.claude.json", "/h/.cursor/mcp.json", "/h/.codeium/windsurf/mcp_config.json",
			"/h/.gemini/settings.json", "/h/.codex/config.toml",
			"/p/.mcp.json", "/p/.cursor/mcp.json", "/p/.vscode/mcp.json", "/p/.gemini/settings.json", "/p/.codex/config.toml")
		var got []string
		for _, p := range places("/h", "/p", goos) {
			got = append(got, filepath.ToSlash(p.path))
		}
		for _, path := range want {
			if !slices.Contains(got, path) {
				t.Errorf("%s: %s is not looked at", goos, path)
			}
		}
	}
	for _, p := range places("/h", "", "linux") {
		if p.project != "" || strings.HasPrefix(p.path, "/p") {
			t.Errorf("without a project: %s", p.path)
		}
	}
}

func TestFindFrom(t *testing.T) {
	m := everyone(t)
	files, err := Find(m.home, m.project, "linux", []string{"cursor", "codex"})
	if err != nil || len(files) != 4 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		if f.Client != Cursor && f.Client != Codex {
			t.Error(f.Path)
		}
	}
	if _, err := Find(m.home, m.project, "linux", []string{"emacs"}); err == nil || !strings.Contains(err.Error(), "claude-code") {
		t.Error(err)
	}
	if files, err := Find(filepath.Join(m.home, "nowhere"), "", "linux", nil); err != nil || files != nil {
		t.Error(files, err)
	}
}

// A file that can't be read says where, gives nothing of its text away, and
// doesn't keep the others from being imported.
func TestMalformedFiles(t *testing.T) {
	for name, test := range map[string]struct {
		path, text   string
		line, column int
		reason       string
	}{
		"cut off":               {".cursor/mcp.json", "{\n  \"mcpServers\": {", 2, 0, ""},
		"trailing data":         {".cursor/mcp.json", "{}\n{}", 2, 1, "after top-level value"},
		"bad literal":           {".cursor/mcp.json", "{\n  \"mcpServers\": {\"a\": {\"env\": {\"T\": \"hidden-\\x-value\"}}}}", 2, 37, "invalid literal"},
		"single quotes":         {".cursor/mcp.json", "{\n 'mcpServers': {}}", 2, 2, ""},
		"not an object":         {".cursor/mcp.json", " []", 1, 2, "expected an object"},
		"entry is text":         {".cursor/mcp.json", "{\"mcpServers\": {\n\"a\": \"hidden-value\"}}", 2, 6, "expected an object for this server"},
		"twice":                 {".cursor/mcp.json", "{\"mcpServers\": {},\n \"mcpServers\": {}}", 2, 2, "there twice"},
		"server twice":          {".cursor/mcp.json", "{\"mcpServers\": {\"a\": {}, \"\\u0061\": {}}}", 1, 26, "there twice"},
		"setting twice":         {".cursor/mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"x\",\n\"command\": \"y\"}}}", 2, 1, "there twice"},
		"UTF-16":                {".cursor/mcp.json", "\xff\xfe{\x00}\x00", 0, 0, "not UTF-8"},
		"nested":                {".cursor/mcp.json", "{\"a\": " + strings.Repeat("[", 2_000_000), 1, 1006, "nested deeper"},
		"nested behind strings": {".cursor/mcp.json", "{\"a\": " + strings.Repeat(`["]",`, 400_000), 0, 0, "nested deeper"},
		"TOML":                  {".codex/config.toml", "a = 1\n[mcp_servers.x]\ncommand = hidden-value\n", 3, 11, ""},
		"TOML twice":            {".codex/config.toml", "[mcp_servers.x]\ncommand = \"a\"\ncommand = \"b\"\n", 3, 1, ""},
		"TOML nested":           {".codex/config.toml", "a = " + strings.Repeat("[", 2_000_000), 1, 0, "nested"},
		"TOML entry":            {".codex/config.toml", "[mcp_servers]\nx = 1\n", 0, 0, "mcp_servers.x is not a table"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, archives(t)["testdata/claude-code.txtar"], unchanged)
			path := filepath.Join(m.home, filepath.FromSlash(test.path))
			m.write(t, path, []byte(test.text))
			files, err := Find(m.home, m.project, "linux", nil)
			if len(files) != 2 {
				t.Errorf("%d other files", len(files))
			}
			var parse *clientfile.ParseError
			if !errors.As(err, &parse) {
				t.Fatalf("got %v", err)
			}
			if parse.Path != path || !strings.Contains(parse.Reason, test.reason) || parse.Reason == "" ||
				(test.line != 0 && parse.Line != test.line) || (test.column != 0 && parse.Column != test.column) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestFilesWithoutServers(t *testing.T) {
	m := &machine{home: t.TempDir(), files: make(map[string][]byte)}
	for path, text := range map[string]string{
		".cursor/mcp.json":                          "",
		".codeium/windsurf/mcp_config.json":         "\ufeff \r\n",
		".gemini/settings.json":                     `{"mcpServers": {}}`,
		".config/Code/User/settings.json":           `{"mcp": true, "servers": {"no": {"command": "x"}}}`,
		".config/Claude/claude_desktop_config.json": `{"scale": 0}`,
		".codex/config.toml":                        "# empty\n[mcp_servers]\n",
		".claude.json":                              `{"projects": {"/p": {"mcpServers": {}}, "/q": null}}`,
	} {
		m.write(t, filepath.Join(m.home, filepath.FromSlash(path)), []byte(text))
	}
	files, err := Find(m.home, "", "linux", nil)
	if err != nil || len(files) != 0 {
		t.Errorf("%+v %v", files, err)
	}
}

func TestSpecialFiles(t *testing.T) {
	m, path := simpleMachine(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(m.home, "", runtime.GOOS, nil); err == nil {
		t.Error("a directory was read as a file")
	}
}

func TestReadServer(t *testing.T) {
	for name, test := range map[string]struct {
		client  Client
		entry   string
		want    Transport
		problem string
	}{
		"stdio":             {Cursor, `{"command": "x"}`, Stdio, ""},
		"http":              {Cursor, `{"url": "https://a.example/mcp"}`, HTTP, ""},
		"sse by its path":   {Cursor, `{"url": "https://a.example/sse/"}`, SSE, ""},
		"sse by type":       {VSCode, `{"type": "sse", "url": "https://a.example/mcp"}`, SSE, ""},
		"http by type":      {ClaudeCode, `{"type": "streamable-http", "url": "https://a.example/sse"}`, HTTP, ""},
		"gemini url":        {GeminiCLI, `{"url": "https://a.example/mcp"}`, SSE, ""},
		"gemini httpUrl":    {GeminiCLI, `{"httpUrl": "https://a.example/sse"}`, HTTP, ""},
		"both":              {Cursor, `{"command": "x", "url": "https://a.example"}`, "", "not clear"},
		"neither":           {Cursor, `{"env": {}}`, "", "not clear"},
		"unknown type":      {ClaudeCode, `{"type": "ws", "url": "wss://a.example"}`, "", "not clear"},
		"empty command":     {Cursor, `{"command": " "}`, Stdio, "no command"},
		"http without url":  {VSCode, `{"type": "http"}`, HTTP, "no url"},
		"oauth":             {GeminiCLI, `{"httpUrl": "https://a.example", "oauth": {"enabled": true}}`, HTTP, "signs in"},
		"helper":            {ClaudeCode, `{"type": "http", "url": "https://a.example", "headersHelper": "x"}`, HTTP, "signs in"},
		"envFile":           {VSCode, `{"command": "x", "envFile": ".env"}`, Stdio, "envFile"},
		"credential inside": {Cursor, `{"command": "x --token=abcdef"}`, Stdio, "credential"},
		"across words":      {Cursor, `{"command": "x -H Authorization:Bearer abcdefgh"}`, Stdio, "credential"},
		"wrong type":        {Cursor, `{"command": ["x"]}`, Stdio, `"command" is not a string`},
		"wrong args":        {Cursor, `{"command": "x", "args": "y"}`, Stdio, `"args" is not a list`},
		"nested args":       {Cursor, `{"command": "x", "args": [["y"]]}`, Stdio, `"args" is not a list`},
		"wrong env":         {Cursor, `{"command": "x", "env": ["y"]}`, Stdio, `"env" is not a table`},
		"nested env":        {Cursor, `{"command": "x", "env": {"y": {}}}`, Stdio, `"env" is not a table`},
		"numbers in env":    {Cursor, `{"command": "x", "env": {"PORT": 1000000, "DEBUG": true, "UNSET": null}}`, Stdio, ""},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := clientfile.JSON().Entries([]byte(`{"t": {"n": `+test.entry+`}}`), [][]string{{"t"}})
			if err != nil {
				t.Fatal(err)
			}
			s := readServer(test.client, "f", "", entries[0])
			if s.Transport != test.want || !strings.Contains(s.Problem, test.problem) || (s.Problem == "") != (test.problem == "") {
				t.Errorf("%q %q", s.Transport, s.Problem)
			}
			if name == "numbers in env" && (s.Env["PORT"].Reveal() != "1000000" || s.Env["DEBUG"].Reveal() != "true" || len(s.Env) != 2) {
				t.Errorf("%v", s.Env)
			}
		})
	}
}
