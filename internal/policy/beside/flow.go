package beside

import (
	"bytes"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sallyport"
)

// FlowParts are the parts of the context that say where the arguments came
// from. All but run are sets of paths: a path is in a set when the value there,
// or any below it, is.
var FlowParts = []string{"untrusted", "unknown", "private", "critical", "unlinked", "exposed", "run"}

// IsPaths reports whether a part of the context is a set of paths.
func IsPaths(part string) bool {
	switch part {
	case "untrusted", "unknown", "private", "critical", "unlinked", "exposed":
		return true
	}
	return false
}

// IsFlow reports whether a part of the context is known from the run alone.
func IsFlow(part string) bool { return IsPaths(part) || part == "run" }

// RunType is the type of context.run.
var RunType = resolved.RecordType{
	"sawUntrusted": {Type: resolved.BoolType{}},
	"sawPrivate":   {Type: resolved.BoolType{}},
	"did":          {Type: Words},
	"task":         {Type: resolved.BoolType{}},
	"outside":      {Type: resolved.BoolType{}},
	"found":        {Type: Words},
}

// Flow is one of FlowParts for a call with these arguments. Without a flow
// every argument is under suspicion, and the run has done all there is. So is
// every argument when there were too many to trace. known are the names that
// findings can have.
func Flow(flow *sallyport.Flow, args sallyport.Value, part string, known []string) types.Value {
	if part == "run" {
		return run(flow, known)
	}
	in := paths{}
	if flow == nil || slices.ContainsFunc(flow.Traces, beyond) {
		for path := range args.Leaves() {
			in.add(path)
		}
		return in.set()
	}
	listed := map[string][]string{"unlinked": flow.Unlinked, "exposed": flow.Exposed}
	if list, ok := listed[part]; ok {
		for _, path := range list {
			in.add([]byte(path))
		}
		return in.set()
	}
	for i := range flow.Traces {
		if t := &flow.Traces[i]; marked(t, part) {
			in.add([]byte(t.Path))
		}
	}
	return in.set()
}

// beyond reports whether a trace stands for all that was too much to trace: who
// sends a million arguments must not hide one among them.
func beyond(t sallyport.Trace) bool { return t.Path == "" }

func marked(t *sallyport.Trace, part string) bool {
	switch part {
	case "untrusted":
		return t.Origin.Writer == sallyport.WriterUntrusted
	case "unknown":
		return t.Origin.Writer == sallyport.WriterUnknown
	case "private":
		// What the user dictates is theirs to send.
		return t.Origin.Readers == sallyport.ReadersPrivate && t.Origin.Writer != sallyport.WriterUser
	case "critical":
		return t.Critical
	default:
		return true
	}
}

func run(flow *sallyport.Flow, known []string) types.Record {
	labels := sallyport.Labels{SawUntrusted: true, SawPrivate: true, Did: sallyport.Effects[:], Found: []string{string(unseen)}}
	task, outside := false, true
	if flow != nil {
		labels, task, outside = flow.Run, flow.Task, flow.Outside != ""
	}
	return types.NewRecord(types.RecordMap{
		"sawUntrusted": types.Boolean(labels.SawUntrusted),
		"sawPrivate":   types.Boolean(labels.SawPrivate),
		"did":          words(labels.Did),
		"task":         types.Boolean(task),
		"outside":      types.Boolean(outside),
		"found":        foundBefore(labels.Found, known),
	})
}

// paths are paths and all that they lie below.
type paths map[types.String]struct{}

// add adds a path and its parents: a rule that names "recipients" means what is
// in it, too. It reads steps as sallyport.Value.Leaves writes them; a bracket or
// a point within a quoted name ends nothing.
func (p paths) add(path []byte) {
	for end := 0; end < len(path); {
		end = step(path, end)
		p[types.String(path[:end])] = struct{}{}
	}
}

// step is where the step of a path that begins at i ends.
func step(path []byte, i int) int {
	switch {
	case bytes.HasPrefix(path[i:], []byte(`["`)):
		for i += 2; i < len(path) && path[i] != '"'; i++ {
			if path[i] == '\\' {
				i++
			}
		}
		return min(i+2, len(path))
	case path[i] == '[':
		if n := bytes.IndexByte(path[i:], ']'); n >= 0 {
			return i + n + 1
		}
		return len(path)
	default:
		if n := bytes.IndexAny(path[i+1:], ".["); n >= 0 {
			return i + 1 + n
		}
		return len(path)
	}
}

func (p paths) set() types.Set {
	values := make([]types.Value, 0, len(p))
	for path := range p {
		values = append(values, path)
	}
	return types.NewSet(values...)
}
