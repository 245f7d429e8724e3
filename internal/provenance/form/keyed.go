package form

import (
	"strings"

	"sallyport"
)

// IsKeyed reports whether the members of an object are records under their
// names: {"Lamp": {"price": 9}, "Desk lamp": {"price": 12}}. Objects of
// different shapes are parts of one record, and a name that is a word of a
// program is no label.
func IsKeyed(v sallyport.Value) bool {
	shape, labels := "", 0
	for name, member := range v.Members() {
		if member.Type() != sallyport.Object || IsPlainName(name) && name == strings.ToLower(name) {
			return false
		}
		first := ""
		for first = range member.Members() {
			break
		}
		if labels > 0 && first != shape {
			return false
		}
		shape = first
		labels++
	}
	return labels > 0
}

// IsPlainName reports whether a name is a few letters, as programs have them.
func IsPlainName(name string) bool {
	return len(name) <= 32 && strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}
