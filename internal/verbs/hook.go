package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/hookdoor"
	"sallyport/internal/terminal"
	"sallyport/internal/verbs/launch"
)

const (
	// hookWithin is how long the gateway has to answer a hook: less than the
	// client waits for the hook itself, since a client goes on without one that
	// does not end.
	hookWithin = 8 * time.Second
	maxHook    = 64 << 20 // bytes of what a hook is told
)

// blocked is the exit code by which Claude Code takes a call for refused. Any
// other but 0 lets it pass.
const blocked = 2

// Hook is the verb that Claude Code runs.
func (k Kit) Hook() *cobra.Command {
	var h hook
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Decide about what Claude Code does itself (its hooks run this)",
		Long: `Decide about what Claude Code does itself: shell commands, files, web pages.
Claude Code runs this before and after each tool, and when you type something,
once "sallyport hook install" has told it to. It reads what the hook is told from
its input and prints what the hook answers.

Whose run it is says the token in SALLYPORT_TOKEN, where Claude Code was started
by "sallyport run"; else it is the standing run of the one agent of the source
whose token is in --source-token-file. Without the source what you type does not
count as your word.

When the gateway does not answer, no tool is permitted.`,
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return h.run(cmd.Context(), k) },
	}
	cmd.Flags().StringVar(&h.url, "url", "", "the gateway's address, such as http://127.0.0.1:7717 (default: SALLYPORT_URL)")
	cmd.Flags().StringVar(&h.tokenFile, "source-token-file", "", "a file with the token of a source of kind hook, mode 0600")
	cmd.AddCommand(k.hookInstall(), k.hookUninstall())
	return cmd
}

// hook is one run of the program by a client.
type hook struct {
	url, tokenFile string
	source, token  string // of the source, and of the run
}

// told is what has to be known of an event when nobody can be asked.
type told struct {
	Event   string          `json:"hook_event_name"`
	Session string          `json:"session_id"`
	Cwd     string          `json:"cwd,omitempty"`
	Tool    string          `json:"tool_name"`
	Input   json.RawMessage `json:"tool_input"`
	Use     string          `json:"tool_use_id,omitempty"`
}

// run answers one event. Whatever goes wrong, a panic too, blocks the call: the
// client lets pass what ends in any other way.
func (h *hook) run(ctx context.Context, k Kit) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = k.block(fmt.Errorf("an error in the program itself: %v", problem))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, hookWithin)
	defer cancel()
	body, err := readWithin(ctx, k.In)
	if err != nil {
		return k.block(err)
	}
	var e told
	if err := json.Unmarshal(body, &e); err != nil {
		return k.block(errors.New("what the client said is no JSON object that can be read"))
	}
	answer, err := h.ask(ctx, e.Event, body)
	if err == nil {
		return k.answer(answer)
	}
	switch e.Event {
	case "UserPromptSubmit":
		return k.say(map[string]any{"systemMessage": "Sallyport: what you typed does not count as your word, since " + err.Error()})
	case "PostToolUse", "PostToolUseFailure":
		return h.missed(ctx, k, e, err)
	default:
		return k.block(err)
	}
}

// missed tells the gateway that something came back which can't be sent on, so
// that the run counts as one that has read the worst. When it can't hear that
// either, the agent's turn ends.
func (h *hook) missed(ctx context.Context, k Kit, e told, because error) error {
	e.Event = "PostToolUse"
	body, err := json.Marshal(e)
	if err == nil {
		var answer []byte
		if answer, err = h.ask(ctx, e.Event, body); err == nil {
			return k.answer(answer)
		}
	}
	why := fmt.Sprintf("Sallyport: nobody took note of what %s brought, since %v. The agent stops here; look at what it was before you go on.", e.Tool, because)
	return k.say(map[string]any{"continue": false, "stopReason": why, "systemMessage": why})
}

// block refuses the call, in the way that holds whatever the client reads of the
// output.
func (k Kit) block(why error) error {
	fmt.Fprintf(k.Errs, "Sallyport refuses this, since it could not decide: %v\n", why)
	return &Exit{blocked}
}

func (k Kit) say(said map[string]any) error {
	text, err := json.Marshal(said)
	if err != nil {
		return k.block(err)
	}
	return k.answer(append(text, '\n'))
}

// answer prints what the hook answers. One that the client can't hear is none.
func (k Kit) answer(text []byte) error {
	if _, err := k.Out.Write(text); err != nil {
		return k.block(err)
	}
	return nil
}

// readWithin reads all that the client says, until ctx ends.
func readWithin(ctx context.Context, in io.Reader) ([]byte, error) {
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(in, maxHook+1))
		done <- read{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.New("the client did not say in time what it is about")
	case r := <-done:
		if len(r.text) > maxHook {
			return nil, fmt.Errorf("the client said more than %d bytes", maxHook)
		}
		return r.text, r.err
	}
}

// ask asks the gateway about an event. The answer is what the hook prints.
func (h *hook) ask(ctx context.Context, event string, body []byte) ([]byte, error) {
	if err := h.credentials(); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base()+hookdoor.Path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the gateway's address makes no sense: give it with --url")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+h.token)
	if dir := os.Getenv(settingsVariable); dir != "" {
		if dir, err = filepath.Abs(dir); err == nil {
			request.Header.Set(hookdoor.SettingsHeader, dir)
		}
	}
	if h.source != "" {
		request.Header.Set("Authorization", "Bearer "+h.source)
		if h.token != "" {
			request.Header.Set(hookdoor.RunHeader, h.token)
		}
		if file, err := filepath.Abs(h.tokenFile); err == nil {
			request.Header.Set(hookdoor.KeepHeader, file)
		}
	}
	// No proxy of the environment and no redirect: who answers decides.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the gateway does not answer (is it running? \"sallyport up\"): %w", errors.Unwrap(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, errors.New("the gateway broke its answer off")
	}
	var problem struct{ Error string }
	switch {
	case json.Unmarshal(text, &problem) != nil:
		return nil, fmt.Errorf("what answers at %s is no gateway", h.base())
	case response.StatusCode != http.StatusOK && problem.Error == "":
		return nil, fmt.Errorf("%s answered %s: is it a gateway, and of this version?", h.base(), response.Status)
	case response.StatusCode != http.StatusOK:
		return nil, errors.New(problem.Error)
	case response.Header.Get(hookdoor.AnswerHeader) != event:
		return nil, fmt.Errorf("what answers at %s is no gateway, or not of this version", h.base())
	}
	return text, nil
}

// base is where the gateway is. What was installed counts before the
// environment, which a project's settings can change.
func (h *hook) base() string {
	base := h.url
	if base == "" {
		base = os.Getenv(launch.URLVariable)
	}
	if base == "" {
		base = "http://127.0.0.1:7717"
	}
	return strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/mcp")
}

func (h *hook) credentials() error {
	h.token = os.Getenv(launch.TokenVariable)
	if h.tokenFile != "" && h.source == "" {
		source, err := terminal.SecretFile(h.tokenFile, nil)
		if err != nil {
			return fmt.Errorf("the token of the hook's source: %w", err)
		}
		h.source = source
	}
	if h.token == "" && h.source == "" {
		return errors.New("nobody knows whose call this is: start Claude Code with \"sallyport run\", or install the hook with --source-token-file")
	}
	return nil
}
