package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/app/halt"
	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/starter"
	"sallyport/internal/terminal"
)

// starterAgent is the agent of the starter configuration that the first start
// gives a token.
const starterAgent = "support-bot"

// stopWithin is how long a gateway may take to end what is open.
const stopWithin = 10 * time.Second

type upFlags struct {
	config, addrFile string
	view             string
	observe, quiet   bool
}

func (c *cli) upCommand() *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up [-- COMMAND ARGS…]",
		Short: "Start the gateway",
		Long: `Start the gateway and serve until interrupted.

The first start makes the state directory with a configuration, a policy and
keys, and puts a demo server behind the gateway. A command behind -- is a stdio
server that is put behind it besides the configured ones, as "local".`,
		Example: `  sallyport up
  sallyport up -- npx -y @modelcontextprotocol/server-filesystem .
  sallyport up --config sallyport.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return usage("a server's command stands behind --: sallyport up -- %s", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.up(cmd.Context(), flags, args) },
	}
	cmd.Flags().StringVar(&flags.config, "config", "", "configuration file (default: sallyport.yaml in the state directory)")
	cmd.Flags().BoolVar(&flags.observe, "observe", false, "let calls through whatever the policy says, and record what it would have said")
	cmd.Flags().StringVar(&flags.addrFile, "addr-file", "", "write where it listens to this file, as JSON")
	cmd.Flags().StringVar(&flags.view, "view-socket", "", "let the group of this socket's directory look, and answer with the human's secret (what sallyport install sets up uses it)")
	cmd.Flags().BoolVar(&flags.quiet, "quiet", false, "log only what was refused or went wrong")
	return cmd
}

func (c *cli) up(ctx context.Context, flags upFlags, command []string) error {
	dir, err := app.StateDir(c.dir, flags.config)
	if err != nil {
		return err
	}
	if flags.config == "" {
		flags.config = filepath.Join(dir, "sallyport.yaml")
		if err := writeStarter(dir); err != nil {
			return err
		}
	}
	show := terminal.NewConsole(c.out)
	lines := terminal.NewLines(c.errs)
	defer lines.Close()
	options := app.Options{
		Dir: dir, Config: flags.config, View: flags.view, Version: version(), Observe: flags.observe, Command: command,
		Log: c.logger(lines, flags.quiet), Tell: show.Tell,
	}
	if options.Config, err = filepath.Abs(options.Config); err != nil {
		return err
	}
	atTerminal := terminal.Is(c.in) && terminal.Is(c.out)
	if terminal.Is(c.out) {
		options.Line = show.Decided
	}
	if atTerminal {
		options.Look = c.look
	}
	a, err := app.Open(ctx, options)
	if err != nil {
		return err
	}
	c.looking.Lock() // questions come after the welcome
	if err := a.Start(ctx); err != nil {
		c.looking.Unlock()
		return errors.Join(err, a.Close(context.WithoutCancel(ctx)))
	}
	err = c.serve(ctx, a, show, flags, atTerminal)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, a.Close(stopping))
}

// serve says where the gateway is and shows what happens until ctx ends.
func (c *cli) serve(ctx context.Context, a *app.App, show *terminal.Console, flags upFlags, atTerminal bool) error {
	err := c.greet(ctx, a, flags.addrFile, atTerminal)
	c.looking.Unlock()
	if err != nil {
		return err
	}
	if atTerminal {
		c.settle(ctx, a)
		c.offerEnrolment(ctx, a)
		fmt.Fprintln(c.out, "Decided calls are shown here. Ctrl-C stops the gateway.")
	}
	go show.Show()
	select {
	case <-ctx.Done():
	case <-a.Halt().Drained():
	}
	// A second interrupt ends the program at once.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	show.Close()
	fmt.Fprintln(c.errs, "stopping")
	return nil
}

// greet says where the gateway is: to whoever started it and, in a file, to
// programs. Where nobody is asked about servers it waits for them a moment.
func (c *cli) greet(ctx context.Context, a *app.App, addrFile string, atTerminal bool) error {
	if addrFile != "" {
		if err := writeAddresses(addrFile, a.Addresses()); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "Sallyport %s listens on %s\nState and configuration are in %s.\n", version(), a.URL(), a.Dir())
	if atTerminal {
		fmt.Fprintf(c.out, "Look at it in a browser, with this link once: %s\n", a.ConsoleLink())
	}
	if !atTerminal {
		settled, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		a.Settle(settled)
	}
	return c.welcome(ctx, a)
}

// settle waits until every server was tried once, and a person asked about
// it, so that there is one question at a time; but not for ever: a server may
// have to be downloaded first.
func (c *cli) settle(ctx context.Context, a *app.App) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	soon, cancelSoon := context.WithTimeout(ctx, 2*time.Second)
	defer cancelSoon()
	if !a.Settle(soon) && c.looking.TryLock() { // else a question is on the screen
		fmt.Fprintln(c.out, "Waiting for servers; one that is new here may have to be downloaded first.")
		c.looking.Unlock()
	}
	a.Settle(ctx)
}

// offerEnrolment asks whether to enroll, as long as nobody has.
func (c *cli) offerEnrolment(ctx context.Context, a *app.App) {
	if a.Enrolled() {
		return
	}
	if terminal.Ask(ctx, "Nobody can accept, loosen or add agents before a human enrolls. Enroll now?") {
		if err := c.kit().Enroll(ctx, control.Local(a.Control()), "", ""); err != nil {
			fmt.Fprintln(c.errs, "sallyport:", err)
		}
	}
	if !a.Enrolled() {
		fmt.Fprintln(c.out, "Whenever you want to, in another terminal: sallyport enroll")
	}
}

// logger writes structured lines. At a terminal the console shows the calls,
// so only what went wrong is logged.
func (c *cli) logger(lines io.Writer, quiet bool) *slog.Logger {
	level := slog.LevelInfo
	if quiet || terminal.Is(c.out) {
		level = slog.LevelError
	}
	if quiet && !terminal.Is(c.out) {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewJSONHandler(terminal.JSONLines(lines), &slog.HandlerOptions{Level: level}))
}

// look shows a server's manifest at first sight and asks whether to accept it.
func (c *cli) look(ctx context.Context, changes control.Changes) bool {
	c.looking.Lock() // servers come up beside each other
	defer c.looking.Unlock()
	c.print(changes, func(t *terminal.Table) {
		t.Line("\nServer " + changes.Server + " is here for the first time. It offers:\n")
		showChanges(t, changes)
		t.Line("\nIn short:")
		for _, change := range changes.Changes {
			t.Row("  "+change.Key, strings.Join(change.Effects, ", "))
		}
	})
	return terminal.Ask(ctx, fmt.Sprintf("Accept these %d items of %s?", len(changes.Changes), changes.Server))
}

// writeStarter fills a new state directory. What is there already stays.
func writeStarter(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "sallyport.yaml")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fs.WalkDir(starter.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		path := filepath.Join(dir, name)
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(path, 0o700))
		}
		text, err := starter.Files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o600)
	})
}

// writeAddresses writes the file whole: whoever waits for it reads it at once.
func writeAddresses(name string, at app.Addresses) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// welcome says how to connect.
func (c *cli) welcome(ctx context.Context, a *app.App) error {
	at := a.Addresses()
	status := a.PolicyStatus()
	if status.Mode == string(config.Observe) {
		fmt.Fprintln(c.out, c.paint(terminal.Yellow, "OBSERVE MODE: policy verdicts are recorded and not enforced."))
	}
	for _, o := range a.Halt().Kills() {
		fmt.Fprintln(c.out, c.paint(terminal.Red, terminal.Visible(halt.Headline(o))+"\n  → sallyport resume "+o.ID))
	}
	for agent, address := range at.Listeners {
		fmt.Fprintf(c.out, "Whoever can connect to http://%s/mcp is agent %s.\n", address, agent)
	}
	agent := a.StarterAgent(starterAgent)
	if agent == "" {
		fmt.Fprintln(c.out, "\nNo agent is declared yet. For a user of the configuration: sallyport agents add NAME --role ROLE --for USER")
		return nil
	}
	tokens, err := a.FirstTokens(ctx, agent)
	if errors.Is(err, app.ErrHasToken) {
		fmt.Fprintf(c.out, "\nAgents connect with the token they were given; \"sallyport agents rotate %s\" makes a new one.\n\n", agent)
		return nil
	}
	if err != nil {
		return err
	}
	token := tokens[0]
	fmt.Fprintf(c.out, "\nAgent %s has this token until %s. It is shown this once;\n\"sallyport agents rotate %s\" makes a new one.\n\n  %s\n\n",
		agent, minute(token.Expires), agent, token.Token)
	fmt.Fprint(c.out, connectLines(a.URL(), token.Token))
	return nil
}

// connectLines is one line for each client that people use.
func connectLines(url, token string) string {
	header := "Authorization: Bearer " + token
	settings, _ := json.Marshal(map[string]any{"url": url, "headers": map[string]string{"Authorization": "Bearer " + token}})
	named, _ := json.Marshal(map[string]any{"name": "sallyport", "type": "http", "url": url, "headers": map[string]string{"Authorization": "Bearer " + token}})
	return fmt.Sprintf(`  Claude Code  claude mcp add --transport http sallyport %[1]s --header "%[2]s"
  Cursor       ~/.cursor/mcp.json: {"mcpServers":{"sallyport":%[3]s}}
  VS Code      code --add-mcp '%[4]s'
  Inspector    npx @modelcontextprotocol/inspector --cli %[1]s --transport http --header "%[2]s" --method tools/list

`, url, header, settings, named)
}
