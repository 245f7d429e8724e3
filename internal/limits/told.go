package limits

import (
	"sync"
	"time"

	"sallyport"
)

// Told remembers which shares of which accounts were said. An account that comes to
// a share again and again, because calls fail and give back what they took, is said
// once for as long as what took it counts. The zero Told has said nothing.
type Told struct {
	mu   sync.Mutex
	said map[[2]string]share
}

// share is the most that was said of an account, and until when that is known.
type share struct {
	percent int64
	until   time.Time
}

// maxTold bounds what is remembered. Beyond it things are said twice.
const maxTold = 10_000

// News reports whether a charge with which an account has come to a share is to be
// said.
func (t *Told) News(c *sallyport.Charge, percent int64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	account := [2]string{c.Limit, c.Account}
	if before, known := t.said[account]; known && percent <= before.percent && now.Before(before.until) {
		return false
	}
	if t.said == nil || len(t.said) >= maxTold {
		t.said = map[[2]string]share{}
	}
	t.said[account] = share{percent, c.Until}
	return true
}

// Dearer are the charges that came to more than was reserved, as what they take
// besides: what their accounts hold now is in accounts.
func Dearer(settled []sallyport.Charge, accounts []Account) (more []sallyport.Charge) {
	for i, c := range settled {
		if c.Cost > c.Amount {
			c.Before, c.Amount = accounts[i].Total(), c.Cost-c.Amount
			more = append(more, c)
		}
	}
	return more
}
