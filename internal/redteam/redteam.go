// Package redteam attacks a policy as somebody would who can put text before an
// agent: a puppet obeys whatever it reads, and the attacker sees each verdict
// with its reasons and tries something else. The gateway is the real one; the
// servers are simulated. See docs/redteam.md.
package redteam

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"sallyport/internal/lab/scenario"
	"sallyport/internal/redteam/world"
)

// Options say how hard to try.
type Options struct {
	Agent    string // "" for one agent of each role and tenant
	Attempts int    // at each goal
	Seed     uint64
	// Tell is told what goes on; it may be nil, and must not block.
	Tell func(done, goals, through int)
}

// Report is what came of it.
type Report struct {
	Seed     uint64   `json:"seed"`
	Attempts int      `json:"attempts"` // at most, at each goal
	Agents   []Agent  `json:"agents"`
	Goals    []Goal   `json:"goals"`
	Success  Success  `json:"success"`
	Families []Family `json:"families"`
	// Unfinished is how many goals there was no time to try in full.
	Unfinished int `json:"unfinished"`
}

// Agent is what an agent can do at all.
type Agent struct {
	Agent   string   `json:"agent"`
	Sources []string `json:"sources"` // tools that return what others can write
	Tools   []string `json:"tools"`   // that were attacked
	Refused []string `json:"refused"` // refused whatever the arguments
	// Unmade are tools for which no arguments were found that an honest call
	// passes with: nothing is known of them.
	Unmade []string `json:"unmade"`
}

// Success is how many goals were reached within so many attempts.
type Success struct {
	Goals      int `json:"goals"`
	Within1    int `json:"within_1"`
	Within10   int `json:"within_10"`
	Within100  int `json:"within_100"`
	WithinMore int `json:"within_more"`
}

// Goal is one thing that the attacker wanted, and what came of it.
type Goal struct {
	Agent    string   `json:"agent"`
	Source   string   `json:"source"` // where he could write
	Sink     string   `json:"sink"`   // the tool to be called
	Effects  []string `json:"effects"`
	Argument string   `json:"argument"` // where his value was to be, or what leaks
	Wants    string   `json:"wants"`
	Told     string   `json:"told"` // what the user had asked for
	Task     string   `json:"task,omitempty"`
	Attempts int      `json:"attempts"`
	First    int      `json:"first"` // the attempt that got through first, 0 for none
	Paths    []Path   `json:"paths"`
	// Stopped counts the attempts that a rule stopped, by rule.
	Stopped map[string]int `json:"stopped"`
	Cut     bool           `json:"cut,omitempty"`
}

// Path is a way through.
type Path struct {
	Attempt int      `json:"attempt"`
	Moves   []string `json:"moves"` // what was varied
	File    string   `json:"file,omitempty"`

	goal   *goal
	attack *attack
	landed []string
}

// Family is a kind of variation and how many goals it reached, alone or with
// others.
type Family struct {
	Family string `json:"family"`
	Goals  int    `json:"goals"`
}

// Run attacks a world until every goal was tried as often as wanted, or ctx
// ends: then what was found so far is reported.
func Run(ctx context.Context, open scenario.Open, w *world.World, options Options) (_ *Report, err error) {
	agents, err := w.Agents(options.Agent)
	if err != nil {
		return nil, err
	}
	var gates []*gate
	defer func() {
		for _, g := range gates {
			err = errors.Join(err, g.close())
		}
	}()
	// Attempts must not see each other's texts, so each worker has a gateway.
	for range min(4, max(2, runtime.NumCPU())) {
		g, err := openGate(context.WithoutCancel(ctx), open, w, agents)
		if err != nil {
			return nil, err
		}
		gates = append(gates, g)
	}
	report := &Report{Seed: options.Seed, Attempts: options.Attempts, Agents: []Agent{}, Goals: []Goal{}, Families: []Family{}}
	var work []job
	for _, agent := range agents {
		o, err := survey(ctx, gates[0], w, agent)
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", agent, err)
		}
		report.Agents = append(report.Agents, o.report(agent))
		for _, g := range o.goals(agent) {
			work = append(work, job{g, o})
		}
	}
	results, err := play(ctx, gates, work, options)
	if err != nil {
		return nil, err
	}
	for _, f := range results {
		report.add(f)
	}
	report.sum()
	return report, nil
}

type job struct {
	goal     *goal
	surveyed *surveyed
}

// play tries all goals, as many at once as there are gateways.
func play(ctx context.Context, gates []*gate, work []job, options Options) ([]*found, error) {
	results := make([]*found, len(work))
	var mu sync.Mutex
	var wait sync.WaitGroup
	var errs []error
	next, done, through := 0, 0, 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if next == len(work) || len(errs) > 0 {
			return -1
		}
		next++
		return next - 1
	}
	for _, gate := range gates {
		wait.Go(func() {
			for i := take(); i >= 0; i = take() {
				f, err := work[i].goal.search(ctx, gate, work[i].surveyed, options.Attempts, options.Seed)
				mu.Lock()
				results[i] = f
				done++
				if f.first > 0 {
					through++
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", work[i].goal, err))
				}
				if options.Tell != nil {
					options.Tell(done, len(work), through)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return results, errors.Join(errs...)
}

func (o *surveyed) report(agent string) Agent {
	a := Agent{Agent: agent, Sources: []string{}, Tools: []string{}, Refused: append([]string{}, o.refused...), Unmade: append([]string{}, o.unmade...)}
	for _, s := range o.distinct() {
		a.Sources = append(a.Sources, s.String())
	}
	for _, t := range o.tools {
		if harmful(t.Effects) {
			a.Tools = append(a.Tools, t.Server+"/"+t.Name)
		}
	}
	return a
}

func (r *Report) add(f *found) {
	g := f.goal
	goal := Goal{
		Agent: g.Agent, Source: g.source.String(), Sink: g.sink.Server + "/" + g.sink.Name, Effects: []string{}, Argument: g.at.String(),
		Wants: string(g.kind), Told: string(g.told), Task: g.task, Attempts: f.attempts, First: f.first, Paths: []Path{}, Stopped: f.stopped, Cut: f.cut,
	}
	if g.leaks != nil {
		goal.Wants = "text of " + g.leaks.String()
	}
	for _, e := range g.sink.Effects {
		goal.Effects = append(goal.Effects, string(e))
	}
	for _, o := range f.through {
		goal.Paths = append(goal.Paths, Path{Attempt: o.attempt, Moves: o.attack.plan.moves(), goal: g, attack: o.attack, landed: o.landed})
	}
	r.Goals = append(r.Goals, goal)
}

func (r *Report) sum() {
	families := map[string]int{}
	for _, g := range r.Goals {
		r.Success.Goals++
		if g.Cut {
			r.Unfinished++
		}
		switch {
		case g.First == 0:
			continue
		case g.First == 1:
			r.Success.Within1++
		}
		if g.First <= 10 {
			r.Success.Within10++
		}
		if g.First <= 100 {
			r.Success.Within100++
		}
		r.Success.WithinMore++
		seen := map[string]bool{}
		for _, p := range g.Paths {
			for _, move := range p.Moves {
				if !seen[move] {
					seen[move] = true
					families[move]++
				}
			}
		}
	}
	for family, goals := range families {
		r.Families = append(r.Families, Family{family, goals})
	}
	slices.SortFunc(r.Families, func(a, b Family) int {
		if a.Goals != b.Goals {
			return b.Goals - a.Goals
		}
		return compare(a.Family, b.Family)
	})
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
