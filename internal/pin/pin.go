// Package pin keeps what a human has accepted of each server, and has whatever
// is new or changed wait until somebody has looked.
package pin

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/manifest"
)

// Pin is one item of a server's manifest as a human accepted it.
type Pin struct {
	Server string
	Key    manifest.Key
	Raw    []byte // accepted; nil while the item has only been seen
	Since  time.Time
	By     string // who accepted it
	// Seen is what the server says now where that is not what was accepted:
	// the item is in quarantine, neither listed nor callable.
	Seen []byte
}

// Accepted is the digest of what was accepted, the zero value where nothing was.
func (p *Pin) Accepted() sallyport.Digest { return digestOrNone(p.Raw) }

// Shown is the digest of what the server says now where that is something else,
// the zero value otherwise.
func (p *Pin) Shown() sallyport.Digest { return digestOrNone(p.Seen) }

func digestOrNone(raw []byte) sallyport.Digest {
	v, err := sallyport.Parse(raw)
	if err != nil {
		return sallyport.Digest{}
	}
	return sallyport.DigestOf(v.AppendCanonical(nil))
}

// Store keeps pins.
type Store interface {
	// Pins loads all pins. An error means that nothing is pinned for certain.
	Pins(ctx context.Context) ([]Pin, error)
	// SavePins writes pins durably, replacing those of the same server and
	// key. An error means that none may be taken as saved.
	SavePins(ctx context.Context, pins []Pin) error
}

// Settings says what the operator configured for a tool: its effects, and
// whether it takes arguments that its schema does not declare.
type Settings func(server, tool string) (effects []sallyport.Effect, undeclared bool)

// Pins knows what of each server may be listed and called.
type Pins struct {
	store    Store
	settings Settings

	mu      sync.Mutex // held while changing
	current atomic.Pointer[State]
}

// State is all pins at one time. It never changes.
type State struct {
	pins  map[place]Pin
	items map[place]*item // what may be used
	// quarantined are the items that were accepted and may not be used until a
	// human has looked, as they were accepted.
	quarantined map[place]*item
}

type place struct {
	server string
	key    manifest.Key
}

type item struct {
	definition sallyport.Definition
	schema     *manifest.Schema // of a tool
	err        error            // why the item can't be used although it is pinned
}

// Load reads the pins from their store.
func Load(ctx context.Context, store Store, settings Settings) (*Pins, error) {
	saved, err := store.Pins(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading pins: %w", err)
	}
	p := &Pins{store: store, settings: settings}
	state := map[place]Pin{}
	for _, pin := range saved {
		state[place{pin.Server, pin.Key}] = pin
	}
	p.publish(state)
	return p, nil
}

// Configure takes new settings into force.
func (p *Pins) Configure(settings Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings = settings
	p.publish(p.current.Load().pins)
}

func (p *Pins) publish(state map[place]Pin) {
	next := &State{pins: state, items: make(map[place]*item, len(state)), quarantined: map[place]*item{}}
	for key, pin := range state {
		switch {
		case pin.Raw == nil:
		case pin.Seen == nil:
			next.items[key] = p.usable(pin)
		default:
			next.quarantined[key] = p.usable(pin)
		}
	}
	p.current.Store(next)
}

func (p *Pins) usable(pin Pin) *item {
	raw, err := sallyport.Parse(pin.Raw)
	if err != nil {
		return &item{err: fmt.Errorf("the pin of %s on server %s is damaged: %w", pin.Key, pin.Server, err)}
	}
	kind, name := pin.Key.Split()
	usable := &item{definition: sallyport.Definition{
		Server: pin.Server, Kind: kind, Name: name, Raw: raw,
		Digest: manifest.NewItem(pin.Key, raw).Digest, Since: pin.Since,
	}}
	if kind == sallyport.KindTool {
		usable.definition.Effects, usable.definition.Undeclared = p.settings(pin.Server, name)
		usable.schema, usable.err = manifest.Compile(&usable.definition)
	}
	return usable
}

// State is what is pinned now.
func (p *Pins) State() *State { return p.current.Load() }

// Accepted lists what was accepted of a server, as it was accepted: what is in
// quarantine too, in no order.
func (s *State) Accepted(server string) iter.Seq[*sallyport.Definition] {
	return func(yield func(*sallyport.Definition) bool) {
		for _, items := range []map[place]*item{s.items, s.quarantined} {
			for key, item := range items {
				if key.server == server && item.err == nil && !yield(&item.definition) {
					return
				}
			}
		}
	}
}

// Definitions lists every pinned item that is not in quarantine, in order.
func (p *Pins) Definitions() []sallyport.Definition {
	state := p.current.Load()
	var all []sallyport.Definition
	for _, key := range sortedKeys(state.items) {
		if item := state.items[key]; item.err == nil {
			all = append(all, item.definition)
		}
	}
	return all
}

// Tool is the accepted definition of a tool, nil where there is none or it is
// in quarantine.
func (p *Pins) Tool(server, name string) *sallyport.Definition {
	item := p.current.Load().items[place{server, manifest.KeyOf(sallyport.KindTool, name)}]
	if item == nil || item.err != nil {
		return nil
	}
	return &item.definition
}

// All lists every pin, quarantined ones included, in order.
func (p *Pins) All() []Pin {
	state := p.current.Load()
	var all []Pin
	for _, key := range sortedKeys(state.pins) {
		all = append(all, state.pins[key])
	}
	return all
}

func sortedKeys[V any](m map[place]V) []place {
	return slices.SortedFunc(maps.Keys(m), func(a, b place) int {
		if a.server != b.server {
			if a.server < b.server {
				return -1
			}
			return 1
		}
		if a.key < b.key {
			return -1
		}
		if a.key > b.key {
			return 1
		}
		return 0
	})
}

// Accepted refuses what goes to a server that nobody has accepted. Having seen
// it is not enough, or its resources could be read before anyone has looked.
func (p *Pins) Accepted(server string) error {
	if p.current.Load().pins[place{server, manifest.ServerKey}].Raw != nil {
		return nil
	}
	return sallyport.Refuse(sallyport.CausePin, "server %q has not been pinned: a human has to look at what it offers first (sallyport servers pin %s)", server, server)
}

// Admit finds the pinned definition of a call and checks its arguments.
func (p *Pins) Admit(call *sallyport.Call) (*sallyport.Definition, error) {
	if err := p.Accepted(call.Server); err != nil {
		return nil, err
	}
	state := p.current.Load()
	switch call.Kind {
	case sallyport.KindTool, sallyport.KindPrompt:
		return state.find(call.Server, manifest.KeyOf(call.Kind, call.Name), call)
	case sallyport.KindCompletion:
		// A completion may only ask about a prompt or a resource that is there.
		if call.Name != "" && call.Args.Get("ref").Get("name").Type() == sallyport.String {
			return state.find(call.Server, manifest.KeyOf(sallyport.KindPrompt, call.Name), call)
		}
		return nil, nil
	case sallyport.KindResource, sallyport.KindSubscribe, sallyport.KindAsk, sallyport.KindAnswer:
		return nil, nil
	default:
		return nil, sallyport.Refuse(sallyport.CauseMethod, "%s: not a kind of call that is decided here", call.Method)
	}
}

func (s *State) find(server string, key manifest.Key, call *sallyport.Call) (*sallyport.Definition, error) {
	item := s.items[place{server, key}]
	if item == nil {
		switch pin, seen := s.pins[place{server, key}]; {
		case !seen:
			return nil, sallyport.Refuse(sallyport.CauseUnknown, "server %q offers no %s", server, key)
		case pin.Raw == nil:
			return nil, sallyport.Refuse(sallyport.CausePin, "%s is new on server %q and is in quarantine until a human has seen it (sallyport servers diff %s)", key, server, server)
		default:
			return nil, sallyport.Refuse(sallyport.CausePin, "%s on server %q has changed since it was accepted and is in quarantine until a human has seen the difference (sallyport servers diff %s)", key, server, server)
		}
	}
	if item.err != nil {
		return nil, sallyport.Refuse(sallyport.CausePin, "%s on server %q can't be used: %v", key, server, item.err)
	}
	if item.schema != nil {
		if err := item.schema.Check(call.Args); err != nil {
			return &item.definition, sallyport.Refuse(sallyport.CauseSchema, "the arguments do not fit %s: %v", key, err)
		}
	}
	return &item.definition, nil
}

// Listed reports whether an item, as the server shows it now, is the accepted
// one. The second value reports that it is something else than was accepted.
func (p *Pins) Listed(server string, now manifest.Item) (definition *sallyport.Definition, changed bool) {
	state := p.current.Load()
	item := state.items[place{server, now.Key}]
	if item == nil || item.err != nil {
		pin, seen := state.pins[place{server, now.Key}]
		return nil, !seen || pin.Raw != nil && pin.Seen == nil
	}
	if item.definition.Digest != now.Digest {
		return nil, true
	}
	return &item.definition, false
}

// Speaks reports whether a server's own words are in force: neither new nor
// changed since a human accepted them.
func (p *Pins) Speaks(server string) bool {
	return p.current.Load().items[place{server, manifest.ServerKey}] != nil
}

// Capabilities are those that were accepted of a server, absent where none were.
// settled says that nothing waits for a human to look at.
func (p *Pins) Capabilities(server string) (accepted sallyport.Value, settled bool) {
	pin, seen := p.current.Load().pins[place{server, manifest.CapabilitiesKey}]
	if pin.Raw != nil {
		accepted, _ = sallyport.Parse(pin.Raw) // damaged ones admit nothing
	}
	return accepted, !seen || pin.Seen == nil
}

// Observe compares what a server says now with what was accepted, and puts
// everything new or changed into quarantine. It returns those pins.
func (p *Pins) Observe(ctx context.Context, m manifest.Manifest) ([]Pin, error) {
	return p.change(ctx, func(state map[place]Pin) []Pin {
		var changed []Pin
		for _, key := range m.Keys() {
			item := m.Items[key]
			pin, seen := state[place{m.Server, key}]
			if seen && sameItem(key, pin.Raw, item) && pin.Seen == nil {
				continue
			}
			if seen && pin.Seen != nil && sameItem(key, pin.Seen, item) {
				continue
			}
			pin.Server, pin.Key, pin.Seen = m.Server, key, item.Raw.Raw()
			changed = append(changed, pin)
		}
		return changed
	})
}

func sameItem(key manifest.Key, raw []byte, item manifest.Item) bool {
	if raw == nil {
		return false
	}
	v, err := sallyport.Parse(raw)
	return err == nil && manifest.NewItem(key, v).Digest == item.Digest
}

// Accept makes what was seen of a server the accepted state, of the items in
// shown and where it is still exactly that: what has changed since a human
// looked stays in quarantine. Only a human may do this; the caller checks.
func (p *Pins) Accept(ctx context.Context, server string, shown map[manifest.Key]sallyport.Digest, by string, now time.Time) ([]Pin, error) {
	return p.change(ctx, func(state map[place]Pin) []Pin {
		var accepted []Pin
		for _, k := range sortedKeys(state) {
			pin := state[k]
			digest, wanted := shown[k.key]
			if k.server != server || !wanted || pin.Seen == nil || pin.Shown() != digest {
				continue
			}
			pin.Raw, pin.Seen, pin.Since, pin.By = pin.Seen, nil, now, by
			accepted = append(accepted, pin)
		}
		return accepted
	})
}

// Distrust puts everything of a server into quarantine, and takes back that the
// server itself was accepted: something else is reached under its name, which
// could say the same words. It returns those pins.
func (p *Pins) Distrust(ctx context.Context, server string) ([]Pin, error) {
	return p.change(ctx, func(state map[place]Pin) []Pin {
		var changed []Pin
		for _, k := range sortedKeys(state) {
			pin := state[k]
			if k.server != server || pin.Raw == nil {
				continue
			}
			if pin.Seen == nil {
				pin.Seen = pin.Raw
			}
			if k.key == manifest.ServerKey {
				pin.Raw = nil // else resources could be read, which have no pins
			}
			changed = append(changed, pin)
		}
		return changed
	})
}

// change saves durably before the new state is in force. Quarantine is in
// force even when it can't be saved: losing it would loosen.
func (p *Pins) change(ctx context.Context, decide func(map[place]Pin) []Pin) ([]Pin, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := maps.Clone(p.current.Load().pins)
	changed := decide(state)
	if len(changed) == 0 {
		return nil, nil
	}
	err := p.store.SavePins(ctx, changed)
	for _, pin := range changed {
		if err == nil || pin.Seen != nil {
			state[place{pin.Server, pin.Key}] = pin
		}
	}
	p.publish(state)
	return changed, err
}
