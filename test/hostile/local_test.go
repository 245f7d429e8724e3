package hostile

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/goccy/go-yaml"
)

// evil is a name that would paint over what is around it: escapes of a
// terminal in 7 and in 8 bits, bidi overrides, line breaks, invisible letters.
const evil = "get_\x1b[2J\x1b]0;title\x07\u009b31m\u202eDENY\u2066\r\nallow\u200b\x7f\u0085\u2028"

// painted is the first character of a text that should not reach a terminal.
func painted(text string) (rune, bool) {
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.Is(unicode.C, r) || r == '\u2028') {
			return r, true
		}
	}
	return 0, false
}

// TestNothingPaintsOverTheTerminal: names that servers and agents choose are
// shown, and do nothing.
func TestNothingPaintsOverTheTerminal(t *testing.T) {
	name, _ := json.Marshal(evil)
	up := newServer(t)
	up.tools += `,{"name":` + string(name) + `,"description":` + string(name) + `,"inputSchema":{"type":"object"}}`
	g := start(t, up.as("pay"), policy, "pay")
	a := g.connect("ana", "/mcp/pay")
	a.send(request{body: call(`{"name":` + string(name) + `,"arguments":{}}`)})
	a.send(request{body: `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":` + string(name) + `}}`})
	a.send(request{body: call(`{"name":` + strings.Replace(string(name), "get_", "none_", 1) + `,"arguments":{}}`)})
	up.mu.Lock()
	up.tools = strings.ReplaceAll(up.tools, `"description":"get_`, `"description":"set_`)
	up.mu.Unlock()
	a.send(request{body: `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`})
	var entries []map[string]any
	if err := json.Unmarshal([]byte(g.must("log", "query", "--limit", "0", "-o", "json")), &entries); err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, e := range entries {
		if call, ok := e["call"].(string); ok {
			id = call
		}
	}
	shown := ""
	for _, verb := range [][]string{
		{"tools"}, {"servers"}, {"servers", "diff", "pay"}, {"log", "query", "--limit", "0"}, {"doctor"}, {"agents", "list"},
		{"log", "show", id}, {"policy", "why", id},
	} {
		for _, format := range []string{"table", "json", "yaml"} {
			out, err := g.run(append(verb, "-o", format)...)
			if err != nil {
				t.Errorf("%v -o %s: %v", verb, format, err)
			}
			if r, found := painted(out); found {
				t.Errorf("%v -o %s writes %U", verb, format, r)
			}
			shown += out
			switch format {
			case "json":
				if !json.Valid([]byte(out)) {
					t.Errorf("%v -o json is none", verb)
				}
			case "yaml":
				var v any
				if err := yaml.Unmarshal([]byte(out), &v); err != nil {
					t.Errorf("%v -o yaml is none: %v", verb, err)
				}
			}
		}
	}
	if !strings.Contains(shown, `\u{1b}`) {
		t.Error("the name was shown nowhere")
	}
	if r, found := painted(g.output.String()); found {
		t.Errorf("the gateway's own lines have %U", r)
	}
}

// TestWhatOthersOnThisMachineSee: the state is its owner's alone, and no secret
// stands where others can read it.
func TestWhatOthersOnThisMachineSee(t *testing.T) {
	up := newServer(t)
	g := start(t, up.as("pay"), policy, "pay")
	g.connect("ana", "/mcp/pay").served("before")
	err := filepath.WalkDir(g.state(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %o", path, mode)
		}
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, secret := range []string{g.tokens["ana"], g.tokens["bob"], "a secret for this test alone"} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s holds a secret as it is", path)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(g.state(), "control.sock")); err != nil || info.Mode()&fs.ModeSocket == 0 {
		t.Errorf("the control socket: %v", err)
	}
	for _, of := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", g.pid, of))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "sp_") || strings.Contains(string(text), "this test alone") {
			t.Errorf("%s shows a secret", of)
		}
	}
}
