package provenance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport"
)

// covers reports whether labels hold all that others held.
func covers(now, before Labels) bool {
	if before.SawUntrusted && !now.SawUntrusted || before.SawPrivate && !now.SawPrivate || before.More && !now.More {
		return false
	}
	for _, s := range before.Sources {
		if !slices.ContainsFunc(now.Sources, func(n Seen) bool {
			return n.Server == s.Server && n.Tool == s.Tool && n.Origin == n.Origin.Weaker(s.Origin)
		}) {
			return false
		}
	}
	return true
}

// history is one run with what it may never forget.
type history struct {
	*Memory
	labels   Labels
	canaries []string // seen in private text that others can write, never said by the user
}

// TestLabelsNeverShrink drives runs, their children, restarts, floods and
// reads of other runs' words in every order: what a decision sees of a run
// only grows, and what came from others stays theirs.
func TestLabelsNeverShrink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		runs := []*history{{Memory: New(minLimit)}}
		pick := func() *history { return runs[rapid.IntRange(0, len(runs)-1).Draw(t, "run")] }
		canary := func(r *history) {
			n++
			r.canaries = append(r.canaries, fmt.Sprintf("canary%04dX%d", n, n*n))
		}
		check := func(r *history) {
			now := r.Labels()
			if !covers(now, r.labels) {
				t.Fatalf("labels were %+v, are %+v", r.labels, now)
			}
			r.labels = now
			for _, c := range r.canaries {
				if got := leaf(r.Memory, "send", "to", c); got.Origin != (sallyport.Origin{Writer: untrusted, Readers: sallyport.ReadersPrivate}) {
					t.Fatalf("%s is %+v", c, got)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"saw": func(t *rapid.T) {
				r := pick()
				canary(r)
				d := Declaration{Trust: Trust(rapid.IntRange(0, 2).Draw(t, "trust"))}
				r.Saw("c", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "server"), "read", textResult("it is "+r.canaries[len(r.canaries)-1]+", they say"), d)
			},
			"said": func(t *rapid.T) { pick().Said("do what is right", "hook", sallyport.ReadersPublic) },
			"flood": func(t *rapid.T) {
				r := pick()
				for range rapid.IntRange(1, 60).Draw(t, "texts") {
					r.Saw("c", "web", "read", textResult(strings.Repeat("nothing of interest ", 50)), Declaration{Readers: sallyport.ReadersPublic})
				}
			},
			"child": func(t *rapid.T) {
				if r := pick(); len(runs) < 6 {
					runs = append(runs, &history{r.Child(), r.labels, slices.Clone(r.canaries)})
				}
			},
			"restart": func(t *rapid.T) {
				r := pick()
				data, _ := r.MarshalBinary()
				r.Memory = new(Memory)
				if err := r.UnmarshalBinary(data); err != nil {
					t.Fatal(err)
				}
			},
			"damage": func(t *rapid.T) {
				r := pick()
				data, _ := r.MarshalBinary()
				_ = r.UnmarshalBinary(data[:len(data)/2])
				r.labels.Sources = nil // they are not known any more, and More says so
			},
			"read another's words": func(t *rapid.T) {
				r, from := pick(), pick()
				r.Absorb(from.Labels())
				if !covers(r.Labels(), from.Labels()) {
					t.Fatalf("%+v does not cover %+v", r.Labels(), from.Labels())
				}
			},
			"a result got lost": func(t *rapid.T) { pick().Missed("lost", "read", Declaration{}) },
			"": func(t *rapid.T) {
				for _, r := range runs {
					check(r)
				}
			},
		})
	})
}

// TestForgettingOnlyAddsTaint compares a memory that forgets with one that does
// not: nothing is more trusted or more public for being forgotten.
func TestForgettingOnlyAddsTaint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGenerator(rapid.Uint64().Draw(t, "seed"))
		small, large := New(minLimit), New(16<<20)
		var values []string
		for range rapid.IntRange(1, 30).Draw(t, "results") {
			text := g.mails(rapid.IntRange(100, 4000).Draw(t, "size"))
			d := Declaration{Trust: Trust(g.IntN(3)), Readers: sallyport.Readers(g.IntN(3))}
			for _, m := range []*Memory{small, large} {
				m.Saw("c", "s", "list_mails", structuredResult(text), d)
			}
			first := sallyport.MustParse(text)
			for _, item := range first.Items() {
				for _, name := range []string{"id", "from", "subject", "url"} {
					v, _ := item.Get(name).Text()
					values = append(values, v)
				}
			}
		}
		values = append(values, g.email(), g.id(), g.prose(5))
		for _, v := range values {
			got, want := leaf(small, "get_mail", "mail_id", v), leaf(large, "get_mail", "mail_id", v)
			if got.Origin.Writer > want.Origin.Writer && !(want.Origin.Writer == unknown && got.Origin.Writer == untrusted) {
				t.Fatalf("%q is %v through %v, and %v when nothing is forgotten", v, got.Origin, got.Through, want.Origin)
			}
			if got.Origin.Readers > want.Origin.Readers {
				t.Fatalf("%q may be read by %v, and by %v when nothing is forgotten", v, got.Origin.Readers, want.Origin.Readers)
			}
		}
	})
}
