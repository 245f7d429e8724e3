package guard

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Room bounds the memory of large messages that are being dealt with. Who has
// its share of it waits, so that nobody crowds out others. The zero Room is
// empty and ready.
type Room struct {
	mu    sync.Mutex
	used  int
	held  map[any]int   // by owner
	freed chan struct{} // closed when something is given back; nil when nobody waits
}

const (
	// small messages are free: their number is bounded by that of connections.
	small = 16 << 10
	// One owner may have shareOf messages of the largest size in the room, all
	// together roomOf.
	shareOf, roomOf = 4, 16
	// roomWait is how long a message waits for room.
	roomWait = 10 * time.Second
)

// ErrNoRoom says that too much is being dealt with.
var ErrNoRoom = errors.New("too many large messages at once: try again when some of them have been answered")

// Body is Body in this room: leave gives back what the message takes, when
// nothing of it is needed any more.
func (m *Room) Body(w http.ResponseWriter, r *http.Request, owner any, limit int) (text []byte, leave func(), status int, err error) {
	size := int(min(r.ContentLength, int64(limit)))
	if r.ContentLength < 0 {
		size = limit // until it is known
	}
	if err := m.enter(r.Context(), owner, size, limit); err != nil {
		return nil, nil, http.StatusServiceUnavailable, err
	}
	if text, status, err = Body(w, r, limit); err != nil {
		m.leave(owner, size)
		return nil, nil, status, err
	}
	m.leave(owner, size-len(text))
	return text, func() { m.leave(owner, len(text)) }, 0, nil
}

// enter waits until there is room for size bytes.
func (m *Room) enter(ctx context.Context, owner any, size, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	for {
		m.mu.Lock()
		if size <= small || m.held[owner]+size <= shareOf*limit && m.used+size <= roomOf*limit {
			if m.held == nil {
				m.held = map[any]int{}
			}
			m.used, m.held[owner] = m.used+size, m.held[owner]+size
			m.mu.Unlock()
			return nil
		}
		if m.freed == nil {
			m.freed = make(chan struct{})
		}
		freed := m.freed
		m.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ErrNoRoom
		}
	}
}

func (m *Room) leave(owner any, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= size
	if m.held[owner] -= size; m.held[owner] == 0 {
		delete(m.held, owner)
	}
	if m.freed != nil {
		close(m.freed)
		m.freed = nil
	}
}
