package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/mcpdoor/heldtask"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// asTask reports whether the agent of a held call takes a task for an answer: in
// the session era it asks for one, in the stateless era both ends must have said
// that there can be one.
func (x *exchange) asTask(ctx context.Context, call *sallyport.Call) bool {
	switch {
	case x.message.Method != "tools/call":
		return false // a task's own call
	case !wire.IsStateless(x.revision):
		return x.revision >= wire.Revision20251125 && call.Params.Get("task").Type() == sallyport.Object
	case !hasTasks(call.Params.Get("_meta").Get(wire.MetaCapabilities)):
		return false
	}
	// What is held does not go along.
	params, err := sallyport.Parse(append(append([]byte(`{"_meta":`), call.Params.Get("_meta").Raw()...), '}'))
	if err != nil {
		return false
	}
	query := x.newQuery(call.Server, params)
	query.Method = "server/discover"
	hello, err := x.door.Gateway.Query(ctx, x.credential, query)
	return err == nil && hasTasks(hello.Result.Get("capabilities"))
}

// taskFor answers a held call with a task.
func (x *exchange) taskFor(ctx context.Context, server string, e *sallyport.RefusedError) post.Reply {
	t := heldtask.Waiting(&e.Approval, x.door.Page(e.Approval.ID), x.door.Now())
	return x.own(ctx, server, t.Created(wire.IsStateless(x.revision)))
}

// own is a result that we have made in a server's place.
func (x *exchange) own(ctx context.Context, server string, raw []byte) post.Reply {
	made, err := sallyport.Parse(raw)
	return x.answered(ctx, server, gateway.Answer{Result: made}, err)
}

// heldTask serves a request about the task that stands for a held call. The
// question behind it is its memory: it survives a restart. The call is carried
// out when its agent asks how the task is and people have answered; so nothing
// happens for an agent that never comes back. ok is false when the agent has no
// such task.
func (x *exchange) heldTask(ctx context.Context, server string, params sallyport.Value) (answer post.Reply, ok bool) {
	handle, _ := params.Get("taskId").Text()
	id, ours := heldtask.Approval(handle)
	if !ours {
		return answer, false
	}
	for {
		asked, err := x.door.Question(ctx, id)
		if asked.ID != id || asked.Server != server || ownerOf(asked.Principal) != x.owner || asked.Run != x.run {
			return answer, false
		}
		if theirs := x.door.TaskOf(ctx, asked.Spent); asked.Spent != "" && theirs != "" {
			return x.serverTask(ctx, server, params, theirs), true
		}
		if x.message.Method == "tasks/cancel" {
			x.withdraw(ctx, &asked)
		}
		t := x.heldNow(&asked, err, params)
		if x.message.Method == "tasks/result" && t.Status == heldtask.Working {
			select {
			case <-time.After(lookEvery):
				continue
			case <-x.gone:
			case <-x.door.draining:
			case <-ctx.Done():
			}
			return x.fail(&wire.Error{Code: wire.CodeUnavailable, Message: "task " + handle + " still waits: ask again"}), true
		}
		raw, fault := t.Answers(x.message.Method, wire.IsStateless(x.revision), x.door.serverInfo())
		if fault != nil {
			return post.Reply{Err: fault, Status: http.StatusOK}, true
		}
		return x.own(ctx, server, raw), true
	}
}

// withdraw closes the question of a task that its agent cancels, so that nobody
// is asked in vain. One that is over already stays as it is.
func (x *exchange) withdraw(ctx context.Context, asked *sallyport.Approval) {
	withdrawn, err := asked.Withdraw(x.owner.agent, x.door.Now())
	if err == nil {
		err = x.door.Withdraw(ctx, withdrawn, x.owner.agent)
	}
	if err == nil {
		*asked = withdrawn
	}
}

// heldNow is how the task of a question stands, after what the request wants of
// it.
func (x *exchange) heldNow(asked *sallyport.Approval, unreadable error, params sallyport.Value) heldtask.Task {
	own, err := heldtask.Params(asked.Question, params.Get("_meta"))
	call := x.newCall(asked.Server, sallyport.KindTool, own)
	call.Method, call.Args = "tools/call", own.Get("arguments")
	call.Name, _ = own.Get("name").Text()
	under := *x
	under.server = asked.Server // names are given once, with the rest of the task
	return x.door.runs.Now(asked, heldtask.Request{
		Cancel: x.message.Method == "tasks/cancel", At: x.door.Now(), Keep: x.door.Patience, Page: x.door.Page(asked.ID),
		Unreadable: errors.Join(unreadable, err),
	}, func(ctx context.Context) post.Reply {
		answer, err := under.door.Gateway.Call(ctx, under.credential, call, nobody{})
		return under.released(ctx, call, answer, err)
	})
}

// serverTask passes on a request about a task of ours that has become one of a
// server: agents know it by our handle.
func (x *exchange) serverTask(ctx context.Context, server string, params sallyport.Value, theirs string) post.Reply {
	own, err := sallyport.Parse(params.Splice(sallyport.Edit{Target: params.Get("taskId"), With: sallyport.AppendString(nil, theirs)}))
	if err != nil {
		return x.fail(&wire.Error{Code: wire.CodeInternal, Message: err.Error()})
	}
	answer := x.passTask(ctx, server, own)
	if answer.Err == nil && !answer.Silent {
		if answer.Result, err = heldtask.Renamed(slices.Clone(answer.Result), x.message.Params.Get("taskId").Raw()); err != nil {
			return x.fail(&wire.Error{Code: wire.CodeUnavailable, Message: err.Error()})
		}
	}
	return answer
}

// nobody is the agent's end of a call for which no request is open.
type nobody struct{}

func (nobody) Tell(context.Context, wire.Message) error { return nil }
func (nobody) Ask(_ context.Context, m wire.Message) (gateway.Answer, error) {
	return unanswerable(m.Method), nil
}
