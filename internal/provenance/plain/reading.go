package plain

import "strings"

// Reading is one meaning of a piece of text: a number, a day, or a time of
// day. Its key is the meaning itself and no hash of it, so that nobody can
// craft another value with the same key.
type Reading struct {
	Key        uint64
	Start, End int
	Via        Through
}

// Integer is the whole number that the reading is.
func (r Reading) Integer() (value uint64, ok bool) {
	return r.Key &^ numberKey >> 4, r.Via == ViaNumber && r.Key&15 == 0
}

// Readings are the meanings of the text at one place; few texts have more.
type Readings struct {
	list [6]Reading
	n    int
}

// All are the readings.
func (r *Readings) All() []Reading { return r.list[:r.n] }

func (r *Readings) add(key uint64, start, end int, via Through) {
	if r.n < len(r.list) {
		r.list[r.n] = Reading{key, start, end, via}
		r.n++
	}
}

// Has finds the reading with this key.
func (r *Readings) Has(key uint64) (Reading, bool) {
	for _, one := range r.list[:r.n] {
		if one.Key == key {
			return one, true
		}
	}
	return Reading{}, false
}

// The tops of keys keep kinds apart, and apart from the keys of words.
const (
	numberKey = uint64(0x20) << 56
	dayKey    = uint64(0x21) << 56
	anyYear   = uint64(0x23) << 56 // the same day and month of a day whose year is told
	timeKey   = uint64(0x22) << 56
)

const maxDigits = 15 // a number of more is an identifier, which is no matter of format

// Read gives the meanings of what stands at text[at:], which begins a word, and
// where it ends; at when it has none.
func Read(text string, at int) (r Readings, end int) {
	if c := text[at]; c < '0' || c > '9' {
		if end = writtenDay(text, at, &r); end > at {
			return r, andTime(text, end, &r)
		}
		return r, at
	}
	if end = numericDay(text, at, &r); end == at {
		end = dayThenMonth(text, at, &r)
	}
	if end > at {
		return r, andTime(text, end, &r)
	}
	if end = timeOfDay(text, at, &r); end > at {
		return r, end
	}
	return r, number(text, at, &r)
}

// andTime reads the time behind a day: 2024-05-15T10:00.
func andTime(text string, at int, r *Readings) int {
	next := at
	switch {
	case at < len(text) && (text[at] == 'T' || text[at] == 't' || text[at] == ' '):
		next = at + 1
	case strings.HasPrefix(text[at:], ", "):
		next = at + 2
	default:
		return at
	}
	if next < len(text) && IsDigit(text[next]) {
		if end := timeOfDay(text, next, r); end > next {
			return end
		}
	}
	return at
}

// digits reads at most most digits.
func digits(text string, at, most int) (value, end int) {
	for end = at; end < len(text) && end-at < most && IsDigit(text[end]); end++ {
		value = value*10 + int(text[end]-'0')
	}
	return value, end
}

func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

func noDigit(text string, at int) bool { return at >= len(text) || !IsDigit(text[at]) }

func addDay(r *Readings, y, m, d, start, end int) bool {
	if m < 1 || m > 12 || d < 1 || d > 31 || y != 0 && (y < 1000 || y > 9999) {
		return false
	}
	key := dayKey | uint64(m)<<5 | uint64(d)
	if y == 0 {
		r.add(key, start, end, ViaDate)
		return true
	}
	r.add(key|uint64(y)<<9, start, end, ViaDate)
	r.add(anyYear|key&^dayKey, start, end, ViaDate) // "May 15th" may mean this one
	return true
}

// numericDay reads 2024-05-15, 15.05.2024, 05/15/2024.
func numericDay(text string, at int, r *Readings) int {
	a, i := digits(text, at, 4)
	if i == len(text) || text[i] != '-' && text[i] != '/' && text[i] != '.' {
		return at
	}
	separator := text[i]
	b, j := digits(text, i+1, 2)
	if j == i+1 || j == len(text) || text[j] != separator {
		return at
	}
	c, end := digits(text, j+1, 4)
	if end == j+1 || !noDigit(text, end) {
		return at
	}
	switch {
	case i-at == 4 && end-j-1 <= 2:
		if addDay(r, a, b, c, at, end) {
			return end
		}
	case i-at <= 2 && end-j-1 == 4:
		european := addDay(r, c, b, a, at, end)
		american := a != b && addDay(r, c, a, b, at, end)
		if european || american {
			return end
		}
	}
	return at
}

// dayThenMonth reads 15 May 2024, 15th of May.
func dayThenMonth(text string, at int, r *Readings) int {
	d, i := digits(text, at, 2)
	i = skipOrdinal(text, i)
	if i == len(text) || text[i] != ' ' && text[i] != '-' {
		return at
	}
	i++
	if strings.HasPrefix(text[i:], "of ") {
		i += 3
	}
	m, i := Month(text, i)
	if m == 0 {
		return at
	}
	y, end := year(text, i)
	if !addDay(r, y, m, d, at, end) {
		return at
	}
	return end
}

// writtenDay reads May 15th, 2024.
func writtenDay(text string, at int, r *Readings) int {
	m, i := Month(text, at)
	if m == 0 || i == len(text) || text[i] != ' ' {
		return at
	}
	d, j := digits(text, i+1, 2)
	if j == i+1 || !noDigit(text, j) {
		return at
	}
	y, end := year(text, skipOrdinal(text, j))
	if !addDay(r, y, m, d, at, end) {
		return at
	}
	return end
}

func skipOrdinal(text string, at int) int {
	if at+2 <= len(text) {
		switch strings.ToLower(text[at : at+2]) {
		case "st", "nd", "rd", "th":
			return at + 2
		}
	}
	if at < len(text) && text[at] == '.' {
		return at + 1
	}
	return at
}

// year reads the year behind a day and month, 0 when there is none.
func year(text string, at int) (y, end int) {
	i := at
	if i < len(text) && text[i] == ',' {
		i++
	}
	if i < len(text) && (text[i] == ' ' || text[i] == '-') {
		i++
	}
	y, end = digits(text, i, 4)
	if i == at || end-i != 4 || !noDigit(text, end) {
		return 0, at
	}
	return y, end
}

var months = [...]string{
	"january", "february", "march", "april", "may", "june", "july", "august",
	"september", "october", "november", "december",
}

// Month reads the English name of a month, whole or its first three letters.
func Month(text string, at int) (m, end int) {
	if at+3 > len(text) {
		return 0, at
	}
	// Every word of what is read comes by here, and hardly any is a month.
	a, b := Folded[text[at]], Folded[text[at+1]]
	if a < 'a' || b < 'a' || monthBegins[a-'a']>>(b-'a')&1 == 0 {
		return 0, at
	}
	for i, name := range months {
		if name[0] != a || name[1] != b || name[2] != Folded[text[at+2]] {
			continue
		}
		for end = at; end < len(text) && end-at < 10 && Folded[text[end]] >= 'a'; end++ {
		}
		if word := strings.ToLower(text[at:end]); word != name && word != name[:3] && word != "sept" {
			return 0, at
		}
		if end < len(text) && text[end] == '.' {
			end++
		}
		return i + 1, end
	}
	return 0, at
}

// monthBegins has, for the first letter of a month, a bit for each second one.
var monthBegins = func() (second [26]uint32) {
	for _, name := range months {
		second[name[0]-'a'] |= 1 << (name[1] - 'a')
	}
	return second
}()

// timeOfDay reads 10:00, 10:00:00, 10am, 10:30 pm. A zone behind it is left
// out.
func timeOfDay(text string, at int, r *Readings) int {
	h, i := digits(text, at, 2)
	minute, end := 0, i
	if i < len(text) && text[i] == ':' {
		var j int
		if minute, j = digits(text, i+1, 2); j != i+3 || minute > 59 {
			return at
		}
		if end = j; strings.HasPrefix(text[end:], ":00") && noDigit(text, end+3) {
			end += 3
		} else if end < len(text) && text[end] == ':' {
			return at // to the second: a stamp, which nobody writes otherwise
		}
	}
	half, after := halfOfDay(text, end)
	switch {
	case half == 0 && end == i || !noDigit(text, end) || h > 23:
		return at
	case half != 0:
		if h > 12 || h == 0 {
			return at
		}
		end = after
		h %= 12
		if half == 'p' {
			h += 12
		}
	}
	r.add(timeKey|uint64(h*60+minute), at, end, ViaDate)
	return end
}

func halfOfDay(text string, at int) (half byte, end int) {
	if at < len(text) && text[at] == ' ' {
		at++
	}
	if at+2 > len(text) || text[at+1]|0x20 != 'm' {
		return 0, at
	}
	if at+2 < len(text) && Folded[text[at+2]] != 0 {
		return 0, at
	}
	switch text[at] | 0x20 {
	case 'a', 'p':
		return text[at] | 0x20, at + 2
	}
	return 0, at
}

// number reads 1,200.50 and 1.200,50 and 1200.5 and 1'200. What can mean two
// numbers, such as 1.200, has both readings.
func number(text string, at int, r *Readings) int {
	var seen [2]int // of "." and of "," or "'"
	end, last := at, -1
	for end < len(text) && end-at < 2*maxDigits {
		c := text[end]
		if !IsDigit(c) {
			if c != '.' && c != ',' && c != '\'' || end+1 == len(text) || !IsDigit(text[end+1]) {
				break
			}
			last = end
			if c == '.' {
				seen[0]++
			} else {
				seen[1]++
			}
		}
		end++
	}
	if last < 0 {
		addNumber(r, text[at:end], -1, at, end)
		return end
	}
	mixed := seen[0] > 0 && seen[1] > 0
	alone := seen[0]+seen[1] == 1
	count := seen[1]
	if text[last] == '.' {
		count = seen[0]
	}
	grouped := inThrees(text[at:end], len(text[at:end]))
	switch {
	case mixed && count == 1 && inThrees(text[at:last], last-at):
		addNumber(r, text[at:end], last-at, at, end)
	case !mixed && grouped:
		addNumber(r, text[at:end], -1, at, end)
		if alone && text[last] != '\'' {
			addNumber(r, text[at:end], last-at, at, end)
		}
	case alone && text[last] != '\'':
		addNumber(r, text[at:end], last-at, at, end)
	default: // an address, a version: no number
		return at
	}
	return end
}

// inThrees reports whether the first n bytes are digits in groups of three,
// the first of one to three.
func inThrees(s string, n int) bool {
	group, groups := 0, 0
	for i := 0; i < n; i++ {
		if IsDigit(s[i]) {
			group++
			continue
		}
		if groups == 0 && (group == 0 || group > 3) || groups > 0 && group != 3 {
			return false
		}
		groups++
		group = 0
	}
	return groups > 0 && group == 3
}

// addNumber adds the number whose decimal separator is at point, -1 for none.
func addNumber(r *Readings, s string, point, start, end int) {
	var value uint64
	scale, count := 0, 0
	for i := range len(s) {
		if IsDigit(s[i]) {
			value = value*10 + uint64(s[i]-'0')
			if value > 0 {
				count++
			}
			if point >= 0 && i > point {
				scale++
			}
		}
	}
	if count > maxDigits || scale > maxDigits {
		return
	}
	for scale > 0 && value%10 == 0 {
		value /= 10
		scale--
	}
	r.add(numberKey|value<<4|uint64(scale), start, end, ViaNumber)
}
