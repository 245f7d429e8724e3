package beside

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
)

// Findings is context.findings: the names of what scanners saw, and the
// scanners themselves. A scanner that did not see everything counts as one that
// saw all that it could have: of that, known are the names.
func Findings(found []sallyport.Finding, known []string) types.Set {
	in := paths{}
	for i := range found {
		in.found(found[i].Name(), known)
	}
	return in.set()
}

// foundBefore is context.run.found.
func foundBefore(names, known []string) types.Set {
	in := paths{}
	for _, name := range names {
		in.found(name, known)
	}
	return in.set()
}

func (p paths) found(name string, known []string) {
	scanner, rule, _ := strings.Cut(name, "/")
	p[types.String(name)], p[types.String(scanner)] = struct{}{}, struct{}{}
	if rule != sallyport.Unseen && scanner != sallyport.AllScanners {
		return
	}
	p[unseen], p[types.String(sallyport.AllScanners)] = struct{}{}, struct{}{}
	for _, name := range known {
		if of, _, _ := strings.Cut(name, "/"); of == scanner || scanner == sallyport.AllScanners {
			p[types.String(of)], p[types.String(name)] = struct{}{}, struct{}{}
		}
	}
}

const unseen = types.String(sallyport.AllScanners + "/" + sallyport.Unseen)

// FindingNames are all that context.findings can contain when scanners give
// findings of these names.
func FindingNames(known []string) []string {
	all := []string{sallyport.AllScanners, string(unseen)}
	for _, name := range known {
		scanner, _, _ := strings.Cut(name, "/")
		all = append(all, name, scanner)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
