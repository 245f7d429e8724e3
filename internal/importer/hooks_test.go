package importer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/importer/clientfile"
)

// Installing twice is installing once, and uninstalling gives back what was
// there: byte for byte, or not at all where there was nothing.
func TestInstallHooks(t *testing.T) {
	const mark = "# sallyport hook"
	hooks := []clientfile.Hook{{Event: "PreToolUse", Matcher: "*", Command: "sallyport hook " + mark, Timeout: 15}}
	text := []byte("{\n    // mine\n    \"model\":\"opus\",\n    \"hooks\": {}\n}\n")
	path := filepath.Join(t.TempDir(), ".claude", "settings.json")
	step := func(what string, want bool, do func() (bool, error)) {
		t.Helper()
		if changed, err := do(); changed != want || err != nil {
			t.Errorf("%s: %v %v", what, changed, err)
		}
	}
	install := func() (bool, error) { return InstallHooks(path, hooks, mark) }
	uninstall := func() (bool, error) { return UninstallHooks(path, mark) }

	step("nothing to take out", false, uninstall)
	step("where nothing is", true, install)
	step("again", false, install)
	step("out", true, uninstall)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a file is left that was not there before")
	}

	if err := os.WriteFile(path, text, 0o640); err != nil {
		t.Fatal(err)
	}
	step("beside others", true, install)
	hooks[0].Command = "/opt/sallyport hook " + mark
	step("another program", true, install)
	if kept, err := os.ReadFile(path + beforeHooks); err != nil || !bytes.Equal(kept, text) {
		t.Errorf("the copy: %v\n%s", err, kept)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	step("out", true, uninstall)
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
		t.Errorf("not as before: %v\n%s", err, now)
	}
	if _, err := os.Stat(path + beforeHooks); !os.IsNotExist(err) {
		t.Error("the copy is left")
	}

	step("in again", true, install)
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(now, []byte("opus"), []byte("haiku"), 1), 0o640); err != nil {
		t.Fatal(err)
	}
	step("out, with what the user has changed since", true, uninstall)
	if now, err = os.ReadFile(path); err != nil || !bytes.Contains(now, []byte("haiku")) || bytes.Contains(now, []byte("sallyport")) {
		t.Errorf("%v\n%s", err, now)
	}
	hooks = append([]clientfile.Hook{{Event: "UserPromptSubmit", Command: "sallyport hook " + mark, Timeout: 15}}, hooks...)
	for _, text := range []string{"", `{"hooks":{"PreToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"look"}]}]}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		step("beside "+text, true, install)
		step("again beside "+text, false, install)
		step("out of "+text, true, uninstall)
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("not as before: %v\n%s", err, now)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := install(); err == nil {
		t.Error("settings that can't be read were replaced")
	}
}
