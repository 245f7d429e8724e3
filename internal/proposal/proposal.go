// Package proposal turns what import found into a configuration and a policy
// for a human to confirm.
package proposal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	cedarast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sallyport"
	"sallyport/internal/config"
	"sallyport/internal/importer"
	"sallyport/internal/kill"
	"sallyport/internal/policy"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// importRole is the role of the agents that import declares.
const importRole = "developer"

// importPolicy is the file of the starter policy, in the state directory.
const importPolicy = "policy/imported.cedar"

// listWithin is how long a server may take to list its tools for a proposal.
const listWithin = 30 * time.Second

// Look lists the tools of servers that were found, so that effects can be
// proposed for them. It starts them as their clients do. A server that does
// not answer is proposed without tools, and reported.
func Look(ctx context.Context, servers []importer.Server, version string) (proposals []importer.Proposal, silent map[string]error) {
	reached := upstream.New(upstream.Options{
		Heard: func(string, string, sallyport.Principal, wire.Message) {}, Log: slog.New(slog.DiscardHandler), Version: version, Kills: &kill.Switch{},
	})
	defer reached.Close()
	var configs []upstream.Server
	for _, s := range servers {
		configs = append(configs, reachedAs(s))
	}
	silent = map[string]error{}
	if err := reached.Configure(configs); err != nil {
		for _, s := range servers {
			silent[s.Name] = err
		}
		configs = nil
	}
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	listed := make([]importer.Listed, len(servers))
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i, s := range servers {
		listed[i].Server = s
		if configs == nil || s.Disabled {
			continue
		}
		wait.Go(func() {
			m, err := reached.Manifest(ctx, s.Name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent[s.Name] = err
				return
			}
			for _, key := range m.Keys() {
				if kind, _ := key.Split(); kind == sallyport.KindTool {
					listed[i].Tools = append(listed[i].Tools, importer.ToolOf(m.Items[key].Raw))
				}
			}
		})
	}
	wait.Wait()
	return importer.Propose(listed), silent
}

func reachedAs(s importer.Server) upstream.Server {
	reveal := func(texts map[string]importer.Text) map[string]string {
		plain := make(map[string]string, len(texts))
		for name, text := range texts {
			plain[name] = text.Reveal()
		}
		return plain
	}
	next := upstream.Server{Name: s.Name, Command: s.Command, Dir: s.Cwd, URL: s.URL.Reveal()}
	for _, arg := range s.Args {
		next.Args = append(next.Args, arg.Reveal())
	}
	if s.Transport == importer.Stdio {
		next.Env = reveal(s.Env)
	} else {
		next.Transport, next.Headers = upstream.Transport(s.Transport), reveal(s.Headers)
	}
	return next
}

// Files are what import would write into a state directory.
type Files struct {
	Config []byte   // sallyport.yaml as it would be
	Policy []byte   // starter policy, added to what there is
	Agents []string // that the configuration declares for the clients
}

// New makes of what was found a configuration and a policy, on top of what the
// state directory has already.
func New(dir string, clients []importer.Client, proposals []importer.Proposal) (Files, error) {
	user := userName()
	servers, err := importer.ServersYAML(proposals)
	if err != nil {
		return Files{}, err
	}
	var p Files
	if p.Policy, err = newRules(dir, importer.StarterPolicy(importRole, proposals)); err != nil {
		return p, err
	}
	var agents strings.Builder
	for _, client := range clients {
		p.Agents = append(p.Agents, string(client))
		fmt.Fprintf(&agents, "  %s: {role: %s, for: %s}\n", client, importRole, user)
	}
	name := filepath.Join(dir, "sallyport.yaml")
	people := fmt.Sprintf("roles: [%s]\nusers:\n  %s: {roles: [%s], groups: [owner]}\nagents:\n%s", importRole, user, importRole, agents.String())
	existing, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Config = fmt.Appendf(nil, "# Made by sallyport import. Every key is in docs/configuration.md.\n\nlisten: 127.0.0.1:7717\npolicy: [policy]\n\n%s\n%s", servers, people)
	case err != nil:
		return p, err
	default:
		if p.Config, err = merge(existing, append(servers, people...)); err != nil {
			return p, fmt.Errorf("adding to %s: %w", name, err)
		}
	}
	c, err := config.Parse(name, p.Config)
	if err == nil && !slices.Contains(c.Declared().Groups, "owner") {
		// The user was there already. Who answers the policy's questions must
		// be declared all the same.
		if p.Config, err = merge(p.Config, []byte("users:\n  owner: {groups: [owner]}\n")); err == nil {
			_, err = config.Parse(name, p.Config)
		}
	}
	return p, err
}

// newRules leaves out of a policy the rules whose names are taken: every import
// proposes the same questions about effects.
func newRules(dir, text string) ([]byte, error) {
	taken := map[types.String]bool{}
	existing, err := filepath.Glob(filepath.Join(dir, "policy", "*.cedar"))
	if err != nil {
		return nil, err
	}
	for _, name := range existing {
		file := policy.File{Name: name}
		if file.Text, err = os.ReadFile(name); err != nil {
			return nil, err
		}
		statements, _ := file.Statements() // a broken file is reported when it is loaded
		for _, s := range statements {
			taken[idOf(s.Policy)] = true
		}
	}
	statements, problems := policy.File{Name: "proposal", Text: []byte(text)}.Statements()
	if len(problems) > 0 {
		return nil, problems
	}
	var out []byte
	from, fresh := 0, false
	for i, s := range statements {
		end := len(text)
		if i+1 < len(statements) {
			end = statements[i+1].Policy.Position.Offset
		}
		if taken[idOf(s.Policy)] {
			out = append(out, text[from:s.Policy.Position.Offset]...)
		} else {
			out, fresh = append(out, text[from:end]...), true
		}
		from = end
	}
	if !fresh {
		return nil, nil // nothing but comments
	}
	return out, nil
}

func idOf(p *cedarast.Policy) types.String {
	for _, a := range p.Annotations {
		if a.Key == "id" {
			return a.Value
		}
	}
	return ""
}

// merge adds to a configuration what it does not have: members of mappings and
// items of lists. What is there stays as it is.
func merge(existing, more []byte) ([]byte, error) {
	into, err := parser.ParseBytes(existing, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	from, err := parser.ParseBytes(more, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if len(into.Docs) == 0 || into.Docs[0].Body == nil || into.Docs[0].Body.Type() == ast.CommentType {
		return append(existing, more...), nil // nothing but comments
	}
	old, isMapping := into.Docs[0].Body.(*ast.MappingNode)
	added, alsoMapping := from.Docs[0].Body.(*ast.MappingNode)
	if !isMapping || !alsoMapping {
		return nil, errors.New("the configuration is not a mapping")
	}
	for _, value := range added.Values {
		key := value.Key.GetToken().Value
		at := slices.IndexFunc(old.Values, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == key })
		if at < 0 {
			old.Merge(&ast.MappingNode{BaseNode: &ast.BaseNode{}, Start: value.GetToken(), Values: []*ast.MappingValueNode{value}})
			continue
		}
		if err := mergeValue(old.Values[at], value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return []byte(into.String()), nil
}

func mergeValue(old, added *ast.MappingValueNode) error {
	switch into := old.Value.(type) {
	case *ast.MappingNode:
		from, ok := added.Value.(*ast.MappingNode)
		if !ok {
			return errors.New("is not a mapping")
		}
		if into.IsFlowStyle {
			ast.Walk(inFlow{}, from)
		}
		for _, value := range from.Values {
			name := value.Key.GetToken().Value
			if !slices.ContainsFunc(into.Values, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == name }) {
				into.Merge(&ast.MappingNode{BaseNode: &ast.BaseNode{}, Start: value.GetToken(), Values: []*ast.MappingValueNode{value}})
			}
		}
	case *ast.SequenceNode:
		var have, want []string
		if err := errors.Join(yaml.NodeToValue(into, &have), yaml.NodeToValue(added.Value, &want)); err != nil {
			return err
		}
		from, ok := added.Value.(*ast.SequenceNode)
		if !ok {
			return errors.New("is not a list")
		}
		for i, item := range want {
			if !slices.Contains(have, item) {
				into.Values = append(into.Values, from.Values[i])
			}
		}
	default:
		return errors.New("has no mapping or list to add to")
	}
	return nil
}

// inFlow writes everything that it visits in one line, as a mapping that stands
// in one line needs it.
type inFlow struct{}

func (v inFlow) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.MappingNode:
		node.SetIsFlowStyle(true)
	case *ast.SequenceNode:
		node.SetIsFlowStyle(true)
	}
	if node.GetComment() != nil {
		node.SetComment(nil)
	}
	return v
}

// Write puts the files into the state directory.
func (p Files) Write(dir string) error {
	policyFile := filepath.Join(dir, importPolicy)
	if err := os.MkdirAll(filepath.Dir(policyFile), 0o700); err != nil {
		return err
	}
	before, err := os.ReadFile(policyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(
		os.WriteFile(policyFile, append(before, p.Policy...), 0o600),
		os.WriteFile(filepath.Join(dir, "sallyport.yaml"), p.Config, 0o600),
	)
}
