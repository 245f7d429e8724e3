package gateway

import (
	"context"

	"sallyport"
	"sallyport/internal/granting"
	"sallyport/internal/policy"
)

// granted looks for a grant that answers a held call, and has policy decide on
// that: to policy it is an approval of this call, of the rules that people agreed
// to and no others. What can't be read answers nothing: then people are asked.
func (g *Gateway) granted(ctx context.Context, rules *policy.Rules, facts *sallyport.Facts, held sallyport.Decision) (sallyport.Decision, sallyport.Approval) {
	call := facts.Call
	grants, err := g.Approvals.Grants(ctx, call.Principal.Agent, call.Server, call.Name)
	if err != nil || len(grants) == 0 {
		return held, sallyport.Approval{}
	}
	terms, question := g.Asking(), sallyport.AppendQuestion(nil, facts, held.Rules)
	class := terms.Class(facts, held.Rules)
	for i := range grants {
		grant := &grants[i]
		if granting.Live(grant, g.Now()) != nil {
			continue
		}
		a, err := g.Approvals.OpenApproval(ctx, grant.Approval)
		// A call that takes more than was agreed to then is asked about.
		if err != nil || class > a.Class.Known() || granting.Fits(grant, a.Question, question) != nil {
			continue
		}
		// An unused yes that ran out by itself was one; what a person or a kill ended is none.
		if ended := a.State == sallyport.Expired && a.Reason != ""; ended || a.State == sallyport.Pending || a.State == sallyport.Refused {
			continue
		}
		a = terms.Standing(a, a.Class) // who granted may have left its group since
		a.ID, a.State, a.Digest = grant.ID, sallyport.Approved, held.Question
		facts.Approvals = []sallyport.Approval{a}
		if decision := policy.Decide(rules, facts); decision.Verdict == sallyport.Allow {
			return decision, a
		}
	}
	facts.Approvals = nil
	return held, sallyport.Approval{}
}

// Grant puts a yes to a question, and a grant with it, on the record and into
// force, as one. An error means that none of it happened.
func (g *Gateway) Grant(ctx context.Context, answered sallyport.Approval, grant sallyport.Grant, by string) error {
	return g.Log.Commit(ctx, &sallyport.Record{Approval: &answered, Grant: &grant, Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: "grant made " + grant.ID, By: by, Reason: cut(given(&answered, by) + ": " + granting.Text(&grant)),
		Approval: answered.ID, Approver: answered.Approver(), After: answered.Digest,
	}})
}

// Revoke ends a grant, on the record. An error means that it still counts.
func (g *Gateway) Revoke(ctx context.Context, grant sallyport.Grant, by, reason string) error {
	grant.Revoked = by
	return g.Log.Commit(ctx, &sallyport.Record{Grant: &grant, Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: "grant revoked " + grant.ID, By: by, Reason: cut(reason), Approval: grant.ID,
	}})
}
