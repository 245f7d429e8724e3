package mcpdoor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"sallyport"
	"sallyport/internal/mcpdoor/inflight"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// maxOpen bounds how many requests of one agent are served at the same time
// over stdio; what comes beyond waits in the pipe.
const maxOpen = 256

// ServeStdio serves one agent over newline-delimited messages until in ends
// or ctx is done, on the path of one server or ("") of all. It returns when
// everything that it began has ended; a read of in that never returns keeps
// it from doing so.
func (d *Door) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, credential sallyport.Credential, server string) error {
	principal, run, err := d.Identifier.Identify(ctx, credential)
	if err != nil {
		return err
	}
	if server != "" && !slices.Contains(d.Servers(principal), server) {
		return fmt.Errorf("there is no server %q", server)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &line{door: d, ctx: ctx, server: server, credential: credential, principal: principal, run: run.ID,
		out: out, slots: make(chan struct{}, maxOpen)}
	err = l.read(in)
	cancel()
	if l.session != nil {
		d.sessions.Remove(l.session.id)
	}
	l.serving.Wait()
	return err
}

// line is one agent at the other end of two pipes.
type line struct {
	door       *Door
	ctx        context.Context
	server     string
	credential sallyport.Credential
	principal  sallyport.Principal
	run        string
	session    *session // after initialize
	serving    sync.WaitGroup
	slots      chan struct{}
	calls      inflight.Requests

	writing sync.Mutex
	out     io.Writer
}

func (l *line) read(in io.Reader) error {
	lines := wire.NewLines(in, l.door.Body)
	for {
		text, err := lines.Next()
		switch {
		case errors.Is(err, wire.ErrLineTooLong):
			l.answer(nil, post.Reply{Err: (&wire.Error{Code: wire.CodeInvalidRequest, Message: fmt.Sprintf("%v: a message has at most %d bytes here", err, l.door.Body)}).Object()})
		case errors.Is(err, io.EOF) || l.ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case len(text) > 0:
			l.take(text)
		}
	}
}

func (l *line) take(text []byte) {
	m, err := wire.Parse(text)
	if malformed, ok := errors.AsType[*wire.Error](err); ok {
		l.answer(m.AnswerID(), post.Reply{Err: malformed.Object()})
		return
	}
	x := &exchange{door: l.door, credential: l.credential, owner: ownerOf(l.principal), run: l.run, here: l.door.Servers(l.principal),
		server: l.server, transport: "stdio", session: l.session, message: m, back: l}
	stateless := m.Claim().Type() != sallyport.Absent
	switch {
	case m.IsResponse():
		if l.session == nil || !l.session.answered(&m) {
			l.answer(nil, x.fail(&wire.Error{Code: wire.CodeInvalidRequest, Message: "an answer to a question that nobody asked"}))
		}
	case m.IsNotification() && m.Method == "notifications/cancelled":
		l.calls.Cancel(m.Params.Get("requestId"))
	case m.IsNotification() && l.session == nil:
		// The stateless era has no other, and before initialize there is none.
		if !strings.HasPrefix(m.Method, "notifications/") {
			l.answer(nil, x.fail(notARequest))
		}
	case m.IsNotification():
		x.revision = l.session.revision
		if fault := x.hear(l.ctx); fault != nil {
			l.answer(nil, x.fail(fault))
		}
	case stateless:
		x.session, x.revision = nil, wire.Stateless
		if fault := m.CheckEnvelope(); fault != nil {
			l.answer(m.ID.Raw(), x.fail(fault))
			return
		}
		l.serve(x)
	case m.Method == "initialize" && l.session == nil:
		l.answer(m.ID.Raw(), x.initialize(l.ctx))
		if l.session = x.session; l.session != nil {
			l.serving.Go(func() { l.follow(l.session) })
		}
	case l.session == nil:
		l.answer(m.ID.Raw(), x.fail(&wire.Error{Code: wire.CodeInvalidRequest, Message: "initialize first, or say in _meta which revision this is"}))
	default:
		x.revision = l.session.revision
		l.serve(x)
	}
}

// serve answers a request while others are read.
func (l *line) serve(x *exchange) {
	// Over stdio an id belongs to one open request in both eras.
	ctx, done, err := l.calls.Begin(l.ctx, x.message.ID)
	if err != nil {
		l.answer(x.message.ID.Raw(), x.fail(&wire.Error{Code: wire.CodeInvalidRequest, Message: err.Error()}))
		return
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.ctx.Done():
		done()
		return
	}
	l.serving.Go(func() {
		answer := x.serve(ctx)
		done()
		<-l.slots
		if !answer.Silent {
			l.answer(x.message.ID.Raw(), answer)
		}
	})
}

// follow passes on what the session hears outside any request.
func (l *line) follow(s *session) {
	x := &exchange{door: l.door, credential: l.credential, owner: ownerOf(l.principal), run: l.run, back: l}
	_, leave := s.listen(l.ctx, 0) // while the pipe is open the session is in use
	defer leave()
	var seq uint32
	for {
		more, _, wake := s.said.After(0, seq)
		for _, ev := range more {
			if x.say(l.ctx, ev.Text) != nil {
				return
			}
			seq = ev.Seq
		}
		select {
		case <-wake:
		case <-s.over:
			return
		}
	}
}

func (l *line) Send(_ context.Context, text []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err := l.out.Write(append(wire.OneLine(text), '\n'))
	return err
}

func (l *line) End(id []byte, answer post.Reply) bool {
	l.answer(id, answer)
	return true
}

func (l *line) answer(id []byte, answer post.Reply) {
	_ = l.Send(l.ctx, answer.Append(nil, id)) // an agent that is gone ends in, too
}
