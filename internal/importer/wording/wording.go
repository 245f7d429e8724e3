// Package wording reads from the words about a tool what it does.
package wording

import (
	"regexp"
	"slices"
	"strings"

	"sallyport"
)

// Strictness ranks an effect: the mildest is 0.
func Strictness(e sallyport.Effect) int { return slices.Index(sallyport.Effects[:], e) }

// IsStricter compares two effects.
func IsStricter(a, than sallyport.Effect) bool {
	return Strictness(a) > Strictness(than)
}

// verbs maps what tools are called to what they do. A word that is a noun as
// often as a verb stands in nounVerbs as well and counts only where a verb
// stands: first.
var verbs = wordTable(map[sallyport.Effect]string{
	sallyport.Read: `get list read search find lookup look show view describe count check status stat info inspect
		explain summarize summarise compare diff validate verify preview resolve retrieve load scan analyze
		analyse tail head tree ls cat grep history ping query watch monitor poll whoami calculate compute
		convert parse fetch open download`,
	sallyport.Write: `create add update edit write set put patch save insert append modify rename move copy upload import
		register mark label tag assign close reopen merge commit push archive restore enable disable configure
		change increment upsert store record draft comment make new schedule replace attach link unlink sync
		annotate format reschedule postpone correct rearrange`,
	sallyport.Send: `send email mail message notify publish post tweet reply forward broadcast announce call dm sms
		submit dispatch export navigate browse crawl scrape visit goto request curl http`,
	sallyport.Access: `grant revoke permit authorize authorise invite share unshare login logout impersonate assume
		rotate allow block unblock approve`,
	sallyport.Delete: `delete remove destroy drop purge erase wipe clear truncate rm trash discard cancel terminate kill
		uninstall reset prune`,
	sallyport.Pay: `pay refund charge transfer purchase buy order checkout payout withdraw deposit donate bid trade sell book reserve rent hire`,
	sallyport.Exec: `run exec execute eval evaluate shell bash spawn invoke apply install build test script sudo ssh
		command start stop restart deploy launch scale provision click type fill press drag automate`,
})

var nounVerbs = wordTable(map[sallyport.Effect]string{sallyport.Read: `
	order email mail message post comment test mark label tag record draft build set check call script command
	share head status history transfer charge refund trade store view format count query stat info tree request
	change import export press type start stop bid deposit purchase payout open close link new scale block
	reset watch look load http drop fill book rent hire`})

// objects are nouns that say more than the verb that changes them: creating a
// refund is paying, creating a message is sending.
var objects = wordTable(map[sallyport.Effect]string{
	sallyport.Pay:    `credit credits money funds payment payments refund refunds payout payouts charge charges transfer transfers purchase order orders transaction transactions subscription`,
	sallyport.Send:   `email emails mail message messages sms notification notifications tweet`,
	sallyport.Access: `permission permissions role roles acl member members collaborator collaborators credential credentials secret secrets password passwords apikey`,
})

// opened are nouns for what is not there before it is opened.
var opened = wordTable(map[sallyport.Effect]string{sallyport.Write: `account bug case claim discussion dispute incident issue
	position pr pull request session thread ticket`})

// addresses are nouns that turn opening or fetching into a request to anywhere,
// which can carry data out in the address itself.
var addresses = wordTable(map[sallyport.Effect]string{sallyport.Send: `url page web website site link html markdown txt json browser internet`})

// measures are what somebody asks about a thing: a tool that is called by such a
// noun, without any verb, answers it.
var measures = wordTable(map[sallyport.Effect]string{sallyport.Read: `total totals balance summary details overview statistics stats
	status info forecast weather rating ratings count`})

func wordTable(lists map[sallyport.Effect]string) map[string]sallyport.Effect {
	table := make(map[string]sallyport.Effect)
	for effect, list := range lists {
		for word := range strings.FieldsSeq(list) {
			table[word] = effect
		}
	}
	return table
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])`)

// nameWords splits snake_case, kebab-case, camelCase and dotted names.
func nameWords(name string) []string {
	spaced := wordBoundary.ReplaceAllString(name, "$1$3 $2$4")
	return strings.FieldsFunc(strings.ToLower(spaced), func(r rune) bool { return strings.ContainsRune(" _-./", r) })
}

// Name is what the name of a tool says that it does, and the word that says so;
// no word when none does.
func Name(name string) (sallyport.Effect, string) { return nameEffect(nameWords(name)) }

// nameEffect returns the effect that words stand for and the word that says so;
// no word when none does.
func nameEffect(words []string) (sallyport.Effect, string) {
	if len(words) == 0 {
		return "", ""
	}
	var effect sallyport.Effect
	var said string
	take := func(e sallyport.Effect, word string) {
		if said == "" || IsStricter(e, effect) {
			effect, said = e, word
		}
	}
	first, leads := verbs[words[0]]
	if leads {
		take(first, words[0])
	}
	joined := slices.ContainsFunc(words, func(w string) bool { return w == "and" || w == "or" || w == "then" })
	for i, word := range words[1:] {
		// After a verb, only a second verb right behind it counts (read_write),
		// or any verb when the name joins several (get_or_create).
		if e, ok := verbs[word]; ok && (!leads || i == 0 || joined) && nounVerbs[word] == "" {
			take(e, word)
		}
	}
	if last := words[len(words)-1]; said == "" && measures[last] != "" {
		return sallyport.Read, last
	}
	if said == "" {
		return "", ""
	}
	return objectEffect(words, effect, said)
}

// objectEffect tightens the effect of a verb by what the verb is done to.
func objectEffect(words []string, effect sallyport.Effect, said string) (sallyport.Effect, string) {
	reaches := said == "fetch" || said == "open" || said == "download"
	for _, word := range words {
		object, ok := objects[word]
		switch {
		case said == "open" && opened[word] != "" && IsStricter(sallyport.Write, effect):
			effect = sallyport.Write
		case reaches && (addresses[word] != "" || len(words) == 1):
			return sallyport.Send, said
		case !ok || word == said:
		case object == sallyport.Access && IsStricter(sallyport.Access, effect): // reading a password is access, too
			effect, said = sallyport.Access, word
		case effect != sallyport.Read && IsStricter(object, effect):
			effect, said = object, word
		}
	}
	return effect, said
}

var letters = regexp.MustCompile(`[A-Za-z]+`)

// answers is how a description says what a tool gives back. Giving things back
// to somebody is another matter, and said otherwise.
var answers = regexp.MustCompile(`^returns (a list|an? (array|object|dictionary)|all|the (current|list)|the \w+( \w+)?( of\b| in\b| for\b| that\b|[.,]|$))`)

// Sentence reads the verb that a title or description begins with, such
// as "Deletes a file". Anything else says nothing.
func Sentence(text string) (sallyport.Effect, string) {
	words := letters.FindAllString(strings.ToLower(text[:min(len(text), 200)]), 5)
	if len(words) == 0 {
		return "", ""
	}
	if words[0] == "returns" && answers.MatchString(strings.ToLower(text)) {
		words[0] = "get"
		return objectEffect(words, sallyport.Read, "get")
	}
	for _, stem := range []string{words[0], strings.TrimSuffix(words[0], "s"), strings.TrimSuffix(words[0], "es"),
		strings.TrimSuffix(words[0], "ies") + "y", strings.TrimSuffix(words[0], "ing"), strings.TrimSuffix(words[0], "ing") + "e"} {
		if effect, ok := verbs[stem]; ok {
			words[0] = stem
			return objectEffect(words, effect, stem)
		}
	}
	return "", ""
}
