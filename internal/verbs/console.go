package verbs

import (
	"context"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// Console is the verb that shows where the console is.
func (k Kit) Console() *cobra.Command {
	return &cobra.Command{
		Use: "console", Short: "Print a link that shows the console, once", Args: k.Exactly(),
		Long: `Print a link to the console in a browser. It can be opened once, within ten
minutes, and shows everything but answers nothing: to answer, log in there with
your secret or a passkey.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				link, err := control.Post[control.Address](ctx, gate, "/console/link", struct{}{})
				if err != nil {
					return err
				}
				return k.Print(link, func(t *terminal.Table) { t.Line(link.URL) })
			})
		},
	}
}
