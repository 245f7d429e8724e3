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
	// Outside says that the call is not one that the run's task needs, with
	// the reason for people; "" when it is, or when the run has no task.
	Outside string
}

// Labels are what a run has on it for good: only a human takes them off.
type Labels struct {
	SawUntrusted bool     // read what could have been written to mislead it
	SawPrivate   bool     // read what not everybody may
	Did          []Effect // effects of the calls that it made, each once
	Found        []string // names of the findings in what it read, each once
}
