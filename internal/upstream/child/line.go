package child

import (
	"context"
	"io"
	"time"
)

// LinesTo writes messages as lines to one end of a pipe, one writer at a time.
// It never leaves half a line behind without an error: who does not read for
// as long as patience is given up. It may append to the text that it writes.
func LinesTo(to io.Writer, patience time.Duration) func(ctx context.Context, text []byte) error {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context, text []byte) error {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
		if f, ok := to.(interface{ SetWriteDeadline(time.Time) error }); ok {
			_ = f.SetWriteDeadline(time.Now().Add(patience))
		}
		_, err := to.Write(append(text, '\n'))
		return err
	}
}
