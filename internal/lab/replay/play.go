package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sallyport"
	"sallyport/internal/identity"
	"sallyport/internal/scope"
)

// Line is what was decided about one recorded call. The figures are counted from
// the lines and from nothing else, so that anybody can count them again.
type Line struct {
	Level string `json:"level"`
	Suite string `json:"suite"`
	Set   Set    `json:"set"`
	Model string `json:"model,omitempty"`
	Run   int    `json:"run"` // number of the run within its suite
	Task  string `json:"task,omitempty"`
	Goal  string `json:"goal,omitempty"`
	// Call is the index of the call in its run. A run without any call has one
	// line, without a tool.
	Call     int      `json:"call"`
	Tool     string   `json:"tool,omitempty"`
	Args     string   `json:"args,omitempty"` // cut where they are long
	Writes   bool     `json:"writes"`         // an act, as the suite counts
	Injected bool     `json:"injected"`       // the attacker wants it
	Again    bool     `json:"again"`          // the attacker wants what the user's own call did already
	Decision Decision `json:"decision"`
	Cause    string   `json:"cause,omitempty"` // of a refusal that is not policy's
	Rules    []string `json:"rules,omitempty"` // that decided
	Reason   string   `json:"reason,omitempty"`
	Origins  []string `json:"origins,omitempty"` // as the log has them, by path
	// Question is what people were asked: one that is the same in one run was
	// answered already.
	Question string `json:"question,omitempty"`
}

// Decision is how the gateway decided.
type Decision string

// The decisions.
const (
	Allowed Decision = "allow"
	Held    Decision = "hold"
	Denied  Decision = "deny"
	// Refused is not policy's doing: no such tool, or arguments that do not fit
	// its schema. It never counts as an attack that was caught, and always as a
	// task that was disturbed.
	Refused Decision = "refused"
)

// flagged reports whether policy stopped the call.
func (l *Line) flagged() bool { return l.Decision == Held || l.Decision == Denied }

// Levels are the levels of the curve, by name.
var Levels = map[string]scope.Level{"strict": scope.Strict, "default": scope.Default, "lenient": scope.Lenient}

// LevelNames lists the levels, strictest first.
var LevelNames = []string{"strict", "default", "lenient"}

// Options say how to replay.
type Options struct {
	Law   *Law
	Level string
	// AsText gives results as the model saw them; else as structured content
	// where that was recorded.
	AsText bool
	// Progress is told how many runs of a suite are done.
	Progress func(suite string, done, all int)
}

// Replay puts every recorded call of a suite to the gateway. The lines are in the
// order of the runs.
func (s *Suite) Replay(ctx context.Context, o Options) (lines []Line, err error) {
	level, known := Levels[o.Level]
	if !known {
		return nil, fmt.Errorf("there is no level %q: strict, default or lenient", o.Level)
	}
	dir, err := os.MkdirTemp("", "sallyport-replay-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := openGate(ctx, dir, s, o.Law, level)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()

	// Most of a call is waiting for the log to be durable, and one group of many
	// calls is as durable as one call.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	played := make([][]Line, len(s.Runs))
	work := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 128 * runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range work {
				lines, err := g.play(ctx, i, o)
				if err != nil {
					stop(fmt.Errorf("%s: %s %s %s: %w", s.Name, s.Runs[i].Set, s.Runs[i].Task, s.Runs[i].Goal, err))
					return
				}
				mu.Lock()
				played[i] = lines
				if done++; o.Progress != nil {
					o.Progress(s.Name, done, len(s.Runs))
				}
				mu.Unlock()
			}
		})
	}
feed:
	for i := range s.Runs {
		select {
		case work <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return slices.Concat(played...), nil
}

// play replays one run.
func (g *gate) play(ctx context.Context, number int, o Options) ([]Line, error) {
	run := &g.suite.Runs[number]
	line := Line{Level: o.Level, Suite: g.suite.Name, Set: run.Set, Model: run.Model, Run: number, Task: run.Task, Goal: run.Goal}
	begun, err := g.begin(ctx, run.Prompt)
	if err != nil {
		return nil, err
	}
	var lines []Line
	for i, c := range run.Calls {
		entry, err := g.call(ctx, begun.Token, c, o.AsText)
		if err != nil {
			return nil, fmt.Errorf("call %d (%s): %w", i, c.Tool, err)
		}
		l := line
		l.Call, l.Tool, l.Args, l.Injected = i, c.Tool, cut(string(c.Args.AppendCanonical(nil))), c.Injected
		l.Writes = slices.Contains(g.suite.Writes, c.Tool)
		l.Again = c.Injected && slices.ContainsFunc(run.Calls[:i], func(before Call) bool {
			return !before.Injected && before.same(&c)
		})
		l.decided(entry, c)
		lines = append(lines, l)
	}
	if lines == nil {
		line.Decision = Allowed
		lines = append(lines, line)
	}
	_, err = g.runs.End(ctx, identity.Operator(), begun.Run)
	return lines, err
}

// same reports whether a call does what another one does.
func (c *Call) same(other *Call) bool {
	return c.Tool == other.Tool && string(c.Args.AppendCanonical(nil)) == string(other.Args.AppendCanonical(nil))
}

// decided fills in what the entry of the decision says.
func (l *Line) decided(e *sallyport.Entry, c Call) {
	l.Rules, l.Reason, l.Origins = e.Rules, e.Reason, e.Origins
	switch {
	case e.Type == sallyport.Intent:
		l.Decision, l.Reason = Allowed, ""
	case e.Cause == sallyport.CausePolicy:
		l.Decision = Denied
	case e.Cause == sallyport.CauseHold, e.Cause == sallyport.CauseApproval:
		l.Decision = Held
	default:
		l.Decision, l.Cause = Refused, string(e.Cause)
	}
	if l.flagged() {
		l.Question = question(e, c)
	}
}

// question is what a person decides who is asked: what is done, and the values
// that nothing links to the task. Who has agreed to one value for one tool has
// agreed to it for the rest of the run.
func question(e *sallyport.Entry, c Call) string {
	parts := append([]string{c.Tool}, e.Rules...)
	for _, origin := range e.Origins {
		path, rest, _ := strings.Cut(origin, ": ")
		if status, _, _ := strings.Cut(rest, ";"); !strings.HasSuffix(status, ", not linked to the task") {
			continue
		}
		for at, leaf := range c.Args.Leaves() {
			if string(at) == path {
				parts = append(parts, path+"="+string(leaf.AppendCanonical(nil)))
			}
		}
	}
	return strings.Join(parts, " ")
}

// maxShown is how much of the arguments a line shows, in bytes.
const maxShown = 240

func cut(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

// inOrder sorts lines by level, suite, run and call.
func inOrder(a, b Line) int {
	return cmp.Or(slices.Index(LevelNames, a.Level)-slices.Index(LevelNames, b.Level), strings.Compare(a.Suite, b.Suite), a.Run-b.Run, a.Call-b.Call)
}
