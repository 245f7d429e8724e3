package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/inflight"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/mcpdoor/told"
	"sallyport/internal/wire"
)

// metaDecision is where a refused tools/call carries what machines want to
// know: structuredContent would have to fit the tool's outputSchema.
const metaDecision = "sallyport/decision"

// released turns the outcome of a call into the answer. A decision against a
// tools/call is a result, so that the model reads it; a tool that is not there
// and a server that gave no answer are errors, as they are without us.
func (x *exchange) released(ctx context.Context, call *sallyport.Call, answer gateway.Answer, err error) post.Reply {
	refused, ok := errors.AsType[*sallyport.RefusedError](err)
	if !ok || call.Kind != sallyport.KindTool {
		return x.answered(ctx, call.Server, answer, err)
	}
	switch refused.Cause {
	case sallyport.CauseIdentity, sallyport.CauseMethod, sallyport.CauseServer, sallyport.CauseUnknown, sallyport.CauseWire:
		return x.answered(ctx, call.Server, answer, err)
	case sallyport.CauseHold:
		if told.Waits(refused) && x.asTask(ctx, call) {
			return x.taskFor(ctx, call.Server, refused)
		}
		fallthrough
	default:
		return post.Result(x.toolResult(told.Text(refused), told.Machine(refused), !told.Waits(refused) || x.promises(call)))
	}
}

// answered turns what came of a request into the answer.
func (x *exchange) answered(ctx context.Context, server string, answer gateway.Answer, err error) post.Reply {
	switch {
	case errors.Is(context.Cause(ctx), inflight.ErrCancelled):
		return post.Reply{Silent: true}
	case err != nil:
		return x.failed(err)
	case answer.Error.Type() != sallyport.Absent:
		object := answer.Error.Raw()
		if x.server == "" {
			object = wire.Naming(server).Error(answer.Error)
		}
		return post.Reply{Err: object, Status: x.status(answer)}
	case x.server == "":
		return post.Reply{Result: wire.Naming(server).Result(answer.Result), Status: http.StatusOK, Stream: answer.Streamed}
	}
	return post.Reply{Result: answer.Result.Raw(), Status: http.StatusOK, Stream: answer.Streamed}
}

// status is the HTTP status of a server's error: its own where it had one.
func (x *exchange) status(answer gateway.Answer) int {
	switch {
	case !wire.IsStateless(x.revision):
		return http.StatusOK
	case answer.Status != 0:
		return answer.Status
	case string(answer.Error.Get("code").Raw()) == "-32601":
		return http.StatusNotFound
	default:
		return http.StatusOK
	}
}

// failed answers with an error: a refusal, or that a server gave no answer.
func (x *exchange) failed(err error) post.Reply {
	refused, ok := errors.AsType[*sallyport.RefusedError](err)
	if !ok {
		return x.fail(&wire.Error{Code: wire.CodeUnavailable, Message: err.Error()})
	}
	code := wire.CodeRefused
	switch refused.Cause {
	case sallyport.CauseMethod:
		code = wire.CodeUnknownMethod
	case sallyport.CauseUnknown, sallyport.CauseWire: // nothing of that name for anybody, or nothing that can be read
		code = wire.CodeInvalidParams
	}
	return x.fail(&wire.Error{Code: code, Message: told.Text(refused), Data: told.Machine(refused)})
}

// promises reports whether a tool has an outputSchema: then clients take a
// result without structured content that fits for broken, unless it is an error.
func (x *exchange) promises(call *sallyport.Call) bool {
	tool := x.door.Tool(call.Server, call.Name)
	return tool == nil || tool.Raw.Get("outputSchema").Type() != sallyport.Absent
}

// toolResult is a result of our own; machine is raw.
func (x *exchange) toolResult(text string, machine []byte, isError bool) []byte {
	dst := sallyport.AppendString([]byte(`{"content":[{"type":"text","text":`), text)
	dst = strconv.AppendBool(append(dst, `}],"isError":`...), isError)
	if wire.IsStateless(x.revision) {
		dst = append(dst, `,"resultType":"complete"`...)
	}
	return append(append(append(dst, `,"_meta":{"`+metaDecision+`":`...), machine...), "}}"...)
}
