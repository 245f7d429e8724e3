package plain

import "strings"

// IsIDName reports whether a name is that of an identifier: id, file_id.
func IsIDName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 {
		return false
	}
	switch words[len(words)-1] {
	case "id", "ids", "uuid", "guid":
		return true
	}
	return false
}

// IsStateName reports whether a name is that of one of a few states.
func IsStateName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 {
		return false
	}
	switch words[len(words)-1] {
	case "status", "state", "type", "kind", "role", "priority", "severity", "currency", "visibility":
		return true
	}
	return false
}

// nameWords splits file_id, fileId, FileID and file-id into lower-case words.
func nameWords(name string) []string {
	var words []string
	start := -1
	flush := func(end int) {
		if start >= 0 {
			words = append(words, strings.ToLower(name[start:end]))
		}
		start = -1
	}
	for i := range len(name) {
		c := name[i]
		if Folded[c] == 0 {
			flush(i)
			continue
		}
		upper := c >= 'A' && c <= 'Z'
		if upper && i > 0 && start >= 0 {
			before := name[i-1]
			followed := i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z'
			if before >= 'a' && before <= 'z' || IsDigit(before) || followed && name[i+1:] != "s" {
				flush(i)
			}
		}
		if start < 0 {
			start = i
		}
	}
	flush(len(name))
	return words
}

// isVerb knows words of tools' names that name no thing.
func isVerb(word string) bool {
	switch word {
	case "get", "list", "search", "find", "read", "create", "update", "delete", "remove", "send", "add", "set",
		"fetch", "query", "show", "open", "move", "copy", "share", "cancel", "append", "post", "put", "patch",
		"all", "by", "my", "the", "new", "of", "for", "from", "to", "and", "in", "a", "an", "id", "ids", "uuid", "guid":
		return true
	}
	return false
}

// Things are the nouns of a name.
func Things(name string) []string {
	var nouns []string
	for _, word := range nameWords(name) {
		if !isVerb(word) {
			nouns = append(nouns, word)
		}
	}
	return nouns
}

// SameThing compares nouns: files and file, email and mail.
func SameThing(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			x, y := singular(x), singular(y)
			if x == y || len(x) > 3 && strings.HasSuffix(y, x) || len(y) > 3 && strings.HasSuffix(x, y) {
				return true
			}
		}
	}
	return false
}

func singular(noun string) string {
	switch {
	case len(noun) > 4 && strings.HasSuffix(noun, "ies"):
		return noun[:len(noun)-3] + "y"
	case len(noun) > 4 && (strings.HasSuffix(noun, "sses") || strings.HasSuffix(noun, "xes") || strings.HasSuffix(noun, "ches")):
		return noun[:len(noun)-2]
	case len(noun) > 3 && strings.HasSuffix(noun, "s") && !strings.HasSuffix(noun, "ss"):
		return noun[:len(noun)-1]
	}
	return noun
}

// Wildcard matches with * for any characters, in time linear in both for every
// star.
func Wildcard(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
}
