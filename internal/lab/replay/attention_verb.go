package replay

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/internal/lab/scenario"
	"sallyport/internal/terminal"
)

// AttentionVerb is "sallyport lab attention". twins plays those.
func AttentionVerb(kit Kit, twins func(context.Context) (scenario.Asked, error)) *cobra.Command {
	var after int
	cmd := &cobra.Command{
		Use:   "attention [FILE…]",
		Short: "Count how often people are asked about honest work, and what spares them",
		Long: `Count how often people are asked about honest work: the twins of the lab's
attacks, and the benign tasks of recorded suites (.json, or a directory of these).
Each call goes through a gateway of its own, with its log, runs, approvals and
grants; the person agrees to what the user's own calls ask, and looks at the inbox
as the command line and the console show it.

Three policies are compared: one that asks about every call, one that asks about
every act, and the rules about flow that come with sallyport. For each: how many
questions there are; how many looks it takes where all tasks are under way at once
and equal questions are one card; how many where one task comes after the other and
the person makes a grant at every third equal question (--after), with nothing set
free but what differed so far; and with both. Then the hijacked runs of the suite
are played under the same grants, and what those let pass of the attacker's acts is
counted: nobody has looked at it.`,
		Example: `  sallyport lab attention
  sallyport lab attention ../shared/data/agentdojo`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if after < 1 {
				return kit.Usage("--after counts questions: 1 or more")
			}
			return kit.attention(cmd.Context(), twins, args, after)
		},
	}
	cmd.Flags().IntVar(&after, "after", 3, "equal questions, of which the last makes a grant")
	return cmd
}

func (k Kit) attention(ctx context.Context, twins func(context.Context) (scenario.Asked, error), files []string, after int) error {
	shown := struct {
		Twins  *scenario.Asked `json:"twins,omitempty"`
		Suites []Attention     `json:"suites"`
	}{Suites: []Attention{}}
	if len(files) == 0 {
		played, err := twins(ctx)
		if err != nil {
			return err
		}
		shown.Twins = &played
	} else {
		suites, err := Read(files, false)
		if err != nil {
			return err
		}
		policies, err := Asking()
		if err != nil {
			return err
		}
		for _, asks := range policies {
			for _, s := range suites {
				fmt.Fprintf(k.Errs, "%s, asking about %s\n", terminal.Visible(s.Name), asks.Name)
				counted, err := s.Attend(ctx, asks, after)
				if err != nil {
					return err
				}
				shown.Suites = append(shown.Suites, counted)
			}
		}
	}
	return k.Print(shown, func(t *terminal.Table) {
		if shown.Twins != nil {
			t.Row("TWINS", "CALLS", "QUESTIONS", "LOOKS")
			t.Row(fmt.Sprint(shown.Twins.Twins), fmt.Sprint(shown.Twins.Calls), fmt.Sprint(shown.Twins.Questions), fmt.Sprint(shown.Twins.Looks))
			return
		}
		t.Row("SUITE", "ASKS", "TASKS", "CALLS", "QUESTIONS", "CARDS", "WITH GRANTS", "PASSED BY", "GRANTS AND CARDS", "ATTACKS BY A GRANT")
		for i := range shown.Suites {
			t.Row(shown.Suites[i].cells()...)
		}
	})
}

func (a *Attention) cells() []string {
	return []string{
		a.Suite, a.Asks, fmt.Sprint(a.Runs), fmt.Sprint(a.Calls), fmt.Sprint(a.Questions), fmt.Sprint(a.Cards),
		fmt.Sprintf("%d (%d made)", a.Granted.Asked, a.Granted.Grants), fmt.Sprint(a.Granted.Passed),
		fmt.Sprintf("%d (%d made)", a.Both.Asked, a.Both.Grants), fmt.Sprintf("%d of %d", a.Hijacks.Won, a.Hijacks.Runs),
	}
}
