package scope

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/scope/listing"
)

// Facts are what is known of one call before it is judged.
type Facts struct {
	Tool   *Tool
	Args   sallyport.Value
	Traces []sallyport.Trace // one for each leaf of Args, by path
	Names  []Name            // of members, which are values of the agent's choice
	Scope  *Scope            // of the run; nil when nobody told the task
	Memory Memory
	// Asked are the texts that calls returned which were made with what the
	// user named: the file that he told the agent to read.
	Asked []string
}

// Flow is what a call does with what the run has seen: facts for policy.
type Flow struct {
	Match    Match
	Unlinked []Leaf // critical leaves that nothing links to the task
	Linked   []Leaf // critical leaves that something does
}

// Leaf is one critical leaf, and why it is linked or not.
type Leaf struct {
	Path  string
	Role  Role
	Trace sallyport.Trace
	Field bool   // the value was seen as all that a field of a record says
	Why   string // one clause; names server, tool, call, record and field of the source
}

// Judge says what a call does with what the run has seen. It decides nothing.
func Judge(f Facts) Flow {
	var flow Flow
	var task *Task
	if f.Scope != nil {
		flow.Match, task = f.Scope.Admits(f.Tool), f.Scope.Task
	}
	j := judge{Facts: f, linker: linker{task: task, memory: f.Memory, tool: f.Tool}}
	for path, leaf := range f.Args.Leaves() {
		if leaf.Type() == sallyport.Null {
			continue
		}
		j.add(j.trace(string(path)), textOf(leaf), f.Tool.RoleOf(string(path), leaf))
	}
	for _, n := range f.Names {
		j.add(n.Trace, n.Text, n.Role)
	}
	for _, a := range j.leaves {
		why, critical, linked := j.judge(a)
		if !critical {
			continue
		}
		leaf := Leaf{Path: a.trace.Path, Role: a.role, Trace: a.trace, Field: j.isField(a), Why: why}
		if linked {
			flow.Linked = append(flow.Linked, leaf)
		} else {
			flow.Unlinked = append(flow.Unlinked, leaf)
		}
	}
	return flow
}

// add takes an argument to what is judged.
func (j *judge) add(trace sallyport.Trace, text string, role Role) {
	j.leaves = append(j.leaves, argument{trace, text, role})
}

type argument struct {
	trace sallyport.Trace
	text  string
	role  Role
}

type judge struct {
	Facts
	linker
	leaves []argument
}

// trace is what is known of the leaf at a path. A leaf that nobody traced may
// come from anywhere.
func (j *judge) trace(path string) sallyport.Trace {
	for _, t := range j.Traces {
		if t.Path == path && path != "" {
			return t
		}
	}
	return sallyport.Trace{Path: path, Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}}
}

func textOf(v sallyport.Value) string {
	if text, ok := v.Text(); ok {
		return text
	}
	return string(v.Raw())
}

// judge says whether a leaf is critical and whether it is linked to the task.
func (j *judge) judge(a argument) (why string, critical, linked bool) {
	if j.Tool.Reads() && a.role != RoleURL || a.text == "" {
		return "", false, false
	}
	switch a.role {
	case RolePrincipal, RoleSecret, RoleCommand, RolePath, RoleID, RoleThing:
		how := j.link(a.text, a.role, a.trace)
		if how == "" {
			return j.whence(a), true, false
		}
		return how, true, true
	case RoleURL:
		return j.url(a)
	case RoleAmount:
		if !j.Tool.has(sallyport.Pay) {
			return "", false, false
		}
		return j.amount(a)
	case RoleContent, RoleNone:
		return j.embedded(a)
	case RoleTime:
		return j.time(a)
	case RolePermission:
		return "", false, false
	}
	return "", false, false
}

// time: where the user names a day himself, another one that only a text of others
// says is not his.
func (j *judge) time(a argument) (why string, critical, linked bool) {
	if j.task == nil || len(j.task.dates) == 0 || a.trace.Origin.Writer != sallyport.WriterUntrusted || !listing.IsDay(a.text) || j.isField(a) {
		return "", false, false
	}
	written := slices.ContainsFunc(a.trace.Sources, func(s sallyport.Source) bool { return s.Call != "" && s.Exact })
	if !written || slices.ContainsFunc(j.task.dates, func(d listing.Span) bool { return d.Holds(a.text) }) {
		return "", false, false
	}
	return j.whence(a), true, false
}

// url: an address that somebody wrote as a whole can't carry anything that the
// run has read since; one that the model put together can.
func (j *judge) url(a argument) (why string, critical, linked bool) {
	if how := j.link(a.text, a.role, a.trace); how != "" {
		return how, true, true
	}
	lower := strings.ToLower(a.text)
	if j.task != nil {
		for _, l := range j.task.Literals {
			if bareURL(lower) == bareURL(l) {
				return "the user's words", true, true
			}
		}
	}
	if j.Tool.Reads() {
		for _, s := range a.trace.Sources {
			if s.Call != "" && s.Exact {
				return "it stands so in " + j.place(s), true, true
			}
		}
	}
	return j.whence(a), true, false
}

// bareURL is an address without what people leave out.
func bareURL(url string) string {
	url = strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	return strings.TrimSuffix(strings.TrimPrefix(url, "www."), "/")
}

var percentPattern = regexp.MustCompile(`(\d+(?:\.\d+)?)\s?(?:%|percent)`)

// amount: what the user said, what a record says that the task names or that
// another argument of this call points to, or what follows from these.
func (j *judge) amount(a argument) (why string, critical, linked bool) {
	if a.trace.Origin.Writer == sallyport.WriterUser {
		return "the user's words", true, true
	}
	n, ok := listing.Number(a.text)
	if !ok || j.task == nil {
		return j.whence(a), true, false
	}
	base := slices.Clone(j.task.Numbers)
	percents := slices.Clone(j.task.percents)
	for _, r := range j.relevant() {
		for _, f := range r.Fields {
			if n, ok := listing.Number(f.Text); ok && isAmount(f, n) && !slices.Contains(base, n) {
				base = append(base, n)
			}
		}
	}
	for _, text := range j.Asked {
		for _, m := range percentPattern.FindAllStringSubmatch(text, -1) {
			if p, ok := listing.Number(m[1]); ok {
				percents = append(percents, p)
			}
		}
		for _, w := range numbersIn.FindAllString(text, -1) {
			if n, ok := listing.Number(w); ok && !slices.Contains(base, n) {
				base = append(base, n)
			}
		}
	}
	if explains(n, base, percents) {
		return "it follows from numbers that the task names", true, true
	}
	return j.whence(a), true, false
}

// relevant are the records from which an amount may be computed: those to
// which another argument of this call points, and those that the task names.
func (j *judge) relevant() []Record {
	var all []Record
	for _, other := range j.leaves {
		for _, s := range other.trace.Sources {
			if record, ok := j.source(s, other.text); ok && other.role != RoleAmount {
				all = append(all, record)
			}
		}
	}
	looked := 0
	for _, call := range slices.Backward(j.Memory.Calls()) {
		r := j.result(call)
		for i := range r.records {
			if looked++; looked > maxLooked || len(all) >= maxBase {
				return all
			}
			if len(r.standings[i].namings) > 0 {
				all = append(all, r.records[i])
			}
		}
	}
	return all
}

// maxLooked is how many records are looked at for an amount, newest first: what
// is older explains nothing, and the call is asked about.
const maxLooked = 512

var numbersIn = regexp.MustCompile(`\d[\d,]*(?:\.\d+)?`)

// targetPattern finds what could be a target within a text.
var targetPattern = regexp.MustCompile(`https?://[^\s'"<>()]+|www\.[^\s'"<>()]+|[\pL\pN._%+-]+@[\pL\pN.-]+\.\pL{2,}|\b[A-Z]{2}\d{2}[A-Z0-9]{10,30}\b`)

// embedded: free text may say anything, but an address or account within it
// is a target for whoever reads it.
func (j *judge) embedded(a argument) (why string, critical, linked bool) {
	if a.trace.Origin.Writer != sallyport.WriterUntrusted || !j.Tool.has(sallyport.Send, sallyport.Pay) {
		return "", false, false
	}
	for _, target := range targetPattern.FindAllString(a.text, -1) {
		if j.task == nil || !slices.ContainsFunc(j.task.Literals, func(l string) bool { return strings.Contains(strings.ToLower(target), l) }) {
			return fmt.Sprintf("its text carries %q, %s", target, j.whence(a)), true, false
		}
	}
	return "", false, false
}

// isField reports whether the value was seen in a field of its own, and not
// only as a part of texts, in a record that the task may mean.
func (j *judge) isField(a argument) bool {
	return slices.ContainsFunc(a.trace.Sources, func(s sallyport.Source) bool {
		_, whole := j.source(s, a.text)
		return whole && !j.result(s.Call).standings[s.Record].beaten
	})
}

// source is the record in which a source lies; false when the value is not all
// that its field says.
func (l *linker) source(s sallyport.Source, text string) (Record, bool) {
	r := l.result(s.Call)
	if r == nil || s.Record < 0 || s.Record >= len(r.records) {
		return Record{}, false
	}
	return r.records[s.Record], isWhole(r.records[s.Record], s, text)
}

// whence says where a leaf that nothing links comes from.
func (j *judge) whence(a argument) string {
	for _, s := range a.trace.Sources {
		if s.Call != "" {
			return "it comes from " + j.place(s)
		}
	}
	return "nobody wrote it"
}

func (j *judge) place(s sallyport.Source) string {
	field := s.Field
	if field == "" {
		field = "text"
	}
	return fmt.Sprintf("%s of record %d of %s/%s (%s)", field, s.Record, s.Server, s.Tool, s.Call)
}
