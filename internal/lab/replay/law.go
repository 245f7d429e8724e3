package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/app/ruling"
	"sallyport/internal/config"
	"sallyport/internal/identity"
	"sallyport/internal/importer"
	"sallyport/internal/policy"
	"sallyport/internal/starter"
)

// Law is what the recorded calls are judged by.
type Law struct {
	ruling *ruling.Ruling
	agent  string // that makes the calls
}

// permitAll goes with the starter's rules about flow: they only ask, and what
// they do is measured where everything else is permitted.
const permitAll = `@id("replay-permits-all")
permit (principal, action, resource);
`

// Starter is the law without any of the user's: the rules about flow that come
// with sallyport, and nothing refused.
func Starter() (*Law, error) {
	text, err := starter.Files.ReadFile("policy/flow.cedar")
	if err != nil {
		return nil, err
	}
	return lawOf([]policy.File{{Name: "flow.cedar", Text: text}, {Name: "replay.cedar", Text: []byte(permitAll)}})
}

// ReadLaw reads the user's policies: a directory with a sallyport.yaml, or one
// with policies alone. agent makes the calls; it need not be named where there
// is but one.
func ReadLaw(dir, agent string) (*Law, error) {
	file := filepath.Join(dir, "sallyport.yaml")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if agent != "" {
			return nil, fmt.Errorf("there is no sallyport.yaml in %s that declares agent %s", dir, agent)
		}
		return readPolicies(dir)
	}
	r, err := ruling.Read(file)
	if err != nil {
		return nil, err
	}
	agents := slices.Sorted(maps.Keys(r.Config.Agents))
	switch _, declared := r.Config.Agents[agent]; {
	case len(agents) == 0:
		return nil, fmt.Errorf("%s declares no agent, and somebody has to make the calls", file)
	case agent == "" && len(agents) == 1:
		agent = agents[0]
	case agent == "":
		return nil, fmt.Errorf("%s declares %s: say with --agent which one makes the calls", file, strings.Join(agents, ", "))
	case !declared:
		return nil, fmt.Errorf("%s declares no agent %s, but %s", file, agent, strings.Join(agents, ", "))
	}
	return &Law{r, agent}, nil
}

func readPolicies(dir string) (*Law, error) {
	var files []policy.File
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".cedar") {
			return err
		}
		text, err := os.ReadFile(name)
		files = append(files, policy.File{Name: name, Text: text})
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no sallyport.yaml and no *.cedar file in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	return lawOf(files)
}

var asked = regexp.MustCompile(`@ask\("([^"]*)"\)`)

// lawOf is the law of policies for which nobody declared people: one agent, and
// one user who is in every group that they ask.
func lawOf(files []policy.File) (*Law, error) {
	var groups []string
	for _, f := range files {
		for _, m := range asked.FindAllStringSubmatch(string(f.Text), -1) {
			for group := range strings.SplitSeq(m[1], ",") {
				groups = append(groups, strings.TrimSpace(group))
			}
		}
	}
	slices.Sort(groups)
	text := fmt.Sprintf("roles: [agent]\nusers: {user: {groups: [%s]}}\nagents: {agent: {role: agent, for: user}}\n",
		strings.Join(slices.Compact(groups), ", "))
	c, err := config.Parse("sallyport.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return &Law{&ruling.Ruling{Config: c, Files: files}, "agent"}, nil
}

// over is the ruling with a suite's server, as it is configured there or, where
// it is not, as import would propose it: from what its tools are called and say
// of themselves, unconfirmed. What is declared of such a server is about none of
// its tools or fields: it was looked at, and its texts come from a serialiser.
func (l *Law) over(s *Suite) *ruling.Ruling {
	over, c := *l.ruling, *l.ruling.Config
	over.Config = &c
	c.Servers = maps.Clone(c.Servers)
	if c.Servers == nil {
		c.Servers = map[string]config.Server{}
	}
	for _, other := range l.others(s) {
		c.Servers[other.Server] = config.Server{}
	}
	if _, configured := c.Servers[s.Name]; configured {
		return &over
	}
	listed := importer.Listed{}
	for _, t := range s.Tools {
		listed.Tools = append(listed.Tools, importer.Tool{Name: t.Name, Description: t.Description})
	}
	server := config.Server{Trust: "vetted", Serialised: true, Effects: map[string]config.EffectList{}}
	for _, t := range s.Tools {
		if open(t.Schema) {
			server.Undeclared = append(server.Undeclared, t.Name)
		}
	}
	for _, p := range importer.Propose([]importer.Listed{listed}) {
		for _, t := range p.Tools {
			server.Effects[t.Tool] = config.EffectList{t.Effect}
		}
	}
	c.Servers[s.Name] = server
	return &over
}

var action = regexp.MustCompile(`Action::"([a-z0-9][a-z0-9-]{0,63})/tool:([^"]+)"`)

// others are the tools of other servers that rules name, such as those of the
// demo in the starter's: nobody calls them, but a rule that names a tool which
// nobody has is no rule.
func (l *Law) others(s *Suite) []sallyport.Definition {
	var all []sallyport.Definition
	for _, f := range l.ruling.Files {
		for _, m := range action.FindAllStringSubmatch(string(f.Text), -1) {
			d := sallyport.Definition{Server: m[1], Name: m[2]}
			known := slices.ContainsFunc(all, func(other sallyport.Definition) bool { return other.Server == d.Server && other.Name == d.Name })
			if _, configured := l.ruling.Config.Servers[d.Server]; !known && !configured && d.Server != s.Name {
				all = append(all, d)
			}
		}
	}
	return all
}

// open reports whether a schema says somewhere that it takes more than it names.
func open(schema sallyport.Value) bool {
	for path, leaf := range schema.Leaves() {
		if strings.HasSuffix(string(path), "additionalProperties") && leaf.Type() == sallyport.True {
			return true
		}
	}
	return false
}

// people are who is declared, for the package that identifies them.
func (l *Law) people() identity.People {
	people := identity.People{Users: map[string]identity.User{}, Agents: map[string]identity.Agent{}}
	for name, user := range l.ruling.Config.Users {
		people.Users[name] = identity.User(user)
	}
	for name, agent := range l.ruling.Config.Agents {
		people.Agents[name] = identity.Agent{Role: agent.Role, User: agent.For, Tenant: agent.Tenant}
	}
	return people
}
