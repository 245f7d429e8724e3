package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/source"
)

// FindingNames are all that rules can ask of context.findings.
func (r *Rules) FindingNames() []string { return beside.FindingNames(r.declared.Findings) }

// changes reports whether a rule changes what comes back.
func (r *rule) changes() bool { return r.Mask != nil || r.Neutralise }

// changesAs reports whether a rule changes at least what another one does.
func (r *rule) changesAs(was *rule) bool {
	missing := func(name string) bool {
		scanner, _, _ := strings.Cut(name, "/")
		return !slices.Contains(r.Mask, name) && !slices.Contains(r.Mask, scanner)
	}
	return (r.Neutralise || !was.Neutralise) && !slices.ContainsFunc(was.Mask, missing)
}

// mask reads @mask, the names of findings and scanners whose finds are masked.
func (c *checker) mask(at source.Place, out *rule, value string) {
	known := beside.FindingNames(c.declared.Findings)
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if scanner, _, _ := strings.Cut(name, "/"); scanner == sallyport.AllScanners {
			c.problem(at, "what no scanner saw can't be masked")
			continue
		}
		c.name(at, "finding", name, known)
		out.Mask = append(out.Mask, name)
	}
}

// changing checks that a rule that changes what comes back can do so.
func (c *checker) changing(out *rule) {
	switch at := c.statement.Start(); {
	case !out.changes():
	case !out.permit && !out.result:
		c.problem(at, `only a permit, or a forbid marked @on("result"), can change what comes back`)
	case out.Ask != nil:
		c.problem(at, "a rule that asks can't change what comes back; write two rules")
	}
}

// oblige unites what the rules want changed of what came back: the forbids
// marked so that fire, and the permits by which the call went out. It returns
// the rule that can't be judged, nil for none.
func (q *question) oblige(d *sallyport.Decision) *rule {
	var changing candidates
	q.plain = slices.DeleteFunc(q.plain, func(r *rule) bool {
		if r.changes() {
			changing = append(changing, r)
		}
		return r.changes()
	})
	var fire candidates
	if len(changing) > 0 {
		var diagnostic cedar.Diagnostic
		var failed *rule
		if _, diagnostic, failed = q.evaluate(changing); failed != nil {
			return failed
		}
		for _, reason := range diagnostic.Reasons {
			fire = append(fire, changing.named(reason.PolicyID))
		}
	}
	var room [16]*rule
	for _, r := range q.rules.calls.in(room[:0], &q.call.Principal, q.act) {
		if r.permit && r.changes() && (q.facts.Permits == nil || slices.Contains(q.facts.Permits, r.ID)) {
			fire = append(fire, r)
		}
	}
	d.Rules = fire.sorted()
	for _, r := range d.Rules {
		d.Mask, d.Neutralise = append(d.Mask, r.Mask...), d.Neutralise || r.Neutralise
	}
	slices.Sort(d.Mask)
	d.Mask = slices.Compact(d.Mask)
	return nil
}
