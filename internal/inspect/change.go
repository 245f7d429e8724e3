package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport"
)

// Change makes the value that may be released instead: findings of the named
// scanners, or with the named names, are masked; with neutralise no link, image
// or markup reaches outside. how says what was changed, nothing when nothing
// was. An error means that what should be changed is still in there.
func (s *Seen) Change(mask []string, neutralise bool) (changed sallyport.Value, how []string, err error) {
	m := modification{seen: s, mask: mask, masked: map[string]int{}, edits: map[sallyport.Value]string{}}
	if err := m.find(); err != nil {
		return sallyport.Value{}, nil, err
	}
	if m.again != nil || neutralise {
		m.walk("", false, s.value, neutralise)
	}
	if len(m.edits) == 0 {
		return s.value, nil, nil
	}
	var edits []sallyport.Edit
	for node, text := range m.edits {
		with := sallyport.AppendString(nil, text)
		if node.Type() == sallyport.Number {
			with = []byte("0") // clients check results against a schema: a text would make the whole one void
		}
		edits = append(edits, sallyport.Edit{Target: node, With: with})
	}
	// Two names of one object may have become the same: then Parse refuses.
	if changed, err = sallyport.Parse(s.value.Splice(edits...)); err != nil {
		return sallyport.Value{}, nil, fmt.Errorf("what came back can't be changed as the policy wants: %w", err)
	}
	for name, n := range m.masked {
		how = append(how, fmt.Sprintf("masked %d %s", n, name))
	}
	slices.Sort(how)
	if m.neutral > 0 {
		how = append(how, fmt.Sprintf("neutralised %d texts", m.neutral))
	}
	return changed, how, nil
}

var errUnseen = errors.New("what came back could not be looked at as a whole, so what the policy wants masked may be in it")

type modification struct {
	seen    *Seen
	mask    []string
	masked  map[string]int // by the finding's name
	neutral int            // texts
	edits   map[sallyport.Value]string
	again   *strings.Replacer // what was masked in one place
}

// wants reports whether a finding is to be masked.
func (m *modification) wants(f *sallyport.Finding) bool {
	return slices.Contains(m.mask, f.Scanner) || slices.Contains(m.mask, f.Name())
}

// find masks the findings, each where it is.
func (m *modification) find() error {
	placed := make([]bool, len(m.seen.Findings))
	var secrets [][2]string // what is masked, and with what
	spans := map[sallyport.Value][]sallyport.Finding{}
	for _, t := range m.seen.texts {
		text := textOf(t.node)
		for i := t.from; i < t.to; i++ {
			f := m.seen.Findings[i]
			if placed[i] = f.Rule != "more"; !placed[i] || !m.wants(&f) {
				continue
			}
			spans[t.node] = append(spans[t.node], f)
			m.masked[f.Name()]++
			if found := text[f.Start:f.End]; len(found) >= shortest {
				for _, form := range forms(found) {
					secrets = append(secrets, [2]string{form, "[" + f.Rule + "]"})
				}
			}
		}
	}
	for node, all := range spans {
		m.edits[node] = Mask(textOf(node), all)
	}
	for i, f := range m.seen.Findings {
		// There is more than was found, or it is nowhere in particular.
		if unseen := f.Rule == sallyport.Unseen && len(m.mask) > 0 && (f.Scanner == sallyport.AllScanners || m.scans(f.Scanner)); unseen || !placed[i] && (m.wants(&f) || f.Rule == "more" && m.scans(f.Scanner)) {
			return errUnseen
		}
	}
	if secrets != nil {
		// The longest first: else one that begins another would leave its rest.
		slices.SortStableFunc(secrets, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
		var pairs []string
		for _, s := range secrets {
			pairs = append(pairs, s[0], s[1])
		}
		m.again = strings.NewReplacer(pairs...)
	}
	return nil
}

// forms are how a text may stand in another one. Servers send structured content
// as JSON in a text, too, and encoders escape in more ways than they must.
func forms(text string) []string {
	least := sallyport.AppendString(nil, text)
	most, err := json.Marshal(text)
	if err != nil {
		most = least
	}
	all := []string{text}
	for _, escaped := range [][]byte{least, most, bytes.ReplaceAll(least, []byte("/"), []byte(`\/`))} {
		if form := string(escaped[1 : len(escaped)-1]); !slices.Contains(all, form) {
			all = append(all, form)
		}
	}
	return all
}

// shortest is the length from which a masked text is looked for elsewhere in
// the same value, in bytes: shorter ones are in other words, too.
const shortest = 12

// scans reports whether anything of a scanner is to be masked.
func (m *modification) scans(scanner string) bool {
	return slices.ContainsFunc(m.mask, func(name string) bool { return name == scanner || strings.HasPrefix(name, scanner+"/") })
}

// walk goes over all texts: what was masked in one is masked in every other,
// where nothing but the place would have given it away.
func (m *modification) walk(name string, structured bool, v sallyport.Value, neutralise bool) {
	for key, member := range v.MemberNodes() {
		below, _ := key.Text()
		m.text(key, neutralise)
		m.walk(below, structured || below == "structuredContent", member, neutralise && (structured || !binary(v, below)))
	}
	for _, item := range v.Items() {
		m.walk(name, structured, item, neutralise)
	}
	if v.Type() == sallyport.String || v.Type() == sallyport.Number {
		m.text(v, neutralise && v.Type() == sallyport.String && (structured || !slices.Contains(fixed, name)))
	}
}

// fixed are members of the protocol's own that hold no words, and break when
// they are changed: a resource is found again by its URI.
var fixed = []string{"uri", "uriTemplate", "type", "role", "mimeType", "method", "taskId", "nextCursor", "resultType"}

// binary reports a member of the protocol's own that holds a picture, a sound or
// a file, in base64, which can look like the beginning of a link.
func binary(v sallyport.Value, name string) bool {
	kind := v.Get("type")
	return name == "data" && (kind.IsText("image") || kind.IsText("audio")) || name == "blob" && v.Get("uri").Type() == sallyport.String
}

func (m *modification) text(node sallyport.Value, neutralise bool) {
	was, edited := m.edits[node]
	if !edited {
		was = textOf(node)
	}
	now := was
	if m.again != nil {
		now = m.again.Replace(now)
	}
	if neutralise {
		if inert := Neutralise(now); inert != now {
			now = inert
			m.neutral++
		}
	}
	if now != was {
		m.edits[node] = now
	}
}

// textOf is a string's content, a number as it was sent.
func textOf(node sallyport.Value) string {
	if text, ok := node.Text(); ok {
		return text
	}
	return string(node.Raw())
}
