package scope

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"sallyport"
	"sallyport/internal/scope/english"
	"sallyport/internal/scope/listing"
)

// Memory is what a run has seen, by record. Nothing is held to be seen that it
// does not return: what it forgot can't link anything.
type Memory interface {
	// Calls are the ids of the calls whose results are remembered, in order.
	Calls() []string
	// Records are what one call returned; none when it is gone.
	Records(call string) []Record
}

// Record is one thing that a call returned, such as a mail, a contact or a
// transaction.
type Record = listing.Record

// Field is one leaf of a record.
type Field = listing.Field

// maxLabel is how long a field may be that says what a record is, in words.
// Beyond it a text is content: whoever writes it could name everything.
const (
	maxLabel     = 12
	maxLabelText = 256 // bytes, which twelve words don't reach
)

// maxBase is how many numbers an amount may be computed from: with more, some
// sum would come out right by chance.
const maxBase = 12

// Asked reports whether a call was made with something that the user named, by
// the traces of its arguments. What is so short that it stands everywhere does
// not count, and what says which thing is read must be the user's: his words
// beside somebody else's address name nothing.
func Asked(tool *Tool, args sallyport.Value, traces []sallyport.Trace) bool {
	byPath := make(map[string]*sallyport.Trace, len(traces))
	for i := range traces { // one path may be that of a name, too
		if t := &traces[i]; byPath[t.Path] == nil || t.Origin.Writer < byPath[t.Path].Origin.Writer {
			byPath[t.Path] = t
		}
	}
	named := false
	for path, leaf := range args.Leaves() {
		t := byPath[string(path)]
		switch users := t != nil && t.Origin.Writer == sallyport.WriterUser; {
		case users:
			named = named || !slices.Contains(t.Through, "short")
		case leaf.Type() == sallyport.Null:
		default:
			switch tool.RoleOf(string(path), leaf) {
			case RolePrincipal, RoleURL, RolePath, RoleID, RoleThing, RoleSecret, RoleCommand:
				return false
			}
		}
	}
	return named
}

// linker links the arguments of one call to the task.
type linker struct {
	task   *Task
	memory Memory
	tool   *Tool
	seen   map[string]*result // by call, of those that were looked at
}

// link is how a value is linked to the task; empty when it is not. What a
// record that the task names holds is linked, with one care for principals: a
// document that is named does not name everybody who stands in it, and a day
// names nobody.
func (l *linker) link(text string, role Role, t sallyport.Trace) string {
	if t.Origin.Writer == sallyport.WriterUser && (role != RoleID && role != RolePrincipal || l.refers(text, role)) {
		return "the user's words"
	}
	if l.task == nil || role == RolePrincipal && l.given(text) {
		return ""
	}
	for _, s := range t.Sources {
		if _, whole := l.source(s, text); !whole {
			continue // text of a body, which names no target
		}
		r := l.result(s.Call)
		if how := l.named(r, s, role); how != "" {
			return how
		}
		if role == RolePrincipal {
			if how := l.lookedUp(r, s); how != "" {
				return how
			}
		}
	}
	return ""
}

// named is how the task names the record in which a source lies, for what the
// value is.
func (l *linker) named(r *result, s sallyport.Source, role Role) string {
	mine := &r.standings[s.Record]
	strict := role == RolePrincipal || l.tool.grave() || l.tool.has(sallyport.Pay)
	if mine.beaten {
		return ""
	}
	disputed := strict && !l.task.All && !l.task.except && r.disputed(s)
	for _, n := range mine.namings {
		switch {
		case disputed && n.kind != bySort: // "a pair of running shoes" may be any
		case n.kind == bySort && (role == RolePrincipal || l.tool.grave()):
		case role != RolePrincipal,
			n.kind == byName && (!n.heading || isPayee(s.Field)),
			n.kind == byDate && isPayee(s.Field) && l.tool.has(sallyport.Pay),
			n.kind != byDate && l.speaksOf(s.Field, n.kind),
			l.task.All && (n.kind == byDate || n.kind == byTopic) && !n.heading && l.speaksOf(s.Field, byQuantifier):
			return n.how
		}
	}
	return ""
}

// given reports whether the user has given an address himself where another one
// is about to be used. Then no record supplies it: whoever can write a record
// that the task names (a ticket, say) would be the recipient in its place. An
// account is different: the one that a task names may be what is paid from.
func (l *linker) given(text string) bool {
	return emailPattern.MatchString(strings.ToLower(strings.TrimSpace(text))) && !l.task.All &&
		slices.ContainsFunc(l.task.Literals, emailPattern.MatchString)
}

// refers reports whether the user's words mean a thing by this id: a number
// that stands in them may be a day, an amount, anything.
func (l *linker) refers(text string, role Role) bool {
	if n, ok := listing.Number(text); !ok || l.task == nil || role == RolePrincipal && n >= fewDigits {
		return true
	}
	return l.task.refs[text] || role == RolePrincipal && l.task.whom[text] || slices.Contains(l.task.Literals, strings.ToLower(text))
}

// speaksOf reports whether the task speaks of the part that somebody plays by
// the field that holds him: "reply" speaks of a sender, "everyone" of
// participants. A field of unknown name is spoken of by the record's own name.
func (l *linker) speaksOf(field string, kind nameKind) bool {
	known := false
	for _, name := range listing.Names(field) {
		for _, w := range listing.NameWords(name) {
			if slices.Contains(english.Lexicon.Kinds[w], "message") { // "mail me a summary" speaks of nobody's mail
				continue
			}
			if l.task.words[w] || slices.ContainsFunc(english.Stems(w), func(s string) bool { return l.task.words[s] }) {
				return true
			}
			parts := english.Lexicon.Fields[w]
			known = known || len(parts) > 0
			for said := range l.task.words {
				if meetsList(english.Lexicon.Spoken[said], parts) {
					return true
				}
			}
		}
	}
	return !known && (kind == byLiteral || kind == byQuantifier || kind == bySomebody)
}

// isWhole reports whether the value is all that its field says.
func isWhole(r Record, s sallyport.Source, text string) bool {
	return slices.ContainsFunc(r.Fields, func(f Field) bool {
		return f.Path == s.Field && strings.EqualFold(strings.TrimSpace(f.Text), strings.TrimSpace(text))
	})
}

// nameKind is by what a task names a record.
type nameKind uint8

const (
	byName       nameKind = iota // of a person, firm or thing
	byLiteral                    // an address, id, file name or quotation
	byTopic                      // the words of its label
	byNumber                     // an amount that it holds
	byDate                       // its day
	bySort                       // its label ends as what is asked for is called: "Alpine running shoes"
	bySelector                   // being the largest, the last
	bySomebody                   // being the one of some people: "the cheapest plumber"
	byQuantifier                 // being one of all that the user told to read
)

type naming struct {
	kind    nameKind
	how     string
	heading bool // a subject or the like says so, which anybody fills with whom he likes
	words   []string
}

// namings are the ways in which the task names a record by one of its fields.
// What a field says of half of the records, such as a status, names none of
// them.
func (l *linker) names(f Field, r *result) []naming {
	if len(f.Text) > 2*maxLabelText {
		return nil
	}
	text := strings.ToLower(strings.TrimSpace(f.Text))
	if n, ok := listing.Number(text); ok {
		if isAmount(f, n) && slices.Contains(l.task.Numbers, n) {
			return []naming{{kind: byNumber, how: "the number " + text, words: []string{text}}}
		}
		return nil
	}
	if len(text) > maxLabelText {
		return nil
	}
	words := listing.Words(text)
	if len(words) == 0 || len(words) > maxLabel {
		return nil
	}
	if slices.ContainsFunc(words, func(w string) bool { return l.task.compares[w] }) {
		return nil // whoever calls himself the cheapest need not be
	}
	var all []naming
	heading := isHeading(f.Path)
	for _, c := range l.task.called {
		if c.kind == byLiteral && c.text == text || containsWords(words, c.words) {
			all = append(all, naming{c.kind, strconv.Quote(c.text), heading, c.words})
		}
	}
	for _, d := range l.task.dates {
		if d.Holds(text) {
			all = append(all, naming{byDate, "the date " + text, false, []string{text[:10]}})
		}
	}
	said, topic := l.saysAll(words, r)
	topic = topic && len(strings.Join(said, "")) > 3
	if topic && !r.isCommon(f, text) {
		all = append(all, naming{byTopic, strconv.Quote(text), heading, said})
	} else if n := len(words); n > 2 && len(words[n-1]) > 2 && len(words[n-2]) > 2 && !r.isCommon(f, text) {
		if said, ok := l.saysAll(words[n-2:], r); ok && len(said) > 0 {
			all = append(all, naming{bySort, strconv.Quote(text), heading, said})
		}
	}
	return all
}

// isHeading reports whether a field says what a thing is about, and not who
// somebody is.
func isHeading(path string) bool {
	return slices.ContainsFunc(Field{Path: path}.Last(), func(w string) bool {
		return w != "name" && w != "label" && slices.Contains(english.Lexicon.Roles[w], RoleContent)
	})
}

// isPayee reports whether a field holds who was paid: a payment is headed by who
// makes it, where a mail is by who sends it to us.
func isPayee(path string) bool {
	return slices.ContainsFunc(Field{Path: path}.Last(), func(w string) bool { return slices.Contains(english.Lexicon.Fields[w], "payee") })
}

// saysAll reports whether the task says all that a label does, and in which
// words. What fields are called and what people compare by ("the cheapest
// courier") says nothing of one of them.
func (l *linker) saysAll(words []string, r *result) (said []string, all bool) {
	for _, w := range words {
		if english.In("stop", w) || len(w) < 3 {
			continue
		}
		forms := english.Stems(w)
		i := slices.IndexFunc(forms, func(s string) bool { return l.task.topics[s] })
		if i < 0 {
			return nil, false
		}
		if r.called[w] || l.task.compares[w] {
			continue
		}
		said = append(said, forms[i])
	}
	return said, true
}

// isCommon reports whether a label says the same of half of the records, such
// as a status: it names none of them.
func (r *result) isCommon(f Field, text string) bool {
	same := 0
	for _, other := range r.records {
		if g, ok := other.At(f.Path); ok && strings.EqualFold(strings.TrimSpace(g.Text), text) {
			same++
		}
	}
	return text == "true" || text == "false" || len(r.records) > 1 && same*2 >= len(r.records) && same > 1
}

// containsWords reports whether all words of a name stand in a row.
func containsWords(words, name []string) bool {
	if len(name) == 0 || len(strings.Join(name, "")) < 3 {
		return false
	}
	for i := 0; i+len(name) <= len(words); i++ {
		if slices.Equal(words[i:i+len(name)], name) {
			return true
		}
	}
	return false
}

// isAmount reports whether a number could be one that people say: no id, and
// no small count that anything could match.
func isAmount(f Field, n float64) bool { return !isID(f) && (n >= 10 || n != math.Trunc(n)) }

// isID reports whether a field is called as ids are.
func isID(f Field) bool {
	return slices.ContainsFunc(f.Last(), func(w string) bool { return slices.Contains(english.Lexicon.Roles[w], RoleID) })
}

// explains reports whether an amount is one of the numbers, or comes from them
// as people compute: a share, a percentage, a sum, a difference.
func explains(amount float64, base, percents []float64) bool {
	if len(base) > maxBase {
		base = base[:maxBase]
	}
	terms := []float64{}
	for _, b := range base {
		terms = append(terms, b, b/2)
		for _, p := range percents {
			terms = append(terms, b*p/100, b*(1+p/100), b*(1-p/100))
		}
	}
	near := func(a float64) bool { return math.Abs(a-amount) < 0.0051 }
	for i, a := range terms {
		if near(a) {
			return true
		}
		for _, b := range terms[i+1:] {
			if near(a+b) || near(a-b) || near(b-a) {
				return true
			}
		}
	}
	return false
}
