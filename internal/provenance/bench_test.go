package provenance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport"
)

// generator makes values as tools have them; the same seed makes the same.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

var syllables = strings.Fields("ba ko mi ra te lu so ne vi da po gu ha zi fe mo ri ta se lo ni ka du we")

func (g generator) word() string {
	var b strings.Builder
	for range 1 + g.IntN(3) {
		b.WriteString(syllables[g.IntN(len(syllables))])
	}
	if g.IntN(2) == 0 {
		b.WriteString("nrstl"[g.IntN(5):][:1])
	}
	return b.String()
}

var common = strings.Fields("the a to of and in is that for it on with as was be at by this we are you have from our will not meeting project please report update team week next review about time")

func (g generator) prose(words int) string {
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if g.IntN(10) < 6 {
			b.WriteString(common[g.IntN(len(common))])
		} else {
			b.WriteString(g.word())
		}
		if g.IntN(12) == 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func (g generator) email() string {
	return g.word() + "." + g.word() + "@" + g.word() + "-" + g.word() + ".example"
}

func (g generator) id() string { return fmt.Sprintf("%x", g.Uint64()) }

func (g generator) mails(size int) string {
	var b strings.Builder
	b.WriteByte('[')
	for b.Len() < size {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%q,"from":%q,"to":[%q,%q],"subject":%q,"body":%q,"date":"2026-%02d-%02dT%02d:15:00Z","url":"https://%s.example/%s/%s","size":%d}`,
			g.id(), g.email(), g.email(), g.email(), g.prose(6), g.prose(60), 1+g.IntN(12), 1+g.IntN(28), g.IntN(24), g.word(), g.word(), g.id(), g.IntN(100000))
	}
	b.WriteByte(']')
	return b.String()
}

// leaves makes twenty arguments as calls have them: some seen, most not, of
// lengths from one word to a paragraph.
func (g generator) leaves(known []string) sallyport.Value {
	var parts []string
	for i := range 20 {
		var v string
		switch i % 10 {
		case 0, 1:
			v = known[g.IntN(len(known))]
		case 2:
			v = g.email()
		case 3:
			v = g.id()
		case 4:
			v = g.prose(5)
		case 5:
			v = g.prose(30)
		case 6:
			v = fmt.Sprintf("2026-%02d-%02d", 1+g.IntN(12), 1+g.IntN(28))
		case 7:
			v = fmt.Sprint(g.IntN(10000))
		case 8:
			v = g.word()
		case 9:
			v = "https://" + g.word() + ".example/" + g.word()
		}
		parts = append(parts, fmt.Sprintf("%q:%q", fmt.Sprintf("arg%d", i), v))
	}
	return sallyport.MustParse("{" + strings.Join(parts, ",") + "}")
}

func seen(g generator, size int) (*Memory, []string) {
	m := New(0)
	m.Said(g.prose(100), "launcher", sallyport.ReadersPublic)
	var known []string
	for total := 0; total < size; total += 64 << 10 {
		text := g.mails(64 << 10)
		v := sallyport.MustParse(text)
		for _, item := range v.Items() {
			from, _ := item.Get("from").Text()
			id, _ := item.Get("id").Text()
			known = append(known, from, id)
		}
		m.Saw("c_1", "mail", "list_emails", structuredResult(text), Declaration{Trust: FirstParty})
	}
	return m, known
}

// processor measures the processor's time, which other programs on the machine
// do not lengthen.
func processor(b *testing.B) func() {
	var before syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	return func() {
		var after syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(used)/float64(b.N)/1000, "cpu-µs/op")
	}
}

// turns measures the median time of a turn, which other programs on the machine
// lengthen only while they run most of the time.
func turns(b *testing.B) (turn, done func()) {
	var all []time.Duration
	last := time.Now()
	turn = func() {
		now := time.Now()
		all = append(all, now.Sub(last))
		last = now
	}
	done = func() {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, "p50-µs")
	}
	return turn, done
}

func BenchmarkTrace20LeavesOf1MiB(b *testing.B) {
	g := newGenerator(1)
	m, known := seen(g, 1<<20)
	if m.lost {
		b.Fatal("1 MiB does not fit")
	}
	var calls []sallyport.Value
	for range 64 {
		calls = append(calls, g.leaves(known))
	}
	i := 0
	defer func() { b.ReportMetric(float64(m.Size())/(1<<20), "MiB") }()
	b.ReportAllocs()
	defer processor(b)()
	turn, done := turns(b)
	defer done()
	for b.Loop() {
		m.Trace("send_email", calls[i%len(calls)])
		i++
		turn()
	}
}

func BenchmarkSaw64KiB(b *testing.B) {
	g := newGenerator(2)
	text := g.mails(64 << 10)
	for _, form := range []struct {
		name   string
		result sallyport.Value
	}{
		{"structured", structuredResult(text)},
		{"json", textResult(text)},
		{"prose", textResult(g.prose(11_000))},
		{"yaml", textResult(asYAML(sallyport.MustParse(text)))},
		{"csv", textResult(asCSV(sallyport.MustParse(text)))},
		{"markdown", textResult(asMarkdown(sallyport.MustParse(text)))},
	} {
		b.Run(form.name, func(b *testing.B) {
			m, _ := seen(newGenerator(1), 1<<20)
			b.ReportAllocs()
			defer processor(b)()
			b.SetBytes(int64(len(form.result.Raw())))
			turn, done := turns(b)
			defer done()
			for b.Loop() {
				m.Saw("c_1", "mail", "list_emails", form.result, Declaration{Trust: FirstParty})
				turn()
			}
		})
	}
}

// asCSV writes records as a table with a line of names.
func asCSV(v sallyport.Value) string {
	return rows(v, "", ",", "", "")
}

// asMarkdown writes records as a table of Markdown.
func asMarkdown(v sallyport.Value) string {
	return rows(v, "| ", " | ", " |", "|---|---|---|---|---|---|---|---|\n")
}

func rows(v sallyport.Value, before, between, after, rule string) string {
	var b strings.Builder
	for i, item := range v.Items() {
		var names, values []string
		for name, member := range item.Members() {
			text, ok := member.Text()
			if !ok {
				text = strings.NewReplacer("[", "", "]", "", `"`, "", ",", ";").Replace(string(member.Raw()))
			}
			names, values = append(names, name), append(values, text)
		}
		if i == 0 {
			b.WriteString(before + strings.Join(names, between) + after + "\n" + rule)
		}
		b.WriteString(before + strings.Join(values, between) + after + "\n")
	}
	return b.String()
}

// asYAML writes records as serialisers do.
func asYAML(v sallyport.Value) string {
	var b strings.Builder
	for _, item := range v.Items() {
		mark := "- "
		for name, member := range item.Members() {
			b.WriteString(mark + name + ":")
			mark = "  "
			if member.Type() == sallyport.Array {
				for _, one := range member.Items() {
					text, _ := one.Text()
					b.WriteString("\n  - " + text)
				}
			} else {
				b.WriteString(" " + string(member.Raw()))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func BenchmarkChildOf1MiB(b *testing.B) {
	m, _ := seen(newGenerator(1), 1<<20)
	b.ReportAllocs()
	defer processor(b)()
	for b.Loop() {
		m.Child()
	}
}
