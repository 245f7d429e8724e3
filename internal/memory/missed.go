package memory

import "sallyport"

// Missed takes note of a result that the agent may have got and nobody here has
// seen. The record has the call without one, so a restart comes to the same.
func (m *Memories) Missed(call *sallyport.Call) {
	m.change(call.Run.RememberedIn(), func(r *memory) {
		r.seen.Missed(call.Server, call.Name, m.servers.Declaration(call.Server))
	})
}
