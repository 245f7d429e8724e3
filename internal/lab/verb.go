package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/lab/scenario"
	"sallyport/internal/terminal"
)

// Kit is what the command line has at hand.
type Kit struct {
	Out, Errs io.Writer
	Open      scenario.Open
	Print     func(value any, show func(*terminal.Table)) error
	Usage     func(format string, args ...any) error
	Failed    error // a scenario failed, and all is said
}

// List is "sallyport lab list".
func (k Kit) List() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the attacks, a sentence each", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := scenario.All()
			if err != nil {
				return err
			}
			type listed struct {
				Name  string `json:"name"`
				Title string `json:"title"`
				Rule  string `json:"rule,omitempty"`
				Open  string `json:"open,omitempty"`
			}
			list := []listed{}
			for _, s := range all {
				list = append(list, listed{s.Name, s.Title(), s.Rule, s.Open})
			}
			return k.Print(list, func(t *terminal.Table) {
				t.Row("SCENARIO", "STOPPED BY", "WHAT IT SHOWS")
				for _, l := range list {
					by := l.Rule
					if l.Open != "" {
						by = "(open)"
					}
					t.Row(l.Name, by, l.Title)
				}
			})
		},
	}
}

// Run is "sallyport lab run".
func (k Kit) Run() *cobra.Command {
	var scanners bool
	var output string
	cmd := &cobra.Command{
		Use:   "run SCENARIO…|all",
		Short: "Play attacks with an agent that obeys whatever it reads",
		Long: `Play attacks with an agent that obeys whatever it reads, in every encoding. For
each of them four things are shown: it works without Sallyport; with it, it does
not, and the log says what came from where; the honest work is done, and people
are asked as often as stated; without the one rule that stops it, it works again.

SCENARIO is a name that "sallyport lab list" shows, or a file of your own. Each is
played on gateways of its own; nothing of yours is touched. What scanners see
counts for nothing unless you say --scanners. The exit code is 4 when a scenario
failed.`,
		Example: `  sallyport lab run all
  sallyport lab run S3 S9-rug-pull -o junit
  sallyport lab run mine.txtar`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return k.Usage(`%s needs the name of a scenario, a file, or "all"; "sallyport lab list" shows the names`, cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			scenarios, err := k.chosen(args)
			if err != nil {
				return err
			}
			return k.play(cmd.Context(), scenarios, scanners, output)
		},
		// In place of the check of the root: JUnit's format is known here, too.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			output = cmd.Flag("output").Value.String()
			if !slices.Contains([]string{"table", "json", "yaml", "junit"}, output) {
				return k.Usage("-o is table, json, yaml or junit, not %q", output)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&scanners, "scanners", false, "with the starter's rules about what scanners see, too")
	return cmd
}

func completeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names := []string{"all"}
	all, _ := scenario.All()
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveDefault // files, too
}

// Twins plays the honest work of every scenario, and counts how often people are
// asked about it.
func (k Kit) Twins(ctx context.Context) (all scenario.Asked, err error) {
	scenarios, err := scenario.All()
	for i, s := range scenarios {
		fmt.Fprintf(k.Errs, "%*d/%d %s\n", len(fmt.Sprint(len(scenarios))), i+1, len(scenarios), terminal.Visible(s.Name))
		one, err := Twin(ctx, k.Open, s)
		if err != nil {
			return all, fmt.Errorf("%s: %w", s.Name, err)
		}
		all.Add(one)
	}
	return all, err
}

// chosen finds scenarios by name, and reads those that are files.
func (k Kit) chosen(args []string) ([]*scenario.Scenario, error) {
	all, err := scenario.All()
	if err != nil {
		return nil, err
	}
	var chosen []*scenario.Scenario
	for _, arg := range args {
		if arg == "all" {
			chosen = append(chosen, all...)
			continue
		}
		if i := slices.IndexFunc(all, func(s *scenario.Scenario) bool { return s.Name == arg }); i >= 0 {
			chosen = append(chosen, all[i])
			continue
		}
		text, err := os.ReadFile(arg)
		if errors.Is(err, os.ErrNotExist) {
			return nil, k.Usage("there is no scenario and no file %q; \"sallyport lab list\" shows the scenarios", arg)
		}
		if err != nil {
			return nil, err
		}
		s, err := scenario.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s is no scenario: %w", arg, err)
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

// play plays scenarios one after the other and says how each went, then all.
func (k Kit) play(ctx context.Context, scenarios []*scenario.Scenario, scanners bool, output string) error {
	var results []Result
	failed := false
	for i, s := range scenarios {
		fmt.Fprintf(k.Errs, "%*d/%d %-16s ", len(fmt.Sprint(len(scenarios))), i+1, len(scenarios), terminal.Visible(s.Name))
		r := Play(ctx, k.Open, s, scanners)
		if err := ctx.Err(); err != nil {
			return err
		}
		results = append(results, r)
		failed = failed || r.State == Failed
		fmt.Fprintf(k.Errs, "%-6s %6s  %s\n", r.State, r.Took.Round(10*time.Millisecond), terminal.Visible(strings.TrimSuffix(s.Title(), ".")))
	}
	var err error
	if output == "junit" {
		err = JUnit(k.Out, results)
	} else {
		err = k.Print(results, func(t *terminal.Table) { Table(t, results) })
	}
	if err == nil && failed {
		err = k.Failed
	}
	return err
}
