package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/policy"
)

// maxOvertaken is how often a call is decided anew because what people said was
// used by another call, or ran out, before its own commit.
const maxOvertaken = 3

// Approvals remembers the questions to people.
type Approvals interface {
	// Approval is the last question with a digest, a zero one when there never
	// was any. An error means that nobody knows: the call is refused.
	Approval(ctx context.Context, digest sallyport.Digest) (sallyport.Approval, error)
	// OpenApproval is one, with what it asks. An error means that this can't be
	// had: nobody is told it.
	OpenApproval(ctx context.Context, id string) (sallyport.Approval, error)
	// Grants are those that are left for an agent's calls of one thing of a server. An
	// error means that nobody knows: none counts.
	Grants(ctx context.Context, agent, server, name string) ([]sallyport.Grant, error)
}

// canWait reports whether people can be asked about a call: whether there is
// somebody who can make it again. What is asked under a ticket belongs to a call
// that is under way, and a completion is gone with the next letter.
func canWait(call *sallyport.Call) bool {
	return call.Parent == "" && call.Kind != sallyport.KindCompletion
}

// answered learns what people said about a call that policy holds, and has
// policy decide on that, too.
func (g *Gateway) answered(ctx context.Context, rules *policy.Rules, facts *sallyport.Facts, held sallyport.Decision) (sallyport.Decision, sallyport.Approval, error) {
	asked, err := g.Approvals.Approval(ctx, held.Question)
	if err != nil {
		return held, sallyport.Approval{}, &sallyport.RefusedError{Cause: sallyport.CauseLog, Decision: sallyport.Decision{
			Policy: held.Policy, Reason: "refused: policy asks people, and what they said can't be read: " + err.Error()}}
	}
	switch now := g.Now(); {
	case asked.At(now).State == sallyport.Approved:
	case asked.State == sallyport.Refused && !asked.Over(now): // a no to this very call holds
		return held, asked, nil
	default:
		decision, granted := g.granted(ctx, rules, facts, held)
		if decision.Verdict == sallyport.Allow {
			return decision, granted, nil
		}
		return held, asked, nil
	}
	// Who said yes may have left its group since, and the call come to weigh more.
	terms := g.Asking()
	facts.Approvals = []sallyport.Approval{terms.Standing(asked, terms.Class(facts, held.Rules))}
	return policy.Decide(rules, facts), asked, nil
}

// spend has an intent use up the approval, or use the grant, that let it through:
// in the commit, or there is no intent.
func spend(record *sallyport.Record, asked sallyport.Approval) error {
	if strings.HasPrefix(asked.ID, "g_") {
		record.Grant, record.Entry.Approver = &sallyport.Grant{ID: asked.ID, Used: 1, Question: asked.Digest.String()}, asked.Approver()
		return nil
	}
	spent, err := asked.Spend(record.Entry.Call, record.Entry.Time)
	record.Approval, record.Entry.Approver = &spent, asked.Approver()
	return err
}

// hold ends a call that nobody has agreed to: people are asked, or said no, or
// did not say anything in time.
func (g *Gateway) hold(ctx context.Context, call *sallyport.Call, facts *sallyport.Facts, decision sallyport.Decision, asked sallyport.Approval) error {
	now := g.Now()
	refused := &sallyport.RefusedError{Cause: sallyport.CauseApproval, Decision: decision, Approval: asked}
	expired, err := asked.Expire(now)
	switch {
	case err == nil: // and nobody has been told: the next identical call asks again
		refused.Approval = expired
		refused.Decision.Reason = fmt.Sprintf("Refused: %s answered in time (%s). The identical call asks again.", "nobody of "+strings.Join(asked.Groups(), " and "), asked.ID)
		if asked.State == sallyport.Approved {
			refused.Decision.Reason = fmt.Sprintf("Refused: the approval %s was not used in time. The identical call asks again.", asked.ID)
		}
	case asked.State == sallyport.Approved:
		refused.Approval, err = asked.End("", "what people had said does not count any more", now)
		if err != nil {
			return err
		}
		refused.Decision.Reason = fmt.Sprintf("Refused: the approval %s does not count any more: who gave it may not give it now, or it takes more. The identical call asks again.", asked.ID)
	case !asked.Over(now) && asked.State == sallyport.Refused:
		refused.Decision.Reason = fmt.Sprintf("Refused by a person (%s): %s. Don't try the same in another way. The identical call is refused until %s.",
			asked.ID, strings.TrimRight(asked.Reason, ". "), asked.Expires.UTC().Format(time.RFC3339))
		refused.Narrower = g.narrower(ctx, &asked)
	default:
		refused.Cause, refused.Approval = sallyport.CauseHold, g.question(call, facts, decision, now)
	}
	return g.refuse(ctx, call, facts, refused)
}

// question is a new question to people. Of the principal it keeps the names.
func (g *Gateway) question(call *sallyport.Call, facts *sallyport.Facts, decision sallyport.Decision, now time.Time) sallyport.Approval {
	p, terms := call.Principal, g.Asking()
	a := sallyport.Approval{
		ID: "a_" + strings.TrimPrefix(call.ID, "c_"), State: sallyport.Pending,
		Digest: decision.Question, Question: sallyport.AppendQuestion(nil, facts, decision.Rules),
		Call: call.ID, Principal: sallyport.Principal{Agent: p.Agent, Role: p.Role, User: p.User, Tenant: p.Tenant},
		Run: call.Run.ID, Kind: call.Kind, Server: call.Server, Name: cut(call.Name), Rules: decision.Rules,
		Class: terms.Class(facts, decision.Rules), Amount: terms.Amount(facts), Findings: facts.Findings, Origins: origins(facts.Flow),
		Asked: now.Truncate(time.Millisecond), Expires: now.Add(terms.Expire).Truncate(time.Millisecond),
	}
	if facts.Tool != nil {
		a.Effects = facts.Tool.Effects
	}
	return a
}

// Answer puts what a person said on the record and into force, as one. An
// error means that neither happened; sallyport.ErrOvertaken, that the question
// had moved on.
func (g *Gateway) Answer(ctx context.Context, answered sallyport.Approval, by string) error {
	what := answered.State.String()
	if answered.State == sallyport.Pending { // and it takes another's yes
		what = "seconded"
	}
	return g.Log.Commit(ctx, &sallyport.Record{Approval: &answered, Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: "approval " + what + " " + answered.ID, By: by,
		Reason: cut(answered.Reason + given(&answered, by)), Approval: answered.ID, Approver: answered.Approver(), After: answered.Digest,
	}})
}

// given says for which groups somebody has said yes, by way of which group an
// escalation let them, and how they proved who they are: a yes by passkey is worth
// more to an auditor than one that an agent's client passed on.
func given(a *sallyport.Approval, by string) (text string) {
	for _, yes := range a.Answers {
		if yes.By != by {
			continue
		}
		text += "; for " + yes.Group
		if yes.As != "" {
			text += " as " + yes.As
		}
		if yes.Proof != "" {
			text += " by " + yes.Proof
		}
	}
	return strings.TrimPrefix(text, "; ")
}
