// Package usage says which of the rules in force have ever decided a call.
package usage

import (
	"context"

	"sallyport/internal/policy"
	"sallyport/internal/policyhistory"
	"sallyport/internal/store"
)

// Usage reads it off the log.
type Usage struct {
	Store *store.Store
	Rules func() *policy.Rules // in force now
}

// RuleUse implements control.Usage.
func (u Usage) RuleUse(ctx context.Context) ([]policyhistory.Use, error) {
	fired, err := u.Store.Fired(ctx)
	if err != nil {
		return nil, err
	}
	all := []policyhistory.Use{}
	for _, rule := range u.Rules().All() {
		use := policyhistory.Use{Rule: rule.ID, File: rule.File, Line: rule.Line, Asks: rule.Ask}
		if f, known := fired[rule.ID]; known {
			use.Calls, use.Last = f.Calls, &f.Last
		}
		all = append(all, use)
	}
	return all, nil
}
