package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/upstream/child"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// stream is a peer whose messages to us all come on one stream: a child, an
// in-process server, HTTP+SSE.
type stream struct {
	v *conversation
	// write sends one message. It may append to text.
	write func(ctx context.Context, text []byte) error
}

func (p *stream) exchange(ctx context.Context, c *call) (wire.Message, error) {
	if err := p.send(ctx, c.text()); err != nil {
		if ctx.Err() != nil {
			p.v.cancelled(c) // it may have gone out all the same
		}
		if !errors.Is(err, remote.ErrUnreachable) && !errors.Is(err, gateway.ErrUnanswered) {
			err = c.unanswered(err) // a part of it, or all, may be there
		}
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
			return wire.Message{}, c.unanswered(context.Cause(p.v.ctx))
		}
	}
}

func (p *stream) send(ctx context.Context, text []byte) error {
	err := p.write(ctx, text)
	if err == nil {
		return nil
	}
	if cause := context.Cause(p.v.ctx); cause != nil {
		return cause
	}
	if status, ok := errors.AsType[remote.StatusError](err); ctx.Err() != nil || ok && status != http.StatusNotFound {
		return err // of this one message; the stream goes on
	}
	err = fmt.Errorf("the connection to it is gone: %w: %w", err, gateway.ErrUnanswered)
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
	v.log().Warn("a server sent a malformed message", "error", err)
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
	in := remote.NewLines(from, v.server.config.Limits.Result)
	for {
		line, err := in.Next()
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			v.take(bytes.Clone(line))
		}
	}
}

// startChild starts the configured command. A kill of the server ends it with
// all that it has started, and it is not started again while that lasts. A pause
// does neither: what the child works on comes to its end.
func (v *conversation) startChild() error {
	config := &v.server.config
	unless, leave, err := v.server.owner.options.Kills.Watch(v.ctx, kill.Target{Server: config.Name, Asked: true})
	if err != nil {
		return err
	}
	c, err := child.Start(child.Command{
		Path: config.Command, Args: config.Args, Env: config.Env, Dir: config.Dir,
		Grace: v.server.owner.grace, Log: v.log(),
	})
	if err != nil {
		leave()
		return fmt.Errorf("can't be started: %w", err)
	}
	v.peer, v.shared = &stream{v, child.LinesTo(c.In, sendTimeout)}, true
	if !v.background(func() {
		defer leave()
		if <-unless.Done(); kill.Cause(unless) != nil {
			c.Kill()
			v.broke(kill.Cause(unless))
		}
		c.Stop()
	}) {
		leave()
		c.Stop()
		return errClosed
	}
	v.background(func() {
		err := c.Ended(v.takeLines(c.Out))
		_ = c.Out.Close()
		v.broke(err)
	})
	return nil
}

// startInside starts an in-process server.
func (v *conversation) startInside() error {
	theirIn, in := io.Pipe()
	out, theirOut := io.Pipe()
	v.peer, v.shared = &stream{v, child.LinesTo(in, sendTimeout)}, true
	if !v.background(func() {
		err := v.server.config.Serve(v.ctx, theirIn, theirOut)
		_ = theirIn.Close()
		_ = theirOut.Close()
		v.broke(fmt.Errorf("ended: %w", err))
	}) {
		return errClosed
	}
	v.background(func() { <-v.ctx.Done(); _ = in.Close(); _ = out.Close() })
	v.background(func() { v.broke(v.takeLines(out)) })
	return nil
}
