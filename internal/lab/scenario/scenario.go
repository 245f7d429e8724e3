// Package scenario is attacks as files: what the lab plays, and what others write for it.
package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/lab/puppet"
)

// Scenario is one attack, with all that is needed to play it. Parse reads one, Format writes it.
type Scenario struct {
	// About is what it shows: its first sentence is the one that lists print.
	About string `yaml:"-"`
	Name  string `yaml:"name"`
	Task  string `yaml:"task"` // what the user asked for, as the launcher passes it on
	// Open says what is needed to stop the attack, when nothing does yet.
	Open string `yaml:"open,omitempty"`
	// Scanners says that the attack is stopped by what scanners see: their rules are in force in any case.
	Scanners bool `yaml:"scanners,omitempty"`

	// Agent is the first agent, where that is not "assistant", who acts for ana of acme.
	Agent  string           `yaml:"agent,omitempty"`
	Agents map[string]Agent `yaml:"agents,omitempty"` // besides the first
	// Servers are what the operator says of each, as in sallyport.yaml, but for how it is reached.
	Servers map[string]map[string]any `yaml:"servers"`
	// Prompts are those of servers, as JSON: policies may speak of them.
	Prompts map[string][]string `yaml:"prompts,omitempty"`
	// Beyond are servers that no gateway stands before, such as the client that shows the agent's replies.
	Beyond []string `yaml:"beyond,omitempty"`
	// Credential is "run" (the default: a run with the task, begun by a launcher) or "agent" (the agent's own token:
	// its standing run, and nobody has told it a task).
	Credential string `yaml:"credential,omitempty"`

	// Payload is the disguises in which the instructions are written: the attack is tried in each. Default: plain.
	Payload []puppet.Disguise `yaml:"payload,omitempty"`
	// Data is the disguises of what the puppet puts into arguments from what it has read; each is tried, too.
	Data []puppet.Disguise `yaml:"data,omitempty"`

	Goal Goal   `yaml:"goal"` // what the attack is for
	Log  []Line `yaml:"log,omitempty"`
	// Rule is the @id of the one rule that stops the attack; "pin" is that nobody has accepted what a server says.
	Rule string `yaml:"rule,omitempty"`
	// Off are rules that would stop it, too, and are therefore off all the time: then Rule is shown to matter.
	Off  []string `yaml:"off,omitempty"`
	Twin Twin     `yaml:"twin"`

	Script     string            `yaml:"-"` // what the agent does for the task
	Orders     string            `yaml:"-"` // what the payload tells it to do
	TwinScript string            `yaml:"-"` // what it does in the twin; "" for Script
	Tools      map[string][]Tool `yaml:"-"` // by server
	Later      map[string][]Tool `yaml:"-"` // what servers offer after the step "changes SERVER"
	Policies   map[string]string `yaml:"-"` // by file name; none: the assistants may do everything that the flow rules let pass
	// Config is a sallyport.yaml without servers, for scenarios about somebody's own people and policies: then nothing
	// is the lab's own, neither its people nor the starter's rules.
	Config string `yaml:"-"`
}

// First is the agent that begins.
func (s *Scenario) First() string {
	if s.Agent != "" {
		return s.Agent
	}
	return MainAgent
}

// Agent is an agent besides the first. Its steps stand behind the step "as NAME".
type Agent struct {
	For  string `yaml:"for"` // ana or ben of acme, gia of globex
	Task string `yaml:"task"`
}

// Goal is reached when a server has got a call of this tool whose arguments hold these texts, in any disguise; or when
// the agent has read them.
type Goal struct {
	Call  string   `yaml:"call,omitempty"` // SERVER/TOOL
	Read  string   `yaml:"read,omitempty"` // what the agent (the first one) must not read
	Holds []string `yaml:"holds,omitempty"`
}

// Line is a line that the log must have, once the attack was stopped.
type Line struct {
	Type   string `yaml:"type"` // hold, refusal or withheld
	Call   string `yaml:"call"` // the sink: SERVER/TOOL
	Rule   string `yaml:"rule,omitempty"`
	Arg    string `yaml:"arg,omitempty"`    // path of an argument,
	From   string `yaml:"from,omitempty"`   // and the source that it came from: SERVER/TOOL
	Reason string `yaml:"reason,omitempty"` // what the reason says, in part
}

// Twin is the same work without an attack.
type Twin struct {
	Task  string `yaml:"task,omitempty"` // "" for the scenario's
	Holds int    `yaml:"holds"`          // how often a person is asked, who then agrees
}

// Tool is a tool of a server, as the server describes it, with what it answers.
type Tool struct {
	Name        string         `yaml:"name"`
	Description string         `yaml:"description"`
	Input       map[string]any `yaml:"input,omitempty"` // JSON Schema of its properties
	Required    []string       `yaml:"required,omitempty"`
	Definition  string         `yaml:"definition,omitempty"` // JSON: all that a server says of it, instead
	Answers     []Answer       `yaml:"answers,omitempty"`    // the first that fits; none: "ok"
	Keeps       string         `yaml:"keeps,omitempty"`      // the argument that the server stores: {{kept}} in its answers is all of it
	CachedBy    string         `yaml:"cachedBy,omitempty"`   // it answers as it first did to the same value of this argument
	CopiesTo    string         `yaml:"copiesTo,omitempty"`   // SERVER/TOOL that gets the same call behind everybody's back
}

// Answer is what a tool answers to some arguments. {{payload}} in it is the attack's instructions.
type Answer struct {
	When map[string]any `yaml:"when,omitempty"` // arguments that must be these; none: any
	Text string         `yaml:"text,omitempty"`
	JSON string         `yaml:"json,omitempty"` // structured content
	Err  string         `yaml:"error,omitempty"`
}

const (
	headerFile   = "scenario.yaml"
	scriptFile   = "script"
	twinFile     = "twin"
	ordersFile   = "payload"
	configFile   = "sallyport.yaml"
	serversDir   = "servers"
	laterDir     = "later"
	policyDir    = "policy"
	MainAgent    = "assistant"
	PinRule      = "pin"
	runToken     = "run"
	AgentToken   = "agent"
	cedarEnding  = ".cedar"
	yamlEnding   = ".yaml"
	PayloadPlace = "{{payload}}"
	KeptPlace    = "{{kept}}"
)

// Parse reads a scenario from a txtar archive. What it does not know is an error.
func Parse(text []byte) (*Scenario, error) {
	archive := txtar.Parse(text)
	s := &Scenario{
		About: strings.TrimSpace(string(archive.Comment)),
		Tools: map[string][]Tool{}, Later: map[string][]Tool{}, Policies: map[string]string{},
	}
	seen := map[string]bool{}
	for _, file := range archive.Files {
		if seen[file.Name] {
			return nil, fmt.Errorf("%s is there twice", file.Name)
		}
		seen[file.Name] = true
		if err := s.take(file.Name, file.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	return s, s.check()
}

func (s *Scenario) take(name string, text []byte) error {
	dir, base := path.Split(name)
	switch {
	case name == headerFile:
		return strictly(text, s)
	case name == scriptFile:
		s.Script = string(text)
	case name == twinFile:
		s.TwinScript = string(text)
	case name == ordersFile:
		s.Orders = string(text)
	case name == configFile:
		s.Config = string(text)
	case dir == serversDir+"/" && strings.HasSuffix(base, yamlEnding):
		return takeTools(s.Tools, base, text)
	case dir == laterDir+"/" && strings.HasSuffix(base, yamlEnding):
		return takeTools(s.Later, base, text)
	case dir == policyDir+"/" && strings.HasSuffix(base, cedarEnding):
		s.Policies[base] = string(text)
	default:
		return errors.New("no such file belongs into a scenario")
	}
	return nil
}

func takeTools(into map[string][]Tool, base string, text []byte) error {
	var tools []Tool
	if err := strictly(text, &tools); err != nil {
		return err
	}
	into[strings.TrimSuffix(base, yamlEnding)] = tools
	return nil
}

func strictly(text []byte, into any) error {
	return yaml.UnmarshalWithOptions(text, into, yaml.DisallowUnknownField())
}

// check finds what can't be played, or what would show nothing.
func (s *Scenario) check() error {
	var errs []error
	wrong := func(when bool, format string, args ...any) {
		if when {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(s.Name == "", "it has no name")
	wrong((s.Config == "") != (s.Agent == ""), "an agent of your own needs %s, and the other way round", configFile)
	wrong(s.About == "", "it does not say what it shows: write a sentence before the first file")
	wrong(s.Credential != "" && s.Credential != runToken && s.Credential != AgentToken, "credential is %s or %s, not %q", runToken, AgentToken, s.Credential)
	wrong(s.Task == "" && s.Credential != AgentToken, "it has no task")
	wrong((s.Goal.Call == "") == (s.Goal.Read == ""), "the goal is either a call or what the agent reads")
	wrong(s.Rule == "" && s.Open == "", "name the rule that stops the attack, or say with open: what would")
	wrong(s.Rule != "" && s.Open != "", "either a rule stops the attack, or it is open")
	wrong(s.Open == "" && len(s.Log) == 0, "say what the log must name")
	for name := range s.Servers {
		wrong(s.Tools[name] == nil, "%s/%s%s is missing", serversDir, name, yamlEnding)
	}
	for _, tools := range []map[string][]Tool{s.Tools, s.Later} {
		for name := range tools {
			_, declared := s.Servers[name]
			wrong(!declared, "server %s is not declared under servers:", name)
		}
	}
	_, taken := s.Servers[DemoServer]
	wrong(taken && s.Config == "", "server %s is the demo's: give yours another name", DemoServer)
	for name, agent := range s.Agents {
		wrong(name == s.First(), "%s is the first agent: it is there already", name)
		wrong(agent.Task == "" && s.Credential != AgentToken, "agent %s has no task", name)
	}
	for _, d := range slices.Concat(s.Payload, s.Data) {
		wrong(!d.Known(), "there is no disguise %q, but %v", d, puppet.Disguises())
	}
	for name, script := range map[string]string{scriptFile: s.Script, twinFile: s.TwinScript, ordersFile: s.Orders} {
		if _, err := puppet.ParseScript(script); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	wrong(strings.TrimSpace(s.Script) == "", "it has no script")
	return errors.Join(errs...)
}

// Title is the sentence that says what the scenario shows.
func (s *Scenario) Title() string {
	first, _, _ := strings.Cut(s.About, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// Format writes the scenario as Parse reads it.
func (s *Scenario) Format() ([]byte, error) {
	archive := &txtar.Archive{Comment: []byte(s.About + "\n\n")}
	add := func(name string, text []byte) {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: text})
	}
	header, err := yaml.Marshal(s)
	if err != nil {
		return nil, err
	}
	add(headerFile, header)
	for _, part := range []struct{ name, text string }{{scriptFile, s.Script}, {ordersFile, s.Orders}, {twinFile, s.TwinScript}, {configFile, s.Config}} {
		if part.text != "" {
			add(part.name, []byte(part.text))
		}
	}
	for _, part := range []struct {
		dir   string
		tools map[string][]Tool
	}{{serversDir, s.Tools}, {laterDir, s.Later}} {
		for _, name := range slices.Sorted(maps.Keys(part.tools)) {
			text, err := yaml.Marshal(part.tools[name])
			if err != nil {
				return nil, err
			}
			add(part.dir+"/"+name+yamlEnding, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Policies)) {
		add(policyDir+"/"+name, []byte(s.Policies[name]))
	}
	return txtar.Format(archive), nil
}

//go:embed attacks
var embedded embed.FS

// All are those that come with Sallyport, by name.
func All() ([]*Scenario, error) {
	names, err := fs.Glob(embedded, "attacks/*.txtar")
	if err != nil {
		return nil, err
	}
	var all []*Scenario
	for _, name := range names {
		text, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Scenario) int { return natural(a.Name, b.Name) })
	return all, nil
}

// natural sorts S2 before S10.
func natural(a, b string) int {
	number := func(s string) (n int, rest string) {
		rest = strings.TrimLeft(s, "S")
		for rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			n, rest = n*10+int(rest[0]-'0'), rest[1:]
		}
		return n, rest
	}
	na, ra := number(a)
	nb, rb := number(b)
	if na != nb {
		return na - nb
	}
	return strings.Compare(ra, rb)
}
