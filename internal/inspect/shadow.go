package inspect

import (
	"cmp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/inspect/plain"
)

// Shadow says that one server's tool meddles with another server.
type Shadow struct {
	Server, Tool      string // whose definition it is
	OtherServer       string
	OtherTool         string // "" when only the server is named
	sallyport.Finding        // rules: same-name, lookalike, names-tool, names-server
}

// MaxShadows bounds the answer: so many mean that somebody floods it, and no
// tool should be taken for clean then.
const MaxShadows = 1024

// Shadowing compares the tools of all servers: a tool that carries another's
// name, or one that only looks the same, and words that name the tool of
// another server, or the server. Of two equal names the younger is the shadow,
// by Since; each is when they are of one age. Definitions that are no tools are
// looked at for words alone.
func Shadowing(defs []*sallyport.Definition) []Shadow {
	sorted := slices.Clone(defs)
	slices.SortStableFunc(sorted, func(a, b *sallyport.Definition) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Name, b.Name))
	})
	s := shadows{tools: map[string][]*sallyport.Definition{}, servers: map[string]string{}}
	for _, d := range sorted {
		if d.Kind == sallyport.KindTool {
			name := skeleton(d.Name)
			s.tools[name] = append(s.tools[name], d)
		}
		s.servers[skeleton(d.Server)] = d.Server
	}
	for _, d := range sorted {
		if d.Kind == sallyport.KindTool {
			s.twins(d)
		}
		s.words(d)
	}
	return s.found
}

type shadows struct {
	tools   map[string][]*sallyport.Definition // by skeleton
	servers map[string]string
	found   []Shadow
}

func (s *shadows) add(d *sallyport.Definition, server, tool string, f sallyport.Finding) {
	if len(s.found) < MaxShadows {
		f.Scanner = ScannerShadow
		s.found = append(s.found, Shadow{d.Server, d.Name, server, tool, f})
	}
}

// skeleton is a name as a hasty reader sees it.
func skeleton(name string) string {
	made := plain.Of(name)
	var b strings.Builder
	for _, r := range made.Plain {
		switch {
		case r == '_' || r == '-' || r == '.' || r == ' ' || r == '/':
		case 'A' <= r && r <= 'Z':
			b.WriteRune(r | 0x20)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// twins notes tools of other servers with the name of d.
func (s *shadows) twins(d *sallyport.Definition) {
	for _, other := range s.tools[skeleton(d.Name)] {
		if other.Server == d.Server || d.Since.Before(other.Since) {
			continue
		}
		rule, score := "same-name", 0.5
		if other.Name != d.Name {
			rule, score = "lookalike", 0.6
			if !ascii(d.Name) {
				score = 1
			}
		}
		s.add(d, other.Server, other.Name, sallyport.Finding{Rule: rule, Path: "name", End: len(d.Name), Score: score})
	}
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// words looks at each word of a definition's strings.
func (s *shadows) words(d *sallyport.Definition) {
	for path, leaf := range d.Raw.Leaves() {
		text, ok := leaf.Text()
		if !ok || string(path) == "name" {
			continue
		}
		before := len(s.found)
		for at := 0; at < len(text) && len(s.found) < before+8; {
			if runes[text[at]]&startsRun == 0 && text[at] < 0x80 {
				at++
				continue
			}
			end := at
			for end < len(text) && (runes[text[end]]&startsRun != 0 || text[end] == '_' || text[end] == '-' || text[end] >= 0x80) {
				end++
			}
			s.word(d, string(path), text, at, end)
			at = max(end, at+1)
		}
	}
}

// word looks one word up among the names of other servers' tools, and of the
// servers when the word says so. Names that are plain words, such as "search",
// are in everybody's mouth.
func (s *shadows) word(d *sallyport.Definition, path, text string, at, end int) {
	word := text[at:end]
	if len(word) < 3 || len(word) > 128 {
		return
	}
	if server, tool, ok := strings.Cut(word, "__"); ok && server != "" {
		if name, known := s.servers[skeleton(server)]; known && name != d.Server {
			s.add(d, name, tool, sallyport.Finding{Rule: "names-tool", Path: path, Start: at, End: end, Score: 1})
			return
		}
	}
	if distinctive(word) {
		for _, other := range s.tools[skeleton(word)] {
			if other.Server == d.Server {
				return // its own tool of that name
			}
		}
		for _, other := range s.tools[skeleton(word)] {
			s.add(d, other.Server, other.Name, sallyport.Finding{Rule: "names-tool", Path: path, Start: at, End: end, Score: 0.9})
			return
		}
	}
	if name, known := s.servers[skeleton(word)]; known && name != d.Server && saysServer(text, at, end) {
		s.add(d, name, "", sallyport.Finding{Rule: "names-server", Path: path, Start: at, End: end, Score: 0.7})
	}
}

// distinctive reports names that are no words of the language.
func distinctive(name string) bool {
	if strings.ContainsAny(name, "_-") {
		return true
	}
	for i := 1; i < len(name); i++ {
		if upperCase(name[i]) && !upperCase(name[i-1]) {
			return true
		}
	}
	return !ascii(name)
}

// saysServer reports the word server, tool or MCP beside a name.
func saysServer(text string, at, end int) bool {
	around := strings.ToLower(text[max(0, at-16):min(len(text), end+16)])
	return strings.Contains(around, "server") || strings.Contains(around, "tool") || strings.Contains(around, "mcp")
}
