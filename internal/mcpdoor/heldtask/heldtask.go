// Package heldtask is a held call as a task of its agent's: it waits for people,
// then it is carried out, and its result is kept until the agent has come for it.
package heldtask

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/mcpdoor/told"
	"sallyport/internal/wire"
)

// prefix marks the handles of these tasks: the rest is the question's id. A
// handle says nothing by itself, it is looked up with its owner.
const prefix = "sallyport."

// ID is the handle of the task that waits for a question.
func ID(approval string) string { return prefix + approval }

// Approval is the question for which a task waits; ok is false for the task of a
// server.
func Approval(handle string) (id string, ok bool) { return strings.CutPrefix(handle, prefix) }

// PollEvery is how often an agent should look.
const PollEvery = 5 * time.Second

// The states of a task, in the words of MCP.
const (
	Working   = "working"
	Completed = "completed"
	Failed    = "failed"
	Cancelled = "cancelled"
)

// Task is what an agent gets to see.
type Task struct {
	Asked    *sallyport.Approval
	Status   string
	Message  string
	Answer   post.Reply // once it is completed or failed
	Modified time.Time
}

// Waiting is the task of a question that people have not answered yet; page is
// where they do.
func Waiting(asked *sallyport.Approval, page string, now time.Time) Task {
	return Task{Asked: asked, Status: Working, Modified: now, Message: told.Waiting(asked) + "Nothing has been done yet. " + page}
}

// Created is the result that stands for the held call's own.
func (t *Task) Created(stateless bool) []byte {
	if stateless {
		return append(t.append([]byte(`{"resultType":"task",`), true), '}')
	}
	return append(t.append([]byte(`{"task":{`), false), "}}"...)
}

// got is the result of tasks/get, and in the session era of tasks/cancel.
func (t *Task) got(stateless bool) []byte {
	if !stateless {
		return append(t.append([]byte{'{'}, false), '}')
	}
	dst := t.append([]byte(`{"resultType":"complete",`), true)
	switch t.Status {
	case Completed:
		dst = append(append(dst, `,"result":`...), t.Answer.Result...)
	case Failed:
		dst = append(append(dst, `,"error":`...), t.Answer.Err...)
	}
	return append(dst, '}')
}

// Answers is the answer to a request about the task: a result, or an error
// object. A result of tasks/result is there once the task has ended.
func (t *Task) Answers(method string, stateless bool, serverInfo []byte) (result, fault []byte) {
	switch {
	case method == "tasks/result" && t.Answer.Err != nil:
		return nil, t.Answer.Err
	case method == "tasks/result" && t.Status == Completed:
		result, err := related(t.Answer.Result, sallyport.AppendString(nil, ID(t.Asked.ID)))
		if err != nil {
			return nil, (&wire.Error{Code: wire.CodeUnavailable, Message: err.Error()}).Object()
		}
		return result, nil
	case method == "tasks/result":
		return nil, (&wire.Error{Code: wire.CodeInvalidParams, Message: "the task was cancelled"}).Object()
	case stateless && method != "tasks/get":
		return append(append([]byte(`{"resultType":"complete","_meta":{"`+wire.MetaServerInfo+`":`), serverInfo...), "}}"...), nil
	}
	return t.got(stateless), nil
}

func (t *Task) append(dst []byte, stateless bool) []byte {
	dst = sallyport.AppendString(append(dst, `"taskId":`...), ID(t.Asked.ID))
	dst = sallyport.AppendString(append(dst, `,"status":`...), t.Status)
	dst = sallyport.AppendString(append(dst, `,"statusMessage":`...), t.Message)
	dst = sallyport.AppendString(append(dst, `,"createdAt":`...), t.Asked.Asked.UTC().Format(time.RFC3339))
	dst = sallyport.AppendString(append(dst, `,"lastUpdatedAt":`...), t.Modified.UTC().Format(time.RFC3339))
	ttl, poll := `,"ttl":`, `,"pollInterval":`
	if stateless {
		ttl, poll = `,"ttlMs":`, `,"pollIntervalMs":`
	}
	dst = strconv.AppendInt(append(dst, ttl...), t.Asked.Expires.Sub(t.Asked.Asked).Milliseconds(), 10)
	return strconv.AppendInt(append(dst, poll...), PollEvery.Milliseconds(), 10)
}

const relatedTask = "io.modelcontextprotocol/related-task"

// related is the task's own result, as tasks/result of the session era gives it:
// it says to which task it belongs.
func related(result []byte, handle []byte) ([]byte, error) {
	v, err := sallyport.Parse(result)
	if err != nil {
		return nil, err
	}
	mark := append(append([]byte(`"`+relatedTask+`":{"taskId":`), handle...), '}')
	meta := v.Get("_meta")
	switch {
	case meta.Get(relatedTask).Type() != sallyport.Absent:
		return Renamed(result, handle)
	case meta.Type() == sallyport.Object && meta.Len() > 0:
		raw := meta.Raw()
		return v.Splice(sallyport.Edit{Target: meta, With: append(append(append([]byte{'{'}, mark...), ','), raw[1:]...)}), nil
	case meta.Type() != sallyport.Absent || v.Len() == 0:
		return nil, errors.New("not a result of a tool")
	}
	return append(append(append([]byte(`{"_meta":{`), mark...), "},"...), v.Raw()[1:]...), nil
}

// Renamed is a server's answer about its task under the handle that the agent
// knows, which is raw.
func Renamed(result, handle []byte) ([]byte, error) {
	v, err := sallyport.Parse(result)
	if err != nil {
		return nil, err
	}
	var edits []sallyport.Edit
	for _, id := range []sallyport.Value{v.Get("taskId"), v.Get("task").Get("taskId"), v.Get("_meta").Get(relatedTask).Get("taskId")} {
		if id.Type() != sallyport.Absent {
			edits = append(edits, sallyport.Edit{Target: id, With: handle})
		}
	}
	if len(edits) == 0 {
		return result, nil
	}
	return v.Splice(edits...), nil
}

// Params are those of the call that a question is about, from the very bytes that
// people answered. meta is that of the request that has it carried out now.
func Params(question []byte, meta sallyport.Value) (sallyport.Value, error) {
	asked, err := sallyport.Parse(question)
	if err != nil {
		return sallyport.Value{}, err
	}
	dst := []byte{'{'}
	for name, value := range asked.Get("params").Members() {
		dst = append(append(sallyport.AppendString(dst, name), ':'), value.Raw()...)
		dst = append(dst, ',')
	}
	if args := asked.Get("args"); args.Type() != sallyport.Absent {
		dst = append(append(append(dst, `"arguments":`...), args.Raw()...), ',')
	}
	if meta.Type() == sallyport.Object {
		dst = append(append(append(dst, `"_meta":`...), meta.Raw()...), ',')
	}
	return sallyport.Parse(append(dst[:len(dst)-1], '}'))
}

// Request is what an agent wants of a task, and when.
type Request struct {
	Cancel     bool
	At         time.Time
	Keep       time.Duration // for how long a result is kept
	Page       string        // where people answer
	Unreadable error         // what was asked can't be had any more
}

// Runs are the tasks that are being carried out, or have been, by this process.
type Runs struct {
	mu     sync.Mutex
	runs   map[string]*run // by the question
	going  sync.WaitGroup
	closed bool
}

type run struct {
	stop context.CancelFunc

	mu        sync.Mutex
	answer    *post.Reply // nil until there is one
	cancelled bool
}

// Now is how the task of a question stands, after what an agent wants of it. When
// people have answered, and only then, carry has the call carried out; it begins
// once.
func (r *Runs) Now(asked *sallyport.Approval, q Request, carry func(ctx context.Context) post.Reply) Task {
	t := Task{Asked: asked, Modified: q.At, Status: Failed}
	r.mu.Lock()
	defer r.mu.Unlock()
	begun := r.runs[asked.ID]
	switch {
	case begun != nil:
		if q.Cancel {
			begun.cancel()
		}
		begun.show(&t)
		return t
	case asked.At(q.At).State == sallyport.Pending && !q.Cancel:
		return Waiting(asked, q.Page, q.At)
	case asked.State == sallyport.Spent:
		t.Message = "The call has been carried out (call " + asked.Spent + "), and what came of it is not kept here. Don't repeat it: people find it in the log."
	case asked.State == sallyport.Expired && asked.By != "": // withdrawn, or killed
		t.Status, t.Message = Cancelled, "The question was closed: "+asked.Reason+"."
		return t
	case asked.Over(q.At): // what is carried out now would be a new question
		t.Message = "The time to answer is over. Make the call again."
	case q.Cancel:
		t.Message = "The question can't be closed now: it stays open until its time is over."
	case q.Unreadable != nil:
		t.Message = "What was asked is not kept any more. Make the call again."
	default:
		r.begin(asked.ID, q.Keep, carry).show(&t)
		return t
	}
	t.Answer.Err = (&wire.Error{Code: wire.CodeUnavailable, Message: t.Message}).Object()
	return t
}

// begin has do carry a call out, and keeps what comes of it for a while; r.mu is
// held.
func (r *Runs) begin(approval string, keep time.Duration, do func(ctx context.Context) post.Reply) *run {
	ctx, stop := context.WithCancel(context.Background())
	begun := &run{stop: stop}
	if r.closed {
		stop()
		return begun
	}
	if r.runs == nil {
		r.runs = map[string]*run{}
	}
	r.runs[approval] = begun
	r.going.Go(func() {
		defer stop()
		answer := do(ctx)
		begun.mu.Lock()
		begun.answer = &answer
		begun.mu.Unlock()
		time.AfterFunc(keep, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.runs, approval)
		})
	})
	return begun
}

// cancel ends what runs. What has ended stays as it ended.
func (b *run) cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == nil {
		b.cancelled = true
		b.stop()
	}
}

// show says in a task how its run stands.
func (b *run) show(t *Task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.cancelled:
		t.Status, t.Message = Cancelled, "Cancelled by the agent."
	case b.answer == nil:
		t.Status, t.Message = Working, "People have answered: the call is being carried out."
	case b.answer.Err != nil:
		t.Status, t.Message, t.Answer = Failed, "The call has failed.", *b.answer
	default:
		t.Status, t.Message, t.Answer = Completed, "The call has ended.", *b.answer
	}
}

// Close ends what runs, and begins nothing more.
func (r *Runs) Close() {
	r.mu.Lock()
	r.closed = true
	for _, begun := range r.runs {
		begun.stop()
	}
	r.mu.Unlock()
	r.going.Wait()
}
