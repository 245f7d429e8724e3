package breaker

import (
	"time"

	"sallyport"
)

// parts is into how many a rule's time is cut: what is older than that is
// forgotten a part at a time, never too early.
const parts = 30

// window is what was spent lately.
type window struct {
	part [parts + 1]int64 // whose amount it is, by the clock
	sum  [parts + 1]sallyport.Amount
}

// add counts an amount, or takes back a part of one, now.
func (w *window) add(amount sallyport.Amount, within time.Duration) {
	now := partAt(within)
	at := now % int64(len(w.part))
	if w.part[at] != now {
		w.part[at], w.sum[at] = now, 0
	}
	w.sum[at] = w.sum[at].Plus(amount)
}

// within is what was spent in a rule's time, up to now.
func (w *window) within(within time.Duration) (all sallyport.Amount) {
	now := partAt(within)
	for i, part := range w.part {
		if now-part <= parts && now >= part {
			all = all.Plus(w.sum[i])
		}
	}
	return max(all, 0) // what is given back now may have been taken long ago
}

func partAt(within time.Duration) int64 { return time.Now().UnixNano() / max(int64(within)/parts, 1) }

// Spent counts what limits reserved for a call when its intent was written and,
// at its end, what it cost more or less than that.
func (b *Breakers) Spent(record *sallyport.Record) {
	e := &record.Entry
	if b == nil || e.Type != sallyport.Intent && e.Type != sallyport.Closed || len(record.Charges) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rule := range b.rules {
		name := rule.names(e.Principal.Agent, e.Server, e.Kind, e.Name)
		if rule.On != Spend || name == "" {
			continue
		}
		one := b.of(rule, name)
		if one == nil {
			continue
		}
		one.spent.add(spentOf(record, rule.Unit), rule.Within)
		if one.spent.within(rule.Within) <= rule.Over {
			continue
		}
		if done, err := one.gate.Allow(); err == nil {
			done(errBad)
		}
	}
}

// spentOf is what a record adds of a unit. Several limits may count one call:
// it is spent once.
func spentOf(record *sallyport.Record, unit string) (amount sallyport.Amount) {
	reserved, cost := sallyport.Amount(0), sallyport.Amount(0)
	for _, c := range record.Charges {
		if c.Unit == unit {
			reserved, cost = max(reserved, c.Amount), max(cost, c.Cost)
		}
	}
	if record.Entry.Type == sallyport.Closed {
		return cost - reserved
	}
	return reserved
}

func (b *breaker) spentReason(r Rule) string {
	return b.spent.within(r.Within).String() + " " + r.Unit + " were spent within " + r.Within.String() + ", more than " + r.Over.String()
}
