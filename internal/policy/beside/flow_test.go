package beside

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
)

// A rule that names a path means what is below it, too, however names are
// spelled.
func TestPathsHoldTheirParents(t *testing.T) {
	for path, want := range map[string]string{
		"to":                          "to",
		"to.name":                     "to to.name",
		"to[0]":                       "to to[0]",
		"to[12].e.f":                  "to to[12] to[12].e to[12].e.f",
		`a["b c"].d`:                  `a a["b c"] a["b c"].d`,
		`["x"]["y.z[0]"]`:             `["x"] ["x"]["y.z[0]"]`,
		`["q\"]"].r`:                  `["q\"]"] ["q\"]"].r`,
		`["q\\"].r`:                   `["q\\"] ["q\\"].r`,
		"":                            "",
		`["never closed`:              `["never closed`,
		`a[never closed`:              `a a[never closed`,
		strings.Repeat("a.", 3) + "b": "a a.a a.a.a a.a.a.b",
	} {
		in := paths{}
		in.add([]byte(path))
		var got []string
		for p := range in {
			got = append(got, string(p))
		}
		slices.SortFunc(got, func(a, b string) int { return len(a) - len(b) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Paths are those that the leaves of the arguments have.
func TestPathsAreThoseOfLeaves(t *testing.T) {
	args := sallyport.MustParse(`{"to":[{"a b":1,"c":{"d\"]":"x"}}],"größe":null}`)
	var leaves []string
	for path := range args.Leaves() {
		leaves = append(leaves, string(path))
	}
	got := Flow(nil, args, "untrusted", nil).String()
	for _, path := range append(leaves, "to", "to[0]", "to[0].c") {
		if !strings.Contains(got, string(sallyport.AppendString(nil, path))) {
			t.Errorf("%s is not in %s", path, got)
		}
	}
}
