package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/terminal"
)

// print shows a value as the user asked: as JSON, as YAML, or as a table.
func (c *cli) print(value any, show func(*terminal.Table)) error {
	if c.output == "table" {
		t := terminal.NewTable(c.out)
		show(t)
		return t.Flush()
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if text, err = terminal.Data(c.output, text); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, strings.TrimSuffix(string(text), "\n"))
	return err
}

// paint colours a word of ours where that suits.
func (c *cli) paint(color terminal.Color, text string) string {
	return terminal.Paint(terminal.Colored(c.out), color, text)
}

// secretFlag adds the flag by which scripts give the human's secret.
func (c *cli) secretFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.secretFile, "secret-file", "", "read the human's secret from this file (mode 0600), or from - (standard input), instead of asking")
}

// secret gets the human's secret: from the file named, or by asking without
// showing it. It is never taken from the command line or the environment,
// where other processes can read it.
func (c *cli) secret(prompt string) (string, error) {
	return c.secretFrom(c.secretFile, "--secret-file", prompt)
}

// secretFrom is secret for another file than the usual one, and the flag that
// names it.
func (c *cli) secretFrom(file, flag, prompt string) (string, error) {
	if file != "" {
		return terminal.SecretFile(file, c.in)
	}
	secret, err := terminal.Secret(prompt)
	if errors.Is(err, terminal.ErrNobody) {
		return "", usage("this needs the human's secret: run it on a terminal, or name a file with %s", flag)
	}
	return secret, err
}
