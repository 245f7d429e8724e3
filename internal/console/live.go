package console

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
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
	// maxViewers is how many streams there are at a time of those who have logged
	// in, and as many of those who opened a link: whoever can get links must not keep
	// people from hearing what they are asked. perSession is how many one may have.
	maxViewers, perSession = 128, 32
)

// hub follows the log as long as somebody looks, and wakes every page. A page
// then fetches itself again: what it shows has one source.
type hub struct {
	log     Log
	mu      sync.Mutex
	viewers map[*viewer]bool
	stop    context.CancelFunc
}

type viewer struct {
	asked, grown chan struct{}
	broken       chan struct{} // closed when nothing more is heard
	of           *session.Session
}

// join begins to listen from an entry on; false when too many do.
func (h *hub) join(from uint64, of *session.Session) (*viewer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	alike, own := 0, 0
	for v := range h.viewers {
		if v.of.Person() == of.Person() {
			alike++
		}
		if v.of.Is(of) {
			own++
		}
	}
	if alike >= maxViewers || own >= perSession {
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
	v := &viewer{asked: make(chan struct{}, 1), grown: make(chan struct{}, 1), broken: make(chan struct{}), of: of}
	h.viewers[v] = true
	return v, true
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewers[v] { // else it was broken off
		delete(h.viewers, v)
		h.idle()
	}
}

// idle ends the listening when nobody looks; h.mu is held.
func (h *hub) idle() {
	if len(h.viewers) == 0 {
		h.stop()
	}
}

func (h *hub) follow(ctx context.Context, from uint64) {
	for entry, err := range h.log.Tail(ctx, from) {
		if err != nil {
			if ctx.Err() == nil {
				h.breakOff() // and pages open their streams anew
			}
			return
		}
		h.wake(entry.Type == sallyport.Held || entry.Type == sallyport.Change || entry.Approval != "")
	}
}

// breakOff ends all streams: a page that hears nothing must not look as if nothing
// happened.
func (h *hub) breakOff() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		delete(h.viewers, v)
		close(v.broken)
	}
	h.idle()
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
	who := c.session(r)
	if who == nil {
		err = form.Refused(http.StatusUnauthorized, "Your session is over: log in again.")
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v, room := c.live.join(size, who)
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
		case <-v.broken:
			return
		case <-r.Context().Done():
			return
		}
	}
}
