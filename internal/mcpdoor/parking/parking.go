// Package parking keeps what waits for an agent to come back, under handles
// that nobody can guess and that are used up by coming back.
package parking

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
	"time"
)

// Bounds of how much waits: of all agents, and of one.
const (
	maxAll   = 1024
	MaxOfOne = 64
)

// Lot is what waits.
type Lot[Owner comparable, T any] struct {
	mu     sync.Mutex
	parked map[string]*place[Owner, T]
	held   map[Owner]int
	closed bool
}

type place[Owner comparable, T any] struct {
	owner  Owner
	thing  T
	expiry *time.Timer
}

// Random is 256 bits that nobody can guess, as text.
func Random() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// Put parks a thing for a while; late is called when nobody has come for it by
// then. The handle begins with prefix.
func (l *Lot[Owner, T]) Put(prefix string, who Owner, thing T, patience time.Duration, late func()) (handle string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.parked) >= maxAll || l.held[who] >= MaxOfOne {
		return "", false
	}
	if l.parked == nil {
		l.parked, l.held = map[string]*place[Owner, T]{}, map[Owner]int{}
	}
	handle = prefix + Random()
	l.held[who]++
	l.parked[handle] = &place[Owner, T]{who, thing, time.AfterFunc(patience, func() {
		if _, ok := l.remove(handle); ok {
			late()
		}
	})}
	return handle, true
}

// Take gives a thing back to whom it belongs, where it fits what is asked for.
// The handle is used up by that, and by nothing else.
func (l *Lot[Owner, T]) Take(handle string, who Owner, fits func(T) bool) (thing T, ok bool) {
	l.mu.Lock()
	p := l.parked[handle]
	l.mu.Unlock()
	if p == nil || p.owner != who || !fits(p.thing) {
		return thing, false
	}
	return l.remove(handle)
}

func (l *Lot[Owner, T]) remove(handle string) (thing T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.parked[handle]
	if p == nil {
		return thing, false
	}
	delete(l.parked, handle)
	p.expiry.Stop()
	if l.held[p.owner]--; l.held[p.owner] == 0 {
		delete(l.held, p.owner)
	}
	return p.thing, true
}

// Close takes no more in, and gives out what is there.
func (l *Lot[Owner, T]) Close(end func(T)) {
	l.mu.Lock()
	l.closed = true
	handles := make([]string, 0, len(l.parked))
	for handle := range l.parked {
		handles = append(handles, handle)
	}
	l.mu.Unlock()
	for _, handle := range handles {
		if thing, ok := l.remove(handle); ok {
			end(thing)
		}
	}
}
