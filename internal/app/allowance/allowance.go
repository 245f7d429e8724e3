// Package allowance has the limits of the configuration in force, and shows them
// with what was taken.
package allowance

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/config"
	"sallyport/internal/limits"
	"sallyport/internal/store"
)

// Allowance is the limits in force.
type Allowance struct {
	store  *store.Store
	secret []byte
	set    atomic.Pointer[limits.Set]
}

// secretSetting is the state's name for the key of the digests by which the log
// names arguments. Without it nobody can try which argument it was.
const secretSetting = "limits"

// Load reads the key, and makes it the first time.
func Load(ctx context.Context, s *store.Store, c *config.Config) (*Allowance, error) {
	a := &Allowance{store: s}
	var err error
	if a.secret, err = s.Setting(ctx, secretSetting); err != nil {
		return nil, err
	}
	if a.secret == nil {
		a.secret = make([]byte, 32)
		rand.Read(a.secret)
		if err := s.SaveSettings(ctx, map[string][]byte{secretSetting: a.secret}); err != nil {
			return nil, err
		}
	}
	return a, a.Configure(c)
}

// Configure puts the limits of a configuration into force. It was checked when it
// was read: should it fail all the same, those before stay.
func (a *Allowance) Configure(c *config.Config) error {
	set, err := c.LimitSet(a.secret)
	if err == nil {
		a.set.Store(set)
	}
	return err
}

// Set is what is in force.
func (a *Allowance) Set() *limits.Set { return a.set.Load() }

// Limits implements control.Limits.
func (a *Allowance) Limits(ctx context.Context) ([]limits.Shown, error) {
	shown := []limits.Shown{}
	for _, l := range a.Set().All() {
		one, err := a.accounts(ctx, l)
		if err != nil {
			return nil, err
		}
		shown = append(shown, one.Limit)
	}
	slices.SortFunc(shown, func(x, y limits.Shown) int { return strings.Compare(x.Name, y.Name) })
	return shown, nil
}

// Limit implements control.Limits.
func (a *Allowance) Limit(ctx context.Context, name string) (limits.ShownAll, error) {
	l, err := a.named(name)
	if err != nil {
		return limits.ShownAll{}, err
	}
	return a.accounts(ctx, l)
}

func (a *Allowance) named(name string) (*limits.Limit, error) {
	for _, l := range a.Set().All() {
		if l.Name == name {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: no limit %s is in force (sallyport limits list)", store.ErrNotFound, name)
}

func (a *Allowance) accounts(ctx context.Context, l *limits.Limit) (limits.ShownAll, error) {
	now := time.Now()
	shown := limits.ShownAll{Accounts: []limits.ShownAccount{}, Limit: shownAs(l)}
	rows, err := a.store.Ledger().List(ctx, l.Name, now)
	if err != nil {
		return shown, err
	}
	for len(rows) > 0 {
		of := rows[0]
		var account limits.Account
		for len(rows) > 0 && rows[0].Account == of.Account {
			account.Parts = append(account.Parts, rows[0].Part)
			rows = rows[1:]
		}
		if account.Total() == 0 {
			continue
		}
		if l.Ramp.Days > 0 {
			since, err := a.store.Ledger().Accounts(ctx, []sallyport.Charge{{Limit: l.Name, Account: of.Account, Ramped: true}}, now)
			if err != nil {
				return shown, err
			}
			account.Since = since[0].Since
		}
		shown.Accounts = append(shown.Accounts, state(&account, l.Whole(account.Since, now), of.Account, of.Label))
	}
	slices.SortStableFunc(shown.Accounts, func(x, y limits.ShownAccount) int { return cmp.Compare(y.Percent, x.Percent) })
	if shown.Limit.Accounts = len(shown.Accounts); len(shown.Accounts) > 0 {
		shown.Limit.Fullest = shown.Accounts[0].Percent
	}
	return shown, nil
}

func shownAs(l *limits.Limit) limits.Shown {
	return limits.Shown{
		Name: l.Name, Place: fmt.Sprintf("%s:%d", l.File, l.Line), Unit: l.Unit, Cap: l.Cap.String(), Window: l.Spell,
		Per: slices.Concat([]string{}, l.Per), Within: l.Within, Groups: l.Ask, Applies: about(&l.Applies),
	}
}

func state(account *limits.Account, whole sallyport.Amount, key, label string) limits.ShownAccount {
	var used, reserved sallyport.Amount
	for _, p := range account.Parts {
		used, reserved = used.Plus(p.Used), reserved.Plus(p.Reserved)
	}
	percent := int64(100)
	if whole > 0 {
		percent = int64(float64(account.Total()) / float64(whole) * 100) // for the eye
	}
	last := account.Parts[len(account.Parts)-1]
	return limits.ShownAccount{
		Account: label, Key: key, Cap: whole.String(), Used: used.String(), Reserved: reserved.String(), Left: max(0, whole-account.Total()).String(),
		Percent: percent, Resets: account.Parts[0].Until, Empty: last.Until,
	}
}

// Costs says what a call would take of which limits, and what is left there
// without it. An error means that nobody can say.
func (a *Allowance) Costs(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) ([]card.Cost, error) {
	set, now := a.Set(), time.Now()
	charges, err := set.Charges(call, tool, before{ctx, a.store})
	if err != nil || len(charges) == 0 {
		return nil, err
	}
	accounts, err := a.store.Ledger().Accounts(ctx, charges, now)
	if err != nil {
		return nil, err
	}
	var costs []card.Cost
	for i, charge := range charges {
		at := slices.IndexFunc(set.All(), func(l *limits.Limit) bool { return l.Name == charge.Limit })
		account := &accounts[i]
		whole := set.All()[at].Whole(account.Since, now)
		left := max(0, whole-account.Total())
		cost := card.Cost{Limit: charge.Limit, Account: charge.Label, Unit: charge.Unit, Takes: charge.Amount.String(), Left: left.String(), Cap: whole.String(), Beyond: charge.Amount > left}
		if len(account.Parts) > 0 {
			cost.Resets = account.Parts[0].Until
		}
		costs = append(costs, cost)
	}
	return costs, nil
}

// before is what calls cost before.
type before struct {
	ctx   context.Context
	store *store.Store
}

func (b before) Typical(limit, action string) (sallyport.Amount, bool, error) {
	return b.store.Ledger().Typical(b.ctx, limit, action)
}

// about says which calls a limit is about itself.
func about(a *limits.Applies) string {
	var parts []string
	if a.Tools != nil {
		parts = append(parts, strings.Join(a.Tools, ", "))
	}
	if a.Servers != nil {
		parts = append(parts, "servers "+strings.Join(a.Servers, ", "))
	}
	if a.Effects != nil {
		var names []string
		for _, e := range a.Effects {
			names = append(names, string(e))
		}
		parts = append(parts, "effects "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}
