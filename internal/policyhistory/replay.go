// Package policyhistory looks at policies through calls that were recorded:
// what a policy would have changed, and which policy would have been enough.
package policyhistory

import (
	"sallyport"
	"sallyport/internal/policy"
)

// Observed is a recorded call. Tool must be its definition as pinned now, nil
// for kinds that have none: policies are checked against what is pinned now.
type Observed struct {
	Call    *sallyport.Call
	Tool    *sallyport.Definition
	Verdict sallyport.Verdict // what policy said then
	Passed  bool              // it was let through: allowed, or merely observed
	Tainted bool              // its run had seen what nobody vouches for

	Findings []sallyport.Finding // in its arguments
}

// Changed is a recorded call about which a policy says something else.
type Changed struct {
	Record int // its place among the records
	Then   sallyport.Verdict
	Now    sallyport.Decision
}

// Replay is what a policy would have changed, in the order of the records. It
// takes every argument for the user's own: where they came from is not told anew.
func Replay(rules *policy.Rules, records []Observed) []Changed {
	var out []Changed
	for i, r := range records {
		now := policy.Decide(rules, &sallyport.Facts{Call: r.Call, Tool: r.Tool, Flow: new(sallyport.Flow), Findings: r.Findings})
		if now.Verdict != r.Verdict {
			out = append(out, Changed{i, r.Verdict, now})
		}
	}
	return out
}
