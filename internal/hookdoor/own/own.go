// Package own says whether a tool of a client would touch what is Sallyport's
// own: its state, its sockets, its configuration, its policies, and the
// settings by which the client asks it. An agent that can write these decides
// about itself.
//
// Of a path it sees where it leads. Of a shell command it sees the words that
// are written there, and nothing that the shell or a program makes of others:
// see Command.
package own

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"sallyport"
)

// Things are what no tool may touch.
type Things struct {
	Paths []string // files, and folders with all below
	Home  string   // what ~ stands for
	// Settings is the folder where the client keeps its settings, "" for .claude
	// in Home.
	Settings string
}

const (
	maxText  = 64 << 10 // bytes of a command, beyond which nobody looks through it
	maxLinks = 64       // that a path may lead through
	maxPath  = 4096     // bytes, beyond which no system opens a path
	maxLooks = 8_000    // at paths, beyond which nobody looks through the rest
)

// Names of arguments, whichever tool they belong to.
var (
	pathNames    = []string{"file_path", "notebook_path", "path", "scriptPath"}
	commandNames = []string{"command", "args", "script"}
)

// looks are the tools that change nothing: they may look at the client's
// settings.
var looks = []string{"Read", "Grep", "Glob", "LS"}

// Touched says what of ours a tool of the client would touch with its input,
// "" for nothing that can be seen.
func (t Things) Touched(tool, cwd string, input sallyport.Value) string {
	return t.look(tool, cwd).named(input)
}

// TouchedByAny is Touched for a tool of which nobody knows what the names of
// its arguments mean: each text among them may be a path or a command.
func (t Things) TouchedByAny(tool, cwd string, input sallyport.Value) string {
	l := t.look(tool, cwd)
	return l.any(input, func(text string) string {
		if found := l.path(text, false); found != "" {
			return found
		}
		return l.command(text)
	})
}

// Led says what of ours a path among the arguments of an MCP server's tool
// leads to. What is plainly no path is none: these are commands to nobody.
func (t Things) Led(tool, cwd string, input sallyport.Value) string {
	l := t.look(tool, cwd)
	return l.any(input, func(text string) string {
		if !strings.Contains(text, "/") {
			return ""
		}
		return l.path(text, false)
	})
}

// look is one tool's input being looked through.
type look struct {
	tool string
	home string
	dirs []string        // to which a path may be relative
	ours []string        // paths, as they are written and as they lead
	sets map[string]bool // the client's settings and where they lead, folded
	left int             // how often a path may still be looked at
}

func (t Things) look(tool, cwd string) *look {
	l := &look{tool: tool, home: t.Home, left: maxLooks, sets: map[string]bool{}}
	if filepath.IsAbs(cwd) { // else a relative path leads nobody knows where
		l.dirs = []string{cwd}
	}
	for _, path := range t.Paths {
		l.ours = append(l.ours, filepath.Clean(path))
		if real, err := Resolve(path); err == nil {
			l.ours = append(l.ours, real)
		}
	}
	slices.Sort(l.ours)
	l.ours = slices.Compact(l.ours)
	for _, dir := range append([]string{l.home}, l.dirs...) {
		for _, name := range []string{".claude/settings.json", ".claude/settings.local.json", ".claude.json", ".mcp.json"} {
			l.set(dir + "/" + name)
		}
	}
	if filepath.IsAbs(t.Settings) {
		for _, name := range []string{"", "settings.json", "settings.local.json"} {
			l.set(filepath.Join(t.Settings, name))
		}
	}
	return l
}

// set takes a path for one of the client's settings, and where it leads.
func (l *look) set(path string) {
	l.sets[fold(path)] = true
	if real, err := Resolve(path); err == nil {
		l.sets[fold(real)] = true
	}
}

// named looks through the arguments of a tool that is known.
func (l *look) named(input sallyport.Value) string {
	base := l.dirs
	for name, value := range input.Members() {
		text, ok := value.Text()
		found := ""
		switch {
		case !ok:
		case slices.Contains(pathNames, name):
			found = l.path(text, l.tool == "Grep")
		case slices.Contains(commandNames, name):
			found = l.command(text)
		case l.tool == "Glob" && name == "pattern" || l.tool == "Grep" && name == "glob":
			if from, ok := input.Get("path").Text(); ok {
				l.dirs = l.absolute(from)
			}
			found = l.pattern(text)
			l.dirs = base
		}
		if found != "" {
			return found
		}
	}
	if _, given := input.Get("path").Text(); l.tool == "Grep" && !given {
		return l.path(".", true)
	}
	return ""
}

// any asks about every text of a value.
func (l *look) any(value sallyport.Value, about func(text string) string) string {
	if text, ok := value.Text(); ok {
		return about(text)
	}
	for _, member := range value.Members() {
		if found := l.any(member, about); found != "" {
			return found
		}
	}
	for _, item := range value.Items() {
		if found := l.any(item, about); found != "" {
			return found
		}
	}
	return ""
}

// path says what of ours a path leads to. With deep, what lies below it counts
// as well: a search reads all of that.
func (l *look) path(path string, deep bool) string {
	ways := l.absolute(path)
	// Claude Code cuts blanks off a path, and a mark of byte order with them.
	if cut := strings.TrimFunc(path, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }); cut != path {
		ways = append(ways, l.absolute(cut)...)
	}
	for _, from := range ways {
		if l.left--; l.left < 0 {
			return "this names more paths than anybody looks through"
		}
		// A shell goes through a link before it goes up; most programs go up first,
		// which makes a path short that was too long to open.
		for _, way := range []string{from, filepath.Clean(from)} {
			if len(way) > maxPath {
				continue
			}
			to, err := Resolve(way)
			if err != nil {
				return err.Error()
			}
			if found := cmp.Or(l.at(way, deep), l.at(to, deep)); found != "" {
				return found
			}
		}
	}
	return ""
}

// absolute is a path in every way that it may be meant.
func (l *look) absolute(path string) (all []string) {
	path = strings.TrimPrefix(path, "file://")
	switch {
	case path == "" || strings.ContainsRune(path, 0):
		return nil
	case filepath.IsAbs(path):
		return []string{path}
	}
	for _, dir := range l.dirs {
		all = append(all, dir+"/"+path)
	}
	if tilde, ok := strings.CutPrefix(path, "~"); ok {
		name, rest, _ := strings.Cut(tilde, "/")
		switch name {
		case "":
			all = append(all, l.home+"/"+rest)
		case "+", "-": // where a shell is, and where it was
			for _, dir := range l.dirs {
				all = append(all, dir+"/"+rest)
			}
		default:
			if whose, err := user.Lookup(name); err == nil {
				all = append(all, whose.HomeDir+"/"+rest)
			}
		}
	}
	return all
}

// at says what of ours is at an absolute path.
func (l *look) at(path string, deep bool) string {
	folded := fold(path)
	for _, ours := range l.ours {
		if mine := fold(ours); below(mine, folded) || deep && below(folded, mine) {
			return ours + " is Sallyport's own"
		}
	}
	if (settings(folded) || l.sets[folded]) && !slices.Contains(looks, l.tool) {
		return path + " says how the client asks Sallyport"
	}
	return ""
}

// below reports whether a path is a folder or within it, both folded.
func below(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// fold makes letters the same that some disk takes for the same, whatever their
// case: an ſ is an s.
func fold(path string) string { return strings.ToLower(strings.ToUpper(path)) }

// settingsFiles are the ends of paths where Claude Code keeps its hooks and its
// MCP servers. Whoever moves the folder away takes them out.
var settingsFiles = [][]string{
	{".claude", "settings.json"}, {".claude", "settings.local.json"}, {".claude"},
	{".claude.json"}, {".mcp.json"}, {"managed-settings.json"}, {"managed-mcp.json"},
}

// settings reports whether a folded path is such a file, or the folder.
func settings(path string) bool {
	name := filepath.Base(path)
	for _, end := range settingsFiles {
		if len(end) == 1 && name == end[0] {
			return true
		}
	}
	return filepath.Base(filepath.Dir(path)) == ".claude" && strings.HasPrefix(name, "settings") && strings.HasSuffix(name, ".json")
}

// Resolve follows every link of an absolute path, also where what is at its end
// does not exist yet. The folder of a process and what it has open are somewhere
// else for whoever asks than for us: a path through them is an error.
func Resolve(path string) (string, error) {
	done, rest, links := "/", strings.Split(path, "/"), 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = filepath.Dir(done)
			continue
		}
		if strings.HasPrefix(done, "/proc/") && (name == "cwd" || filepath.Base(done) == "fd" && strings.Join(rest, "") != "") {
			return "", fmt.Errorf("%s leads through a folder that only the process itself knows", path)
		}
		next := filepath.Join(done, name)
		to, err := os.Readlink(next)
		if err != nil { // no link, or nothing that we may look at
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s leads through more than %d links", path, maxLinks)
		}
		if filepath.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return done, nil
}
