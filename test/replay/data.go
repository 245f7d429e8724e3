package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sallyport"
	"sallyport/internal/importer"
	"sallyport/internal/scope"
)

// suite is one file of recorded tasks, as the README beside the data says.
type suite struct {
	Name      string
	Texts     map[string]string `json:"texts"`
	Tools     []toolSpec        `json:"tools"`
	Tasks     []task            `json:"user_tasks"`
	Goals     []goal            `json:"injection_tasks"`
	Attacked  []attacked        `json:"attacked"`
	Mutations []string          `json:"side_effecting"`
}

type toolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Full        string          `json:"full_docstring"`
	Schema      json.RawMessage `json:"input_schema"`
}

type task struct {
	ID     string `json:"id"`
	Prompt string `json:"prompt"`
	Calls  []call `json:"calls"`
}

type goal struct {
	ID    string `json:"id"`
	Goal  string `json:"goal"`
	Calls []call `json:"calls"`
}

// call is one recorded call. Result and ResultJSON are keys of the suite's
// texts, or the texts themselves.
type call struct {
	Tool       string          `json:"tool"`
	Args       json.RawMessage `json:"args"`
	Result     string          `json:"result"`
	ResultJSON string          `json:"result_json"`
	JSON       json.RawMessage `json:"json"`   // ResultJSON in transcripts
	Origin     string          `json:"origin"` // user or injection, in what is attacked
	Error      json.RawMessage `json:"error"`
}

type attacked struct {
	Task    string `json:"user_task"`
	Goal    string `json:"injection_task"`
	Calls   []call `json:"calls"`      // when the agent is not hijacked
	Worst   []call `json:"worst_case"` // when it obeys
	Self    []call `json:"self_target"`
	Reached bool   `json:"security_worst_case"`
}

func load(dir, name string, rewrite func([]byte) []byte) (*suite, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		return nil, err
	}
	raw = rewrite(raw)
	s := &suite{Name: name}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *suite) text(key string) string {
	if t, ok := s.Texts[key]; ok {
		return t
	}
	return key
}

// tools are the suite's tools as the gateway would know them, in a second
// look at their schemas alone: effects as import proposes them from names and
// descriptions, unconfirmed.
func (s *suite) tools() ([]*scope.Tool, error) {
	listed := importer.Listed{Server: importer.Server{Name: s.Name}}
	for _, t := range s.Tools {
		listed.Tools = append(listed.Tools, importer.Tool{Name: t.Name, Description: t.Description})
	}
	effects := map[string]sallyport.Effect{}
	for _, p := range importer.Propose([]importer.Listed{listed}) {
		for _, e := range p.Tools {
			effects[e.Tool] = e.Effect
		}
	}
	var all []*scope.Tool
	for _, t := range s.Tools {
		schema, err := sallyport.Parse(t.Schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		tool := &scope.Tool{Server: s.Name, Name: t.Name, Description: t.Description, Schema: schema}
		if e, ok := effects[t.Name]; ok {
			tool.Effects = []sallyport.Effect{e}
		}
		all = append(all, tool)
	}
	return all, nil
}
