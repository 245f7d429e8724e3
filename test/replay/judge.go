package main

import (
	"fmt"
	"strconv"

	"sallyport"
	"sallyport/internal/scope"
)

// guard is the player that is measured: what the run has seen, the scope of
// its task, and the default rules.
type guard struct {
	suite  *suite
	tools  map[string]*scope.Tool
	scope  *scope.Scope
	memory *memory
	level  scope.Level
	asText bool // results as the model sees them; else as JSON
	asked  []string
	calls  int
	traces []sallyport.Trace // of the last call
}

func guardOpener(s *suite, level scope.Level, asText bool) (opener, error) {
	tools, err := s.tools()
	if err != nil {
		return nil, err
	}
	byName := map[string]*scope.Tool{}
	for _, t := range tools {
		byName[t.Name] = t
	}
	return func(prompt string, _ []call) player {
		g := &guard{suite: s, tools: byName, level: level, asText: asText, memory: newMemory()}
		g.scope = scope.Mint(scope.ReadTask(prompt), tools)
		g.memory.Said(prompt, "launcher", sallyport.ReadersPrivate)
		return g
	}, nil
}

func (g *guard) Ask(c call) (ruling, error) {
	g.traces = nil
	tool := g.tools[c.Tool]
	if tool == nil {
		return ruling{Held: true, Reasons: []string{"no such tool"}}, nil
	}
	args, err := sallyport.Parse(c.Args)
	if err != nil {
		return ruling{}, err
	}
	g.traces = g.memory.Trace(c.Tool, args)
	flow := scope.Judge(scope.Facts{Tool: tool, Args: args, Traces: g.traces, Scope: g.scope, Memory: g.memory, Tainted: g.memory.Labels().SawUntrusted, Asked: g.asked})
	verdict, reasons := g.level.Decide(tool, flow)
	r := ruling{Held: verdict != sallyport.Allow, Reasons: reasons}
	for _, l := range append(flow.Linked, flow.Unlinked...) {
		r.Origins = append(r.Origins, fmt.Sprintf("%s %s (%s): %s", l.Path, l.Role, l.Trace.Origin.Writer, l.Why))
	}
	r.Origins = append(r.Origins, flow.Match.Why(tool))
	return r, nil
}

func (g *guard) Hear(c call) error {
	g.calls++
	id := "c" + strconv.Itoa(g.calls)
	text, structured := g.suite.text(c.Result), ""
	if !g.asText {
		structured = g.suite.text(c.ResultJSON) + string(c.JSON)
	}
	value, err := result(text, structured)
	if err != nil {
		return err
	}
	tool := g.tools[c.Tool]
	if tool != nil && tool.Reads() { // what an act answers is nothing that the user told to read
		if scope.Asked(g.traces) {
			g.memory.asked[id] = true
			g.asked = append(g.asked, text+structured)
		}
	}
	g.memory.Saw(id, g.suite.Name, c.Tool, value, declaration)
	return nil
}
