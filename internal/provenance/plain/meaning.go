package plain

import "strings"

// Part is one of the meanings that an argument is made of: its day, its time,
// its number. Any of the readings will do.
type Part struct{ Readings []Reading }

// Day reports whether it is a day or a time.
func (p Part) Day() bool { return p.Readings[0].Via == ViaDate }

// Meanings reads an argument that is a number, a day, a time, or a day and a
// time, and nothing else.
func Meanings(text string) []Part {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || len(trimmed) > 48 {
		return nil
	}
	skipped := len(text) - len(strings.TrimLeft(text, " \n\t\r"))
	r, end := Read(trimmed, 0)
	if r.n == 0 || !isZone(trimmed[end:]) {
		return nil
	}
	var parts []Part
	for _, one := range r.All() {
		switch top := one.Key >> 56 << 56; {
		case top == anyYear: // of any day without a year
			one.Key = dayKey | one.Key&^anyYear
		case top == dayKey && one.Key&^dayKey>>9 == 0: // without a year: of any year
			other := one
			other.Key = anyYear | one.Key&^dayKey
			other.Start += skipped
			other.End += skipped
			parts = append(parts, Part{[]Reading{other}})
		}
		one.Start += skipped
		one.End += skipped
		if len(parts) > 0 && one.Start == parts[len(parts)-1].Readings[0].Start {
			last := &parts[len(parts)-1]
			last.Readings = append(last.Readings, one)
			continue
		}
		parts = append(parts, Part{[]Reading{one}})
	}
	return parts
}

// isZone reports whether nothing but a time zone is left.
func isZone(rest string) bool {
	switch rest {
	case "", "Z", "z", " UTC", ".000Z", ".000000":
		return true
	}
	return len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':'
}

// StandsAlone reports whether a reading is no part of something longer. A time
// may be joined to its day and its zone.
func StandsAlone(text string, r Reading) bool {
	before := JoinedBefore(text, r.Start)
	after := JoinedAfter(text, r.End)
	if r.Via == ViaDate {
		before = before && !(r.Start > 1 && text[r.Start-1]|0x20 == 't' && IsDigit(text[r.Start-2]))
		after = after && !beginsZone(text[r.End:])
	}
	return !before && !after
}

// beginsZone reports whether a time or a zone follows a day or a time.
func beginsZone(rest string) bool {
	switch c := rest[0] | 0x20; {
	case c == 'z':
		return !beginsInWord(rest[1:])
	case c == 't':
		return len(rest) > 1 && IsDigit(rest[1])
	}
	return len(rest) >= 6 && isZone(rest[:6])
}
