package scope

import (
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/scope/english"
	"sallyport/internal/scope/listing"
)

// Tool is what is known of a tool before it is called: what its server says of
// it, and what the operator says it does.
type Tool struct {
	Server, Name string
	Description  string
	Schema       sallyport.Value    // of its input
	Effects      []sallyport.Effect // from configuration; none counts as exec
	// Roles overrides what an argument is for, by its path without indexes:
	// "recipients", "customer.email".
	Roles map[string]Role

	learned *profile // what Learn has read, nil before
}

// Learn reads off the tool's words what it does, once for all scopes that are
// minted with it.
func (t *Tool) Learn() {
	if !t.Reads() {
		p := profileOf(t)
		t.learned = &p
	}
}

// Fetches reports whether a tool hands out what lies at a path or an address:
// what comes back is as a whole what somebody put there.
func (t *Tool) Fetches() bool {
	if len(t.Effects) > 0 && !t.has(sallyport.Read) {
		return false
	}
	for name := range t.Schema.Get("properties").Members() {
		if role := t.RoleOf(name, sallyport.Value{}); role == RolePath || role == RoleURL {
			return true
		}
	}
	return false
}

// Reads reports whether the tool does nothing but read.
func (t *Tool) Reads() bool { return len(t.Effects) == 1 && t.Effects[0] == sallyport.Read }

func (t *Tool) has(effects ...sallyport.Effect) bool {
	if len(t.Effects) == 0 {
		return slices.Contains(effects, sallyport.Exec)
	}
	for _, e := range effects {
		if slices.Contains(t.Effects, e) {
			return true
		}
	}
	return false
}

// does reports whether carrying out a class of verbs may need what the tool does.
func (t *Tool) does(class string) bool {
	return slices.ContainsFunc(english.Lexicon.Effects[class], func(e string) bool { return t.has(sallyport.Effect(e)) })
}

// key tells tools apart, whoever holds a copy of what is known of one.
func (t *Tool) key() string { return t.Server + "\x00" + t.Name }

// grave reports whether what the tool does can't be undone, or opens doors.
func (t *Tool) grave() bool { return t.has(sallyport.Delete, sallyport.Access, sallyport.Exec) }

// mild reports whether the tool does nothing but read and write.
func (t *Tool) mild() bool {
	return len(t.Effects) > 0 && !slices.ContainsFunc(t.Effects, func(e sallyport.Effect) bool {
		return e != sallyport.Read && e != sallyport.Write
	})
}

// profile is what a tool does and to what sort of thing, in the lexicon's
// words.
type profile struct {
	tool    *Tool
	verb    string
	own     string // what its name begins with, where that is no verb that is known
	classes []string
	kinds   english.WordSet
	around  english.WordSet // kinds that its description speaks of besides: "a reply on a ticket"
	heads   english.WordSet // what it is done to, in the tool's own words
	nouns   english.WordSet // all words of its name behind the verb
}

// effectClasses are the classes of a tool whose own verb nobody knows.
var effectClasses = map[sallyport.Effect][]string{
	sallyport.Write: {"make", "change"}, sallyport.Send: {"tell"}, sallyport.Pay: {"pay", "book"},
	sallyport.Delete: {"drop"}, sallyport.Access: {"admit"}, sallyport.Exec: {"run"},
}

// profileOf reads a tool's name and the first sentence of its description. The
// description counts for the kinds of things and, where the name has no verb
// that is known, for the verb.
func profileOf(tool *Tool) profile {
	p := profile{tool: tool, kinds: english.WordSet{}, around: english.WordSet{}, heads: english.WordSet{}, nouns: english.WordSet{}}
	name := make([]english.Token, 0, 4)
	for i, w := range listing.NameWords(tool.Name) {
		name = append(name, english.Token{Raw: w, Lower: w, First: i == 0})
	}
	var first []english.Token
	if all := english.Sentences(tool.Description); len(all) > 0 {
		first = all[0]
	}
	p.classes = p.read(name, false)
	if p.verb == "" && len(name) > 0 {
		p.own = name[0].Lower
	}
	told := p.read(first, true)
	if !p.covers() { // "forward_money": its verb says less than the tool does
		p.classes = union(p.classes, told)
	}
	if !p.covers() {
		for _, e := range tool.Effects {
			p.classes = union(p.classes, effectClasses[e])
		}
		if len(tool.Effects) == 0 {
			p.classes = effectClasses[sallyport.Exec]
		}
	}
	return p
}

// covers reports whether what the tool's verb stands for includes one of the
// tool's effects.
func (p *profile) covers() bool {
	for _, class := range p.classes {
		if p.tool.does(class) {
			return true
		}
	}
	return false
}

// read takes verb and objects of a name, or of a sentence that tells what a
// tool does: "Creates a new event with the given details" is about events.
func (p *profile) read(s []english.Token, sentence bool) []string {
	from := 0
	if !sentence {
		from = actingAt(s)
	}
	before := clause(s[:from])
	classes, verb, n := []string(nil), "", 0
	if len(s) > 0 && (sentence || len(english.Lexicon.Kinds[s[from].Lower]) == 0 || len(english.Lexicon.Classes[s[from].Lower]) > 0) { // "booking_release" books nothing
		classes, verb, n = english.VerbAt(s, from)
	}
	switch {
	case n == 0 || !doesMore(classes):
		classes = nil
	case slices.Contains(classes, "look"): // "get", "open": says nothing of a tool that does more than read
		from, classes = from+n, nil
	default:
		from += n
		if p.verb == "" {
			p.verb = verb
		}
	}
	about := clause(s[from:])
	if sentence {
		p.around = about.Kinds
		for _, t := range s[from:] { // "cancel a visit": nouns that nobody knows
			if english.In("preposition", t.Lower) || t.IsSign() {
				break
			}
			for _, stem := range english.Stems(t.Lower) {
				if !english.In("stop", t.Lower) && len(english.Lexicon.Kinds[stem]) == 0 {
					p.nouns[stem] = true
				}
			}
		}
	}
	kinds := about.Direct
	if len(p.kinds) == 0 { // a name has no prepositions, and a name that says nothing leaves it to the sentence
		kinds = about.Kinds
	}
	for _, all := range []english.WordSet{kinds, before.Kinds} {
		for kind := range all {
			p.kinds[kind] = true
		}
	}
	if about.Head != "" {
		p.heads[about.Head] = true
	}
	if !sentence {
		p.nouns = about.Nouns
	}
	return classes
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a[:len(a):len(a)], s)
		}
	}
	return a
}

// actingAt is where the verb of a name stands: "cart_add_product",
// "order_cancel". A word that may be a noun as well is it when no other is.
func actingAt(s []english.Token) int {
	for i := range s {
		if _, verb, _ := english.VerbAt(s, i); isActing(s, i) && len(english.Lexicon.Kinds[verb]) == 0 && len(english.Lexicon.Kinds[s[i].Lower]) == 0 {
			return i
		}
	}
	return 0
}

// isActing reports whether a verb stands at s[i] that is more than a noun.
func isActing(s []english.Token, i int) bool {
	if i >= len(s) {
		return false
	}
	classes, verb, n := english.VerbAt(s, i)
	return n > 0 && doesMore(classes) && (i == 0 || len(english.Lexicon.Kinds[verb]) == 0)
}

// doesMore reports whether a verb can do anything but read.
func doesMore(classes []string) bool {
	for _, c := range classes {
		if c != "look" {
			return true
		}
	}
	return false
}

// Role is what an argument is for, as far as harm goes.
type Role = english.Role

// The roles. Content and unknown roles are the only ones that nobody asks
// about.
const (
	RoleNone       Role = ""
	RolePrincipal  Role = "principal" // who gets something: recipient, payee, participant
	RoleURL        Role = "url"
	RolePath       Role = "path"
	RoleID         Role = "id"    // which thing is changed
	RoleThing      Role = "thing" // what is paid for, by its name
	RoleSecret     Role = "secret"
	RoleCommand    Role = "command"
	RoleAmount     Role = "amount"
	RolePermission Role = "permission"
	RoleContent    Role = "content"
	RoleTime       Role = "time"
	RoleQuery      Role = "query"
)

// RoleOf says what the argument at a path is for: as the operator says, else
// by its name, else by the first word of its description that the lexicon
// knows, else by the value's own shape.
func (t *Tool) RoleOf(path string, value sallyport.Value) Role {
	names := listing.Names(path)
	if role, ok := t.Roles[strings.Join(names, ".")]; ok {
		return role
	}
	text, _ := value.Text()
	role := t.declared(names)
	if n, ok := listing.Number(textOf(value)); ok && role == RolePrincipal && n < fewDigits && counts(path, names) {
		return RoleNone
	}
	if role == RoleContent && t.has(sallyport.Pay) && t.says(names, "name") {
		role = RoleThing
	}
	if role == RoleAmount && isKey(text) { // "fee_no: F-618"
		role = RoleID
	}
	if role == RoleNone || role == RoleContent {
		role = shapeOf(text, role)
	}
	if role == RoleNone && isKey(text) && !t.says(names, "code") { // "unit: B-12", but no discount code
		return RoleID
	}
	return role
}

// shapeOf is the role that the shape of a value says, else the other.
func shapeOf(text string, other Role) Role {
	lower := strings.ToLower(strings.TrimSpace(text))
	switch {
	case emailPattern.MatchString(lower), ibanPattern.MatchString(lower) && strings.ToUpper(text) == text:
		return RolePrincipal
	case schemePattern.MatchString(lower):
		return RoleURL
	case strings.HasPrefix(lower, "/") && !strings.Contains(lower, " "), strings.Contains(lower, "../"):
		return RolePath
	}
	return other
}

// schemePattern is how what is fetched from elsewhere begins.
var schemePattern = regexp.MustCompile(`^(?:[a-z][a-z0-9+.-]*:)?//`)

// fewDigits is below what numbers of accounts and people mostly are.
const fewDigits = 1000

// counts reports whether a small number counts people and names nobody, as in
// "guests: 3". One of a list of them does, and so does a payee.
func counts(path string, names []string) bool {
	words := listing.NameWords(names[len(names)-1])
	return len(words) > 0 && !strings.HasSuffix(path, "]") && strings.HasSuffix(words[len(words)-1], "s") && !strings.HasSuffix(words[len(words)-1], "ss")
}

// says reports whether an argument's name or the beginning of its description
// has a word.
func (t *Tool) says(names []string, word string) bool {
	if len(names) == 0 {
		return false
	}
	description, _ := t.Schema.Get("properties").Get(names[0]).Get("description").Text()
	words := listing.NameWords(description)
	return slices.Contains(listing.NameWords(names[len(names)-1]), word) || slices.Contains(words[:min(3, len(words))], word)
}

func (t *Tool) declared(names []string) Role {
	schema := t.Schema
	for i, name := range names {
		property := schema.Get("properties").Get(name)
		for property.Type() == sallyport.Absent && i > 0 && schema.Get("items").Type() == sallyport.Object {
			schema = schema.Get("items")
			property = schema.Get("properties").Get(name)
		}
		schema = property
		switch format, _ := schema.Get("format").Text(); format {
		case "email", "idn-email":
			return RolePrincipal
		case "uri", "url", "iri", "hostname":
			return RoleURL
		case "date", "date-time", "time":
			return RoleTime
		case "password":
			return RoleSecret
		}
	}
	if len(names) == 0 {
		return RoleNone
	}
	words := listing.NameWords(names[len(names)-1])
	if roles := english.Lexicon.Roles[strings.Join(words, " ")]; len(roles) > 0 {
		return roles[0]
	}
	if n := len(words); n > 1 && english.In("numbering", words[n-1]) { // "visit_no"
		return RoleID
	}
	for i := len(words) - 1; i >= 0; i-- { // "new_recipient_iban": its last word says most
		for _, stem := range english.Stems(words[i]) {
			if english.In("runnable", stem) && !t.has(sallyport.Exec) {
				continue // a discount code runs nowhere
			}
			if roles := english.Lexicon.Roles[stem]; len(roles) > 0 {
				return roles[0]
			}
		}
	}
	if flag, _ := schema.Get("type").Text(); flag == "boolean" {
		return RoleNone
	}
	description, _ := schema.Get("description").Text()
	return described(description)
}

// described is the role that a description begins with: "IBAN of the
// recipient" is an account, "Street of the user" is none. What only counts or
// gathers ("a list with the addresses") gives way to what it holds.
func described(text string) Role {
	all := english.Sentences(text)
	if len(all) == 0 {
		return RoleNone
	}
	gathers := false
	for i, t := range all[0] {
		if roles, _, n := english.Phrase(english.Lexicon.Roles, all[0], i); n > 0 {
			return roles[0]
		}
		gathers = gathers || english.In("gathers", t.Lower)
		if english.In("preposition", t.Lower) && !gathers || t.IsSign() {
			return RoleNone
		}
	}
	return RoleNone
}
