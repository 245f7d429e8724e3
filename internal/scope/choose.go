package scope

import (
	"maps"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/scope/english"
	"sallyport/internal/scope/listing"
)

// result is what one call returned, and how the task chooses among it.
type result struct {
	records   []Record
	standings []standing      // of each record
	called    english.WordSet // words that its fields are called by
}

// standing is how a record stands among those that came with it.
type standing struct {
	namings []naming
	answers english.WordSet // what of the task it answers to
	strong  english.WordSet // the same, but for what only its content says
	near    english.WordSet // the same, and words of labels of which the task does not say all
	beaten  bool            // the task means another one: that answers to all this does, and more
}

// result is what a call returned; nil when it is gone.
func (l *linker) result(call string) *result {
	if call == "" {
		return nil
	}
	if r, known := l.seen[call]; known {
		return r
	}
	r := &result{records: l.memory.Records(call), called: english.WordSet{}}
	if l.seen == nil {
		l.seen = map[string]*result{}
	}
	l.seen[call] = r
	r.standings = make([]standing, len(r.records))
	if l.task != nil {
		l.stand(r)
	}
	return r
}

// stand works out how each record stands.
func (l *linker) stand(r *result) {
	for _, record := range r.records[:min(len(r.records), maxLooked)] {
		for _, f := range record.Fields {
			for _, w := range f.Last() {
				r.called[w] = true
			}
		}
	}
	all := english.WordSet{} // that some record answers to by what it is
	for i := range r.records {
		s := &r.standings[i]
		s.strong, s.near = english.WordSet{}, english.WordSet{}
		for _, f := range r.records[i].Fields {
			s.namings = append(s.namings, l.names(f, r)...)
			for _, a := range l.answers(f, r) {
				s.strong[a] = true
				all[a] = true
			}
			if !r.isContent(f) {
				l.nears(f, s.near)
			}
		}
		for a := range s.strong {
			s.near[a] = true
		}
	}
	l.exactly(r, all)
	for i := range r.records {
		l.content(i, r, all)
	}
	if len(r.records) > maxLooked {
		for i := range r.standings { // nobody compares so many: none is chosen
			r.standings[i].beaten = true
		}
		return
	}
	l.order(r)
	for i := range r.standings {
		if l.task.except { // "everything except the toothbrush": what is named is not what is meant
			break
		}
		s := &r.standings[i]
		s.beaten = s.beaten || slices.ContainsFunc(r.standings, func(other standing) bool {
			return within(s.answers, other.answers) || len(s.strong) > 0 && within(s.strong, other.strong)
		})
	}
	for i := range r.records {
		s := &r.standings[i]
		switch {
		case r.records[i].Asked && l.task.All:
			s.namings = append(s.namings, naming{kind: byQuantifier, how: "it is one of all in what the user named"})
		case l.task.except && len(s.strong) == 0 && len(all) > 0:
			s.namings = append(s.namings, naming{kind: byQuantifier, how: "it is none of those that the task excepts"})
		case !s.beaten && l.oneOfAll(s):
			s.namings = append(s.namings, naming{kind: byQuantifier, how: "it is one of all of which the task says that"})
		}
	}
}

// oneOfAll reports whether a record answers by what it is to what a sentence says
// of all: "every tentative booking".
func (l *linker) oneOfAll(s *standing) bool {
	for i := range l.task.alls {
		for a := range s.strong {
			if l.task.alls[i].narrows(a) {
				return true
			}
		}
	}
	return false
}

// answers are what of the task a record answers to by a field that says what it
// is: names, days, amounts, a state, and what it has ("cooled: true", "places:
// 4").
func (l *linker) answers(f Field, r *result) (all []string) {
	text := strings.ToLower(strings.TrimSpace(f.Text))
	n, isNumber := listing.Number(text)
	if text == "true" || isNumber && n > 0 && !isID(f) {
		for _, w := range f.Last() {
			if len(w) > 2 && l.task.topics[w] && !l.task.compares[w] {
				all = append(all, "has "+w)
			}
		}
	}
	for _, b := range l.task.bounds {
		if isNumber && !isID(f) && b.holds(n) {
			all = append(all, "within "+strings.Join(f.Last(), " "))
		}
	}
	if r.isContent(f) {
		return all
	}
	for _, n := range l.names(f, r) {
		if n.kind == bySort {
			continue
		}
		all = append(all, n.words...)
		if words := listing.Words(text); n.kind == byName && slices.Equal(words, n.words) {
			all = append(all, "just "+strings.Join(words, " ")) // and not "Ada Lind's aunt"
		}
	}
	if r.isCommon(f, text) {
		if said, ok := l.saysAll(listing.Words(text), r); ok {
			all = append(all, said...)
		}
	}
	return all
}

// nears adds the words of a label of which the task says most.
func (l *linker) nears(f Field, to english.WordSet) {
	words := listing.Words(strings.ToLower(f.Text))
	if len(f.Text) > maxLabelText || len(words) > maxLabel {
		return
	}
	var said []string
	of := 0
	for _, w := range words {
		if len(w) < 3 || english.In("stop", w) || l.task.compares[w] {
			continue
		}
		of++
		forms := english.Stems(w)
		if i := slices.IndexFunc(forms, func(s string) bool { return l.task.topics[s] }); i >= 0 {
			said = append(said, forms[i])
		}
	}
	if 3*len(said) >= 2*of {
		for _, w := range said {
			to[w] = true
		}
	}
}

// exactly takes a name from the records that only have it in a longer text, where
// another is called just so: whoever may fill a field can put anybody's name into
// it.
func (l *linker) exactly(r *result, all english.WordSet) {
	for _, c := range l.task.called {
		just := "just " + strings.Join(c.words, " ")
		if c.kind != byName || !all[just] {
			continue
		}
		for i := range r.standings {
			s := &r.standings[i]
			if s.strong[just] {
				continue
			}
			for _, w := range c.words {
				delete(s.strong, w)
			}
		}
	}
}

// isContent reports whether a field holds what somebody writes rather than what
// the record is: it is called so, or it is empty, a sentence or a whole
// text elsewhere.
func (r *result) isContent(f Field) bool {
	return isHeading(f.Path) || slices.ContainsFunc(r.records[:min(len(r.records), maxLooked)], func(other Record) bool {
		g, ok := other.At(f.Path)
		text := strings.TrimSpace(g.Text)
		return len(other.Fields) > 0 && (!ok || text == "" || strings.Count(text, " ") >= maxLabel || strings.HasSuffix(text, ".") && strings.Contains(text, " "))
	})
}

// content takes what a record's content says to what it answers to, but not what
// another record is: whoever writes a note can name everything in it.
func (l *linker) content(i int, r *result, taken english.WordSet) {
	s := &r.standings[i]
	s.answers = maps.Clone(s.strong)
	s.namings = slices.DeleteFunc(s.namings, func(n naming) bool {
		another := false
		for _, w := range n.words {
			if n.kind != bySort && !taken[w] {
				s.answers[w] = true
			}
			another = another || taken[w] && !s.strong[w]
		}
		return another
	})
}

// order finds which records come first in the orders by which the task chooses,
// among those that answer to what else the sentence says. What others claim by
// their content does not count against them.
func (l *linker) order(r *result) {
	if l.task.today {
		for _, i := range listing.OfLastDay(r.records) {
			r.standings[i].namings = append(r.standings[i].namings, naming{kind: byDate, how: "it is of the last day"})
		}
	}
	for _, c := range l.task.choices {
		i := c.First(r.records, r.among(&c), isID)
		if i < 0 {
			continue
		}
		first := &r.standings[i]
		for k := range r.standings {
			s := &r.standings[k]
			s.beaten = s.beaten || k != i && !outdoes(s.near, first.near)
		}
		first.answers["the "+c.Name] = true
		kind := bySelector
		if c.Whom {
			kind = bySomebody
		}
		first.namings = append(first.namings, naming{kind: kind, how: "it is the " + c.Name})
	}
}

// among are the records among which a choice is made.
func (r *result) among(c *choice) (all []int) {
	narrow := make([]english.WordSet, len(r.standings))
	for i, s := range r.standings {
		narrow[i] = english.WordSet{}
		for a := range s.near {
			narrow[i][a] = c.narrows(a)
		}
		maps.DeleteFunc(narrow[i], func(_ string, counts bool) bool { return !counts })
	}
	for i, mine := range narrow {
		if len(r.records[i].Fields) > 0 && !slices.ContainsFunc(narrow, func(other english.WordSet) bool { return within(mine, other) }) {
			all = append(all, i)
		}
	}
	return all
}

// within reports whether all of a is in b, which has more.
func within(a, b english.WordSet) bool { return len(a) < len(b) && !outdoes(a, b) }

// outdoes reports whether a has something that b has not.
func outdoes(a, b english.WordSet) bool {
	for w := range a {
		if !b[w] {
			return true
		}
	}
	return false
}

// disputed reports whether another record answers to the very same of the task,
// and says something else in the field of a source: then nobody knows whom the
// task means.
func (r *result) disputed(s sallyport.Source) bool {
	mine := r.standings[s.Record]
	value, _ := r.records[s.Record].At(s.Field)
	for i, other := range r.standings {
		if i == s.Record || len(mine.answers) == 0 || len(other.answers) != len(mine.answers) || outdoes(other.answers, mine.answers) {
			continue
		}
		if f, ok := r.records[i].At(s.Field); ok && !strings.EqualFold(f.Text, value.Text) {
			return true
		}
	}
	return false
}

// lookedUp is how the task names somebody whose record was looked up by a key
// out of another record, which it names: the owner of a car, by the number of
// the customer. Both must hold the key in fields that say what they are, and the
// key must be the found record's own.
func (l *linker) lookedUp(found *result, s sallyport.Source) string {
	if !l.speaksOf(s.Field, byLiteral) || found.isMessage(s.Record) {
		return ""
	}
	own := found.keys(s.Record)
	looked := 0
	for _, call := range slices.Backward(l.memory.Calls()) {
		r := l.result(call)
		for i, record := range r.records {
			if looked++; looked > maxLooked {
				return ""
			}
			if r == found && i == s.Record || r.standings[i].beaten {
				continue
			}
			for _, f := range record.Fields {
				if own[strings.ToLower(strings.TrimSpace(f.Text))] == "" || r.isContent(f) {
					continue
				}
				if how := l.leads(r, i, f); how != "" && !l.contradicted(f.Text, s, found) {
					return how + ", and its " + strings.Join(f.Last(), " ")
				}
			}
		}
	}
	return ""
}

// leads is how the task names a record by whose field somebody was looked up, and
// speaks of whom the field is about.
func (l *linker) leads(r *result, i int, f Field) string {
	spoken := l.speaksOf(f.Path, byTopic)
	others := 0 // whom the record points to, besides
	for _, other := range r.records[i].Fields[1:] {
		if other.Path != f.Path && isID(other) && isKey(other.Text) {
			others++
		}
	}
	for _, n := range r.standings[i].namings {
		switch {
		case n.heading, n.kind == bySort, !spoken && (others > 0 || !l.speaksOf(f.Path, byLiteral)):
		case spoken, n.kind == byName, n.kind == byLiteral, n.kind == bySomebody, n.kind == byQuantifier, l.task.All:
			return n.how
		}
	}
	return ""
}

// keys are what a record is looked up by: the first of its fields, and the name
// of whom it is about.
func (r *result) keys(i int) map[string]string {
	keys := map[string]string{}
	for k, f := range r.records[i].Fields {
		text := strings.ToLower(strings.TrimSpace(f.Text))
		last := f.Last()
		name := len(last) > 0 && last[len(last)-1] == "name" && (len(last) == 1 || len(last) == 2 && slices.Contains([]string{"full", "display"}, last[0]))
		if k == 0 && isKey(text) || name && strings.Contains(text, " ") && len(listing.Words(text)) <= maxLabel {
			keys[text] = f.Path
		}
	}
	return keys
}

// isKey reports whether a text is an id by its looks: one word with a digit, and
// no number, day or time.
func isKey(text string) bool {
	return len(text) > 2 && len(text) <= 64 && strings.ContainsAny(text, "0123456789") && !strings.ContainsAny(text, " @:.,/%") && !listing.IsDay(text)
}

// isMessage reports whether a record is something that somebody wrote to others:
// what it says of its sender he says himself.
func (r *result) isMessage(i int) bool {
	return slices.ContainsFunc(r.records[i].Fields, func(f Field) bool {
		last := f.Last()
		return len(last) > 0 && english.In("writing", last[len(last)-1])
	})
}

// contradicted reports whether any other record that has the key as its own says
// something else in the same field.
func (l *linker) contradicted(key string, s sallyport.Source, found *result) bool {
	key = strings.ToLower(strings.TrimSpace(key))
	value, _ := found.records[s.Record].At(s.Field)
	for _, call := range l.memory.Calls() {
		r := l.result(call)
		for i, record := range r.records {
			if r.keys(i)[key] == "" {
				continue
			}
			if f, ok := record.At(s.Field); ok && !strings.EqualFold(f.Text, value.Text) {
				return true
			}
		}
	}
	return false
}
