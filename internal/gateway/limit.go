package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sallyport"
	"sallyport/internal/limits"
)

// Ledger reads what was taken of limits. What a record takes, the commit takes.
type Ledger interface {
	// Accounts are what counts against each charge's account at a time. An error
	// means that nobody knows: the call is refused.
	Accounts(ctx context.Context, charges []sallyport.Charge, now time.Time) ([]limits.Account, error)
	// Typical is the most that calls of an action have cost lately under a limit;
	// ok is false when there were none. An error means that nobody knows.
	Typical(ctx context.Context, limit, action string) (amount sallyport.Amount, ok bool, err error)
}

// costs is the memory of the ledger, for one call.
type costs struct {
	ctx    context.Context
	ledger Ledger
}

func (c costs) Typical(limit, action string) (sallyport.Amount, bool, error) {
	return c.ledger.Typical(c.ctx, limit, action)
}

// limit learns what a call takes of which limits, and which of them it goes
// beyond. What can't be counted is refused: it could be any amount.
func (g *Gateway) limit(ctx context.Context, facts *sallyport.Facts) []sallyport.Charge {
	set := g.Limits()
	charges, err := set.Charges(facts.Call, facts.Tool, costs{ctx, g.Ledger})
	if err != nil {
		facts.Beyond = uncounted("what this call takes can't be counted: %v", err)
	}
	if err != nil || len(charges) == 0 {
		return nil
	}
	now := g.Now()
	accounts, err := g.Ledger.Accounts(ctx, charges, now)
	if err != nil {
		facts.Beyond = uncounted("what was taken of limits before can't be read: %v", err)
		return charges
	}
	facts.Beyond = set.Beyond(charges, accounts, now)
	return charges
}

func uncounted(format string, err error) []sallyport.Rule {
	return []sallyport.Rule{{ID: "limits", Because: fmt.Sprintf(format, err)}}
}

// unlimited are charges that are taken whatever there is room for: of a call that
// nothing keeps from happening.
func unlimited(charges []sallyport.Charge) []sallyport.Charge {
	for i := range charges {
		charges[i].Ceiling = 10 * sallyport.MaxAmount // as far as can be counted
	}
	return charges
}

// beyond is the cause of a refusal by policy: the limit itself, where that refuses.
func beyond(facts *sallyport.Facts, decision sallyport.Decision) sallyport.Cause {
	for _, rule := range facts.Beyond {
		if len(decision.Rules) == 1 && decision.Rules[0].ID == rule.ID && rule.Ask == nil {
			return sallyport.CauseLimit
		}
	}
	return sallyport.CausePolicy
}

// dearer are charges that came to more than was reserved, as what they take besides.
// Where nobody knows what there was, nothing is said of it.
func (g *Gateway) dearer(ctx context.Context, settled []sallyport.Charge) []sallyport.Charge {
	if !slices.ContainsFunc(settled, func(c sallyport.Charge) bool { return c.Cost > c.Amount }) {
		return nil
	}
	accounts, err := g.Ledger.Accounts(context.WithoutCancel(ctx), settled, g.Now())
	if err != nil {
		return nil
	}
	return limits.Dearer(settled, accounts)
}

// alert puts on the record that limits are half, or four fifths, or wholly taken.
// The call that did it is recorded already, so one that can't be written is lost.
func (g *Gateway) alert(ctx context.Context, charges []sallyport.Charge) {
	crossed, percent := limits.Crossed(charges)
	for i, c := range crossed {
		if !g.told.News(&c, percent[i], g.Now()) {
			continue
		}
		entry := sallyport.Entry{Time: g.Now(), Type: sallyport.Change, Subject: fmt.Sprintf("limit %s at %d %%", c.Limit, percent[i]), By: "ledger",
			Reason: fmt.Sprintf("%s of %s %s until %s", c.Before.Plus(c.Amount), c.Cap, c.Unit, c.Until.UTC().Format(time.RFC3339))}
		if c.Account != "" {
			entry.Reason += ", of " + c.Account
		}
		if g.Log.Append(context.WithoutCancel(ctx), &sallyport.Record{Entry: entry}) == nil {
			g.Alert(c, percent[i])
		}
	}
}
