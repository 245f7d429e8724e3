package hookdoor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	Event    string          `json:"hookEventName"`
	Decision string          `json:"permissionDecision,omitempty"`
	Reason   string          `json:"permissionDecisionReason,omitempty"`
	Output   json.RawMessage `json:"updatedToolOutput,omitempty"`
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

// replace asks the client to give the agent something else, where a rule keeps
// back what has come. Only newer ones do; the run remembers it all the same.
func replace(e *event, refused error) answer {
	why := fmt.Sprintf("What %s brought is kept back: %v", e.tool, refused)
	return answer{Decision: "block", Reason: why, Specific: &specific{Event: e.name, Output: instead(e.result, why)}}
}

// shown are the members that say what a result is, and nothing of what it holds.
// The client takes nothing in the place of a result that has another shape.
var shown = []string{"type", "filePath"}

// instead is a result of the same shape, with why in the place of its texts.
func instead(result sallyport.Value, why string) []byte {
	text := sallyport.AppendString(nil, why)
	switch result.Type() {
	case sallyport.String:
		return text
	case sallyport.Array:
		dst := []byte{'['}
		for i, item := range result.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, instead(item, why)...)
		}
		return append(dst, ']')
	case sallyport.Object:
		dst := []byte{'{'}
		for name, member := range result.Members() {
			if len(dst) > 1 {
				dst = append(dst, ',')
			}
			dst = append(sallyport.AppendString(dst, name), ':')
			if slices.Contains(shown, name) {
				dst = append(dst, member.Raw()...)
			} else {
				dst = append(dst, instead(member, why)...)
			}
		}
		return append(dst, '}')
	default:
		return result.Raw()
	}
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
		return deny(fmt.Sprintf("Held: nothing has been done yet. A human of %s has to look at it (sallyport approvals show %s; the words are %s%s). Then make the identical call again, until %s. Don't try this in another way. %s (call %s)",
			strings.Join(a.Groups(), " and "), a.ID, a.Digest.Words(), number(a), a.Expires.UTC().Format(time.RFC3339), refused.Decision.Reason, refused.CallID))
	case refused.CallID == "":
		return deny(refused.Error())
	default:
		return deny(refused.Error() + " (call " + refused.CallID + ")")
	}
}

// number is what the person who approves has to type, where one must.
func number(a *sallyport.Approval) string {
	if a.Class.Known() == sallyport.ClassTap {
		return ""
	}
	return ", the number to type is " + a.Number()
}
