package policyhistory

import (
	"slices"
	"strings"

	"sallyport"
)

// FlowOf is what an entry keeps of where a call's arguments came from; nil when
// it keeps nothing, because no rule asked then. Who may read a value is not kept,
// and of many arguments not all are: where something is missing it counts as the
// worst that it can have been, but what was nobody's secret then stays so.
func FlowOf(e *sallyport.Entry, args sallyport.Value) *sallyport.Flow {
	if len(e.Labels) == 0 {
		return nil
	}
	has := func(l sallyport.Label) bool { return slices.Contains(e.Labels, l) }
	f := &sallyport.Flow{Task: has(sallyport.LabelTask), Run: sallyport.Labels{
		SawUntrusted: has(sallyport.LabelSawUntrusted), SawPrivate: has(sallyport.LabelSawPrivate)}}
	if has(sallyport.LabelOutside) {
		f.Outside = "as it was decided then"
	}
	own := sallyport.Origin{Writer: sallyport.WriterUser, Readers: sallyport.ReadersPublic}
	listed := 0
	for path := range args.Leaves() {
		t := sallyport.Trace{Path: string(path), Origin: own}
		for _, line := range e.Origins {
			rest, about := strings.CutPrefix(line, t.Path+": ")
			if !about {
				continue
			}
			what, _, _ := strings.Cut(rest, ";")
			writer, unlinked := strings.CutSuffix(what, ", not linked to the task")
			t.Origin.Writer, t.Critical = sallyport.WriterOf(writer), true
			listed++
			if unlinked {
				f.Unlinked = append(f.Unlinked, t.Path)
			}
		}
		f.Traces = append(f.Traces, t)
		if has(sallyport.LabelExposed) {
			f.Exposed = append(f.Exposed, t.Path)
		}
	}
	// A line without an argument says that others are not listed, or is cut.
	if listed != len(e.Origins) || has(sallyport.LabelUnlinked) != (len(f.Unlinked) > 0) {
		f.Traces = append(f.Traces, sallyport.Trace{}) // it stands for every argument
	}
	return f
}
