package scope

import (
	"regexp"
	"strconv"
	"strings"
)

// date is a day that the user named. Zero parts were not said.
type date struct{ year, month, day int }

var (
	isoPattern = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)`)
	ordinalDay = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th)?$`)
	monthNames = strings.Fields("january february march april may june july august september october november december")
)

// dates finds days as people write them: 2024-05-15, May 15th, 15 May 2024.
func dates(s []token) []date {
	var all []date
	for i, t := range s {
		if m := isoPattern.FindStringSubmatch(t.lower); m != nil {
			d := date{}
			d.year, _ = strconv.Atoi(m[1])
			d.month, _ = strconv.Atoi(m[2])
			d.day, _ = strconv.Atoi(m[3])
			all = append(all, d)
			continue
		}
		month := monthOf(t.lower)
		if month == 0 {
			continue
		}
		for _, k := range [...]int{i + 1, i - 1, i - 2} { // "15th of May"
			if k < 0 || k >= len(s) || k == i-2 && s[i-1].lower != "of" {
				continue
			}
			if m := ordinalDay.FindStringSubmatch(s[k].lower); m != nil {
				day, _ := strconv.Atoi(m[1])
				all = append(all, date{0, month, day})
				break
			}
		}
	}
	return all
}

func monthOf(word string) int {
	for i, name := range monthNames {
		if word == name || len(word) == 3 && strings.HasPrefix(name, word) {
			return i + 1
		}
	}
	return 0
}

// matches reports whether a field holds this day, alone or with a time.
func (d date) matches(text string) bool {
	m := isoPattern.FindStringSubmatch(text)
	if m == nil || len(text) > 32 {
		return false
	}
	year, _ := strconv.Atoi(m[1])
	month, _ := strconv.Atoi(m[2])
	day, _ := strconv.Atoi(m[3])
	return (d.year == 0 || d.year == year) && d.month == month && d.day == day
}
