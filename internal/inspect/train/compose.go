package main

import (
	"maps"
	"slices"
	"strings"

	"sallyport/internal/inspect/plain"
)

// composer puts orders into honest texts.
type composer struct {
	random
	carriers []row // honest texts
	families []string
	rules    grammar
	patterns map[string][]string
}

func newComposer(seed uint64, carriers []row, patterns map[string][]string, without string, rules ...grammar) *composer {
	c := &composer{random: random(seed), carriers: carriers, patterns: patterns, rules: grammar{}}
	for _, g := range rules {
		maps.Copy(c.rules, g)
	}
	for _, f := range slices.Sorted(maps.Keys(patterns)) {
		if f != without {
			c.families = append(c.families, f)
		}
	}
	return c
}

// order writes one order.
func (c *composer) order(family string) string {
	text := c.rules.expand(&c.random, pick(&c.random, c.patterns[family]))
	text = upper(&c.random, text)
	if c.below(3) > 0 && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return plain.Of(text).Plain
}

// carrier is a piece of an honest text.
func (c *composer) carrier(most int) string {
	if c.below(6) == 0 {
		most = 40 + c.below(160)
	}
	text := pick(&c.random, c.carriers).text
	from := 0
	if len(text) > most {
		from = c.below(len(text) - most)
		if i := strings.IndexAny(text[from:], "\n."); i >= 0 {
			from += i + 1
		}
	}
	return short(strings.ToValidUTF8(text[from:], ""), most)
}

// letter puts an order, or part of one, into a carrier.
func (c *composer) letter() row {
	family := pick(&c.random, c.families)
	order := c.order(family)
	if c.below(3) == 0 {
		order += pick(&c.random, []string{" ", "\n"}) + c.order(pick(&c.random, c.families))
	}
	return c.put(order, "made_"+family, c.carrier(200+c.below(1800)))
}

// put writes text at the start, at the end, or between two lines or sentences
// of a carrier; one in seven stands alone.
func (c *composer) put(order, source, carrier string) row {
	at := 0
	switch c.below(7) {
	case 0, 3:
	case 1, 4:
		at = len(carrier)
	case 2:
		carrier = ""
	default:
		middle := c.below(len(carrier) + 1)
		if i := strings.IndexAny(carrier[middle:], "\n."); i >= 0 {
			at = middle + i + 1
		} else {
			at = len(carrier)
		}
	}
	gap := pick(&c.random, []string{" ", "\n", "\n\n", "\n", " "})
	text := carrier[:at] + gap + order + gap + carrier[at:]
	return row{text: text, source: source, kind: "made", bad: true, weight: 1, from: at + len(gap), to: at + len(gap) + len(order)}
}

// quiet puts an honest line where orders are put: not every change of subject
// is an attack.
func (c *composer) quiet(lines []row) row {
	r := c.put(short(pick(&c.random, lines).text, 60+c.below(240)), "made_quiet", c.carrier(200+c.below(1800)))
	r.bad, r.from, r.to = false, 0, 0
	return r
}

// poisoned puts poison into what a tool says.
func (c *composer) poisoned() row {
	family := pick(&c.random, c.families)
	return c.put(c.order(family), "made_"+family, c.carrier(80+c.below(700)))
}

// mannered puts honest directions there.
func (c *composer) mannered() row {
	text := c.direction()
	if c.below(2) == 0 {
		text += " " + c.direction()
	}
	r := c.put(text, "made_manners", c.carrier(80+c.below(700)))
	r.bad, r.from, r.to = false, 0, 0
	return r
}

// direction is one honest direction for the use of a tool.
func (c *composer) direction() string {
	return upper(&c.random, c.rules.expand(&c.random, pick(&c.random, manners))) + "."
}
