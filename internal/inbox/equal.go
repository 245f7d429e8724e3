package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
)

// Together is one person's answer to equal questions at once: to each of them, as
// it was shown, and to none besides.
type Together struct {
	By      string       `json:"by"`
	Approve bool         `json:"approve"`
	Reason  string       `json:"reason,omitempty"` // of a no, for the agents
	Rows    []Row        `json:"rows"`
	Proof   asking.Proof `json:"proof"` // without what is typed: each row has its own
}

// Row is one of the questions that are answered together.
type Row struct {
	ID     string `json:"id"`
	Digest string `json:"digest"` // of what was shown
	Typed  string `json:"typed,omitempty"`
}

// Outcome is what became of a row.
type Outcome struct {
	ID    string   `json:"id"`
	State string   `json:"state"`
	Open  []string `json:"open"`           // groups that have not said yes yet
	Said  string   `json:"said,omitempty"` // why it was not answered
}

// Equal are a question and those that can be answered together with it, whole.
func (i *Inbox) Equal(ctx context.Context, id string) ([]Question, error) {
	kept, _, err := i.Store.Approvals(ctx)
	if err != nil {
		return nil, err
	}
	group, err := i.group(ctx, id)
	if err != nil {
		return nil, err
	}
	earlier := &past{kept: kept}
	questions := []Question{}
	for _, a := range kept {
		if slices.Contains(group, a.ID) {
			around := card.Around{}
			if len(questions) == 0 { // what is around one is around all of the same agent, user and tool
				opened, _ := i.Store.OpenApproval(ctx, a.ID)
				around = i.around(ctx, &opened)
			}
			q := i.open(ctx, a, around, earlier)
			q.Equal = slices.DeleteFunc(slices.Clone(group), func(other string) bool { return other == a.ID })
			questions = append(questions, q)
		}
	}
	return questions, nil
}

// group are the ids of the questions that wait and are equal to one, that one
// included; none when it does not wait any more.
func (i *Inbox) group(ctx context.Context, id string) ([]string, error) {
	waiting, err := i.List(ctx, false)
	if err != nil {
		return nil, err
	}
	for _, q := range waiting {
		if q.ID == id && q.Problem == "" {
			return append([]string{id}, q.Equal...), nil
		}
	}
	return nil, nil
}

// AnswerEqual answers equal questions. With an error none is answered: one of them
// is not the one that was shown, so that neither is what was signed. What has
// moved on meanwhile, or is not equal to the others any more, is said of each row.
func (i *Inbox) AnswerEqual(ctx context.Context, given Together) ([]Outcome, error) {
	asked, unseen, err := i.rows(ctx, given.Rows)
	if err != nil {
		return nil, err
	}
	class, digests := sallyport.ClassTap, []string{}
	for _, a := range asked {
		digests = append(digests, a.Digest.String())
		if given.Approve {
			class = max(class, a.Class.Known())
		}
	}
	proof, err := i.Prove(ctx, given.By, class, asking.Together(digests), given.Proof)
	if err != nil {
		return nil, err
	}
	for n, row := range given.Rows {
		if asked[n].Digest.String() != row.Digest {
			return nil, fmt.Errorf("what was shown is not what %s asks, so nothing was answered: look again", row.ID)
		}
	}
	group, err := i.groupOf(ctx, given.Rows)
	if err != nil {
		return nil, err
	}
	outcomes := []Outcome{}
	for n, row := range given.Rows {
		err := unseen[n]
		switch {
		case !given.Approve: // what can't be shown can be refused
			err = nil
		case err != nil:
			err = fmt.Errorf("what it asks can't be shown, so nobody can agree to it: %w", err)
		case asked[n].At(i.Now()).State == sallyport.Pending && !slices.Contains(group, row.ID):
			err = errors.New("it is not equal to the others any more: look at it by itself")
		}
		if err == nil {
			shown := given.Proof
			shown.Typed = row.Typed
			err = i.say(ctx, asked[n], proof, Answer{ID: row.ID, By: given.By, Approve: given.Approve, Reason: given.Reason, Proof: shown})
		}
		outcomes = append(outcomes, i.outcome(ctx, row.ID, err))
	}
	return outcomes, nil
}

// rows opens what is answered, each once.
func (i *Inbox) rows(ctx context.Context, rows []Row) (asked []sallyport.Approval, unseen []error, err error) {
	if len(rows) == 0 || len(rows) > card.MaxRows {
		return nil, nil, fmt.Errorf("1 to %d questions are answered together", card.MaxRows)
	}
	for n, row := range rows {
		if slices.ContainsFunc(rows[:n], func(other Row) bool { return other.ID == row.ID }) {
			return nil, nil, fmt.Errorf("%s is there twice", row.ID)
		}
		a, err := i.Store.OpenApproval(ctx, row.ID)
		if a.ID == "" {
			return nil, nil, err
		}
		asked, unseen = append(asked, a), append(unseen, err)
	}
	return asked, unseen, nil
}

// groupOf is the group of the first of some questions that still waits.
func (i *Inbox) groupOf(ctx context.Context, rows []Row) ([]string, error) {
	for _, row := range rows {
		if group, err := i.group(ctx, row.ID); err != nil || group != nil {
			return group, err
		}
	}
	return nil, nil
}

func (i *Inbox) outcome(ctx context.Context, id string, err error) Outcome {
	o := Outcome{ID: id, Open: []string{}}
	if err != nil {
		o.Said = moved(id, err).Error()
	}
	if a, err := i.Store.OpenApproval(ctx, id); a.ID != "" {
		a = a.At(i.Now())
		o.State, o.Open = a.State.String(), card.Bare(&a).Open
	} else if o.Said == "" {
		o.Said = err.Error()
	}
	return o
}
