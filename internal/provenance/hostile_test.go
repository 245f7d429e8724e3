package provenance

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

// nested encodes a text in base64 as often as it stays below a size.
func nested(text string, size int) string {
	for len(text) < size {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}

// colliding makes words whose keys fall into the same slots.
func colliding(n int) string {
	var b strings.Builder
	for i := 0; n > 0; i++ {
		word := fmt.Sprintf("%06d", i)
		var key uint64
		for _, c := range []byte(word) {
			key = key<<8 | uint64(c)
		}
		if bloom.Hash(plain.Before(key|6<<48, '0'))&0xFFF == 7 {
			b.WriteString(word + " 0 ")
			n--
		}
	}
	return b.String()
}

// TestHostileTextsAreBounded ingests and traces what would make a careless
// index slow or large. That it ends at all is the test: each of these took
// minutes or gigabytes with a bound taken out.
func TestHostileTextsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const size = 2 << 20
	for name, text := range map[string]string{
		"one letter":            strings.Repeat("a", size),
		"one letter and spaces": strings.Repeat("a ", size/2),
		"spaces":                "a" + strings.Repeat(" ", size) + "b",
		"two letters":           strings.Repeat("ab", size/2),
		"one word":              strings.Repeat("abcdef ", size/7),
		"digits":                strings.Repeat("1,", size/2),
		"days":                  strings.Repeat("2024-05-15 ", size/11),
		"percent":               strings.Repeat("%61", size/3),
		"percent signs":         strings.Repeat("%", size),
		"ampersands":            strings.Repeat("&", size),
		"backslashes":           strings.Repeat(`\`, size),
		"marks":                 "a" + strings.Repeat("\u0301", size/2),
		"invisible":             strings.Repeat("\u200b", size/3),
		"base64 in base64":      nested("some text", size/2),
		"base64 letters":        strings.Repeat("QUFB", size/4),
		"records":               strings.Repeat("id: 1\n\n", size/7),
		"items":                 strings.Repeat("- a\n", size/4),
		"yaml":                  strings.Repeat("- a: b\n", size/7),
		"deep yaml":             strings.Repeat("- ", size/2) + "a: b",
		"keys":                  strings.Repeat("a:\n", size/3),
		"indented keys":         "a:\n" + strings.Repeat(" ", 2000) + strings.Repeat("b: c\n", size/5),
		"quotes":                "a: " + strings.Repeat("'", size),
		"table":                 strings.Repeat("|", size),
		"table rows":            strings.Repeat("|a|b|\n", size/6),
		"csv":                   strings.Repeat("a,", size/2) + "\n" + strings.Repeat("b,", size/2),
		"json":                  "[" + strings.Repeat("1,", 1<<18) + "1]",
		"json records":          "[" + strings.Repeat(`{"a":1},`, 1<<16) + `{"a":1}]`,
		"json lines":            strings.Repeat("{}\n", size/3),
		"deep json":             strings.Repeat("[", size),
		"colliding":             colliding(200),
		"headings":              strings.Repeat("# a\n", size/4),
	} {
		t.Run(name, func(t *testing.T) {
			m := New(0)
			m.Saw("c", "s", "read", textResult(text), ours)
			if m.Size() > DefaultLimit {
				t.Errorf("takes %d bytes", m.Size())
			}
			short := text[:min(len(text), maxTraced/8)]
			m.Trace("send", sallyport.MustParse(`{"a":`+quoted(strings.ToValidUTF8(short, ""))+`,"b":"abcdef 2024-05-15 1"}`))
		})
	}
	t.Run("a long name above many values", func(t *testing.T) {
		m := New(0)
		m.Saw("c", "s", "read", structuredResult(`{"`+strings.Repeat("n", 1<<20)+`":[`+strings.Repeat(`"v",`, 1<<18)+`"v"]}`), ours)
		m.Trace("send", sallyport.MustParse(`{"`+strings.Repeat("n", 1<<19)+`":[`+strings.Repeat(`"v",`, 1<<18)+`"v"]}`))
	})
}

// TestAFloodOfLookAlikesHidesNothing puts one value among very many that begin
// alike, before and after it.
func TestAFloodOfLookAlikesHidesNothing(t *testing.T) {
	m := New(0)
	flood := func() {
		var b strings.Builder
		for i := range 4000 {
			fmt.Fprintf(&b, "account%d ", 100_000+i)
		}
		m.Saw("c", "web", "read", textResult(b.String()), Declaration{})
	}
	flood()
	m.Saw("c", "web", "read", textResult("pay to account9Z"), Declaration{})
	flood()
	if got := leaf(m, "pay", "to", "account9Z"); got.Origin.Writer != untrusted {
		t.Errorf("%+v", got)
	}
	if got := leaf(m, "pay", "to", "account101234"); got.Origin.Writer != untrusted {
		t.Errorf("%+v", got)
	}
}

func FuzzSaw(f *testing.F) {
	for _, text := range []string{
		"", "a: b\nc:\n- d\n- 'e''f'\n", `{"a":[{"id":"1"},{"id":"2"}]}`, "a,b\n1,2\n", "| a | b |\n|---|---|\n| c | d |",
		"From: a@b\nSubject: x\n\nbody", "May 15th, 2024 at 10:30, 1.200,50 %41&amp;\\u0041 QUJDREVGR0hJSktM", "e\u0301\u200b\u4f60\u597d", "a: |\n  x\n  y\nb: \"\\x41\\\n  \\ c\"\n",
	} {
		f.Add(text, text, true)
	}
	f.Fuzz(func(t *testing.T, text, argument string, trust bool) {
		text, argument = strings.ToValidUTF8(text, ""), strings.ToValidUTF8(argument, "")
		d := Declaration{Serialised: trust, Trust: FirstParty}
		m := New(minLimit)
		m.Said(argument, "hook", sallyport.ReadersPublic)
		m.Saw("c", "s", "read", textResult(text), d)
		for _, trace := range m.Trace("x", sallyport.MustParse(`[`+quoted(text)+`,`+quoted(argument)+`]`)) {
			value := []string{text, argument}[strings.Index("01", trace.Path[1:2])]
			for _, s := range trace.Sources {
				if s.ArgStart < 0 || s.ArgStart > s.ArgEnd || s.ArgEnd > len(value) {
					t.Fatalf("%s: source %+v of an argument of %d bytes", trace.Path, s, len(value))
				}
				if s.Strength != "" && (s.Start < 0 || s.Start > s.End || s.End > len(argument)) {
					t.Fatalf("%s: source %+v of words of %d bytes", trace.Path, s, len(argument))
				}
			}
		}
		if l := m.Labels(); strings.TrimSpace(text) != "" && !l.SawPrivate {
			t.Fatalf("labels %+v after %q", l, text)
		}
		if m.Size() > minLimit {
			t.Fatalf("%d bytes", m.Size())
		}
	})
}

func FuzzTrace(f *testing.F) {
	f.Add(`{"to":["bob@example.com",5,true,{"x y":"cafe\u0301"}]}`)
	f.Add(`"2024-05-15T10:30:00+02:00"`)
	f.Add(`["1,200.50","Ym9iQGV4YW1wbGUuY29t"]`)
	m := lived(f)
	f.Fuzz(func(t *testing.T, args string) {
		v, err := sallyport.Parse([]byte(args))
		if err != nil {
			t.Skip()
		}
		leaves := 0
		for range v.Leaves() {
			leaves++
		}
		if traces := m.Trace("x", v); len(traces) != leaves && len(traces) != maxLeaves+1 && traces[len(traces)-1].Path != "" {
			t.Fatalf("%d traces of %d leaves", len(traces), leaves)
		}
	})
}

// TestKeysThatArePushedOutAreForgotten crafts more keys for the same slots than
// are looked at: what they push out may be a value that was seen.
func TestKeysThatArePushedOutAreForgotten(t *testing.T) {
	m := New(0)
	o := sallyport.Origin{Writer: untrusted}
	s := m.shelf(o)
	m.refilter(1 << 12)
	for i := range uint32(2 * maxProbes) {
		s.markAll([]mark{{hash: i<<20 | 7}}, 0)
	}
	m.Saw("c", "s", "read", textResult("x"), Declaration{})
	if weakest, any := m.Forgot(); !any || weakest != o {
		t.Errorf("forgot %v %v, want %v", any, weakest, o)
	}
}

// TestWhatIsNotComparedToTheEndIsCrowded looks for a word that stands among
// more like it than are looked at, and for one that a text of it would take
// too long to be compared with.
func TestWhatIsNotComparedToTheEndIsCrowded(t *testing.T) {
	for text, value := range map[string]string{
		strings.Repeat("account100a ", 100):               "account1009",
		strings.Repeat(strings.Repeat("a ", 99)+"b ", 99): strings.Repeat("a ", 5000),
	} {
		m := New(0)
		m.Saw("c", "s", "read", textResult(text), Declaration{})
		v := &view{text: value}
		v.prepare(m.filter)
		if found := m.shelves[0].search(v, scan{}); !found.crowded {
			t.Errorf("%.20q is not crowded: %d wholes", value, len(found.wholes))
		}
	}
	m := New(0)
	m.Saw("c", "s", "read", textResult("account100a account1009b"), Declaration{})
	v := &view{text: "account1009"}
	v.prepare(m.filter)
	if found := m.shelves[0].search(v, scan{}); found.crowded {
		t.Error("two places are crowded")
	}
}
