package own

import (
	"path/filepath"
	"slices"
	"strings"
)

// harmless are the verbs of the command line that an agent may use: they change
// nothing, and tell nothing that is not said to agents anyway.
var harmless = []string{
	"version", "help", "doctor", "tools", "approvals list", "approvals show", "runs list", "runs show", "servers list",
	"policy check", "policy test", "policy status",
}

// quotes are taken out of a command: 'a'"b"\c is abc.
var quotes = strings.NewReplacer("\\\n", "", "'", "", `"`, "", `\`, "")

// command says what of ours the words of a shell command name: a path, a
// pattern that fits one, the program itself with a verb that is not harmless,
// its variables.
//
// It does not see what a word becomes: variables but for HOME and PWD, braces,
// substitutions, encodings, aliases, other programs' own notions of paths, a
// script that was written before. Nor does it see what a program does that
// walks through folders.
func (l *look) command(text string) string {
	if len(text) > maxText {
		return "this command is too long to look through"
	}
	cwd := ""
	if len(l.dirs) > 0 {
		cwd = l.dirs[0]
	}
	text = quotes.Replace(text)
	for _, variable := range []struct{ name, value string }{{"HOME", l.home}, {"PWD", cwd}} {
		text = strings.NewReplacer("${"+variable.name+"}", variable.value, "$"+variable.name, variable.value).Replace(text)
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n;|&<>(){}`=,:@$", r) })
	before := l.dirs
	defer func() { l.dirs = before }()
	seen := map[string]bool{}
	for i, word := range words {
		if strings.Contains(word, "SALLYPORT_") {
			return "SALLYPORT_ variables name the run and the gateway"
		}
		if strings.EqualFold(filepath.Base(word), "sallyport") && !isHarmless(words[i+1:]) {
			return "this runs or names the program sallyport, which is for people"
		}
		if seen[word] {
			continue
		}
		seen[word] = true
		if found := l.word(word); found != "" {
			return found
		}
		if i > 0 && slices.Contains([]string{"cd", "pushd", "-C"}, words[i-1]) && len(l.dirs) < 16 {
			l.dirs = append(slices.Clip(l.dirs), l.absolute(word)...)
			clear(seen) // they lead elsewhere now
		}
	}
	return ""
}

// isHarmless reads the verb that stands behind the program's name.
func isHarmless(words []string) bool {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		if words[0] == "-o" || words[0] == "--output" {
			words = words[min(1, len(words)-1):]
		}
		words = words[1:]
	}
	for n := 1; n <= min(2, len(words)); n++ {
		if slices.Contains(harmless, strings.Join(words[:n], " ")) {
			return true
		}
	}
	return false
}

// word says what of ours one word of a command names. A folder or file whose
// name says whose it is counts wherever the word has it from: what stands before
// may be a variable.
func (l *look) word(word string) string {
	for name := range strings.SplitSeq(word, "/") {
		for _, ours := range l.ours {
			if base := filepath.Base(ours); strings.Contains(base, "sallyport") && strings.EqualFold(name, base) {
				return ours + " is Sallyport's own"
			}
		}
	}
	if strings.ContainsAny(word, "*?[") {
		return l.pattern(word)
	}
	return l.path(word, false)
}

// pattern says what of ours a pattern of a shell fits, where it is at least as
// long as our path: one that stops before it names a folder around us.
func (l *look) pattern(pattern string) string {
	fixed := pattern
	if i := strings.IndexAny(pattern, "*?[{"); i >= 0 {
		fixed = pattern[:strings.LastIndexByte(pattern[:i], '/')+1]
	}
	if fixed != "" {
		if found := l.path(fixed, false); found != "" {
			return found
		}
	}
	for _, full := range l.absolute(pattern) {
		parts := strings.Split(filepath.Clean(full), "/")
		for _, ours := range l.ours {
			if fits(parts, strings.Split(ours, "/")) {
				return pattern + " fits " + ours + ", which is Sallyport's own"
			}
		}
	}
	return ""
}

// fits reports whether a pattern's parts can name a path or what is below it.
func fits(pattern, path []string) bool {
	if len(path) == 0 {
		return true
	}
	if len(pattern) == 0 {
		return false
	}
	if pattern[0] == "**" { // which says nothing of our own name
		return fits(pattern[1:], path) || len(path) > 1 && fits(pattern, path[1:])
	}
	if strings.HasPrefix(path[0], ".") && !strings.HasPrefix(pattern[0], ".") {
		return false // as in shells
	}
	ok, err := filepath.Match(strings.ToLower(pattern[0]), strings.ToLower(path[0]))
	return (ok || err != nil) && fits(pattern[1:], path[1:])
}
