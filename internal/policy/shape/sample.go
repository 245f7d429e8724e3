package shape

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"sallyport"
)

// bounded notes what the schema admits of a number.
func bounded(s *Shape, schema sallyport.Value) *Shape {
	s.low, s.high = math.MinInt64/2, math.MaxInt64/2
	if n, ok := scaled(schema.Get("minimum"), 4); ok {
		s.low = n
	}
	if n, ok := scaled(schema.Get("exclusiveMinimum"), 4); ok {
		s.low = max(s.low, n+1)
	}
	if n, ok := scaled(schema.Get("maximum"), 4); ok {
		s.high = n
	}
	if n, ok := scaled(schema.Get("exclusiveMaximum"), 4); ok {
		s.high = min(s.high, n-1)
	}
	return s
}

// Constants are values that rules compare arguments with, by path (Key).
type Constants map[string][]sallyport.Value

// Note adds a value that an argument, whose path begins with context and input, is
// compared with.
func (c Constants) Note(path []string, text string) {
	if v, err := sallyport.Parse([]byte(text)); err == nil && len(path) > 2 && path[1] == "input" {
		key := Key(path[2:])
		c[key] = append(c[key], v)
	}
}

// Key stands for a path among constants.
func Key(path []string) string { return strings.Join(path, "\x00") }

// Samples are arguments that fit the shape, at most so many, always the same:
// each argument on its own through all the values that are worth a try, then
// mixtures. fixed gives some of the arguments.
func (s *Shape) Samples(constants Constants, fixed sallyport.Value, most int) []sallyport.Value {
	g := generator{constants: constants}
	full, bare := g.record(s, nil, true), g.record(s, nil, false)
	var out []sallyport.Value
	seen := map[string]bool{}
	add := func(choice map[string]string) {
		for name, v := range fixed.Members() {
			choice[name] = string(v.Raw())
		}
		text := object(choice)
		if v, err := sallyport.Parse([]byte(text)); err == nil && !seen[text] && len(out) < most {
			seen[text] = true
			out = append(out, v)
		}
	}
	for _, base := range []map[string]string{bare, full} {
		add(maps.Clone(base))
		for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
			for _, value := range g.field(s, nil, name) {
				choice := maps.Clone(base)
				choose(choice, name, value)
				add(choice)
			}
		}
	}
	step := uint64(1)
	for range 4 * most {
		choice := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
			step = step*6364136223846793005 + 1442695040888963407
			values := g.field(s, nil, name)
			choose(choice, name, values[int(step>>33)%len(values)])
		}
		add(choice)
	}
	return out
}

type generator struct{ constants Constants }

func choose(choice map[string]string, name, value string) {
	if value == "" {
		delete(choice, name)
	} else {
		choice[name] = value
	}
}

func object(members map[string]string) string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(members)) {
		b = append(b, ',')
		b = append(append(sallyport.AppendString(b, name), ':'), members[name]...)
	}
	if b == nil {
		return "{}"
	}
	b[0] = '{'
	return string(b) + "}"
}

// record is one plain choice for every required member, or for every member.
func (g *generator) record(s *Shape, at []string, full bool) map[string]string {
	choice := map[string]string{}
	for name, f := range s.Fields {
		if full || f.Required {
			choose(choice, name, g.field(s, at, name)[0])
		}
	}
	return choice
}

// field are the values worth trying for a member, as JSON; "" leaves it out.
// Never empty.
func (g *generator) field(s *Shape, at []string, name string) []string {
	f := s.Fields[name]
	values := g.values(f.Shape, append(slices.Clone(at), name))
	if !f.Required {
		values = append(values, "")
	}
	return values
}

func (g *generator) values(s *Shape, at []string) []string {
	known := g.constants[Key(at)]
	var out []string
	switch s.Kind {
	case Boolean:
		return []string{"false", "true"}
	case Long, Decimal:
		unit := int64(10000)
		for _, n := range append(g.numbers(known), 1*unit, 0, -1*unit, 10*unit, 1000000*unit, s.low, s.high) {
			for _, near := range []int64{n, n - unit, n + unit, n + 1} {
				if (s.Kind == Decimal || near%unit == 0) && near >= s.low && near <= s.high {
					out = append(out, number(near))
				}
			}
		}
		if out == nil {
			out = []string{number(s.low)}
		}
	case Text:
		words := s.Words
		if words == nil {
			for _, v := range known {
				if word, ok := v.Text(); ok {
					words = append(words, word, word+"x")
				}
			}
			words = append(words, "x", "")
		}
		for _, word := range words {
			out = append(out, string(sallyport.AppendString(nil, word)))
		}
	case Set:
		items := g.values(s.Items, at)
		out = append(out, "["+items[0]+"]", "[]", "["+strings.Join(items, ",")+"]")
		for _, item := range items[1:] {
			out = append(out, "["+item+"]")
		}
	case Record:
		out = append(out, object(g.record(s, at, true)), object(g.record(s, at, false)))
		for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
			for _, value := range g.field(s, at, name) {
				choice := g.record(s, at, true)
				choose(choice, name, value)
				out = append(out, object(choice))
			}
		}
	default:
		return []string{`"x"`, "null"}
	}
	return out
}

func (g *generator) numbers(known []sallyport.Value) []int64 {
	var out []int64
	for _, v := range known {
		if n, ok := scaled(v, 4); ok && n > math.MinInt64/2 && n < math.MaxInt64/2 {
			out = append(out, n)
		}
	}
	return out
}

// number writes ten-thousandths as a JSON number.
func number(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	text := sign + strconv.FormatInt(n/10000, 10)
	if rest := n % 10000; rest != 0 {
		text += "." + strings.TrimRight(strconv.FormatInt(10000+rest, 10)[1:], "0")
	}
	return text
}
