package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport"
)

// strictness ranks an effect: the mildest is 0.
func strictness(e sallyport.Effect) int { return slices.Index(sallyport.Effects[:], e) }

func isStricter(a, than sallyport.Effect) bool {
	return strictness(a) > strictness(than)
}

// Tool is what a server says about one of its tools. All of it is the server's
// claim. The hints are MCP's tool annotations (2025-11-25); nil is not given.
type Tool struct {
	Name, Title, Description string
	ReadOnlyHint             *bool
	DestructiveHint          *bool
}

// Listed is a server with its tools.
type Listed struct {
	Server Server
	Tools  []Tool
}

// ToolEffect is a proposal for one tool.
type ToolEffect struct {
	Tool   string
	Effect sallyport.Effect
	Known  bool   // false: nothing says what the tool does, so the effect is the strictest
	Reason string // for the human who confirms it; never quotes the server
}

// Proposal is what import proposes for one server.
type Proposal struct {
	Server Server
	Tools  []ToolEffect // by name
	Odd    int          // tools left out because of their names; they count as exec
}

// plainToolName is what MCP recommends for tool names (2025-11-25, tools). Any
// other name is left out: one with a * would be read as a pattern in our
// configuration and so loosen other tools.
var plainToolName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`)

// Propose suggests an effect for each tool, for a human to confirm. What it
// can't tell gets the strictest. Annotations only tighten: a hostile server
// says of itself that it is harmless.
func Propose(listed []Listed) []Proposal {
	var proposals []Proposal
	for _, l := range listed {
		p := Proposal{Server: l.Server}
		for _, tool := range l.Tools {
			if plainToolName.MatchString(tool.Name) {
				p.Tools = append(p.Tools, propose(tool))
			} else {
				p.Odd++
			}
		}
		// A tool that a server lists twice keeps the strictest of its effects.
		slices.SortStableFunc(p.Tools, func(a, b ToolEffect) int {
			return cmp.Or(strings.Compare(a.Tool, b.Tool), strictness(b.Effect)-strictness(a.Effect))
		})
		p.Tools = slices.CompactFunc(p.Tools, func(a, b ToolEffect) bool { return a.Tool == b.Tool })
		proposals = append(proposals, p)
	}
	slices.SortFunc(proposals, func(a, b Proposal) int { return strings.Compare(a.Server.Name, b.Server.Name) })
	return proposals
}

func propose(tool Tool) ToolEffect {
	e := ToolEffect{Tool: tool.Name}
	claim := func(where string, effect sallyport.Effect, word string) {
		if word != "" && (!e.Known || isStricter(effect, e.Effect)) {
			e.Effect, e.Known, e.Reason = effect, true, fmt.Sprintf("the %s says %q", where, word)
		}
	}
	effect, word := nameEffect(nameWords(tool.Name))
	claim("name", effect, word)
	effect, word = sentenceEffect(tool.Title)
	claim("title", effect, word)
	effect, word = sentenceEffect(tool.Description)
	claim("description", effect, word)

	is := func(hint *bool, value bool) bool { return hint != nil && *hint == value }
	switch {
	case !e.Known && is(tool.ReadOnlyHint, true):
		e.Effect, e.Reason = sallyport.Exec, "only the server's own hint calls it read-only: the strictest until you know"
	case !e.Known:
		e.Effect, e.Reason = sallyport.Exec, "nothing says what it does: the strictest until you know"
	case e.Effect == sallyport.Read && is(tool.DestructiveHint, true) && !is(tool.ReadOnlyHint, true):
		e.Effect, e.Reason = sallyport.Delete, "it sounds like reading, but the server calls it destructive"
	case e.Effect == sallyport.Read && is(tool.ReadOnlyHint, false):
		e.Effect, e.Reason = sallyport.Write, "it sounds like reading, but the server says it is not read-only"
	}
	return e
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
	sallyport.Pay:    `payment payments refund refunds payout payouts charge charges transfer transfers purchase order orders transaction transactions subscription`,
	sallyport.Send:   `email emails mail message messages sms notification notifications tweet`,
	sallyport.Access: `permission permissions role roles acl member members collaborator collaborators credential credentials secret secrets password passwords apikey`,
})

// addresses are nouns that turn opening or fetching into a request to anywhere,
// which can carry data out in the address itself.
var addresses = wordTable(map[sallyport.Effect]string{sallyport.Send: `url page web website site link html markdown txt json browser internet`})

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

// nameEffect returns the effect that words stand for and the word that says so;
// no word when none does.
func nameEffect(words []string) (sallyport.Effect, string) {
	if len(words) == 0 {
		return "", ""
	}
	var effect sallyport.Effect
	var said string
	take := func(e sallyport.Effect, word string) {
		if said == "" || isStricter(e, effect) {
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
		case reaches && (addresses[word] != "" || len(words) == 1):
			return sallyport.Send, said
		case !ok || word == said:
		case object == sallyport.Access && isStricter(sallyport.Access, effect): // reading a password is access, too
			effect, said = sallyport.Access, word
		case effect != sallyport.Read && isStricter(object, effect):
			effect, said = object, word
		}
	}
	return effect, said
}

var letters = regexp.MustCompile(`[A-Za-z]+`)

// answers is how a description says what a tool gives back. Giving things back
// to somebody is another matter, and said otherwise.
var answers = regexp.MustCompile(`^returns (a list|an? (array|object|dictionary)|all|the (current|list)|the \w+( \w+)?( of\b| in\b| for\b| that\b|[.,]|$))`)

// sentenceEffect reads the verb that a title or description begins with, such
// as "Deletes a file". Anything else says nothing.
func sentenceEffect(text string) (sallyport.Effect, string) {
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
