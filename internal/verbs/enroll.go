package verbs

import (
	"context"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// EnrollVerb is "sallyport enroll".
func (k Kit) EnrollVerb() *cobra.Command {
	var as, currentFile string
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Set the secret that accepts, loosens and adds agents",
		Long: `Set the human's secret. It is needed to accept what servers changed, to loosen
policy or configuration, and to add agents. No command prints it and no agent
must ever hold it: keep it in your head or your password manager.

With --as, one of the configuration's users enrolls: with a secret of their own
they answer approvals for the groups that they are in, and nothing else. It takes
the secret of the one who enrolled first.`,
		Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				return k.Enroll(ctx, gate, as, currentFile)
			})
		},
	}
	k.SecretFlag(cmd)
	cmd.Flags().StringVar(&as, "as", "", "who enrolls, of the configuration's users (default: the operator)")
	cmd.Flags().StringVar(&currentFile, "current-secret-file", "", "read the secret that lets you from this file: the operator's, or the one that is replaced")
	return cmd
}

// Enroll has a person enroll; as is "" for the operator.
func (k Kit) Enroll(ctx context.Context, gate *control.Client, as, currentFile string) error {
	before, err := control.Get[control.Enrolled](ctx, gate, "/human")
	if err != nil {
		return err
	}
	enrolment := control.Enrolment{As: as}
	if before.Enrolled {
		prompt := "Current secret: "
		if as != "" {
			prompt = "The operator's secret, or the current one of " + terminal.Visible(as) + ": "
		}
		if enrolment.Current, err = k.SecretFrom(currentFile, "--current-secret-file", prompt); err != nil {
			return err
		}
	}
	if enrolment.Secret, err = k.NewSecret(); err != nil {
		return err
	}
	after, err := control.Post[control.Enrolled](ctx, gate, "/human", enrolment)
	if err != nil {
		return err
	}
	return k.Print(after, func(t *terminal.Table) {
		if as != "" {
			t.Line("Enrolled: " + terminal.Visible(as) + " answers approvals with this secret, for the groups that the configuration says.")
			return
		}
		t.Line("Enrolled. Approving, accepting, loosening and adding agents now need this secret.")
	})
}
