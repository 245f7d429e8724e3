package main

import (
	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/redteam"
)

func (c *cli) redteamCommand() *cobra.Command {
	kit := redteam.Kit{
		Errs: c.errs, Open: openLab, Print: c.print, Usage: usage, Args: exactly(),
		State:  func(config string) (string, error) { return app.StateDir(c.dir, config) },
		Failed: func(text string) error { return &codeError{exitFailed, text} },
	}
	return group("redteam", "Attack your own policy", kit.Verb())
}
