package mcpdoor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport"
)

// retryAfter is when an agent should look whether people have answered.
const retryAfter = 30 * time.Second

// pending reports whether people have been asked and may still answer.
func pending(e *sallyport.RefusedError) bool {
	return e.Cause == sallyport.CauseHold && e.Approval.ID != ""
}

// waiting tells a model to wait. Models take an error for a wall and look for a
// way around it; what they shall do instead is said first.
func waiting(e *sallyport.RefusedError) string {
	a := &e.Approval
	return fmt.Sprintf("Waiting for approval %s (%s) by %s. %sNothing has been done yet. Don't try this in another way: make the identical call again in %d s, and again until %s. %s (call %s)",
		a.ID, a.Digest.Words(), strings.Join(a.Groups(), " and "), number(a), int(retryAfter.Seconds()), a.Expires.UTC().Format(time.RFC3339),
		e.Decision.Reason, e.CallID)
}

// number has the agent show the number that a person must type, where one must.
func number(a *sallyport.Approval) string {
	if a.Class.Known() == sallyport.ClassTap {
		return ""
	}
	return "Show the user this number, which the person who approves has to type: " + a.Number() + ". "
}

// promises reports whether a tool has an outputSchema: then clients take a
// result without structured content that fits for broken, unless it is an error.
func (x *exchange) promises(call *sallyport.Call) bool {
	tool := x.door.Tool(call.Server, call.Name)
	return tool == nil || tool.Raw.Get("outputSchema").Type() != sallyport.Absent
}

// appendApproval adds {"status","approval","words","expires"} and, while it is
// pending, "retry_after_s" and the "number" that a person must type, where one
// must; and the "narrower" arguments that people agreed to instead.
func appendApproval(dst []byte, e *sallyport.RefusedError) []byte {
	a := &e.Approval
	status := a.State.String()
	if pending(e) {
		status = "pending_approval"
	}
	dst = sallyport.AppendString(append(dst, `,"status":`...), status)
	dst = sallyport.AppendString(append(dst, `,"approval":`...), a.ID)
	dst = sallyport.AppendString(append(dst, `,"words":`...), a.Digest.Words())
	dst = sallyport.AppendString(append(dst, `,"expires":`...), a.Expires.UTC().Format(time.RFC3339))
	if pending(e) {
		dst = strconv.AppendInt(append(dst, `,"retry_after_s":`...), int64(retryAfter.Seconds()), 10)
		if a.Class.Known() > sallyport.ClassTap {
			dst = sallyport.AppendString(append(dst, `,"number":`...), a.Number())
		}
	}
	if e.Narrower.Type() != sallyport.Absent {
		dst = append(append(dst, `,"narrower":`...), e.Narrower.Raw()...)
	}
	return dst
}
