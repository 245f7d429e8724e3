package main

import (
	"context"
	"fmt"

	"sallyport/internal/drill"
	"sallyport/internal/terminal"
)

// drill measures how long a kill takes, on a gateway of its own.
func (c *cli) drill(ctx context.Context) error {
	measured, err := drill.Run(ctx)
	if err != nil {
		return err
	}
	return c.print(measured, func(t *terminal.Table) {
		t.Line(fmt.Sprintf("%d kills of one agent while %d agents called a made-up server; nothing real was touched.", measured.Kills, measured.Agents))
		t.Row("MEASURED", "P50", "P99", "WORST")
		row := func(name string, s drill.Spread) { t.Row(name, s.P50.String(), s.P99.String(), s.Worst.String()) }
		row("from the order to its last effect", measured.LastEffect)
		row("from the order to its record", measured.Recorded)
		t.Line(fmt.Sprintf("Effects after a kill was acknowledged: %d. Effects of the other agents meanwhile: %d.", measured.Late, measured.Others))
	})
}
