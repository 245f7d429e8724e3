package scope

import (
	_ "embed" // the lexicon is text, so that people review it as text
	"strings"

	"sallyport"
)

//go:embed lexicon.txt
var lexiconText string

// lexicon is what English words ask for, as lexicon.txt says. It is read once
// and never changed.
var lexicon = readLexicon(lexiconText)

type wordSet map[string]bool

type vocabulary struct {
	classes map[string][]string           // verb → its classes
	effects map[string][]sallyport.Effect // class → what carrying it out may need
	kinds   map[string][]string           // noun → its kinds
	roles   map[string][]Role             // argument name → its roles
	fields  map[string][]string           // name of a field → the part of whom it holds
	spoken  map[string][]string           // word → the part that it speaks of
	lists   map[string]wordSet            // closed classes of words
	longest int                           // words of the longest phrase
}

// readLexicon reads lexicon.txt; a mistake in it is a mistake in the program.
func readLexicon(text string) *vocabulary {
	v := &vocabulary{
		classes: map[string][]string{}, effects: map[string][]sallyport.Effect{},
		kinds: map[string][]string{}, fields: map[string][]string{}, spoken: map[string][]string{}, roles: map[string][]Role{}, lists: map[string]wordSet{}, longest: 1,
	}
	var head []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		words := strings.Fields(line)
		if line[0] != '\t' {
			before, after, ok := strings.Cut(line, "=")
			if head, words = strings.Fields(before), strings.Fields(after); !ok || len(head) < 2 {
				panic("lexicon.txt: " + line)
			}
		}
		v.add(head, words)
	}
	return v
}

func (v *vocabulary) add(head, words []string) {
	name := head[1]
	for _, effect := range head[2:] {
		if !contains(v.effects[name], sallyport.Effect(effect)) {
			v.effects[name] = append(v.effects[name], sallyport.Effect(effect))
		}
	}
	for _, word := range words {
		word = strings.ReplaceAll(word, "_", " ")
		v.longest = max(v.longest, strings.Count(word, " ")+1)
		switch head[0] {
		case "verb":
			v.classes[word] = append(v.classes[word], name)
		case "kind":
			v.kinds[word] = append(v.kinds[word], name)
		case "field":
			v.fields[word] = append(v.fields[word], name)
		case "spoken":
			v.spoken[word] = append(v.spoken[word], name)
		case "role":
			v.roles[word] = append(v.roles[word], Role(name))
		case "list":
			if v.lists[name] == nil {
				v.lists[name] = wordSet{}
			}
			v.lists[name][word] = true
		default:
			panic("lexicon.txt: " + head[0])
		}
	}
}

func contains[T comparable](all []T, one T) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}
