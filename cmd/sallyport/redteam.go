package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/redteam"
)

func (c *cli) redteamCommand() *cobra.Command {
	kit := redteam.Kit{
		Errs: c.errs, Open: openGate, Print: c.print, Usage: usage, Args: exactly(),
		State:  func(config string) (string, error) { return app.StateDir(c.dir, config) },
		Failed: func(text string) error { return &codeError{exitFailed, text} },
	}
	return group("redteam", "Attack your own policy", kit.Verb())
}

// openGate starts a throw-away gateway, and returns when it has seen its servers.
func openGate(ctx context.Context, dir, config string) (redteam.Gate, error) {
	a, err := app.Open(ctx, app.Options{Dir: dir, Config: config, Version: version(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return redteam.Gate{}, err
	}
	if err := a.Start(ctx); err != nil {
		return redteam.Gate{}, errors.Join(err, a.Close(context.WithoutCancel(ctx)))
	}
	a.Settle(ctx)
	a.Reload(ctx)
	return redteam.Gate{URL: a.URL(), Control: a.Control(), Close: a.Close}, nil
}
