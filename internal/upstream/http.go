package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// The values that requests share; net/http does not change them.
var (
	jsonType     = []string{"application/json"}
	acceptBoth   = []string{"application/json, text/event-stream"}
	acceptStream = []string{"text/event-stream"}
)

func isStream(response *http.Response) bool {
	return wire.IsMedia(response.Header.Get("Content-Type"), "text/event-stream")
}

// post is a peer that is reached by Streamable HTTP.
type post struct {
	v       *conversation
	session string // Mcp-Session-Id, from the answer to initialize
}

func (p *post) do(ctx context.Context, method string, h http.Header, body []byte) (*http.Response, error) {
	r := p.v.server.remote
	return r.Do(ctx, method, r.URL, h, body)
}

func (p *post) header(more int) http.Header {
	h := p.v.server.remote.Header(5 + more)
	h["Content-Type"], h["Accept"] = jsonType, acceptBoth
	if p.v.revision != "" {
		h[wire.HeaderRevision] = []string{p.v.revision}
	}
	if p.session != "" {
		h[wire.HeaderSession] = []string{p.session}
	}
	return h
}

func (p *post) exchange(ctx context.Context, c *call) (m wire.Message, err error) {
	defer func() {
		if err != nil && ctx.Err() != nil && !p.v.stateless {
			p.v.cancelled(c) // a stateless server knows it from the closed stream
		}
	}()
	h := p.header(len(c.header))
	maps.Copy(h, c.header)
	response, err := p.do(ctx, http.MethodPost, h, c.text())
	switch {
	case errors.Is(err, remote.ErrUnreachable):
		return m, err
	case err != nil:
		return m, c.unanswered(err)
	}
	p.v.alive(c)
	if c.method == "initialize" {
		p.session = response.Header.Get(wire.HeaderSession)
	}
	if response.StatusCode == http.StatusOK && isStream(response) {
		return p.hear(ctx, c, response)
	}
	defer response.Body.Close()
	if m, err = p.readAnswer(c, response); err != nil {
		err = c.unanswered(err) // whatever its status says: a proxy answers 504 for what the server goes on with
	}
	return m, err
}

// unanswered marks an error that leaves open whether the server has acted.
func (c *call) unanswered(err error) error {
	if c.method == "initialize" || c.method == "server/discover" {
		return err // the call itself comes behind these, and was not sent
	}
	return fmt.Errorf("%w: %w", err, gateway.ErrUnanswered)
}

// readAnswer reads an answer that came as plain JSON.
func (p *post) readAnswer(c *call, response *http.Response) (wire.Message, error) {
	status := remote.StatusError(response.StatusCode)
	if status == http.StatusNotFound && p.session != "" {
		p.v.broke(errLost)
		return wire.Message{}, errLost
	}
	if !p.v.stateless && slices.Contains(notStreamable, response.StatusCode) {
		// In a session errors come with 200: this is about the session itself,
		// or about the revision. The next call begins anew.
		p.v.broke(errLost)
	}
	ok := status == http.StatusOK
	if !wire.IsMedia(response.Header.Get("Content-Type"), "application/json") {
		if ok || status == http.StatusAccepted {
			return wire.Message{}, errors.New("took the call and did not answer in JSON or as an event stream")
		}
		return wire.Message{}, status
	}
	text, err := remote.ReadAll(response, p.v.server.config.Limits.Result)
	if err != nil {
		return wire.Message{}, err
	}
	m, err := wire.Parse(text)
	switch {
	case !ok && (err != nil || m.Error.Type() == sallyport.Absent):
		return wire.Message{}, status
	case err != nil:
		return wire.Message{}, fmt.Errorf("sent a malformed answer: %w", err)
	case m.IsResponse() && (p.v.call(m.ID) == c || m.ID.Type() == sallyport.Null && !ok):
		c.status = response.StatusCode
		return m, nil
	default:
		p.v.drop("an answer to another call")
		return wire.Message{}, errors.New("answered another call than the one it was sent")
	}
}

// resumptions bounds how often one answer's stream is picked up again without
// anything new having come.
const resumptions = 5

// hear reads the event stream that answers a call. In the session era a
// stream that breaks is picked up again where it broke.
func (p *post) hear(ctx context.Context, c *call, response *http.Response) (wire.Message, error) {
	c.streamed = true
	in := remote.NewEvents(p.v.server.config.Limits.Result, func() { p.v.alive(c) })
	defer in.Free()
	for idle := 1; ; idle++ {
		before := in.Last
		m, answered, err := p.hearOne(c, in, response)
		if answered || err != nil {
			return m, err
		}
		if in.Last != before {
			idle = 0
		}
		if poller, ok := c.client.(gateway.Poller); ok && in.Retry > 0 && ctx.Err() == nil {
			poller.Poll(in.Retry, in.Last != "")
		}
		if ctx.Err() == nil && (in.Last == "" || p.v.stateless || idle > resumptions) {
			return m, c.unanswered(errors.New("ended its stream without an answer"))
		}
		if err := remote.Pause(ctx, cmp.Or(in.Retry, time.Second)); err != nil {
			return m, err
		}
		if response, err = p.listen(ctx, in.Last); err != nil {
			return m, c.unanswered(fmt.Errorf("broke off its stream, and it can't be resumed: %w", err))
		}
	}
}

// hearOne reads one connection's part of an answer's stream.
func (p *post) hearOne(c *call, in *remote.Events, response *http.Response) (m wire.Message, answered bool, err error) {
	defer func() {
		if !answered {
			_ = response.Body.Close()
		}
	}()
	in.From(response.Body)
	for {
		ev, err := in.Next()
		switch {
		case errors.Is(err, remote.ErrTooLong):
			return m, false, c.unanswered(err)
		case err != nil:
			return m, false, nil // the connection's end is not the stream's
		case !ev.IsMessage():
			continue
		}
		if m, err = p.v.read(ev.Data); err != nil {
			return m, false, c.unanswered(fmt.Errorf("sent a malformed message: %w", err))
		}
		if answered, err = p.v.under(c, &m); err != nil {
			return m, false, c.unanswered(err)
		}
		if answered {
			p.drain(c, response.Body)
			return m, true, nil
		}
	}
}

// drainTime is how long an answered stream may take to end, so that its
// connection can be used again.
const drainTime = time.Second

func (p *post) drain(c *call, body io.ReadCloser) {
	c.draining = p.v.background(func() {
		late := time.AfterFunc(drainTime, func() { c.cancel(nil) })
		remote.Discard(body)
		late.Stop()
		c.cancel(nil)
	})
	if !c.draining {
		_ = body.Close()
	}
}

// listen opens the stream on which a server of the session era speaks of its
// own accord, or resumes one after the event last.
func (p *post) listen(ctx context.Context, last string) (*http.Response, error) {
	h := p.header(1)
	delete(h, "Content-Type")
	h["Accept"] = acceptStream
	if last != "" {
		h["Last-Event-Id"] = []string{last}
	}
	response, err := p.do(ctx, http.MethodGet, h, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK && isStream(response) {
		return response, nil
	}
	_ = response.Body.Close()
	if response.StatusCode == http.StatusNotFound && p.session != "" {
		p.v.broke(errLost)
		return nil, errLost
	}
	return nil, remote.StatusError(response.StatusCode)
}

// minRetry keeps a server that ends its stream at once from keeping us busy.
const minRetry = 100 * time.Millisecond

// follow keeps the session's own stream open as long as the server offers one,
// and gives the session back when the conversation is over.
func (p *post) follow() {
	again := backoff.NewExponentialBackOff()
	in := remote.NewEvents(p.v.server.config.Limits.Message, again.Reset)
	for p.v.ctx.Err() == nil {
		response, err := p.listen(p.v.ctx, in.Last)
		if status, ok := errors.AsType[remote.StatusError](err); ok && status < 500 {
			break
		}
		if err == nil {
			in.From(response.Body)
			_ = p.v.takeEvents(in) // it ends when it ends
			_ = response.Body.Close()
		}
		_ = remote.Pause(p.v.ctx, max(minRetry, cmp.Or(in.Retry, again.NextBackOff())))
	}
	<-p.v.ctx.Done()
	if p.session == "" || errors.Is(context.Cause(p.v.ctx), errLost) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if response, err := p.do(ctx, http.MethodDelete, p.header(0), nil); err == nil {
		_ = response.Body.Close() // it may keep sessions if it likes
	}
}

// send posts what expects no answer.
func (p *post) send(ctx context.Context, text []byte) error {
	response, err := p.do(ctx, http.MethodPost, p.header(0), text)
	if err != nil {
		return err
	}
	remote.Discard(response.Body)
	if response.StatusCode >= 300 {
		return remote.StatusError(response.StatusCode)
	}
	return nil
}
