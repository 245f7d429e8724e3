package main

import "slices"

// baseline rules without looking at arguments, to show what the figures are
// worth: B0 asks on every write, B1 on every write after something was read,
// the oracle on every write that the task's own calls don't have (reference
// only: nobody has it).
type baseline struct {
	writes []string
	rule   string
	truth  []call
	read   bool
}

func baselineOpener(s *suite, rule string) opener {
	return func(_ string, truth []call) player { return &baseline{s.Mutations, rule, truth, false} }
}

func (b *baseline) Ask(c call) (ruling, error) {
	held := slices.Contains(b.writes, c.Tool)
	switch b.rule {
	case "B1":
		held = held && b.read
	case "oracle":
		held = held && !slices.ContainsFunc(b.truth, func(t call) bool { return t.Tool == c.Tool })
	}
	return ruling{Held: held}, nil
}

func (b *baseline) Hear(c call) error {
	b.read = b.read || !slices.Contains(b.writes, c.Tool)
	return nil
}
