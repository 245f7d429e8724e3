package provenance

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"sallyport"
)

// transformation is one way in which an agent may change a value on its way
// from a result to an argument.
type transformation struct {
	name  string
	kinds string // of values: e-mail, i-d, a-ccount, p-hrase, n-umber, d-ay, l-ist
	do    func(g generator, v string) string

	found float64 // least share that must be found in untrusted text
	kept  float64 // least share that must stay the user's
}

var transformations = []transformation{
	{"exact", "eiapndl", func(_ generator, v string) string { return v }, .99, .99},
	{"case", "eiapl", func(_ generator, v string) string { return strings.ToUpper(v) }, .99, .99},
	{"whitespace", "pl", func(_ generator, v string) string { return strings.ReplaceAll(v, " ", "\n  ") }, .99, .99},
	{"NFKC", "eiapl", func(_ generator, v string) string { return fullwidth(v) }, .99, .99},
	{"invisible characters", "eiapl", func(_ generator, v string) string { return v[:3] + "\u200b" + v[3:] }, .99, 0},
	{"URL escapes", "eiapl", func(_ generator, v string) string { return percentAll(v) }, .99, .99},
	{"query escapes", "eiapl", func(_ generator, v string) string {
		return "https://x.example/?q=" + url.QueryEscape(v)
	}, .75, 0},
	{"base64", "eiapl", func(_ generator, v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }, .99, .99},
	{"base64 URL, no padding", "eiapl", func(_ generator, v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }, .99, .99},
	{"base64 twice", "eiapl", func(_ generator, v string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(v))))
	}, .99, .99},
	{"hex", "eiapl", func(_ generator, v string) string { return hex.EncodeToString([]byte(v)) }, .99, .99},
	{"JSON escapes", "eiapl", func(_ generator, v string) string { return jsonAll(v) }, .99, .99},
	{"HTML escapes", "eiapl", func(_ generator, v string) string { return htmlAll(v) }, .99, .99},
	{"split", "eia", func(_ generator, v string) string { return strings.Join(strings.Split(v, ""), " ") }, .95, 0},
	{"groups of four", "a", func(_ generator, v string) string { return groups(v) }, .99, .99},
	{"joined", "epl", func(_ generator, v string) string { return strings.NewReplacer(" ", "", ".", "", ",", "").Replace(v) }, .95, 0},
	{"within a sentence", "eial", func(g generator, v string) string { return g.prose(4) + " " + v + ", " + g.prose(4) }, .70, 0},
	{"within a long text", "eial", func(g generator, v string) string { return g.prose(80) + " " + v + " " + g.prose(80) }, .55, 0},
	{"reordered list", "l", func(_ generator, v string) string {
		parts := strings.Split(v, ", ")
		return parts[2] + "; " + parts[0] + "; " + parts[1]
	}, .99, .95},
	{"truncated to two thirds", "eiap", func(_ generator, v string) string { return v[:len(v)*2/3] }, .80, 0},
	{"number formats", "n", func(g generator, v string) string { return numberFormat(g, v) }, .99, .99},
	{"date formats", "d", func(g generator, v string) string { return dateFormat(g, v) }, .99, .99},
	{"reversed", "eia", reversed, 0, 0},
	{"paraphrase", "p", func(g generator, v string) string { return g.prose(len(strings.Fields(v))) }, 0, 0},
}

func (g generator) value(kind byte) string {
	switch kind {
	case 'e':
		return g.email()
	case 'i':
		return g.id()
	case 'a':
		return fmt.Sprintf("DE%020d", g.Int64N(1e18))
	case 'p':
		return g.prose(7)
	case 'n':
		return fmt.Sprintf("%d.%02d", 1000+g.IntN(1e6), 10+g.IntN(90))
	case 'd':
		return fmt.Sprintf("20%02d-%02d-%02d", 10+g.IntN(40), 1+g.IntN(12), 13+g.IntN(16))
	default:
		return g.email() + ", " + g.email() + ", " + g.email()
	}
}

func fullwidth(v string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7F {
			return r + 0xFEE0
		}
		return r
	}, v)
}

func percentAll(v string) string {
	var b strings.Builder
	for _, c := range []byte(v) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func jsonAll(v string) string {
	var b strings.Builder
	for _, c := range []byte(v) {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

func htmlAll(v string) string {
	var b strings.Builder
	for _, c := range []byte(v) {
		fmt.Fprintf(&b, "&#%d;", c)
	}
	return b.String()
}

func groups(v string) string {
	var parts []string
	for len(v) > 4 {
		parts, v = append(parts, v[:4]), v[4:]
	}
	return strings.Join(append(parts, v), " ")
}

func reversed(_ generator, v string) string {
	r := []rune(v)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// numberFormat writes 1234567.50 as 1,234,567.50 or 1.234.567,50 or 1'234'567.5.
func numberFormat(g generator, v string) string {
	whole, fraction, _ := strings.Cut(v, ".")
	group, point := ",", "."
	switch g.IntN(3) {
	case 1:
		group, point = ".", ","
	case 2:
		group, fraction = "'", strings.TrimRight(fraction, "0")
	}
	var parts []string
	for len(whole) > 3 {
		parts, whole = append([]string{whole[len(whole)-3:]}, parts...), whole[:len(whole)-3]
	}
	return strings.Join(append([]string{whole}, parts...), group) + point + fraction
}

var monthNames = strings.Fields("January February March April May June July August September October November December")

func dateFormat(g generator, v string) string {
	var y, m, d int
	_, _ = fmt.Sscanf(v, "%d-%d-%d", &y, &m, &d)
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("%s %d, %d", monthNames[m-1], d, y)
	case 1:
		return fmt.Sprintf("%d %s %d", d, monthNames[m-1][:3], y)
	case 2:
		return fmt.Sprintf("%d/%d/%d", m, d, y)
	case 3:
		return fmt.Sprintf("%02d.%02d.%d", d, m, y)
	default:
		return fmt.Sprintf("%d/%02d/%02d", y, m, d)
	}
}

// TestTransformations measures, over generated values of many seeds, what is
// found again of what was seen, and what is wrongly taken for seen. It prints
// the table of docs/provenance.md (-v).
func TestTransformations(t *testing.T) {
	const seeds = 60
	t.Logf("| %-24s | found in untrusted text | of values never seen, taken for seen | of the user's, still the user's | of look-alikes, taken for the user's |", "transformation")
	t.Logf("|%s|---|---|---|---|", strings.Repeat("-", 26))
	for _, tr := range transformations {
		var found, wrong, kept, fooled, n int
		for seed := range uint64(seeds) {
			g := newGenerator(seed*1000 + uint64(len(tr.name)))
			theirs, users := New(0), New(0)
			theirs.Saw("c", "web", "read", structuredResult(g.mails(30_000)), Declaration{})
			users.Saw("c", "web", "read", structuredResult(g.mails(3_000)), Declaration{})
			for _, kind := range []byte(tr.kinds) {
				n++
				seen, fresh := g.value(kind), g.value(kind)
				theirs.Saw("c", "web", "read", textResult(g.prose(30)+" ("+seen+") "+g.prose(30)), Declaration{})
				users.Said(g.prose(10)+" ("+seen+") "+g.prose(10), "launcher", sallyport.ReadersPublic)
				if writerOf(theirs, tr.do(g, seen)) == untrusted {
					found++
				}
				if writerOf(theirs, tr.do(g, fresh)) == untrusted {
					wrong++
				}
				if writerOf(users, tr.do(g, seen)) == user {
					kept++
				}
				other := tr.do(g, lookAlike(g, seen))
				if !strings.HasPrefix(seen, other) && writerOf(users, other) == user {
					fooled++
				}
			}
		}
		share := func(k int) float64 { return float64(k) / float64(n) }
		t.Logf("| %-24s | %5.1f %% | %5.1f %% | %5.1f %% | %5.1f %% |", tr.name, 100*share(found), 100*share(wrong), 100*share(kept), 100*share(fooled))
		if share(found) < tr.found {
			t.Errorf("%s: %.3f found, at least %.3f", tr.name, share(found), tr.found)
		}
		if share(kept) < tr.kept {
			t.Errorf("%s: %.3f stayed the user's, at least %.3f", tr.name, share(kept), tr.kept)
		}
		if share(wrong) > .1 {
			t.Errorf("%s: %.3f wrongly found", tr.name, share(wrong))
		}
		if fooled > 0 {
			t.Errorf("%s: %d look-alikes passed for the user's", tr.name, fooled)
		}
	}
}

func writerOf(m *Memory, value string) sallyport.Writer {
	return leaf(m, "send", "to", value).Origin.Writer
}

// lookAlike changes one letter or digit to the next; a day stays a day.
func lookAlike(g generator, v string) string {
	b := []byte(v)
	if len(v) == 10 && v[4] == '-' {
		b[3] = '0' + (b[3]-'0'+1)%10
		return string(b)
	}
	for start, k := g.IntN(len(b)), 0; k < len(b); k++ {
		i := (start + k) % len(b)
		if c := b[i]; c >= 'a' && c <= 'y' || c >= '0' && c <= '8' {
			b[i]++
			return string(b)
		}
	}
	return "nothing"
}

func TestEscapesOfAResultAreUndoneToo(t *testing.T) {
	secret := "transfer-77Q to müller@évil.example"
	for name, text := range map[string]string{
		"url":     "see " + url.PathEscape(secret),
		"base64":  "data:text/plain;base64," + base64.StdEncoding.EncodeToString([]byte(secret)),
		"wrapped": base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x y z ", 10)))[:76] + "\r\n" + base64.StdEncoding.EncodeToString([]byte("abc "+secret)),
		"hex":     hex.EncodeToString([]byte(secret)),
		"html":    html.EscapeString(secret) + htmlAll("!"),
		"nfd":     norm.NFD.String(secret),
		"tags":    strings.Join(strings.Split(secret, ""), "\u200b"),
		"twice":   base64.StdEncoding.EncodeToString([]byte(percentAll(secret))),
	} {
		m := New(0)
		m.Saw("c", "web", "read", textResult(text), Declaration{})
		got := leaf(m, "send", "to", secret)
		if got.Origin.Writer != untrusted || len(got.Sources) == 0 || got.Sources[0].End > len(text) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
