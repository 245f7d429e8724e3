package card

import (
	"slices"
	"strconv"
	"strings"
)

// MaxRows is how many questions one look may cover.
const MaxRows = 25

// outlying is how many times the middle one of its group's numbers a number may
// be before it is looked at by itself.
const outlying = 2

// Group puts equal questions together, in the order of the first of each: of one
// agent and user, about one tool, asked by the same rules, with the same arguments
// of the same origins. What stands out is by itself: a question with findings, with
// what can fool the eye, with a value that was never agreed to where the others'
// were, or with a number far above the others'. Each stays a question of its own,
// with its own digest and its own answer.
func Group(cards []Card) [][]Card {
	var groups [][]Card
	place := map[string]int{}
	for _, c := range cards {
		key, ok := c.shape()
		if i, known := place[key]; ok && known && len(groups[i]) < MaxRows {
			groups[i] = append(groups[i], c)
			continue
		}
		if ok {
			place[key] = len(groups)
		}
		groups = append(groups, []Card{c})
	}
	var out [][]Card
	for _, g := range groups {
		alike, alone := split(g)
		if len(alike) > 0 {
			out = append(out, alike)
		}
		for _, c := range alone {
			out = append(out, []Card{c})
		}
	}
	return out
}

// shape is what equal questions have in common; ok is false for one that is
// always looked at by itself.
func (c *Card) shape() (key string, ok bool) {
	if len(c.Findings)+len(c.Careful)+len(c.Beside)+len(c.Given) > 0 || c.Narrows != "" {
		return "", false
	}
	var b strings.Builder
	part := func(texts ...string) {
		for _, t := range texts {
			b.WriteString(strconv.Quote(t))
		}
	}
	part(c.Agent, c.Role, c.User, c.Tenant, c.tool, strconv.Itoa(c.Class))
	for _, r := range c.Rules {
		part(r.ID, r.Place, strings.Join(r.Groups, ","))
	}
	for _, a := range c.Arguments {
		part(a.Path, a.Writer, a.Readers, strconv.FormatBool(a.New), kindOf(a.Value))
	}
	return b.String(), true
}

// kindOf is the first letter of a JSON value, the same for all numbers.
func kindOf(value string) string {
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return "0"
	}
	return value[:min(1, len(value))]
}

// split parts a group from those of its cards that have a number far above the
// middle one.
func split(group []Card) (alike, alone []Card) {
	if len(group) < 3 { // of two nobody can say which one stands out
		return group, nil
	}
	out := make([]bool, len(group))
	for i := range group[0].Arguments {
		numbers := make([]float64, len(group))
		for j := range group {
			numbers[j], _ = strconv.ParseFloat(group[j].Arguments[i].Value, 64)
		}
		sorted := slices.Sorted(slices.Values(numbers))
		middle := sorted[(len(sorted)-1)/2]
		for j, n := range numbers {
			out[j] = out[j] || n > outlying*max(middle, 0) || n < 0 != (middle < 0)
		}
	}
	for j, c := range group {
		if out[j] {
			alone = append(alone, c)
		} else {
			alike = append(alike, c)
		}
	}
	return alike, alone
}
