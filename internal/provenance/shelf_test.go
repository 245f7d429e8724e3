package provenance

import (
	"fmt"
	"slices"
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

// TestParentAndChildWriteApart lets both go on where there is room behind what
// they share: they may do so at once.
func TestParentAndChildWriteApart(t *testing.T) {
	parent := New(0)
	for _, text := range []string{newGenerator(5).prose(500), "and one more"} {
		parent.Saw("c", "s", "read", textResult(text), Declaration{})
	}
	child := parent.Child()
	parent.Saw("c", "s", "read", textResult("the parent's alone"), Declaration{})
	child.Saw("c", "s", "list", textResult("the child's alone"), Declaration{})
	if all := child.shelves[0].texts.all; strings.Contains(all, "the parent's") || !strings.Contains(all, "the child's") {
		t.Error("what the parent reads is kept where the child keeps its own")
	}
}

// TestTextsEndWhereTheyEnd puts two texts one behind the other: what the end of
// one and the beginning of the next make together, nobody said.
func TestTextsEndWhereTheyEnd(t *testing.T) {
	m := New(0)
	m.Said("send it to k7x9qz", "launcher", sallyport.ReadersPublic)
	m.Said("w12ab34 is the other one", "launcher", sallyport.ReadersPublic)
	for _, value := range []string{"k7x9qzw12ab34", "k7x9qz w12ab34"} {
		got := leaf(m, "x", "to", value)
		for _, s := range got.Sources {
			if s.ArgStart < 6 && s.ArgEnd > 7 {
				t.Errorf("%s stands in %+v", value, s)
			}
		}
		if len(got.Sources) == 0 || got.Origin.Writer == sallyport.WriterUser && !slices.Contains(got.Through, "pieces") {
			t.Errorf("%s is %+v", value, got)
		}
	}
	m = New(0)
	m.Said("k7x9qz\xFFw12ab34", "launcher", sallyport.ReadersPublic) // the same byte within a text ends nothing
	if got := leaf(m, "x", "to", "k7x9qzw12ab34").Sources; len(got) != 1 || got[0].ArgStart != 0 || got[0].ArgEnd != 13 {
		t.Errorf("of %+v", got)
	}
}

// TestWhatIsSeenAgainIsFoundAgain evicts a value, and then shows it once more.
func TestWhatIsSeenAgainIsFoundAgain(t *testing.T) {
	m := New(minLimit)
	g := newGenerator(11)
	for round := range 20 {
		m.Saw("c", "s", "read", textResult("it is k7x9qzw12ab34 indeed"), Declaration{})
		if got := leaf(m, "x", "to", "k7x9qzw12ab34").Sources; len(got) == 0 {
			t.Fatalf("round %d: it was seen just now, and has no source", round)
		}
		for i := 0; i < round || len(leaf(m, "x", "to", "k7x9qzw12ab34").Sources) > 0; i++ {
			if i > 100 {
				t.Fatal("it is never evicted")
			}
			m.Saw("c", "s", "read", textResult(g.prose(300)), Declaration{})
		}
	}
}

// TestWhatBeginsBeforeAPlace floods the first word of a value, so that what it
// stands in is found from a later word alone, back to its beginning: where that
// word tells nothing by what is behind it, and where another place is longer
// behind it.
func TestWhatBeginsBeforeAPlace(t *testing.T) {
	for value, texts := range map[string][]string{
		"kaliber no mi ta ru so yy": {"kaliber no mi ta ru so zz", strings.Repeat("kaliber zu ", 40)},
		"bokara mirakelofa tu":      {"bokara mirakelofa gi", strings.Repeat("bokara mu ", 40), "zz mirakelofa tu"},
	} {
		m := New(0)
		for _, text := range texts {
			m.Saw("c", "s", "read", textResult(text), Declaration{})
		}
		got := leaf(m, "x", "to", value)
		if !slices.ContainsFunc(got.Sources, func(s sallyport.Source) bool { return s.ArgStart == 0 && s.ArgEnd > 14 }) {
			t.Errorf("%s is %+v", value, got)
		}
	}
}
