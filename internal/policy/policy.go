// Package policy decides. It is pure: no clock, no input or output, no state.
package policy

import "sallyport"

// Rules is a loaded policy set: parsed, checked against the pinned manifests,
// indexed. It is immutable. The zero Rules, and a nil *Rules, refuse everything.
type Rules struct{}

// Digest identifies the policy set; every decision records it.
func (r *Rules) Digest() sallyport.Digest { return sallyport.Digest{} }

// JudgesResults reports whether any rule is marked @on("result").
func (r *Rules) JudgesResults() bool { return false }

// Decide is the decision. With facts.Partial it answers what can still be
// said without the arguments: Deny when no permit can hold any more or a
// forbid without @ask certainly fires, else Allow or Hold, meaning maybe.
func Decide(r *Rules, facts *sallyport.Facts) sallyport.Decision {
	return sallyport.Decision{Reason: "no policy is loaded"}
}

// DecideResult judges what came back by the forbids marked @on("result").
func DecideResult(r *Rules, facts *sallyport.Facts) sallyport.Decision {
	return sallyport.Decision{Reason: "no policy is loaded"}
}
