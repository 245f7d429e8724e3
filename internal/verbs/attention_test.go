package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/attention"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func TestApprovalsStats(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.Local)
	stats := attention.Count(nil, attention.Around{Since: at})
	var asked string
	gate := control.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("since") + " " + r.URL.Query().Get("until")
		json.NewEncoder(w).Encode(stats)
	}))
	var out bytes.Buffer
	k := Kit{
		With: func(cmd *cobra.Command, verb func(context.Context, *control.Client) error) error {
			return verb(t.Context(), gate)
		},
		Print: func(_ any, show func(*terminal.Table)) error {
			table := terminal.NewTable(&out)
			show(table)
			return table.Flush()
		},
		Exactly: func(...string) cobra.PositionalArgs { return cobra.NoArgs },
		Usage:   fmt.Errorf,
	}
	run := func(args ...string) (string, error) {
		out.Reset()
		cmd := k.approvalsStats()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(args)
		err := cmd.Execute()
		return strings.Join(strings.Fields(out.String()), " "), err
	}
	if text, err := run(); err != nil || text != "Nobody was asked anything since 2026-11-30." {
		t.Errorf("%q, %v", text, err)
	}
	stats.Classes = []attention.Class{{Class: 2, Asked: 9, Approved: 3, Refused: 1, Expired: 5}}
	stats.People = []attention.Person{{Name: "bo", Asked: 23, Days: []attention.Load{{Day: "2026-11-30", Asked: 23}}, Over: 1, Approved: 3, Refused: 1, Median: 4200, Ninth: 61_000, Hasty: 2}}
	stats.Hasty = []attention.Answer{{Approval: "a_1", By: "bo", At: at, Class: 2, Took: 900, Read: 8000}, {Approval: "a_2", By: "bo", At: at, Class: 2, Read: 8000}}
	stats.Reversed = []attention.Answer{{Approval: "a_3", By: "bo", At: at, Class: 2, Why: "kill k_1 agent bot"}}
	text, err := run("--days", "2")
	for _, wanted := range []string{
		"2 9 3 1 5 0 75 % 0 0", "bo 23 23.0 23 on 2026-11-30 1 3 1 75 % 4.2 s 61.0 s 2 0",
		"bo said yes to a_1 (class 2) on 2026-11-30 12:00:00: looked at for 0.9 s, at least 8.0 s to read.",
		"bo said yes to a_2 (class 2) on 2026-11-30 12:00:00: never shown to them by this gateway, at least 8.0 s to read.",
		"a_3 (class 2) on 2026-11-30 12:00:00, and that was taken back: kill k_1 agent bot.",
	} {
		if err != nil || !strings.Contains(text, wanted) {
			t.Errorf("%q is not in %q (%v)", wanted, text, err)
		}
	}
	now := time.Now().UTC()
	if yesterday := now.AddDate(0, 0, -1).Format(time.DateOnly) + "T00:00:00Z "; !strings.HasPrefix(asked, yesterday) {
		t.Errorf("asked for %s, want since %s", asked, yesterday)
	}
	for _, days := range []string{"0", "367", "x"} {
		if _, err := run("--days", days); err == nil {
			t.Error(errors.New(days + " days are counted"))
		}
	}
}
