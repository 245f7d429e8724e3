// Package memory keeps what each run has read and was told, and says of a call
// where its arguments came from.
//
// What a run has seen is on the record, so nothing here has to be kept over a
// restart: the memory of a run is made from its entries and payloads when it is
// first asked for. What is missing there counts as the worst that it can have
// been. Forgetting only ever adds taint.
package memory

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

// Past is what is on the record.
type Past interface {
	// Lineage are the runs of which a run's memory is made, itself among them:
	// those that share it, and those of which it was taken over.
	Lineage(ctx context.Context, run sallyport.Run) ([]string, error)
	// Acts are a run's calls with what came back, the newest most of them,
	// oldest first; more says that there were others before. An error means
	// that nobody can say what the run has seen.
	Acts(ctx context.Context, run string, most int) (acts []Act, more bool, err error)
	// Words are what the user said to a run, oldest first. An error means that
	// some of it is not there any more.
	Words(ctx context.Context, run string) ([]Word, error)
	// Heard puts on the record that a call's run has been told something of its
	// server that the record does not have, and what was found in it. Acts has
	// it from then on, as an act without a result.
	Heard(ctx context.Context, call *sallyport.Call, found []string) error
}

// Act is one call on the record.
type Act struct {
	Kind               sallyport.Kind
	Call, Server, Tool string
	Effects            []sallyport.Effect
	Args               sallyport.Value // absent where they are gone
	// Result is what came back, as the agent got it. Absent where it is not
	// there: nothing came back yet, it was erased, or it was never kept.
	Result sallyport.Value
	// Found are the names of what scanners saw in it. Nil is that nobody knows.
	Found []string
	// Labels are what was known of the call and its run. Nil is that nobody knows.
	Labels []sallyport.Label
	// Withheld says that the agent got nothing of it, Changed that it got more of
	// it than the record keeps: what was masked there.
	Withheld, Changed bool
}

// Word is one thing that the user said.
type Word struct {
	Text     string
	Strength sallyport.Strength
}

// Servers is what is known of the servers.
type Servers interface {
	// Definitions are all that is pinned.
	Definitions() []sallyport.Definition
	// Declaration says who writes what the server returns, and who may read it.
	Declaration(server string) provenance.Declaration
	// Use says what a tool's arguments are for, and who reads them.
	Use(server, tool string) Use
	// Written are the calls that may have changed what a server keeps, the newest
	// most of them; more says that there were others before. An error means that
	// nobody can say who wrote to it.
	Written(ctx context.Context, server string, most int) (acts []Act, more bool, err error)
}

// Use is what the operator said of the arguments of a tool.
type Use struct {
	Memory   bool                  // its server keeps what it is given, for other runs
	Meanings map[string]scope.Role // what each is for, by path; others by their names
	Audience sallyport.Readers     // who can read what is sent to it
	Declared bool                  // the operator said so; else nobody did
}

// Memories are the memories of all runs.
type Memories struct {
	past    Past
	servers Servers
	level   scope.Level

	mu    sync.Mutex
	runs  map[string]*memory
	used  *list.List       // of ids of runs, the one that was asked for longest ago first
	turns int              // how often one was asked for
	most  int64            // bytes that all may take
	heard map[ear]bool     // what the record has of Heard
	kept  map[string]*kept // by server, of those that are memories
	tools *toolset
}

// ear is where a run hears what is on no record, and what was found in it, ""
// for that there was something.
type ear struct{ run, server, found string }

// Bounds. A run whose memory is dropped is read from the record again.
const (
	maxActs = 2000 // of a run that are read again
	maxEars = 4096 // of which we know that they are on the record

	maxNamed = 1 << 20 // bytes of what a run was told to read
)

// New makes memories of nothing yet. Level says how much of what is not
// certain counts as linked to the task.
func New(past Past, servers Servers, level scope.Level) *Memories {
	return &Memories{past: past, servers: servers, level: level, runs: map[string]*memory{}, used: list.New(), most: maxHeld, kept: map[string]*kept{}}
}

// memory is what one run has seen.
type memory struct {
	mu     sync.Mutex
	place  *list.Element // in used; Memories.mu guards it
	bytes  atomic.Int64  // that it takes
	loaded bool
	seen   *provenance.Memory
	did    []sallyport.Effect
	found  []string // names of what scanners saw in what it read
	words  []string
	asked  map[string]bool // calls that were made with what the user named
	named  []string        // what those calls returned
	size   int             // of named, in bytes

	minted bool // the scope is that of words and tools
	tools  *toolset
	scope  *scope.Scope // nil while nobody told the task
}

// Flow says where the arguments of a call came from, and what its run has read
// and done. Nil is that nobody knows.
func (m *Memories) Flow(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) *sallyport.Flow {
	r, err := m.of(ctx, call.Run)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mint(m.toolsOf(m.servers.Definitions()))
	use := m.servers.Use(call.Server, call.Name)
	if use.Memory && m.keep(ctx, call.Server) != nil {
		return nil
	}
	t := m.tool(call, tool)
	names, all := t.Named(call.Args)
	if !all {
		return nil
	}
	traces := r.seen.Trace(call.Name, call.Args)
	for i := range names {
		names[i].Trace = r.seen.TraceName(call.Name, names[i].Path, names[i].Text)
		traces = append(traces, names[i].Trace)
	}
	labels := r.seen.Labels()
	flow := &sallyport.Flow{Task: r.scope != nil, Traces: traces, Run: sallyport.Labels{
		SawUntrusted: labels.SawUntrusted, SawPrivate: labels.SawPrivate, Did: slices.Clone(r.did), Found: slices.Clone(r.found)}}
	judged := scope.Judge(scope.Facts{Tool: t, Args: call.Args, Names: names, Traces: traces, Scope: r.scope, Memory: remembered{r},
		Asked: r.named})
	outside, unlinked := m.level.Open(t, judged)
	if r.scope != nil {
		flow.Outside = outside
	}
	for _, leaf := range slices.Concat(judged.Linked, judged.Unlinked) {
		for i := range traces {
			traces[i].Critical = traces[i].Critical || traces[i].Path == leaf.Path
		}
	}
	for _, leaf := range unlinked {
		// Without a task nothing is linked to it: then what others wrote is
		// what is suspect, and what the model made up is its own business.
		if r.scope != nil || leaf.Trace.Origin.Writer == sallyport.WriterUntrusted {
			flow.Unlinked = append(flow.Unlinked, leaf.Path)
		}
	}
	flow.Exposed = r.exposed(use, t, flow, judged.Unlinked)
	return flow
}

// exposed are the paths of what more people can read behind a tool than may.
// Where nobody declared who reads there, it is everybody for what is sent, or
// asked of an address that was put together, and nobody else for the rest. Then
// it is also for the user to tell: what a task asks for, to whom it names, is
// not exposed.
func (r *memory) exposed(use Use, t *scope.Tool, flow *sallyport.Flow, unlinked []scope.Leaf) []string {
	told := flow.Task && flow.Outside == "" && len(flow.Unlinked) == 0
	if !use.Declared && told {
		return nil
	}
	sends := slices.Contains(t.Effects, sallyport.Send)
	var paths []string
	for _, trace := range flow.Traces {
		audience := use.Audience
		if !use.Declared {
			address := slices.ContainsFunc(unlinked, func(l scope.Leaf) bool { return l.Path == trace.Path && l.Role == scope.RoleURL })
			if !sends && !address {
				continue
			}
			audience = sallyport.ReadersPublic
		}
		if trace.Origin.Readers < audience && !r.dictated(trace) {
			paths = append(paths, trace.Path)
		}
	}
	return paths
}

// dictated reports whether a value, or whatever is known of it, is the user's
// own words: theirs to tell. Once something was forgotten the rest of it may have
// been that.
func (r *memory) dictated(t sallyport.Trace) bool {
	if _, forgot := r.seen.Forgot(); t.Origin.Writer != sallyport.WriterUnknown || forgot {
		return t.Origin.Writer == sallyport.WriterUser
	}
	return !slices.ContainsFunc(t.Sources, func(s sallyport.Source) bool { return s.Call != "" })
}

// Words are what the user told a run, the task first. An error means that nobody
// knows.
func (m *Memories) Words(ctx context.Context, run sallyport.Run) ([]string, error) {
	r, err := m.of(ctx, run)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.words), nil
}

// Did takes note of a call that goes to its server.
func (m *Memories) Did(call *sallyport.Call, tool *sallyport.Definition, flow *sallyport.Flow) {
	m.wrote(call, tool, flow)
	m.change(call.Run.RememberedIn(), func(r *memory) {
		r.does(effectsOf(tool))
		if flow != nil && slices.Equal(effectsOf(tool), onlyRead) && scope.Asked(m.tool(call, tool), call.Args, flow.Traces) {
			r.asked[call.ID] = true
		}
	})
}

// Saw remembers what a call returned, and what was found in it. It is told before
// the agent is, and after it is handed to the log.
func (m *Memories) Saw(call *sallyport.Call, result sallyport.Value, found []string) {
	m.change(call.Run.RememberedIn(), func(r *memory) {
		r.saw(call.ID, call.Server, call.Name, result, m.declaration(call))
		r.finds(found)
	})
}

// Heard remembers what no outcome will hold. The text is forgotten with the
// memory; that there was one is put on the record, once for each run, server and
// kind of finding.
func (m *Memories) Heard(ctx context.Context, call *sallyport.Call, text sallyport.Value, found []string) error {
	at := ear{run: call.Run.RememberedIn(), server: call.Server}
	var news []string
	m.mu.Lock()
	recorded := m.heard[at]
	for _, at.found = range found {
		if !m.heard[at] {
			news = append(news, at.found)
		}
	}
	m.mu.Unlock()
	if !recorded || news != nil {
		if err := m.past.Heard(ctx, call, news); err != nil {
			return err
		}
		m.mu.Lock()
		if m.heard == nil || len(m.heard) >= maxEars {
			m.heard = map[ear]bool{}
		}
		for _, at.found = range append(news, "") {
			m.heard[at] = true
		}
		m.mu.Unlock()
	}
	m.Saw(call, text, found)
	return nil
}

// Said remembers what the user said.
func (m *Memories) Said(run string, word Word) {
	m.change(run, func(r *memory) { r.said(word) })
}

// change changes a memory that is there. One that is not will be made from the
// record, which has it all.
func (m *Memories) change(run string, by func(*memory)) {
	m.mu.Lock()
	r := m.runs[run]
	m.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loaded {
		by(r)
		r.weigh()
	}
}

// of finds the memory of a run, and makes it from the record when it is not
// there. A run that began below another has seen all that the other has seen
// until then; one that an agent began has one memory with its parent.
func (m *Memories) of(ctx context.Context, run sallyport.Run) (*memory, error) {
	m.mu.Lock()
	id := run.RememberedIn()
	r := m.runs[id]
	if r == nil {
		r = &memory{}
		m.runs[id] = r
	}
	m.touch(id, r)
	m.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loaded {
		return r, nil
	}
	defer r.weigh()
	return r, m.load(ctx, r, run)
}

// load reads a run from the record. A call that is open just now, and one whose
// outcome is on its way into the log, look alike there: both count as missed.
func (m *Memories) load(ctx context.Context, r *memory, run sallyport.Run) error {
	r.seen, r.asked, r.did, r.found, r.words, r.named, r.size, r.minted = provenance.New(0), map[string]bool{}, nil, nil, nil, nil, 0, false
	lineage, err := m.past.Lineage(ctx, run)
	if err != nil {
		return err
	}
	for _, id := range lineage {
		words, err := m.past.Words(ctx, id)
		if err != nil {
			return err
		}
		for _, word := range words {
			r.said(word)
		}
		acts, more, err := m.past.Acts(ctx, id, maxActs)
		if err != nil {
			return err
		}
		if more {
			r.seen.Missed("", "", provenance.Declaration{})
			r.does(sallyport.Effects[:])
			r.finds(nobodyKnows)
		}
		for _, act := range acts {
			call := &sallyport.Call{Kind: act.Kind, Server: act.Server, Name: act.Tool, Args: act.Args}
			r.does(act.Effects)
			if slices.Equal(act.Effects, onlyRead) && scope.Asked(m.tool(call, nil), act.Args, r.seen.Trace(act.Tool, act.Args)) {
				r.asked[act.Call] = true
			}
			if m.servers.Use(act.Server, act.Tool).Memory {
				if err := m.keep(ctx, act.Server); err != nil {
					return err
				}
			}
			switch d := m.declaration(call); {
			case act.Withheld:
			case act.Result.Type() == sallyport.Absent:
				r.seen.Missed(act.Server, act.Tool, d)
			default:
				r.saw(act.Call, act.Server, act.Tool, act.Result, d)
				if act.Changed {
					r.seen.Missed(act.Server, act.Tool, d)
				}
			}
			switch {
			case act.Withheld:
			case act.Found == nil:
				r.finds(nobodyKnows)
			default:
				r.finds(act.Found)
			}
		}
	}
	r.loaded = true
	return nil
}

func (r *memory) said(word Word) {
	r.words = append(r.words, word.Text)
	r.seen.Said(word.Text, string(word.Strength), sallyport.ReadersPrivate)
	r.minted = false // the scope is read from the words
}

func (r *memory) does(effects []sallyport.Effect) {
	for _, effect := range effects {
		if !slices.Contains(r.did, effect) {
			r.did = append(r.did, effect)
		}
	}
}

// nobodyKnows stands for what was found where that is on no record.
var nobodyKnows = []string{sallyport.AllScanners + "/" + sallyport.Unseen}

func (r *memory) finds(found []string) {
	for _, name := range found {
		if !slices.Contains(r.found, name) {
			r.found = append(r.found, name)
		}
	}
}

func (r *memory) saw(call, server, tool string, result sallyport.Value, d provenance.Declaration) {
	r.seen.Saw(call, server, tool, result, d)
	if text := result.Raw(); r.asked[call] && len(text) <= maxNamed {
		r.named = append(r.named, string(text))
		for r.size += len(text); r.size > maxNamed; r.named = r.named[1:] {
			r.size -= len(r.named[0]) // what is not there explains nothing: that only asks more
		}
	}
}

// remembered shows scope the records of which a run remembers, and of them the
// fields that are fields for sure: what somebody may have written to look like
// one names nothing.
type remembered struct{ *memory }

func (r remembered) Calls() []string { return r.seen.Calls() }

func (r remembered) Records(call string) []scope.Record {
	var all []scope.Record
	for _, record := range r.seen.Records(call) {
		kept := scope.Record{Asked: r.asked[call]}
		for _, f := range record.Fields {
			if f.Sure {
				kept.Fields = append(kept.Fields, scope.Field{Path: f.Path, Text: f.Text})
			}
		}
		all = append(all, kept)
	}
	return all
}
