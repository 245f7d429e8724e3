package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/inspect"
	"sallyport/internal/policy"
)

// Inspector looks at what passes. It never errs: what it could not see is a
// finding, so nothing gets past policy by breaking it.
type Inspector interface {
	// Arguments says what is seen in the arguments of a call, or in what a server
	// asks the agent.
	Arguments(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) []sallyport.Finding
	// Result says what is seen in what came back under a call.
	Result(ctx context.Context, call *sallyport.Call, result sallyport.Value) *inspect.Seen
}

// judged is what may be released of what came back, and why.
type judged struct {
	value    sallyport.Value // as it may be released; absent when it may not
	kept     sallyport.Value // as the log may keep it; absent when nobody knows what is in it
	found    []sallyport.Finding
	modified []string
	decision sallyport.Decision
	observed bool // observe mode released what policy would have withheld or changed
}

// judge looks at what came back and asks the rules marked @on("result") whether
// it may reach the agent, and how it is changed before. An error means that it
// may not; what the log may keep of it is known all the same.
func (t *Ticket) judge(ctx context.Context, result sallyport.Value) (j judged, err error) {
	rules := t.gateway.Rules()
	seen := t.gateway.inspect(ctx, rules, t.judged, result)
	j = judged{value: result, kept: result, found: seen.Findings}
	if !rules.JudgesResults() {
		return j, nil
	}
	j.decision = policy.DecideResult(rules, &sallyport.Facts{Call: t.judged, Tool: t.Tool, Result: result, Findings: seen.Findings, Permits: permits(t.decision)})
	j.kept, j.modified, err = seen.Change(j.decision.Mask, j.decision.Neutralise)
	switch {
	case err != nil:
		err = &sallyport.RefusedError{CallID: t.Call.ID, Cause: sallyport.CauseResult, Decision: sallyport.Decision{
			Rules: j.decision.Rules, Policy: j.decision.Policy, Reason: "Withheld: " + err.Error()}}
	case j.decision.Verdict != sallyport.Allow:
		err = &sallyport.RefusedError{CallID: t.Call.ID, Cause: sallyport.CauseResult, Decision: j.decision}
	}
	j.value = j.kept
	if t.gateway.Observe() && (err != nil || j.modified != nil) {
		j.value, j.observed, err = result, true, nil
	}
	return j, err
}

// inspect looks at what came back, unless no rule asks what is seen there: it
// takes longer than all else that happens to a long result.
func (g *Gateway) inspect(ctx context.Context, rules *policy.Rules, call *sallyport.Call, result sallyport.Value) *inspect.Seen {
	if rules.LooksAtFindings() {
		return g.Inspector.Result(ctx, call, result)
	}
	seen := inspect.Unlooked(result)
	seen.Findings = unasked
	return seen
}

// unasked is what is known of a text that no scanner was to look at.
var unasked = []sallyport.Finding{{Scanner: sallyport.AllScanners, Rule: sallyport.Unasked, Score: 1}}

// permits are the ids of the rules that let a call through, nil where nobody
// knows them any more.
func permits(decision sallyport.Decision) []string {
	if decision.Verdict != sallyport.Allow {
		return nil
	}
	return ids(decision.Rules)
}

// ids are the ids of rules, never nil.
func ids(rules []sallyport.Rule) []string {
	all := make([]string, len(rules))
	for i, rule := range rules {
		all[i] = rule.ID
	}
	return all
}

// maxPlace is the longest place of a finding that an entry names, in bytes.
const maxPlace = 128

// findings says for the log what scanners saw: each kind once, with the first
// place. It names places, never what stands there.
func findings(found []sallyport.Finding) []string {
	count, first := map[string]int{}, map[string]string{}
	for i := range found {
		f := &found[i]
		name := f.Name()
		if count[name]++; count[name] > 1 {
			continue
		}
		if first[name] = name; f.End > f.Start {
			path := f.Path
			if len(path) > maxPlace {
				path = strings.ToValidUTF8(path[:maxPlace], "") + "…"
			}
			first[name] = strings.TrimSpace(fmt.Sprintf("%s at %s", name, path)) + fmt.Sprintf(" bytes %d-%d", f.Start, f.End)
		}
	}
	var lines []string
	for name, line := range first {
		if n := count[name]; n > 1 {
			line += fmt.Sprintf(" and %d more", n-1)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// FindingNames are the names of the findings in the lines of an entry.
func FindingNames(lines []string) []string {
	var names []string
	for _, line := range lines {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names
}

// namesOf are the names of findings, each once.
func namesOf(found []sallyport.Finding) []string { return FindingNames(findings(found)) }
