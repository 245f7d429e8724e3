package own

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode"
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
	words := wordsOf(text)
	before := l.dirs
	defer func() { l.dirs = before }()
	seen := map[string]bool{}
	for i, w := range words {
		if strings.Contains(w.text, "SALLYPORT_") {
			return "SALLYPORT_ variables name the run and the gateway"
		}
		if isProgram(w.text) && !isHarmless(words[i+1:]) {
			return "this runs or names the program sallyport, which is for people"
		}
		if seen[w.text] {
			continue
		}
		seen[w.text] = true
		if found := l.word(w.text); found != "" {
			return found
		}
		if changes(words[:i]) {
			l.move(w.text)
			clear(seen) // they lead elsewhere now
		}
	}
	return ""
}

// word is one word of a command. apart says that more than blanks stand before
// it, so that it may belong to another command.
type word struct {
	text  string
	apart bool
}

func wordsOf(text string) (words []word) {
	const blanks, others = " \t", "\r\n;|&<>(){}`=,:@$"
	apart := true
	for text != "" {
		n := strings.IndexAny(text, blanks+others)
		switch {
		case n == 0:
			apart = apart || strings.Contains(others, text[:1])
			text = text[1:]
			continue
		case n < 0:
			n = len(text)
		}
		words = append(words, word{text[:n], apart})
		text, apart = text[n:], false
	}
	return words
}

// isProgram reports whether a word is the program sallyport, or a pattern that
// says enough of its name.
func isProgram(text string) bool {
	name := filepath.Base(text)
	letters := 0
	for _, r := range name {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return fold(name) == "sallyport" || strings.ContainsAny(name, "*?[") && letters >= 3 && matches(name, "sallyport")
}

// isHarmless reads the verb that stands behind the program's name, and nothing
// that is another command's or that the shell puts in between.
func isHarmless(words []word) bool {
	if len(words) > 1 && (words[0].text == "-o" || words[0].text == "--output") && !words[0].apart && !words[1].apart {
		words = words[2:]
	}
	verb := ""
	for _, w := range words[:min(2, len(words))] {
		if w.apart {
			return false
		}
		if verb = strings.TrimSpace(verb + " " + w.text); slices.Contains(harmless, verb) {
			return true
		}
	}
	return false
}

// changes reports whether what stands behind these words is a folder to go to.
func changes(words []word) bool {
	for i := len(words) - 1; i >= 0; i-- {
		switch text := words[i].text; {
		case text == "cd" || text == "pushd" || text == "chdir" || i == len(words)-1 && (text == "-C" || text == "--directory" || text == "--chdir"):
			return true
		case !strings.HasPrefix(text, "-"):
			return false
		}
	}
	return false
}

// move adds where a change of folder may lead, by the names or by the links,
// and home, where it leads without a name.
func (l *look) move(to string) {
	dirs := slices.Clone(l.dirs)
	for _, dir := range append(l.absolute(to), l.home) {
		dirs = append(dirs, filepath.Clean(dir))
		if real, err := Resolve(dir); err == nil {
			dirs = append(dirs, real)
		}
	}
	slices.Sort(dirs)
	l.dirs = slices.Compact(dirs)
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
	if strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && len(word) > 2 {
		if found := l.word(word[2:]); found != "" { // an option's value, which needs no blank
			return found
		}
	}
	if strings.Trim(word, "[]") != "" && strings.ContainsAny(word, "*?[") {
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
		rest := pattern[len(fixed):]
		real, err := Resolve(strings.TrimSuffix(full, rest))
		if err != nil {
			return err.Error()
		}
		for _, way := range []string{filepath.Clean(full), filepath.Join(real, rest)} {
			parts := strings.Split(way, "/")
			for _, ours := range l.ours {
				if fits(parts, strings.Split(ours, "/")) {
					return pattern + " fits " + ours + ", which is Sallyport's own"
				}
			}
			for _, end := range settingsFiles {
				if n := len(parts) - len(end); n >= 0 && fits(parts[n:], end) && !slices.Contains(looks, l.tool) {
					return pattern + " fits " + filepath.Join(end...) + ", which says how the client asks Sallyport"
				}
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
	return matches(pattern[0], path[0]) && fits(pattern[1:], path[1:])
}

// matches reports whether a pattern fits one name, as in shells. One that can't
// be read fits.
func matches(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	ok, err := filepath.Match(strings.ReplaceAll(fold(pattern), "[!", "[^"), fold(name))
	return ok || err != nil
}
