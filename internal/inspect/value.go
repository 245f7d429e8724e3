package inspect

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sallyport"
)

// MaxText bounds the text of one JSON value that is looked at, in bytes. A
// value with more of it was not seen as a whole.
const MaxText = 4 << 20

// Seen is what scanners saw in one JSON value. The zero Seen is of a value that
// nobody looked at.
type Seen struct {
	Findings []sallyport.Finding

	value sallyport.Value
	texts []found
}

// found are the findings of one string, number or name.
type found struct {
	node     sallyport.Value
	from, to int // of Seen.Findings
}

// Add notes what another scanner saw in one text of the value. Start and End of
// the findings are bytes of that text.
func (s *Seen) Add(text Place, findings ...sallyport.Finding) {
	from := len(s.Findings)
	for _, f := range findings {
		f.Path = text.Path
		s.Findings = append(s.Findings, f)
	}
	s.texts = append(s.texts, found{text.node, from, len(s.Findings)})
}

// Place is one text of a JSON value.
type Place struct {
	Path, Text string
	node       sallyport.Value
}

// Texts are the strings of a JSON value in which a sentence can stand.
func Texts(v sallyport.Value) (all []Place) {
	for path, leaf := range v.Leaves() {
		if text, ok := leaf.Text(); ok && (len(text) > 40 || strings.IndexFunc(text, unicode.IsSpace) >= 0) {
			all = append(all, Place{string(path), text, leaf})
		}
	}
	return all
}

// Unlooked is a value that no scanner looks at, since the operator wants none.
func Unlooked(v sallyport.Value) *Seen { return &Seen{value: v} }

// Value inspects all texts of a JSON value: strings, names of members, and
// numbers that are long enough to be somebody's. Start and End of a finding are
// bytes of the text at its path; a name has the path of its member.
func Value(v sallyport.Value) *Seen {
	s := &Seen{value: v}
	w := walk{seen: s, names: map[string]bool{}}
	w.value(nil, "", v)
	if w.size > MaxText {
		s.Failed(sallyport.AllScanners)
	}
	return s
}

// Failed notes that a scanner did not see the value, or not all of it.
func (s *Seen) Failed(scanner string) {
	s.Findings = append(s.Findings, sallyport.Finding{Scanner: scanner, Rule: sallyport.Unseen, Score: 1})
}

type walk struct {
	seen  *Seen
	names map[string]bool // that were looked at: lists repeat them
	size  int             // bytes looked at
}

// value recurses no deeper than Parse lets through. name is that of the member
// in which v lies.
func (w *walk) value(path []byte, name string, v sallyport.Value) {
	switch v.Type() {
	case sallyport.Object:
		for key, member := range v.MemberNodes() {
			name, _ := key.Text()
			below := sallyport.AppendName(path, name)
			if !w.names[name] {
				w.names[name] = true
				w.text(below, "", name, key)
			}
			w.value(below, name, member)
		}
	case sallyport.Array:
		for i, item := range v.Items() {
			w.value(append(strconv.AppendInt(append(path, '['), int64(i), 10), ']'), name, item)
		}
	case sallyport.String:
		text, _ := v.Text()
		w.text(path, name, text, v)
	case sallyport.Number:
		if raw := v.Raw(); len(raw) >= 9 { // the shortest number that a scanner knows
			w.text(path, name, string(raw), v)
		}
	}
}

func (w *walk) text(path []byte, name, text string, node sallyport.Value) {
	if empty(text) || w.size > MaxText {
		return
	}
	if w.size += len(text); w.size > MaxText {
		return
	}
	findings := Text(Result, text)
	if secretName(name) && isRandom(text) && !slices.ContainsFunc(findings, func(f sallyport.Finding) bool { return f.Scanner == ScannerSecret }) {
		findings = append(findings, sallyport.Finding{Scanner: ScannerSecret, Rule: "named", End: len(text), Score: 0.8})
	}
	if len(findings) == 0 {
		return
	}
	at := string(path)
	for i := range findings {
		findings[i].Path = at
	}
	from := len(w.seen.Findings)
	w.seen.Findings = append(w.seen.Findings, findings...)
	w.seen.texts = append(w.seen.texts, found{node, from, len(w.seen.Findings)})
}

// empty reports a text in which no scanner can see anything: one short word,
// and one that is longer than any token, as pictures are.
func empty(text string) bool {
	const word, longest = 13, 4096
	if len(text) > word && len(text) <= longest {
		return false
	}
	for i := 0; i < len(text); i++ {
		if runes[text[i]]&inRun == 0 {
			return false
		}
	}
	return text == "" || len(text) > longest || runes[text[0]]&startsRun != 0 && !digit(text[0]) && strings.IndexByte(text, '=') < 0
}

// Names are the names of all findings that Value can have.
var Names = names()

func names() []string {
	all := []string{
		"normalise/zero-width", "normalise/bidi", "normalise/tags", "normalise/selectors", "normalise/homoglyph", "normalise/combining",
		"normalise/control", "normalise/reference", "normalise/hidden-html", "normalise/comment", "normalise/attribute",
		"order/override", "order/secrecy", "order/addressed", "order/steering", "order/role-marker",
		"exfil/data-gap", "exfil/image-data", "exfil/link-data", "exfil/image-query", "exfil/embedded", "exfil/form", "exfil/refresh",
		"secret/private-key", "secret/connection-string", "secret/named",
		"pii/email", "pii/phone", "pii/iban", "pii/card", "pii/us-ssn", "pii/uk-nhs", "pii/es-dni",
		"classifier/suspect", "classifier/strong",
	}
	for _, letter := range formats {
		for _, f := range letter {
			all = append(all, ScannerSecret+"/"+f.rule)
		}
	}
	for _, scanner := range [...]string{ScannerPlain, ScannerOrder, ScannerExfil, ScannerSecret, ScannerPII} {
		all = append(all, scanner+"/more")
	}
	slices.Sort(all)
	return slices.Compact(all)
}
