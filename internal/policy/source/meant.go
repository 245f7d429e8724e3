package source

import (
	"fmt"
	"slices"
	"strings"
)

// Meant asks whether the name closest to what was written was meant, in the
// words that end a problem; "" when none is close.
func Meant(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// nearest is the name closest to what was written, "" when none is close: one
// edit in three characters.
func nearest(name string, names []string) string {
	best, bestCost := "", len(name)/3+1
	for _, candidate := range slices.Sorted(slices.Values(names)) {
		if cost := distance(strings.ToLower(name), strings.ToLower(candidate), bestCost); cost < bestCost || cost == bestCost && best == "" {
			best, bestCost = candidate, cost
		}
	}
	return best
}

// distance is the number of letters to add, drop or change, at most limit+1.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// hints say what to write instead where the library's words leave that open.
var hints = []struct{ problem, hint string }{
	{"unexpected effect", "a rule begins with permit or forbid"},
	{"invalid primary", "a value stands here: context.…, principal, action, resource or a literal"},
	{"expected ident", `one entity stands here, such as Role::"…"; a condition takes several: principal in [Role::"a", Role::"b"]`},
	{"unexpected '='", "compare with =="},
	{`unexpected '\''`, "strings stand in double quotes"},
	{"unexpected '“'", "strings stand in straight double quotes"},
	{"saw decimal", `a number is a decimal here: compare with .lessThan(decimal("1.0")), .greaterThan(…)`},
	{"expected decimal but saw Long", `write decimal("1.0")`},
	{"failed to parse as a decimal", `a decimal has one to four places: decimal("1.0")`},
	{"non-literal expressions", "ip, decimal and their like are made of what is written here, not of arguments"},
}

// Hinted is the library's text of a problem with a hint, where there is one.
func Hinted(text string) string {
	for _, h := range hints {
		if strings.Contains(text, h.problem) {
			return text + "; " + h.hint
		}
	}
	return text
}
