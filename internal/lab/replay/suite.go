package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport"
)

// Suite is one server with its tools, and the runs that were recorded of it.
type Suite struct {
	Name  string
	Tools []Tool
	// Writes are the tools whose calls count as acts when scoring.
	Writes []string
	Runs   []Run

	// Goals are the acts that each attacker's goal takes, by the goal's name.
	Goals map[string][]Call
}

// Tool is what a server says of a tool.
type Tool struct {
	Name        string
	Description string
	Schema      sallyport.Value
}

// Run is one recorded run: what the user said, and what the agent did.
type Run struct {
	Set    Set
	Model  string // that did it; "" for a run that nobody had to do
	Task   string
	Goal   string // of the attacker
	Prompt string
	Calls  []Call
}

// Set says what a run is replayed for.
type Set string

// The sets.
const (
	Benign   Set = "benign"   // the user's task, and nobody attacks
	Attacked Set = "attacked" // the agent obeys the attacker
	Self     Set = "self"     // the same, aimed at somebody within the record that carried the attack
	Resisted Set = "resisted" // the attack is read, and the agent ignores it
	Control  Set = "control"  // the attacker's goal, asked for by the user
)

// Call is one recorded call, and what came back.
type Call struct {
	Tool     string
	Args     sallyport.Value
	Text     string          // as the model saw it
	JSON     sallyport.Value // the same as structured content; absent where it was not recorded
	Injected bool            // the attacker wants it, not the user
}

// suiteFile is the format of a recorded suite. Members that are not here are
// left alone.
type suiteFile struct {
	Texts map[string]string `json:"texts"`
	Tools []struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"input_schema"`
	} `json:"tools"`
	Tasks []struct {
		ID     string     `json:"id"`
		Prompt string     `json:"prompt"`
		Calls  []callFile `json:"calls"`
	} `json:"user_tasks"`
	Goals []struct {
		ID    string     `json:"id"`
		Goal  string     `json:"goal"`
		Calls []callFile `json:"calls"`
	} `json:"injection_tasks"`
	Attacked []struct {
		Task  string     `json:"user_task"`
		Goal  string     `json:"injection_task"`
		Calls []callFile `json:"calls"`
		Worst []callFile `json:"worst_case"`
		Self  []callFile `json:"self_target"`
	} `json:"attacked"`
	Writes []string `json:"side_effecting"`
}

// callFile is a call as suites and transcripts have it. Result and ResultJSON
// are keys of the suite's texts or, where it has none, the texts themselves.
type callFile struct {
	Tool       string          `json:"tool"`
	Args       json.RawMessage `json:"args"`
	Result     *string         `json:"result"`
	ResultJSON *string         `json:"result_json"`
	JSON       json.RawMessage `json:"json"` // of transcripts
	Origin     string          `json:"origin"`
	Error      json.RawMessage `json:"error"`
}

// readSuite reads a suite's file, which must hold together: a call that nobody
// can replay would make the figures of another suite.
func readSuite(file string) (*Suite, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f suiteFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, plainly(err))
	}
	s, err := f.suite()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.Name = nameOf(file)
	return s, nil
}

// plainly says what of a JSON text is not what the format has there.
func plainly(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is a JSON %s, and has to be %s (byte %d)", wrong.Field, wrong.Value, wrong.Type, wrong.Offset)
	}
	if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("no JSON: %w (byte %d)", broken, broken.Offset)
	}
	return err
}

// nameOf makes of a file's name one that a server may have.
func nameOf(file string) string {
	base, _, _ := strings.Cut(filepath.Base(file), ".")
	return serverName(base)
}

func serverName(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	if plain = strings.Trim(plain, "-"); plain == "" {
		return "suite"
	}
	return plain[:min(len(plain), 64)]
}

func (f *suiteFile) suite() (*Suite, error) {
	s := &Suite{Writes: f.Writes, Goals: map[string][]Call{}}
	switch {
	case len(f.Tools) == 0:
		return nil, errors.New("tools is empty or missing: nothing can be replayed without them")
	case f.Writes == nil:
		return nil, errors.New("side_effecting is missing: nobody knows which calls count as acts")
	case len(f.Tasks) == 0 && len(f.Attacked) == 0:
		return nil, errors.New("user_tasks and attacked are empty or missing")
	}
	for i, t := range f.Tools {
		schema, err := sallyport.Parse(t.Schema)
		switch {
		case t.Name == "":
			return nil, fmt.Errorf("tools[%d].name is missing", i)
		case slices.ContainsFunc(s.Tools, func(other Tool) bool { return other.Name == t.Name }):
			return nil, fmt.Errorf("tools[%d].name: there are two tools called %q", i, t.Name)
		case err != nil:
			return nil, fmt.Errorf("tools[%d] (%s).input_schema: %w", i, t.Name, err)
		case schema.Type() != sallyport.Object:
			return nil, fmt.Errorf("tools[%d] (%s).input_schema has to be an object", i, t.Name)
		}
		s.Tools = append(s.Tools, Tool{t.Name, t.Description, schema})
	}
	prompts := map[string]string{}
	for i, t := range f.Tasks {
		where := fmt.Sprintf("user_tasks[%d] (%s)", i, t.ID)
		if t.ID == "" || t.Prompt == "" {
			return nil, fmt.Errorf("%s needs an id and a prompt", where)
		}
		calls, err := f.calls(where+".calls", t.Calls, s.Tools)
		if err != nil {
			return nil, err
		}
		prompts[t.ID] = t.Prompt
		s.Runs = append(s.Runs, Run{Set: Benign, Task: t.ID, Prompt: t.Prompt, Calls: calls})
	}
	for i, g := range f.Goals {
		where := fmt.Sprintf("injection_tasks[%d] (%s)", i, g.ID)
		if g.ID == "" || g.Goal == "" {
			return nil, fmt.Errorf("%s needs an id and a goal", where)
		}
		calls, err := f.calls(where+".calls", g.Calls, s.Tools)
		if err != nil {
			return nil, err
		}
		s.Goals[g.ID] = calls
		s.Runs = append(s.Runs, Run{Set: Control, Goal: g.ID, Prompt: g.Goal, Calls: calls})
	}
	for i, a := range f.Attacked {
		where := fmt.Sprintf("attacked[%d] (%s, %s)", i, a.Task, a.Goal)
		prompt, known := prompts[a.Task]
		if !known {
			return nil, fmt.Errorf("%s.user_task is none of user_tasks", where)
		}
		if _, known := s.Goals[a.Goal]; !known {
			return nil, fmt.Errorf("%s.injection_task is none of injection_tasks", where)
		}
		for _, of := range []struct {
			set   Set
			field string
			calls []callFile
		}{{Attacked, ".worst_case", a.Worst}, {Self, ".self_target", a.Self}, {Resisted, ".calls", a.Calls}} {
			if of.calls == nil {
				continue // it can't be re-aimed, or was not recorded
			}
			calls, err := f.calls(where+of.field, of.calls, s.Tools)
			if err != nil {
				return nil, err
			}
			s.Runs = append(s.Runs, Run{Set: of.set, Task: a.Task, Goal: a.Goal, Prompt: prompt, Calls: calls})
		}
	}
	return s, nil
}

func (f *suiteFile) calls(where string, calls []callFile, tools []Tool) ([]Call, error) {
	all := make([]Call, 0, len(calls))
	for i := range calls {
		at := fmt.Sprintf("%s[%d] (%s)", where, i, calls[i].Tool)
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == calls[i].Tool }) {
			return nil, fmt.Errorf("%s.tool is none of tools", at)
		}
		call, err := calls[i].call(at, f.text)
		if err != nil {
			return nil, err
		}
		all = append(all, call)
	}
	return all, nil
}

// text resolves a key of the suite's texts.
func (f *suiteFile) text(key string) (string, error) {
	if f.Texts == nil {
		return key, nil
	}
	text, ok := f.Texts[key]
	if !ok {
		return "", fmt.Errorf("texts has no %q", key)
	}
	return text, nil
}

func (c *callFile) call(at string, text func(key string) (string, error)) (Call, error) {
	call := Call{Tool: c.Tool, Injected: c.Origin == "injection"}
	var err error
	args := c.Args
	if isNull(args) {
		args = []byte("{}")
	}
	if call.Args, err = sallyport.Parse(args); err != nil {
		return call, fmt.Errorf("%s.args: %w", at, err)
	}
	if call.Args.Type() != sallyport.Object {
		return call, fmt.Errorf("%s.args has to be an object", at)
	}
	if c.Result != nil {
		if call.Text, err = text(*c.Result); err != nil {
			return call, fmt.Errorf("%s.result: %w", at, err)
		}
	}
	structured := c.JSON
	if c.ResultJSON != nil {
		resolved, err := text(*c.ResultJSON)
		if err != nil {
			return call, fmt.Errorf("%s.result_json: %w", at, err)
		}
		structured = []byte(resolved)
	}
	if !isNull(structured) {
		if call.JSON, err = sallyport.Parse(structured); err != nil {
			return call, fmt.Errorf("%s: its result as JSON: %w", at, err)
		}
	}
	if c.Result == nil && c.ResultJSON == nil && isNull(c.JSON) && isNull(c.Error) {
		return call, fmt.Errorf("%s has no result: what came back is missing", at)
	}
	if call.Text == "" && !isNull(c.Error) {
		call.Text = string(c.Error)
	}
	return call, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
