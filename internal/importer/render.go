package importer

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"sallyport"
)

// ServersYAML renders the servers part of sallyport.yaml. Credentials appear by
// name. A server that every client has switched off is commented out, so that
// nothing starts which the user has stopped.
func ServersYAML(proposals []Proposal) ([]byte, error) {
	comments := yaml.CommentMap{"$.servers": {yaml.HeadComment(
		" The servers that import found. Effects are proposals: read them, correct them.")}}
	servers := yaml.MapSlice{}
	var off bytes.Buffer
	for _, p := range proposals {
		if !p.Server.Disabled {
			servers = append(servers, yaml.MapItem{Key: p.Server.Name, Value: serverYAML(p, comments)})
			continue
		}
		own := make(yaml.CommentMap)
		text, err := marshalServers(yaml.MapSlice{{Key: p.Server.Name, Value: serverYAML(p, own)}}, own)
		if err != nil {
			return nil, err
		}
		off.WriteString("  # Switched off in the client, so it is here:\n")
		for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("servers:\n"))) {
			off.WriteString("  # ")
			off.Write(bytes.TrimPrefix(line, []byte("  ")))
		}
	}
	text, err := marshalServers(servers, comments)
	return append(text, off.Bytes()...), err
}

func marshalServers(servers yaml.MapSlice, comments yaml.CommentMap) ([]byte, error) {
	return yaml.MarshalWithOptions(yaml.MapSlice{{Key: "servers", Value: servers}},
		yaml.WithComment(comments), yaml.IndentSequence(true))
}

func serverYAML(p Proposal, comments yaml.CommentMap) yaml.MapSlice {
	s := p.Server
	var fields yaml.MapSlice
	add := func(key string, value any) { fields = append(fields, yaml.MapItem{Key: key, Value: value}) }
	scalar := func(t Text, where string) any {
		if t.secret {
			return yaml.MapSlice{{Key: "secret", Value: s.secretName(where)}}
		}
		return yamlText(t.value)
	}
	table := func(key string, settings map[string]Text) {
		var rows yaml.MapSlice
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			rows = append(rows, yaml.MapItem{Key: name, Value: scalar(settings[name], name)})
		}
		if rows != nil {
			add(key, rows)
		}
	}
	if s.Transport == Stdio {
		add("command", yamlText(s.Command))
		var args []any
		for i, arg := range s.Args {
			args = append(args, scalar(arg, fmt.Sprintf("arg-%d", i+1)))
		}
		if args != nil {
			add("args", args)
		}
		if s.Cwd != "" {
			add("cwd", yamlText(s.Cwd))
		}
		table("env", s.Env)
	} else {
		add("url", scalar(s.URL, "url"))
		if s.declared { // otherwise the gateway tries one and then the other
			add("transport", string(s.Transport))
		}
		table("headers", s.Headers)
	}
	var rows yaml.MapSlice
	for _, t := range p.Tools {
		rows = append(rows, yaml.MapItem{Key: t.Tool, Value: string(t.Effect)})
		path := fmt.Sprintf("$.servers.%s.effects.'%s'", s.Name, t.Tool)
		comments[path] = []*yaml.Comment{yaml.LineComment(" " + t.Reason)}
	}
	if rows != nil {
		add("effects", rows)
	}
	if p.Odd > 0 {
		comments["$.servers."+s.Name] = []*yaml.Comment{yaml.HeadComment(
			fmt.Sprintf(" Tools left out for their unusual names: %d. They count as exec.", p.Odd))}
	}
	return fields
}

// yamlText is a string that is quoted unless it is plainly plain. The encoder
// leaves some strings bare that then read back as something else.
type yamlText string

var plainYAML = regexp.MustCompile(`^(?:-{0,2}[A-Za-z]|\.{0,2}/)(?:[A-Za-z0-9_./@+=-]|:[A-Za-z0-9_/])*$`)

// MarshalYAML returns the YAML of one scalar. Go's escapes are YAML's.
func (t yamlText) MarshalYAML() ([]byte, error) {
	if plainYAML.MatchString(string(t)) {
		return yaml.Marshal(string(t))
	}
	return []byte(strconv.Quote(string(t))), nil
}

// because says in the starter policy why an effect is asked about.
func because(e sallyport.Effect) string {
	switch e {
	case sallyport.Write:
		return "This changes something, and no task asks for it so. The owner looks at it first."
	case sallyport.Send:
		return "This sends something out, and no task asks for it so. The owner looks at what and to whom."
	case sallyport.Access:
		return "This is about who may do what, or about credentials, and no task asks for it so. The owner decides."
	case sallyport.Delete:
		return "This deletes something, and no task asks for it so. The owner decides."
	case sallyport.Pay:
		return "This moves money, and no task asks for it so. The owner decides."
	default:
		return "This runs something, and no task asks for it so. The owner decides."
	}
}

// StarterPolicy renders a Cedar policy for the agents of a role: reading is
// allowed, every other effect is asked about unless the user's task asks for it,
// and what nobody could classify is not permitted at all. What an agent has read
// can't change that: the rules look at where each argument came from. The role is a plain name such as developer.
func StarterPolicy(role string, proposals []Proposal) string {
	var b strings.Builder
	b.WriteString("// Starter policy, proposed by sallyport import. Read it, then make it yours.\n" +
		"//\n" +
		"// What no permit names is refused. A forbid with @ask turns what is permitted\n" +
		"// into a question to a human: here whatever the user's task does not ask for, or\n" +
		"// is done to something that the task does not mean (docs/scope.md). Without a\n" +
		"// task (sallyport run --task, or a hook) all but reading is asked about.\n")
	used := make(map[sallyport.Effect]bool)
	for _, p := range proposals {
		if p.Server.Disabled {
			continue
		}
		writePermits(&b, role, p, used)
	}
	for _, e := range sallyport.Effects {
		if e == sallyport.Read || !used[e] {
			continue
		}
		fmt.Fprintf(&b, "\n@id(\"ask-%[1]s\")\n@ask(\"owner\")\n@because(%[2]q)\nforbid (\n"+
			"  principal,\n  action in Action::\"effect:%[1]s\",\n  resource\n)\n"+
			"when { !context.run.task || context.run.outside || !context.unlinked.isEmpty() };\n", e, because(e))
	}
	if len(used) > 0 {
		b.WriteString(flowRules)
	}
	return b.String()
}

// flowRules are about what is read, and what must not be read by others.
//
//go:embed flow.cedar
var flowRules string

// writePermits writes what a role may do with one server. Running things is
// permitted tool by tool: the group effect:exec also holds every tool that
// nobody has classified yet, and those stay refused.
func writePermits(b *strings.Builder, role string, p Proposal, used map[sallyport.Effect]bool) {
	name := p.Server.Name
	permit := func(id string, actions []string) {
		if len(actions) == 0 {
			return
		}
		fmt.Fprintf(b, "\n@id(%q)\npermit (\n  principal in Role::%q,\n  action in [\n    %s\n  ],\n  resource == Server::%q\n);\n",
			name+"-"+id, role, strings.Join(actions, ",\n    "), name)
	}
	groups := make(map[sallyport.Effect]bool)
	var exec []string
	unknown := p.Odd
	for _, t := range p.Tools {
		switch {
		case !t.Known:
			unknown++
		case t.Effect == sallyport.Exec:
			exec = append(exec, fmt.Sprintf("Action::%q", name+"/tool:"+t.Tool))
			used[sallyport.Exec] = true
		default:
			groups[t.Effect], used[t.Effect] = true, true
		}
	}
	var actions []string
	for _, e := range sallyport.Effects {
		if groups[e] {
			actions = append(actions, fmt.Sprintf("Action::\"effect:%s\"", e))
		}
	}
	fmt.Fprintf(b, "\n// %s\n", name)
	if len(p.Tools)+p.Odd == 0 {
		b.WriteString("// Its tools are not known, so nothing is permitted yet: once it answers, give\n// them effects and write a permit.\n")
	}
	if unknown > 0 {
		fmt.Fprintf(b, "// Tools refused because nothing says what they do: %d. Give them an effect first.\n", unknown)
	}
	permit("use", actions)
	permit("run", exec)
}
