package verbs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/terminal"
	"sallyport/internal/verbs/launch"
)

// endWithin is how long the end of a run may take once its command has ended.
const endWithin = 10 * time.Second

type runFlags struct {
	control.NewRun
	url, tokenFile string
}

// Run is the verb that runs an agent's command.
func (k Kit) Run() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run --agent AGENT --task WORDS -- COMMAND ARGS…",
		Short: "Run an agent's command in a run of its own, with a task",
		Long: `Run an agent's command in a run of its own. What it is to do, in the user's
words, is kept with the run; what it reads and does is remembered in it. When
the command ends, so does the run, and the exit code is the command's.

The command finds the gateway's address in SALLYPORT_URL and the run's token in
SALLYPORT_TOKEN. Where ` + launch.ConfigPlace + ` stands among its arguments it gets the path
of a file with both, as clients such as Claude Code read it.

It takes the human's secret, or the token of a source (kind launcher or
orchestrator) in a file of mode 0600 or in SALLYPORT_SOURCE_TOKEN. The command
is not given that.`,
		Example: `  sallyport run --agent support-bot --task "answer ticket 2207" -- claude --mcp-config {mcp-config}
  sallyport run --agent support-bot --for ana --task "answer ticket 2207" -- ./agent.py`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || cmd.ArgsLenAtDash() != 0 {
				return k.Usage("the agent's command stands behind --: sallyport run --agent AGENT --task WORDS -- COMMAND")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return k.run(cmd.Context(), flags, args) },
	}
	cmd.Flags().StringVar(&flags.Agent, "agent", "", "the agent")
	cmd.Flags().StringVar(&flags.Task, "task", "", "what it is to do, in the user's words")
	cmd.Flags().StringVar(&flags.For, "for", "", "the user for whom it acts (default: the agent's own)")
	cmd.Flags().StringVar(&flags.Parent, "parent", "", "a run that goes on, whose words and memory it takes over")
	cmd.Flags().StringVar(&flags.url, "url", "", "the gateway's address, such as http://127.0.0.1:7717/mcp (default: ask the gateway of the state directory)")
	cmd.Flags().StringVar(&flags.tokenFile, "source-token-file", "", "a file with the token of a source, mode 0600")
	k.SecretFlag(cmd)
	cmd.RegisterFlagCompletionFunc("agent", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return k.CompleteAgents(cmd, nil, "")
	})
	return cmd
}

func (k Kit) run(ctx context.Context, flags runFlags, args []string) (err error) {
	// Whatever can be known to fail does so before a run begins.
	if _, err := exec.LookPath(args[0]); err != nil {
		return fmt.Errorf("%s can't be run: %w", args[0], errors.Unwrap(err))
	}
	if flags.url == "" {
		if flags.url, err = k.Endpoint(ctx); err != nil {
			return err
		}
	}
	signals := make(chan os.Signal, 8) // from now on: a run that has begun is to be ended, too
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	launcher, err := k.launcher(ctx, flags)
	if err != nil {
		return err
	}
	begun, err := launcher.begin(ctx, flags.NewRun)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		if ended := launcher.end(ctx, begun); ended != nil {
			fmt.Fprintf(k.Errs, "sallyport: run %s goes on until %s, since it could not be ended: %v\n", begun.Run, k.Minute(begun.Expires), ended)
		}
	}()
	args, remove, err := launch.WithConfig(args, flags.url, begun.Token)
	if err != nil {
		return err
	}
	defer remove()
	command := exec.Command(args[0], args[1:]...)
	command.Env, command.Stdin, command.Stdout, command.Stderr = launch.Environment(os.Environ(), flags.url, begun.Token), k.In, k.Out, k.Errs
	return exitOf(launch.Follow(command, signals))
}

// Runs are the verbs about runs.
func (k Kit) Runs() *cobra.Command {
	return k.Group("runs", "What agents remember: runs, their tasks, and their ends",
		k.runsList(), k.runsShow(), k.runsSay(), k.runsEnd())
}

func (k Kit) runsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the runs that go on", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				runs, err := control.Get[[]identity.RunStatus](ctx, gate, "/runs")
				if err != nil {
					return err
				}
				return k.Print(runs, func(t *terminal.Table) {
					t.Row("RUN", "AGENT", "FOR", "STATE", "BEGAN", "EXPIRES", "BY", "PARENT", "MESSAGES")
					for _, r := range runs {
						t.Row(r.Run, r.Agent, r.User, stateOf(r), k.Minute(r.Began), k.Minute(r.Expires), r.By, r.Parent, strconv.Itoa(r.Messages))
					}
				})
			})
		},
	}
}

func stateOf(r identity.RunStatus) string {
	if r.Standing && r.State == "open" {
		return "standing"
	}
	return r.State
}

func (k Kit) runsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show a run: what it was told, by whom, and what came of it",
		Args: k.Exactly("RUN"), ValidArgsFunction: k.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				r, err := control.Get[identity.ShownRun](ctx, gate, "/runs/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				return k.Print(r, func(t *terminal.Table) { k.showRun(t, r) })
			})
		},
	}
}

func (k Kit) showRun(t *terminal.Table, r identity.ShownRun) {
	t.Row("run", r.Run)
	t.Row("agent", r.Agent)
	t.Row("for", r.User)
	t.Row("tenant", r.Tenant)
	t.Row("state", stateOf(r.RunStatus))
	t.Row("parent", r.Parent)
	t.Row("children", strings.Join(r.Children, " "))
	t.Row("began", k.Minute(r.Began)+" by "+r.By)
	if !r.Ended.IsZero() {
		t.Row("ended", k.Minute(r.Ended)+" by "+r.EndedBy)
	} else {
		t.Row("expires", k.Minute(r.Expires))
	}
	t.Row("calls", fmt.Sprintf("%d, of them %d refused or held", r.Calls, r.Refused))
	for i, w := range r.Words {
		what := "task"
		if i > 0 || r.Standing {
			what = "message"
		}
		t.Line("")
		t.Line(fmt.Sprintf("%s, %s, by %s (strength: %s):", what, k.Minute(w.Time), terminal.Visible(w.By), w.Strength))
		if w.Gone != "" {
			t.Line("  " + terminal.Visible("(not there any more: "+w.Gone+")"))
		} else {
			t.Line(terminal.Indent(w.Text, "  "))
		}
	}
}

func (k Kit) runsSay() *cobra.Command {
	cmd := &cobra.Command{
		Use: "say RUN WORDS", Short: "Tell a run what the user says, with the human's secret",
		Args: k.Exactly("RUN", "WORDS"), ValidArgsFunction: k.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				secret, err := k.Secret(ctx, gate)
				if err != nil {
					return err
				}
				told := control.Told{Secret: secret, Text: args[1]}
				if _, err := control.Post[struct{}](ctx, gate, "/runs/"+url.PathEscape(args[0])+"/messages", told); err != nil {
					return err
				}
				return k.Print(map[string]string{"told": args[0]}, func(t *terminal.Table) { t.Line("Run " + args[0] + " was told.") })
			})
		},
	}
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) runsEnd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "end RUN", Short: "End a run and all below it; its next call is refused",
		Long: `End a run and all below it: its next call is refused, and streams that are open
hear nothing more.

A standing run is ended with the human's secret alone: another one begins, which
remembers nothing of what the agent has read and done.`,
		Args: k.Exactly("RUN"), ValidArgsFunction: k.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				path := "/runs/" + url.PathEscape(args[0])
				r, err := control.Get[identity.ShownRun](ctx, gate, path)
				if err != nil {
					return err
				}
				var end control.RunEnd
				if r.Standing {
					if end.Secret, err = k.Secret(ctx, gate); err != nil {
						return err
					}
				}
				ended, err := control.Post[control.RunEnded](ctx, gate, path+"/end", end)
				if err != nil {
					return err
				}
				return k.Print(ended, func(t *terminal.Table) {
					t.Line("Run " + ended.Run + " has ended.")
					if ended.Instead != "" {
						t.Line("Agent " + terminal.Visible(r.Agent) + " goes on in run " + ended.Instead + ", which remembers nothing.")
					}
				})
			})
		},
	}
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		k.With(cmd, func(ctx context.Context, gate *control.Client) error {
			runs, err := control.Get[[]identity.RunStatus](ctx, gate, "/runs")
			for _, r := range runs {
				ids = append(ids, r.Run)
			}
			return err
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
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
