package config

import "sallyport/internal/inspect"

// findingNames are the names of findings that policies may ask for.
func findingNames() []string { return inspect.Names }

// Inspect says whether scanners look at what passes.
type Inspect string

// The ways to inspect.
const (
	On  Inspect = "on"
	Off Inspect = "off"
)

func (r *reader) checkInspect() {
	if c := r.config; c.Inspect != On && c.Inspect != Off {
		r.problem([]any{"inspect"}, "inspect is on or off, not %q", c.Inspect)
	}
}
