package english

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Token is one word of a sentence, or a sign that parts it.
type Token struct {
	Raw   string // as written
	Lower string
	First bool // of its sentence
	Quote bool // within quotation marks: named, not said
}

// IsSign reports whether it is no word.
func (t Token) IsSign() bool {
	return !strings.ContainsFunc(t.Raw, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
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

// Sentences parts text into sentences of tokens.
func Sentences(text string) [][]Token {
	var all [][]Token
	var now []Token
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
				now = append(now, Token{Raw: inner, Lower: strings.ToLower(inner), First: len(now) == 0, Quote: true})
				continue
			}
			now = append(now, Token{Raw: raw, Lower: strings.ReplaceAll(strings.ToLower(raw), "’", "'"), First: len(now) == 0})
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

// Stems are the words that an inflected word may come from, itself first.
func Stems(word string) []string {
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

// In reports whether a word, in any of its forms, stands in a closed class.
func In(list, word string) bool { return Lexicon.Lists[list][word] }

// Phrase finds the longest entry of table that begins at tokens[i]: what it is
// and of how many tokens. Only its first word may be inflected, or its last.
func Phrase[T any](table map[string]T, tokens []Token, i int) (found T, stem string, length int) {
	for n := min(Lexicon.Longest, len(tokens)-i); n > 0; n-- {
		rest := ""
		whole := true
		for _, t := range tokens[i+1 : i+n] {
			rest += " " + t.Lower
			whole = whole && !t.Quote && !t.IsSign()
		}
		if !whole || tokens[i].Quote {
			continue
		}
		if n > 1 {
			last := tokens[i+n-1].Lower
			for _, s := range Stems(last) {
				if f, ok := table[tokens[i].Lower+strings.TrimSuffix(rest, last)+s]; ok {
					return f, tokens[i].Lower + rest, n
				}
			}
		}
		for _, s := range Stems(tokens[i].Lower) {
			if f, ok := table[s+rest]; ok {
				return f, s + rest, n
			}
		}
	}
	return found, "", 0
}

// VerbAt finds the verb that begins at tokens[i], whole or parted by its
// object: "take it out", "give her access".
func VerbAt(tokens []Token, i int) (classes []string, verb string, length int) {
	classes, verb, length = Phrase(Lexicon.Classes, tokens, i)
	if length > 1 || tokens[i].Quote {
		return classes, verb, length
	}
	if i+2 < len(tokens) && In("personal", tokens[i+1].Lower) { // "drop him a line"
		without := append([]Token{tokens[i]}, tokens[i+2:min(len(tokens), i+2+Lexicon.Longest)]...)
		if classes, verb, n := Phrase(Lexicon.Classes, without, 0); n > 1 {
			return classes, verb, n + 1
		}
	}
	for k := i + 2; k < min(len(tokens), i+8) && !tokens[k].IsSign(); k++ {
		if !In("particle", tokens[k].Lower) {
			continue
		}
		for _, s := range Stems(tokens[i].Lower) {
			if parted, ok := Lexicon.Classes[s+" "+tokens[k].Lower]; ok {
				return parted, s + " " + tokens[k].Lower, 1
			}
		}
	}
	return classes, verb, length
}
