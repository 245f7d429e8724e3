package main

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func (c *cli) agentsCommand() *cobra.Command {
	return group("agents", "Who may call, and for whom",
		c.agentsList(), c.agentsAdd(), c.agentsRotate(), c.agentsRevoke())
}

func (c *cli) agentsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the agents", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				agents, err := control.Get[[]control.Agent](ctx, gate, "/agents")
				if err != nil {
					return err
				}
				return c.print(agents, func(t *terminal.Table) {
					t.Row("AGENT", "ROLE", "FOR", "TENANT", "STATE", "EXPIRES", "LISTENER")
					for _, a := range agents {
						t.Row(a.Name, a.Role, a.For, a.Tenant, a.State, minute(a.Expires), a.Listener)
					}
				})
			})
		},
	}
}

// minute is the end of a token, to the minute: one may be given for an hour.
func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (c *cli) agentsAdd() *cobra.Command {
	var agent control.NewAgent
	var expires string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an agent and print its token, once",
		Long: `Add an agent and print its token, once. It is kept as a hash only.

An agent that the configuration declares takes its role, user and tenant from
there: give its name alone.`,
		Example: "  sallyport agents add support-bot --role support --for ana --tenant acme",
		Args:    exactly("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			agent.Name = args[0]
			return c.mint(cmd, "/agents", agent, expires)
		},
	}
	cmd.Flags().StringVar(&agent.Role, "role", "", "its role, as the configuration declares it")
	cmd.Flags().StringVar(&agent.For, "for", "", "the user for whom it acts")
	cmd.Flags().StringVar(&agent.Tenant, "tenant", "", "its tenant (default: the user's)")
	for _, flag := range []string{"role", "for", "tenant"} {
		cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	c.tokenFlags(cmd, &expires)
	return cmd
}

func (c *cli) agentsRotate() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Make a new token for an agent; the old one ends at once",
		Args: exactly("NAME"), ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.mint(cmd, "/agents/"+url.PathEscape(args[0])+"/rotate", control.NewAgent{Name: args[0]}, expires)
		},
	}
	c.tokenFlags(cmd, &expires)
	return cmd
}

func (c *cli) tokenFlags(cmd *cobra.Command, expires *string) {
	cmd.Flags().StringVar(expires, "expires", "90d", "how long the token is valid, such as 90d or 12h")
	c.secretFlag(cmd)
}

// mint asks the human for the secret and prints a new token.
func (c *cli) mint(cmd *cobra.Command, path string, agent control.NewAgent, expires string) (err error) {
	if agent.Lifetime, err = config.ParseDuration(expires); err != nil {
		return usage("--expires: %v", err)
	}
	return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
		if agent.Secret, err = c.humanSecret(ctx, gate); err != nil {
			return err
		}
		token, err := control.Post[control.Token](ctx, gate, path, agent)
		if err != nil {
			return err
		}
		return c.print(token, func(t *terminal.Table) {
			t.Line(token.Token)
			t.Line("")
			t.Line("This is agent " + token.Agent + " until " + minute(token.Expires) + ". The token is not shown again.")
		})
	})
}

func (c *cli) agentsRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End an agent's token; its next call is refused",
		Args: exactly("NAME"), ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				_, err := control.Post[struct{}](ctx, gate, "/agents/"+url.PathEscape(args[0])+"/revoke", struct{}{})
				if err != nil {
					return err
				}
				return c.print(map[string]string{"revoked": args[0]}, func(t *terminal.Table) { t.Line("Agent " + args[0] + " is refused from now on.") })
			})
		},
	}
}

func (c *cli) completeAgents(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		c.with(cmd, func(ctx context.Context, gate *control.Client) error {
			agents, err := control.Get[[]control.Agent](ctx, gate, "/agents")
			for _, a := range agents {
				names = append(names, a.Name)
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
