package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// exchange is one message of an agent while it is served: who sent it, and
// the way back.
type exchange struct {
	door       *Door
	credential sallyport.Credential
	owner      owner
	run        string
	session    *session // nil in the stateless era
	here       []string // the servers that the agent may know of
	server     string   // of the path; "" for all servers
	revision   string
	transport  string // "http" or "stdio"
	message    wire.Message
	header     wire.Header // to compare with the body; nil where there is none
	back       back
	gone       <-chan struct{} // closed when the agent hangs up, where that cancels nothing
}

// back is the way to an agent while one of its requests is open.
type back interface {
	// Send says something before the answer. An error means that the agent
	// can't hear it.
	Send(ctx context.Context, text []byte) error
	// End answers at once, while the call goes on. It reports false when the
	// agent can't be answered.
	End(id []byte, answer post.Reply) bool
}

// entitled reports whether the credential still stands for whom it did at the
// beginning: who was revoked since hears nothing more.
func (x *exchange) entitled(ctx context.Context) bool {
	principal, run, err := x.door.Identifier.Identify(ctx, x.credential)
	return err == nil && ownerOf(principal) == x.owner && run.ID == x.run
}

func (x *exchange) say(ctx context.Context, text []byte) error {
	if !x.entitled(ctx) {
		return post.ErrGone
	}
	return x.back.Send(ctx, text)
}

// fail answers with an error of the door's own. In the stateless era the HTTP
// status says it, too.
func (x *exchange) fail(e *wire.Error) post.Reply {
	status := http.StatusOK
	if wire.IsStateless(x.revision) {
		status = e.HTTPStatus()
	}
	return post.Reply{Err: e.Object(), Status: status}
}

// serve answers a request. What the table of methods does not admit in the
// agent's era ends here.
func (x *exchange) serve(ctx context.Context) post.Reply {
	row := wire.Lookup(x.message.Method, x.revision)
	switch row.Treatment {
	case wire.Local:
		return x.local(ctx)
	case wire.List:
		return x.list(ctx, row)
	case wire.Calls:
		switch {
		case x.message.Method == "subscriptions/listen":
			return x.listen(ctx)
		case row.Kind == sallyport.KindTask:
			return x.query(ctx)
		}
		return x.call(ctx, row)
	case wire.Sessions, wire.Tickets:
		if !strings.HasPrefix(x.message.Method, "notifications/") {
			return x.query(ctx)
		}
	}
	return x.fail(&wire.Error{Code: wire.CodeUnknownMethod, Message: "there is no method " + quoted(x.message.Method) + " here"})
}

// quoted is an agent's text within our own, cut short.
func quoted(text string) string {
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "…"
	}
	return string(sallyport.AppendString(nil, text))
}

func (x *exchange) local(ctx context.Context) post.Reply {
	switch x.message.Method {
	case "ping":
		return post.Result([]byte("{}"))
	case "server/discover":
		return x.discover(ctx)
	default: // initialize within a session
		return x.fail(&wire.Error{Code: wire.CodeInvalidRequest, Message: "the session is initialized already"})
	}
}

// call makes a Call of a request. Its names become the server's own before
// anybody decides, so that policies, pins and the log know one name for each
// thing.
func (x *exchange) call(ctx context.Context, row wire.Method) post.Reply {
	server, params, fault := x.route()
	if fault != nil {
		return x.fail(fault)
	}
	call := x.newCall(server, row.Kind, params)
	switch row.Kind {
	case sallyport.KindTool:
		call.Name, _ = params.Get("name").Text()
		call.Args = params.Get("arguments")
		if fault := x.checkParamHeaders(call); fault != nil {
			return x.fail(fault)
		}
	case sallyport.KindPrompt:
		call.Name, _ = params.Get("name").Text()
		call.Args = params.Get("arguments")
	case sallyport.KindCompletion:
		ref := params.Get("ref")
		if call.Name, _ = ref.Get("name").Text(); ref.Get("type").IsText("ref/resource") {
			call.Name, _ = ref.Get("uri").Text()
		}
		call.Args = params
	default:
		uri := params.Get("uri")
		call.Name, _ = uri.Text()
		call.Args = uriArgs(uri)
	}
	if wire.IsStateless(x.revision) && row.Kind != sallyport.KindCompletion {
		return x.errand(ctx, call)
	}
	answer, err := x.carry(ctx, call, &client{x, server})
	return x.released(ctx, call, answer, err)
}

func (x *exchange) newCall(server string, kind sallyport.Kind, params sallyport.Value) *sallyport.Call {
	call := &sallyport.Call{
		Kind: kind, Server: server, Method: x.message.Method, Params: params,
		Door: "mcp/" + x.revision + " " + x.transport, Revision: x.revision,
	}
	if x.session != nil {
		call.Session = x.session.id
	}
	// W3C Trace Context, version 00: nothing else goes into the log.
	if trace, ok := params.Get("_meta").Get("traceparent").Text(); ok && len(trace) == 55 {
		call.Trace = trace
	}
	return call
}

// uriArgs is what policy sees of a resource.
func uriArgs(uri sallyport.Value) sallyport.Value {
	if uri.Type() == sallyport.Absent {
		return sallyport.Value{}
	}
	args, _ := sallyport.Parse(wire.With(sallyport.Value{}, "uri", uri.Raw())) // has been read once
	return args
}

// checkParamHeaders compares Mcp-Param-* with the arguments that they repeat,
// as the accepted definition of the tool says. A tool that is not accepted has
// none, and is refused soon after.
func (x *exchange) checkParamHeaders(call *sallyport.Call) *wire.Error {
	if x.header == nil {
		return nil
	}
	tool := x.door.Tool(call.Server, call.Name)
	if tool == nil {
		return nil
	}
	for _, p := range wire.ParamHeaders(tool.Raw.Get("inputSchema")) {
		if fault := p.Check(x.header, http.CanonicalHeaderKey(p.Name), call.Args); fault != nil {
			return fault
		}
	}
	return nil
}

func (x *exchange) newQuery(server string, params sallyport.Value) *gateway.Query {
	q := &gateway.Query{Server: server, Method: x.message.Method, Params: params, Revision: x.revision}
	if x.session != nil {
		q.Session = x.session.id
	}
	return q
}

// list answers with a server's own page, or with everything of all servers.
func (x *exchange) list(ctx context.Context, row wire.Method) post.Reply {
	if x.server == "" {
		return x.listAll(ctx, row)
	}
	answer, err := x.door.Gateway.List(ctx, x.credential, x.newQuery(x.server, x.message.Params))
	return x.answered(ctx, x.server, answer, err)
}

// query passes on what belongs to the session or to an open task.
func (x *exchange) query(ctx context.Context) post.Reply {
	switch {
	case x.server == "" && x.message.Method == "logging/setLevel":
		return x.queryAll(ctx)
	case x.server == "" && x.message.Method == "tasks/list":
		return x.listAll(ctx, wire.Method{Items: "tasks"})
	}
	server, params, fault := x.route()
	if fault != nil {
		return x.fail(fault)
	}
	if strings.HasPrefix(x.message.Method, "tasks/") {
		return x.task(ctx, server, params)
	}
	answer, err := x.door.Gateway.Query(ctx, x.credential, x.newQuery(server, params))
	return x.answered(ctx, server, answer, err)
}

const extensionTasks = "io.modelcontextprotocol/tasks"

func hasTasks(capabilities sallyport.Value) bool {
	return capabilities.Get("extensions").Get(extensionTasks).Type() == sallyport.Object
}

// task serves a request about an open task.
func (x *exchange) task(ctx context.Context, server string, params sallyport.Value) post.Reply {
	if x.ableToTask(params) {
		if answer, ok := x.heldTask(ctx, server, params); ok {
			return answer
		}
	}
	return x.passTask(ctx, server, params)
}

func (x *exchange) ableToTask(params sallyport.Value) bool {
	return !wire.IsStateless(x.revision) || hasTasks(params.Get("_meta").Get(wire.MetaCapabilities))
}

// passTask passes on a request about a server's task. Who has none hears why, as
// the tasks extension of the stateless era has it.
func (x *exchange) passTask(ctx context.Context, server string, params sallyport.Value) post.Reply {
	query := x.newQuery(server, params)
	var err error
	stateless, able := wire.IsStateless(x.revision), x.ableToTask(params)
	if able {
		var answer gateway.Answer
		answer, err = x.underTask(ctx, query)
		if refused, ok := errors.AsType[*sallyport.RefusedError](err); !ok || refused.Cause != sallyport.CauseMethod {
			return x.answered(ctx, server, answer, err)
		}
	}
	query.Method = "server/discover"
	hello, _ := x.door.Gateway.Query(ctx, x.credential, query) // who can't be asked has no tasks
	switch {
	case stateless && !hasTasks(hello.Result.Get("capabilities")):
		return x.fail(&wire.Error{Code: wire.CodeUnknownMethod, Message: "server " + server + " has no tasks"})
	case !able:
		return x.fail(&wire.Error{Code: wire.CodeCapability, Message: x.message.Method + " needs the extension " + extensionTasks,
			Data: []byte(`{"requiredCapabilities":{"extensions":{"` + extensionTasks + `":{}}}}`)})
	default:
		return x.fail(&wire.Error{Code: wire.CodeInvalidParams, Message: err.Error()})
	}
}

// underTask acts on an open task, which is a call of its own, or asks about it.
func (x *exchange) underTask(ctx context.Context, query *gateway.Query) (gateway.Answer, error) {
	if wire.FromClient[query.Method].Kind != sallyport.KindTask {
		return x.door.Gateway.Query(ctx, x.credential, query)
	}
	call := x.newCall(query.Server, sallyport.KindTask, query.Params)
	call.Name, call.Args = query.Method, query.Params
	return x.door.Gateway.Call(ctx, x.credential, call, &client{x, query.Server})
}

// queryAll asks every server, and is content when one of them could answer.
func (x *exchange) queryAll(ctx context.Context) post.Reply {
	replies := eachServer(x.here, func(server string) post.Reply {
		answer, err := x.door.Gateway.Query(ctx, x.credential, x.newQuery(server, x.message.Params))
		return x.answered(ctx, server, answer, err)
	})
	for _, r := range replies {
		if r.Err == nil {
			return r
		}
	}
	if len(replies) > 0 {
		return replies[0]
	}
	return post.Result([]byte("{}"))
}

// servers are those that the path means.
func (x *exchange) servers() []string {
	if x.server != "" {
		return []string{x.server}
	}
	return x.here
}

// eachServer does something with every server at the same time and gives the
// outcomes in order.
func eachServer[T any](servers []string, do func(server string) T) []T {
	outcomes := make([]T, len(servers))
	var group sync.WaitGroup
	for i, server := range servers {
		group.Go(func() { outcomes[i] = do(server) })
	}
	group.Wait()
	return outcomes
}

// hear takes a notification of an agent. Only the session's own go on to
// servers; those that nobody knows are dropped. A request without an id is
// refused: it would act and nobody could be told.
func (x *exchange) hear(ctx context.Context) *wire.Error {
	m := &x.message
	row := wire.Lookup(m.Method, x.revision)
	switch {
	case !strings.HasPrefix(m.Method, "notifications/"):
		return notARequest
	case m.Method == "notifications/cancelled":
		x.session.calls.Cancel(m.Params.Get("requestId"))
	case row.Treatment == wire.Sessions:
		eachServer(x.servers(), func(server string) error {
			// A server that can't be told loses nothing that it would act on.
			_, err := x.door.Gateway.Query(ctx, x.credential, x.newQuery(server, m.Params))
			return err
		})
	}
	return nil
}
