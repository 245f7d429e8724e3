package gateway

import (
	"context"
	"sync"

	"sallyport"
)

// tasks are the tickets of calls whose server answered with a task handle.
// Only the principal whose call opened a task can reach it.
type tasks struct {
	mu      sync.RWMutex
	tickets map[taskKey]*Ticket
}

type taskKey struct{ server, id string }

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
		t.tickets = map[taskKey]*Ticket{}
	}
	t.tickets[taskKey{ticket.Call.Server, id}] = ticket
}

func (t *tasks) ticket(server, id string, principal sallyport.Principal) *Ticket {
	t.mu.RLock()
	defer t.mu.RUnlock()
	ticket := t.tickets[taskKey{server, id}]
	if ticket == nil || ticket.Call.Principal.Agent != principal.Agent ||
		ticket.Call.Principal.User != principal.User || ticket.Call.Principal.Tenant != principal.Tenant {
		return nil
	}
	return ticket
}

// RestoreTask reopens the ticket of a task after a restart, from the log.
func (g *Gateway) RestoreTask(id string, call *sallyport.Call) {
	ticket := &Ticket{Call: call, gateway: g}
	ticket.Tool, _ = g.Pins.admit(call)
	g.tasks.open(id, ticket)
}

// taskQuery passes on tasks/get, tasks/update and the like under the ticket
// that opened the task. What a task asks and what it is answered are judged
// as for any call.
func (g *Gateway) taskQuery(ctx context.Context, query *Query) (Answer, error) {
	if query.Method == "tasks/list" {
		return g.listTasks(ctx, query)
	}
	id, _ := query.Params.Get("taskId").Text()
	ticket := g.tasks.ticket(query.Server, id, query.Principal)
	if ticket == nil {
		return Answer{}, sallyport.Refuse(sallyport.CauseMethod, "no open task %q", id)
	}
	call := *ticket.Call
	call.Params, call.Principal = query.Params, query.Principal // whose role or groups may have changed
	under := &Ticket{Call: &call, Tool: ticket.Tool, gateway: g}
	if err := under.judgeInputResponses(ctx); err != nil {
		return Answer{}, err
	}
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil || answer.Error.Type() != sallyport.Absent {
		return answer, err
	}
	if err := under.release(answer.Result); err != nil {
		return Answer{}, err
	}
	return answer, under.hearInputRequests(ctx, answer.Result)
}

// listTasks keeps of a server's tasks those that the principal opened.
func (g *Gateway) listTasks(ctx context.Context, query *Query) (Answer, error) {
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil || answer.Error.Type() != sallyport.Absent {
		return answer, err
	}
	list := answer.Result.Get("tasks")
	if list.Type() != sallyport.Array {
		return Answer{}, sallyport.Refuse(sallyport.CauseWire, "server %q answered tasks/list without tasks", query.Server)
	}
	kept := []byte{'['}
	for _, task := range list.Items() {
		id, _ := task.Get("taskId").Text()
		if g.tasks.ticket(query.Server, id, query.Principal) == nil {
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, task.Raw()...)
	}
	filtered, err := sallyport.Parse(answer.Result.Splice(sallyport.Edit{Target: list, With: append(kept, ']')}))
	return Answer{Result: filtered, Streamed: answer.Streamed}, err
}
