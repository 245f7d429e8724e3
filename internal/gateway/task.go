package gateway

import (
	"context"
	"fmt"
	"sync"

	"sallyport"
	"sallyport/internal/wire"
)

// tasks are the tickets of calls whose server answered with a task handle.
// Only the run whose call opened a task can reach it: another one would read
// what the first has asked for, and would not be known to have read it.
type tasks struct {
	mu        sync.RWMutex
	tickets   map[taskKey]*Ticket
	held      map[holder]int
	restoring chan struct{} // closed when those of before a restart are there; nil when there are none to come
}

type taskKey struct{ server, id string }

// holder is who holds tasks at a server.
type holder struct{ server, tenant, user, agent string }

func holderOf(server string, p *sallyport.Principal) holder {
	return holder{server, p.Tenant, p.User, p.Agent}
}

// taskOf is the handle in an answer that opened a task (tasks extension of
// MCP 2026-07-28; experimental tasks of 2025-11-25), "" for any other answer.
func taskOf(answer Answer) string {
	result := answer.Result
	if kind, _ := result.Get("resultType").Text(); kind == "task" {
		if id, ok := result.Get("taskId").Text(); ok {
			return id
		}
	}
	id, _ := result.Get("task").Get("taskId").Text()
	return id
}

func (t *tasks) open(id string, ticket *Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tickets == nil {
		t.tickets, t.held = map[taskKey]*Ticket{}, map[holder]int{}
	}
	key := taskKey{ticket.Call.Server, id}
	if before := t.tickets[key]; before != nil {
		t.held[holderOf(key.server, &before.Call.Principal)]--
	}
	t.tickets[key] = ticket
	t.held[holderOf(key.server, &ticket.Call.Principal)]++
}

// any reports whether a principal holds a task at a server.
func (t *tasks) any(server string, principal sallyport.Principal) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.held[holderOf(server, &principal)] > 0
}

func (t *tasks) ticket(server, id string, principal sallyport.Principal, run sallyport.Run) *Ticket {
	t.mu.RLock()
	defer t.mu.RUnlock()
	ticket := t.tickets[taskKey{server, id}]
	if ticket == nil || ticket.Call.Run.ID != run.ID || holderOf(server, &ticket.Call.Principal) != holderOf(server, &principal) {
		return nil
	}
	return ticket
}

// TaskOf is the open task that a call has opened, "" for none.
func (g *Gateway) TaskOf(ctx context.Context, call string) string {
	g.tasks.settle(ctx)
	g.tasks.mu.RLock()
	defer g.tasks.mu.RUnlock()
	for key, ticket := range g.tasks.tickets {
		if ticket.Call.ID == call {
			return key.id
		}
	}
	return ""
}

// RestoringTasks says that RestoreTask will be called, until done: whoever asks
// for a task meanwhile waits, and is not told that there is none.
func (g *Gateway) RestoringTasks() (done func()) {
	restoring := make(chan struct{})
	g.tasks.mu.Lock()
	defer g.tasks.mu.Unlock()
	g.tasks.restoring = restoring
	return func() { close(restoring) }
}

// settle waits until the tasks of before a restart are there.
func (t *tasks) settle(ctx context.Context) {
	t.mu.RLock()
	restoring := t.restoring
	t.mu.RUnlock()
	if restoring == nil {
		return
	}
	select {
	case <-restoring:
	case <-ctx.Done(): // and what is not there is refused
	}
}

// RestoreTask reopens the ticket of a task after a restart, from the log.
func (g *Gateway) RestoreTask(id string, call *sallyport.Call) {
	ticket := &Ticket{Call: call, judged: call, gateway: g}
	ticket.Tool, _ = g.Pins.Admit(call)
	g.tasks.open(id, ticket)
}

// task is the open ticket that a request about a task is under. A server of
// which nothing is accepted any more has none: another program may be reached
// under its name, and neither its words nor ours are the task's.
func (g *Gateway) task(ctx context.Context, server string, params sallyport.Value, principal sallyport.Principal, run sallyport.Run) (*Ticket, error) {
	g.tasks.settle(ctx)
	id, _ := params.Get("taskId").Text()
	ticket := g.tasks.ticket(server, id, principal, run)
	if ticket == nil {
		return nil, sallyport.Refuse(sallyport.CauseMethod, "no open task %q", id)
	}
	// What it brings is its tool's, which may have been killed since.
	if err := g.Kills.Stops(ticket.target()); err != nil {
		return ticket, err
	}
	return ticket, g.Pins.Accepted(server)
}

// judgedAs is the call that policy judges: the call itself, but for an act on a
// task the one that opened it, as if its principal of now asked for it again.
// What may not be begun any more may not be fed either.
func (g *Gateway) judgedAs(ctx context.Context, call *sallyport.Call) (*sallyport.Call, error) {
	if call.Kind != sallyport.KindTask {
		return call, nil
	}
	if wire.FromClient[call.Method].Kind != sallyport.KindTask { // else anything could go out under an open task
		return call, sallyport.Refuse(sallyport.CauseMethod, "%s: not an act on a task", call.Method)
	}
	ticket, err := g.task(ctx, call.Server, call.Params, call.Principal, call.Run)
	if ticket == nil {
		return call, err
	}
	call.Parent = ticket.Call.ID
	opened := *ticket.Call
	opened.Principal, opened.Run = call.Principal, call.Run
	return &opened, err
}

// openCancel opens the end of a task. Policy has no say in it: whoever could
// begin a task can stop it, also when the tool has been quarantined or
// forbidden since, or revoking would keep alive what it is meant to end.
func (g *Gateway) openCancel(ctx context.Context, call *sallyport.Call, facts *sallyport.Facts) (*Ticket, error) {
	facts.Tool, _ = g.Pins.Admit(facts.Call)
	decision := sallyport.Decision{Verdict: sallyport.Allow, Policy: g.Rules().Digest(), Reason: "Who opened a task may end it."}
	record := g.record(sallyport.Intent, call, facts, decision)
	record.Regardless = true // a kill ends tasks itself
	return g.commit(ctx, call, facts, record, decision)
}

// ofTask is the ticket by whose rules a notification is judged. What a task
// brings is its tool's result, whoever listens; a subscription brings nothing
// of tasks that its principal did not open.
func (t *Ticket) ofTask(message wire.Message) (*Ticket, error) {
	id, ok := message.Params.Get("taskId").Text()
	if !ok {
		return t, nil
	}
	task := t.gateway.tasks.ticket(t.Call.Server, id, t.Call.Principal, t.Call.Run)
	switch {
	case task != nil:
		return task.goingOn(t.Call), t.gateway.Kills.Stops(task.target())
	case t.Call.Kind == sallyport.KindSubscribe:
		return nil, fmt.Errorf("%s: no open task %q", message.Method, id)
	default:
		return t, nil // the task that this call is opening
	}
}

// goingOn is a task's ticket in the hands of who its principal is now: role
// and groups may have changed.
func (t *Ticket) goingOn(now *sallyport.Call) *Ticket {
	call := *t.judged
	call.Params, call.Principal = now.Params, now.Principal
	return &Ticket{Call: &call, judged: &call, Tool: t.Tool, gateway: t.gateway}
}

// taskQuery passes on tasks/get, tasks/result and the like under the ticket
// that opened the task: reading what the call brought. What a task asks and
// says is judged as for any call.
func (g *Gateway) taskQuery(ctx context.Context, query *Query) (Answer, error) {
	if query.Method == "tasks/list" {
		return g.listTasks(ctx, query)
	}
	ticket, err := g.task(ctx, query.Server, query.Params, query.Principal, query.Run)
	if err != nil {
		return Answer{}, err
	}
	under := ticket.goingOn(&sallyport.Call{Params: query.Params, Principal: query.Principal})
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil {
		return answer, err
	}
	if answer.Error.Type() != sallyport.Absent {
		answer.Error, err = under.tell(ctx, answer.Error)
	} else if answer.Result, err = under.tell(ctx, answer.Result); err == nil {
		err = under.hearInputRequests(ctx, answer.Result)
	}
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// listTasks keeps of a server's tasks those that the principal opened.
func (g *Gateway) listTasks(ctx context.Context, query *Query) (Answer, error) {
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil || answer.Error.Type() != sallyport.Absent {
		return g.overheard(ctx, query, answer, err)
	}
	g.tasks.settle(ctx)
	list := answer.Result.Get("tasks")
	if list.Type() != sallyport.Array {
		return Answer{}, sallyport.Refuse(sallyport.CauseWire, "server %q answered tasks/list without tasks", query.Server)
	}
	kept := []byte{'['}
	for _, task := range list.Items() {
		id, _ := task.Get("taskId").Text()
		if g.tasks.ticket(query.Server, id, query.Principal, query.Run) == nil {
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, task.Raw()...)
	}
	filtered, err := sallyport.Parse(answer.Result.Splice(sallyport.Edit{Target: list, With: append(kept, ']')}))
	return g.overheard(ctx, query, Answer{Result: filtered, Streamed: answer.Streamed}, err)
}
