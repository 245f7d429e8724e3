package scope

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/scope/english"
	"sallyport/internal/scope/listing"
)

// Task is what the user's words ask for and name. It is read from the words
// alone: nothing that a tool returned can add to it.
type Task struct {
	Requests  []Request
	Names     []string  // of people, firms and things, lower case, as they were written
	Literals  []string  // addresses, file names, ids, quotations: lower case
	Numbers   []float64 // said with digits
	percents  []float64
	dates     []listing.Span
	topics    english.WordSet // stems of all other words that mean something
	called    []called
	refs      english.WordSet // numbers that name something: "ticket 481", "ID 13"
	whom      english.WordSet // numbers that name somebody: "to 12", "account 12"
	words     english.WordSet // stems of all words
	choices   []choice
	compares  english.WordSet // words of these
	before    subject         // what the last sentence was about that was about something
	now       listing.Span    // the day that the user says it is
	today     bool            // speaks of a day that nobody knows
	Delegated bool            // hands the decision to somebody's text: "do what the note says"
	All       bool            // speaks of all of something
	alls      []choice        // the sentences that do
	bounds    []bound         // "below 100"
	except    bool            // speaks of all but some
	Computes  bool            // asks for an amount that nobody wrote: a difference, a share
}

// Request is one verb that asks for something, and what it asks it for.
type Request struct {
	Verb    string
	Classes []string // of the verb, as lexicon.txt has them; none when it does not know the verb
	Unsure  bool     // it may be no verb at all: only a tool that is called by it says so
	Negated bool     // "don't send"
	subject
}

// subject is what a clause is about.
type subject struct {
	Direct english.WordSet // kinds of the verb's object
	Object english.WordSet // the nouns of these kinds
	Head   string          // the last of them
	Kinds  english.WordSet // kinds that the whole clause speaks of
	Nouns  english.WordSet // stems of its words
	Whom   bool            // it has a name, which may be somebody's
}

var (
	emailPattern  = regexp.MustCompile(`^[\pL\pN._%+-]+@[\pL\pN.-]+\.\pL{2,}$`)
	urlPattern    = regexp.MustCompile(`^(?:https?://\S+|(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|edu|gov|info|co|ai|app|[a-z]{2})(?:/\S*)?)$`)
	filePattern   = regexp.MustCompile(`^[\pL\pN][\pL\pN._/-]*\.[a-z][a-z0-9]{1,4}$`)
	ibanPattern   = regexp.MustCompile(`^[a-z]{2}\d{2}[a-z0-9]{10,30}$`)
	numberPattern = regexp.MustCompile(`^\d[\d,]*(?:\.\d+)?%?$`)
)

// ReadTask reads the user's words, each message on its own.
func ReadTask(messages ...string) *Task {
	t := &Task{topics: english.WordSet{}, words: english.WordSet{}, refs: english.WordSet{}, whom: english.WordSet{}, compares: english.WordSet{}}
	for _, m := range messages {
		for _, s := range english.Sentences(m) {
			t.sentence(s)
		}
	}
	for _, name := range t.Names {
		words := listing.Words(name)
		t.called = append(t.called, called{name, words, byName})
		if first, rest, ok := strings.Cut(name, " "); ok && (english.In("title", first) || isVerb(first)) { // "Mr Petrov", "Let Ada Lind know"
			t.called = append(t.called, called{rest, words[1:], byName})
		}
	}
	for _, literal := range t.Literals {
		kind := byLiteral
		if emailPattern.MatchString(literal) || ibanPattern.MatchString(literal) {
			kind = byName
		}
		t.called = append(t.called, called{literal, listing.Words(literal), kind})
	}
	return t
}

// isVerb reports whether a word with which a sentence began may be a verb, and no
// part of the name behind it.
func isVerb(word string) bool {
	return len(english.Lexicon.Classes[word]) > 0 || english.In("leading", word)
}

// called is one thing that the task calls by its name.
type called struct {
	text  string
	words []string
	kind  nameKind
}

func (t *Task) sentence(s []english.Token) {
	t.mentions(s)
	t.chooses(s, t.days(s))
	t.bounded(s)
	var verbs []int // where requests begin
	for i, after := 0, 0; i < len(s); i++ {
		t.Delegated = t.Delegated || delegates(s, i)
		if i < after { // within a phrase
			continue
		}
		if classes, verb, n := english.VerbAt(s, i); n > 0 && asks(s, i) {
			t.Requests = append(t.Requests, Request{Verb: verb, Classes: classes, Negated: negated(s, i)})
			after = i + n
			verbs = append(verbs, after)
		} else if wishes(s, i) {
			t.Requests = append(t.Requests, Request{Verb: "want", Classes: []string{"look"}})
			verbs = append(verbs, i+1)
		} else if n == 0 && seemsVerb(s, i, len(verbs) > 0) {
			t.Requests = append(t.Requests, Request{Verb: s[i].Lower, Negated: negated(s, i)})
			verbs = append(verbs, i+1)
		} else if n == 0 && mayBeVerb(s, i) {
			t.Requests = append(t.Requests, Request{Verb: s[i].Lower, Unsure: true, Negated: negated(s, i)})
			verbs = append(verbs, i+1)
		}
	}
	for k, from := range verbs {
		to := len(s)
		if k+1 < len(verbs) {
			to = verbs[k+1]
		}
		r := &t.Requests[len(t.Requests)-len(verbs)+k]
		r.subject = clause(s[from:to])
		r.Whom = r.Whom || slices.Contains(r.Classes, "dismiss") && clause(s[:from]).Whom // "Ada has left and should no longer get in"
		r.imply()
		if english.In("personal", next(s, from)) && !slices.Contains(r.Classes, "tell") { // "take her out"
			r.Kinds["person"] = true
		}
		if len(r.Direct) == 0 && english.In("pronoun", next(s, from)) && !english.In("personal", next(s, from)) { // "send it": what was spoken of before
			before := clause(s[:from])
			if k > 0 && len(before.Kinds) == 0 {
				before = t.Requests[len(t.Requests)-len(verbs)+k-1].subject
			}
			if k == 0 && len(before.Kinds) == 0 { // of the sentence before
				before = t.before
				if before.Whom && len(before.Kinds) == 0 {
					r.Kinds["person"] = true
				}
			}
			for kind := range before.Kinds {
				r.Kinds[kind] = true
			}
			for noun := range before.Nouns {
				r.Nouns[noun] = true
			}
		}
	}
	if all := clause(s); all.Whom || len(all.Kinds) > 0 {
		t.before = all
	}
}

// delegates reports whether s[i] begins to leave to somebody's text what to do:
// "do the tasks listed in", "follow the instructions". Tasks that follow in the
// user's own words are none of that.
func delegates(s []english.Token, i int) bool {
	if _, _, n := english.Phrase(english.Lexicon.Lists["delegate"], s, i); n > 0 {
		return true
	}
	_, _, n := english.Phrase(english.Lexicon.Lists["delegating"], s, i)
	if n == 0 || !asks(s, i) {
		return false
	}
	errand := false
	for k := i + n; k < min(len(s), i+n+8); k++ {
		switch {
		case english.In("following", s[k].Lower):
			return false
		case errand && english.In("written", s[k].Lower):
			return next(s, k+1) != "the" || !english.In("following", next(s, k+2))
		}
		if _, _, found := english.Phrase(english.Lexicon.Lists["errand"], s, k); found > 0 {
			errand = true
		}
	}
	return false
}

// imply adds what a verb is about when it does not say: "refund her" is about
// money, "email her" about a message.
func (r *Request) imply() {
	if len(r.Kinds) > 1 && r.Direct["person"] && english.In("giving", r.Verb) { // "give the customer a refund"
		delete(r.Direct, "person")
		r.Object = english.WordSet{}
	}
	if english.In("light", r.Verb) { // "give her a refund": the noun says what to do
		var said []string
		nouns := r.Object
		if len(nouns) == 0 {
			nouns = r.Nouns
		}
		for _, noun := range slices.Sorted(maps.Keys(nouns)) {
			if more := english.Lexicon.Classes[noun]; len(more) > 0 && len(english.Lexicon.Kinds[noun]) > 0 {
				said = union(said, more)
				r.Verb = noun
				delete(r.Object, noun)
			}
		}
		switch {
		case len(said) > 0:
			r.Classes = said
		case r.Direct["event"]: // "give him an appointment"
			r.Classes = union(r.Classes, []string{"make", "book"})
		}
	}
	kinds := english.Lexicon.Kinds[r.Verb]
	if len(r.Classes) == 1 && r.Classes[0] == "pay" {
		kinds = []string{"money"}
	}
	for noun := range r.Object {
		if english.In("cash", noun) && slices.Contains(r.Classes, "tell") { // "forward her the difference"
			r.Classes = union(r.Classes, []string{"pay"})
		}
	}
	for _, kind := range kinds {
		r.Kinds[kind] = true
		if len(r.Direct) == 0 {
			r.Direct[kind] = true
		}
	}
}

func next(s []english.Token, i int) string {
	if i < len(s) {
		return s[i].Lower
	}
	return ""
}

// asks reports whether the verb at s[i] asks for something, by where it
// stands: first, after a comma, after "please", "and", "to" or "can you". A
// verb behind its subject ("they sent me") tells and asks for nothing; told
// verbs are mostly inflected, asked ones are not.
func asks(s []english.Token, i int) bool {
	if s[i].Quote || !isBase(s, i) || english.In("auxiliary", next(s, i+1)) { // "and rent is 2200": a noun
		return false
	}
	return places(s, i)
}

// places reports whether s[i] stands where an asking verb stands.
func places(s []english.Token, i int) bool {
	for i--; i >= 0; i-- {
		w := s[i].Lower
		switch {
		case s[i].IsSign() && !s[i].Quote:
			return w != "/" && w != "$" && w != "-" && w != "&" && w != "#"
		case s[i].Quote:
			return false
		case w == "to":
			return i == 0 || !english.In("question", s[i-1].Lower) && s[i-1].Lower != "used" && s[i-1].Lower != "asked"
		case w == "you":
			return i == 0 || english.In("modal", s[i-1].Lower)
		case english.In("request", w):
			return true
		case english.In("passive", w): // "should send"
			return i > 0
		case english.In("negation", w), english.In("adverb", w), strings.HasSuffix(w, "ly"):
			continue
		default:
			return false
		}
	}
	return true
}

// isBase reports whether the verb stands as it does when something is asked
// for: uninflected.
func isBase(s []english.Token, i int) bool {
	for n := min(english.Lexicon.Longest, len(s)-i); n > 0; n-- {
		joined := s[i].Lower
		for _, t := range s[i+1 : i+n] {
			joined += " " + t.Lower
		}
		if _, ok := english.Lexicon.Classes[joined]; ok || english.In("delegating", joined) {
			return true
		}
	}
	_, verb, n := english.VerbAt(s, i)
	return n > 0 && strings.HasPrefix(verb, s[i].Lower+" ")
}

// wishes reports whether s[i] wishes for a thing: "I'd like a refund".
func wishes(s []english.Token, i int) bool {
	return i > 0 && english.In("desire", s[i].Lower) && english.In("wisher", s[i-1].Lower) && english.In("determiner", next(s, i+1))
}

// seemsVerb reports whether an unknown word stands where only a verb can:
// where something is asked for, and before an object. Behind "and" it may tell,
// unless the sentence has asked for something before.
func seemsVerb(s []english.Token, i int, asked bool) bool {
	if s[i].Quote || s[i].IsSign() || i+1 >= len(s) || english.In("stop", s[i].Lower) || english.In("question", s[i].Lower) ||
		english.In("request", s[i].Lower) || english.In("delegating", s[i].Lower) || english.In("preposition", s[i].Lower) || english.In("auxiliary", s[i].Lower) || !isLower(s[i].Lower) {
		return false
	}
	if _, _, n := english.Phrase(english.Lexicon.Kinds, s, i); n > 0 {
		return false
	}
	joined := i > 0 && (s[i-1].Lower == "and" || s[i-1].Lower == "or")
	k := i + 1
	for k < len(s)-1 && english.In("tail", s[k].Lower) { // "tack on also"
		k++
	}
	object := english.In("determiner", s[k].Lower) || s[k].Quote || isLiteral(s[k].Lower)
	return object && (asked || !joined) && places(s, i)
}

// mayBeVerb reports whether an unknown word stands where a verb asks for
// something, before a name: "Refer Ada to the clinic".
func mayBeVerb(s []english.Token, i int) bool {
	return !s[i].Quote && !s[i].IsSign() && !english.In("stop", s[i].Lower) && isLower(s[i].Lower) && len(s[i].Lower) > 2 &&
		i+1 < len(s) && isName(s, i+1) && places(s, i)
}

func isLower(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLower(r) && r != '-' }) < 0
}

func negated(s []english.Token, i int) bool {
	for k := max(0, i-2); k < min(i, len(s)); k++ {
		if english.In("negation", s[k].Lower) {
			return true
		}
	}
	return false
}

// clause says what a clause is about. A name in it may be a person's.
func clause(s []english.Token) subject {
	about := subject{Direct: english.WordSet{}, Object: english.WordSet{}, Kinds: english.WordSet{}, Nouns: english.WordSet{}}
	isDirect := true
	for i := 0; i < len(s); i++ {
		t := s[i]
		if !t.Quote && (t.IsSign() || english.In("preposition", t.Lower)) {
			isDirect = isDirect && len(about.Nouns) == 0 // "a file called x" ends its object, "to the meeting" has none yet
			continue
		}
		if i == 0 && english.In("pronoun", t.Lower) && (english.In("preposition", next(s, 1))) {
			isDirect = false // "tell her on the ticket": what is told is not the ticket
			continue
		}
		if english.In("gathers", t.Lower) && next(s, i+1) == "of" { // "a list of tasks" is about tasks
			i++
			continue
		}
		found, stem, n := english.Phrase(english.Lexicon.Kinds, s, i)
		switch {
		case n > 0:
		case filePattern.MatchString(t.Lower) && !emailPattern.MatchString(t.Lower) && !numberPattern.MatchString(t.Lower):
			found, stem, n = []string{"file"}, t.Lower, 1
		case strings.HasPrefix(t.Lower, "http"):
			found, stem, n = []string{"web"}, t.Lower, 1
		case strings.HasPrefix(t.Lower, "/") && len(t.Lower) > 1:
			found, stem, n = []string{"file"}, t.Lower, 1
		case isName(s, i) && !t.First && !isLiteral(t.Lower):
			about.Whom = true
			about.Nouns[t.Lower] = true
			continue
		default:
			if !t.Quote && !english.In("stop", t.Lower) {
				for _, s := range english.Stems(t.Lower) {
					about.Nouns[s] = true
				}
			}
			continue
		}
		for _, kind := range found {
			about.Kinds[kind] = true
			if isDirect {
				about.Direct[kind] = true
				about.Object[stem] = true
				about.Head = stem
			}
		}
		about.Nouns[stem] = true
		i += n - 1
	}
	return about
}

// mentions collects whom and what a sentence names.
func (t *Task) mentions(s []english.Token) {
	var name []string
	end := func() {
		if len(name) > 0 {
			t.Names = append(t.Names, strings.Join(name, " "))
		}
		name = nil
	}
	for i, w := range s {
		bare := strings.TrimSuffix(w.Lower, "'s")
		switch {
		case w.Quote:
			end()
			t.Literals = append(t.Literals, w.Lower)
			t.topic(listing.NameWords(w.Lower)...)
			continue
		case numberPattern.MatchString(w.Lower):
			if refers(s, i) {
				t.refs[w.Lower] = true
			}
			if i > 0 && slices.Contains(english.Lexicon.Roles[s[i-1].Lower], RolePrincipal) {
				t.whom[w.Lower] = true
			}
			if n, err := strconv.ParseFloat(strings.TrimSuffix(strings.ReplaceAll(w.Lower, ",", ""), "%"), 64); err == nil {
				if strings.HasSuffix(w.Lower, "%") || next(s, i+1) == "%" || next(s, i+1) == "percent" {
					t.percents = append(t.percents, n)
				} else {
					t.Numbers = append(t.Numbers, n)
				}
			}
			end()
			continue
		case isLiteral(bare):
			end()
			t.Literals = append(t.Literals, bare)
			continue
		case isName(s, i):
			name = append(name, bare)
		default:
			end()
		}
		t.except = t.except || english.In("exception", w.Lower)
		t.All = t.All || english.In("all", w.Lower)
		t.Computes = t.Computes || english.In("compute", w.Lower) || w.Lower == "%"
		t.topic(bare)
		for _, stem := range english.Stems(bare) {
			t.words[stem] = true
		}
	}
	end()
}

// days collects the days of which a sentence speaks. What day it is today is none
// of them.
func (t *Task) days(s []english.Token) (spoken []listing.Span) {
	words := make([]string, len(s))
	for i, w := range s {
		words[i] = w.Lower
		t.today = t.today || strings.TrimSuffix(w.Lower, "'s") == "today"
	}
	now, told := listing.Today(words)
	if told {
		t.now = now
	}
	for _, d := range listing.Days(words, t.now) {
		if !told || d != now {
			spoken = append(spoken, d)
		}
	}
	t.dates = append(t.dates, spoken...)
	t.today = t.today && t.now == listing.Span{}
	return spoken
}

// bound is a size that the task asks of what it means.
type bound struct {
	below bool
	size  float64
}

func (b bound) holds(n float64) bool { return b.below && n <= b.size || !b.below && n >= b.size }

// bounded collects the bounds that a sentence sets.
func (t *Task) bounded(s []english.Token) {
	for i := range s {
		for _, list := range [...]string{"below", "above"} {
			_, _, n := english.Phrase(english.Lexicon.Lists[list], s, i)
			for k := i + n; n > 0 && k < min(len(s), i+n+2); k++ { // "below € 100"
				if size, ok := listing.Number(s[k].Lower); ok {
					t.bounds = append(t.bounds, bound{(list == "below") != negated(s, i-1), size}) // "do not spend more than 100"
					break
				}
			}
		}
	}
}

// choice is an order by which a sentence chooses, and what else it says of what is
// chosen.
type choice struct {
	listing.Order
	said  english.WordSet
	dates []listing.Span
}

// narrows reports whether what a record answers to is said in the same sentence.
func (c *choice) narrows(answer string) bool {
	return strings.HasPrefix(answer, "within ") || c.said[strings.TrimPrefix(answer, "has ")] || slices.ContainsFunc(c.dates, func(d listing.Span) bool { return d.Holds(answer) })
}

// chooses collects the orders by which a sentence chooses one of several.
func (t *Task) chooses(s []english.Token, dates []listing.Span) {
	said := english.WordSet{}
	for _, w := range s {
		for _, word := range listing.Words(w.Lower) {
			for _, stem := range english.Stems(word) {
				said[stem] = true
			}
		}
	}
	if slices.ContainsFunc(s, func(w english.Token) bool { return english.In("all", w.Lower) && !w.Quote }) {
		t.alls = append(t.alls, choice{said: said, dates: dates})
	}
	for i := range s {
		by, name, n := english.Phrase(english.Lexicon.Orders, s, i)
		if n == 0 || english.In("doubtful", name) && !superlative(s, i) || english.In("unit", next(s, i+n)) {
			continue
		}
		o := listing.Order{Name: name, Least: by.Least, Days: by.Measure == "day", Only: by.Measure == "number", Of: slices.Clone(english.Lexicon.Measure[by.Measure])}
		about := s[i+n : min(len(s), i+n+2)]
		if o.Days && i > 0 { // "that expires first"
			about = append(about[:len(about):len(about)], s[i-1])
		}
		for _, w := range about {
			if !english.In("stop", w.Lower) && !w.IsSign() {
				o.Of = append(o.Of, english.Stems(w.Lower)...)
			}
		}
		o.Whom = len(about) > 0 && isPerson(about[0].Lower) || len(about) > 1 && isPerson(about[1].Lower) ||
			i > 2 && english.In("determiner", s[i-1].Lower) && s[i-2].Lower == "with" && isPerson(s[i-3].Lower)
		t.choices = append(t.choices, choice{o, said, dates})
		for _, w := range s[i : i+n] {
			t.compares[w.Lower] = true
		}
	}
}

// superlative reports whether a word that may be none compares: "the first one",
// "that comes first", and not "first read my mail".
func superlative(s []english.Token, i int) bool {
	if slices.ContainsFunc(s[max(0, i-3):i], func(w english.Token) bool { return english.In("relative", w.Lower) }) {
		return true
	}
	return i > 0 && next(s, i+1) != "of" && (english.In("determiner", s[i-1].Lower) || strings.HasSuffix(s[i-1].Lower, "'s") || i+1 == len(s) || s[i+1].IsSign() && !s[i+1].Quote)
}

// isPerson reports whether a noun is for people: one that is known as such, or
// one that nobody knows and that is made like "plumber" and "electrician".
func isPerson(noun string) bool {
	for _, s := range english.Stems(noun) {
		if kinds := english.Lexicon.Kinds[s]; len(kinds) > 0 {
			return slices.Contains(kinds, "person")
		}
	}
	for ending := range english.Lexicon.Lists["agent"] {
		if len(noun) > 5 && (strings.HasSuffix(noun, ending) || strings.HasSuffix(noun, ending+"s")) {
			return true
		}
	}
	return false
}

// refers reports whether the number at s[i] stands behind what it numbers.
func refers(s []english.Token, i int) bool {
	if i == 0 {
		return false
	}
	before := s[i-1].Lower
	if before == "#" || slices.Contains(english.Lexicon.Roles[before], RoleID) {
		return true
	}
	if i > 1 && english.In("joins", before) && numberPattern.MatchString(s[i-2].Lower) { // "tickets 12, 14 and 15"
		return refers(s, i-2)
	}
	for _, stem := range english.Stems(before) {
		if len(english.Lexicon.Kinds[stem]) > 0 && !english.In("cash", stem) {
			return true
		}
	}
	return false
}

func (t *Task) topic(words ...string) {
	for _, w := range words {
		if utf8.RuneCountInString(w) < 3 || english.In("stop", w) {
			continue
		}
		for _, s := range english.Stems(w) {
			t.topics[s] = true
		}
	}
}

// isLiteral reports whether a word names one thing by itself: an address, a
// file name, an account, an id.
func isLiteral(w string) bool {
	if emailPattern.MatchString(w) || urlPattern.MatchString(w) || filePattern.MatchString(w) || ibanPattern.MatchString(w) {
		return true
	}
	digits, letters := 0, 0
	for _, r := range w {
		if unicode.IsDigit(r) {
			digits++
		} else if unicode.IsLetter(r) {
			letters++
		}
	}
	return digits > 0 && letters > 0 && digits+letters > 5 || strings.ContainsAny(w, "@_/") && letters > 1
}

// isName reports whether a word is written as a name is: with a capital where
// a sentence would not put one. The first word of a sentence may be one when
// it is no word that the lexicon knows.
func isName(s []english.Token, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i].Raw)
	bare, _, _ := strings.Cut(s[i].Lower, "'")
	if !unicode.IsUpper(r) || english.In("stop", bare) || english.In("question", bare) {
		return false
	}
	if !s[i].First {
		return !english.In("calendar", bare)
	}
	_, _, verb := english.Phrase(english.Lexicon.Classes, s, i)
	_, _, kind := english.Phrase(english.Lexicon.Kinds, s, i)
	return verb == 0 && kind == 0 && !english.In("request", s[i].Lower) && !english.In("calendar", bare) && utf8.RuneCountInString(s[i].Raw) > 2
}
