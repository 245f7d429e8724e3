package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/policy"
)

// Narrow refuses what is asked and has people agree to the same call with other
// arguments in its place: policy decides about those anew, agree says whose yes it
// is, and both become durable at once. The agent is told the arguments when it
// comes again, and only a call with exactly these can use the yes.
func (g *Gateway) Narrow(ctx context.Context, asked sallyport.Approval, args sallyport.Value, reason, by string,
	agree func(*sallyport.Approval) ([]sallyport.Answer, error)) (narrower sallyport.Approval, err error) {
	call, changes, err := g.narrowed(&asked, args)
	if err != nil {
		return narrower, err
	}
	facts, decision, err := g.foresee(ctx, call)
	if err != nil {
		return narrower, err
	}
	now := g.Now()
	narrower = g.question(call, facts, decision, now)
	narrower.Narrows, narrower.Call = asked.ID, asked.Call // the one that is on the record
	if narrower.Class.Known() > asked.Class.Known() {
		return narrower, errors.New("with these arguments the call is of a higher class than the one that is asked: that is not narrower")
	}
	yes, err := agree(&narrower)
	if err != nil {
		return narrower, err
	}
	if decision.Verdict == sallyport.Allow { // what nobody is asked about needs nobody's yes
		narrower.State = sallyport.Approved
	} else if narrower, err = narrower.Agree(now, yes...); err != nil {
		return narrower, err
	}
	if strings.TrimSpace(reason) == "" {
		reason = "people agree to less than this"
	}
	refused, err := asked.Narrow(&narrower, by, reason, now)
	if err != nil {
		return narrower, err
	}
	return narrower, g.Log.Commit(ctx, &sallyport.Record{Approval: &refused, Narrower: &narrower, Entry: sallyport.Entry{
		Time: now, Type: sallyport.Change, Subject: "approval narrowed " + asked.ID + " to " + narrower.ID, By: by,
		Reason: cut(strings.TrimRight(reason, ". ") + " (" + strings.Join(changes, ", ") + ") " + given(&narrower, by)), Approval: asked.ID, Approver: narrower.Approver(),
		Before: asked.Digest, After: narrower.Digest,
	}})
}

// narrowed is the call that is asked with other arguments, as the agent would make
// it, and how it differs.
func (g *Gateway) narrowed(asked *sallyport.Approval, args sallyport.Value) (*sallyport.Call, []string, error) {
	q, err := sallyport.Parse(asked.Question)
	if err != nil || asked.Kind != sallyport.KindTool || q.Get("args").Type() != sallyport.Object {
		return nil, nil, errors.New("only a tool's arguments can be narrowed")
	}
	changes := asking.Changes(q.Get("args"), args)
	if len(changes) == 0 {
		return nil, nil, errors.New("these are the arguments that are asked: approve it as it is")
	}
	params, err := sallyport.Parse(withArguments(q.Get("params"), args))
	if err != nil {
		return nil, nil, err
	}
	name, _ := q.Get("name").Text() // of the approval it may be cut
	call := &sallyport.Call{ID: g.NewID(), Kind: asked.Kind, Server: asked.Server, Name: name, Method: "tools/call", Args: params.Get("arguments"), Params: params}
	if call.Principal, call.Run, err = g.Identifier.Acting(asked.Run); err != nil {
		return nil, nil, err
	}
	was, is := &asked.Principal, &call.Principal
	if was.Agent != is.Agent || was.Role != is.Role || was.User != is.User || was.Tenant != is.Tenant {
		return nil, nil, fmt.Errorf("in run %s somebody else acts now than asked", asked.Run)
	}
	return call, changes, nil
}

// withArguments are the params of a question, which are without arguments, with
// these.
func withArguments(params, args sallyport.Value) []byte {
	dst := append([]byte(`{"arguments":`), args.Raw()...)
	for name, member := range params.Members() {
		if name != "arguments" {
			dst = append(append(sallyport.AppendString(append(dst, ','), name), ':'), member.Raw()...)
		}
	}
	return append(dst, '}')
}

// foresee is what would be decided about a call that nobody has made, without
// anybody's answers. An error is that it would be refused, and why.
func (g *Gateway) foresee(ctx context.Context, call *sallyport.Call) (*sallyport.Facts, sallyport.Decision, error) {
	facts := &sallyport.Facts{Call: call}
	var err error
	if facts.Tool, err = g.Pins.Admit(call); err != nil {
		return facts, sallyport.Decision{}, err
	}
	rules := g.Rules()
	g.learn(ctx, rules, facts)
	decision := policy.Decide(rules, facts)
	if decision.Verdict == sallyport.Deny {
		return facts, decision, fmt.Errorf("with these arguments policy does not allow it: %s", decision.Reason)
	}
	if decision.Verdict == sallyport.Allow {
		decision.Rules = nil // those permit, and don't ask
		decision.Question = sallyport.QuestionDigest(facts, nil)
	}
	return facts, decision, nil
}

// narrower are the arguments that people agreed to in place of what is asked;
// Absent when they did not, or when nobody can use them any more.
func (g *Gateway) narrower(ctx context.Context, asked *sallyport.Approval) sallyport.Value {
	if asked.Narrower == "" {
		return sallyport.Value{}
	}
	to, err := g.Approvals.OpenApproval(ctx, asked.Narrower)
	if err != nil || to.Over(g.Now()) || to.At(g.Now()).State == sallyport.Refused {
		return sallyport.Value{}
	}
	q, err := sallyport.Parse(to.Question)
	if err != nil {
		return sallyport.Value{}
	}
	return q.Get("args")
}
