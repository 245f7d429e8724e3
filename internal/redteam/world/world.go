// Package world is what is attacked: somebody's configuration, policy and pins,
// and how a throw-away gateway is made of them.
package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sallyport"
	"sallyport/internal/app/ruling"
	"sallyport/internal/config"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/redteam/argument"
	"sallyport/internal/store"
)

// World is what is attacked: a configuration, its policy, and what was accepted
// of its servers.
type World struct {
	Config *config.Config
	text   []byte // of the configuration
	files  []policy.File
	pins   []pin.Pin
	Tools  []sallyport.Definition // that can be called, in order
}

// ErrNothingPinned says that no server of a configuration was ever accepted, so
// that nobody knows what it offers.
var ErrNothingPinned = errors.New("nothing of the configured servers is pinned yet: run sallyport up, look at them (sallyport servers pin), and come back; or try --demo")

// Read reads a configuration and its policy, and the pins of a state directory,
// also beside a gateway that runs. It changes nothing there.
func Read(ctx context.Context, name, dir string) (*World, error) {
	log, err := store.OpenReader(dir)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNothingPinned, err)
	}
	defer log.Close()
	pins, err := log.Pins(ctx)
	if err != nil {
		return nil, err
	}
	return New(name, pins)
}

// New is the world of a configuration file, with these pins.
func New(name string, pins []pin.Pin) (*World, error) {
	r, err := ruling.Read(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	w := &World{Config: r.Config, text: text, files: r.Files, pins: pins}
	for _, d := range r.Definitions(pins) {
		if d.Kind == sallyport.KindTool {
			w.Tools = append(w.Tools, d)
		}
	}
	if len(w.Tools) == 0 {
		return nil, ErrNothingPinned
	}
	return w, nil
}

// Listed are the pinned items of one kind of a server, as it sent them.
func (w *World) Listed(server string, kind sallyport.Kind) []string {
	var items []string
	for _, pin := range w.pins {
		if k, _ := pin.Key.Split(); pin.Server == server && k == kind && pin.Raw != nil {
			items = append(items, string(pin.Raw))
		}
	}
	return items
}

// Has reports whether there is such a tool.
func (w *World) Has(server, tool string) bool {
	return slices.ContainsFunc(w.Tools, func(d sallyport.Definition) bool { return d.Server == server && d.Name == tool })
}

// Source is what the program that speaks for the user is called. No
// configuration can have a source of this name: it would be a user's.
const Source = "redteam-user"

// reachKeys say how a server is reached. They are replaced: nothing real is
// touched.
var reachKeys = []string{"builtin", "command", "args", "env", "cwd", "url", "transport", "headers", "allow_addresses"}

// outsideKeys are about the outside of a gateway, which a throw-away one has
// not. The mode is left out, too: what is asked is what the policy stops.
var outsideKeys = []string{"listen", "tls", "dir", "mode", "listeners", "hosts", "origins", "telemetry", "retention"}

// Write writes configuration and policy for a throw-away gateway whose servers
// are below a URL. All that is not said to be left out stays as it is.
func (w *World) Write(dir, url string, agents []string) error {
	tree, err := tree(w.text)
	if err != nil {
		return err
	}
	for _, key := range outsideKeys {
		delete(tree, key)
	}
	servers, err := w.Said()
	if err != nil {
		return err
	}
	for name, server := range servers {
		server["url"], server["transport"] = url+name, "http"
	}
	tree["servers"] = servers
	var users []string
	for _, agent := range agents {
		users = append(users, w.Config.Agents[agent].For)
	}
	tree["sources"] = map[string]any{Source: map[string]any{"kind": "orchestrator", "agents": agents, "users": slices.Compact(slices.Sorted(slices.Values(users)))}}
	tree["listen"], tree["pin"], tree["policy"] = "127.0.0.1:0", "trust-first-use", []string{"policy"}
	tree["approvals"] = map[string]any{"expire": "1s"} // nobody answers, and questions must not pile up
	text, err := json.Marshal(tree)                    // which is YAML
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sallyport.yaml"), text, 0o600); err != nil {
		return err
	}
	for _, file := range w.Policies() {
		name := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, file.Text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// People are the configuration without its servers, as YAML: who there is, for
// scenarios.
func (w *World) People() (string, error) {
	tree, err := tree(w.text)
	if err != nil {
		return "", err
	}
	for _, key := range append([]string{"servers", "sources"}, outsideKeys...) {
		delete(tree, key)
	}
	tree["listen"], tree["policy"] = "127.0.0.1:0", []string{"policy"}
	text, err := yaml.Marshal(tree)
	return string(text), err
}

// Said is what the operator says of each server, but for how it is reached.
func (w *World) Said() (map[string]map[string]any, error) {
	tree, err := tree(w.text)
	if err != nil {
		return nil, err
	}
	said := map[string]map[string]any{}
	servers, _ := tree["servers"].(map[string]any)
	for name, s := range servers {
		if said[name], err = saidOf(name, s); err != nil {
			return nil, err
		}
	}
	return said, nil
}

func saidOf(name string, s any) (map[string]any, error) {
	server, ok := s.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("server %s has no settings", name)
	}
	if server["builtin"] != nil && server["trust"] == nil {
		server["trust"] = "first-party" // what being built in means
	}
	for _, key := range reachKeys {
		delete(server, key)
	}
	return server, nil
}

// Policies are the policy files under names of their own below "policy".
func (w *World) Policies() []policy.File {
	var files []policy.File
	taken := map[string]bool{}
	for i, file := range w.files {
		name := "policy/" + filepath.Base(file.Name)
		if taken[name] {
			name = fmt.Sprintf("policy/%d-%s", i, filepath.Base(file.Name))
		}
		taken[name] = true
		files = append(files, policy.File{Name: name, Text: file.Text})
	}
	return files
}

// tree is a configuration as names, lists and texts. Every scalar stays the
// text that it is: the configuration is read so.
func tree(text []byte) (map[string]any, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err
	}
	if len(file.Docs) == 0 {
		return map[string]any{}, nil
	}
	tree, ok := treeOf(file.Docs[0].Body).(map[string]any)
	if !ok {
		return nil, errors.New("the configuration is no mapping")
	}
	return tree, nil
}

func treeOf(node ast.Node) any {
	switch node := node.(type) {
	case *ast.MappingNode:
		m := map[string]any{}
		for _, value := range node.Values {
			m[value.Key.GetToken().Value] = treeOf(value.Value)
		}
		return m
	case *ast.MappingValueNode:
		return map[string]any{node.Key.GetToken().Value: treeOf(node.Value)}
	case *ast.SequenceNode:
		l := []any{}
		for _, value := range node.Values {
			l = append(l, treeOf(value))
		}
		return l
	case *ast.LiteralNode:
		return node.Value.Value
	case nil, *ast.NullNode:
		return nil
	default:
		return node.GetToken().Value
	}
}

// Agents are the agents that are attacked: the one that is named or, of each
// role and tenant, the first.
func (w *World) Agents(named string) ([]string, error) {
	if named != "" {
		if _, declared := w.Config.Agents[named]; !declared {
			return nil, fmt.Errorf("no agent %q is declared in the configuration; there are %s", named, strings.Join(slices.Sorted(maps.Keys(w.Config.Agents)), ", "))
		}
		return []string{named}, nil
	}
	var agents []string
	taken := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(w.Config.Agents)) {
		a := w.Config.Agents[name]
		key := a.Role + "/" + w.tenant(name)
		if !taken[key] {
			taken[key] = true
			agents = append(agents, name)
		}
	}
	if len(agents) == 0 {
		return nil, errors.New("the configuration declares no agents: nobody is there to be attacked")
	}
	return agents, nil
}

// tenant is the one that an agent acts in.
func (w *World) tenant(agent string) string {
	a := w.Config.Agents[agent]
	if a.Tenant != "" {
		return a.Tenant
	}
	return w.Config.Users[a.For].Tenant
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// Hints are the texts that the policy's rules name, the agent's own tenant and
// user first: what an attacker who has read the policy would try.
func (w *World) Hints(agent string) []string {
	hints := []string{w.tenant(agent), w.Config.Agents[agent].For}
	for _, file := range w.files {
		for _, m := range quoted.FindAllSubmatch(file.Text, -1) {
			if text := string(m[1]); !slices.Contains(hints, text) && len(text) < 80 && !strings.Contains(text, " ") {
				hints = append(hints, text)
			}
		}
	}
	return slices.DeleteFunc(hints, func(h string) bool { return h == "" })
}

// Done is what a tool answers that nobody has staged: what its output schema
// wants, or a word.
func (w *World) Done(server, tool string) string {
	for i := range w.Tools {
		d := &w.Tools[i]
		if raw := d.Raw.Get("outputSchema"); d.Server == server && d.Name == tool && raw.Type() == sallyport.Object {
			record := argument.ParseSchema(raw.Raw()).Full(nil, func(p argument.Place, leaf argument.Schema) any { return leaf.Choices(p.Name(), nil)[0] })
			return ResultOf(record, false)
		}
	}
	return `{"content":[{"type":"text","text":"ok"}]}`
}

// ResultOf is a record as a server returns it.
func ResultOf(record any, bare bool) string {
	text, err := json.Marshal(record)
	if err != nil {
		return `{"content":[]}`
	}
	content := string(sallyport.AppendString(nil, string(text)))
	if bare {
		return `{"content":[{"type":"text","text":` + content + `}]}`
	}
	return `{"content":[{"type":"text","text":` + content + `}],"structuredContent":` + string(text) + `}`
}
