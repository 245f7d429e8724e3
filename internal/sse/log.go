// Package sse writes and reads server-sent events (WHATWG HTML, 9.2) as MCP
// uses them, and keeps the last ones for those whose connection broke.
package sse

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Event is one message on a stream. Numbers rise over all streams of a log.
type Event struct {
	Stream, Seq uint32
	Text        []byte
}

// ID is the event's id on the wire: what Last-Event-ID brings back.
func (e Event) ID() string {
	return strconv.FormatUint(uint64(e.Stream), 10) + "-" + strconv.FormatUint(uint64(e.Seq), 10)
}

// ParseID is the inverse of Event.ID.
func ParseID(id string) (stream, seq uint32, ok bool) {
	before, after, found := strings.Cut(id, "-")
	s, errS := strconv.ParseUint(before, 10, 32)
	n, errN := strconv.ParseUint(after, 10, 32)
	return uint32(s), uint32(n), found && errS == nil && errN == nil
}

// Log keeps what a session's streams said last, so that an agent whose
// connection broke can hear the rest. Stream 0 is the session's own and lives
// as long as the log; each other one ends with Finish. Budget must be set.
type Log struct {
	Budget *atomic.Int64 // bytes kept by all logs together

	mu      sync.Mutex
	ended   bool
	kept    []Event // oldest first
	size    int     // bytes of kept
	seq     uint32  // of the newest
	lost    uint32  // the newest that is not kept any more
	streams uint32
	live    map[uint32]struct{} // streams that may say more
	wake    chan struct{}       // closed when something changes; nil when nobody waits
}

// Bounds of what is kept: of one log, and of all together. Each log keeps
// maxOwn bytes whatever the others take, or one agent's chatter would cost the
// others what their servers tell them.
const (
	maxEvents = 256
	maxBytes  = 1 << 20
	maxBudget = 64 << 20
	maxOwn    = 4 << 10
)

// Add says something on a stream and wakes who waits for it.
func (l *Log) Add(stream uint32, text []byte) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e := Event{stream, l.seq, text}
	if l.ended {
		return e
	}
	l.kept = append(l.kept, e)
	l.size += len(text)
	all := l.Budget.Add(int64(len(text)))
	n := 0
	for n < len(l.kept) && (len(l.kept)-n > maxEvents || l.size > maxBytes || all > maxBudget && l.size > maxOwn) {
		freed := len(l.kept[n].Text)
		l.lost = l.kept[n].Seq
		l.size -= freed
		all = l.Budget.Add(-int64(freed))
		n++
	}
	if n > 0 {
		left := copy(l.kept, l.kept[n:])
		clear(l.kept[left:])
		l.kept = l.kept[:left]
	}
	l.changed()
	return e
}

func (l *Log) changed() {
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// Open starts a stream. The event is its first and holds nothing: its id is
// where an agent resumes that has heard nothing yet.
func (l *Log) Open() Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live == nil {
		l.live = map[uint32]struct{}{}
	}
	l.streams++
	l.live[l.streams] = struct{}{}
	return Event{Stream: l.streams, Seq: l.seq}
}

// Finish ends a stream: nothing more will be said on it.
func (l *Log) Finish(stream uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, stream)
	l.changed()
}

// After is what a stream said after an event, whether it may say more, and
// what is closed when there may be more to read.
func (l *Log) After(stream, seq uint32) (more []Event, live bool, wake <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.kept {
		if e.Stream == stream && e.Seq > seq {
			more = append(more, e)
		}
	}
	_, live = l.live[stream]
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	return more, (live || stream == 0) && !l.ended, l.wake
}

// Keeps reports whether nothing that a stream said after an event is lost.
// Of stream 0 the rest is worth having even so.
func (l *Log) Keeps(stream, seq uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return stream == 0 || stream <= l.streams && l.lost <= seq
}

// Newest is the number of the newest event.
func (l *Log) Newest() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// End frees what is kept and wakes everybody.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.Budget.Add(-int64(l.size))
	l.kept, l.size, l.live = nil, 0, nil
	l.changed()
}
