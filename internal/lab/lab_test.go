package lab_test

import (
	"context"
	"log/slog"
	"testing"

	"sallyport/internal/app"
	"sallyport/internal/lab"
)

// open starts a gateway as "sallyport up" does.
func open(t *testing.T) lab.Open {
	return func(ctx context.Context, dir, config string) (lab.Gate, error) {
		a, err := app.Open(ctx, app.Options{Dir: dir, Config: config, Version: "lab", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
		if err != nil {
			return lab.Gate{}, err
		}
		if err := a.Start(ctx); err != nil {
			return lab.Gate{}, err
		}
		a.Settle(ctx)
		return lab.Gate{URL: a.URL(), Control: a.Control(), Close: a.Close}, nil
	}
}

// Every scenario that comes with Sallyport holds.
func TestScenarios(t *testing.T) {
	all, err := lab.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			r := lab.Play(t.Context(), open(t), s, false)
			t.Log(r.Took)
			for name, c := range map[string]lab.Check{"attack": r.Attack, "stopped": r.Stopped, "twin": r.Twin, "rule": r.Rule} {
				if c.State == lab.Failed {
					t.Errorf("%s: %s", name, c.Why)
				}
			}
		})
	}
}
