package verbs

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/kill"
	"sallyport/internal/terminal"
)

// Kill is the verb that stops at once. drill measures it instead.
func (k Kit) Kill(drill func(context.Context) error) *cobra.Command {
	var scope scopeFlags
	var reason string
	var exercise bool
	cmd := &cobra.Command{
		Use:   "kill --all | --tenant T | --role R | --user U | --agent A | --run R | --server S | --tool S/T",
		Short: "Stop everything in a scope at once, until a human resumes it",
		Long: `Stop everything in a scope at once: new calls are refused, calls under way are
cancelled at their servers, questions to people are refused, and runs end. It
needs no secret, holds over a restart and while the database is slow, and is
lifted with the human's secret alone: sallyport resume ID.

--drill measures how long it takes, on a gateway of its own with made-up agents
and a made-up server. It touches nothing that is real.`,
		Example: `  sallyport kill --agent support-bot --reason "answers strangers"
  sallyport kill --tool desk/issue_refund
  sallyport kill --all
  sallyport kill --drill`,
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if exercise {
				if len(scope.given()) > 0 || reason != "" {
					return k.Usage("--drill stops nothing: it takes no scope and no reason")
				}
				return drill(cmd.Context())
			}
			return k.stop(cmd, kill.Wanted{Reason: reason}, scope)
		},
	}
	scope.add(k, cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why; agents hear it")
	cmd.Flags().BoolVar(&exercise, "drill", false, "measure how long a kill takes, and stop nothing")
	cmd.AddCommand(k.killList())
	return cmd
}

// Pause is the verb that stops what is new and lets the rest be.
func (k Kit) Pause() *cobra.Command {
	var scope scopeFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "pause --all | --tenant T | --role R | --user U | --agent A | --run R | --server S | --tool S/T",
		Short: "Refuse what is new in a scope, and let what runs come to its end",
		Long: `Refuse new calls in a scope. Calls under way come to their end; questions to
people, and runs, stay as they are. It needs no secret, holds over a restart,
and is lifted with the human's secret alone: sallyport resume ID.`,
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.stop(cmd, kill.Wanted{Pause: true, Reason: reason}, scope)
		},
	}
	scope.add(k, cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why; agents hear it")
	return cmd
}

// scopeFlags are what a command line says of a scope.
type scopeFlags struct {
	all   bool
	names [len(kill.Kinds)]string
}

func (s *scopeFlags) add(k Kit, cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.all, "all", false, "everything")
	for i, kind := range kill.Kinds {
		about := "everything of this " + string(kind)
		if kind == kill.Tool {
			about = "this tool, as SERVER/TOOL"
		}
		cmd.Flags().StringVar(&s.names[i], string(kind), "", about)
	}
	cmd.RegisterFlagCompletionFunc("agent", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return k.CompleteAgents(cmd, nil, "")
	})
	cmd.RegisterFlagCompletionFunc("run", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return k.completeRuns(cmd, nil, "")
	})
}

func (s *scopeFlags) given() (all []kill.Scope) {
	if s.all {
		all = append(all, kill.Scope{Kind: kill.All})
	}
	for i, name := range s.names {
		if name != "" {
			all = append(all, kill.Scope{Kind: kill.Kinds[i], Name: name})
		}
	}
	return all
}

func (k Kit) stop(cmd *cobra.Command, wanted kill.Wanted, flags scopeFlags) error {
	given := flags.given()
	if len(given) != 1 {
		return k.Usage("say what, once: --all, --tenant, --role, --user, --agent, --run, --server or --tool")
	}
	wanted.Scope = given[0]
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		done, err := control.Post[kill.Done](ctx, gate, "/kills", wanted)
		if err != nil {
			return err
		}
		return k.Print(done, func(t *terminal.Table) {
			what := "Killed: "
			if done.Pause {
				what = "Paused: "
			}
			t.Line(what + terminal.Visible(done.Scope.String()) + " (" + done.ID + ").")
			switch {
			case done.Pause:
				t.Line(fmt.Sprintf("%d calls were under way, and come to their end.", done.Under))
			case done.Left > 0:
				t.Line(fmt.Sprintf("%d calls were under way and were cancelled; %d of them HAVE NOT ENDED yet.", done.Under, done.Left))
			default:
				t.Line(fmt.Sprintf("%d calls were under way, and have ended.", done.Under))
			}
			if done.Problem != "" {
				t.Line("Not everything is done: " + terminal.Visible(done.Problem))
			}
			t.Line("To lift it, with the human's secret: sallyport resume " + done.ID)
		})
	})
}

func (k Kit) killList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what is killed or paused", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				orders, err := control.Get[[]kill.Order](ctx, gate, "/kills")
				if err != nil {
					return err
				}
				return k.Print(orders, func(t *terminal.Table) {
					if len(orders) == 0 {
						t.Line("Nothing is killed or paused.")
						return
					}
					t.Row("ID", "WHAT", "SCOPE", "SINCE", "BY", "REASON")
					for _, o := range orders {
						t.Row(o.ID, o.What(), o.Scope.String(), k.Minute(o.At), o.By, o.Reason)
					}
				})
			})
		},
	}
}

// Resume is the verb that lifts a kill or a pause.
func (k Kit) Resume() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume ID", Short: "Lift a kill or a pause, with the human's secret", Args: k.Exactly("ID"),
		Long: `Lift a kill or a pause, with the human's secret. Runs that a kill has ended, and
questions that it has refused, stay so.`,
		ValidArgsFunction: k.completeKills,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				secret, err := k.Secret(ctx, gate)
				if err != nil {
					return err
				}
				if _, err := control.Post[struct{}](ctx, gate, "/kills/"+url.PathEscape(args[0])+"/resume", control.Resume{Secret: secret}); err != nil {
					return err
				}
				return k.Print(map[string]string{"resumed": args[0]}, func(t *terminal.Table) { t.Line("Resumed: " + args[0] + " is lifted.") })
			})
		},
	}
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) completeKills(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		k.With(cmd, func(ctx context.Context, gate *control.Client) error {
			orders, err := control.Get[[]kill.Order](ctx, gate, "/kills")
			for _, o := range orders {
				ids = append(ids, o.ID)
			}
			return err
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// Drain is the verb that stops a gateway once what runs has ended.
func (k Kit) Drain() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use: "drain", Short: "Refuse what is new, let what runs come to its end, then stop the gateway", Args: k.Exactly(),
		Long: `Refuse what is new, let what runs come to its end, then stop the gateway. The
next start serves again. What a client carries out itself (hooks) is not waited
for.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				drained, err := control.Post[kill.Drained](ctx, gate, "/drain", control.Drain{Within: within})
				if err != nil {
					return err
				}
				return k.Print(drained, func(t *terminal.Table) {
					t.Line(fmt.Sprintf("Drained: of %d calls under way %d had not ended in time. The gateway stops.", drained.Under, drained.Left))
				})
			})
		},
	}
	cmd.Flags().DurationVar(&within, "within", 5*time.Minute, "stop after this time, whatever runs")
	return cmd
}
