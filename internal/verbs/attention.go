package verbs

import (
	"context"
	"fmt"
	"math"
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
				stats, err := control.Get[attention.Stats](ctx, gate, "/attention?since="+url.QueryEscape(since.Format(time.RFC3339))+"&until="+url.QueryEscape(until.Format(time.RFC3339)))
				if err != nil {
					return err
				}
				return k.Print(stats, func(t *terminal.Table) { showStats(t, &stats) })
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
	t.Row("CLASS", "ASKED", "APPROVED", "REFUSED", "NOT ANSWERED", "WAITING", "RATE", "TOO FAST", "TAKEN BACK")
	for i := range s.Classes {
		c := &s.Classes[i]
		t.Row(fmt.Sprint(c.Class), fmt.Sprint(c.Asked), fmt.Sprint(c.Approved), fmt.Sprint(c.Refused), fmt.Sprint(c.Expired), fmt.Sprint(c.Waiting),
			rate(c.Rate()), fmt.Sprint(c.Hasty), fmt.Sprint(c.Reversed))
	}
	t.Line("")
	t.Row("PERSON", "ASKED", "A DAY", "MOST", "DAYS OVER", "APPROVED", "REFUSED", "RATE", "MEDIAN", "P90", "TOO FAST", "TAKEN BACK")
	for i := range s.People {
		p := &s.People[i]
		most := ""
		if m := p.Most(); m.Asked > 0 {
			most = fmt.Sprintf("%d on %s", m.Asked, m.Day)
		}
		t.Row(p.Name, fmt.Sprint(p.Asked), fmt.Sprintf("%.1f", p.PerDay()), most, fmt.Sprint(p.Over), fmt.Sprint(p.Approved), fmt.Sprint(p.Refused),
			rate(p.Rate()), seconds(p.Median), seconds(p.Ninth), fmt.Sprint(p.Hasty), fmt.Sprint(p.Reversed))
	}
	for _, a := range s.Hasty {
		looked := "looked at for " + seconds(a.Took)
		if a.Took == 0 {
			looked = "never shown to them by this gateway"
		}
		t.Line(fmt.Sprintf("%s said yes to %s (class %d) on %s: %s, at least %s to read.", a.By, a.Approval, a.Class, clock(a.At), looked, seconds(a.Read)))
	}
	for _, a := range s.Reversed {
		t.Line(fmt.Sprintf("%s said yes to %s (class %d) on %s, and that was taken back: %s.", a.By, a.Approval, a.Class, clock(a.At), terminal.Visible(a.Why)))
	}
}

func rate(percent float64) string {
	if math.IsNaN(percent) {
		return ""
	}
	return fmt.Sprintf("%.0f %%", percent)
}

// seconds is a time as people compare it; "" for none.
func seconds(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}
