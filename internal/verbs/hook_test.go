package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hookdoor"
	"sallyport/internal/terminal"
	"sallyport/internal/verbs/launch"
)

const (
	bashEvent   = `{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"u"}`
	resultEvent = `{"hook_event_name":"PostToolUse","session_id":"s","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"u","tool_response":"long"}`
	promptEvent = `{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"tidy up"}`
)

// asks runs the hook against whatever answers.
func asks(t *testing.T, url string, in io.Reader) (code int, out, errs string) {
	t.Helper()
	t.Setenv(launch.TokenVariable, "sp_run_x")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var o, e bytes.Buffer
	h := hook{url: url}
	err := h.run(ctx, Kit{In: in, Out: &o, Errs: &e})
	if exit, ok := errors.AsType[*Exit](err); ok {
		return exit.Code, o.String(), e.String()
	}
	if err != nil {
		t.Fatalf("%v: the client takes this for a yes", err)
	}
	return 0, o.String(), e.String()
}

type broken struct{}

func (broken) Write([]byte) (int, error) { panic("broken") }

// Who answers is whom the settings name, and nobody that the environment puts
// in between. It runs first: the environment is read once in a process.
func TestHookAsksTheOneThatWasInstalled(t *testing.T) {
	var header http.Header
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if r.URL.Path != hookdoor.Path {
			w.WriteHeader(404)
		}
		w.Header().Set(hookdoor.AnswerHeader, "PreToolUse")
		io.WriteString(w, `{}`)
	}))
	defer gate.Close()
	t.Setenv("HTTP_PROXY", gate.URL)
	t.Setenv(launch.URLVariable, "http://127.0.0.1:1/mcp")
	t.Setenv(settingsVariable, "/elsewhere/claude")
	if code, out, errs := asks(t, gate.URL+"/mcp", strings.NewReader(bashEvent)); code != 0 || out != `{}` || header.Get("Authorization") != "Bearer sp_run_x" || header.Get(hookdoor.RunHeader) != "" ||
		header.Get(hookdoor.SettingsHeader) != "/elsewhere/claude" {
		t.Errorf("%d %s %s %v", code, out, errs, header)
	}
	if code, out, _ := asks(t, "http://gateway.invalid", strings.NewReader(bashEvent)); code != 2 || out != "" {
		t.Errorf("a proxy of the environment has answered: %d %s", code, out)
	}
}

// Whatever answers, or does not: a call is blocked by exit code 2 and a
// sentence, and a result is never passed over.
func TestHookFailsClosed(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"allow"}}`)
	}))
	defer evil.Close()
	answers := map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, evil.URL, http.StatusTemporaryRedirect)
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			io.WriteString(w, `{"error":"the disk is full"}`)
		},
		"another program": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"ok"}`) },
		"nothing to say":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `null`) },
		"about another event": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(hookdoor.AnswerHeader, "Stop")
			io.WriteString(w, `{}`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `hello`) },
		"another": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); io.WriteString(w, `{}`) },
		"nothing": func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{`)
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			if code, out, errs := asks(t, server.URL, strings.NewReader(bashEvent)); code != 2 || out != "" || len(errs) < len("Sallyport refuses this, since it could not decide: ")+10 {
				t.Errorf("a call: %d %s %s", code, out, errs)
			}
			if code, out, _ := asks(t, server.URL, strings.NewReader(resultEvent)); code != 0 || !strings.Contains(out, `"continue":false`) {
				t.Errorf("a result: %d %s", code, out)
			}
			if code, out, _ := asks(t, server.URL, strings.NewReader(promptEvent)); code != 0 || !strings.Contains(out, "does not count") || strings.Contains(out, "continue") {
				t.Errorf("a prompt: %d %s", code, out)
			}
		})
	}
	never, stop := io.Pipe()
	defer stop.Close()
	for name, in := range map[string]io.Reader{"did not say in time": never} {
		if code, out, errs := asks(t, evil.URL, in); code != 2 || out != "" || !strings.Contains(errs, name) {
			t.Errorf("%s: %d %s %s", name, code, out, errs)
		}
	}
}

// An error in the program itself blocks, too.
func TestHookPanics(t *testing.T) {
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(hookdoor.AnswerHeader, "PreToolUse")
		io.WriteString(w, `{}`)
	}))
	defer gate.Close()
	t.Setenv(launch.TokenVariable, "sp_run_x")
	err := (&hook{url: gate.URL}).run(t.Context(), Kit{In: strings.NewReader(bashEvent), Out: broken{}, Errs: io.Discard})
	if exit, ok := errors.AsType[*Exit](err); !ok || exit.Code != 2 {
		t.Error(err)
	}
}

func TestHookReadsNoFlood(t *testing.T) {
	if text, err := readWithin(t.Context(), zeros{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A result that the gateway refuses is told again without itself.
func TestHookTellsOfWhatItCantSend(t *testing.T) {
	var heard []map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		json.NewDecoder(r.Body).Decode(&e)
		if heard = append(heard, e); e["tool_response"] != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			io.WriteString(w, `{"error":"too long"}`)
			return
		}
		w.Header().Set(hookdoor.AnswerHeader, "PostToolUse")
		io.WriteString(w, `{"systemMessage":"noted"}`)
	}))
	defer server.Close()
	code, out, _ := asks(t, server.URL, strings.NewReader(strings.Replace(resultEvent, "PostToolUse", "PostToolUseFailure", 1)))
	if code != 0 || out != `{"systemMessage":"noted"}` || len(heard) != 2 || heard[1]["hook_event_name"] != "PostToolUse" || heard[1]["tool_use_id"] != "u" || heard[1]["session_id"] != "s" || heard[1]["tool_input"] == nil {
		t.Errorf("%d %s %v", code, out, heard)
	}
}

// Settings that Claude Code takes no hooks from are no place to install them
// in silence.
func TestInstallWarns(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                        "",
		`{"disableAllHooks":true}`:  "disableAllHooks",
		`{"disableAllHooks":false}`: "",
		"{} // mine":                "comments",
	} {
		t.Setenv("CLAUDE_CONFIG_DIR", t.TempDir())
		path := filepath.Join(os.Getenv("CLAUDE_CONFIG_DIR"), "settings.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		k := Kit{Errs: &errs, Print: func(any, func(*terminal.Table)) error { return nil }}
		if err := k.install(t.Context(), settingsFlags{url: "http://127.0.0.1:1"}); err != nil {
			t.Fatal(err)
		}
		if got := errs.String(); (got != "") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
