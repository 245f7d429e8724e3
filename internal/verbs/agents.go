package verbs

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// Agents are the verbs about agents.
func (k Kit) Agents() *cobra.Command {
	return k.Group("agents", "Who may call, and for whom",
		k.agentsList(), k.agentsAdd(), k.agentsRotate(), k.agentsRevoke())
}

func (k Kit) agentsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the agents", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				agents, err := control.Get[[]control.Agent](ctx, gate, "/agents")
				if err != nil {
					return err
				}
				return k.Print(agents, func(t *terminal.Table) {
					t.Row("AGENT", "ROLE", "FOR", "TENANT", "STATE", "EXPIRES", "LISTENER")
					for _, a := range agents {
						t.Row(a.Name, a.Role, a.For, a.Tenant, a.State, k.Minute(a.Expires), a.Listener)
					}
				})
			})
		},
	}
}

func (k Kit) agentsAdd() *cobra.Command {
	var agent control.NewAgent
	var expires string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an agent and print its token, once",
		Long: `Add an agent and print its token, once. It is kept as a hash only.

An agent that the configuration declares takes its role, user and tenant from
there: give its name alone.`,
		Example: "  sallyport agents add support-bot --role support --for ana --tenant acme",
		Args:    k.Exactly("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			agent.Name = args[0]
			return k.mint(cmd, "/agents", agent, expires)
		},
	}
	cmd.Flags().StringVar(&agent.Role, "role", "", "its role, as the configuration declares it")
	cmd.Flags().StringVar(&agent.For, "for", "", "the user for whom it acts")
	cmd.Flags().StringVar(&agent.Tenant, "tenant", "", "its tenant (default: the user's)")
	for _, flag := range []string{"role", "for", "tenant"} {
		cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	k.tokenFlags(cmd, &expires)
	return cmd
}

func (k Kit) agentsRotate() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Make a new token for an agent; the old one ends at once",
		Args: k.Exactly("NAME"), ValidArgsFunction: k.CompleteAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.mint(cmd, "/agents/"+url.PathEscape(args[0])+"/rotate", control.NewAgent{Name: args[0]}, expires)
		},
	}
	k.tokenFlags(cmd, &expires)
	return cmd
}

func (k Kit) tokenFlags(cmd *cobra.Command, expires *string) {
	cmd.Flags().StringVar(expires, "expires", "90d", "how long the token is valid, such as 90d or 12h")
	k.SecretFlag(cmd)
}

// mint asks the human for the secret and prints a new token.
func (k Kit) mint(cmd *cobra.Command, path string, agent control.NewAgent, expires string) (err error) {
	if agent.Lifetime, err = config.ParseDuration(expires); err != nil {
		return k.Usage("--expires: %v", err)
	}
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		if agent.Secret, err = k.Secret(ctx, gate); err != nil {
			return err
		}
		token, err := control.Post[control.Token](ctx, gate, path, agent)
		if err != nil {
			return err
		}
		return k.Print(token, func(t *terminal.Table) {
			t.Line(token.Token)
			t.Line("")
			t.Line("This is agent " + token.Agent + " until " + k.Minute(token.Expires) + ". The token is not shown again.")
		})
	})
}

func (k Kit) agentsRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End an agent's token; its next call is refused",
		Args: k.Exactly("NAME"), ValidArgsFunction: k.CompleteAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				_, err := control.Post[struct{}](ctx, gate, "/agents/"+url.PathEscape(args[0])+"/revoke", struct{}{})
				if err != nil {
					return err
				}
				return k.Print(map[string]string{"revoked": args[0]}, func(t *terminal.Table) { t.Line("Agent " + args[0] + " is refused from now on.") })
			})
		},
	}
}
