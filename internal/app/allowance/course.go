package allowance

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/limits"
)

// Course implements control.Limits.
func (a *Allowance) Course(ctx context.Context, name, account string) (limits.Course, error) {
	l, err := a.named(name)
	if err != nil {
		return limits.Course{}, err
	}
	now := time.Now()
	held, err := a.store.Ledger().Accounts(ctx, []sallyport.Charge{{Limit: name, Account: account, Window: l.Window, Ramped: l.Ramp.Days > 0}}, now)
	if err != nil {
		return limits.Course{}, err
	}
	taken, err := a.store.Course(ctx, name, account, now)
	if err != nil {
		return limits.Course{}, err
	}
	var steps []limits.Step
	for _, t := range taken {
		steps = append(steps, limits.Step{At: t.At, Calls: t.Calls, Estimate: t.Estimate, Settled: t.Settled})
	}
	whole := l.Whole(held[0].Since, now)
	c := l.CourseOf(&held[0], steps, whole, now)
	c.Limit = shownAs(l)
	if len(held[0].Parts) > 0 {
		c.Account = state(&held[0], whole, account, account)
	}
	return c, nil
}

// Spent implements control.Limits.
func (a *Allowance) Spent(ctx context.Context, since time.Time) ([]limits.Spent, error) {
	taken, err := a.store.Spent(ctx, since)
	if err != nil {
		return nil, err
	}
	all, err := a.Limits(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(x, y limits.Shown) int { return cmp.Compare(y.Fullest, x.Fullest) })
	spent := []limits.Spent{}
	of := func(unit string) *limits.Spent {
		for i := range spent {
			if spent[i].Unit == unit {
				return &spent[i]
			}
		}
		spent = append(spent, limits.Spent{Unit: unit, Estimate: "0", Settled: "0", Limits: []limits.Shown{}})
		return &spent[len(spent)-1]
	}
	for _, t := range taken {
		s := of(t.Name)
		s.Calls, s.Estimate, s.Settled = t.Calls, t.Estimate.String(), t.Settled.String()
	}
	for _, l := range all {
		s := of(l.Unit)
		s.Limits = append(s.Limits, l)
	}
	return spent, nil
}
