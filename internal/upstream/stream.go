package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// link carries messages to a server whose messages to us all come on one
// stream: a child's pipes, an in-process server, HTTP+SSE.
type link interface {
	// write sends one message. It may append to text.
	write(ctx context.Context, text []byte) error
	// close ends the link; the stream then ends, too. It does not wait.
	close()
}

// stream is a peer on which all calls share one stream.
type stream struct {
	link
	v *conversation
}

func (p *stream) exchange(ctx context.Context, c *call) (wire.Message, error) {
	if err := p.send(ctx, c.text()); err != nil {
		return wire.Message{}, err
	}
	select {
	case m := <-c.answer:
		return m, nil
	case <-ctx.Done():
		p.v.cancelled(c)
		return wire.Message{}, ctx.Err()
	case <-p.v.ctx.Done():
		select {
		case m := <-c.answer: // the last thing it said before it ended
			return m, nil
		default:
			return wire.Message{}, fmt.Errorf("%w: %w", context.Cause(p.v.ctx), gateway.ErrUnanswered)
		}
	}
}

func (p *stream) send(ctx context.Context, text []byte) error {
	err := p.write(ctx, text)
	if err == nil || ctx.Err() != nil && p.v.ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(p.v.ctx); cause != nil {
		return cause
	}
	if status, ok := errors.AsType[statusError](err); ok && status != http.StatusNotFound {
		return err // of this one message; the stream goes on
	}
	err = fmt.Errorf("%w: %w: %w", errClosed, err, gateway.ErrUnanswered)
	p.v.broke(err)
	return err
}

// take reads one message from a shared stream. text must not be used again.
func (v *conversation) take(text []byte) {
	m, err := v.read(text)
	switch {
	case err == nil:
		v.aside(&m)
	case text[0] != '{' && text[0] != '[':
		v.drop("a line that is no message")
	default:
		v.malformed(err)
	}
}

// malformed is told of a message that could not be read. It may have been the
// answer to any open call, so none of them can be trusted to end any more.
func (v *conversation) malformed(err error) {
	v.drop("a malformed message")
	v.server.owner.options.Log.Warn("a server sent a malformed message", "server", v.server.config.Name, "error", err)
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.calls {
		if c.answer != nil {
			c.cancel(fmt.Errorf("sent a malformed message: %w", err))
		}
	}
}

// takeLines reads newline-delimited messages until the stream ends.
func (v *conversation) takeLines(from io.Reader) error {
	in := lines{from: from, limit: v.server.config.Limits.Result}
	for {
		line, err := in.next()
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			v.take(bytes.Clone(line))
		}
	}
}

// pipe writes lines to one end of a pipe, one writer at a time.
type pipe struct {
	to   io.WriteCloser
	turn chan struct{}
}

func newPipe(to io.WriteCloser) pipe { return pipe{to, make(chan struct{}, 1)} }

// write never leaves half a line behind without an error: a server that does
// not read its input for sendTimeout is given up.
func (p *pipe) write(ctx context.Context, text []byte) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if f, ok := p.to.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = f.SetWriteDeadline(time.Now().Add(sendTimeout))
	}
	_, err := p.to.Write(append(text, '\n'))
	return err
}

// inside is a server that runs in the gateway's own process.
type inside struct {
	pipe
	cancel context.CancelFunc
}

func (i *inside) close() {
	i.cancel()
	_ = i.to.Close()
}

// startInside starts an in-process server.
func (v *conversation) startInside() error {
	ctx, cancel := context.WithCancel(context.Background())
	theirIn, in := io.Pipe()
	out, theirOut := io.Pipe()
	v.peer = &stream{&inside{newPipe(in), cancel}, v}
	v.shared = true
	if !v.background(func() {
		err := v.server.config.Serve(ctx, theirIn, theirOut)
		_ = theirIn.CloseWithError(io.ErrClosedPipe)
		_ = theirOut.CloseWithError(io.EOF)
		v.broke(fmt.Errorf("ended: %v", err))
	}) {
		cancel()
		return errClosed
	}
	v.background(func() { v.broke(v.takeLines(out)) })
	return nil
}
