package scope

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// token is one word of a sentence, or a sign that parts it.
type token struct {
	raw   string // as written
	lower string
	first bool // of its sentence
	quote bool // within quotation marks: named, not said
}

func (t token) isSign() bool {
	return !strings.ContainsFunc(t.raw, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// wordPattern takes addresses, file names, numbers and names with inner signs
// as one word each, quotations as one, and any other sign by itself.
var wordPattern = regexp.MustCompile(strings.Join([]string{
	`"[^"\n]{1,120}"`, "`[^`\n]{1,120}`", `“[^”\n]{1,120}”`, `‘[^’\n]{1,120}’`,
	`(?:^|[\s(:])'[^'\n]{1,120}'`,
	`https?://[^\s'"<>()]*[^\s'"<>().,!?;:]`,
	`[\pL\pN._%+-]+@[\pL\pN.-]+\.\pL{2,}`,
	`\d{1,3}(?:,\d{3})+(?:\.\d+)?`,
	`/[\pL\pN_-]+(?:[._/-][\pL\pN_-]+)*`,
	`[\pL\pN]+(?:[-'’._/@+][\pL\pN]+)*`,
	`[^\s]`,
}, "|"))

// sentences parts text into sentences of tokens.
func sentences(text string) [][]token {
	var all [][]token
	var now []token
	end := func() {
		if len(now) > 0 {
			all = append(all, now)
			now = nil
		}
	}
	for _, line := range strings.Split(norm.NFKC.String(text), "\n") {
		for _, raw := range wordPattern.FindAllString(line, -1) {
			raw = strings.TrimLeft(raw, " \t(:")
			if inner, ok := unquote(raw); ok {
				now = append(now, token{raw: inner, lower: strings.ToLower(inner), first: len(now) == 0, quote: true})
				continue
			}
			now = append(now, token{raw: raw, lower: strings.ReplaceAll(strings.ToLower(raw), "’", "'"), first: len(now) == 0})
			if raw == "." || raw == "!" || raw == "?" || raw == ";" {
				end()
			}
		}
		end()
	}
	return all
}

func unquote(raw string) (string, bool) {
	open, size := utf8.DecodeRuneInString(raw)
	closing, n := utf8.DecodeLastRuneInString(raw)
	if len(raw) <= size+n || !strings.ContainsRune("\"'`“‘", open) || !strings.ContainsRune("\"'`”’", closing) {
		return "", false
	}
	return raw[size : len(raw)-n], true
}

// stems are the words that an inflected word may come from, itself first.
func stems(word string) []string {
	word = strings.TrimSuffix(word, "'s")
	all := []string{word}
	take := func(suffix string, endings ...string) {
		if stem, ok := strings.CutSuffix(word, suffix); ok && len(stem) > 1 {
			for _, e := range endings {
				all = append(all, stem+e)
			}
			if suffix == "ed" || suffix == "ing" {
				if n := len(stem); n > 2 && stem[n-1] == stem[n-2] {
					all = append(all, stem[:n-1])
				}
			}
		}
	}
	take("ies", "y")
	take("es", "", "e")
	take("s", "")
	take("ied", "y")
	take("ed", "", "e")
	take("ing", "", "e")
	return all
}

// nameWords splits snake_case, kebab-case, camelCase and dotted names.
func nameWords(name string) []string {
	return wordsOf(strings.ToLower(wordBoundary.ReplaceAllString(name, "$1$3 $2$4")))
}

// wordsOf splits a text in lower case at whatever is no letter and no digit.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])`)

// in reports whether a word, in any of its forms, stands in a closed class.
func in(list, word string) bool { return lexicon.lists[list][word] }

// phrase finds the longest entry of table that begins at tokens[i]: what it is
// and of how many tokens. Only its first word may be inflected, or its last.
func phrase[T any](table map[string]T, tokens []token, i int) (found T, stem string, length int) {
	for n := min(lexicon.longest, len(tokens)-i); n > 0; n-- {
		rest := ""
		whole := true
		for _, t := range tokens[i+1 : i+n] {
			rest += " " + t.lower
			whole = whole && !t.quote && !t.isSign()
		}
		if !whole || tokens[i].quote {
			continue
		}
		if n > 1 {
			last := tokens[i+n-1].lower
			for _, s := range stems(last) {
				if f, ok := table[tokens[i].lower+strings.TrimSuffix(rest, last)+s]; ok {
					return f, tokens[i].lower + rest, n
				}
			}
		}
		for _, s := range stems(tokens[i].lower) {
			if f, ok := table[s+rest]; ok {
				return f, s + rest, n
			}
		}
	}
	return found, "", 0
}

// verbAt finds the verb that begins at tokens[i], whole or parted by its
// object: "take it out", "give her access".
func verbAt(tokens []token, i int) (classes []string, verb string, length int) {
	classes, verb, length = phrase(lexicon.classes, tokens, i)
	if length > 1 || tokens[i].quote {
		return classes, verb, length
	}
	if i+2 < len(tokens) && in("personal", tokens[i+1].lower) { // "drop him a line"
		without := append([]token{tokens[i]}, tokens[i+2:min(len(tokens), i+2+lexicon.longest)]...)
		if classes, verb, n := phrase(lexicon.classes, without, 0); n > 1 {
			return classes, verb, n + 1
		}
	}
	for k := i + 2; k < min(len(tokens), i+8) && !tokens[k].isSign(); k++ {
		if !in("particle", tokens[k].lower) {
			continue
		}
		for _, s := range stems(tokens[i].lower) {
			if parted, ok := lexicon.classes[s+" "+tokens[k].lower]; ok {
				return parted, s + " " + tokens[k].lower, 1
			}
		}
	}
	return classes, verb, length
}
