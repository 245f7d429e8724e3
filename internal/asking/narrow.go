package asking

import (
	"slices"
	"strings"

	"sallyport"
)

// Changes says what differs between the arguments that are asked and others, a
// line for each place: a number that is smaller, a list with fewer of the same
// items, and whatever else. Only the first two are narrower for certain; the rest
// is a person's word, and named as what it is. It names places, never values.
func Changes(asked, given sallyport.Value) []string { return changes(nil, asked, given, nil) }

func changes(path []byte, asked, given sallyport.Value, lines []string) []string {
	path = slices.Clip(path)
	line := func(what string) []string { return append(lines, strings.TrimSpace(string(path)+" "+what)) }
	switch {
	case string(asked.AppendCanonical(nil)) == string(given.AppendCanonical(nil)):
		return lines
	case asked.Type() == sallyport.Number && given.Type() == sallyport.Number && smaller(asked, given):
		return line("smaller")
	case asked.Type() == sallyport.Array && given.Type() == sallyport.Array && fewer(asked, given):
		return line("fewer")
	case asked.Type() != sallyport.Object || given.Type() != sallyport.Object:
		return line("changed")
	}
	for name, member := range asked.Members() {
		at := sallyport.AppendName(path, name)
		if other := given.Get(name); other.Type() == sallyport.Absent {
			lines = append(lines, string(at)+" left out")
		} else {
			lines = changes(at, member, other, lines)
		}
	}
	for name := range given.Members() {
		if asked.Get(name).Type() == sallyport.Absent {
			lines = append(lines, string(sallyport.AppendName(path, name))+" added")
		}
	}
	return lines
}

// smaller reports whether a number is nearer to zero, on the same side of it.
func smaller(asked, given sallyport.Value) bool {
	a, g := string(asked.Raw()), string(given.Raw())
	order, ok := Compare(strings.TrimPrefix(g, "-"), strings.TrimPrefix(a, "-"))
	return ok && order < 0 && strings.HasPrefix(a, "-") == strings.HasPrefix(g, "-")
}

// fewer reports whether a list has only items of another, in their order.
func fewer(asked, given sallyport.Value) bool {
	var left []string
	for _, item := range asked.Items() {
		left = append(left, string(item.AppendCanonical(nil)))
	}
	for _, item := range given.Items() {
		at := slices.Index(left, string(item.AppendCanonical(nil)))
		if at < 0 {
			return false
		}
		left = left[at+1:]
	}
	return true
}
