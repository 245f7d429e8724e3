package sallyport

// Flow is what is known of where a call's arguments came from, and of what its
// run has read and done before. A nil Flow is that nobody knows, and counts as
// the worst.
type Flow struct {
	Traces []Trace // of every leaf of the arguments, in the order sent
	Run    Labels
	// Unlinked are the paths of critical leaves that nothing links to the task;
	// without a task, of those that others could have written.
	Unlinked []string
	// Exposed are the paths of leaves that more people can read behind the tool
	// than may, and that the user did not dictate.
	Exposed []string
	// Outside says that the call is not one that the run's task needs, with
	// the reason for people; "" when it is, or when the run has no task.
	Outside string
	Task    bool // the user told the run what to do
}

// Label is one word of what was known of a call and its run when the call was
// decided.
type Label string

// The labels. An entry without any was decided by rules that do not ask: nobody
// knows.
const (
	LabelTask         Label = "task"     // the user had told the run what to do
	LabelTaskless     Label = "taskless" // nobody had
	LabelOutside      Label = "outside"  // the call is not one that the task needs
	LabelUnlinked     Label = "unlinked" // critical arguments have nothing to do with it
	LabelExposed      Label = "exposed"  // more people can read it there than may
	LabelSawUntrusted Label = "sawUntrusted"
	LabelSawPrivate   Label = "sawPrivate"
)

// Labels are what an entry keeps of a flow.
func (f *Flow) Labels() []Label {
	if f == nil {
		return nil
	}
	labels := []Label{LabelTaskless}
	if f.Task {
		labels[0] = LabelTask
	}
	for _, l := range []struct {
		label Label
		on    bool
	}{
		{LabelOutside, f.Outside != ""}, {LabelUnlinked, len(f.Unlinked) > 0}, {LabelExposed, len(f.Exposed) > 0},
		{LabelSawUntrusted, f.Run.SawUntrusted}, {LabelSawPrivate, f.Run.SawPrivate},
	} {
		if l.on {
			labels = append(labels, l.label)
		}
	}
	return labels
}

// Labels are what a run has on it for good: only a human takes them off.
type Labels struct {
	SawUntrusted bool     // read what could have been written to mislead it
	SawPrivate   bool     // read what not everybody may
	Did          []Effect // effects of the calls that it made, each once
	Found        []string // names of the findings in what it read, each once
}
