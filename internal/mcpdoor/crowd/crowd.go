// Package crowd is a bounded table of sessions in which nobody crowds out
// others: each owner has a share, and what is given up is the longest idle of
// whoever holds the most.
package crowd

import (
	"container/list"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Member is what a table holds.
type Member interface {
	// Busy reports whether the member is in use.
	Busy() bool
}

// Rules are what a table is made with.
type Rules[M Member] struct {
	Max   int           // members of all owners
	Share int           // members of one owner
	Idle  time.Duration // after which a member ends that nobody uses
	Now   func() time.Time
	Ended func(M) // is told of each member that has left, once, and holds no lock
}

// Table holds members by id.
type Table[Owner comparable, M Member] struct {
	rules  Rules[M]
	mu     sync.RWMutex
	open   map[string]*seat[Owner, M]
	held   map[Owner]*list.List // of seats, as they were last known to be used
	sweep  *time.Timer          // nil while there is no member
	closed bool
}

type seat[Owner comparable, M Member] struct {
	id     string
	owner  Owner
	member M
	used   atomic.Int64 // Unix nanoseconds
	queued int64        // used, when it took its place in the list
	place  *list.Element
}

// New makes an empty table.
func New[Owner comparable, M Member](rules Rules[M]) *Table[Owner, M] {
	return &Table[Owner, M]{rules: rules, open: map[string]*seat[Owner, M]{}, held: map[Owner]*list.List{}}
}

// The reasons for which Admit refuses.
var (
	ErrClosed = errors.New("the door is closed")
	ErrShare  = errors.New("this agent has as many sessions as it may have, and all of them are in use: end one of them")
	ErrFull   = errors.New("all sessions are busy: try again later")
)

// Admit takes a member in. Who has a share's worth gives up the longest idle
// of its own; when the table is full the owner with the most members does, and
// does even where all are busy, if it holds more than the one who comes.
func (t *Table[Owner, M]) Admit(id string, owner Owner, member M) error {
	t.mu.Lock()
	gone, err := t.makeRoom(owner)
	if err == nil {
		s := &seat[Owner, M]{id: id, owner: owner, member: member, queued: t.rules.Now().UnixNano()}
		s.used.Store(s.queued)
		if t.held[owner] == nil {
			t.held[owner] = list.New()
		}
		s.place = t.held[owner].PushBack(s)
		t.open[id] = s
		if t.sweep == nil {
			t.sweep = time.AfterFunc(t.interval(), t.expire)
		}
	}
	t.mu.Unlock()
	if gone != nil {
		t.rules.Ended(gone.member)
	}
	return err
}

// makeRoom gives up a seat if it must; t.mu is held.
func (t *Table[Owner, M]) makeRoom(owner Owner) (gone *seat[Owner, M], err error) {
	switch {
	case t.closed:
		return nil, ErrClosed
	case t.count(owner) >= t.rules.Share:
		if gone = t.longestIdle(owner); gone == nil {
			return nil, ErrShare
		}
	case len(t.open) >= t.rules.Max:
		most := owner
		for who := range t.held {
			if t.count(who) > t.count(most) {
				most = who
			}
		}
		gone = t.longestIdle(most)
		if gone == nil && most != owner {
			gone = t.held[most].Front().Value.(*seat[Owner, M])
		}
		if gone == nil {
			return nil, ErrFull
		}
	default:
		return nil, nil
	}
	t.forget(gone)
	return gone, nil
}

func (t *Table[Owner, M]) count(owner Owner) int {
	if held := t.held[owner]; held != nil {
		return held.Len()
	}
	return 0
}

// longestIdle is an owner's seat to give up, nil when all are busy. Whoever
// was used since it took its place goes to the end first, so that using a seat
// costs no lock; t.mu is held.
func (t *Table[Owner, M]) longestIdle(owner Owner) *seat[Owner, M] {
	held := t.held[owner]
	for range 2 * t.count(owner) {
		s := held.Front().Value.(*seat[Owner, M])
		used := s.used.Load()
		if used == s.queued && !s.member.Busy() {
			return s
		}
		s.queued = used
		held.MoveToBack(s.place)
	}
	return nil
}

// forget takes a seat out of the table; t.mu is held.
func (t *Table[Owner, M]) forget(s *seat[Owner, M]) {
	delete(t.open, s.id)
	held := t.held[s.owner]
	if held.Remove(s.place); held.Len() == 0 {
		delete(t.held, s.owner)
	}
}

// Find gives a member to its owner, and notes that it is used. For everybody
// else it does not exist.
func (t *Table[Owner, M]) Find(id string, owner Owner) (member M, ok bool) {
	t.mu.RLock()
	s := t.open[id]
	t.mu.RUnlock()
	if s == nil || s.owner != owner {
		return member, false
	}
	s.used.Store(t.rules.Now().UnixNano())
	return s.member, true
}

// Remove ends a member, unless it has left already.
func (t *Table[Owner, M]) Remove(id string) {
	t.mu.Lock()
	s := t.open[id]
	if s != nil {
		t.forget(s)
	}
	t.mu.Unlock()
	if s != nil {
		t.rules.Ended(s.member)
	}
}

func (t *Table[Owner, M]) interval() time.Duration {
	return min(t.rules.Idle/2+time.Millisecond, time.Minute)
}

// expire ends what nobody has used for long, and comes back while there are
// members.
func (t *Table[Owner, M]) expire() {
	before := t.rules.Now().Add(-t.rules.Idle).UnixNano()
	var idle []*seat[Owner, M]
	t.mu.Lock()
	for _, s := range t.open {
		if s.used.Load() < before && !s.member.Busy() {
			idle = append(idle, s)
			t.forget(s)
		}
	}
	if len(t.open) > 0 && !t.closed {
		t.sweep.Reset(t.interval())
	} else {
		t.sweep = nil
	}
	t.mu.Unlock()
	for _, s := range idle {
		t.rules.Ended(s.member)
	}
}

// Close ends every member and admits no more.
func (t *Table[Owner, M]) Close() {
	t.mu.Lock()
	t.closed = true
	open := t.open
	t.open, t.held = map[string]*seat[Owner, M]{}, map[Owner]*list.List{}
	if t.sweep != nil {
		t.sweep.Stop()
	}
	t.mu.Unlock()
	for _, s := range open {
		t.rules.Ended(s.member)
	}
}
