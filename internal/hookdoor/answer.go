package hookdoor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport"
)

// answer is what the hook prints, as Claude Code reads it. The zero answer says
// nothing: then the client goes on as if there were no hook.
type answer struct {
	Continue *bool     `json:"continue,omitempty"` // false ends the agent's turn
	Stop     string    `json:"stopReason,omitempty"`
	Message  string    `json:"systemMessage,omitempty"` // that the user sees
	Decision string    `json:"decision,omitempty"`      // "block": the agent hears the reason
	Reason   string    `json:"reason,omitempty"`
	Specific *specific `json:"hookSpecificOutput,omitempty"`
}

// specific is the part that only one event has.
type specific struct {
	Event    string `json:"hookEventName"`
	Decision string `json:"permissionDecision,omitempty"`
	Reason   string `json:"permissionDecisionReason,omitempty"`
	Output   string `json:"updatedToolOutput,omitempty"`
}

func allow() answer {
	return answer{Specific: &specific{Event: "PreToolUse", Decision: "allow", Reason: "Sallyport allows it."}}
}

func deny(why string) answer {
	return answer{Specific: &specific{Event: "PreToolUse", Decision: "deny", Reason: why}}
}

// stop ends the agent's turn: what it has read nobody remembers, so what it does
// next nobody could judge.
func stop(why string) answer {
	no := false
	return answer{Continue: &no, Stop: why, Message: why}
}

// replace asks the client to keep from the agent what a rule keeps back. Only
// newer ones can; the run remembers it all the same.
func replace(tool string, refused error) answer {
	return answer{Decision: "block", Reason: refused.Error(), Specific: &specific{Event: "PostToolUse",
		Output: fmt.Sprintf("What %s brought is kept back: %v", tool, refused)}}
}

// refused tells the agent why, and what to do instead: models take a bare no for
// a wall, and look for a way around it.
func (d *Door) refused(err error) answer {
	refused, ok := errors.AsType[*sallyport.RefusedError](err)
	switch {
	case !ok:
		return deny("Sallyport could not decide: " + err.Error())
	case refused.Cause == sallyport.CauseHold && refused.Approval.ID != "":
		a := &refused.Approval
		return deny(fmt.Sprintf("Held: nothing has been done yet. A human of %s has to look at it (sallyport approvals show %s; the words are %s). Then make the identical call again, until %s. Don't try this in another way. %s (call %s)",
			strings.Join(a.Groups(), " and "), a.ID, a.Digest.Words(), a.Expires.UTC().Format(time.RFC3339), refused.Decision.Reason, refused.CallID))
	case refused.CallID == "":
		return deny(refused.Error())
	default:
		return deny(refused.Error() + " (call " + refused.CallID + ")")
	}
}
