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
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/terminal"
)

// environment is ours for a command in a run. A source's token stays here: with
// it the agent would begin runs, and say what users want.
func environment(ours []string, url, token string) []string {
	env := slices.DeleteFunc(slices.Clone(ours), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == sourceVariable || name == urlVariable || name == tokenVariable
	})
	return append(env, urlVariable+"="+url, tokenVariable+"="+token)
}

// withConfig writes the file that configPlace stands for, and nothing when it
// stands nowhere.
func withConfig(args []string, url, token string) (_ []string, remove func(), err error) {
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, configPlace) }) {
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
		args[i] = strings.ReplaceAll(args[i], configPlace, filepath.Join(dir, "mcp.json"))
	}
	return args, remove, nil
}

// follow runs a command to its end, whatever signals come: they are its to
// heed.
func (k Kit) follow(args, env []string, signals <-chan os.Signal) error {
	command := exec.Command(args[0], args[1:]...)
	command.Env, command.Stdin, command.Stdout, command.Stderr = env, k.In, k.Out, k.Errs
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s can't be run: %w", args[0], err)
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
			return exitOf(err)
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

// exitOf is a command's end as an exit code, in the way of shells.
func exitOf(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &Exit{128 + int(status.Signal())}
	}
	return &Exit{exit.ExitCode()}
}

// launcher begins and ends runs: with the human's secret over the control
// socket, or with a source's token over HTTP.
type launcher struct {
	begin func(ctx context.Context, wanted control.NewRun) (identity.Begun, error)
	end   func(ctx context.Context, run identity.Begun) error
}

func (k Kit) launcher(ctx context.Context, flags runFlags) (launcher, error) {
	token := os.Getenv(sourceVariable)
	if flags.tokenFile != "" {
		var err error
		if token, err = terminal.SecretFile(flags.tokenFile, nil); err != nil {
			return launcher{}, err
		}
	}
	if token != "" {
		return overHTTP(strings.TrimSuffix(flags.url, "/mcp"), token), nil
	}
	dir, err := k.Dir()
	if err != nil {
		return launcher{}, err
	}
	if !control.Running(dir) {
		return launcher{}, k.Usage("without a gateway on this machine a run takes the token of a source: name a file with --source-token-file, or set %s", sourceVariable)
	}
	gate := control.Dial(dir)
	secret, err := k.Secret(ctx, gate)
	if err != nil {
		return launcher{}, err
	}
	return launcher{
		begin: func(ctx context.Context, wanted control.NewRun) (identity.Begun, error) {
			wanted.Secret = secret
			return control.Post[identity.Begun](ctx, gate, "/runs", wanted)
		},
		end: func(ctx context.Context, run identity.Begun) error {
			_, err := control.Post[control.RunEnded](ctx, gate, "/runs/"+run.Run+"/end", control.RunEnd{})
			return err
		},
	}, nil
}

func overHTTP(base, token string) launcher {
	post := func(ctx context.Context, path string, in, out any) error {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/runs"+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("the gateway does not answer: %w", errors.Unwrap(err))
		}
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			return err
		}
		var problem struct{ Error string }
		switch {
		case response.StatusCode/100 == 2:
			return json.Unmarshal(text, out)
		case json.Unmarshal(text, &problem) != nil || problem.Error == "":
			return fmt.Errorf("%s answered %s: is it the address of a gateway?", base, response.Status)
		case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
			return &control.CodedError{Code: control.Denied, Text: problem.Error}
		default:
			return errors.New(problem.Error)
		}
	}
	return launcher{
		begin: func(ctx context.Context, wanted control.NewRun) (begun identity.Begun, err error) {
			in := map[string]string{"agent": wanted.Agent, "user": wanted.For, "task": wanted.Task, "parent": wanted.Parent}
			return begun, post(ctx, "", in, &begun)
		},
		end: func(ctx context.Context, run identity.Begun) error {
			return post(ctx, "/"+run.Run+"/end", struct{}{}, &struct{}{})
		},
	}
}
