package card

import (
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// perWord is a fast reader's: most adults read 175 to 300 words of English
	// non-fiction a minute (M. Brysbaert, How many words do we read per minute?,
	// Journal of Memory and Language 109, 2019).
	perWord = time.Minute / 300
	// longWord is how many characters are read as one word: an account number takes
	// longer than a word.
	longWord = 12
)

// Reading is how long it takes at least to read what a card says of the call: what it
// does, who wants it, every argument and whatever stands out. Names of fields, what
// was asked before and what the user said are not counted.
func (c *Card) Reading() time.Duration {
	words := wordsOf(c.Verb, c.Undo, c.Agent, c.User)
	words += wordsOf(c.Findings...) + wordsOf(c.Careful...)
	for _, r := range c.Rules {
		words += wordsOf(r.ID, r.Because)
	}
	for _, a := range append(c.Arguments[:len(c.Arguments):len(c.Arguments)], c.Beside...) {
		words += wordsOf(a.Path, a.Value)
	}
	return time.Duration(words) * perWord
}

// ReadingValues is Reading of the arguments' values alone: what is left to read of a
// card that is equal to one that was read.
func (c *Card) ReadingValues() time.Duration {
	words := 0
	for _, a := range c.Arguments {
		words += wordsOf(a.Value)
	}
	return time.Duration(words) * perWord
}

func wordsOf(texts ...string) (words int) {
	for _, text := range texts {
		for word := range strings.FieldsSeq(text) {
			words += (utf8.RuneCountInString(word) + longWord - 1) / longWord
		}
	}
	return words
}
