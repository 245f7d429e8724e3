package redteam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/lab/scenario"
	"sallyport/internal/redteam/world"
	"sallyport/internal/terminal"
)

// Kit is what the command line has at hand.
type Kit struct {
	Errs  io.Writer
	Open  scenario.Open
	State func(config string) (dir string, err error) // the state directory that is meant
	Print func(value any, show func(*terminal.Table)) error
	Usage func(format string, args ...any) error
	// Failed is the error for what was tried and did not hold.
	Failed func(text string) error
	Args   cobra.PositionalArgs // none
}

type flags struct {
	config, agent, out string
	demo               bool
	attempts           int
	seed               uint64
	time               time.Duration
}

// Verb attacks the user's own policy.
func (k Kit) Verb() *cobra.Command {
	var f flags
	run := &cobra.Command{
		Use:   "run",
		Short: "Attack your own policy as somebody would who can put text before your agents",
		Long: `Attack your own policy: a puppet obeys whatever it reads, and an attacker who
sees each verdict with its reasons changes wording, encoding, place, arguments,
order and runs until something gets through, or the attempts are used up.

The policy, the declarations and what is pinned of the servers are yours; they are
only read, also beside a gateway that runs. The gateway is a throw-away one and
the servers are simulated: nothing real is touched. Where nothing is configured
yet, the demo is attacked.

The exit code is 4 when something got through.`,
		Example: `  sallyport redteam run
  sallyport redteam run --agent support-bot --attempts 20
  sallyport redteam run --demo --out found`,
		Args: k.Args,
		RunE: func(cmd *cobra.Command, _ []string) error { return k.run(cmd.Context(), f) },
	}
	run.Flags().StringVar(&f.config, "config", "", "configuration file (default: sallyport.yaml in the state directory)")
	run.Flags().BoolVar(&f.demo, "demo", false, "attack the configuration of the first minute, with the built-in servers")
	run.Flags().StringVar(&f.agent, "agent", "", "attack this agent alone (default: one of each role and tenant)")
	run.Flags().IntVar(&f.attempts, "attempts", 100, "how often each goal is tried")
	run.Flags().Uint64Var(&f.seed, "seed", 1, "the same seed makes the same attempts")
	run.Flags().DurationVar(&f.time, "time", 10*time.Minute, "stop after this time, and report what was found until then")
	run.Flags().StringVar(&f.out, "out", "", "write each way through into this directory, as a scenario for \"sallyport lab run\"")
	return run
}

func (k Kit) run(ctx context.Context, f flags) error {
	if f.attempts < 1 || f.time <= 0 {
		return k.Usage("--attempts and --time must be more than 0")
	}
	w, err := k.world(ctx, f)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, f.time)
	defer cancel()
	report, err := Run(limited, k.Open, w, Options{Agent: f.agent, Attempts: f.attempts, Seed: f.seed, Tell: k.tell()})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // interrupted: half a report would look like a whole one
	}
	if f.out != "" {
		if err := report.Write(f.out, w); err != nil {
			return err
		}
	}
	if err := k.Print(report, func(t *terminal.Table) { show(t, report) }); err != nil {
		return err
	}
	if report.Success.WithinMore > 0 {
		return k.Failed(fmt.Sprintf("%d of %d goals were reached", report.Success.WithinMore, report.Success.Goals))
	}
	return nil
}

// world is what is attacked: what "up" would serve or, where nothing is there
// yet, the demo.
func (k Kit) world(ctx context.Context, f flags) (*world.World, error) {
	if f.demo {
		return Demo(ctx, k.Open)
	}
	dir, err := k.State(f.config)
	if err != nil {
		return nil, err
	}
	name := f.config
	if name == "" {
		name = filepath.Join(dir, "sallyport.yaml")
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(k.Errs, "sallyport: there is no %s yet: this is the demo\n", name)
			return Demo(ctx, k.Open)
		}
	}
	return world.Read(ctx, name, dir)
}

// tell shows how far it is: at a terminal in one line, else now and then.
func (k Kit) tell() func(done, goals, through int) {
	last := time.Now()
	atTerminal := terminal.Is(k.Errs)
	return func(done, goals, through int) {
		line := fmt.Sprintf("%d of %d goals tried, %d reached", done, goals, through)
		switch {
		case atTerminal && done == goals:
			fmt.Fprint(k.Errs, "\r\x1b[K")
		case atTerminal:
			fmt.Fprintf(k.Errs, "\r%s\x1b[K", line)
		case time.Since(last) > 10*time.Second:
			last = time.Now()
			fmt.Fprintln(k.Errs, line)
		}
	}
}

func show(t *terminal.Table, r *Report) {
	t.Row("FIRST", "OF", "AGENT", "WRITES IN", "CALLS", "WITH", "USER ASKED", "WAY")
	for _, g := range r.Goals {
		if g.First == 0 {
			continue
		}
		with := g.Wants + " in " + g.Argument
		t.Row(fmt.Sprint(g.First), fmt.Sprint(g.Attempts), g.Agent, g.Source, g.Sink+" ("+strings.Join(g.Effects, ", ")+")",
			terminal.Visible(with), g.Told, strings.Join(g.Paths[0].Moves, "; "))
	}
	s := r.Success
	reached := fmt.Sprintf("\nReached of %d goals: %d at the first attempt", s.Goals, s.Within1)
	// Only what was tried: with 3 attempts, nobody knows what 100 would reach.
	for _, within := range []struct{ attempts, goals int }{{10, s.Within10}, {100, s.Within100}} {
		if within.attempts < r.Attempts {
			reached += fmt.Sprintf(", %d within %d", within.goals, within.attempts)
		}
	}
	t.Line(fmt.Sprintf("%s, %d within %d.", reached, s.WithinMore, r.Attempts))
	for _, f := range r.Families {
		t.Line(fmt.Sprintf("  %d by %s", f.Goals, f.Family))
	}
	for _, a := range r.Agents {
		t.Line(fmt.Sprintf("%s: %d tools attacked, %d refused whatever the arguments.", a.Agent, len(a.Tools), len(a.Refused)))
		if len(a.Unmade) > 0 {
			t.Line("  Not attacked, since no arguments were found that an honest call passes with: " + strings.Join(a.Unmade, ", "))
		}
	}
	if r.Unfinished > 0 {
		t.Line(fmt.Sprintf("There was no time to try %d goals in full: a longer --time does.", r.Unfinished))
	}
}
