package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// raw carries a request in the era that both ends speak: nothing changes but
// the id and the progress token.
func (v *conversation) raw(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	if r.Method == "initialize" { // the session has been initialized already
		return gateway.Answer{Result: v.words}, nil
	}
	c := v.newCall(r.Method, client)
	c.params = r.Params.Raw()
	if token := r.Params.Get("_meta").Get("progressToken"); token.Type() != sallyport.Absent {
		c.token = token.Raw()
		c.params = r.Params.Splice(sallyport.Edit{Target: token, With: c.rawID()})
	}
	if v.stateless && !v.shared {
		c.header = v.server.params.of(r)
	}
	answer, err := v.exchange(ctx, c)
	if err == nil && answer.Error.Type() == sallyport.Absent {
		v.session.note(r)
	}
	return answer, err
}

// note remembers what an agent of the session era has set up in its session,
// so that it can be set up again in the next life of it.
func (s *session) note(r *request) {
	switch r.Method {
	case "logging/setLevel", "resources/subscribe", "resources/unsubscribe":
	default:
		return
	}
	uri, _ := r.Params.Get("uri").Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case "logging/setLevel":
		s.level, _ = r.Params.Get("level").Text()
	case "resources/subscribe":
		s.uris[uri] = struct{}{}
	case "resources/unsubscribe":
		delete(s.uris, uri)
	}
}

// restore sets up anew what note remembered.
func (v *conversation) restore(ctx context.Context) error {
	s := v.session
	s.mu.Lock()
	level, uris := s.level, slices.Collect(maps.Keys(s.uris))
	s.mu.Unlock()
	if v.stateless {
		for _, uri := range uris {
			if err := v.subscribe(ctx, uri); err != nil {
				return err
			}
		}
		return nil // the level goes with each request
	}
	if level != "" {
		if _, err := v.ask(ctx, "logging/setLevel", object("level", level)); err != nil {
			return err
		}
	}
	for _, uri := range uris {
		if _, err := v.ask(ctx, "resources/subscribe", object("uri", uri)); err != nil {
			return err
		}
	}
	return nil
}

// object is a JSON object of one string.
func object(name, text string) []byte {
	return append(sallyport.AppendString(append(sallyport.AppendString([]byte{'{'}, name), ':'), text), '}')
}

// noMeaning answers what the other era has nothing for.
func noMeaning(method, speaks string) gateway.Answer {
	e := wire.Error{Code: wire.CodeUnknownMethod, Message: method + " has no counterpart in MCP " + speaks + ", which is what this server speaks"}
	return gateway.Answer{Error: sallyport.MustParse(string(e.Object()))}
}

var done = gateway.Answer{Result: emptyObject}

// fromLegacy carries a request of an agent of the session era to a stateless
// server.
func (v *conversation) fromLegacy(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	switch r.Method {
	case "initialize":
		return parsed(initializeResult(v.words, r.Revision))
	case "ping":
		return done, nil
	case "logging/setLevel":
		v.session.note(r)
		return done, nil
	case "resources/subscribe", "resources/unsubscribe":
		uri, _ := r.Params.Get("uri").Text()
		if r.Method == "resources/unsubscribe" {
			v.unsubscribe(uri)
		} else if err := v.subscribe(ctx, uri); err != nil {
			return gateway.Answer{}, err
		}
		v.session.note(r)
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
	var more []member
	for round := 1; ; round++ {
		c := v.newCall(r.Method, client)
		c.params = v.statelessParams(c, r.Params, more)
		c.header = v.server.params.of(r)
		answer, err := v.exchange(ctx, c)
		if err != nil || answer.Error.Type() != sallyport.Absent {
			return answer, err
		}
		switch kind, _ := answer.Result.Get("resultType").Text(); kind {
		case "", "complete":
			return parsed(without(answer.Result, "resultType", "ttlMs", "cacheScope"))
		case "input_required":
		default:
			return gateway.Answer{}, fmt.Errorf("answered with a %.40q, which an agent of MCP %s can't follow", kind, r.Revision)
		}
		if round == maxRounds {
			return gateway.Answer{}, fmt.Errorf("asked for more input %d times and never answered", maxRounds)
		}
		var refused gateway.Answer
		if more, refused, err = v.inputs(ctx, answer.Result, r.Revision, client); err != nil || refused != (gateway.Answer{}) {
			return refused, err
		}
		if len(more) == 0 || more[0].name != "inputResponses" {
			select {
			case <-time.After(time.Duration(round) * roundPause):
			case <-ctx.Done():
				return gateway.Answer{}, ctx.Err()
			}
		}
	}
}

// inputs puts each input request to the agent and makes of the answers what
// the retry carries besides. An error that the agent answers ends the call
// with that error, since there is no way to tell a stateless server of it.
func (v *conversation) inputs(ctx context.Context, result sallyport.Value, revision string, client gateway.Client) ([]member, gateway.Answer, error) {
	responses := []byte{'{'}
	for key, request := range result.Get("inputRequests").Members() {
		method, _ := request.Get("method").Text()
		params := request.Get("params")
		if mode, _ := params.Get("mode").Text(); mode == "url" && revision < wire.Revision20251125 {
			return nil, gateway.Answer{}, fmt.Errorf("asks the user to open a URL, which an agent of MCP %s can't pass on", revision)
		}
		if client == nil {
			return nil, gateway.Answer{}, errors.New("asked for input where nobody can be asked")
		}
		id := fmt.Appendf(nil, `"input-%d"`, v.server.owner.ids.Add(1))
		m, err := wire.Parse(wire.AppendRequest(nil, id, method, params.Raw()))
		if err != nil {
			return nil, gateway.Answer{}, fmt.Errorf("sent a malformed input request: %w", err)
		}
		answer, err := client.Ask(ctx, m)
		if err != nil {
			return nil, gateway.Answer{}, err
		}
		if answer.Error.Type() != sallyport.Absent {
			return nil, gateway.Answer{Error: answer.Error}, nil
		}
		if len(responses) > 1 {
			responses = append(responses, ',')
		}
		responses = append(sallyport.AppendString(responses, key), ':')
		responses = append(responses, answer.Result.Raw()...)
	}
	var more []member
	if len(responses) > 1 {
		more = append(more, member{"inputResponses", append(responses, '}')})
	}
	if state := result.Get("requestState"); state.Type() != sallyport.Absent {
		more = append(more, member{"requestState", state.Raw()})
	}
	return more, gateway.Answer{}, nil
}

// statelessParams adds to an agent's params what the stateless era needs.
func (v *conversation) statelessParams(c *call, params sallyport.Value, more []member) []byte {
	s := v.session
	add := s.self.meta()
	s.mu.Lock()
	if s.level != "" {
		add = sallyport.AppendString(append(add, `,"`+wire.MetaLogLevel+`":`...), s.level)
	}
	s.mu.Unlock()
	return withMeta(c, params, add, more)
}

// fromStateless carries a request of a stateless agent to a server of the
// session era.
func (v *conversation) fromStateless(ctx context.Context, r *request, client gateway.Client) (gateway.Answer, error) {
	switch r.Method {
	case "server/discover":
		return parsed(discoverResult(v.words))
	case "subscriptions/listen":
		return v.listen(ctx, r, client)
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list",
		"tools/call", "prompts/get", "resources/read", "completion/complete":
	default:
		return noMeaning(r.Method, v.revision), nil
	}
	level, wanted := r.Params.Get("_meta").Get(wire.MetaLogLevel).Text()
	if wanted {
		v.setLevel(ctx, level)
	}
	if client != nil {
		client = &statelessClient{client, wanted}
	}
	c := v.newCall(r.Method, client)
	c.params = withMeta(c, r.Params, nil, nil)
	answer, err := v.exchange(ctx, c)
	if err != nil {
		return gateway.Answer{}, err
	}
	if answer.Error.Type() != sallyport.Absent {
		return gateway.Answer{Error: statelessError(r.Method, answer.Error)}, nil
	}
	return parsed(statelessResult(r.Method, answer.Result, v.words))
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
		_, _ = v.ask(ctx, "logging/setLevel", object("level", level))
	}
}

// statelessError gives a missing resource the code of the stateless era
// (SEP-2164).
func statelessError(method string, object sallyport.Value) sallyport.Value {
	code := object.Get("code")
	if method != "resources/read" || string(code.Raw()) != "-32002" {
		return object
	}
	changed, err := sallyport.Parse(object.Splice(sallyport.Edit{Target: code, With: []byte("-32602")}))
	if err != nil {
		return object
	}
	return changed
}

// member is a named raw value.
type member struct {
	name string
	raw  []byte
}

// withMeta rewrites an agent's params for the other era: the keys of the
// stateless era in _meta give way to add, the progress token to the call's
// id, and more members follow. All else keeps its bytes.
func withMeta(c *call, params sallyport.Value, add []byte, more []member) []byte {
	meta := []byte(`"_meta":{`)
	meta = append(meta, add...)
	empty := len(add) == 0
	for name, value := range params.Get("_meta").Members() {
		switch name {
		case wire.MetaRevision, wire.MetaClientInfo, wire.MetaCapabilities, wire.MetaLogLevel:
			continue
		}
		raw := value.Raw()
		if name == "progressToken" {
			c.token, raw = raw, c.rawID()
		}
		if !empty {
			meta = append(meta, ',')
		}
		empty = false
		meta = append(append(sallyport.AppendString(meta, name), ':'), raw...)
	}
	out := []byte{'{'}
	put := func(text ...[]byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		for _, t := range text {
			out = append(out, t...)
		}
	}
	replaced := func(name string) bool {
		for _, m := range more {
			if m.name == name {
				return true
			}
		}
		return name == "_meta"
	}
	for name, value := range params.MemberNodes() {
		if text, _ := name.Text(); !replaced(text) {
			put(name.Raw(), []byte{':'}, value.Raw())
		}
	}
	for _, m := range more {
		put(sallyport.AppendString(nil, m.name), []byte{':'}, m.raw)
	}
	if !empty {
		put(meta, []byte{'}'})
	}
	return append(out, '}')
}

// without is an object without some of its members.
func without(object sallyport.Value, names ...string) []byte {
	out := []byte{'{'}
	for name, value := range object.MemberNodes() {
		text, _ := name.Text()
		if slices.Contains(names, text) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name.Raw()...), ':'), value.Raw()...)
	}
	return append(out, '}')
}

// with is an object with one member set.
func with(object sallyport.Value, name string, raw []byte) []byte {
	out := without(object, name)
	out = out[:len(out)-1]
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(sallyport.AppendString(out, name), ':')
	return append(append(out, raw...), '}')
}

func parsed(text []byte) (gateway.Answer, error) {
	v, err := sallyport.Parse(text)
	return gateway.Answer{Result: v}, err
}

// initializeResult makes of a server's discovery what initialize answers.
func initializeResult(discovered sallyport.Value, revision string) []byte {
	if revision == "" || wire.IsStateless(revision) {
		revision = wire.Revision20251125
	}
	out := sallyport.AppendString([]byte(`{"protocolVersion":`), revision)
	out = appendMember(out, "capabilities", discovered.Get("capabilities"), "{}")
	out = appendMember(out, "serverInfo", discovered.Get("_meta").Get(wire.MetaServerInfo), `{"name":"","version":""}`)
	out = appendMember(out, "instructions", discovered.Get("instructions"), "")
	return append(out, '}')
}

// discoverResult makes of what a server answered to initialize what
// server/discover answers. How long it holds is unknown, so it is not kept.
func discoverResult(initialized sallyport.Value) []byte {
	out := []byte(`{"resultType":"complete","supportedVersions":["` + wire.Stateless + `"],"ttlMs":0,"cacheScope":"private"`)
	out = appendMember(out, "capabilities", initialized.Get("capabilities"), "{}")
	out = appendMember(out, "instructions", initialized.Get("instructions"), "")
	if info := initialized.Get("serverInfo"); info.Type() != sallyport.Absent {
		out = append(append(append(out, `,"_meta":{"`+wire.MetaServerInfo+`":`...), info.Raw()...), '}')
	}
	return append(out, '}')
}

func appendMember(dst []byte, name string, value sallyport.Value, fallback string) []byte {
	raw := value.Raw()
	if raw == nil {
		raw = []byte(fallback)
	}
	if len(raw) == 0 {
		return dst
	}
	return append(append(append(append(dst, `,"`...), name...), `":`...), raw...)
}

// statelessResult adds to a result of the session era what the stateless era
// demands. Nobody may keep it: the old era does not say for how long.
func statelessResult(method string, result, words sallyport.Value) []byte {
	out := without(result, "resultType", "ttlMs", "cacheScope", "_meta")
	out = out[:len(out)-1]
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(out, `"resultType":"complete"`...)
	if strings.HasSuffix(method, "/list") || method == "resources/read" {
		out = append(out, `,"ttlMs":0,"cacheScope":"private"`...)
	}
	meta := without(result.Get("_meta"), wire.MetaServerInfo)
	if info := words.Get("serverInfo"); info.Type() != sallyport.Absent {
		meta = with(result.Get("_meta"), wire.MetaServerInfo, info.Raw())
	}
	return append(append(append(out, `,"_meta":`...), meta...), '}')
}
