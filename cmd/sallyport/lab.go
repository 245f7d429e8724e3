package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/lab"
	"sallyport/internal/lab/replay"
	"sallyport/internal/lab/scenario"
)

func (c *cli) labCommand() *cobra.Command {
	kit := lab.Kit{Out: c.out, Errs: c.errs, Open: openLab, Print: c.print, Usage: usage, Failed: &codeError{code: exitFailed}}
	recorded := replay.Kit{Out: c.out, Errs: c.errs, Print: c.print, Usage: usage}
	return group("lab", "Play attacks, and put recorded runs to a policy",
		kit.Run(), kit.List(), replay.Verb(recorded), replay.AttentionVerb(recorded, kit.Twins))
}

// openLab starts a gateway as "up" does, and returns when it has seen its servers.
func openLab(ctx context.Context, dir, config string) (scenario.Gate, error) {
	a, err := app.Open(ctx, app.Options{Dir: dir, Config: config, Version: version(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return scenario.Gate{}, err
	}
	if err := a.Start(ctx); err != nil {
		return scenario.Gate{}, errors.Join(err, a.Close(context.WithoutCancel(ctx)))
	}
	a.Settle(ctx)
	return scenario.Gate{URL: a.URL(), Control: a.Control(), Close: a.Close}, nil
}
