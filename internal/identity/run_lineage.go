package identity

import (
	"context"
	"fmt"

	"sallyport"
)

// maxLineage is how many runs one memory can be made of.
const maxLineage = 4096

// Lineage are the runs of which the memory of a run is made: those that share
// one with it, also when they have ended, and those above, whose memory they
// have taken over. An error means that nobody can say what the run has seen.
func (r *Runs) Lineage(ctx context.Context, of sallyport.Run) (ids []string, err error) {
	memory := of.RememberedIn()
	for range maxDepth + 1 {
		family, err := r.family(ctx, memory)
		if err != nil {
			return nil, err
		}
		if ids = append(family, ids...); len(ids) > maxLineage {
			return nil, fmt.Errorf("run %s has a memory of more than %d runs", of.ID, maxLineage)
		}
		one, err := r.lookup(ctx, memory)
		if err != nil || one == nil || one.Parent == "" {
			return ids, err
		}
		memory = one.Parent
		if above, err := r.lookup(ctx, one.Parent); err != nil {
			return nil, err
		} else if above != nil {
			memory = above.ref().RememberedIn()
		}
	}
	return nil, fmt.Errorf("run %s stands below too many others", of.ID)
}

// family are the runs that share the memory of one, that one first.
func (r *Runs) family(ctx context.Context, memory string) ([]string, error) {
	ids := []string{memory}
	for i := 0; i < len(ids); i++ {
		children, err := r.store.ChildRuns(ctx, ids[i])
		if err != nil {
			return nil, err
		}
		for _, id := range children {
			one, err := r.lookup(ctx, id)
			switch {
			case err != nil:
				return nil, err
			case one != nil && one.Memory == memory:
				ids = append(ids, id)
			}
			if len(ids) > maxLineage {
				return nil, fmt.Errorf("run %s shares its memory with more than %d others", memory, maxLineage)
			}
		}
	}
	return ids, nil
}

// lookup is a run, also one that has ended; nil when nothing is kept of it.
func (r *Runs) lookup(ctx context.Context, id string) (*run, error) {
	if one := r.find(id); one != nil {
		return one, nil
	}
	return r.ended(ctx, id)
}

// Ref is a run as calls in it name it, for what was begun before a restart.
func (r *Runs) Ref(ctx context.Context, run sallyport.Run) (sallyport.Run, error) {
	one, err := r.lookup(ctx, run.ID)
	if err != nil || one == nil {
		return run, err
	}
	return one.ref(), nil
}
