package redteam

import (
	"context"
	"errors"
	"log/slog"

	"sallyport/internal/app"
	"sallyport/internal/lab/scenario"
)

// open starts the real gateway, as the command line does.
func open(ctx context.Context, dir, config string) (scenario.Gate, error) {
	a, err := app.Open(ctx, app.Options{Dir: dir, Config: config, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return scenario.Gate{}, err
	}
	if err := a.Start(ctx); err != nil {
		return scenario.Gate{}, errors.Join(err, a.Close(ctx))
	}
	a.Settle(ctx)
	a.Reload(ctx)
	return scenario.Gate{URL: a.URL(), Control: a.Control(), Close: a.Close}, nil
}
