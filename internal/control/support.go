package control

import (
	"slices"

	"sallyport"
)

// unasked reports whether no task or message of the user supports a call: it
// is not one that the task needs, what it is done to has nothing to do with the
// task, or it does more than read and there is no task. A call that went ahead
// though nobody looked counts as one; reading needs no support.
func unasked(e *sallyport.Entry) bool {
	reads := e.Kind != sallyport.KindTool && e.Kind != sallyport.KindTask || slices.Equal(e.Effects, []sallyport.Effect{sallyport.Read})
	switch {
	case e.Type == sallyport.Closed || e.Type == sallyport.Change:
		return false
	case slices.Contains(e.Labels, sallyport.LabelOutside), slices.Contains(e.Labels, sallyport.LabelUnlinked):
		return true
	case len(e.Labels) == 0:
		return e.Type == sallyport.Intent && !reads
	default:
		return !reads && !slices.Contains(e.Labels, sallyport.LabelTask)
	}
}
