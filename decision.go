package sallyport

import "fmt"

// Verdict is how a decision ends. The zero Verdict refuses; the stricter of
// two is the smaller.
type Verdict uint8

// The verdicts, strictest first.
const (
	Deny Verdict = iota
	Hold
	Allow
)

func (v Verdict) String() string {
	switch v {
	case Hold:
		return "hold"
	case Allow:
		return "allow"
	default:
		return "deny"
	}
}

// VerdictOf is the inverse of Verdict.String; anything unknown is Deny.
func VerdictOf(name string) Verdict {
	switch name {
	case "hold":
		return Hold
	case "allow":
		return Allow
	default:
		return Deny
	}
}

// Decision is what policy says of a call, and why.
type Decision struct {
	Verdict Verdict
	Rules   []Rule   // that decided: the firing forbids, the open questions, or the permits
	Asks    []string // groups of people who must answer a held call, each of them
	// Reason is one sentence for the agent and for people. Never empty on a
	// refusal or a hold.
	Reason string
	Policy Digest // of the policy set
	// Question is the digest of what people are asked, of a hold; Approval is
	// what answered it, of a call that is allowed because they agreed.
	Question Digest
	Approval string

	// What came back is changed like this before it is released or kept.
	Mask       []string // scanners, or names of findings, whose finds are masked
	Neutralise bool     // links, images and markup are made inert
}

// Rule points at one policy.
type Rule struct {
	ID      string // its @id, else FILE:LINE
	File    string
	Line    int
	Because string // its @because
	// Otherwise says what would keep it from asking; "" when that can't be said
	// simply.
	Otherwise string
	Ask       []string
	Class     Class  // its @class, the least that its question is of; 0 for none
	Digest    Digest // of its text

	// What the rule wants changed of what comes back: see Decision.
	Mask       []string
	Neutralise bool
}

// Facts is all that a decision may look at. Facts only grow during a call.
type Facts struct {
	Call *Call
	Tool *Definition // pinned; nil for kinds that have none
	// Partial says that the arguments (and all facts learned from them) are
	// not known yet: lists, and the first look at a call.
	Partial bool
	// Approvals are what people have agreed to. Only one of exactly this call
	// counts, for the very rules that ask now.
	Approvals []Approval
	// Beyond are the limits that the call goes beyond, as rules: one without groups
	// to ask refuses.
	Beyond []Rule
	// Result is what came back, for rules marked @on("result").
	Result Value
	// Flow is where the arguments came from, known when Partial is not set.
	Flow *Flow
	// Findings are what scanners saw in the arguments or, where Result is
	// judged, in that.
	Findings []Finding
	// Permits are the ids of the rules that let the call through whose result
	// is judged. Nil is that nobody knows: then each could have been it.
	Permits []string
}

// Cause says which wall refused a call. It is stable and part of the log.
type Cause string

// The causes of a refusal.
const (
	CauseIdentity Cause = "identity" // no or unknown credential
	CauseMethod   Cause = "method"   // a method or kind that no table admits
	CauseServer   Cause = "server"   // no such server, or it cannot be reached
	CauseUnknown  Cause = "unknown"  // the server offers nothing of that name
	CausePin      Cause = "pin"      // not pinned, or quarantined
	CauseSchema   Cause = "schema"   // arguments do not fit the pinned schema
	CausePolicy   Cause = "policy"   // policy denies
	CauseHold     Cause = "hold"     // policy asks: people have not answered, or can't be asked about this
	CauseApproval Cause = "approval" // people were asked, and refused or did not answer in time
	CauseLog      Cause = "log"      // the log cannot be written
	CauseResult   Cause = "result"   // what came back may not be released
	CauseWire     Cause = "wire"     // malformed bytes
	CauseLimit    Cause = "limit"    // more of something than there may be
	CauseKill     Cause = "kill"     // killed or paused by the operator
	CauseBreaker  Cause = "breaker"  // cut off for a while, after what went wrong
)

// RefusedError ends a call that is not allowed. Its text is for the agent.
type RefusedError struct {
	CallID   string
	Cause    Cause
	Decision Decision
	// Approval is the question that was put to people, zero when none was.
	Approval Approval
	// Narrower are the arguments that people agreed to in place of those that were
	// sent; Absent when they did not. They are no part of the decision, whose
	// reason stays in the log for good.
	Narrower Value
}

func (e *RefusedError) Error() string {
	switch {
	case e.Decision.Reason == "":
		return fmt.Sprintf("refused (%s)", e.Cause)
	case e.Narrower.Type() != Absent:
		return e.Decision.Reason + " Make exactly this call instead: " + string(e.Narrower.Raw())
	}
	return e.Decision.Reason
}

// Refuse makes a RefusedError with a reason.
func Refuse(cause Cause, format string, args ...any) *RefusedError {
	return &RefusedError{Cause: cause, Decision: Decision{Reason: fmt.Sprintf(format, args...)}}
}
