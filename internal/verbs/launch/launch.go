// Package launch starts the command of an agent in a run.
package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a run's command finds in its environment.
const (
	URLVariable    = "SALLYPORT_URL"
	TokenVariable  = "SALLYPORT_TOKEN"        // where the stdio shim looks for one, too
	SourceVariable = "SALLYPORT_SOURCE_TOKEN" // never passed on: whoever has it speaks for the user
)

// ConfigPlace stands in a command for the path of a file with the MCP servers.
const ConfigPlace = "{mcp-config}"

// Environment is ours for a command in a run. A source's token stays here: with
// it the agent would begin runs, and say what users want.
func Environment(ours []string, url, token string) []string {
	env := slices.DeleteFunc(slices.Clone(ours), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == SourceVariable || name == URLVariable || name == TokenVariable
	})
	return append(env, URLVariable+"="+url, TokenVariable+"="+token)
}

// WithConfig writes the file that ConfigPlace stands for, and nothing when it
// stands nowhere.
func WithConfig(args []string, url, token string) (_ []string, remove func(), err error) {
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, ConfigPlace) }) {
		return args, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "sallyport-run-") // of mode 0700
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	type server struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	text, err := json.MarshalIndent(map[string]any{"mcpServers": map[string]server{
		"sallyport": {"http", url, map[string]string{"Authorization": "Bearer " + token}},
	}}, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "mcp.json"), append(text, '\n'), 0o600)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	args = slices.Clone(args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], ConfigPlace, filepath.Join(dir, "mcp.json"))
	}
	return args, remove, nil
}

// Follow runs a command to its end, whatever signals come: they are its to heed.
func Follow(command *exec.Cmd, signals <-chan os.Signal) error {
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s can't be run: %w", command.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case sent := <-signals:
			if !typed(sent) {
				_ = command.Process.Signal(sent) // or it has ended
			}
		case err := <-ended:
			return err
		}
	}
}

// typed reports whether a signal may come from the keyboard: then the terminal
// has sent it to the command as well, and twice means something else to many.
func typed(sent os.Signal) bool {
	if sent != os.Interrupt && sent != syscall.SIGQUIT {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
