// Package inspect looks at text that comes from servers and says what it sees:
// hidden characters, orders to an assistant, markup that carries data away,
// secrets, personal data, poisoned definitions of tools. A finding is a fact
// for the policy and never a verdict; the system has to hold when this
// package finds nothing at all.
//
// Everything here is linear in the text, bounded, and without state.
package inspect

import (
	"slices"

	"sallyport"
	"sallyport/internal/inspect/plain"
)

// Kind says what a text is. The zero Kind is inspected as both kinds are.
type Kind uint8

// The kinds of text.
const (
	Unknown     Kind = iota
	Result           // what a tool, resource, prompt, message or error says
	Description      // what a server says of its tools
)

// The scanners, as findings name them.
const (
	ScannerPlain      = "normalise"  // rules: zero-width, bidi, tags, selectors, homoglyph, combining, control, reference, hidden-html, comment, attribute
	ScannerOrder      = "order"      // orders to an assistant, by their grammar
	ScannerExfil      = "exfil"      // markup that carries data away
	ScannerSecret     = "secret"     // credentials
	ScannerPII        = "pii"        // personal data
	ScannerDefinition = "definition" // what does not belong into a tool's definition
	ScannerShadow     = "shadow"     // one server's tool that meddles with another's
	ScannerModel      = "classifier" // the trained model
)

// MaxFindings bounds the findings of one scanner in one text. A text with more
// is no less suspect: the scanner's last finding then has the rule "more".
// Scanners have their room each, so that a list of addresses can't crowd out
// the key at its end.
const MaxFindings = 1024

// Text inspects one text. Start and End of the findings are bytes of text; the
// path is the caller's to fill in. Findings are in the order of Start.
func Text(kind Kind, text string) []sallyport.Finding {
	s := start(text)
	s.classify(kind)
	return s.done()
}

// start makes a text plain and looks for all that needs no model.
func start(text string) *scan {
	made := plain.Of(text)
	s := &scan{made: &made, text: made.Plain}
	for _, a := range made.Anomalies {
		s.addSource(ScannerPlain, a.Rule, a.Start, a.End, a.Score)
	}
	s.words()
	return s
}

// scan collects the findings of one text.
type scan struct {
	made     *plain.Text
	text     string // plain
	findings []sallyport.Finding
	count    map[string]int // of findings, by scanner
	unclosed int            // no link that begins before here is closed
}

// add takes a finding at bytes of the plain text.
func (s *scan) add(scanner, rule string, start, end int, score float64) {
	start, end = s.made.Source(start, end)
	s.addSource(scanner, rule, start, end, score)
}

// addSource takes a finding at bytes of the text as it came.
func (s *scan) addSource(scanner, rule string, start, end int, score float64) {
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[scanner]++
	switch n := s.count[scanner]; {
	case n > MaxFindings:
		return
	case n == MaxFindings:
		rule, score = "more", 1
	}
	s.findings = append(s.findings, sallyport.Finding{Scanner: scanner, Rule: rule, Start: start, End: end, Score: score})
}

func (s *scan) done() []sallyport.Finding {
	slices.SortStableFunc(s.findings, func(a, b sallyport.Finding) int { return a.Start - b.Start })
	return s.findings
}
