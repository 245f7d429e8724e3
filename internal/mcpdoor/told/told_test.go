package told

import (
	"strings"
	"testing"

	"sallyport"
)

// The number that a person must type is shown where the agent runs, and only when
// one must.
func TestNumber(t *testing.T) {
	e := &sallyport.RefusedError{Cause: sallyport.CauseHold, Approval: sallyport.Approval{ID: "a_1", State: sallyport.Pending, Class: sallyport.ClassType, Digest: sallyport.DigestOf([]byte("x"))}}
	number := e.Approval.Number()
	if !strings.Contains(Text(e), number) || !strings.Contains(Waiting(&e.Approval), number) || !strings.Contains(string(Machine(e)), `"number":"`+number+`"`) {
		t.Errorf("no number: %s", Text(e))
	}
	e.Approval.Class = sallyport.ClassTap
	if strings.Contains(Text(e), number) || strings.Contains(string(Machine(e)), number) {
		t.Errorf("a number that nobody has to type: %s", Text(e))
	}
}
