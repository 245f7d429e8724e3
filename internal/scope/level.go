package scope

import "sallyport"

// Level says how much of what is not certain passes. The zero Level is the
// strictest.
type Level struct {
	// WeakScope lets a tool pass that the task asks for without saying to what.
	WeakScope bool
	// ListedIDs lets a change that can be undone choose its thing from a list
	// that the run has read, though the task does not name it.
	ListedIDs bool
	// ListedPaid lets a payment do so, which can't be undone.
	ListedPaid bool
	// MadeIDs lets it choose one that nobody wrote, too.
	MadeIDs bool
	// MadeAmounts lets money move by an amount that nobody wrote, to somebody
	// whom the task names.
	MadeAmounts bool
	// Embedded lets a message carry addresses that others wrote.
	Embedded bool
	// TrustedPrincipals lets things go to whomever a trusted field names.
	TrustedPrincipals bool
}

// The levels of the published curve.
var (
	Strict  = Level{}
	Default = Level{WeakScope: true, ListedIDs: true, MadeIDs: true}
	Lenient = Level{WeakScope: true, ListedIDs: true, ListedPaid: true, MadeIDs: true, MadeAmounts: true, Embedded: true, TrustedPrincipals: true}
)

// Open is what is left to ask about a call: why it is outside the task, "" when
// it is not, and the critical leaves that nothing links to the task well enough.
func (l Level) Open(t *Tool, f Flow) (outside string, unlinked []Leaf) {
	switch {
	case t.Reads():
	case f.Match.Fit == Outside, f.Match.Fit == Weak && (!l.WeakScope || t.grave() && !f.meant()):
		outside = f.Match.Why(t)
	}
	for _, leaf := range f.Unlinked {
		if !l.passes(t, f, leaf) {
			unlinked = append(unlinked, leaf)
		}
	}
	return outside, unlinked
}

// meant reports whether the task's own verb is what is done, and what it is done
// to is what the task names: "take her out of our records".
func (f *Flow) meant() bool {
	return !f.Match.Delegated && len(f.Linked) > 0 && len(f.Unlinked) == 0
}

// passes reports whether a critical leaf that nothing links may pass.
func (l Level) passes(t *Tool, f Flow, leaf Leaf) bool {
	writer := leaf.Trace.Origin.Writer
	switch leaf.Role {
	case RoleID, RolePath, RoleThing:
		if t.grave() || t.has(sallyport.Pay) && leaf.Role != RoleThing && !l.ListedPaid {
			return false // what is paid for, or lost, must be what the user means
		}
		made := writer == sallyport.WriterUnknown
		return made && l.MadeIDs || !made && l.ListedIDs && leaf.Field
	case RolePrincipal, RoleURL:
		return l.TrustedPrincipals && writer == sallyport.WriterTrusted
	case RoleAmount:
		return l.MadeAmounts && writer == sallyport.WriterUnknown
	case RoleContent, RoleNone:
		return l.Embedded
	default:
		return false
	}
}
