package verbs

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/limits"
	"sallyport/internal/terminal"
)

// Limits is "sallyport limits".
func (k Kit) Limits() *cobra.Command {
	return k.Group("limits", "How much there may be of what calls do, and what was taken", k.limitsList(), k.limitsShow())
}

func (k Kit) limitsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the limits in force, and how full each is", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				all, err := control.Get[[]limits.Shown](ctx, gate, "/limits")
				if err != nil {
					return err
				}
				return k.Print(all, func(t *terminal.Table) {
					if len(all) == 0 {
						t.Line("There are no limits: the configuration has none (limits:).")
						return
					}
					t.Row("LIMIT", "CAP", "WINDOW", "PER", "ABOUT", "BEYOND", "ACCOUNTS", "FULLEST")
					limitTree(t, all, "", 0)
				})
			})
		},
	}
}

// limitTree prints the parts of a limit below it.
func limitTree(t *terminal.Table, all []limits.Shown, within string, depth int) {
	for _, l := range all {
		if l.Within != within {
			continue
		}
		about := l.Applies
		if about == "" {
			about = "every call"
			for _, other := range all {
				if other.Within == l.Name {
					about = "its parts"
				}
			}
		}
		fullest := ""
		if l.Accounts > 0 {
			fullest = fmt.Sprintf("%d %%", l.Fullest)
		}
		t.Row(strings.Repeat("  ", depth)+l.Name, l.Cap+" "+l.Unit, l.Window, strings.Join(l.Per, ","), about, beyondText(l), fmt.Sprint(l.Accounts), fullest)
		limitTree(t, all, l.Name, depth+1)
	}
}

func beyondText(l limits.Shown) string {
	if l.Groups == nil {
		return "deny"
	}
	return "ask " + strings.Join(l.Groups, ",")
}

func (k Kit) limitsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show what was taken of a limit, on whose accounts, and when it stops to count", Args: k.Exactly("NAME"), ValidArgsFunction: k.completeLimits,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				l, err := control.Get[limits.ShownAll](ctx, gate, "/limits/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				return k.Print(l, func(t *terminal.Table) { k.showLimit(t, l) })
			})
		},
	}
}

func (k Kit) showLimit(t *terminal.Table, l limits.ShownAll) {
	t.Line(fmt.Sprintf("%s: %s %s, %s (%s); beyond: %s", l.Limit.Name, l.Limit.Cap, l.Limit.Unit, l.Limit.Window, l.Limit.Place, beyondText(l.Limit)))
	if len(l.Accounts) == 0 {
		t.Line("Nothing is taken.")
		return
	}
	t.Row("ACCOUNT", "CAP", "USED", "RESERVED", "LEFT", "SOME STOPS TO COUNT", "ALL OF IT")
	for _, a := range l.Accounts {
		account := a.Account
		if account == "" {
			account = "all"
		}
		t.Row(terminal.Visible(account), a.Cap, a.Used, a.Reserved, a.Left, k.Minute(a.Resets), k.Minute(a.Empty))
	}
}

func (k Kit) completeLimits(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, directive cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		all, err := control.Get[[]limits.Shown](ctx, gate, "/limits")
		for _, l := range all {
			names = append(names, l.Name)
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
