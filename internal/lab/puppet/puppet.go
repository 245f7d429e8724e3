// Package puppet is the worst agent there can be: it obeys every instruction that it reads, wherever that stands and
// however it is disguised. It needs no model. What holds against it does not depend on the model behaving.
package puppet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Order is what an instruction begins with. The rest of its line is a step.
const Order = "AGENT DO "

// What one run of a script may come to: a puppet obeys what it is told to obey, too.
const (
	maxDepth = 12
	maxSteps = 200
)

// Verbs are the steps that are no calls.
var Verbs = []string{"reconnect", "child", "as", "changes", "accept", "approve"}

// Step is one thing that the puppet does: a call "SERVER/TOOL {ARGUMENTS}", or a verb with words.
type Step struct {
	Server, Tool string
	Args         string // JSON; may hold <<SERVER/TOOL PATH>>, which is filled with what that call returned
	Verb, Words  string
}

// ParseStep reads a step from a line. What follows the arguments is left out: an instruction may stand within prose.
func ParseStep(line string) (Step, error) {
	head, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	server, tool, isCall := strings.Cut(head, "/")
	if !isCall {
		if !slices.Contains(Verbs, head) {
			return Step{}, fmt.Errorf("a step is a call, SERVER/TOOL {…}, or one of %v, not %q", Verbs, head)
		}
		return Step{Verb: head, Words: strings.TrimSpace(rest)}, nil
	}
	args := json.RawMessage("{}")
	if rest = strings.TrimSpace(rest); rest != "" {
		if err := json.NewDecoder(strings.NewReader(rest)).Decode(&args); err != nil || !strings.HasPrefix(rest, "{") {
			return Step{}, fmt.Errorf("%s is called with a JSON object, not %q", head, rest)
		}
	}
	return Step{Server: server, Tool: tool, Args: string(args)}, nil
}

// ParseScript reads one step per line; empty lines and those that begin with # are left out.
func ParseScript(text string) ([]Step, error) {
	var steps []Step
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		step, err := ParseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (s Step) String() string {
	if s.Verb != "" {
		return strings.TrimSpace(s.Verb + " " + s.Words)
	}
	return s.Server + "/" + s.Tool + " " + s.Args
}

// Puppet is one agent at work.
type Puppet struct {
	// Do does a step and returns what there is to read afterwards: results, errors, what a server says of its tools.
	Do func(ctx context.Context, step Step) (read []string, err error)
	// Data is the disguise of what the puppet puts into arguments from what it has read.
	Data Disguise

	results map[string]string // by SERVER/TOOL: what the last call returned
	obeyed  map[string]bool
	steps   int
}

// Follow does the steps of a script, and whatever it is told to on the way.
func (p *Puppet) Follow(ctx context.Context, script []Step) error {
	if p.obeyed == nil {
		p.results, p.obeyed = map[string]string{}, map[string]bool{}
	}
	for _, step := range script {
		if err := p.do(ctx, step, 0); err != nil {
			return err
		}
	}
	return nil
}

func (p *Puppet) do(ctx context.Context, step Step, depth int) error {
	if p.steps++; p.steps > maxSteps {
		return fmt.Errorf("the puppet gives up after %d steps: does it read its own instructions again?", maxSteps)
	}
	args, err := p.fill(step.Args)
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	step.Args = args
	texts, err := p.Do(ctx, step)
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	if step.Tool != "" && len(texts) > 0 {
		p.results[step.Server+"/"+step.Tool] = texts[0]
	}
	return p.read(ctx, texts, depth)
}

// read obeys each instruction once, in the order in which it is read.
func (p *Puppet) read(ctx context.Context, texts []string, depth int) error {
	if depth == maxDepth {
		return nil
	}
	for _, text := range texts {
		for _, order := range Orders(text) {
			if p.obeyed[order] {
				continue
			}
			p.obeyed[order] = true
			step, err := ParseStep(order)
			if err != nil {
				continue // prose, or a reading that is none
			}
			if err := p.do(ctx, step, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Orders are the instructions in a text, looked for in every disguise.
func Orders(text string) []string {
	var orders []string
	for _, reading := range Readings(text) {
		for line := range strings.Lines(reading) {
			if _, order, found := strings.Cut(line, Order); found {
				orders = append(orders, strings.TrimSpace(order))
			}
		}
	}
	return orders
}

// fill puts what was read into arguments: <<SERVER/TOOL PATH>>, in the puppet's disguise.
func (p *Puppet) fill(args string) (string, error) {
	for {
		before, rest, found := strings.Cut(args, "<<")
		if !found {
			return args, nil
		}
		what, after, closed := strings.Cut(rest, ">>")
		if !closed {
			return "", fmt.Errorf("<< has no >>")
		}
		call, path, _ := strings.Cut(strings.TrimSpace(what), " ")
		// What it was not given it has not read: an agent that was refused goes on without.
		value, _ := find(p.results[call], strings.TrimSpace(path))
		quoted, err := json.Marshal(p.Data.wear(value))
		if err != nil {
			return "", err
		}
		args = before + string(quoted[1:len(quoted)-1]) + after
	}
}

// find looks a path such as customer.email or items[0].id up in a result; the empty path is all of it.
func find(result, path string) (string, error) {
	if path == "" {
		return result, nil
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(result))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return "", fmt.Errorf("the result is no JSON: %w", err)
	}
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) {
				return "", fmt.Errorf("the result has no %s", path)
			}
			value = v[i]
		default:
			return "", fmt.Errorf("the result has no %s", path)
		}
	}
	switch v := value.(type) {
	case nil:
		return "", fmt.Errorf("the result has no %s", path)
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	default:
		text, err := json.Marshal(v)
		return string(text), err
	}
}
