package redteam

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/lab/puppet"
	"sallyport/internal/lab/scenario"
	"sallyport/internal/redteam/world"
)

// Write writes every way through into a directory, as a scenario that the lab
// plays again, and notes in the report which file it is.
func (r *Report) Write(dir string, w *world.World) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var errs []error
	for i := range r.Goals {
		for k := range r.Goals[i].Paths {
			p := &r.Goals[i].Paths[k]
			name := fmt.Sprintf("%03d-%02d", i+1, k+1)
			s, err := p.scenario(name, w)
			if err != nil {
				return err
			}
			text, err := s.Format()
			if err != nil {
				return err
			}
			p.File = filepath.Join(dir, name+"-"+plainName.ReplaceAllString(r.Goals[i].Sink+"-"+p.Moves[0], "-")+".txtar")
			errs = append(errs, os.WriteFile(p.File, text, 0o600))
		}
	}
	return errors.Join(errs...)
}

var plainName = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// scenario is a way through as the lab plays it.
func (p *Path) scenario(name string, w *world.World) (*scenario.Scenario, error) {
	g, a := p.goal, p.attack
	people, err := w.People()
	if err != nil {
		return nil, err
	}
	said, err := w.Said()
	if err != nil {
		return nil, err
	}
	s := &scenario.Scenario{
		About: fmt.Sprintf("What stands in %s makes %s call %s/%s, by %s.", g.source, g.Agent, g.sink.Server, g.sink.Name, strings.Join(p.Moves, " and ")),
		Name:  name, Task: a.task, Open: "a rule of this policy", Agent: g.Agent, Servers: said, Prompts: map[string][]string{},
		Payload: []puppet.Disguise{or(a.plan[disguised])}, Data: []puppet.Disguise{or(a.plan[wrapped])},
		Goal:   scenario.Goal{Call: g.sink.Server + "/" + g.sink.Name, Holds: p.landed},
		Script: lines(a.script), Orders: a.orders + "\n", Tools: map[string][]scenario.Tool{}, Policies: map[string]string{}, Config: people,
	}
	if a.task == "" {
		s.Credential = "agent"
	}
	for _, file := range w.Policies() {
		s.Policies[strings.TrimPrefix(file.Name, "policy/")] = string(file.Text)
	}
	for server := range said {
		s.Tools[server] = []scenario.Tool{}
		for _, text := range w.Listed(server, sallyport.KindTool) {
			s.Tools[server] = append(s.Tools[server], a.tool(server, text, w))
		}
		if prompts := w.Listed(server, sallyport.KindPrompt); prompts != nil {
			s.Prompts[server] = prompts
		}
	}
	return s, nil
}

func or(name string) puppet.Disguise {
	if name == "" {
		return "plain"
	}
	return puppet.Disguise(name)
}

func lines(script []puppet.Step) string {
	var b strings.Builder
	for _, step := range script {
		b.WriteString(step.String() + "\n")
	}
	return b.String()
}

// tool is a tool with what it answers in an attack.
func (a *attack) tool(server, definition string, w *world.World) scenario.Tool {
	name, _ := sallyport.MustParse(definition).Get("name").Text()
	tool := scenario.Tool{Name: name, Definition: definition}
	if at, keeps := a.keeps[server+"/"+name]; keeps && len(at) == 1 {
		tool.Keeps, _ = at[0].(string)
	}
	result, staged := a.answers[server+"/"+name]
	if !staged {
		result = w.Done(server, name)
	}
	var said struct {
		Content           []struct{ Text string }
		StructuredContent json.RawMessage
	}
	if json.Unmarshal([]byte(result), &said) != nil {
		return tool
	}
	// In its place is what the lab writes in every disguise that is asked for.
	payload := puppet.Payload(a.orders, or(a.plan[disguised]))
	quoted := string(sallyport.AppendString(nil, payload))
	hide := func(text string) string { return strings.ReplaceAll(text, quoted[1:len(quoted)-1], "{{payload}}") }
	switch {
	case said.StructuredContent != nil:
		tool.Answers = []scenario.Answer{{JSON: hide(canonical(said.StructuredContent))}}
	case len(said.Content) > 0:
		if text := said.Content[0].Text; strings.HasPrefix(text, "{") {
			tool.Answers = []scenario.Answer{{JSON: hide(canonical([]byte(text)))}}
		}
	}
	return tool
}

// canonical is JSON with its texts spelled as Sallyport spells them.
func canonical(text []byte) string {
	v, err := sallyport.Parse(text)
	if err != nil {
		return string(text)
	}
	return string(v.AppendCanonical(nil))
}

// landed are the texts that arrived where the attacker wanted them.
func (g *goal) landed(calls []reached, want []string) []string {
	var texts []string
	for _, c := range calls {
		texts = append(texts, g.reachedBy(c, want)...)
	}
	return slices.Compact(texts)
}
