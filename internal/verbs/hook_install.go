package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/importer"
	"sallyport/internal/importer/clientfile"
	"sallyport/internal/terminal"
)

// hookMark is in every command that we install, and by it they are found again.
const hookMark = "# sallyport hook"

// hookTimeout is how many seconds the client waits for the hook: longer than the
// hook for the gateway.
const hookTimeout = 15

// settingsVariable is where Claude Code is told to keep its settings.
const settingsVariable = "CLAUDE_CONFIG_DIR"

type settingsFlags struct {
	project, user, show bool
	url, tokenFile      string
}

func (k Kit) hookInstall() *cobra.Command {
	var flags settingsFlags
	cmd := &cobra.Command{
		Use: "install [--user|--project]", Short: "Have Claude Code ask Sallyport, by its settings",
		Long: `Have Claude Code ask Sallyport before and after each tool, and tell it what you
type: hooks in its settings, yours (~/.claude/settings.json) or those of the
project (.claude/settings.json). Comments, layout and other hooks stay; a copy of
the settings is kept beside them. "sallyport hook uninstall" undoes it.

Settings are no wall: whoever can write them can take the hooks out. Where that
matters, print them with --print and put them into Claude Code's managed settings.`,
		Example: `  sallyport hook install --user --source-token-file ~/.config/sallyport/hook.token
  sallyport hook install --project --print`,
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return k.install(cmd.Context(), flags) },
	}
	flags.where(cmd)
	cmd.Flags().BoolVar(&flags.show, "print", false, "change nothing, print what would be added")
	cmd.Flags().StringVar(&flags.url, "url", "", "the gateway's address (default: ask the gateway of the state directory, else http://127.0.0.1:7717)")
	cmd.Flags().StringVar(&flags.tokenFile, "source-token-file", "", "a file with the token of a source of kind hook, mode 0600")
	return cmd
}

func (k Kit) hookUninstall() *cobra.Command {
	var flags settingsFlags
	cmd := &cobra.Command{
		Use: "uninstall [--user|--project]", Short: "Take the hooks out of Claude Code's settings",
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := flags.path(k)
			if err != nil {
				return err
			}
			changed, err := importer.UninstallHooks(path, hookMark)
			if err != nil {
				return err
			}
			return k.installed(path, changed, "The hooks are out of "+path+".")
		},
	}
	flags.where(cmd)
	return cmd
}

func (f *settingsFlags) where(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.user, "user", false, "your own settings (default)")
	cmd.Flags().BoolVar(&f.project, "project", false, "the settings of the project in this directory")
}

func (f *settingsFlags) path(k Kit) (string, error) {
	switch {
	case f.user && f.project:
		return "", k.Usage("--user and --project are two places: choose one")
	case f.project:
		return filepath.Abs(filepath.Join(".claude", "settings.json"))
	case os.Getenv(settingsVariable) != "":
		return filepath.Abs(filepath.Join(os.Getenv(settingsVariable), "settings.json"))
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".claude", "settings.json"), err
}

func (k Kit) install(ctx context.Context, flags settingsFlags) error {
	path, err := flags.path(k)
	if err != nil {
		return err
	}
	hooks, err := k.hooks(ctx, flags)
	if err != nil {
		return err
	}
	if flags.show {
		text, err := clientfile.AddHooks(nil, hooks, hookMark)
		if err != nil {
			return err
		}
		_, err = k.Out.Write(text)
		return err
	}
	changed, err := importer.InstallHooks(path, hooks, hookMark)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	var settings struct {
		Off bool `json:"disableAllHooks"`
	}
	switch {
	case err != nil || json.Unmarshal(text, &settings) != nil:
		fmt.Fprintf(k.Errs, "sallyport: WARNING: %s has comments or trailing commas. Claude Code ignores such settings as a whole, and then the hooks, too: take them out.\n", path)
	case settings.Off:
		fmt.Fprintf(k.Errs, "sallyport: WARNING: %s has disableAllHooks, so Claude Code runs no hooks: take it out.\n", path)
	}
	said := "Claude Code asks Sallyport from its next start on (" + path + ")."
	if flags.tokenFile == "" {
		said += "\nWithout --source-token-file it works where Claude Code is started by \"sallyport run\", and what you type does not count as your word."
	}
	return k.installed(path, changed, said)
}

func (k Kit) installed(path string, changed bool, text string) error {
	if !changed {
		text = "Nothing had to be changed in " + path + "."
	}
	return k.Print(map[string]any{"settings": path, "changed": changed}, func(t *terminal.Table) { t.Line(text) })
}

// hooks are those that Claude Code shall run. A program that is gone or killed
// must not let a call pass, so the shell says what the client then hears.
func (k Kit) hooks(ctx context.Context, flags settingsFlags) ([]clientfile.Hook, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if flags.url == "" {
		if flags.url, err = k.Endpoint(ctx); err != nil {
			flags.url = "http://127.0.0.1:7717"
		}
	}
	words := []string{program, "hook", "--url", strings.TrimSuffix(flags.url, "/mcp")}
	if flags.tokenFile != "" {
		file, err := filepath.Abs(flags.tokenFile)
		if err != nil {
			return nil, err
		}
		if _, err := terminal.SecretFile(file, nil); err != nil {
			return nil, err
		}
		words = append(words, "--source-token-file", file)
	}
	for i, word := range words {
		if strings.ContainsAny(word, "'\n") {
			return nil, errors.New("a path or address with a quote or a line break can't stand in a command: " + fmt.Sprintf("%q", word))
		}
		words[i] = "'" + word + "'"
	}
	run := strings.Join(words, " ")
	const unheard = `{"continue":false,"stopReason":"Sallyport: its program failed, so nobody took note of what this tool brought."}`
	after := run + " || printf %s '" + unheard + "' " + hookMark
	return []clientfile.Hook{
		{Event: "UserPromptSubmit", Command: run + " " + hookMark, Timeout: hookTimeout},
		{Event: "PreToolUse", Matcher: "*", Command: run + " || exit 2 " + hookMark, Timeout: hookTimeout},
		{Event: "PostToolUse", Matcher: "*", Command: after, Timeout: hookTimeout},
		{Event: "PostToolUseFailure", Matcher: "*", Command: after, Timeout: hookTimeout},
	}, nil
}
