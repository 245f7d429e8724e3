package inspect

import (
	"strconv"
	"strings"

	"sallyport"
)

// Definition inspects what a server says of one tool: every name and every
// string of the item as tools/list has it, and what is written where no prose
// belongs. The path of a finding says where, as policies write paths; Start
// and End are bytes of that string (of the name, for a name).
func Definition(tool sallyport.Value) []sallyport.Finding {
	d := &definition{}
	d.walk("", tool, place{})
	d.whole(tool)
	return d.findings
}

// MaxDefinition bounds the findings of one definition. The last of so many has
// the rule "more".
const MaxDefinition = 1024

type definition struct {
	findings []sallyport.Finding
}

// place is where in a definition a string stands.
type place struct {
	key   string // nearest member name
	prose bool   // people write sentences here
	names bool   // the members' names are the server's own: properties
	value bool   // a default, enum, const or example
}

func (d *definition) add(f sallyport.Finding) {
	switch n := len(d.findings); {
	case n < MaxDefinition-1:
		d.findings = append(d.findings, f)
	case n == MaxDefinition-1:
		d.findings = append(d.findings, sallyport.Finding{Scanner: ScannerDefinition, Rule: "more", Path: f.Path, Score: 1})
	}
}

// proses are the members that hold sentences; values those that hold what a
// model copies into its calls.
func within(name string, outer place) place {
	p := place{key: name, value: outer.value}
	if outer.names || outer.value {
		return p // a parameter may be called "default"
	}
	switch name {
	case "description", "summary", "$comment", "instructions", "message", "error":
		p.prose = true
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		p.names = true
	case "default", "enum", "const", "examples", "example":
		p.value = true
	}
	return p
}

func (d *definition) walk(path string, v sallyport.Value, p place) {
	switch v.Type() {
	case sallyport.Object:
		for name, member := range v.Members() {
			below := string(sallyport.AppendName([]byte(path), name))
			d.name(below, name)
			d.walk(below, member, within(name, p))
		}
	case sallyport.Array:
		for i, item := range v.Items() {
			d.walk(path+"["+strconv.Itoa(i)+"]", item, p)
		}
	case sallyport.String:
		text, _ := v.Text()
		d.text(path, text, p)
	}
}

// name inspects the name of a member: it should be a word.
func (d *definition) name(path, name string) {
	for _, f := range Text(Description, name) {
		f.Path = path
		d.add(f)
	}
	if len(name) > 64 || strings.Count(name, " ") >= 4 {
		d.add(sallyport.Finding{Scanner: ScannerDefinition, Rule: "prose-in-name", Path: path, End: len(name), Score: 0.8})
	}
	if asksForContext(name) {
		d.add(sallyport.Finding{Scanner: ScannerDefinition, Rule: "asks-for-context", Path: path, End: len(name), Score: 0.6})
	}
}

// text inspects one string by the place where it stands.
func (d *definition) text(path, text string, p place) {
	// The trained model sees the whole definition at once, in whole.
	orders := false
	for _, f := range textWithout(text) {
		f.Path = path
		d.add(f)
		orders = orders || f.Scanner == ScannerOrder
	}
	rule := func(name string, start, end int, score float64) {
		d.add(sallyport.Finding{Scanner: ScannerDefinition, Rule: name, Path: path, Start: start, End: end, Score: score})
	}
	if start, end := secretFile(text); end > start {
		rule("secret-file", start, end, 0.8)
	}
	switch {
	case p.value:
		if i := strings.Index(text, "$("); i >= 0 {
			rule("command-in-value", i, len(text), 0.9)
		} else if i := strings.IndexByte(text, '`'); i >= 0 && strings.IndexByte(text[i+1:], '`') > 0 && strings.Contains(text, " ") {
			rule("command-in-value", i, len(text), 0.5)
		}
		if orders || strings.Count(text, " ") >= 12 {
			rule("prose-in-value", 0, len(text), 0.6)
		}
	case !p.prose && p.key != "title" && (orders || strings.Count(text, " ") >= 12 && p.key != "pattern"):
		rule("prose-out-of-place", 0, len(text), 0.6)
	case p.key == "title" && (orders || strings.Count(text, " ") >= 12):
		rule("prose-out-of-place", 0, len(text), 0.6)
	}
}

// asksForContext reports parameters that want what the agent knows, not what
// the tool needs.
func asksForContext(name string) bool {
	var b strings.Builder
	for i := 0; i < len(name) && i < 64; i++ {
		if c := name[i] | 0x20; 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		}
	}
	s := b.String()
	for _, sign := range [...]string{"systemprompt", "conversationhistory", "chathistory", "fullconversation", "previousmessages", "modelname", "chainofthought", "toolslist", "availabletools"} {
		if strings.Contains(s, sign) {
			return true
		}
	}
	return false
}

// secretFile finds the first path of a file that holds secrets.
func secretFile(text string) (start, end int) {
	for _, sign := range [...]string{"/.ssh", "id_rsa", "id_ed25519", ".aws/credentials", "/etc/passwd", "/etc/shadow", ".netrc", ".npmrc", ".kube/config", ".docker/config", "mcp.json", ".git-credentials", ".bash_history", ".gnupg", "/.env", "/proc/self/environ"} {
		if i := strings.Index(text, sign); i >= 0 {
			start, end = i, i+len(sign)
			for start > 0 && runes[text[start-1]]&inRun != 0 {
				start--
			}
			for end < len(text) && runes[text[end]]&inRun != 0 {
				end++
			}
			return start, end
		}
	}
	return 0, 0
}

// whole runs the trained model over the definition as one text.
func (d *definition) whole(tool sallyport.Value) {
	text, parts := describe(tool)
	for _, f := range classified(text) {
		best, most := part{path: "description"}, -1
		for _, p := range parts { // the string that most of it lies in
			if n := min(f.End, p.at+p.size) - max(f.Start, p.at); n > most {
				best, most = p, n
			}
		}
		f.Path = best.path
		f.Start = min(max(0, f.Start-best.at), best.size)
		f.End = max(f.Start, min(f.End-best.at, best.size))
		d.add(f)
	}
}

// part is where one string of a definition lies in its description.
type part struct {
	at, size int
	path     string
}

// Describe writes a definition as the trained model reads it: name and
// description, then a line for each parameter.
func Describe(tool sallyport.Value) string {
	text, _ := describe(tool)
	return text
}

func describe(tool sallyport.Value) (string, []part) {
	var b strings.Builder
	var parts []part
	put := func(path string, v sallyport.Value) {
		text, _ := v.Text()
		parts = append(parts, part{b.Len(), len(text), path})
		b.WriteString(text)
	}
	put("name", tool.Get("name"))
	b.WriteString(": ")
	put("description", tool.Get("description"))
	for name, property := range tool.Get("inputSchema").Get("properties").Members() {
		path := string(sallyport.AppendName([]byte("inputSchema.properties"), name))
		kind, _ := property.Get("type").Text()
		b.WriteString("\n- ")
		parts = append(parts, part{b.Len(), len(name), path})
		b.WriteString(name + " (" + kind + "): ")
		put(path+".description", property.Get("description"))
	}
	return b.String(), parts
}
