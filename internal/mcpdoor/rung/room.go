package rung

import "sync"

// Bounds of how many requests stay open at a time until people have answered:
// of all agents, and of one. Whoever comes beyond is parked.
const (
	maxOpen      = 1024
	maxOpenOfOne = 64
)

// Room counts the requests that stay open, by whose they are. One agent can't
// take the room of others.
type Room[Owner comparable] struct {
	mu   sync.Mutex
	all  int
	open map[Owner]int
}

// Enter reports whether there is room for one more; then leave gives it back.
func (r *Room[Owner]) Enter(who Owner) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all >= maxOpen || r.open[who] >= maxOpenOfOne {
		return nil, false
	}
	if r.open == nil {
		r.open = map[Owner]int{}
	}
	r.all++
	r.open[who]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all--
		if r.open[who]--; r.open[who] == 0 {
			delete(r.open, who)
		}
	}, true
}
