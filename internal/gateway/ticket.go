package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport"
	"sallyport/internal/breaker"
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
	found    []sallyport.Finding // in the arguments
	modified []string            // of the arguments, which a server had sent otherwise
	entry    sallyport.Entry
	charges  []sallyport.Charge // reserved
	deadline time.Time
	leave    func(breaker.End, time.Duration) // the breakers; nil where none looks
}

// hearing stands between a server and the agent while a call runs: nothing
// that the server says reaches the agent without Hear.
type hearing struct {
	ticket *Ticket
	client Client
}

func (h *hearing) Tell(ctx context.Context, message wire.Message) error {
	params, err := h.ticket.Hear(ctx, message)
	if message.Params = params; err == nil {
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

// Hear judges a notification that came under the ticket and gives its params as
// they may be passed on. An error means that it is withheld.
func (t *Ticket) Hear(ctx context.Context, message wire.Message) (sallyport.Value, error) {
	switch wire.FromServer[message.Method].Treatment {
	case wire.Sessions, wire.Tickets:
	default:
		return sallyport.Value{}, fmt.Errorf("%s: not a notification that a server may send", message.Method)
	}
	under, err := t.ofTask(message)
	if err != nil {
		return sallyport.Value{}, err
	}
	return under.tell(ctx, message.Params)
}

// tell lets go what no outcome will hold: progress, what lists say, what a task
// brought. Nothing reaches an agent unremembered.
func (t *Ticket) tell(ctx context.Context, text sallyport.Value) (sallyport.Value, error) {
	j, err := t.judge(ctx, text)
	if err != nil {
		return sallyport.Value{}, err
	}
	return j.value, t.gateway.Memories.Heard(ctx, t.judged, j.value, namesOf(j.found))
}

// release lets go of the result that the outcome holds, of which entry says
// what was seen and done.
func (t *Ticket) release(ctx context.Context, result *sallyport.Value, entry *sallyport.Entry) (kept sallyport.Value, err error) {
	j, err := t.judge(ctx, *result)
	entry.Findings, entry.Modified, entry.Observed = findings(j.found), j.modified, j.observed
	if err != nil || j.modified != nil || j.observed {
		entry.Rules = ids(j.decision.Rules)
	}
	if err != nil {
		return j.kept, err
	}
	t.gateway.Memories.Saw(t.judged, j.value, namesOf(j.found))
	*result = j.value
	return j.kept, nil
}

// Close ends the ticket: it judges the answer, appends the outcome, and only
// then gives the answer back for release. err is what Execute said.
func (t *Ticket) Close(ctx context.Context, answer Answer, err error) (Answer, error) {
	var entry sallyport.Entry
	answered, came := err == nil, answer.Result
	kept, reason := t.outcome(ctx, &answer, err, &entry)
	if entry.Reason = textOf(reason); reason == nil && t.Call.Kind != sallyport.KindTask { // which opens none: its own goes on
		entry.Task = taskOf(answer)
	}
	entry.Modified = append(entry.Modified, t.modified...)
	t.left(ctx, &entry, err)
	if err := t.end(ctx, kept, entry, answered, came); err != nil {
		return Answer{}, &sallyport.RefusedError{CallID: t.Call.ID, Cause: sallyport.CauseLog, Decision: sallyport.Decision{
			Reason: "the call was carried out, but its outcome cannot be recorded, so the result is withheld: " + err.Error()}}
	}
	if reason != nil {
		return Answer{}, reason
	}
	if entry.Task != "" {
		t.gateway.tasks.open(entry.Task, t)
	}
	return answer, nil
}

// end appends the outcome, of which entry says how the call ended, and settles
// what was reserved by what the server answered.
func (t *Ticket) end(ctx context.Context, kept sallyport.Value, entry sallyport.Entry, answered bool, came sallyport.Value) error {
	entry.Time, entry.Type = t.gateway.Now(), sallyport.Closed
	entry.Call, entry.Parent, entry.Kind, entry.Server, entry.Name = t.Call.ID, t.Call.Parent, t.Call.Kind, t.Call.Server, t.Call.Name
	entry.Principal, entry.Run, entry.ParentRun = t.Call.Principal, t.Call.Run.ID, t.Call.Run.Parent
	entry.Took = entry.Time.Sub(t.entry.Time)
	record := &sallyport.Record{Entry: entry, Result: kept.Raw()}
	if t.charges != nil {
		record.Charges = t.gateway.Limits().Settle(t.charges, t.judged, entry.Outcome, answered, came)
	}
	dearer := t.gateway.dearer(ctx, record.Charges)
	// The outcome is recorded even when the agent has hung up.
	if err := t.gateway.Log.Append(context.WithoutCancel(ctx), record); err != nil {
		return err
	}
	t.gateway.alert(ctx, dearer)
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

// outcome says in entry how the call ended, and gives what the log keeps of the
// answer. A non-nil reason means that the answer is not released.
func (t *Ticket) outcome(ctx context.Context, answer *Answer, err error, entry *sallyport.Entry) (kept sallyport.Value, reason error) {
	text := &answer.Result
	if answer.Error.Type() != sallyport.Absent {
		text = &answer.Error
	}
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnanswered)):
		entry.Outcome = sallyport.OutcomeUnknown
		return *text, err
	case err != nil:
		entry.Outcome = sallyport.OutcomeError
		return *text, err
	}
	entry.Outcome = sallyport.OutcomeWithheld
	if kept, err = t.release(ctx, text, entry); err != nil {
		return kept, err
	}
	if answer.Error.Type() != sallyport.Absent {
		entry.Outcome = sallyport.OutcomeError
		return kept, nil
	}
	if err := t.hearInputRequests(ctx, answer.Result); err != nil {
		return kept, err
	}
	if id := taskOf(*answer); len(id) > maxText {
		return kept, fmt.Errorf("the server opened a task with a handle of %d bytes; at most %d can be recorded", len(id), maxText)
	}
	entry.Outcome = sallyport.OutcomeOK
	if answer.Result.Get("isError").Type() == sallyport.True {
		entry.Outcome = sallyport.OutcomeToolErr
	}
	return kept, nil
}

// ErrUnanswered marks an Execute that sent the call and never got an answer:
// the server may have acted.
var ErrUnanswered = errors.New("the server took the call and gave no answer")
