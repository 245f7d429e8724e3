package beside

import (
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/types"

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

// What is listed of a flow is what rules read; without a flow, or with more than
// was traced, all of it is under suspicion.
func TestListedPaths(t *testing.T) {
	args := sallyport.MustParse(`{"to":[{"email":"x"}],"body":"y"}`)
	known := &sallyport.Flow{Task: true, Exposed: []string{"to[0].email"}, Unlinked: []string{"body"}}
	for _, c := range []struct {
		name, part string
		flow       *sallyport.Flow
		want       string
	}{
		{"exposed", "exposed", known, `[to, to[0], to[0].email]`},
		{"unlinked", "unlinked", known, `[body]`},
		{"nothing exposed", "exposed", &sallyport.Flow{}, `[]`},
		{"nobody knows", "exposed", nil, `[body, to, to[0], to[0].email]`},
		{"too many", "exposed", &sallyport.Flow{Traces: []sallyport.Trace{{}}}, `[body, to, to[0], to[0].email]`},
	} {
		var got []string
		for v := range Flow(c.flow, args, c.part, nil).(types.Set).All() {
			got = append(got, v.String())
		}
		slices.Sort(got)
		if all := "[" + strings.Join(got, ", ") + "]"; all != c.want {
			t.Errorf("%s: %s, want %s", c.name, all, c.want)
		}
	}
	for name, c := range map[string]struct {
		flow *sallyport.Flow
		task bool
	}{"a task": {known, true}, "no task": {&sallyport.Flow{}, false}, "nobody knows": {nil, false}} {
		task, _ := Flow(c.flow, args, "run", nil).(types.Record).Get("task")
		if task != types.Boolean(c.task) {
			t.Errorf("%s: %v", name, task)
		}
	}
}

// Where nobody keeps a run's memory it has seen and done all there is.
func TestRunOfNobodyKnows(t *testing.T) {
	got := Flow(nil, sallyport.MustParse(`{}`), "run", nil).(types.Record)
	for name, want := range map[types.String]types.Boolean{"sawUntrusted": true, "sawPrivate": true, "outside": true, "task": false} {
		if v, _ := got.Get(name); v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	did, _ := got.Get("did")
	found, _ := got.Get("found")
	if did.(types.Set).Len() != len(sallyport.Effects) || !found.(types.Set).Contains(unseen) {
		t.Errorf("did %v, found %v", did, found)
	}
}
