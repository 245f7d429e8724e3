package store

import (
	"context"
	"fmt"

	"sallyport"
	"sallyport/internal/store/approvals"
)

// seal seals what is asked of people, on the caller's time and processor.
func (w *waiting) seal(a *sallyport.Approval) {
	if a.Question == nil {
		return // and it will not be put
	}
	sealed := &w.asked.Sealed
	sealed.Key = w.key.id
	sealed.Text, sealed.Commitment = w.key.Seal(nil, a.Question, approvals.Place(a.ID))
	w.size += int64(len(a.Question))
}

// OpenApproval is one question to people. Its words are left out, with the
// error, when they can't be had as they were asked: then nobody may answer.
func (r *Reader) OpenApproval(ctx context.Context, id string) (sallyport.Approval, error) {
	a, sealed, err := approvals.Get(ctx, r.often, id)
	switch {
	case err != nil:
		return sallyport.Approval{}, err
	case a.ID == "":
		return sallyport.Approval{}, fmt.Errorf("%w: no approval %s", ErrNotFound, id)
	}
	key, err := r.key(ctx, sealed.Key)
	if err != nil {
		return a, err
	}
	payload, err := key.Open(sealed.Text, approvals.Place(id), sealed.Commitment)
	if err != nil {
		return a, err
	}
	if sallyport.DigestOf(payload.Text) != a.Digest {
		return a, fmt.Errorf("approval %s is damaged: what it asks is not what it is bound to", id)
	}
	a.Question = payload.Text
	return a, nil
}
