package app

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/app/pinned"
	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
)

// saw takes in what a server says of itself. At first sight it is accepted
// when the operator has said so beforehand or says so now; otherwise, and for
// every later change, it waits in quarantine for a human.
func (a *App) saw(ctx context.Context, m manifest.Manifest) error {
	if err := a.gateway.Saw(ctx, m); err != nil {
		return err
	}
	by := a.firstSight(ctx, m)
	if by != "" {
		shown := a.unsuspected(m, by)
		if _, err := a.accept(ctx, m.Server, shown, by); err != nil {
			return err
		}
	}
	a.pinsChanged(ctx)
	return nil
}

// programsSetting is the state's name for what the pins of each server were
// accepted of.
const programsSetting = "programs"

// distrustOthers quarantines the pins of every server under whose name another
// program is about to be reached: what was accepted was accepted of the one
// before. The caller holds changing.
func (a *App) distrustOthers(ctx context.Context, c *config.Config) error {
	record, err := a.store.Setting(ctx, programsSetting)
	if err != nil {
		return err
	}
	known := map[string]sallyport.Digest{}
	if record != nil {
		if err := json.Unmarshal(record, &known); err != nil {
			return fmt.Errorf("what the servers' pins were accepted of is damaged in the state directory: %w", err)
		}
	}
	before := maps.Clone(known)
	for name, server := range c.Servers {
		program := server.Program()
		if before[name] == program {
			continue
		}
		pins, err := a.pins.Distrust(ctx, name)
		if err != nil {
			return err
		}
		if len(pins) > 0 {
			if err := a.gateway.Record(ctx, "quarantine "+name, "another program", before[name], program); err != nil {
				return err
			}
			a.tell(fmt.Sprintf("Server %s is reached in another way than when it was accepted, and waits for a human: sallyport servers accept %s", name, name))
		}
		known[name] = program
	}
	if maps.Equal(before, known) {
		return nil
	}
	if record, err = json.Marshal(known); err != nil {
		return err
	}
	return a.store.SaveSettings(ctx, map[string][]byte{programsSetting: record})
}

// firstSight says by whose word what a server offers is accepted unseen by
// the holder of the human's credential; "" for nobody's.
func (a *App) firstSight(ctx context.Context, m manifest.Manifest) string {
	c := a.config()
	if c.Servers[m.Server].Builtin != "" {
		return "built in" // its words come with this program
	}
	for _, pin := range a.pins.All() {
		if pin.Server == m.Server && pin.Raw != nil {
			return ""
		}
	}
	switch {
	case c.Pin == config.PinTrustFirstUse:
		return unseen
	case a.options.Look != nil:
		if changes, err := a.Changes(m.Server); err == nil && a.options.Look(ctx, changes) {
			return "trust on first use, at the terminal"
		}
	}
	a.tell(fmt.Sprintf("Server %s waits for a human to look at what it offers: sallyport servers pin %s", m.Server, m.Server))
	return ""
}

// unseen is by whose word a server is accepted that nobody has looked at.
const unseen = "trust on first use"

// unsuspected are the items of a manifest that are accepted at first sight. What
// nobody has looked at and scanners find grave waits for somebody who does.
func (a *App) unsuspected(m manifest.Manifest, by string) map[manifest.Key]sallyport.Digest {
	shown := map[manifest.Key]sallyport.Digest{}
	suspects := a.suspects(m.Server)
	for key, item := range m.Items {
		if grave := pinned.Graves(suspects[key]); by == unseen && len(grave) > 0 {
			a.tell(fmt.Sprintf("%s of server %s waits for a human to look at it: sallyport servers pin %s\n  %s", key, m.Server, m.Server, strings.Join(grave, "\n  ")))
			continue
		}
		shown[key] = item.Digest
	}
	return shown
}

// suspects are what scanners see in what nobody has accepted of a server.
func (a *App) suspects(server string) map[manifest.Key][]pinned.Suspect {
	c := a.config()
	if c.Inspect == config.Off || c.Servers[server].Builtin != "" { // whose words come with this program
		return nil
	}
	return pinned.New(a.pins.All(), server)
}

// accept pins what was shown of a server.
func (a *App) accept(ctx context.Context, server string, shown map[manifest.Key]sallyport.Digest, by string) ([]pin.Pin, error) {
	return pinned.Accept(ctx, a.store, a.pins, pinned.Acceptance{
		Server: server, Shown: shown, Suspects: a.suspects(server), By: by, At: time.Now(),
	})
}

// pinsChanged checks the policy against what is pinned now.
func (a *App) pinsChanged(ctx context.Context) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.setConfig(a.options.overlay(a.law.inForce, a.pins.All()).Config)
	a.pins.Configure(a.config().Settings)
	rules, err := a.law.inForce.Load(a.pins.All())
	if err == nil {
		err = a.rule(rules)
	}
	if err != nil && !a.law.first {
		a.tell(fmt.Sprintf("The policy in force does not fit what was accepted of the servers:\n%v", err))
	}
	if a.running {
		a.reload(ctx)
	}
}

// Changes implements control.Pins.
func (a *App) Changes(server string) (control.Changes, error) {
	if _, configured := a.config().Servers[server]; !configured {
		return control.Changes{}, fmt.Errorf("there is no server %q", server)
	}
	changes := control.Changes{Server: server, Changes: []control.Change{}}
	h := sha256.New()
	seen := false
	suspects := a.suspects(server)
	for _, pin := range a.pins.All() {
		if pin.Server != server {
			continue
		}
		seen = true
		if pin.Seen == nil {
			continue
		}
		change := control.Change{Key: string(pin.Key), Before: pin.Raw, After: pin.Seen}
		if kind, name := pin.Key.Split(); kind == sallyport.KindTool {
			change.Effects = a.effects(server, name)
		}
		for _, s := range suspects[pin.Key] {
			change.Findings = append(change.Findings, s.String())
		}
		change.Grave = pinned.Graves(suspects[pin.Key])
		changes.Changes = append(changes.Changes, change)
		fmt.Fprintf(h, "%d:%s%d:%s%d:%s", len(pin.Key), pin.Key, len(pin.Raw), pin.Raw, len(pin.Seen), pin.Seen)
	}
	changes.Digest = sallyport.Digest(h.Sum(nil)).String()
	if state, err := a.watch.StateOf(server); !seen && err != nil {
		return control.Changes{}, fmt.Errorf("server %s is %s: %w", server, state, err)
	} else if !seen {
		return control.Changes{}, fmt.Errorf("server %s is %s: nobody knows yet what it offers", server, state)
	}
	return changes, nil
}

// effects are what the operator says that a tool does or, for the server of the
// command line, what is proposed.
func (a *App) effects(server, tool string) []string {
	effects, _ := a.config().Settings(server, tool)
	if server == CommandServer && len(a.options.Command) > 0 {
		effects = proposedEffects(server, a.pins.All())[tool]
	}
	var names []string
	for _, effect := range effects {
		names = append(names, string(effect))
	}
	return names
}

// AcceptChanges implements control.Pins.
func (a *App) AcceptChanges(ctx context.Context, server string, accept control.Accept) (control.Accepted, error) {
	if err := a.verify(ctx, accept.Secret); err != nil {
		return control.Accepted{}, err
	}
	changes, err := a.Changes(server)
	if err != nil {
		return control.Accepted{}, err
	}
	if changes.Digest != accept.Digest {
		return control.Accepted{}, errors.New("the server has changed again since it was shown: look again")
	}
	shown := map[manifest.Key]sallyport.Digest{}
	for _, change := range changes.Changes {
		if accept.Item == "" || accept.Item == change.Key {
			seen := pin.Pin{Seen: change.After}
			shown[manifest.Key(change.Key)] = seen.Shown()
		}
	}
	if len(shown) == 0 {
		return control.Accepted{}, fmt.Errorf("nothing of %s waits under the name %q", server, accept.Item)
	}
	pins, err := a.accept(ctx, server, shown, operator)
	if err != nil {
		return control.Accepted{}, err
	}
	a.pinsChanged(ctx)
	accepted := control.Accepted{Items: []string{}}
	for _, pin := range pins {
		accepted.Items = append(accepted.Items, string(pin.Key))
	}
	return accepted, nil
}
