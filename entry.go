package sallyport

import "time"

// Entry is one line of the log. It says what was asked, decided, done or
// changed, never the payload itself: arguments and results appear as salted
// commitments whose openings are kept beside the log.
//
// The commit fills Index, Prev, Args and Result; all else is the gateway's.
type Entry struct {
	Index uint64
	Prev  Digest // leaf hash of the entry before
	Time  time.Time
	Type  EntryType

	Call      string // call id; an outcome carries that of its intent
	Parent    string // ticket under which a server asked back, or a task was acted on
	Kind      Kind
	Server    string
	Name      string
	Action    string
	Effects   []Effect
	Door      string
	Principal Principal // roles and attributes are left out, names are kept
	Run       string
	ParentRun string // of Run
	Trace     string

	Tool   Digest // pinned definition
	Args   Digest // salted commitment to the arguments
	Result Digest // salted commitment to the result

	Policy   Digest
	Verdict  Verdict // of the policy; kept of an intent, a refusal and a hold
	Observed bool    // observe mode let the call through whatever the verdict
	Cause    Cause   // of a refusal
	Reason   string
	Rules    []string // ids that decided
	Asks     []string // groups that must answer
	Origins  []string // where arguments came from, a line each, where policy asked
	Labels   []Label  // what was known of the call and its run, where policy asked
	Findings []string // what scanners saw: in the arguments or, of an outcome, in what came back
	Modified []string // how what came back was changed before it was released
	Charges  []string // what was reserved of limits or, of an outcome, came to something else: see Charge

	Approval string
	Approver string
	Class    Class         // of a question that is put or answered
	Read     time.Duration // of a person's answer: what reading all that it answers takes; of several at once, of all

	Outcome Outcome
	Took    time.Duration // from intent to outcome; of a person's answer, from being shown it
	Task    string        // handle of a task whose ticket stays open

	// A change to the gateway itself: what, by whom, from and to.
	Subject string
	By      string
	Before  Digest
	After   Digest
}

// EntryType says what an entry records.
type EntryType string

// The types of entry.
const (
	Intent  EntryType = "intent"  // allowed, durable before the act
	Refusal EntryType = "refusal" // not allowed
	Held    EntryType = "hold"    // waits for people
	Closed  EntryType = "outcome" // what became of an intent
	Change  EntryType = "change"  // start, stop, policy, pin, agent, acceptance
)

// Outcome is how an act ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK       Outcome = "ok"
	OutcomeToolErr  Outcome = "tool-error" // the tool said isError
	OutcomeError    Outcome = "error"      // the server answered with an error, or not at all
	OutcomeWithheld Outcome = "withheld"   // came back and was not released
	OutcomeUnknown  Outcome = "unknown"    // the gateway died or gave up before it knew
)

// Record is an entry with the payloads that it commits to. A nil payload is
// none.
type Record struct {
	Entry  Entry
	Args   []byte // raw JSON
	Result []byte // raw JSON
	// Regardless says that an intent is recorded though its call is killed: it
	// has happened already, or it ends something. Any other drops out of its
	// transaction with ErrOvertaken.
	Regardless bool
	// Approval is a question as it stands once the entry is in the log: put by a
	// hold, answered by a change, spent by an intent, closed by a refusal. Both
	// become durable at once or not at all; ErrOvertaken says that the question
	// had moved on. A hold comes back with the one that is open already.
	Approval *Approval
	// Narrower is put in the place of Approval, at once with it. Grant is made or
	// revoked by a change, and used once more by an intent.
	Narrower *Approval
	Grant    *Grant
	// Charges are reserved with an intent, and settled with its outcome. An intent
	// for which there is no room drops out of its transaction with ErrFull.
	Charges []Charge
}
