package asking

import (
	"maps"
	"slices"
	"time"

	"sallyport"
)

// Asked are the people whom a question reaches: all who may agree to it at a time.
func (t *Terms) Asked(a *sallyport.Approval, at time.Time) []string {
	names := slices.Collect(maps.Keys(t.Groups))
	if t.Alone != "" {
		names = append(names, t.Alone)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := t.Agrees(a, name, "", at)
		return err != nil
	})
}
