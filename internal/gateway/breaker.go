package gateway

import (
	"context"
	"errors"

	"sallyport"
	"sallyport/internal/breaker"
)

// pass is commit behind the breakers, for what policy has let through. What is
// cut off spends no approval.
func (g *Gateway) pass(ctx context.Context, call *sallyport.Call, facts *sallyport.Facts, record *sallyport.Record, decision sallyport.Decision) (*Ticket, error) {
	leave, err := g.Breakers.Enter(call)
	if refused, ok := errors.AsType[*sallyport.RefusedError](err); ok {
		refused.Decision.Policy = decision.Policy
		return nil, g.refuse(ctx, call, facts, refused)
	}
	ticket, err := g.commit(ctx, call, facts, record, decision)
	if err != nil {
		leave(breaker.Unused, 0)
		return nil, err
	}
	ticket.leave = leave
	return ticket, nil
}

// left tells the breakers how the call ended: with entry, and err from Execute.
// What we or the agent broke off says nothing of anybody.
func (t *Ticket) left(ctx context.Context, entry *sallyport.Entry, err error) {
	if t.leave == nil {
		return
	}
	end := breaker.Answered
	_, refused := errors.AsType[*sallyport.RefusedError](err)
	switch {
	case refused || errors.Is(ctx.Err(), context.Canceled):
		end = breaker.Unused
	case entry.Outcome == sallyport.OutcomeError || entry.Outcome == sallyport.OutcomeUnknown:
		end = breaker.Failed
	}
	t.leave(end, t.gateway.Now().Sub(t.entry.Time))
}
