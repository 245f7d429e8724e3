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
		if pending(refused) && x.asTask(ctx, call) {
			return x.taskFor(ctx, call.Server, refused)
		}
		fallthrough
	default:
		return post.Result(x.toolResult(refusal(refused), decision(refused), !pending(refused) || x.promises(call)))
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
	return x.fail(&wire.Error{Code: code, Message: refusal(refused), Data: decision(refused)})
}

// refusal is what the agent reads: the reason, and under which id people find
// the call in the log.
func refusal(e *sallyport.RefusedError) string {
	if pending(e) {
		return waiting(e)
	}
	if e.CallID == "" {
		return e.Error()
	}
	return e.Error() + " (call " + e.CallID + ")"
}

// decision is a refusal for machines: {"call","cause","rules","asks"}, and what
// to wait for where people are asked.
func decision(e *sallyport.RefusedError) []byte {
	dst := sallyport.AppendString([]byte(`{"call":`), e.CallID)
	dst = sallyport.AppendString(append(dst, `,"cause":`...), string(e.Cause))
	dst = append(dst, `,"rules":[`...)
	for i, rule := range e.Decision.Rules {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sallyport.AppendString(dst, rule.ID)
	}
	dst = append(dst, `],"asks":[`...)
	for i, group := range e.Decision.Asks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sallyport.AppendString(dst, group)
	}
	dst = append(dst, ']')
	if e.Approval.ID != "" {
		dst = appendApproval(dst, e)
	}
	return append(dst, '}')
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
