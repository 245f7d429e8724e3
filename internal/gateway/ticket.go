package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// Ticket is the right to carry out one decided and recorded call. Only Open
// makes one, and it is closed once.
type Ticket struct {
	Call *sallyport.Call
	Tool *sallyport.Definition // pinned; nil for kinds that have none

	gateway  *Gateway
	judged   *sallyport.Call // what policy sees: Call, or the call that opened the task on which Call acts
	decision sallyport.Decision
	entry    sallyport.Entry
	deadline time.Time
}

// hearing stands between a server and the agent while a call runs: nothing
// that the server says reaches the agent without Hear.
type hearing struct {
	ticket *Ticket
	client Client
}

func (h *hearing) Tell(ctx context.Context, message wire.Message) error {
	err := h.ticket.Hear(ctx, message)
	if err == nil {
		// A task says in a notification, too, what it asks.
		err = h.ticket.hearInputRequests(ctx, message.Params)
	}
	if err != nil {
		return nil // withheld from the agent; the server need not know
	}
	return h.client.Tell(ctx, message)
}

func (h *hearing) Ask(ctx context.Context, message wire.Message) (Answer, error) {
	return h.ticket.ask(ctx, message, h.client)
}

func (h *hearing) Poll(retry time.Duration, resumable bool) {
	if poller, ok := h.client.(Poller); ok {
		poller.Poll(retry, resumable)
	}
}

// Hear judges a notification that came under the ticket. An error means that
// it is withheld.
func (t *Ticket) Hear(ctx context.Context, message wire.Message) error {
	switch wire.FromServer[message.Method].Treatment {
	case wire.Sessions, wire.Tickets:
	default:
		return fmt.Errorf("%s: not a notification that a server may send", message.Method)
	}
	under, err := t.ofTask(message)
	if err != nil {
		return err
	}
	return under.tell(ctx, message.Params)
}

// tell lets go what no outcome will hold: progress, what lists say, what a task
// brought. Nothing reaches an agent unremembered.
func (t *Ticket) tell(ctx context.Context, text sallyport.Value) error {
	if err := t.judge(text); err != nil {
		return err
	}
	return t.gateway.Memories.Heard(ctx, t.judged, text)
}

// release lets go of the result that the outcome holds.
func (t *Ticket) release(result sallyport.Value) error {
	if err := t.judge(result); err != nil {
		return err
	}
	t.gateway.Memories.Saw(t.judged, result)
	return nil
}

// judge asks the rules marked @on("result") whether what came back may reach the
// agent.
func (t *Ticket) judge(result sallyport.Value) error {
	if rules := t.gateway.Rules(); rules.JudgesResults() {
		decision := policy.DecideResult(rules, &sallyport.Facts{Call: t.judged, Tool: t.Tool, Result: result})
		if decision.Verdict != sallyport.Allow && !t.gateway.Observe() {
			return &sallyport.RefusedError{CallID: t.Call.ID, Cause: sallyport.CauseResult, Decision: decision}
		}
	}
	return nil
}

// Close ends the ticket: it judges the answer, appends the outcome, and only
// then gives the answer back for release. err is what Execute said.
func (t *Ticket) Close(ctx context.Context, answer Answer, err error) (Answer, error) {
	outcome, reason := t.outcome(ctx, &answer, err)
	task := ""
	if reason == nil && t.Call.Kind != sallyport.KindTask { // which opens none: its own goes on
		task = taskOf(answer)
	}
	if err := t.end(ctx, answer, sallyport.Entry{Outcome: outcome, Reason: textOf(reason), Task: task}); err != nil {
		return Answer{}, &sallyport.RefusedError{CallID: t.Call.ID, Cause: sallyport.CauseLog, Decision: sallyport.Decision{
			Reason: "the call was carried out, but its outcome cannot be recorded, so the result is withheld: " + err.Error()}}
	}
	if reason != nil {
		return Answer{}, reason
	}
	if task != "" {
		t.gateway.tasks.open(task, t)
	}
	return answer, nil
}

// end appends the outcome, of which entry says how the call ended.
func (t *Ticket) end(ctx context.Context, answer Answer, entry sallyport.Entry) error {
	entry.Time, entry.Type = t.gateway.Now(), sallyport.Closed
	entry.Call, entry.Parent, entry.Kind, entry.Server, entry.Name = t.Call.ID, t.Call.Parent, t.Call.Kind, t.Call.Server, t.Call.Name
	entry.Principal, entry.Run, entry.ParentRun = t.Call.Principal, t.Call.Run.ID, t.Call.Run.Parent
	entry.Took = entry.Time.Sub(t.entry.Time)
	record := &sallyport.Record{Entry: entry, Result: answer.Result.Raw()}
	if answer.Error.Type() != sallyport.Absent {
		record.Result = answer.Error.Raw()
	}
	// The outcome is recorded even when the agent has hung up.
	if err := t.gateway.Log.Append(context.WithoutCancel(ctx), record); err != nil {
		return err
	}
	t.gateway.Watcher.Ended(&record.Entry)
	return nil
}

// textOf is an error's text as an entry has it, "" for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return cut(err.Error())
}

// outcome says how the call ended. A non-nil reason means that the answer is
// not released.
func (t *Ticket) outcome(ctx context.Context, answer *Answer, err error) (sallyport.Outcome, error) {
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnanswered)):
		return sallyport.OutcomeUnknown, err
	case err != nil:
		return sallyport.OutcomeError, err
	case answer.Error.Type() != sallyport.Absent:
		if err := t.release(answer.Error); err != nil {
			return sallyport.OutcomeWithheld, err
		}
		return sallyport.OutcomeError, nil
	}
	if err := t.release(answer.Result); err != nil {
		return sallyport.OutcomeWithheld, err
	}
	if err := t.hearInputRequests(ctx, answer.Result); err != nil {
		return sallyport.OutcomeWithheld, err
	}
	if id := taskOf(*answer); len(id) > maxText {
		return sallyport.OutcomeWithheld, fmt.Errorf("the server opened a task with a handle of %d bytes; at most %d can be recorded", len(id), maxText)
	}
	if answer.Result.Get("isError").Type() == sallyport.True {
		return sallyport.OutcomeToolErr, nil
	}
	return sallyport.OutcomeOK, nil
}

// ErrUnanswered marks an Execute that sent the call and never got an answer:
// the server may have acted.
var ErrUnanswered = errors.New("the server took the call and gave no answer")
