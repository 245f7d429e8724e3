package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/terminal"
)

func (c *cli) enrollCommand() *cobra.Command {
	var currentFile string
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Set the secret that accepts, loosens and adds agents",
		Long: `Set the human's secret. It is needed to accept what servers changed, to loosen
policy or configuration, and to add agents. No command prints it and no agent
must ever hold it: keep it in your head or your password manager.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				return c.enroll(ctx, gate, currentFile)
			})
		},
	}
	c.secretFlag(cmd)
	cmd.Flags().StringVar(&currentFile, "current-secret-file", "", "read the secret that is replaced from this file")
	return cmd
}

func (c *cli) enroll(ctx context.Context, gate *control.Client, currentFile string) error {
	before, err := control.Get[control.Enrolled](ctx, gate, "/human")
	if err != nil {
		return err
	}
	var enrolment control.Enrolment
	if before.Enrolled {
		if enrolment.Current, err = c.secretFrom(currentFile, "--current-secret-file", "Current secret: "); err != nil {
			return err
		}
	}
	if enrolment.Secret, err = c.secret("New secret, at least 12 characters: "); err != nil {
		return err
	}
	if len([]rune(enrolment.Secret)) < identity.MinSecret {
		return usage("the secret needs at least %d characters", identity.MinSecret)
	}
	if c.secretFile == "" {
		again, err := c.secret("Once more: ")
		if err != nil {
			return err
		}
		if again != enrolment.Secret {
			return errors.New("the two are not the same; nothing was changed")
		}
	}
	if _, err := control.Post[struct{}](ctx, gate, "/human", enrolment); err != nil {
		return err
	}
	return c.print(control.Enrolled{Enrolled: true}, func(t *terminal.Table) {
		t.Line("Enrolled. Approving, accepting, loosening and adding agents now need this secret.")
	})
}

// humanSecret asks for the enrolled secret, or says that there is none yet.
func (c *cli) humanSecret(ctx context.Context, gate *control.Client) (string, error) {
	if err := enrolled(ctx, gate); err != nil {
		return "", err
	}
	return c.secret("Secret: ")
}

// enrolled is an error as long as no human has enrolled.
func enrolled(ctx context.Context, gate *control.Client) error {
	state, err := control.Get[control.Enrolled](ctx, gate, "/human")
	if err == nil && !state.Enrolled {
		err = &codeError{exitDenied, identity.ErrNotEnrolled.Error()}
	}
	return err
}
