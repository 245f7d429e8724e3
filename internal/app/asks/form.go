// Package asks is how people are asked through the client of the agent itself:
// in a form, where that counts, and by the address of the console's page.
package asks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
)

// Forms are answers that come by the agent's own client. Whoever has taken over
// the client can give them, so they count for the user for whom the agent acts
// alone, for groups that the operator has named, and in the lowest class.
type Forms struct {
	Groups   func() []string // for which a form counts
	Terms    func() *asking.Terms
	Question func(ctx context.Context, approval string) (sallyport.Approval, error)
	// Answer puts an answer on the record and into force. An error means that it
	// is in neither.
	Answer func(ctx context.Context, answered sallyport.Approval, by string) error
	// Shown says that somebody is shown a form about questions.
	Shown func(ctx context.Context, who string, questions ...string)
}

// longest is how much a form shows, in bytes. What is more is not asked in one:
// nobody must agree to what was cut.
const longest = 2048

// Text is what a form shows of a question, "" where none counts.
func (f *Forms) Text(ctx context.Context, approval string) string {
	a, err := f.Question(ctx, approval)
	if err != nil || !f.counts(&a) {
		return ""
	}
	c, err := card.New(&a, card.Around{})
	if err != nil {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s? %s wants this.\n", c.Verb, c.Agent)
	for _, argument := range slices.Concat(c.Arguments, c.Beside) {
		fmt.Fprintf(&text, "%s: %s", argument.Path, argument.Value)
		if argument.Writer != "" {
			fmt.Fprintf(&text, " (written by: %s)", argument.Writer)
		}
		text.WriteByte('\n')
	}
	for _, careful := range c.Careful {
		fmt.Fprintln(&text, careful)
	}
	for _, rule := range c.Rules {
		fmt.Fprintf(&text, "Rule %s asks. %s\n", rule.ID, rule.Because)
	}
	fmt.Fprintf(&text, "Approval %s (%s)", c.ID, c.DigestWords)
	if text.Len() > longest {
		return ""
	}
	f.Shown(ctx, a.Principal.User, a.ID)
	return text.String()
}

// counts reports whether the agent's user may answer a question in a form: all
// of it, and for no other group than those named.
func (f *Forms) counts(a *sallyport.Approval) bool {
	named, groups := f.Groups(), a.Groups()
	return a.State == sallyport.Pending && a.Class.Known() == sallyport.ClassTap && a.Principal.User != "" && len(groups) > 0 &&
		!slices.ContainsFunc(groups, func(group string) bool { return !slices.Contains(named, group) })
}

// ErrNoForm says that a question is not one that a form answers.
var ErrNoForm = errors.New("this question is not answered in a form")

// Confirm is the answer of the agent's user. The question must be the one that
// was shown. An error means that it is not answered.
func (f *Forms) Confirm(ctx context.Context, shown *sallyport.Approval, yes bool, at time.Time) error {
	a, err := f.Question(ctx, shown.ID)
	switch {
	case err != nil:
		return err
	case a.Digest != shown.Digest || !f.counts(&a):
		return ErrNoForm
	}
	by := a.Principal.User
	next, err := a.Refuse(by, "declined in the agent's client", at)
	if yes {
		next, err = f.agreed(a, by, at)
	}
	if err != nil {
		return err
	}
	return f.Answer(ctx, next, by)
}

func (f *Forms) agreed(a sallyport.Approval, by string, at time.Time) (sallyport.Approval, error) {
	answers, err := f.Terms().Agrees(&a, by, "form", at)
	if err != nil {
		return a, err
	}
	return a.Agree(at, answers...)
}
