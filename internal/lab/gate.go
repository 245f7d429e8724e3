package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/inbox"
	"sallyport/internal/lab/scenario"
	"sallyport/internal/policy"
	"sallyport/internal/starter"
)

// gateway is a gateway with the people around it: the human who has enrolled, and the launcher that begins runs.
type gateway struct {
	scenario.Gate
	dir      string
	control  *control.Client
	launcher string            // token
	agents   map[string]string // tokens of their own
}

const (
	secret       = "the secret of the lab" // of the human: the gateway lives as long as a scenario
	launcherName = "launcher"
)

// people and what they are asked about, as the starter has it.
const people = `listen: 127.0.0.1:0
policy: [policy]
tenants: [acme, globex]
roles: [assistant]
users:
  ana: {tenant: acme, roles: [assistant], groups: [finance, support-leads, infrastructure-leads]}
  ben: {tenant: acme, roles: [assistant]}
  gia: {tenant: globex, roles: [assistant]}
`

// mayAll is the policy of a scenario that has none: what stops the attack is then the flow rules alone.
const mayAll = `@id("assistants-may")
permit (principal in Role::"assistant", action, resource);
`

// The starter's rules that say nothing of roles: those about flow, and those about what scanners see.
const (
	flowRules    = "flow.cedar"
	scannerRules = "inspection.cedar"
)

// openGateway starts a gateway in front of a bench, with the starter's rules of these names, but for single ones, and
// accepts what the servers offer, but for those that are named.
func openGateway(ctx context.Context, open scenario.Open, s *scenario.Scenario, b *bench, rules, without, unaccepted []string) (_ *gateway, err error) {
	g := &gateway{agents: map[string]string{}}
	if g.dir, err = os.MkdirTemp("", "sallyport-lab-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close(ctx))
		}
	}()
	if err := g.write(s, b, rules, without); err != nil {
		return nil, err
	}
	if g.Gate, err = open(ctx, filepath.Join(g.dir, "state"), filepath.Join(g.dir, "sallyport.yaml")); err != nil {
		return nil, err
	}
	g.control = control.Local(g.Control)
	if _, err := control.Post[struct{}](ctx, g.control, "/human", control.Enrolment{Secret: secret}); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Servers)) {
		if !slices.Contains(unaccepted, name) && !slices.Contains(s.Beyond, name) {
			if err := g.accept(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	token, err := control.Post[control.SourceToken](ctx, g.control, "/sources",
		control.NewSource{Secret: secret, Name: launcherName, Lifetime: time.Hour})
	g.launcher = token.Token
	return g, err
}

func (g *gateway) close(ctx context.Context) error {
	var err error
	if g.Close != nil {
		err = g.Close(context.WithoutCancel(ctx))
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

// write writes what an operator would: sallyport.yaml, the starter's rules of these names, and the scenario's own.
func (g *gateway) write(s *scenario.Scenario, b *bench, rules, without []string) error {
	var config strings.Builder
	config.WriteString(peopleOf(s))
	servers := map[string]map[string]any{}
	if s.Config == "" {
		servers[scenario.DemoServer] = map[string]any{"builtin": scenario.DemoServer}
	} else {
		rules = nil
	}
	for name, said := range s.Servers {
		if slices.Contains(s.Beyond, name) {
			continue
		}
		server := map[string]any{"url": b.base + "/" + name, "transport": "http"}
		maps.Copy(server, said)
		servers[name] = server
	}
	text, err := yaml.Marshal(map[string]any{"servers": servers})
	if err != nil {
		return err
	}
	config.Write(text)
	files := map[string]string{}
	for _, name := range rules {
		text, err := fs.ReadFile(starter.Files, "policy/"+name)
		if err != nil {
			return err
		}
		files[name] = string(text)
	}
	if maps.Copy(files, s.Policies); len(s.Policies) == 0 {
		files["assistants.cedar"] = mayAll
	}
	for _, rule := range without {
		if err := remove(files, rule); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(g.dir, "policy"), 0o700); err != nil {
		return err
	}
	errs := []error{os.WriteFile(filepath.Join(g.dir, "sallyport.yaml"), []byte(config.String()), 0o600)}
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(g.dir, "policy", name), []byte(text), 0o600))
	}
	return errors.Join(errs...)
}

// peopleOf are those of the configuration, and who speaks for them.
func peopleOf(s *scenario.Scenario) string {
	agents := []string{s.First()}
	config := s.Config
	if config == "" {
		config = people + "agents:\n  " + scenario.MainAgent + ": {role: assistant, for: ana}\n"
		for _, name := range slices.Sorted(maps.Keys(s.Agents)) {
			config += fmt.Sprintf("  %s: {role: assistant, for: %s}\n", name, s.Agents[name].For)
			agents = append(agents, name)
		}
	}
	return config + fmt.Sprintf("sources:\n  %s: {kind: launcher, agents: [%s]}\n", launcherName, strings.Join(agents, ", "))
}

// remove takes a rule out of the policy files, and nothing else.
func remove(files map[string]string, rule string) error {
	for name, text := range files {
		statements, problems := policy.File{Name: name, Text: []byte(text)}.Statements()
		if len(problems) > 0 {
			return problems
		}
		for i, s := range statements {
			named := false
			for _, a := range s.Policy.Annotations {
				named = named || a.Key == "id" && string(a.Value) == rule
			}
			if !named {
				continue
			}
			end := len(text)
			if i+1 < len(statements) {
				end = statements[i+1].Policy.Position.Offset
			}
			files[name] = text[:s.Policy.Position.Offset] + text[end:]
			return nil
		}
	}
	return fmt.Errorf("no rule has the @id %q", rule)
}

// accept is a human who looks at what a server offers and agrees.
func (g *gateway) accept(ctx context.Context, server string) error {
	path := "/servers/" + url.PathEscape(server)
	changes, err := control.Get[control.Changes](ctx, g.control, path+"/changes")
	if err != nil {
		return err
	}
	_, err = control.Post[control.Accepted](ctx, g.control, path+"/accept", control.Accept{Secret: secret, Digest: changes.Digest})
	return err
}

// noticed waits until the gateway has seen that a server offers something else.
func (g *gateway) noticed(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		changes, err := control.Get[control.Changes](ctx, g.control, "/servers/"+url.PathEscape(server)+"/changes")
		if err != nil {
			return err
		}
		if len(changes.Changes) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway has not noticed that %s has changed", server)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// approve is a human who agrees to all that waits, and has read at the agent's end
// which number it was told. It says how many looks that took: equal questions are one.
func (g *gateway) approve(ctx context.Context) (looks int, err error) {
	all, err := control.Get[[]inbox.Question](ctx, g.control, "/approvals")
	if err != nil {
		return 0, err
	}
	looked := map[string]bool{}
	for _, waiting := range all {
		q, err := control.Get[inbox.Question](ctx, g.control, "/approvals/"+url.PathEscape(waiting.ID))
		if err != nil {
			return looks, err
		}
		if !looked[q.ID] {
			looks++
		}
		for _, equal := range q.Equal {
			looked[equal] = true
		}
		asked := sallyport.Approval{ID: q.ID, Digest: sallyport.DigestOf([]byte(q.Question))}
		answer := inbox.Answer{Digest: q.Digest, Approve: true, Proof: asking.Proof{Secret: secret, Typed: asked.Number()}}
		if _, err := control.Post[inbox.Question](ctx, g.control, "/approvals/"+url.PathEscape(q.ID), answer); err != nil {
			return looks, err
		}
	}
	return looks, nil
}

// run begins a run as a launcher does, and returns its token.
func (g *gateway) run(ctx context.Context, agent, task string) (string, error) {
	return g.beginRun(ctx, g.launcher, map[string]string{"agent": agent, "task": task})
}

// child begins a run below the one that the token is for.
func (g *gateway) child(ctx context.Context, token string) (string, error) {
	return g.beginRun(ctx, token, map[string]string{})
}

func (g *gateway) beginRun(ctx context.Context, token string, wanted map[string]string) (string, error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(g.URL, "/mcp")+"/v1/runs", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var begun struct{ Token, Error string }
	if err := json.NewDecoder(response.Body).Decode(&begun); err != nil {
		return "", err
	}
	if begun.Token == "" {
		return "", fmt.Errorf("no run was begun: %s", begun.Error)
	}
	return begun.Token, nil
}

// agent gives an agent a token of its own, once.
func (g *gateway) agent(ctx context.Context, name string) (string, error) {
	if g.agents[name] == "" {
		token, err := control.Post[control.Token](ctx, g.control, "/agents",
			control.NewAgent{Secret: secret, Name: name, Lifetime: identity.DefaultLifetime})
		if err != nil {
			return "", err
		}
		g.agents[name] = token.Token
	}
	return g.agents[name], nil
}

// entry is what the lab looks at of a line of the log.
type entry struct {
	Index                          uint64
	Type, Call, Server, Name       string
	Outcome, Cause, Reason, Action string
	Rules, Origins                 []string
}

// log are the lines of the log from an index on, as "log query" prints them.
func (g *gateway) log(ctx context.Context, from uint64) ([]entry, error) {
	body, err := g.control.Stream(ctx, http.MethodGet, "/log?limit=0", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var all []entry
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		if e.Index >= from {
			all = append(all, e)
		}
	}
	return all, lines.Err()
}
