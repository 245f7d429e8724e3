package verbs

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/attention"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func (k Kit) approvalsStats() *cobra.Command {
	days := 7
	cmd := &cobra.Command{
		Use: "stats", Short: "Count how much people are asked, how long they look, and what becomes of it", Args: k.Exactly(),
		Long: `Count how much people are asked, how long they look, and what becomes of it, from
the log: per class, how many questions were approved, refused, not answered, and
taken back within the hour; per person, how many questions reached them on a day,
how long they had them before them, and how many yeses came faster than what was
asked can be read. Days are in UTC.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 || days > 366 {
				return k.Usage("--days is a number from 1 to 366")
			}
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				until := time.Now().UTC().Truncate(time.Second).Add(time.Second)
				since := until.Truncate(24*time.Hour).AddDate(0, 0, 1-days)
				counted, err := control.Get[attention.Stats](ctx, gate, "/attention?since="+url.QueryEscape(since.Format(time.RFC3339))+"&until="+url.QueryEscape(until.Format(time.RFC3339)))
				if err != nil {
					return err
				}
				return k.Print(counted, func(t *terminal.Table) { showStats(t, &counted) })
			})
		},
	}
	cmd.Flags().IntVar(&days, "days", days, "how many days, today included")
	return cmd
}

func showStats(t *terminal.Table, s *attention.Stats) {
	if len(s.Classes)+len(s.People) == 0 {
		t.Line("Nobody was asked anything since " + s.Since.Format(time.DateOnly) + ".")
		return
	}
	classes, people, notes := s.Tables()
	for _, row := range classes {
		t.Row(row...)
	}
	t.Line("")
	for _, row := range people {
		t.Row(row...)
	}
	for _, note := range notes {
		t.Line(terminal.Visible(note))
	}
}
