package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say what is open, what is broken, and what to do about it", Args: exactly(),
		Long: `Say what is open, what is broken, and what to do about it. The exit code is 1
when something is broken.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				report, err := control.Get[control.Report](ctx, gate, "/doctor")
				if err != nil {
					return err
				}
				if err := c.print(report, func(t *terminal.Table) { c.showReport(t, report) }); err != nil {
					return err
				}
				for _, check := range report.Checks {
					if check.Level == control.Broken {
						return &codeError{exitError, ""}
					}
				}
				return nil
			})
		},
	}
}

func (c *cli) showReport(t *terminal.Table, report control.Report) {
	state := "not running"
	if report.Running {
		state = "running on " + report.Listen
	}
	t.Line("sallyport " + report.Version + ", " + state + ", state in " + report.Dir + "\n")
	colors := map[control.Level]terminal.Color{control.OK: terminal.Green, control.Note: terminal.Dim, control.Warning: terminal.Yellow, control.Broken: terminal.Red}
	for _, check := range report.Checks {
		text := strings.ReplaceAll(terminal.VisibleLines(check.What), "\n", "\n          ")
		if check.Do != "" {
			text += "\n          → " + check.Do
		}
		label := string(check.Level) + "       "
		t.Line("  " + c.paint(colors[check.Level], label[:8]) + text)
	}
}
