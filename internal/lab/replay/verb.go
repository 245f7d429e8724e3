package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/terminal"
)

// Kit is what the command line has at hand.
type Kit struct {
	Out, Errs io.Writer
	Print     func(value any, show func(*terminal.Table)) error
	Usage     func(format string, args ...any) error
}

// verb is the verb of the command line.
type verb struct {
	Kit
	files         []string
	policy, agent string
	levels        []string
	transcripts   bool
	text, list    bool
	output        string
}

// Verb is "sallyport lab replay".
func Verb(kit Kit) *cobra.Command {
	v := &verb{Kit: kit}
	cmd := &cobra.Command{
		Use:   "replay FILE…",
		Short: "Put recorded runs to a policy, attacks and honest ones, and count what it stops",
		Long: `Put recorded runs to a policy: each call goes through a gateway of its own, with
its log, runs, pins, memories and approvals, and a server that answers what was
recorded. People agree to what the user's own calls ask.

FILE is a recorded suite (.json), a file of runs of real models (.jsonl, also
with .gz), or a directory of these. Without --policy the rules about flow that
come with sallyport are measured, and everything else is permitted. A server that
the policy's sallyport.yaml does not configure gets the effects that import would
propose for its tools.

The figures stand beside those of rules that look at no argument: B0 asks on
every act, B1 on every act after something was read, and the oracle on every act
that the task's own calls don't have. With -o jsonl each call is one line; the
figures can be counted from the lines.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return v.Usage("%s needs a FILE: a recorded suite, runs of models, or a directory of these", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			v.files = args
			return v.run(cmd.Context())
		},
		// In place of the check of the root: here are lines, too.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			v.output = cmd.Flag("output").Value.String()
			if !slices.Contains([]string{"table", "json", "yaml", "jsonl"}, v.output) {
				return v.Usage("-o is table, json, yaml or jsonl, not %q", v.output)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&v.policy, "policy", "", "directory of a sallyport.yaml with its policies, or of *.cedar files alone")
	cmd.Flags().StringVar(&v.agent, "agent", "", "who makes the calls, of the agents that sallyport.yaml declares")
	cmd.Flags().BoolVar(&v.transcripts, "transcripts", false, "replay what real models did in the suites, instead of the worst case")
	cmd.Flags().StringSliceVar(&v.levels, "level", LevelNames, "how much of what is not certain passes, one or several")
	cmd.Flags().BoolVar(&v.text, "text", false, "give results as the model saw them, instead of as structured content")
	cmd.Flags().BoolVar(&v.list, "list", false, "list every act of an attacker that passed and every call of the user that did not, with the reason")
	cmd.RegisterFlagCompletionFunc("level", cobra.FixedCompletions(LevelNames, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (v *verb) run(ctx context.Context) error {
	for _, level := range v.levels {
		if _, known := Levels[level]; !known {
			return v.Usage("there is no level %q: %s", level, strings.Join(LevelNames, ", "))
		}
	}
	law, err := Starter()
	if v.policy != "" {
		law, err = ReadLaw(v.policy, v.agent)
	}
	if err != nil {
		return err
	}
	suites, err := Read(v.files, v.transcripts)
	if err != nil {
		return err
	}
	var lines []Line
	for _, level := range v.levels {
		for _, s := range suites {
			played, err := s.Replay(ctx, Options{Law: law, Level: level, AsText: v.text, Progress: v.progress(level)})
			if err != nil {
				return err
			}
			lines = append(lines, played...)
		}
	}
	return v.show(lines)
}

// progress tells a person who waits how far it is, at most twice a second.
func (v *verb) progress(level string) func(suite string, done, all int) {
	var last time.Time
	return func(suite string, done, all int) {
		if now := time.Now(); done == all || now.Sub(last) > time.Second/2 {
			last = now
			fmt.Fprintf(v.Errs, "%s at level %s: %d of %d runs\n", terminal.Visible(suite), level, done, all)
		}
	}
}

func (v *verb) show(lines []Line) error {
	if v.output == "jsonl" {
		out := json.NewEncoder(terminal.JSONLines(v.Out))
		out.SetEscapeHTML(false)
		for i := range lines {
			if err := out.Encode(&lines[i]); err != nil {
				return err
			}
		}
		return nil
	}
	rows := Report(lines)
	wrong := []string{}
	if v.list {
		wrong = append(Escapes(lines), Needless(lines)...)
	}
	shown := struct {
		Figures []Row    `json:"figures"`
		Wrong   []string `json:"wrong,omitempty"`
	}{rows, wrong}
	return v.Print(shown, func(t *terminal.Table) {
		for _, line := range wrong {
			t.Line(terminal.Visible(line))
		}
		t.Row(slices.Clone(Head)...)
		for i := range rows {
			t.Row(rows[i].Cells()...)
		}
		for i := range rows {
			if note := rows[i].Note(); note != "" {
				t.Line(terminal.Visible(note))
			}
		}
	})
}
