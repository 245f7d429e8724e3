package gateway

import (
	"cmp"
	"context"
	"errors"

	"sallyport"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

// RecordOrder puts on the record what has become of an order: "kill", "pause",
// "resume", "in force".
func (g *Gateway) RecordOrder(ctx context.Context, what string, o kill.Order, by string) error {
	return g.Log.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: cut(what + " " + o.ID + " " + o.Scope.String()), By: by, Reason: cut(o.Reason),
	}})
}

// EndTasks cancels at their servers the tasks that a kill covers: each went on
// after its call had been answered. They are ended on the record, each as a call
// of its own. Those of before a restart are waited for.
func (g *Gateway) EndTasks(ctx context.Context, o kill.Order) error {
	g.tasks.settle(ctx)
	g.tasks.mu.RLock()
	covered := map[taskKey]*Ticket{}
	for key, ticket := range g.tasks.tickets {
		if o.Covers(ticket.target()) {
			covered[key] = ticket
		}
	}
	g.tasks.mu.RUnlock()
	var errs []error
	for key, ticket := range covered {
		errs = append(errs, g.endTask(ctx, key, ticket))
	}
	return errors.Join(errs...)
}

// target is what a ticket's call is about, for what goes on behind its answer.
func (t *Ticket) target() kill.Target {
	call := t.judged
	return kill.Target{Principal: call.Principal, Run: call.Run.ID, Parent: call.Run.Parent, Server: call.Server, Action: call.Action()}
}

func (g *Gateway) endTask(ctx context.Context, key taskKey, opened *Ticket) error {
	params, err := sallyport.Parse(wire.With(sallyport.Value{}, "taskId", sallyport.AppendString(nil, key.id)))
	if err != nil {
		return err
	}
	call := *opened.Call
	call.ID, call.Parent, call.Kind = g.NewID(), opened.Call.ID, sallyport.KindTask
	call.Name, call.Method, call.Args, call.Params = "tasks/cancel", "tasks/cancel", params, params
	call.Revision = cmp.Or(call.Revision, wire.Stateless) // of before a restart it is not kept
	facts := &sallyport.Facts{Call: opened.judged}
	ticket, err := g.openCancel(ctx, &call, facts)
	if err != nil {
		return err
	}
	answer, err := g.Upstream.Execute(ctx, ticket, nobody{})
	_, err = ticket.Close(ctx, answer, err)
	if refused, ok := errors.AsType[*sallyport.RefusedError](err); ok && refused.Cause == sallyport.CauseKill {
		err = nil // the server's own process was killed, and the task with it
	}
	g.tasks.mu.Lock()
	delete(g.tasks.tickets, key)
	g.tasks.held[holderOf(key.server, &opened.Call.Principal)]--
	g.tasks.mu.Unlock()
	return err
}

// nobody is the agent's end of a call that no agent makes.
type nobody struct{}

func (nobody) Tell(context.Context, wire.Message) error { return nil }

func (nobody) Ask(context.Context, wire.Message) (Answer, error) {
	return Answer{}, errors.New("there is no agent to ask")
}
