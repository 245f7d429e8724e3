package config

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
