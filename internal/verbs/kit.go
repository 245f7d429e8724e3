// Package verbs is the verbs of the command line about agents, runs, sources and approvals.
package verbs

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// Kit is what every verb of the command line has at hand.
type Kit struct {
	In        io.Reader
	Out, Errs io.Writer
	// With runs a verb against the gateway, or against the state directory when
	// none runs; Dir is that directory, Endpoint where agents connect.
	With     func(cmd *cobra.Command, verb func(ctx context.Context, gate *control.Client) error) error
	Dir      func() (string, error)
	Endpoint func(ctx context.Context) (string, error)
	// Secret asks for the human's, which SecretFlag lets a script give.
	Secret     func(ctx context.Context, gate *control.Client) (string, error)
	SecretFlag func(cmd *cobra.Command)
	// SecretFrom gets a secret from a file, that flag names, or by asking; NewSecret
	// one to enroll with.
	SecretFrom func(file, flag, prompt string) (string, error)
	NewSecret  func() (string, error)
	Print      func(value any, show func(*terminal.Table)) error
	Minute     func(time.Time) string

	Group          func(use, short string, commands ...*cobra.Command) *cobra.Command
	Exactly        func(names ...string) cobra.PositionalArgs
	Usage          func(format string, args ...any) error
	CompleteAgents cobra.CompletionFunc
}

// Exit is the exit code of a command that ran, which has said itself what went
// wrong.
type Exit struct{ Code int }

func (e *Exit) Error() string { return "" }
