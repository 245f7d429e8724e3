package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/control"
)

// Approvals implements control.Approvals.
func (a *App) Approvals(ctx context.Context) ([]control.Approval, error) {
	kept, damaged, err := a.store.Approvals(ctx)
	all := []control.Approval{}
	for _, id := range damaged {
		all = append(all, control.Approval{ID: id, State: "damaged", Effects: []string{}, Groups: []string{}, Rules: []control.ApprovalRule{},
			Problem: "its row in the database is damaged: the identical call is refused"})
	}
	for _, k := range kept {
		all = append(all, question(k.At(time.Now())))
	}
	return all, err
}

// Approval implements control.Approvals.
func (a *App) Approval(ctx context.Context, id string) (control.Approval, error) {
	asked, err := a.store.OpenApproval(ctx, id)
	if asked.ID == "" {
		return control.Approval{}, err
	}
	shown := question(asked.At(time.Now()))
	if err != nil {
		shown.Problem = err.Error()
	}
	return shown, nil
}

// AnswerApproval implements control.Approvals. The one human who has enrolled
// answers for every group.
func (a *App) AnswerApproval(ctx context.Context, id string, given control.ApprovalAnswer) (control.Approval, error) {
	if err := a.verify(ctx, given.Secret); err != nil {
		return control.Approval{}, err
	}
	asked, err := a.store.OpenApproval(ctx, id)
	switch {
	case asked.ID == "":
		return control.Approval{}, err
	case asked.Digest.String() != given.Digest:
		return control.Approval{}, fmt.Errorf("what was shown is not what %s asks: look again", id)
	case given.Approve && err != nil:
		return control.Approval{}, fmt.Errorf("what %s asks can't be shown, so nobody can agree to it: %w", id, err)
	case !given.Approve && strings.TrimSpace(given.Reason) == "":
		return control.Approval{}, errors.New("a refusal needs a reason: the agent hears it")
	}
	now := time.Now()
	next, err := asked.Refuse(operator, given.Reason, now)
	if given.Approve {
		next, err = asked.Approve(operator, now)
	}
	if err == nil {
		err = a.gateway.Answer(ctx, next, operator)
	}
	if errors.Is(err, sallyport.ErrOvertaken) {
		return control.Approval{}, fmt.Errorf("%s can't be answered: it is not pending any more (sallyport approvals show %s)", id, id)
	}
	return question(next), err
}

// question is an approval as people see it.
func question(a sallyport.Approval) control.Approval {
	out := control.Approval{
		ID: a.ID, State: a.State.String(), Agent: a.Principal.Agent, User: a.Principal.User, Run: a.Run, Call: a.Call,
		Kind: a.Kind.String(), Server: a.Server, Name: a.Name, Effects: []string{}, Groups: a.Groups(), Rules: []control.ApprovalRule{},
		Asked: a.Asked, Expires: a.Expires, Digest: a.Digest.String(), Words: a.Digest.Words(), Question: string(a.Question),
		Approver: a.Approver(), Refuser: a.By, Reason: a.Reason, Spent: a.Spent,
	}
	for _, effect := range a.Effects {
		out.Effects = append(out.Effects, string(effect))
	}
	for _, rule := range a.Rules {
		out.Rules = append(out.Rules, control.ApprovalRule{ID: rule.ID, Place: place(rule), Because: rule.Because, Groups: rule.Ask})
	}
	return out
}
