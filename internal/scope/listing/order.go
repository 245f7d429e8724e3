package listing

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Order is how one of several is chosen: "the cheapest offer", "the analyst with
// the most experience".
type Order struct {
	Name  string // as reasons say it: cheapest
	Least bool   // the first is the one with the least
	Days  bool   // it orders by days and times, not by sizes
	// Of are words that fields are called by which it is about. Fields so called
	// decide where there are any; else any that all records have may.
	Of   []string
	Only bool // no other field will do: "the most" says nothing of what
	Whom bool // it is said of somebody: "the cheapest plumber"
}

// First is the record among some that comes first by the fields that count; -1
// where none does, or fields disagree. skip tells what is no size, such as ids.
func (o Order) First(records []Record, among []int, skip func(Field) bool) int {
	if len(among) < 2 {
		return -1
	}
	first, own := -1, false
	for _, f := range records[among[0]].Fields {
		if skip(f) {
			continue
		}
		about := slices.ContainsFunc(f.Last(), func(w string) bool { return slices.Contains(o.Of, w) })
		i, ranked := o.firstBy(f.Path, about, records, among)
		switch {
		case !ranked || (own || o.Only) && !about:
		case about && !own:
			first, own = i, true
		case i < 0:
		case first < 0:
			first = i
		case first != i:
			first = disagree
		}
	}
	return max(first, -1)
}

const disagree = -2

// OfLastDay are the records that are of the last day of any of them.
func OfLastDay(records []Record) (all []int) {
	last := map[string]string{} // by path
	for _, r := range records {
		for _, f := range r.Fields {
			if text := strings.TrimSpace(f.Text); IsDay(text) && len(text) <= 32 {
				last[f.Path] = max(last[f.Path], text[:10])
			}
		}
	}
	for i, r := range records {
		if slices.ContainsFunc(r.Fields, func(f Field) bool {
			return last[f.Path] != "" && strings.HasPrefix(strings.TrimSpace(f.Text), last[f.Path])
		}) {
			all = append(all, i)
		}
	}
	return all
}

// firstBy is the record that comes first by one field, -1 where several do; false
// where the records can't be compared by it.
func (o Order) firstBy(path string, about bool, records []Record, among []int) (first int, ranked bool) {
	best, counted, tied := 0.0, 0, false
	first = -1
	for _, i := range among {
		f, ok := records[i].At(path)
		n, rank := o.rank(f.Text, about)
		if !ok || !rank {
			continue
		}
		counted++
		switch {
		case first < 0 || n > best:
			first, best, tied = i, n, false
		case n == best:
			tied = true
		}
	}
	if counted < 2 || counted < len(among) && !o.Days {
		return -1, false
	}
	if tied {
		return -1, true
	}
	return first, true
}

// rank is how well a text serves the order: sizes for sizes, days and times for
// days.
func (o Order) rank(text string, about bool) (float64, bool) {
	n, ok := 0.0, false
	switch {
	case o.Days && about && yearNumber.MatchString(text): // "the oldest vintage"
		n, ok = Number(text)
	case o.Days:
		n, ok = instant(text)
	default:
		n, ok = Number(text)
	}
	if o.Least {
		n = -n
	}
	return n, ok
}

var (
	datePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?`)
	timePattern = regexp.MustCompile(`^([01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?$`)
)

// instant is a number for a day with or without a time, or for a time of day.
func instant(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if len(text) > MaxText {
		return 0, false
	}
	if timePattern.MatchString(text) {
		hour, rest, _ := strings.Cut(text, ":")
		n, err := strconv.ParseFloat(hour+strings.Map(onlyDigits, rest+"00")[:4], 64)
		return n, err == nil
	}
	digits := strings.Map(onlyDigits, datePattern.FindString(text))
	if digits == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(digits+"000000"[:14-len(digits)], 64)
	return n, err == nil
}

func onlyDigits(r rune) rune {
	if unicode.IsDigit(r) {
		return r
	}
	return -1
}
