package listing

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Span is the days from one to another. Zero parts of a day were not said: May
// 15th is that of any year, May any day of it.
type Span struct{ from, to day }

type day struct{ year, month, day int }

var (
	isoPattern = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)`)
	ordinalDay = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th)?$`)
	yearNumber = regexp.MustCompile(`^(?:19|20)\d\d$`)
	monthNames = strings.Fields("january february march april may june july august september october november december")
	numerals   = strings.Fields("no one two three four five six seven eight nine ten eleven twelve")
	weekdays   = strings.Fields("sunday monday tuesday wednesday thursday friday saturday")
)

// Days finds the days of which the words of a sentence speak: 2024-05-15, May
// 15th, 15 May 2024, "in May" and, where it is known what day it is, "next
// Tuesday", "this week", "in 3 days".
func Days(words []string, today Span) []Span {
	var all []Span
	for i := range words {
		if d, ok := dayAt(words, i); ok {
			all = append(all, Span{d, d})
		} else if today.from.year > 0 {
			all = append(all, relative(words, i, today.from)...)
		}
	}
	return all
}

// Today is what day a sentence says it is: "Today is Monday, 1 March 2027".
func Today(words []string) (Span, bool) {
	for i, w := range words {
		if w != "today" && w != "today's" || !slices.Contains(words[i:min(len(words), i+4)], "is") {
			continue
		}
		for k := i; k < min(len(words), i+8); k++ {
			if d, ok := dayAt(words, k); ok && d.year > 0 && d.day > 0 {
				return Span{d, d}, true
			}
		}
	}
	return Span{}, false
}

// dayAt is the day whose month, or the whole of which, is the word at i.
func dayAt(words []string, i int) (day, bool) {
	if d, ok := iso(words[i]); ok {
		return d, true
	}
	month := monthOf(words[i])
	if month == 0 {
		return day{}, false
	}
	for _, k := range [...]int{i + 1, i - 1, i - 2} { // "15th of May"
		if k < 0 || k >= len(words) || k == i-2 && words[i-1] != "of" {
			continue
		}
		if m := ordinalDay.FindStringSubmatch(words[k]); m != nil {
			n, _ := strconv.Atoi(m[1])
			d := day{0, month, n}
			for _, y := range [...]int{max(i, k) + 1, max(i, k) + 2} { // "May 15, 2024"
				if d.year == 0 && y < len(words) && yearNumber.MatchString(words[y]) && (y == max(i, k)+1 || words[y-1] == ",") {
					d.year, _ = strconv.Atoi(words[y])
				}
			}
			return d, true
		}
	}
	if i > 0 && slices.Contains([]string{"in", "for", "of", "since", "during"}, words[i-1]) && len(words[i]) > 3 {
		return day{0, month, 0}, true
	}
	return day{}, false
}

// IsDay reports whether a text begins with a day.
func IsDay(text string) bool { return isoPattern.MatchString(text) }

func iso(text string) (day, bool) {
	m := isoPattern.FindStringSubmatch(text)
	if m == nil {
		return day{}, false
	}
	year, _ := strconv.Atoi(m[1])
	month, _ := strconv.Atoi(m[2])
	n, _ := strconv.Atoi(m[3])
	return day{year, month, n}, true
}

func monthOf(word string) int {
	for i, name := range monthNames {
		if word == name || len(word) == 3 && strings.HasPrefix(name, word) {
			return i + 1
		}
	}
	return 0
}

// relative are the days that a word means, seen from today. A weekday alone may
// be the one that was or the one that comes.
func relative(words []string, i int, today day) []Span {
	before, after := "", ""
	if i > 0 {
		before = words[i-1]
	}
	if i+1 < len(words) {
		after = words[i+1]
	}
	one := func(n int) []Span { return []Span{{today.plus(n), today.plus(n)}} }
	week := (int(today.time().Weekday()) + 6) % 7 // days since Monday
	switch word := strings.TrimSuffix(words[i], "'s"); word {
	case "today", "tonight":
		if after == "is" {
			return nil
		}
		return one(0)
	case "tomorrow":
		return one(1)
	case "yesterday":
		return one(-1)
	case "days", "day":
		n, err := strconv.Atoi(before)
		if k := slices.Index(numerals, before); k > 0 {
			n, err = k, nil
		}
		switch {
		case err != nil || n > 366:
		case after == "ago":
			return one(-n)
		case i > 1 && words[i-2] == "in":
			return one(n)
		}
		return nil
	case "week":
		switch before {
		case "this":
			return []Span{{today.plus(-week), today.plus(6 - week)}}
		case "next":
			return []Span{{today.plus(7 - week), today.plus(13 - week)}}
		case "last":
			return []Span{{today.plus(-7 - week), today.plus(-1 - week)}}
		}
		return nil
	case "month":
		switch before {
		case "this":
			return []Span{{day{today.year, today.month, 0}, day{today.year, today.month, 0}}}
		case "next", "last":
			n := 1
			if before == "last" {
				n = -1
			}
			other := dayOf(time.Date(today.year, time.Month(today.month+n), 1, 0, 0, 0, 0, time.UTC))
			return []Span{{day{other.year, other.month, 0}, day{other.year, other.month, 0}}}
		}
		return nil
	default:
		k := slices.Index(weekdays, word)
		if k < 0 {
			return nil
		}
		ahead := (k - int(today.time().Weekday()) + 7) % 7
		switch before {
		case "next":
			if ahead == 0 {
				ahead = 7
			}
			return one(ahead)
		case "last":
			return one(ahead - 7)
		case "this", "coming":
			return one(ahead)
		}
		return append(one(ahead), one(ahead-7)...)
	}
}

func (d day) time() time.Time {
	return time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC)
}

func dayOf(t time.Time) day { return day{t.Year(), int(t.Month()), t.Day()} }

func (d day) plus(days int) day { return dayOf(d.time().AddDate(0, 0, days)) }

// Holds reports whether a field holds one of these days, alone or with a time.
func (s Span) Holds(text string) bool {
	d, ok := iso(strings.TrimSpace(text))
	if !ok || len(text) > 32 {
		return false
	}
	if s.from != s.to {
		return s.from.number() <= d.number() && d.number() <= s.to.number()
	}
	return (s.from.year == 0 || s.from.year == d.year) && s.from.month == d.month && (s.from.day == 0 || s.from.day == d.day)
}

func (d day) number() int { return d.year*10000 + d.month*100 + d.day }
