package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sallyport"
	"sallyport/internal/kill"
	"sallyport/internal/limits"
	"sallyport/internal/policy"
)

// Open takes a call from the door to a ticket, or ends it. On return either
// an intent is durable and the call may be executed, or the error is a
// *sallyport.RefusedError and the refusal is durable.
func (g *Gateway) Open(ctx context.Context, credential sallyport.Credential, call *sallyport.Call) (*Ticket, error) {
	// 1 Who is asking, for whom, in which run.
	principal, run, err := g.Identifier.Identify(ctx, credential)
	if err != nil {
		// Not an entry: whoever has no credential must not be able to fill the log.
		return nil, &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	call.Principal, call.Run = principal, run
	return g.open(ctx, call)
}

// open is Open for a call whose principal is known. What it was decided on may
// be gone at the commit: then it is decided anew.
func (g *Gateway) open(ctx context.Context, call *sallyport.Call) (*Ticket, error) {
	call.ID = g.NewID()
	cause := sallyport.CauseApproval
	for range maxOvertaken {
		ticket, err := g.decide(ctx, call)
		if !errors.Is(err, sallyport.ErrOvertaken) {
			return ticket, err
		}
		if errors.Is(err, sallyport.ErrFull) {
			cause = sallyport.CauseLimit
		}
	}
	return nil, g.refuse(ctx, call, &sallyport.Facts{Call: call}, sallyport.Refuse(cause,
		"refused: what people had said, or what was left of a limit, was taken by other calls %d times while this one was decided", maxOvertaken))
}

// decide is one attempt. The error sallyport.ErrOvertaken means that nothing
// is decided or recorded.
func (g *Gateway) decide(ctx context.Context, call *sallyport.Call) (*Ticket, error) {
	judged, err := g.judgedAs(ctx, call)
	facts := &sallyport.Facts{Call: judged, Partial: true}
	if err == nil {
		err = g.Kills.Stops(kill.TargetOf(&sallyport.Entry{Kind: call.Kind, Principal: call.Principal,
			Run: call.Run.ID, ParentRun: call.Run.Parent, Server: call.Server, Action: judged.Action()}))
	}
	switch {
	case err != nil:
		return nil, g.refuse(ctx, call, facts, err)
	case call.Kind == sallyport.KindTask && call.Method == "tasks/cancel":
		return g.openCancel(ctx, call, facts)
	}

	// 2 Can this be allowed at all?
	rules := g.Rules()
	if facts.Tool, err = g.Pins.Admit(judged); err != nil && facts.Tool == nil {
		return nil, g.refuse(ctx, call, facts, err)
	}
	decision := policy.Decide(rules, facts)
	if decision.Verdict == sallyport.Deny && !g.Observe() {
		return nil, g.refuse(ctx, call, facts, &sallyport.RefusedError{Cause: sallyport.CausePolicy, Decision: decision})
	}
	// What does not fit the schema is said only to who may use the tool: the
	// words of a schema are not for everybody.
	if err == nil {
		err = g.asJudged(ctx, judged)
	}
	if err == nil && call.Method == "resources/subscribe" {
		err = g.sessions.admit(call)
	}
	if err != nil {
		return nil, g.refuse(ctx, call, facts, err)
	}

	// 3 Learn the rest, 4 decide on all of it.
	charges := g.limit(ctx, facts)
	facts.Partial = false
	g.learn(ctx, rules, facts)
	decision = policy.Decide(rules, facts)
	observed := decision.Verdict != sallyport.Allow && g.Observe()
	var asked sallyport.Approval
	if decision.Verdict == sallyport.Hold && !observed && canWait(call) {
		decision, asked, err = g.answered(ctx, rules, facts, decision)
	}
	switch {
	case err != nil:
		return nil, g.refuse(ctx, call, facts, err)
	case decision.Verdict == sallyport.Allow || observed:
	case decision.Verdict == sallyport.Hold && canWait(call):
		return nil, g.hold(ctx, call, facts, decision, asked)
	case decision.Verdict == sallyport.Hold:
		return nil, g.refuse(ctx, call, facts, &sallyport.RefusedError{Cause: sallyport.CauseHold, Decision: decision})
	default:
		return nil, g.refuse(ctx, call, facts, &sallyport.RefusedError{Cause: beyond(facts, decision), Decision: decision})
	}

	// 5 Commit: nothing acts before its intent is durable.
	record := g.record(sallyport.Intent, call, facts, decision)
	record.Entry.Observed = observed
	if record.Charges = limits.Kept(charges); observed {
		record.Charges = unlimited(record.Charges)
	}
	if decision.Approval != "" {
		if err := spend(record, asked); err != nil {
			return nil, err
		}
	}
	return g.pass(ctx, call, facts, record, decision)
}

// learn learns what the rules look at beside the arguments.
func (g *Gateway) learn(ctx context.Context, rules *policy.Rules, facts *sallyport.Facts) {
	if rules.LooksAtFlow() {
		facts.Flow = g.Memories.Flow(ctx, facts.Call, facts.Tool)
	}
	if facts.Findings = unasked; rules.LooksAtFindings() {
		facts.Findings = g.Inspector.Arguments(ctx, facts.Call, facts.Tool)
	}
}

// commit makes an intent durable and gives the ticket to carry it out. A run
// can end while its call is being decided; once it has, no intent follows.
func (g *Gateway) commit(ctx context.Context, call *sallyport.Call, facts *sallyport.Facts, record *sallyport.Record, decision sallyport.Decision) (*Ticket, error) {
	release, err := g.Identifier.Hold(call.Run)
	if err != nil {
		return nil, g.refuse(ctx, call, facts, &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{
			Reason: err.Error(), Policy: decision.Policy}})
	}
	err = g.Log.Commit(ctx, record)
	release()
	if errors.Is(err, sallyport.ErrOvertaken) {
		return nil, err
	}
	if err != nil {
		// It may be this one record that the log can't take: then the refusal is
		// recorded instead.
		return nil, g.refuse(ctx, call, facts, &sallyport.RefusedError{Cause: sallyport.CauseLog, Decision: sallyport.Decision{
			Reason: "refused: the log cannot be written, and nothing acts unrecorded: " + err.Error(), Policy: decision.Policy}})
	}
	g.Watcher.Decided(&record.Entry)
	g.alert(ctx, record.Charges)
	g.Memories.Did(call, facts.Tool, facts.Flow)
	return &Ticket{Call: call, Tool: facts.Tool, gateway: g, judged: facts.Call, decision: decision, found: facts.Findings, entry: record.Entry, charges: record.Charges,
		deadline: record.Entry.Time.Add(g.Deadline)}, nil
}

// refuse makes a refusal durable before it is answered. When even that fails
// the answer is still a refusal, and says so. The error sallyport.ErrOvertaken
// means that the call has to be decided anew.
func (g *Gateway) refuse(ctx context.Context, call *sallyport.Call, facts *sallyport.Facts, err error) error {
	refused, ok := errors.AsType[*sallyport.RefusedError](err)
	if !ok {
		refused = &sallyport.RefusedError{Cause: sallyport.CausePolicy, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	refused.CallID = call.ID
	entryType := sallyport.Refusal
	if refused.Cause == sallyport.CauseHold {
		entryType = sallyport.Held
	}
	record := g.record(entryType, call, facts, refused.Decision)
	record.Entry.Cause = refused.Cause
	record.Entry.Approval, record.Entry.Approver = refused.Approval.ID, refused.Approval.By
	if s := refused.Approval.State; s == sallyport.Pending || s == sallyport.Expired {
		record.Approval = &refused.Approval
	}
	record.Entry.Name, record.Entry.Action = cut(record.Entry.Name), cut(record.Entry.Action)
	switch err := g.Log.Commit(ctx, record); {
	case errors.Is(err, sallyport.ErrOvertaken):
		return err
	case errors.Is(err, sallyport.ErrCrowded):
		refused.Cause, refused.Approval = sallyport.CauseLimit, sallyport.Approval{}
		refused.Decision.Reason = "Refused: " + err.Error() + "."
		return g.refuse(ctx, call, facts, refused)
	case err != nil && refused.Approval.ID != "": // it may be the question alone: then nobody is asked
		refused.Cause, refused.Approval = sallyport.CauseLog, sallyport.Approval{}
		refused.Decision.Reason = "Refused: policy asks people, and they can't be asked: " + err.Error()
		return g.refuse(ctx, call, facts, refused)
	case err != nil && refused.Cause != sallyport.CauseLog:
		refused.Cause = sallyport.CauseLog
		refused.Decision.Reason += " (and the log cannot be written: " + err.Error() + ")"
	case record.Approval != nil:
		refused.Approval = *record.Approval // which may have been open already
	}
	g.Watcher.Decided(&record.Entry)
	return refused
}

func (g *Gateway) record(entryType sallyport.EntryType, call *sallyport.Call, facts *sallyport.Facts, decision sallyport.Decision) *sallyport.Record {
	entry := sallyport.Entry{
		Time: g.Now(), Type: entryType,
		Call: call.ID, Parent: call.Parent, Kind: call.Kind, Server: call.Server, Name: call.Name,
		Action: facts.Call.Action(), Door: call.Door, Principal: call.Principal, Run: call.Run.ID, ParentRun: call.Run.Parent, Trace: call.Trace,
		Policy: decision.Policy, Verdict: decision.Verdict, Reason: cut(decision.Reason), Asks: decision.Asks, Origins: origins(facts.Flow), Labels: facts.Flow.Labels(), Findings: findings(facts.Findings),
	}
	if facts.Tool != nil {
		entry.Tool, entry.Effects = facts.Tool.Digest, facts.Tool.Effects
	}
	for _, rule := range decision.Rules {
		entry.Rules = append(entry.Rules, rule.ID)
	}
	return &sallyport.Record{Entry: entry, Args: call.Args.Raw()}
}

// maxText is the longest text of an entry that an agent or a server chose, in
// bytes. Without it whoever chooses a long one keeps what they did out of the
// log, whose entries have a largest size.
const maxText = 1024

// cut shortens a text that need not be whole.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return fmt.Sprintf("%s… (cut from %d bytes)", strings.ToValidUTF8(text[:maxText], ""), len(text))
}
