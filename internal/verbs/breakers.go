package verbs

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/internal/breaker"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// Breakers is the verb that shows what is cut off for a while.
func (k Kit) Breakers() *cobra.Command {
	return &cobra.Command{
		Use: "breakers", Short: "Show what is cut off for a while because it kept going wrong, or spent too fast", Args: k.Exactly(),
		Long: `Show the breakers that the configuration has (breakers:): of each agent, server
and tool that was seen, whether its calls are let through (closed), refused
(open), or one of them tries again (half-open), and why. All begin closed when
the gateway starts. What people decide themselves is sallyport kill and pause.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				all, err := control.Get[[]breaker.Status](ctx, gate, "/breakers")
				if err != nil {
					return err
				}
				return k.Print(all, func(t *terminal.Table) {
					if len(all) == 0 {
						t.Line("No call has passed a breaker since the gateway started, or none is configured (breakers: in the configuration).")
						return
					}
					t.Row("WHAT", "NAME", "ON", "STATE", "BAD/CALLS", "TRIED AGAIN", "BECAUSE")
					for _, s := range all {
						until := ""
						if !s.Until.IsZero() {
							until = s.Until.Local().Format("15:04:05")
						}
						bad := fmt.Sprintf("%d/%d", s.Bad, s.Calls)
						if s.Spent != "" {
							bad = s.Spent + " of " + s.Over
						}
						t.Row(s.Per, s.Name, s.On, s.State, bad, until, s.Reason)
					}
				})
			})
		},
	}
}
