package sallyport

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Charge is what one call takes of one limit: reserved by its intent, settled
// by its outcome.
type Charge struct {
	Limit   string // its name
	Unit    string
	Account string // on which it counts, such as "user=ana"; values of arguments stand there as digests
	Label   string // the account as people read it; never in the log
	Window  Window
	Cap     Amount // the limit
	Ceiling Amount // what all charges of the account may come to: Cap, or what people have agreed to
	Amount  Amount // reserved
	Firm    Amount // of that, which no part of the limit settles at less

	// Ramped has the commit remember when the account was charged first; Costly
	// is the action whose costs are remembered for later estimates, "" for none.
	Ramped bool
	Costly string

	// The commit of the intent fills these: what the account held before, and
	// when the charge stops to count.
	Before Amount
	Until  time.Time

	Cost Amount // of an outcome: what it came to
}

// ErrFull says that there is no room for a call under a limit any more, though
// there was when it was decided.
var ErrFull = fmt.Errorf("%w: other calls have taken what was left of a limit", ErrOvertaken)

// line is the charge as an entry has it.
func (c Charge) line(amount Amount) string {
	text := amount.String() + " " + c.Unit + " " + c.Limit + " until " + c.Until.UTC().Format(entryTime)
	if c.Account != "" {
		text += " of " + c.Account
	}
	return text
}

// Reserved are the lines of an intent that takes these charges.
func Reserved(charges []Charge) (lines []string) {
	for _, c := range charges {
		lines = append(lines, c.line(c.Amount))
	}
	return lines
}

// Settled are the lines of an outcome: of those charges that came to something
// else than was reserved. All others are settled at that.
func Settled(charges []Charge) (lines []string) {
	for _, c := range charges {
		if c.Cost != c.Amount {
			lines = append(lines, c.line(c.Cost))
		}
	}
	return lines
}

// ParseCharge reads a line of an entry: Amount is what it says.
func ParseCharge(line string) (c Charge, err error) {
	parts := strings.SplitN(line, " ", 7)
	if len(parts) < 5 || parts[3] != "until" || len(parts) > 5 && (len(parts) != 7 || parts[5] != "of") {
		return c, fmt.Errorf("%q is not a charge", line)
	}
	c.Unit, c.Limit = parts[1], parts[2]
	if c.Amount, err = ParseAmount(parts[0]); err == nil {
		c.Until, err = time.Parse(entryTime, parts[4])
	}
	if len(parts) == 7 {
		c.Account = parts[6]
	}
	return c, err
}

// Amount is an amount of any unit, in millionths of it: exact, and the same on
// every machine and in every database.
type Amount int64

// MaxAmount is the most that can be counted: so little that sums of some of them
// can't overflow.
const MaxAmount Amount = 1e17

const millionths = 1_000_000

// ErrAmount says that a number is none that can be counted: not negative, since
// that would give back, and not more than MaxAmount.
var ErrAmount = errors.New("only amounts from 0 to 100,000,000,000 can be counted")

// AmountOf is a number as an amount. What is finer than a millionth counts as a
// whole one: what is taken is never more than what is counted.
func AmountOf(number *big.Rat) (Amount, error) {
	scaled := new(big.Rat).Mul(number, big.NewRat(millionths, 1))
	whole, rest := new(big.Int).QuoRem(scaled.Num(), scaled.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if number.Sign() < 0 || !whole.IsInt64() || Amount(whole.Int64()) > MaxAmount {
		return 0, ErrAmount
	}
	return Amount(whole.Int64()), nil
}

// ParseAmount reads a decimal number.
func ParseAmount(text string) (Amount, error) {
	number, ok := ParseNumber(text)
	if !ok {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return AmountOf(number)
}

// ParseNumber reads a number of JSON exactly. One of many digits, or with a
// large exponent, is refused: to hold it would take more memory than to send it.
func ParseNumber(text string) (*big.Rat, bool) {
	const digits, exponent = 64, 2
	_, power, _ := strings.Cut(strings.ToLower(text), "e")
	if text == "" || len(text) > digits || len(strings.TrimLeft(power, "+-")) > exponent || strings.ContainsAny(text, "/_xXpPoObB") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func (a Amount) String() string {
	text := strconv.FormatInt(int64(a/millionths), 10)
	if rest := a % millionths; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return text
}

// Plus is a sum that stays at MaxAmount.
func (a Amount) Plus(b Amount) Amount { return min(a+b, MaxAmount) }

// Share is a part of an amount, in percent.
func (a Amount) Share(percent int64) Amount {
	const whole = 100
	return a/whole*Amount(percent) + a%whole*Amount(percent)/whole
}

// Window says how long a charge counts.
type Window struct {
	Kind   WindowKind
	Length time.Duration  // of Fixed and Sliding
	Zone   *time.Location // of the calendar's
}

// WindowKind is a kind of window.
type WindowKind uint8

// The kinds of window. What is charged to the zero one counts forever.
const (
	Forever WindowKind = iota
	PerCall            // one call by itself: nothing is kept
	Fixed
	Sliding
	Daily
	Weekly // from Monday
	Monthly
)

// slots are the parts of a sliding window. What is charged within one of them is
// forgotten together, when the last of it may be: so it counts for the length of
// the window at least, and for a slot longer at most.
const slots = 60

// forever is what no clock reaches, and every column of a database holds.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Until is when a charge of that time stops to count.
func (w Window) Until(at time.Time) time.Time {
	switch w.Kind {
	case Fixed:
		return at.UTC().Truncate(w.Length).Add(w.Length)
	case Sliding:
		slot := max(w.Length/slots, time.Millisecond)
		return at.UTC().Truncate(slot).Add(slot + w.Length)
	case Daily, Weekly, Monthly:
		return w.calendar(at.In(w.Zone)).UTC()
	default:
		return forever
	}
}

// calendar is when the day, week or month of a time is over, in its zone.
func (w Window) calendar(at time.Time) time.Time {
	year, month, day := at.Date()
	last := day
	switch w.Kind {
	case Weekly:
		last += (7 - int(at.Weekday())) % 7
	case Monthly:
		last = time.Date(year, month+1, 0, 12, 0, 0, 0, w.Zone).Day()
	}
	end := time.Date(year, month, last+1, 0, 0, 0, 0, w.Zone)
	// Where clocks or calendars jump there may be no such midnight, and what stands
	// for it may be before the day is over.
	for noon := time.Date(year, month, last, 12, 0, 0, 0, w.Zone); end.Day() == noon.Day(); {
		end = end.Add(time.Hour)
	}
	return end
}
