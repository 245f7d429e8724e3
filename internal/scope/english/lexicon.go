// Package english knows words: what they ask for, what they name, and how they
// are inflected. It is pure, and knows no task and no tool.
package english

import (
	_ "embed" // the lexicon is text, so that people review it as text
	"slices"
	"strings"
)

//go:embed lexicon.txt
var lexiconText string

// Lexicon is what English words ask for, as lexicon.txt says. It is read once
// and never changed.
var Lexicon = readLexicon(lexiconText)

// WordSet is a set of words.
type WordSet map[string]bool

// Vocabulary is what is known of words, each in its stem.
type Vocabulary struct {
	Classes map[string][]string // verb → its classes
	Effects map[string][]string // class → what carrying it out may need
	Kinds   map[string][]string // noun → its kinds
	Roles   map[string][]Role   // argument name → its roles
	Fields  map[string][]string // name of a field → the part of whom it holds
	Spoken  map[string][]string // word → the part that it speaks of
	Orders  map[string]Order    // superlative → by what it compares
	Measure map[string][]string // what is compared → names of fields that hold it
	Lists   map[string]WordSet  // closed classes of words
	Longest int                 // words of the longest phrase
}

// Order is by what a superlative compares.
type Order struct {
	Least   bool
	Measure string
}

// readLexicon reads lexicon.txt; a mistake in it is a mistake in the program.
func readLexicon(text string) *Vocabulary {
	v := &Vocabulary{
		Orders: map[string]Order{}, Measure: map[string][]string{},
		Classes: map[string][]string{}, Effects: map[string][]string{},
		Kinds: map[string][]string{}, Fields: map[string][]string{}, Spoken: map[string][]string{}, Roles: map[string][]Role{}, Lists: map[string]WordSet{}, Longest: 1,
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

func (v *Vocabulary) add(head, words []string) {
	name := head[1]
	for _, effect := range head[2:] {
		if head[0] == "verb" && !slices.Contains(v.Effects[name], effect) {
			v.Effects[name] = append(v.Effects[name], effect)
		}
	}
	for _, word := range words {
		word = strings.ReplaceAll(word, "_", " ")
		v.Longest = max(v.Longest, strings.Count(word, " ")+1)
		switch head[0] {
		case "verb":
			v.Classes[word] = append(v.Classes[word], name)
		case "kind":
			v.Kinds[word] = append(v.Kinds[word], name)
		case "field":
			v.Fields[word] = append(v.Fields[word], name)
		case "spoken":
			v.Spoken[word] = append(v.Spoken[word], name)
		case "role":
			v.Roles[word] = append(v.Roles[word], Role(name))
		case "order":
			v.Orders[word] = Order{name == "least", head[2]}
		case "measure":
			v.Measure[name] = append(v.Measure[name], word)
		case "list":
			if v.Lists[name] == nil {
				v.Lists[name] = WordSet{}
			}
			v.Lists[name][word] = true
		default:
			panic("lexicon.txt: " + head[0])
		}
	}
}

// Role is what an argument is for, by its name.
type Role string
