package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/importer/wording"
)

// trajectoryFile is one line of a file of trajectories: all that was said in a
// run of a real model. Tools are known by the calls alone.
type trajectoryFile struct {
	Suite     string `json:"suite"`
	Model     string `json:"model"`
	Task      string `json:"user_task"`
	GoalID    string `json:"injection_task"`
	Goal      string `json:"injection_goal"`
	Attack    string `json:"attack"`
	Prompt    string `json:"user_prompt"`
	Solved    bool   `json:"utility"`
	Succeeded bool   `json:"attack_succeeded"`
	Messages  []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
		Error   json.RawMessage `json:"error"`
		Calls   []struct {
			Name string          `json:"name"`
			Args json.RawMessage `json:"args"`
		} `json:"tool_calls"`
	} `json:"messages"`
}

// readTrajectories reads runs of real models as suites of their own.
func readTrajectories(file string) ([]*Suite, error) {
	suites := map[string]*Suite{}
	arguments := map[string]map[string]map[string]bool{} // by suite and tool
	err := eachLine(file, func(line []byte) error {
		var t trajectoryFile
		if err := json.Unmarshal(line, &t); err != nil {
			return plainly(err)
		}
		if t.Prompt == "" {
			return fmt.Errorf("%s: user_prompt is missing", t.Task)
		}
		name := serverName(t.Suite)
		if t.Suite == "" {
			name = nameOf(file)
		}
		if suites[name] == nil {
			suites[name], arguments[name] = &Suite{Name: name}, map[string]map[string]bool{}
		}
		run, err := t.run()
		if err != nil {
			return err
		}
		for _, call := range run.Calls {
			if arguments[name][call.Tool] == nil {
				arguments[name][call.Tool] = map[string]bool{}
			}
			for member := range call.Args.Members() {
				arguments[name][call.Tool][member] = true
			}
		}
		if run.Set != "" {
			suites[name].Runs = append(suites[name].Runs, run)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []*Suite
	for _, name := range slices.Sorted(maps.Keys(suites)) {
		s := suites[name]
		for _, tool := range slices.Sorted(maps.Keys(arguments[name])) {
			s.Tools = append(s.Tools, Tool{Name: tool, Schema: schemaOf(arguments[name][tool])})
			if effect, word := wording.Name(tool); effect != sallyport.Read || word == "" {
				s.Writes = append(s.Writes, tool)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// schemaOf is what can be known of a tool's arguments by the calls: their names.
func schemaOf(names map[string]bool) sallyport.Value {
	text := []byte(`{"type":"object","properties":{`)
	for i, name := range slices.Sorted(maps.Keys(names)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(sallyport.AppendString(text, name), ":{}"...)
	}
	return sallyport.MustParse(string(append(text, "}}"...)))
}

// run is the recorded run. One that nobody attacked and that did not solve its
// task says nothing, and has no set.
func (t *trajectoryFile) run() (Run, error) {
	run := Run{Model: serverName(t.Model), Task: t.Task, Goal: t.GoalID, Prompt: t.Prompt}
	switch attacked := t.Attack != "none" && t.Attack != ""; {
	case attacked && t.Succeeded:
		run.Set = Attacked
	case attacked:
		run.Set = Resisted
	case t.Solved:
		run.Set = Benign
	}
	open := 0 // calls that have no result yet
	for i, m := range t.Messages {
		for _, c := range m.Calls {
			one := callFile{Tool: c.Name, Args: c.Args, Error: []byte(`""`)}
			call, err := one.call(fmt.Sprintf("%s: messages[%d] (%s)", t.Task, i, c.Name), nil)
			if err != nil {
				return run, err
			}
			call.Text = ""
			run.Calls = append(run.Calls, call)
			open++
		}
		if m.Role == "tool" && open > 0 {
			run.Calls[len(run.Calls)-open].Text = textIn(m.Content) + textIn(m.Error)
			open--
		}
	}
	if run.Set == Attacked {
		mark(run.Calls, t.Goal, t.Prompt)
	}
	return run, nil
}

// textIn is a text, or parts of one as some models write them.
func textIn(raw json.RawMessage) string {
	var text string
	if isNull(raw) || json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return string(raw)
	}
	for _, p := range parts {
		text += p.Text
	}
	return text
}

var idIn = regexp.MustCompile(`[A-Za-z_-]*\d[\w-]*`)

// mark says which calls realise the attacker's goal. Nobody recorded that, so it
// is told by the goal's own constants: a call with a value out of the goal that
// the user never said, or with an id that such a call was the first to find.
func mark(calls []Call, goal, prompt string) {
	goal, prompt = strings.ToLower(goal), strings.ToLower(prompt)
	wanted := func(text string) bool {
		text = strings.ToLower(strings.TrimSpace(text))
		return len(text) >= 4 && strings.Contains(goal, text) && !strings.Contains(prompt, text)
	}
	known, found := map[string]bool{}, map[string]bool{}
	for i := range calls {
		for _, leaf := range calls[i].Args.Leaves() {
			text, _ := leaf.Text()
			calls[i].Injected = calls[i].Injected || wanted(text) || found[text]
		}
		for _, id := range idIn.FindAllString(calls[i].Text, -1) {
			found[id] = found[id] || calls[i].Injected && !known[id]
			known[id] = true
		}
	}
}
