package card

import (
	"math/big"
	"regexp"
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
// of the same origins, and with the same yeses so far. What stands out is by
// itself: a question with findings, with what can fool the eye, with a value that was never agreed to where the others'
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
	if len(c.Findings)+len(c.Careful)+len(c.Beside) > 0 || c.Narrows != "" {
		return "", false
	}
	var b strings.Builder
	part := func(texts ...string) {
		for _, t := range texts {
			b.WriteString(strconv.Quote(t))
		}
	}
	part(c.Agent, c.Role, c.User, c.Tenant, c.Tool, strconv.Itoa(c.Class))
	for _, r := range c.Rules {
		part(r.ID, r.Place, strings.Join(r.Groups, ","))
	}
	for _, y := range c.Given {
		part("yes", y.Group, y.By, y.As)
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

// Together is what equal questions have in common, and of each what is its own.
type Together struct {
	Does string     `json:"does"`          // "PAY with crm / refund"
	Sum  string     `json:"sum,omitempty"` // of their amounts, where each has one that is written plainly
	Same []Argument `json:"same"`          // arguments that are the same in all
	Rows []Row      `json:"rows"`
}

// Row is what is one question's own.
type Row struct {
	Card
	Own []Argument `json:"own"`
}

// Join makes one card of equal questions. Of none of them anything is left out.
func Join(group []Card) Together {
	t := Together{Same: []Argument{}, Rows: []Row{}}
	if len(group) == 0 {
		return t
	}
	first := &group[0]
	t.Does, t.Sum = first.Act+" with "+first.Tool, sum(group)
	same := make([]bool, len(first.Arguments))
	for i, a := range first.Arguments {
		same[i] = !slices.ContainsFunc(group, func(c Card) bool {
			return len(c.Arguments) != len(first.Arguments) || c.Arguments[i].Path != a.Path || c.Arguments[i].Value != a.Value || c.Arguments[i].From != a.From
		})
		if same[i] {
			t.Same = append(t.Same, a)
		}
	}
	for _, c := range group {
		row := Row{Card: c, Own: []Argument{}}
		for i, a := range c.Arguments {
			if i >= len(same) || !same[i] {
				row.Own = append(row.Own, a)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// plain is a number that can be added up for the eye.
var plain = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,4})?$`)

// sum adds amounts up, "" where one is missing or not plain.
func sum(group []Card) string {
	total := new(big.Rat)
	for _, c := range group {
		if !plain.MatchString(c.Amount) {
			return ""
		}
		amount, _ := new(big.Rat).SetString(c.Amount)
		total.Add(total, amount)
	}
	text := total.FloatString(4)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
