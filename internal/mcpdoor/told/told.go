// Package told is what an agent is told of a decision against its call: in words
// for the model, and for machines.
package told

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport"
)

// retryAfter is when an agent should look whether people have answered.
const retryAfter = 30 * time.Second

// Waits reports whether people have been asked and may still answer.
func Waits(e *sallyport.RefusedError) bool {
	return e.Cause == sallyport.CauseHold && e.Approval.ID != ""
}

// Waiting is for whom a call waits, with the number that a person must type,
// where one must: the agent shows it.
func Waiting(a *sallyport.Approval) string {
	text := "Waiting for approval " + a.ID + " (" + a.Digest.Words() + ") by " + strings.Join(a.Groups(), " and ") + ". "
	if a.Class.Known() == sallyport.ClassTap {
		return text
	}
	return text + "Show the user this number, which the person who approves has to type: " + a.Number() + ". "
}

// Text is what the agent reads: the reason, and under which id people find
// the call in the log.
func Text(e *sallyport.RefusedError) string {
	if Waits(e) {
		return comeBack(e)
	}
	if e.CallID == "" {
		return e.Error()
	}
	return e.Error() + " (call " + e.CallID + ")"
}

// comeBack tells a model to wait. Models take an error for a wall and look for a
// way around it; what they shall do instead is said first.
func comeBack(e *sallyport.RefusedError) string {
	return fmt.Sprintf("%sNothing has been done yet. Don't try this in another way: make the identical call again in %d s, and again until %s. %s (call %s)",
		Waiting(&e.Approval), int(retryAfter.Seconds()), e.Approval.Expires.UTC().Format(time.RFC3339), e.Decision.Reason, e.CallID)
}

// Machine is a refusal for machines: {"call","cause","rules","asks"}, and what
// to wait for where people are asked.
func Machine(e *sallyport.RefusedError) []byte {
	dst := sallyport.AppendString([]byte(`{"call":`), e.CallID)
	dst = sallyport.AppendString(append(dst, `,"cause":`...), string(e.Cause))
	dst = append(dst, `,"rules":[`...)
	for i, rule := range e.Decision.Rules {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sallyport.AppendString(dst, rule.ID)
	}
	dst = append(dst, `],"asks":[`...)
	for i, group := range e.Decision.Asks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sallyport.AppendString(dst, group)
	}
	dst = append(dst, ']')
	if e.Approval.ID != "" {
		dst = appendApproval(dst, e)
	}
	return append(dst, '}')
}

// appendApproval adds {"status","approval","words","expires"} and, while it is
// pending, "retry_after_s" and the "number" that a person must type, where one
// must; and the "narrower" arguments that people agreed to instead.
func appendApproval(dst []byte, e *sallyport.RefusedError) []byte {
	a := &e.Approval
	status := a.State.String()
	if Waits(e) {
		status = "pending_approval"
	}
	dst = sallyport.AppendString(append(dst, `,"status":`...), status)
	dst = sallyport.AppendString(append(dst, `,"approval":`...), a.ID)
	dst = sallyport.AppendString(append(dst, `,"words":`...), a.Digest.Words())
	dst = sallyport.AppendString(append(dst, `,"expires":`...), a.Expires.UTC().Format(time.RFC3339))
	if Waits(e) {
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
