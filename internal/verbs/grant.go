package verbs

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/inbox"
	"sallyport/internal/terminal"
)

// Grants is "sallyport grants".
func (k Kit) Grants() *cobra.Command {
	return k.Group("grants", "Yeses to more calls than one", k.grantsList(), k.grantsMake(), k.grantsRevoke())
}

func (k Kit) grantsList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List what is granted, and how much of it was used", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				path := "/grants"
				if all {
					path += "?all"
				}
				listed, err := control.Get[[]inbox.Grant](ctx, gate, path)
				if err != nil {
					return err
				}
				return k.Print(listed, func(t *terminal.Table) { k.listGrants(t, listed) })
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those too that answer nothing any more")
	return cmd
}

func (k Kit) listGrants(t *terminal.Table, listed []inbox.Grant) {
	if len(listed) == 0 {
		t.Line("Nothing is granted. \"sallyport grants make APPROVAL\" grants calls like one that waits.")
		return
	}
	t.Row("GRANT", "STATE", "USED", "UNTIL", "BY", "RULES")
	for _, g := range listed {
		t.Row(g.ID, terminal.Visible(g.State), fmt.Sprintf("%d of %d", g.Used, g.Count), k.Minute(g.Until), g.By, strings.Join(g.Rules, ","))
	}
	for _, g := range listed {
		t.Line(g.ID + ": " + g.Text)
	}
}

func (k Kit) grantsMake() *cobra.Command {
	var a answering
	var anyOf, most, like []string
	var lasts time.Duration
	wanted := inbox.Granting{Free: []inbox.Free{}}
	cmd := &cobra.Command{
		Use: "make APPROVAL", Short: "Let a call that waits through, and calls like it for a while", Args: k.Exactly("APPROVAL"),
		Long: `Let a call that waits through, and calls like it for a while: of the same agent, the
same tool and the same rules that ask. Every argument has to be the same, but for
those that you set free.`,
		Example: `  sallyport grants make a_01M8… --most amount=150 --any note --count 20 --for 8h
  sallyport grants make a_01M8… --like 'to[0]=*@corp.example' --run`,
		ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted.ID, wanted.By, wanted.For = args[0], a.as, int64(lasts/time.Second)
			for _, path := range anyOf {
				wanted.Free = append(wanted.Free, inbox.Free{Path: path})
			}
			for _, pair := range most {
				path, value, ok := strings.Cut(pair, "=")
				if !ok || value == "" {
					return k.Usage("--most takes ARGUMENT=NUMBER")
				}
				wanted.Free = append(wanted.Free, inbox.Free{Path: path, Most: value})
			}
			for _, pair := range like {
				path, value, ok := strings.Cut(pair, "=")
				if !ok || value == "" {
					return k.Usage("--like takes ARGUMENT=PATTERN")
				}
				wanted.Free = append(wanted.Free, inbox.Free{Path: path, Like: value})
			}
			return k.makeGrant(cmd, wanted, a)
		},
	}
	k.answerFlags(cmd, &a, false)
	cmd.Flags().StringVar(&a.typed, "typed", "", "the amount, or the number that the agent was told")
	cmd.Flags().StringArrayVar(&anyOf, "any", nil, "an argument that may be anything")
	cmd.Flags().StringArrayVar(&most, "most", nil, "ARGUMENT=NUMBER: one that may be a number from 0 up to this")
	cmd.Flags().StringArrayVar(&like, "like", nil, "ARGUMENT=PATTERN: one that may be like this; * is letters, digits, _ and then . + -")
	cmd.Flags().IntVar(&wanted.Count, "count", 10, "how many calls at most")
	cmd.Flags().DurationVar(&lasts, "for", 8*time.Hour, "how long, 720h at most; a week without a use ends it, too")
	cmd.Flags().BoolVar(&wanted.Run, "run", false, "in the same run only")
	return cmd
}

// makeGrant shows the question, and what the grant would have done, before it asks
// for anything.
func (k Kit) makeGrant(cmd *cobra.Command, wanted inbox.Granting, a answering) error {
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		asked, err := k.look(ctx, gate, wanted.ID, wanted.By)
		if err != nil {
			return err
		}
		wanted.Digest = asked.Digest
		forecast, err := control.Post[inbox.Forecast](ctx, gate, "/grants/forecast", wanted)
		if err != nil {
			return err
		}
		shown := terminal.NewTable(k.Errs)
		shown.Line("A grant: " + forecast.Text + ".")
		shown.Line(fmt.Sprintf("Of the %d other questions that are kept about this it would have answered %d, of them %d that people refused.",
			forecast.Asked, forecast.Saved, forecast.Refused))
		if err := shown.Flush(); err != nil {
			return err
		}
		if wanted.Proof.Secret, err = k.Secret(ctx, gate); err != nil {
			return err
		}
		if wanted.Proof.Typed, err = k.typed(&asked, a.typed); err != nil {
			return err
		}
		made, err := control.Post[inbox.Grant](ctx, gate, "/grants", wanted)
		if err != nil {
			return err
		}
		return k.Print(made, func(t *terminal.Table) {
			t.Line("Granted as " + made.ID + ". \"sallyport grants revoke " + made.ID + "\" ends it.")
		})
	})
}

func (k Kit) grantsRevoke() *cobra.Command {
	var given control.Revocation
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End a grant at once", Args: k.Exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) (err error) {
				if given.Proof.Secret, err = k.Secret(ctx, gate); err != nil {
					return err
				}
				ended, err := control.Post[inbox.Grant](ctx, gate, "/grants/"+url.PathEscape(args[0])+"/revoke", given)
				if err != nil {
					return err
				}
				return k.Print(ended, func(t *terminal.Table) { t.Line(ended.ID + " is revoked: what it answered is asked about again.") })
			})
		},
	}
	cmd.Flags().StringVar(&given.By, "as", "", "who you are, of those who have enrolled (default: the operator)")
	cmd.Flags().StringVar(&given.Reason, "reason", "", "why, for the log")
	k.SecretFlag(cmd)
	return cmd
}
