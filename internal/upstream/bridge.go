package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/upstream/era"
	"sallyport/internal/upstream/remote"
	"sallyport/internal/wire"
)

// raw carries a request in the era that both ends speak: nothing changes but
// the id and the progress token.
func (v *conversation) raw(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	c := v.newCall(r, client)
	c.params, c.token = era.Renumbered(r.Params, c.rawID())
	answer, err := v.exchange(ctx, c)
	if err == nil && answer.Error.Type() == sallyport.Absent {
		v.session.note(r, answer)
	}
	return answer, err
}

func parsed(text []byte) (gateway.Answer, error) {
	v, err := sallyport.Parse(text)
	return gateway.Answer{Result: v}, err
}

func failed(e *wire.Error) gateway.Answer {
	return gateway.Answer{Error: sallyport.MustParse(string(e.Object())), Status: e.HTTPStatus()}
}

// noMeaning answers what the other era has nothing for.
func noMeaning(method, speaks string) gateway.Answer {
	return failed(&wire.Error{Code: wire.CodeUnknownMethod, Message: method + " has no counterpart in MCP " + speaks + ", which is what this server speaks"})
}

var done = gateway.Answer{Result: sallyport.MustParse("{}")}

// fromLegacy carries a request of an agent of the session era to a stateless
// server.
func (v *conversation) fromLegacy(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	switch r.Method {
	case "ping":
		return done, nil
	case "logging/setLevel":
		v.session.note(r, done)
		return done, nil
	case "resources/subscribe":
		uri, _ := r.Params.Get("uri").Text()
		if err := v.subscribe(ctx, uri); err != nil {
			return gateway.Answer{}, err
		}
		v.session.note(r, done)
		return done, nil
	case "resources/unsubscribe":
		uri, _ := r.Params.Get("uri").Text()
		v.unsubscribe(uri)
		v.session.note(r, done)
		return done, nil
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list",
		"tools/call", "prompts/get", "resources/read", "completion/complete":
		return v.rounds(ctx, r, client)
	default:
		return noMeaning(r.Method, wire.Stateless), nil
	}
}

const (
	// maxRounds bounds how often a server may ask for more before it answers.
	maxRounds = 16
	// roundPause is how long to wait before a retry that brings nothing new.
	roundPause = 250 * time.Millisecond
)

// rounds carries a request to a stateless server and puts what the server
// asks in its results (input_required) to the agent as requests, until there
// is an answer.
func (v *conversation) rounds(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	var more []era.Member
	for round := 1; round <= maxRounds; round++ {
		c := v.newCall(r, client)
		c.params, c.token = era.Params(r.Params, c.rawID(), v.session.meta(), more)
		answer, err := v.exchange(ctx, c)
		if err != nil || answer.Error.Type() != sallyport.Absent {
			return answer, err
		}
		switch kind, _ := answer.Result.Get("resultType").Text(); kind {
		case "", "complete":
			return parsed(era.Legacy(answer.Result))
		case "input_required":
		default:
			return gateway.Answer{}, fmt.Errorf("answered with a %.40q, which an agent of MCP %s can't follow", kind, r.Revision)
		}
		responses, refusal, err := v.input(ctx, answer.Result, r.Revision, client)
		if err != nil || refusal.Type() != sallyport.Absent {
			return gateway.Answer{Error: refusal}, err
		}
		more = era.Retry(answer.Result, responses)
		if len(responses) == 0 {
			if err := remote.Pause(ctx, time.Duration(round)*roundPause); err != nil {
				return gateway.Answer{}, err
			}
		}
	}
	return gateway.Answer{}, fmt.Errorf("asked for more input %d times and never answered", maxRounds)
}

// input puts what a result asks for to the agent. An error that the agent
// answers (refusal) ends the call, since there is no way to tell a stateless
// server of it.
func (v *conversation) input(ctx context.Context, result sallyport.Value, revision string, client gateway.Client) (responses []era.Member, refusal sallyport.Value, err error) {
	inputs, err := era.Inputs(result, revision, fmt.Sprintf("input-%d", v.server.owner.ids.Add(1)))
	if err == nil && len(inputs) > 0 && client == nil {
		err = errors.New("asked for input where nobody can be asked")
	}
	if err != nil {
		return nil, refusal, err
	}
	for _, i := range inputs {
		answer, err := client.Ask(ctx, i.Request)
		if err != nil || answer.Error.Type() != sallyport.Absent {
			return nil, answer.Error, err
		}
		responses = append(responses, era.Member{Name: i.Key, Raw: answer.Result.Raw()})
	}
	return responses, refusal, nil
}

// meta is what a request to a stateless server says of the agent.
func (s *session) meta() []byte {
	meta := s.self.Meta()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.level != "" {
		meta = sallyport.AppendString(append(meta, `,"`+wire.MetaLogLevel+`":`...), s.level)
	}
	return meta
}

// fromStateless carries a request of a stateless agent to a server of the
// session era.
func (v *conversation) fromStateless(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	switch r.Method {
	case "subscriptions/listen":
		return v.listen(ctx, r, client)
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list",
		"tools/call", "prompts/get", "resources/read", "completion/complete":
	default:
		return noMeaning(r.Method, v.revision), nil
	}
	// An agent could open a task, and then neither ask for it nor end it.
	if r.Params.Get("task").Type() != sallyport.Absent {
		return failed(&wire.Error{Code: wire.CodeInvalidParams, Message: "task: this server speaks MCP " + v.revision + ", whose tasks an agent of MCP " + r.Revision + " can't follow; call without"}), nil
	}
	level, wanted := r.Params.Get("_meta").Get(wire.MetaLogLevel).Text()
	if wanted {
		v.setLevel(ctx, level)
	}
	if client != nil {
		client = &statelessClient{client, wanted}
	}
	c := v.newCall(r, client)
	c.params, c.token = era.Params(r.Params, c.rawID(), nil, nil)
	answer, err := v.exchange(ctx, c)
	if err != nil {
		return gateway.Answer{}, err
	}
	if answer.Error.Type() != sallyport.Absent {
		answer.Error, err = sallyport.Parse(era.StatelessError(r.Method, answer.Error))
		return answer, err
	}
	return parsed(era.Stateless(r.Method, answer.Result, v.words))
}

// statelessClient keeps log lines from an agent that did not ask for them.
type statelessClient struct {
	gateway.Client
	logs bool
}

func (c *statelessClient) Tell(ctx context.Context, m wire.Message) error {
	if m.Method == "notifications/message" && !c.logs {
		return nil
	}
	return c.Client.Tell(ctx, m)
}

// setLevel tells the server which log lines a request wants. Where requests
// of one session differ the last one counts: the old era has one level only.
func (v *conversation) setLevel(ctx context.Context, level string) {
	v.mu.Lock()
	same := v.level == level
	v.level = level
	v.mu.Unlock()
	if !same && v.words.Get("capabilities").Get("logging").Type() != sallyport.Absent {
		_, _ = v.ask(ctx, "logging/setLevel", era.Of("level", level))
	}
}
