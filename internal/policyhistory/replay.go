// Package policyhistory looks at policies through calls that were recorded:
// what a policy would have changed, and which policy would have been enough.
package policyhistory

import (
	"slices"

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

	Findings []sallyport.Finding // in its arguments
	Flow     *sallyport.Flow     // where they came from; nil when nobody kept it
}

// Changed is a recorded call about which a policy says something else.
type Changed struct {
	Record int // its place among the records
	Then   sallyport.Verdict
	Now    sallyport.Decision
}

// Replay is what a policy would have changed, in the order of the records, oldest
// first. Where nobody kept where the arguments came from they are taken for the
// user's own, in a run that has read and done nothing.
func Replay(rules *policy.Rules, records []Observed) []Changed {
	var out []Changed
	did := map[string][]sallyport.Effect{} // by run
	for i, r := range records {
		flow := sallyport.Flow{Task: true}
		if r.Flow != nil {
			flow = *r.Flow
			flow.Run.Did = did[r.Call.Run.ID]
		}
		if r.Passed && r.Tool != nil {
			did[r.Call.Run.ID] = slices.Concat(did[r.Call.Run.ID], r.Tool.Effects)
			slices.Sort(did[r.Call.Run.ID])
			did[r.Call.Run.ID] = slices.Compact(did[r.Call.Run.ID])
		}
		now := policy.Decide(rules, &sallyport.Facts{Call: r.Call, Tool: r.Tool, Flow: &flow, Findings: r.Findings})
		if now.Verdict != r.Verdict {
			out = append(out, Changed{i, r.Verdict, now})
		}
	}
	return out
}
