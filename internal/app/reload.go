package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/app/people"
	"sallyport/internal/app/ruling"
	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/policy"
)

// law is what is in force, and what would be if somebody let it. All fields
// are guarded by App.changing.
type law struct {
	inForce *ruling.Ruling
	rules   *policy.Rules // of inForce alone: a.rules has the command line's, too
	first   bool          // nothing was ever accepted: the first that loads is
	pending *pending      // waits for a human
	broken  error         // why the files can't be taken as they are
	told    string        // of what is broken
}

// pending is a ruling that is not provably tighter.
type pending struct {
	*ruling.Ruling
	rules   *policy.Rules
	reasons []string
}

// Reload looks at the files. What is provably tighter takes effect at once;
// anything else waits for a human; what is broken is refused, and the old
// stays in force.
func (a *App) Reload(ctx context.Context) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.reload(ctx)
}

// reload is Reload for a caller that holds changing.
func (a *App) reload(ctx context.Context) {
	if ctx.Err() != nil {
		return // stopping
	}
	if a.law.first && !a.watch.Settled() {
		return // what is accepted first should have been checked against all servers
	}
	next, err := ruling.Read(a.configPath)
	if next == nil || next.Config == nil {
		a.refuseFiles(ctx, err)
		return
	}
	var rules *policy.Rules
	if err == nil {
		rules, err = next.Load(a.pins.All())
	}
	if err != nil {
		a.refuseFiles(ctx, err)
		// The configuration may be fine, and hold just what the policy waits
		// for: a new server that has to be pinned first.
		hybrid := *next
		hybrid.Files = a.law.inForce.Files
		if rules, err = hybrid.Load(a.pins.All()); err != nil || a.law.first {
			return
		}
		next = &hybrid
	} else {
		a.acceptFiles()
	}
	a.consider(ctx, next, rules)
}

// consider takes a ruling that loads into force, or lets it wait.
func (a *App) consider(ctx context.Context, next *ruling.Ruling, rules *policy.Rules) {
	if next.Digest() == a.law.inForce.Digest() && !a.law.first {
		a.law.pending = nil
		if err := a.moved(ctx, next); err != nil {
			a.log.Error("where the configuration lies now can't be kept", "error", err)
		}
		// A secret may have been put where the configuration refers to it.
		if err := errors.Join(a.rule(rules), a.configure(ctx, a.config())); err != nil {
			a.log.Error("the configuration in force can't be applied", "error", err)
		}
		return
	}
	var reasons []string
	if !a.law.first {
		reasons = a.looser(next, rules)
	}
	if len(reasons) == 0 {
		by := "provably tighter"
		if a.law.first {
			by = "trust on first use"
		}
		if err := a.enforce(ctx, next, rules, by); err != nil {
			a.log.Error("the new configuration is not in force", "error", err)
		}
		return
	}
	if a.law.pending != nil && a.law.pending.Digest() == next.Digest() {
		return
	}
	a.law.pending = &pending{next, rules, reasons}
	a.record(ctx, "policy waits for a human", "files", a.law.inForce.Digest(), next.Digest())
	a.tell("The changed configuration or policy is not provably tighter and waits: sallyport policy status, sallyport policy accept")
}

// moved takes the files in force from where they lie now: what they name, they
// name from there. The caller holds changing.
func (a *App) moved(ctx context.Context, next *ruling.Ruling) error {
	if next.Name == a.law.inForce.Name {
		return nil
	}
	a.law.inForce = next
	record, err := next.Keep()
	if err != nil {
		return err
	}
	return a.store.SaveSettings(ctx, map[string][]byte{rulingSetting: record})
}

// looser says what in a new ruling, which has these rules, is not provably
// tighter. The caller holds changing.
func (a *App) looser(next *ruling.Ruling, rules *policy.Rules) []string {
	why := config.Looser(a.law.inForce.Config, next.Config)
	for _, l := range policy.Compare(a.law.rules, rules) {
		why = append(why, l.String())
	}
	// What is set aside is in neither set of rules, and comes to be in force
	// without anybody looking again.
	_, before := a.law.inForce.Ready(a.pins.All())
	if _, after := next.Ready(a.pins.All()); !slices.Equal(before, after) {
		why = append(why, "rules about servers that nobody has looked at yet change")
	}
	return why
}

// rule puts the rules of the ruling in force into force, with what the command
// line says besides.
func (a *App) rule(rules *policy.Rules) (err error) {
	a.law.rules = rules
	if over := a.options.overlay(a.law.inForce, a.pins.All()); over.More != nil {
		var more *policy.Rules
		if more, err = over.Load(a.pins.All()); err == nil {
			rules = more
		} // else the files' rules alone, which permit nothing of the command's
	}
	a.rules.Store(rules)
	return err
}

// refuseFiles remembers why the files can't be taken, and says so once.
func (a *App) refuseFiles(ctx context.Context, err error) {
	a.law.broken = err
	if a.law.told == err.Error() {
		return
	}
	a.law.told = err.Error()
	a.record(ctx, "policy refused", "files", a.law.inForce.Digest(), sallyport.DigestOf([]byte(err.Error())))
	a.tell(fmt.Sprintf("The changed configuration or policy is refused, the old one stays in force:\n%v", err))
}

func (a *App) acceptFiles() {
	a.law.broken = nil
	if a.law.told != "" {
		a.law.told = ""
		a.tell("The configuration and policy files can be read again.")
	}
}

// enforce puts a ruling in force: on the record, then kept, then done. When it
// can't be recorded or kept it is not in force. The caller holds changing.
func (a *App) enforce(ctx context.Context, next *ruling.Ruling, rules *policy.Rules, by string) error {
	before := a.law.inForce.Digest()
	if a.law.first {
		before = sallyport.Digest{}
	}
	record, err := next.Keep()
	if err != nil {
		return err
	}
	if err := a.gateway.Record(ctx, "policy", by, before, next.Digest()); err != nil {
		return err
	}
	if err := a.store.SaveSettings(ctx, map[string][]byte{rulingSetting: record}); err != nil {
		return fmt.Errorf("keeping the accepted policy: %w", err)
	}
	a.law.inForce, a.law.pending, a.law.first = next, nil, false
	return errors.Join(a.rule(rules), a.configure(ctx, a.config()))
}

// rulingSetting is the state's name for the ruling that was accepted last.
const rulingSetting = "ruling"

// PolicyStatus implements control.Policy.
func (a *App) PolicyStatus() control.PolicyStatus {
	a.changing.Lock()
	defer a.changing.Unlock()
	rules := a.rules.Load()
	status := control.PolicyStatus{Digest: rules.Digest().String(), Rules: len(rules.All()), Mode: string(config.Enforce)}
	if a.observe.Load() {
		status.Mode = string(config.Observe)
	}
	if a.law.broken != nil {
		status.Broken = a.law.broken.Error()
	}
	if p := a.law.pending; p != nil {
		status.Pending = &control.Pending{Digest: p.Digest().String(), Reasons: p.reasons, Diff: a.law.inForce.Diff(p.Ruling)}
	}
	return status
}

// AcceptPolicy implements control.Policy: what waits takes effect, when it is
// still what the human was shown.
func (a *App) AcceptPolicy(ctx context.Context, accept control.Accept) error {
	if err := a.verify(ctx, accept.Secret); err != nil {
		return err
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	p := a.law.pending
	switch {
	case p == nil:
		return errors.New("nothing waits to be accepted")
	case p.Digest().String() != accept.Digest:
		return errors.New("the files have changed since they were shown: look again")
	}
	// The pins may have changed since: what is accepted must still load.
	rules, err := p.Load(a.pins.All())
	if err != nil {
		return err
	}
	return a.enforce(ctx, p.Ruling, rules, operator)
}

// operator is who holds the human's credential, in the log.
const operator = identity.OperatorName

// verify checks the operator's secret.
func (a *App) verify(ctx context.Context, secret string) error {
	return a.verifyAs(ctx, identity.OperatorName, secret)
}

// verifyAs checks a person's secret. A wrong one is on the record.
func (a *App) verifyAs(ctx context.Context, who, secret string) error {
	if by := a.console.Whose(secret); by != "" { // who has shown it to the console
		if _, vouched := a.console.Vouched(who, secret); vouched {
			return nil
		}
		a.record(ctx, people.Subject("human credential refused", who), by, sallyport.Digest{}, sallyport.Digest{})
		return fmt.Errorf("%w: it takes %s", identity.ErrForbidden, who)
	}
	err := a.human.Verify(who, secret)
	if errors.Is(err, identity.ErrWrongSecret) {
		a.record(ctx, people.Subject("human credential refused", who), "control socket", sallyport.Digest{}, sallyport.Digest{})
	}
	return err
}

// record puts a change on the record where what follows is no looser without
// it.
func (a *App) record(ctx context.Context, subject, by string, before, after sallyport.Digest) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.gateway.Record(ctx, subject, by, before, after); err != nil {
		a.log.Error("a change could not be recorded", "subject", subject, "error", err)
	}
}
