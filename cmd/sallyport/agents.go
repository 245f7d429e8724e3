package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
)

// minute is the end of a token, to the minute: one may be given for an hour.
func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
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
