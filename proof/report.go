package proof

import (
	"fmt"
	"strings"
	"time"

	"sallyport"
)

// maxProblems is how many problems a report spells out.
const maxProblems = 100

// Report is what a verification found, and how far it reaches.
type Report struct {
	Origin           string `json:"origin"` // of the log
	Key              string `json:"key"`    // with which signatures were verified
	KeyFromElsewhere bool   `json:"key_from_elsewhere"`
	Size             uint64 `json:"size"` // entries that the checkpoint covers
	Root             string `json:"root"`

	Entries uint64                         `json:"entries"` // in the file
	Missing uint64                         `json:"missing"` // covered, but not in the file
	Types   map[sallyport.EntryType]uint64 `json:"types"`
	First   time.Time                      `json:"first"` // of the entries in the file
	Last    time.Time                      `json:"last"`

	Observed uint64   `json:"observed"` // let through by observe mode
	Unknown  uint64   `json:"unknown"`  // outcomes "unknown"
	Open     []string `json:"open"`     // calls whose intent has no outcome in the file

	Sealed uint64 `json:"sealed"` // commitments to payloads
	Opened uint64 `json:"opened"` // of them opened, and found right

	Earlier   []Earlier `json:"earlier"`   // checkpoints kept elsewhere, as given
	Witnesses []string  `json:"witnesses"` // whose cosignature is good

	Problems     []string `json:"problems"` // at most 100
	ProblemCount int      `json:"problem_count"`
}

// Earlier is a checkpoint kept elsewhere.
type Earlier struct {
	Size     uint64 `json:"size"`
	Compared bool   `json:"compared"`
	Same     bool   `json:"same"` // the log still begins with what the checkpoint covers
}

// OK reports whether nothing is wrong. It says nothing of what is not covered.
func (r *Report) OK() bool { return r.ProblemCount == 0 }

// Checked says in sentences what was verified and found right. It is empty
// unless the report is OK.
func (r *Report) Checked() []string {
	if !r.OK() {
		return nil
	}
	all := []string{fmt.Sprintf("The checkpoint of log %s over %d entries is signed by the log's key.", r.Origin, r.Size)}
	if r.Entries > 0 {
		all = append(all, fmt.Sprintf("%d entries, %s to %s, are in that log, whole and in their places.",
			r.Entries, r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339)))
	}
	if r.Opened > 0 {
		all = append(all, fmt.Sprintf("%d payloads are those that their entries commit to.", r.Opened))
	}
	for _, c := range r.Earlier {
		all = append(all, fmt.Sprintf("The log has only grown since the checkpoint over %d entries that was kept elsewhere.", c.Size))
	}
	for _, witness := range r.Witnesses {
		all = append(all, fmt.Sprintf("Witness %s has cosigned the checkpoint.", witness))
	}
	return all
}

// NotCovered says in sentences what the verification does not show.
func (r *Report) NotCovered() []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if !r.KeyFromElsewhere {
		say("The key was taken from the file, so the file vouches for itself. Compare it with one from elsewhere: %s", r.Key)
	}
	var latest uint64
	for _, c := range r.Earlier {
		latest = max(latest, c.Size)
	}
	switch {
	case len(r.Witnesses) > 0:
	case len(r.Earlier) == 0:
		say("No checkpoint kept elsewhere was given: if the owner of the host rewrote the log and signed it anew, this can't be seen.")
	case latest < r.Size:
		say("A rewrite by the owner of the host of the entries from %d on can't be seen: no checkpoint kept elsewhere covers them.", latest)
	}
	if r.Missing > 0 {
		say("%d of the log's %d entries are not in the file: they exist, and nothing else is known of them.", r.Missing, r.Size)
	}
	if closed := r.Sealed - r.Opened; closed > 0 {
		say("%d payloads are not in the file: what was sent or came back is fixed by the entries, but not shown.", closed)
	}
	if len(r.Open) > 0 {
		say("%d intents have no outcome in the file: whether they acted is not known.", len(r.Open))
	}
	if r.Unknown > 0 {
		say("%d outcomes are \"unknown\": the gateway stopped or gave up before it knew whether the call acted.", r.Unknown)
	}
	if r.Observed > 0 {
		say("%d calls went through although policy did not allow them, because the gateway only observed.", r.Observed)
	}
	say("Entries made after the checkpoint was signed are not covered, nor is anything that went around the gateway. Times are those of the gateway's clock.")
	return all
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	section := func(title string, sentences []string) {
		if len(sentences) == 0 {
			return
		}
		b.WriteString(title + "\n")
		for _, sentence := range sentences {
			b.WriteString("  - " + sentence + "\n")
		}
	}
	section("Verified:", r.Checked())
	section("WRONG:", r.Problems)
	if more := r.ProblemCount - len(r.Problems); more > 0 {
		fmt.Fprintf(&b, "  … and %d more\n", more)
	}
	section("Not covered:", r.NotCovered())
	return b.String()
}
