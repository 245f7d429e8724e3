package plain

import "strings"

// Shape is what a field holds.
type Shape uint8

// The shapes.
const (
	ShapeText Shape = iota
	ShapeAddress
	ShapeID
	ShapeDate
	ShapeNumber
	ShapeState
)

const (
	maxID    = 64
	maxState = 24
)

// ShapeOf tells what a field holds by its name and its value together: a name
// alone could be filled with text, a value alone could look like anything.
func ShapeOf(name, text string) Shape {
	if text == "" || len(text) > maxID {
		return ShapeText
	}
	digits, letters, other := 0, 0, 0
	for i := range len(text) {
		c := text[i]
		switch {
		case IsDigit(c):
			digits++
		case Folded[c] != 0:
			letters++
		case c == '-' || c == '_' || c == ':' || c == '.':
			other++
		case c == '@' || c == '/':
			return ShapeAddress
		default:
			return writtenShape(text)
		}
	}
	if IsIDName(name) {
		if digits > 0 {
			return ShapeID
		}
		return ShapeText // a slug: somebody chose its words
	}
	if digits == len(text) || digits > 0 && letters == 0 && other == 1 && strings.IndexByte(text, '.') > 0 {
		return ShapeNumber
	}
	if digits > 0 {
		return writtenShape(text)
	}
	if other == 0 && len(text) <= maxState && IsStateName(name) {
		return ShapeState
	}
	return ShapeText
}

// writtenShape recognises days and times alone.
func writtenShape(text string) Shape {
	if len(Meanings(text)) > 0 {
		return ShapeDate
	}
	return ShapeText
}
