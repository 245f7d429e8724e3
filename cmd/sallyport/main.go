// Command sallyport runs the gateway and steers it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
	"sallyport/internal/verbs"
	"sallyport/internal/verbs/service"
)

// Exit codes. They are part of the interface: scripts may rely on them.
const (
	exitOK     = 0
	exitError  = 1
	exitUsage  = 2 // the command line is wrong
	exitDenied = 3 // refused: by policy, or for want of the human's credential
	exitFailed = 4 // a test or a verification failed
	exitHeld   = 5 // held for a human, or timed out
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. Whatever goes wrong ends as one sentence for a person
// and an exit code.
func run(args []string, in io.Reader, out, errs io.Writer) (code int) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintf(errs, "sallyport: an error in the program itself: %v\nPlease report it with what you ran; nothing was changed by this.\n", problem)
			code = exitError
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &cli{in: in, out: out, errs: errs}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if text := sentence(err); text != "" {
		fmt.Fprintln(errs, "sallyport: "+strings.TrimRight(text, "\n"))
	}
	return exitCode(err)
}

// sentence is an error's text without the names of system calls, which tell a
// person nothing.
func sentence(err error) string {
	text := err.Error()
	broken, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return text
	}
	plain := broken.Path + ": " + broken.Err.Error()
	switch {
	case errors.Is(broken, fs.ErrNotExist) && broken.Op == "mkdir":
		plain = broken.Path + " can't be made there"
	case errors.Is(broken, fs.ErrNotExist):
		plain = broken.Path + " does not exist"
	case errors.Is(broken, fs.ErrPermission):
		plain = "you have no permission for " + broken.Path
	}
	return strings.Replace(text, broken.Error(), plain, 1)
}

// codeError carries an exit code. Its text may be empty when all is said.
type codeError struct {
	code int
	text string
}

func (e *codeError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Sprintf(format, args...)}
}

func exitCode(err error) int {
	if coded, ok := errors.AsType[*codeError](err); ok {
		return coded.code
	}
	if coded, ok := errors.AsType[*control.CodedError](err); ok {
		switch coded.Code {
		case control.Denied:
			return exitDenied
		case control.Failed:
			return exitFailed
		}
	}
	if exit, ok := errors.AsType[*verbs.Exit](err); ok {
		return exit.Code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return exitHeld
	}
	return exitError
}

// cli is one run of the command line.
type cli struct {
	in         io.Reader
	out, errs  io.Writer
	dir        string
	output     string
	secretFile string
	looking    sync.Mutex
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "A gateway that decides about every action of an AI agent before it happens",
		Long: `Sallyport stands between agents and the MCP servers that they can touch. Each
call is decided by policy, recorded before it acts, and can be proved afterwards.

Start with "sallyport up".

Exit codes: 0 ok, 1 error, 2 wrong command line, 3 denied (by policy, or for
want of the human's credential), 4 a test or verification failed, 5 held for a
human or timed out.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&c.dir, "dir", "", "state directory (default ./.sallyport)")
	root.PersistentFlags().StringVarP(&c.output, "output", "o", "table", "how to print: table, json or yaml")
	root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // how Go says it, behind what is wrong
		return usage("%s; \"%s --help\" shows what there is", text, cmd.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if c.output != "table" && c.output != "json" && c.output != "yaml" {
			return usage("-o is table, json or yaml, not %q", c.output)
		}
		return nil
	}
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run it:"},
		&cobra.Group{ID: "steer", Title: "Steer it:"},
		&cobra.Group{ID: "look", Title: "Look into it:"},
	)
	refuseOthers(root)
	kit := c.kit()
	setup := service.Verbs{Print: kit.Print, Exactly: kit.Exactly}
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"run", []*cobra.Command{c.upCommand(), setup.Install(), setup.Uninstall(), c.importCommand(), c.unwrapCommand(), kit.Run(), c.stdioCommand(), c.demoCommand()}},
		{"steer", []*cobra.Command{kit.Kill(c.drill), kit.Pause(), kit.Resume(), kit.Drain(), kit.Breakers(), kit.Approvals(), kit.Grants(), kit.Limits(), c.serversCommand(), c.policyCommand(), c.redteamCommand(), kit.Agents(), kit.Runs(), kit.Sources(), kit.Hook(), kit.EnrollVerb()}},
		{"look", []*cobra.Command{kit.Console(), c.toolsCommand(), c.policyWhy(), c.logCommand(), c.labCommand(), c.doctorCommand(), c.versionCommand()}},
	} {
		for _, command := range group.commands {
			command.GroupID = group.id
			root.AddCommand(command)
		}
	}
	root.SetHelpCommandGroupID("look")
	root.SetCompletionCommandGroupID("look")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		switch command.Name() {
		case "help":
			command.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usage("there is no \"%s %s\"; \"%[1]s --help\" shows what there is", found.CommandPath(), strings.Join(rest, " "))
				}
				return nil
			}
		case "completion":
			refuseOthers(command)
		}
	}
	return root
}

// exactly is a check of positional arguments that says what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return usage("%s takes no arguments", cmd.CommandPath())
		}
		return usage("%s needs %s", cmd.CommandPath(), strings.Join(names, " and "))
	}
}

// group is a command that only has others below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	refuseOthers(g)
	g.AddCommand(commands...)
	return g
}

// refuseOthers makes a command show what is below it, and refuse what is not.
func refuseOthers(g *cobra.Command) {
	g.Args = cobra.ArbitraryArgs
	g.SuggestionsMinimumDistance = 2 // letters that differ
	g.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		next := fmt.Sprintf("%q shows what there is", cmd.CommandPath()+" --help")
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			next = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near[0])
		}
		return usage("there is no \"%s %s\"; %s", cmd.CommandPath(), args[0], next)
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := version()
			return c.print(map[string]string{"version": v}, func(t *terminal.Table) { t.Line("sallyport " + v) })
		},
	}
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && (v == "" || v == "(devel)") && len(setting.Value) >= 12 {
			v = setting.Value[:12]
		}
	}
	if v == "" || v == "(devel)" {
		return "development"
	}
	return v
}
