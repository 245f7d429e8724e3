// Package listing knows records as tools return them, and how people choose
// among them: by what comes first in some order, and by days.
//
// It is pure, and reads no words of a task: what is asked for is given to it.
package listing

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Record is one thing that a call returned, such as a mail, a contact or a
// transaction.
type Record struct {
	Fields []Field
	// Asked says that the call that returned it was made with something that
	// the user named: the file that he told the agent to read.
	Asked bool
}

// Field is one leaf of a record.
type Field struct {
	Path, Text string
}

// MaxText is how long a text may be that says what a record is, in bytes.
const MaxText = 256

// Last are the words of what a field is called.
func (f Field) Last() []string {
	names := Names(f.Path)
	if len(names) == 0 {
		return nil
	}
	return NameWords(names[len(names)-1])
}

// At is the field at a path; false where the record has none.
func (r Record) At(path string) (Field, bool) {
	for _, f := range r.Fields {
		if f.Path == path {
			return f, true
		}
	}
	return Field{}, false
}

// NameWords splits snake_case, kebab-case, camelCase and dotted names.
func NameWords(name string) []string {
	return Words(strings.ToLower(wordBoundary.ReplaceAllString(name, "$1$3 $2$4")))
}

// Words splits a text in lower case at whatever is no letter and no digit.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])`)

var numberText = regexp.MustCompile(`^[$€£]?-?\d[\d,]*(?:\.\d+)?$`)

// Number reads a text that is a number and nothing else.
func Number(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] >= 'A' && text[0] <= 'z' || !numberText.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimLeft(strings.ReplaceAll(text, ",", ""), "$€£"), 64)
	return n, err == nil
}

// Names are the names of a path as policies write it, without indexes.
func Names(path string) []string {
	var names []string
	for len(path) > 0 {
		switch {
		case path[0] == '.':
			path = path[1:]
		case strings.HasPrefix(path, `["`):
			end := strings.Index(path, `"]`)
			if end < 0 {
				return append(names, path)
			}
			var name string
			if json.Unmarshal([]byte(path[1:end+1]), &name) != nil {
				name = path[2:end]
			}
			names, path = append(names, name), path[end+2:]
		case path[0] == '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return names
			}
			path = path[end+1:]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			names, path = append(names, path[:end]), path[end:]
		}
	}
	return names
}
