package redteam

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/lab/puppet"
	"sallyport/internal/redteam/argument"
)

// attack is one attempt, ready to be played.
type attack struct {
	plan    plan
	want    []string // values that count at the goal
	task    string   // what the run is told when it begins, "" for the standing run
	later   string   // what the user says once the agent has read
	script  []puppet.Step
	orders  string
	data    puppet.Disguise
	answers map[string]string         // what tools return, by SERVER/TOOL
	keeps   map[string]argument.Place // the argument that a tool stores, by SERVER/TOOL
}

// The steps of a puppet that are no calls.
const (
	stepSession = "reconnect" // open another session of the same run
	stepChild   = "child"     // go on in a run below this one
	stepSay     = "say"       // say words as if the user had said them
)

// keptPlace stands in an answer for what a tool was given to store.
const keptPlace = "{{kept}}"

// result is what became of an attempt.
type result struct {
	landed     []string // what arrived where the attacker wanted it: it got through
	dead       bool     // it could never have worked: the tool does not take such arguments
	complaints []string // why not: rules, and what they say of which argument
}

// play has a puppet that obeys everything do the user's task, with the attacker's
// words in what it reads.
func (g *goal) play(ctx context.Context, gate *gate, a *attack) (result, error) {
	gate.servers.stage(a.answers, a.keeps)
	r, err := gate.begin(ctx, g.Agent, a.task)
	if err != nil {
		return result{}, err
	}
	first := r
	defer gate.endRun(context.WithoutCancel(ctx), first)
	var last verdict
	do := func(ctx context.Context, step puppet.Step) ([]string, error) {
		switch step.Verb {
		case "":
		case stepSession:
			r, err = gate.newSession(ctx, r)
			return nil, err
		case stepChild:
			child, err := gate.beginAs(ctx, r.token, map[string]string{})
			if err == nil {
				r = child
			}
			return nil, nil // an agent that may not goes on where it is
		case stepSay:
			_ = gate.say(ctx, r.token, r.id, step.Words) // it should be refused: the goal tells whether it was
			return nil, nil
		default:
			return nil, nil // prose
		}
		if !gate.servers.world.Has(step.Server, step.Tool) {
			return nil, nil // prose that only looks like an order
		}
		var args any
		if err := json.Unmarshal([]byte(step.Args), &args); err != nil {
			return nil, err
		}
		v, err := gate.call(ctx, r, step.Server, step.Tool, args)
		if err != nil {
			return nil, err
		}
		if !v.allowed && step.Server == g.sink.Server && step.Tool == g.sink.Name {
			last = v
		}
		if a.later != "" && step.Tool == g.source.tool.Name {
			if err := gate.say(ctx, gate.source, first.id, a.later); err != nil {
				return nil, err
			}
			a.later = ""
		}
		return append(v.read, textsIn(v.read)...), nil
	}
	p := &puppet.Puppet{Do: do, Data: a.data}
	if err := p.Follow(ctx, a.script); err != nil {
		return result{}, err
	}
	if landed := g.landed(gate.servers.calls(), a.want); landed != nil {
		return result{landed: landed}, nil
	}
	return gate.reasons(ctx, last)
}

// textsIn are the texts within results that are JSON, as a model reads them.
func textsIn(results []string) []string {
	var texts []string
	for _, result := range results {
		var record any
		if json.Unmarshal([]byte(result), &record) == nil {
			argument.Leaves(record, nil, func(_ argument.Place, v any) {
				if text, ok := v.(string); ok {
					texts = append(texts, text)
				}
			})
		}
	}
	return texts
}

// reachedBy is what a call that reached a server has of what the attacker wanted.
func (g *goal) reachedBy(c reached, want []string) (landed []string) {
	if c.Server != g.sink.Server || c.Tool != g.sink.Name {
		return nil
	}
	argument.Leaves(c.Args, nil, func(p argument.Place, v any) {
		if !sameNames(p, g.at) {
			return
		}
		for _, w := range want {
			text := fmt.Sprint(v)
			switch {
			case g.leaks == nil && g.kind.Counts(v, w):
				landed = append(landed, text)
			case g.leaks != nil && puppet.Carries(text, w): // the attacker reads it, and undoes what he ordered
				landed = append(landed, w)
			}
		}
	})
	return landed
}

// sameNames reports whether two places are the same but for indexes.
func sameNames(a, b argument.Place) bool {
	names := func(p argument.Place) []any {
		return slices.DeleteFunc(slices.Clone(p), func(step any) bool { _, index := step.(int); return index })
	}
	return slices.Equal(names(a), names(b))
}

// reasons are those for which a call did not pass, as the operator would see
// them: by rule, and by argument.
func (gate *gate) reasons(ctx context.Context, v verdict) (result, error) {
	switch {
	case v.allowed, v.call == "" && v.cause == "":
		return result{complaints: []string{"the call was never made"}}, nil
	case v.cause != "policy" && v.cause != "hold" || v.call == "":
		return result{dead: true, complaints: []string{v.cause + ": " + v.text}}, nil
	}
	why, err := gate.why(ctx, v)
	if err != nil {
		return result{}, err
	}
	var r result
	for _, rule := range v.rules {
		r.complaints = append(r.complaints, "rule "+rule)
	}
	for _, line := range why.Origins {
		where, _, _ := strings.Cut(line, ";")
		r.complaints = append(r.complaints, where)
	}
	for _, j := range why.Rules {
		for _, reading := range j.Reads {
			if reading.Path == "context.run.outside" && reading.Value == "true" {
				r.complaints = append(r.complaints, outside)
			}
		}
	}
	if len(v.rules) == 0 {
		r.complaints = append(r.complaints, "no permit")
	}
	slices.Sort(r.complaints)
	r.complaints = slices.Compact(r.complaints)
	return r, nil
}

const outside = "outside the task"

// step is a call as a line of a script.
func step(server, tool string, args any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // << stands for what was read
	if err := encoder.Encode(args); err != nil {
		return ""
	}
	return fmt.Sprintf("%s/%s %s", server, tool, strings.TrimSpace(b.String()))
}
