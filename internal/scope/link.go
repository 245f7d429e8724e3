package scope

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sallyport"
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
type Record struct {
	Fields []Field
	// Asked says that the call that returned it was made with something that
	// the user named: the file that he told the agent to read.
	Asked bool
}

// Field is one leaf of a record.
type Field struct {
	Path, Text string
}

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
	grave  bool // what is called can't be undone, or opens doors: a sort of thing is not enough
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
		if s.Call == "" {
			continue
		}
		record, listing := l.record(s)
		if !isWhole(record, s, text) {
			continue // text of a body, which names no target
		}
		for _, n := range l.namings(record, listing) {
			if n.kind == bySort && (role == RolePrincipal || l.grave) {
				continue
			}
			if role != RolePrincipal || n.kind == byName && (!n.heading || isPayee(s.Field)) || n.kind != byDate && l.speaksOf(s.Field, n.kind) {
				return n.how
			}
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
	if n, ok := number(text); !ok || l.task == nil || role == RolePrincipal && n >= fewDigits {
		return true
	}
	return l.task.refs[text] || role == RolePrincipal && l.task.whom[text] || slices.Contains(l.task.Literals, strings.ToLower(text))
}

// speaksOf reports whether the task speaks of the part that somebody plays by
// the field that holds him: "reply" speaks of a sender, "everyone" of
// participants. A field of unknown name is spoken of by the record's own name.
func (l *linker) speaksOf(field string, kind nameKind) bool {
	known := false
	for _, name := range pathNames(field) {
		for _, w := range nameWords(name) {
			if l.task.words[w] || slices.ContainsFunc(stems(w), func(s string) bool { return l.task.words[s] }) {
				return true
			}
			parts := lexicon.fields[w]
			known = known || len(parts) > 0
			for said := range l.task.words {
				if meetsList(lexicon.spoken[said], parts) {
					return true
				}
			}
		}
	}
	return !known && (kind == byLiteral || kind == byQuantifier)
}

// record is the record in which a source lies, among those that came with it.
func (l *linker) record(s sallyport.Source) (Record, []Record) {
	listing := l.memory.Records(s.Call)
	if s.Record < 0 || s.Record >= len(listing) {
		return Record{}, nil
	}
	return listing[s.Record], listing
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
	byQuantifier                 // being one of all that the user told to read
)

type naming struct {
	kind    nameKind
	how     string
	heading bool // a subject or the like says so, which anybody fills with whom he likes
}

// namings are the ways in which the task names a record among those that came
// with it.
func (l *linker) namings(r Record, listing []Record) []naming {
	var all []naming
	for _, f := range r.Fields {
		all = append(all, l.names(f, listing)...)
	}
	if r.Asked && l.task.All {
		all = append(all, naming{byQuantifier, "it is one of all in what the user named", false})
	}
	for _, s := range l.task.selectors {
		if s.picks(r, listing) {
			all = append(all, naming{bySelector, "it is the " + s.Order, false})
		}
	}
	if l.task.today && (Selector{"newest"}).picks(r, listing) {
		all = append(all, naming{byDate, "it is of the last day", false})
	}
	return all
}

func (l *linker) names(f Field, listing []Record) []naming {
	if len(f.Text) > 2*maxLabelText {
		return nil
	}
	text := strings.ToLower(strings.TrimSpace(f.Text))
	if n, ok := number(text); ok {
		if isAmount(f, n) && slices.Contains(l.task.Numbers, n) {
			return []naming{{byNumber, "the number " + text, false}}
		}
		return nil
	}
	if len(text) > maxLabelText {
		return nil
	}
	words := wordsOf(text)
	if len(words) == 0 || len(words) > maxLabel {
		return nil
	}
	var all []naming
	for _, c := range l.task.called {
		if c.kind == byLiteral && c.text == text || containsWords(words, c.words) {
			all = append(all, naming{c.kind, strconv.Quote(c.text), isHeading(f.Path)})
		}
	}
	for _, d := range l.task.dates {
		if d.matches(text) {
			all = append(all, naming{byDate, "the date " + text, false})
		}
	}
	if l.isTopic(words) && !isCommon(f, text, listing) {
		all = append(all, naming{byTopic, strconv.Quote(text), false})
	} else if n := len(words); n > 2 && l.isTopic(words[n-2:]) && len(words[n-1]) > 2 && len(words[n-2]) > 2 && !isCommon(f, text, listing) {
		all = append(all, naming{bySort, strconv.Quote(text), false})
	}
	return all
}

// isHeading reports whether a field says what a thing is about, and not who
// somebody is.
func isHeading(path string) bool {
	names := pathNames(path)
	return len(names) > 0 && slices.ContainsFunc(nameWords(names[len(names)-1]), func(w string) bool {
		return w != "name" && w != "label" && contains(lexicon.roles[w], RoleContent)
	})
}

// isPayee reports whether a field holds who was paid: a payment is headed by who
// makes it, where a mail is by who sends it to us.
func isPayee(path string) bool {
	names := pathNames(path)
	return len(names) > 0 && slices.ContainsFunc(nameWords(names[len(names)-1]), func(w string) bool { return contains(lexicon.fields[w], "payee") })
}

// isTopic reports whether the task speaks of all that a label says.
func (l *linker) isTopic(words []string) bool {
	said := 0
	for _, w := range words {
		if in("stop", w) || len(w) < 3 {
			continue
		}
		if !slices.ContainsFunc(stems(w), func(s string) bool { return l.task.topics[s] }) {
			return false
		}
		said += len(w)
	}
	return said > 3
}

// isCommon reports whether a label says the same of half of the records, such
// as a status: it names none of them.
func isCommon(f Field, text string, listing []Record) bool {
	same := 0
	for _, r := range listing {
		for _, other := range r.Fields {
			if other.Path == f.Path && strings.EqualFold(strings.TrimSpace(other.Text), text) {
				same++
			}
		}
	}
	return text == "true" || text == "false" || len(listing) > 1 && same*2 >= len(listing) && same > 1
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

var numberText = regexp.MustCompile(`^[$€£]?-?\d[\d,]*(?:\.\d+)?$`)

func number(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] >= 'A' && text[0] <= 'z' || !numberText.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimLeft(strings.ReplaceAll(text, ",", ""), "$€£"), 64)
	return n, err == nil
}

// isAmount reports whether a number could be one that people say: no id, and
// no small count that anything could match.
func isAmount(f Field, n float64) bool {
	names := pathNames(f.Path)
	if len(names) > 0 && slices.ContainsFunc(nameWords(names[len(names)-1]), func(w string) bool {
		return contains(lexicon.roles[w], RoleID)
	}) {
		return false
	}
	return n >= 10 || n != math.Trunc(n)
}

// picks reports whether a record is the one that the selector means: the first
// in order by some field that all records have.
func (s Selector) picks(r Record, listing []Record) bool {
	if len(listing) < 2 {
		return false
	}
	for _, f := range r.Fields {
		if s.first(f, listing) {
			return true
		}
	}
	return false
}

func (s Selector) first(f Field, listing []Record) bool {
	mine, ok := s.rank(f)
	if !ok {
		return false
	}
	others, of := 0, 0
	for _, r := range listing {
		if len(r.Fields) > 1 {
			of++
		}
		for _, other := range r.Fields {
			if other.Path != f.Path {
				continue
			}
			if theirs, ok := s.rank(other); ok && theirs > mine {
				return false
			}
			others++
		}
	}
	return others > 1 && others >= of
}

// rank is how well a field serves the selector: sizes for sizes, dates for
// dates.
func (s Selector) rank(f Field) (float64, bool) {
	switch s.Order {
	case "largest", "smallest":
		names := pathNames(f.Path)
		n, ok := number(f.Text)
		if !ok || len(names) == 0 || slices.ContainsFunc(nameWords(names[len(names)-1]), func(w string) bool { return contains(lexicon.roles[w], RoleID) }) {
			return 0, false
		}
		if s.Order == "smallest" {
			n = -n
		}
		return n, true
	default:
		text := strings.TrimSpace(f.Text)
		if text == "" || text[0] < '0' || text[0] > '9' || len(text) > maxLabelText {
			return 0, false
		}
		digits := datePattern.FindString(text)
		if digits == "" || !strings.HasPrefix(text, digits) {
			return 0, false
		}
		n, err := strconv.ParseFloat(strings.Map(onlyDigits, digits), 64)
		for range 14 - len(strings.Map(onlyDigits, digits)) {
			n *= 10
		}
		if s.Order == "oldest" {
			n = -n
		}
		return n, err == nil
	}
}

func onlyDigits(r rune) rune {
	if unicode.IsDigit(r) {
		return r
	}
	return -1
}

var datePattern = regexp.MustCompile(`\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?`)

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
