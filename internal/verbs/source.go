package verbs

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/terminal"
)

// Sources are the verbs about sources.
func (k Kit) Sources() *cobra.Command {
	return k.Group("sources", "Who may begin runs, and say what users said, without a human",
		k.sourcesList(), k.sourcesAdd(), k.sourcesRevoke())
}

func (k Kit) sourcesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sources", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				sources, err := control.Get[[]identity.SourceStatus](ctx, gate, "/sources")
				if err != nil {
					return err
				}
				return k.Print(sources, func(t *terminal.Table) {
					if len(sources) == 0 {
						t.Line("The configuration declares no sources; docs/runs.md says what they are for.")
						return
					}
					t.Row("SOURCE", "KIND", "AGENTS", "USERS", "STATE", "EXPIRES")
					for _, s := range sources {
						t.Row(s.Name, s.Kind, strings.Join(s.Agents, " "), strings.Join(s.Users, " "), s.State, k.Minute(s.Expires))
					}
				})
			})
		},
	}
}

func (k Kit) sourcesAdd() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a token for a source that the configuration declares, and print it, once",
		Args: k.Exactly("NAME"), ValidArgsFunction: k.completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			lifetime, err := config.ParseDuration(expires)
			if err != nil {
				return k.Usage("--expires: %v", err)
			}
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				secret, err := k.Secret(ctx, gate)
				if err != nil {
					return err
				}
				token, err := control.Post[control.SourceToken](ctx, gate, "/sources", control.NewSource{Secret: secret, Name: args[0], Lifetime: lifetime})
				if err != nil {
					return err
				}
				return k.Print(token, func(t *terminal.Table) {
					t.Line(token.Token)
					t.Line("")
					t.Line("This is source " + token.Source + " until " + k.Minute(token.Expires) + ". The token is not shown again, and no agent must have it.")
				})
			})
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "90d", "how long the token is valid, such as 90d or 12h")
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) sourcesRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End a source's token; the runs that it began go on",
		Args: k.Exactly("NAME"), ValidArgsFunction: k.completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				if _, err := control.Post[struct{}](ctx, gate, "/sources/"+url.PathEscape(args[0])+"/revoke", struct{}{}); err != nil {
					return err
				}
				return k.Print(map[string]string{"revoked": args[0]}, func(t *terminal.Table) { t.Line("Source " + args[0] + " is refused from now on.") })
			})
		},
	}
}

func (k Kit) completeSources(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		k.With(cmd, func(ctx context.Context, gate *control.Client) error {
			sources, err := control.Get[[]identity.SourceStatus](ctx, gate, "/sources")
			for _, s := range sources {
				names = append(names, s.Name)
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
