package provenance

import (
	"fmt"
	"strings"
	"testing"

	"sallyport"
)

// TestWhatFollowsAWord finds a short word before and after which another thing
// stands in the argument than did in the text.
func TestWhatFollowsAWord(t *testing.T) {
	for text, value := range map[string]string{
		"say k7x9qz tail": "k7x9qz",    // anything behind it there, nothing here
		"say k7x9q":       "k7x9qzz12", // nothing behind it there
		"say K7x9qz ähm":  "k7x9qz",
	} {
		m := New(0)
		m.Saw("c", "s", "read", textResult(text), Declaration{})
		if w := writerOf(m, value); w != sallyport.WriterUntrusted {
			t.Errorf("%q of %q is %v", value, text, w)
		}
	}
}

// TestAShelfWithoutWords looks up what only another shelf has: the filter takes
// some of it for the words of this one, which has none.
func TestAShelfWithoutWords(t *testing.T) {
	m := New(0)
	m.Saw("c", "s", "read", textResult("!"), Declaration{})
	var words []string
	for i := range 5000 {
		words = append(words, fmt.Sprintf("w%x", i*7919))
	}
	m.Said(strings.Join(words, " "), "launcher", sallyport.ReadersPublic)
	for _, w := range words {
		if got := writerOf(m, w); got != sallyport.WriterUser {
			t.Fatalf("%s is %v", w, got)
		}
	}
}

// TestParentAndChildKeepTheirOwnFields lets both go on with fields of other
// lengths: the child still finds every value where it is.
func TestParentAndChildKeepTheirOwnFields(t *testing.T) {
	parent := New(0)
	g := newGenerator(5)
	parent.Saw("c", "s", "read", textResult(g.prose(500)), Declaration{})
	child := parent.Child()
	var ids, items []string
	for range 50 {
		ids = append(ids, g.id())
		items = append(items, quoted(g.id()))
	}
	text := strings.Join(ids, " ")
	child.Saw("c", "s", "list", textResult(text), Declaration{})
	parent.Saw("c", "s", "read", structuredResult("["+strings.Join(items, ",")+"]"), Declaration{})
	for _, id := range ids {
		sources := leaf(child, "x", "to", id).Sources
		if len(sources) == 0 || sources[0].Tool != "list" || text[sources[0].Start:sources[0].End] != id {
			t.Fatalf("%s is from %+v", id, sources)
		}
	}
}
