package sallyport

import "time"

// Run is the memory to which a call belongs. Which one that is comes from a
// credential that the gateway minted, never from what a message or a header
// says. Without a run credential it is the standing run of the identity.
type Run struct {
	ID       string
	Parent   string // the run of which it inherits what was said and seen, "" for none
	Standing bool
	// Memory is the run in whose memory it is remembered, "" for its own. An
	// agent that begins a run holds the credentials of both: what it reads with
	// one it knows with the other.
	Memory string
}

// RememberedIn is the run in whose memory the run is remembered.
func (r Run) RememberedIn() string {
	if r.Memory == "" {
		return r.ID
	}
	return r.Memory
}

// Message is what the user said to a run. The first one is its task.
type Message struct {
	Time     time.Time
	By       string // who passed it on, as the log names it
	Strength Strength
	Text     string
}

// Strength says who vouches for words to be the user's own. What consumes words
// must say which strengths it trusts for what: these differ in who could have
// forged them, not in degree alone. The empty Strength is nobody's word.
type Strength string

// The strengths.
const (
	StrengthHook         Strength = "hook"         // a client's prompt hook: an agent with a shell of the same user could forge it
	StrengthLauncher     Strength = "launcher"     // what started the agent, before the agent ran
	StrengthOrchestrator Strength = "orchestrator" // a service with a credential that its agents don't have
	StrengthHuman        Strength = "human"        // the human's own credential
)

// Strengths lists every strength.
var Strengths = [...]Strength{StrengthHook, StrengthLauncher, StrengthOrchestrator, StrengthHuman}
