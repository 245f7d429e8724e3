package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/demo/cloud"
	"sallyport/internal/demo/desk"
	"sallyport/internal/install"
	"sallyport/internal/shim"
	"sallyport/internal/terminal"
)

// tokenVariable is where the shim looks for its token when no file is named.
const tokenVariable = "SALLYPORT_TOKEN"

func (c *cli) stdioCommand() *cobra.Command {
	var server, endpoint, tokenFile string
	cmd := &cobra.Command{
		Use:   "stdio",
		Short: "Carry messages of a client that only speaks stdio to the gateway",
		Long: `Carry messages of a client that only speaks stdio to the gateway. The shim is
an agent like any other and needs a token of its own: in a file of mode 0600,
or in the variable SALLYPORT_TOKEN.`,
		Example: "  sallyport stdio --server files --token-file ~/.sallyport/tokens/claude-desktop",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := shimToken(tokenFile)
			if err != nil {
				return err
			}
			if endpoint == "" {
				if endpoint, err = c.endpoint(cmd.Context()); err != nil {
					return err
				}
			}
			if server != "" {
				endpoint += "/" + server
			}
			return shim.Run(cmd.Context(), c.in, c.out, endpoint, token)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "one server only, with its own names (default: all as one)")
	cmd.Flags().StringVar(&endpoint, "url", "", "the gateway's address, such as http://127.0.0.1:7717/mcp (default: ask the gateway of the state directory)")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "a file with the token, mode 0600")
	cmd.RegisterFlagCompletionFunc("server", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return c.completeServers(cmd, nil, "")
	})
	return cmd
}

// shimToken is never taken from the command line, where other processes see it.
func shimToken(file string) (string, error) {
	if file != "" {
		return terminal.SecretFile(file, nil)
	}
	if token := os.Getenv(tokenVariable); token != "" {
		return token, nil
	}
	return "", usage("the shim needs a token: name a file with --token-file, or set %s", tokenVariable)
}

func (c *cli) endpoint(ctx context.Context) (string, error) {
	dir, err := c.stateDir()
	if err != nil {
		return "", err
	}
	if here := install.Here(); here != "" && !control.Running(dir) {
		dir = here // where this one may have been moved to
	}
	if !control.Running(dir) {
		return "", fmt.Errorf("no gateway runs in %s: start it with \"sallyport up --dir %s\"", dir, dir)
	}
	at, err := control.Get[control.Address](ctx, control.Dial(dir), "/door")
	return at.URL, err
}

func (c *cli) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo NAME", Short: "Run a demo server on stdio: desk or cloud",
		ValidArgs: []string{"cloud", "desk"},
		Args:      exactly("the name of a server, desk or cloud"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "desk":
				return desk.Serve(cmd.Context(), c.in, c.out)
			case "cloud":
				return cloud.Serve(cmd.Context(), c.in, c.out)
			default:
				return usage("there is no demo server %q; there are desk and cloud", args[0])
			}
		},
	}
}

// executable is where this program is installed. One that "go run" made is
// gone tomorrow, so it can't stand in a client's file.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if filepath.Base(path) != "sallyport" {
		return "", errors.New("clients are given the path of this program, which must be called sallyport: build it with \"make build\" and run bin/sallyport")
	}
	if inGoRun(path) {
		return "", errors.New("clients are given the path of this program, and \"go run\" removes it afterwards: build it with \"make build\" and run bin/sallyport")
	}
	return path, nil
}

func inGoRun(path string) bool {
	matched, err := filepath.Match("go-build*", filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(path)))))
	return matched && err == nil
}
