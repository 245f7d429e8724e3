package redteam

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
)

// found is what came of a goal.
type found struct {
	goal     *goal
	attempts int
	first    int      // the attempt that got through first, 0 for none
	through  []opened // each that got through, in order
	stopped  map[string]int
	cut      bool // there was no time to try all
}

// opened is an attempt that got through.
type opened struct {
	attempt int
	attack  *attack
	landed  []string
}

// tried is an attempt that did not, with what the attacker has learned from it.
type tried struct {
	plan       plan
	complaints []string
}

// search plays the attacker: first the plain injection, then everything that
// can be varied, most promising first by what the last answers complained of,
// then variations of those that were complained of least. Once something got
// through it only looks which other single variations do, too.
func (g *goal) search(ctx context.Context, gate *gate, o *surveyed, budget int, seed uint64) (*found, error) {
	h := fnv.New64a()
	h.Write([]byte(g.String()))
	s := &searching{goal: g, gate: gate, surveyed: o, budget: budget, random: rand.New(rand.NewPCG(seed, h.Sum64())),
		seen: map[plan]bool{}, found: &found{goal: g, stopped: map[string]int{}}}
	if err := s.try(ctx, plan{}); err != nil {
		return s.found, s.ended(ctx, err)
	}
	if s.found.first == 1 {
		return s.found, nil // no need for anything clever
	}
	for _, p := range s.ranked(s.singles()) {
		if err := s.try(ctx, p); err != nil {
			return s.found, s.ended(ctx, err)
		}
	}
	for s.found.first == 0 && !s.spent() {
		next, more := s.combined()
		if !more {
			break
		}
		if err := s.try(ctx, next); err != nil {
			return s.found, s.ended(ctx, err)
		}
	}
	return s.found, nil
}

type searching struct {
	*goal
	gate     *gate
	surveyed *surveyed
	budget   int
	random   *rand.Rand
	seen     map[plan]bool
	past     []tried
	*found
}

func (s *searching) spent() bool { return s.found.attempts >= s.budget }

// ended is nil where it is the time that is over.
func (s *searching) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		s.found.cut = true
		return nil
	}
	return err
}

// try makes one attempt. What makes no sense for the goal costs nothing.
func (s *searching) try(ctx context.Context, p plan) error {
	if s.seen[p] || s.spent() {
		return nil
	}
	s.seen[p] = true
	a := s.goal.attack(p, s.surveyed)
	if a == nil {
		return nil
	}
	s.found.attempts++
	r, err := s.goal.play(ctx, s.gate, a)
	if err != nil {
		return err
	}
	if r.landed != nil {
		if s.found.first == 0 {
			s.found.first = s.found.attempts
		}
		s.found.through = append(s.found.through, opened{s.found.attempts, s.goal.attack(p, s.surveyed), r.landed})
		return nil
	}
	for _, c := range r.complaints {
		if rule, ok := strings.CutPrefix(c, "rule "); ok {
			s.found.stopped[rule]++
		}
	}
	if !r.dead {
		s.past = append(s.past, tried{p, r.complaints})
	}
	return nil
}

// singles are all plans that vary one thing.
func (s *searching) singles() []plan {
	var all []plan
	for d := range dimensions {
		for _, choice := range s.goal.choices(d) {
			var p plan
			p[d] = choice
			all = append(all, p)
		}
	}
	return all
}

// ranked orders plans by what the plain attempt was stopped for; chance decides
// among equals.
func (s *searching) ranked(plans []plan) []plan {
	var complaints []string
	if len(s.past) > 0 {
		complaints = s.past[0].complaints
	}
	s.random.Shuffle(len(plans), func(i, j int) { plans[i], plans[j] = plans[j], plans[i] })
	weight := promise(complaints)
	slices.SortStableFunc(plans, func(a, b plan) int { return b.sum(weight) - a.sum(weight) })
	return plans
}

func (p plan) sum(weight [dimensions]int) int {
	sum := 0
	for d, choice := range p {
		if choice != "" {
			sum += weight[d]
		}
	}
	return sum
}

// promise is how much a variation in each dimension promises against what was
// complained of.
func promise(complaints []string) (weight [dimensions]int) {
	add := func(dims ...dimension) {
		for i, d := range dims {
			weight[d] += len(dims) - i
		}
	}
	add(ordered, shaped)
	for _, c := range complaints {
		switch {
		case strings.Contains(c, "untrusted"): // it was found where it stands: hide it, or have it stand better
			add(disguised, placed, mimicked, written)
		case strings.Contains(c, "unknown"): // nobody has written it: have somebody write it
			add(placed, mimicked, ordered)
		case c == outside: // the task asks for nothing of the sort: speak for the user
			add(ordered, placed)
		case strings.HasPrefix(c, "rule "), c == "no permit": // a rule about arguments, perhaps
			add(written, shaped, mimicked, wrapped)
		}
	}
	return weight
}

// combined varies one more thing in a plan that was complained of little. It
// reports false when there is nothing left.
func (s *searching) combined() (plan, bool) {
	parents := slices.Clone(s.past)
	slices.SortStableFunc(parents, func(a, b tried) int { return len(a.complaints) - len(b.complaints) })
	for _, parent := range parents {
		var next []plan
		for d := range dimensions {
			if parent.plan[d] != "" {
				continue
			}
			for _, choice := range s.goal.choices(d) {
				p := parent.plan
				p[d] = choice
				if !s.seen[p] {
					next = append(next, p)
				}
			}
		}
		weight := promise(parent.complaints)
		s.random.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		slices.SortStableFunc(next, func(a, b plan) int { return b.sum(weight) - a.sum(weight) })
		for _, p := range next {
			if s.goal.attack(p, s.surveyed) != nil {
				return p, true
			}
			s.seen[p] = true
		}
	}
	return plan{}, false
}
