package main

import (
	"context"
	"errors"

	"sallyport/internal/control"
	"sallyport/internal/identity"
)

// newSecret asks for a secret that somebody enrolls with.
func (c *cli) newSecret() (string, error) {
	secret, err := c.secret("New secret, at least 12 characters: ")
	if err != nil {
		return "", err
	}
	if len([]rune(secret)) < identity.MinSecret {
		return "", usage("the secret needs at least %d characters", identity.MinSecret)
	}
	if c.secretFile == "" {
		again, err := c.secret("Once more: ")
		if err != nil {
			return "", err
		}
		if again != secret {
			return "", errors.New("the two are not the same; nothing was changed")
		}
	}
	return secret, nil
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
