package scope

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Task is what the user's words ask for and name. It is read from the words
// alone: nothing that a tool returned can add to it.
type Task struct {
	Requests  []Request
	Names     []string  // of people, firms and things, lower case, as they were written
	Literals  []string  // addresses, file names, ids, quotations: lower case
	Numbers   []float64 // said with digits
	percents  []float64
	dates     []date
	topics    wordSet // stems of all other words that mean something
	called    []called
	refs      wordSet // numbers that name something: "ticket 481", "ID 13"
	whom      wordSet // numbers that name somebody: "to 12", "account 12"
	words     wordSet // stems of all words
	selectors []Selector
	before    subject // what the last sentence was about that was about something
	today     bool
	Delegated bool // hands the decision to somebody's text: "do what the note says"
	All       bool // speaks of all of something
	Computes  bool // asks for an amount that nobody wrote: a difference, a share
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
	Direct wordSet // kinds of the verb's object
	Object wordSet // the nouns of these kinds
	Head   string  // the last of them
	Kinds  wordSet // kinds that the whole clause speaks of
	Nouns  wordSet // stems of its words
	Whom   bool    // it has a name, which may be somebody's
}

// Selector picks one of several by comparing them: "the largest file".
type Selector struct {
	Order string // largest, smallest, newest, oldest
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
	t := &Task{topics: wordSet{}, words: wordSet{}, refs: wordSet{}, whom: wordSet{}}
	for _, m := range messages {
		for _, s := range sentences(m) {
			t.sentence(s)
		}
	}
	for _, name := range t.Names {
		t.called = append(t.called, called{name, wordsOf(name), byName})
	}
	for _, literal := range t.Literals {
		kind := byLiteral
		if emailPattern.MatchString(literal) || ibanPattern.MatchString(literal) {
			kind = byName
		}
		t.called = append(t.called, called{literal, wordsOf(literal), kind})
	}
	return t
}

// called is one thing that the task calls by its name.
type called struct {
	text  string
	words []string
	kind  nameKind
}

func (t *Task) sentence(s []token) {
	t.mentions(s)
	t.dates = append(t.dates, dates(s)...)
	var verbs []int // where requests begin
	for i, after := 0, 0; i < len(s); i++ {
		t.Delegated = t.Delegated || delegates(s, i)
		if i < after { // within a phrase
			continue
		}
		if classes, verb, n := verbAt(s, i); n > 0 && asks(s, i) {
			t.Requests = append(t.Requests, Request{Verb: verb, Classes: classes, Negated: negated(s, i)})
			after = i + n
			verbs = append(verbs, after)
		} else if wishes(s, i) {
			t.Requests = append(t.Requests, Request{Verb: "want", Classes: []string{"look"}})
			verbs = append(verbs, i+1)
		} else if n == 0 && seemsVerb(s, i, len(verbs) > 0) {
			t.Requests = append(t.Requests, Request{Verb: s[i].lower, Negated: negated(s, i)})
			verbs = append(verbs, i+1)
		} else if n == 0 && mayBeVerb(s, i) {
			t.Requests = append(t.Requests, Request{Verb: s[i].lower, Unsure: true, Negated: negated(s, i)})
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
		r.Whom = r.Whom || contains(r.Classes, "dismiss") && clause(s[:from]).Whom // "Ada has left and should no longer get in"
		r.imply()
		if in("personal", next(s, from)) && !contains(r.Classes, "tell") { // "take her out"
			r.Kinds["person"] = true
		}
		if len(r.Direct) == 0 && in("pronoun", next(s, from)) && !in("personal", next(s, from)) { // "send it": what was spoken of before
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
func delegates(s []token, i int) bool {
	if _, _, n := phrase(lexicon.lists["delegate"], s, i); n > 0 {
		return true
	}
	_, _, n := phrase(lexicon.lists["delegating"], s, i)
	if n == 0 || !asks(s, i) {
		return false
	}
	errand := false
	for k := i + n; k < min(len(s), i+n+8); k++ {
		switch {
		case in("following", s[k].lower):
			return false
		case errand && in("written", s[k].lower):
			return next(s, k+1) != "the" || !in("following", next(s, k+2))
		}
		if _, _, found := phrase(lexicon.lists["errand"], s, k); found > 0 {
			errand = true
		}
	}
	return false
}

// imply adds what a verb is about when it does not say: "refund her" is about
// money, "email her" about a message.
func (r *Request) imply() {
	if len(r.Kinds) > 1 && r.Direct["person"] && in("giving", r.Verb) { // "give the customer a refund"
		delete(r.Direct, "person")
		r.Object = wordSet{}
	}
	if in("light", r.Verb) { // "give her a refund": the noun says what to do
		var said []string
		nouns := r.Object
		if len(nouns) == 0 {
			nouns = r.Nouns
		}
		for _, noun := range slices.Sorted(maps.Keys(nouns)) {
			if more := lexicon.classes[noun]; len(more) > 0 && len(lexicon.kinds[noun]) > 0 {
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
	kinds := lexicon.kinds[r.Verb]
	if len(r.Classes) == 1 && r.Classes[0] == "pay" {
		kinds = []string{"money"}
	}
	for noun := range r.Object {
		if in("cash", noun) && contains(r.Classes, "tell") { // "forward her the difference"
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

func next(s []token, i int) string {
	if i < len(s) {
		return s[i].lower
	}
	return ""
}

// asks reports whether the verb at s[i] asks for something, by where it
// stands: first, after a comma, after "please", "and", "to" or "can you". A
// verb behind its subject ("they sent me") tells and asks for nothing; told
// verbs are mostly inflected, asked ones are not.
func asks(s []token, i int) bool {
	if s[i].quote || !isBase(s, i) || in("auxiliary", next(s, i+1)) { // "and rent is 2200": a noun
		return false
	}
	return places(s, i)
}

// places reports whether s[i] stands where an asking verb stands.
func places(s []token, i int) bool {
	for i--; i >= 0; i-- {
		w := s[i].lower
		switch {
		case s[i].isSign() && !s[i].quote:
			return w != "/" && w != "$" && w != "-" && w != "&" && w != "#"
		case s[i].quote:
			return false
		case w == "to":
			return i == 0 || !in("question", s[i-1].lower) && s[i-1].lower != "used" && s[i-1].lower != "asked"
		case w == "you":
			return i == 0 || in("modal", s[i-1].lower)
		case in("request", w):
			return true
		case in("passive", w): // "should send"
			return i > 0
		case in("negation", w), in("adverb", w), strings.HasSuffix(w, "ly"):
			continue
		default:
			return false
		}
	}
	return true
}

// isBase reports whether the verb stands as it does when something is asked
// for: uninflected.
func isBase(s []token, i int) bool {
	for n := min(lexicon.longest, len(s)-i); n > 0; n-- {
		joined := s[i].lower
		for _, t := range s[i+1 : i+n] {
			joined += " " + t.lower
		}
		if _, ok := lexicon.classes[joined]; ok || in("delegating", joined) {
			return true
		}
	}
	_, verb, n := verbAt(s, i)
	return n > 0 && strings.HasPrefix(verb, s[i].lower+" ")
}

// wishes reports whether s[i] wishes for a thing: "I'd like a refund".
func wishes(s []token, i int) bool {
	return i > 0 && in("desire", s[i].lower) && in("wisher", s[i-1].lower) && in("determiner", next(s, i+1))
}

// seemsVerb reports whether an unknown word stands where only a verb can:
// where something is asked for, and before an object. Behind "and" it may tell,
// unless the sentence has asked for something before.
func seemsVerb(s []token, i int, asked bool) bool {
	if s[i].quote || s[i].isSign() || i+1 >= len(s) || in("stop", s[i].lower) || in("question", s[i].lower) ||
		in("request", s[i].lower) || in("delegating", s[i].lower) || in("preposition", s[i].lower) || in("auxiliary", s[i].lower) || !isLower(s[i].lower) {
		return false
	}
	if _, _, n := phrase(lexicon.kinds, s, i); n > 0 {
		return false
	}
	joined := i > 0 && (s[i-1].lower == "and" || s[i-1].lower == "or")
	k := i + 1
	for k < len(s)-1 && in("tail", s[k].lower) { // "tack on also"
		k++
	}
	object := in("determiner", s[k].lower) || s[k].quote || isLiteral(s[k].lower)
	return object && (asked || !joined) && places(s, i)
}

// mayBeVerb reports whether an unknown word stands where a verb asks for
// something, before a name: "Refer Ada to the clinic".
func mayBeVerb(s []token, i int) bool {
	return !s[i].quote && !s[i].isSign() && !in("stop", s[i].lower) && isLower(s[i].lower) && len(s[i].lower) > 2 &&
		i+1 < len(s) && isName(s, i+1) && places(s, i)
}

func isLower(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLower(r) && r != '-' }) < 0
}

func negated(s []token, i int) bool {
	for k := max(0, i-2); k < i; k++ {
		if in("negation", s[k].lower) {
			return true
		}
	}
	return false
}

// clause says what a clause is about. A name in it may be a person's.
func clause(s []token) subject {
	about := subject{Direct: wordSet{}, Object: wordSet{}, Kinds: wordSet{}, Nouns: wordSet{}}
	isDirect := true
	for i := 0; i < len(s); i++ {
		t := s[i]
		if !t.quote && (t.isSign() || in("preposition", t.lower)) {
			isDirect = isDirect && len(about.Nouns) == 0 // "a file called x" ends its object, "to the meeting" has none yet
			continue
		}
		if i == 0 && in("pronoun", t.lower) && (in("preposition", next(s, 1))) {
			isDirect = false // "tell her on the ticket": what is told is not the ticket
			continue
		}
		if in("gathers", t.lower) && next(s, i+1) == "of" { // "a list of tasks" is about tasks
			i++
			continue
		}
		found, stem, n := phrase(lexicon.kinds, s, i)
		switch {
		case n > 0:
		case filePattern.MatchString(t.lower) && !emailPattern.MatchString(t.lower) && !numberPattern.MatchString(t.lower):
			found, stem, n = []string{"file"}, t.lower, 1
		case strings.HasPrefix(t.lower, "http"):
			found, stem, n = []string{"web"}, t.lower, 1
		case strings.HasPrefix(t.lower, "/") && len(t.lower) > 1:
			found, stem, n = []string{"file"}, t.lower, 1
		case isName(s, i) && !t.first && !isLiteral(t.lower):
			about.Whom = true
			about.Nouns[t.lower] = true
			continue
		default:
			if !t.quote && !in("stop", t.lower) {
				for _, s := range stems(t.lower) {
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
func (t *Task) mentions(s []token) {
	var name []string
	end := func() {
		if len(name) > 0 {
			t.Names = append(t.Names, strings.Join(name, " "))
		}
		name = nil
	}
	for i, w := range s {
		bare := strings.TrimSuffix(w.lower, "'s")
		t.today = t.today || bare == "today"
		switch {
		case w.quote:
			end()
			t.Literals = append(t.Literals, w.lower)
			t.topic(nameWords(w.lower)...)
			continue
		case numberPattern.MatchString(w.lower):
			if refers(s, i) {
				t.refs[w.lower] = true
			}
			if i > 0 && contains(lexicon.roles[s[i-1].lower], RolePrincipal) {
				t.whom[w.lower] = true
			}
			if n, err := strconv.ParseFloat(strings.TrimSuffix(strings.ReplaceAll(w.lower, ",", ""), "%"), 64); err == nil {
				if strings.HasSuffix(w.lower, "%") || next(s, i+1) == "%" || next(s, i+1) == "percent" {
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
		t.All = t.All || in("all", w.lower)
		t.Computes = t.Computes || in("compute", w.lower) || w.lower == "%"
		for _, order := range [...]string{"largest", "smallest", "newest", "oldest"} {
			if _, _, n := phrase(lexicon.lists[order], s, i); n > 0 {
				t.selectors = append(t.selectors, Selector{order})
			}
		}
		t.topic(bare)
		for _, stem := range stems(bare) {
			t.words[stem] = true
		}
	}
	end()
}

// refers reports whether the number at s[i] stands behind what it numbers.
func refers(s []token, i int) bool {
	if i == 0 {
		return false
	}
	before := s[i-1].lower
	if before == "#" || contains(lexicon.roles[before], RoleID) {
		return true
	}
	if i > 1 && in("joins", before) && numberPattern.MatchString(s[i-2].lower) { // "tickets 12, 14 and 15"
		return refers(s, i-2)
	}
	for _, stem := range stems(before) {
		if len(lexicon.kinds[stem]) > 0 && !in("cash", stem) {
			return true
		}
	}
	return false
}

func (t *Task) topic(words ...string) {
	for _, w := range words {
		if utf8.RuneCountInString(w) < 3 || in("stop", w) {
			continue
		}
		for _, s := range stems(w) {
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
func isName(s []token, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i].raw)
	bare, _, _ := strings.Cut(s[i].lower, "'")
	if !unicode.IsUpper(r) || in("stop", bare) || in("question", bare) {
		return false
	}
	if !s[i].first {
		return !in("calendar", bare)
	}
	_, _, verb := phrase(lexicon.classes, s, i)
	_, _, kind := phrase(lexicon.kinds, s, i)
	return verb == 0 && kind == 0 && !in("request", s[i].lower) && utf8.RuneCountInString(s[i].raw) > 2
}
