package console

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/sse"
)

const (
	// asked and grown are what pages hear: that what people are asked, or what is
	// in force, has changed, and that the log has grown at all.
	asked, grown = "asked", "grown"
	// grownEvery is how often the second is said, at most.
	grownEvery = time.Second
	// alive is how often a stream shows that it is; before sse.WriteWait.
	alive = 10 * time.Second
	// maxViewers is how many streams there are at a time.
	maxViewers = 128
)

// hub follows the log as long as somebody looks, and wakes every page. A page
// then fetches itself again: what it shows has one source.
type hub struct {
	log     Log
	mu      sync.Mutex
	viewers map[*viewer]bool
	stop    context.CancelFunc
}

type viewer struct{ asked, grown chan struct{} }

// join begins to listen from an entry on; false when too many do.
func (h *hub) join(from uint64) (*viewer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		return nil, false
	}
	if h.viewers == nil {
		h.viewers = map[*viewer]bool{}
	}
	if len(h.viewers) == 0 {
		ctx, stop := context.WithCancel(context.Background())
		h.stop = stop
		go h.follow(ctx, from)
	}
	v := &viewer{make(chan struct{}, 1), make(chan struct{}, 1)}
	h.viewers[v] = true
	return v, true
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
	if len(h.viewers) == 0 {
		h.stop()
	}
}

func (h *hub) follow(ctx context.Context, from uint64) {
	for entry, err := range h.log.Tail(ctx, from) {
		if err != nil {
			return // pages fetch themselves again when their stream breaks
		}
		h.wake(entry.Type == sallyport.Held || entry.Type == sallyport.Change || entry.Approval != "")
	}
}

func (h *hub) wake(people bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		ring(v.grown)
		if people {
			ring(v.asked)
		}
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default: // it has not been heard yet
	}
}

// events tells a page that there is something new, until its session is over.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	size, err := c.Proof.Size(r.Context())
	if c.session(r) == nil {
		err = form.Refused(http.StatusUnauthorized, "Your session is over: log in again.")
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v, room := c.live.join(size)
	if !room {
		c.fail(w, r, form.Refused(http.StatusServiceUnavailable, "Too many pages are open."))
		return
	}
	defer c.live.leave(v)
	if from, err := strconv.ParseUint(r.URL.Query().Get("from"), 10, 53); err != nil || from < size {
		ring(v.grown) // what happened between the page and its stream
		ring(v.asked)
	}
	stream := sse.Start(w)
	tick := time.NewTicker(alive)
	defer tick.Stop()
	var pause <-chan time.Time
	growing := v.grown
	err = stream.Comment("here")
	for err == nil {
		select {
		case <-v.asked:
			err = stream.Write(sse.Event{Text: []byte(asked)})
		case <-growing:
			err = stream.Write(sse.Event{Text: []byte(grown)})
			growing, pause = nil, time.After(grownEvery)
		case <-pause:
			growing, pause = v.grown, nil
		case <-tick.C:
			if c.session(r) == nil {
				return
			}
			err = stream.Comment("here")
		case <-r.Context().Done():
			return
		}
	}
}
