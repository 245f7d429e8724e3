package gateway

import (
	"context"

	"sallyport"
	"sallyport/internal/limits"
)

// Some clients carry calls out themselves, and only ask before and tell
// afterwards: what such a call brought the agent has, whatever is decided then.

// Refuse puts on the record that a door has refused a call for a reason of its
// own. The answer is the refusal.
func (g *Gateway) Refuse(ctx context.Context, credential sallyport.Credential, call *sallyport.Call, because *sallyport.RefusedError) error {
	if err := g.identify(ctx, credential, call); err != nil {
		return err
	}
	return g.refuse(ctx, call, &sallyport.Facts{Call: call}, because)
}

// Happened puts on the record a call that a client has carried out without
// asking, and gives the ticket to end it.
func (g *Gateway) Happened(ctx context.Context, credential sallyport.Credential, call *sallyport.Call) (*Ticket, error) {
	if err := g.identify(ctx, credential, call); err != nil {
		return nil, err
	}
	facts := &sallyport.Facts{Call: call}
	facts.Tool, _ = g.Pins.Admit(call)
	decision := sallyport.Decision{Verdict: sallyport.Deny, Policy: g.Rules().Digest(), Reason: "The client carried this out and had no permission: it did not ask, or the gateway was started again since."}
	record := g.record(sallyport.Intent, call, facts, decision)
	record.Entry.Observed = true
	record.Regardless = true
	// What can't be counted has happened all the same.
	if charges, err := g.Limits().Charges(call, facts.Tool, costs{ctx, g.Ledger}); err == nil {
		record.Charges = unlimited(limits.Kept(charges))
	}
	return g.commit(ctx, call, facts, record, decision)
}

func (g *Gateway) identify(ctx context.Context, credential sallyport.Credential, call *sallyport.Call) error {
	principal, run, err := g.Identifier.Identify(ctx, credential)
	if err != nil {
		return &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	call.Principal, call.Run, call.ID = principal, run, g.NewID()
	return nil
}

// Witness ends a ticket whose result the agent has already. It is remembered
// whatever the rules say of it, and the log keeps it as they want it changed:
// instead is that, absent when nothing is changed, and the refusal says that they
// would have withheld it. failed says that the tool says that it failed.
func (t *Ticket) Witness(ctx context.Context, result sallyport.Value, failed bool) (instead sallyport.Value, refused, err error) {
	j, refused := t.judge(ctx, result)
	t.gateway.Memories.Saw(t.judged, result, namesOf(j.found))
	entry := sallyport.Entry{Outcome: sallyport.OutcomeOK, Reason: textOf(refused), Findings: findings(j.found), Modified: j.modified, Observed: j.modified != nil}
	if failed {
		entry.Outcome = sallyport.OutcomeToolErr
	}
	if j.modified != nil && !j.observed {
		instead = j.value
	}
	t.left(ctx, &entry, nil)
	return instead, refused, t.end(ctx, j.kept, entry, true, result)
}
