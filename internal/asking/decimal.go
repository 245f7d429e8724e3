package asking

import (
	"math/big"
	"regexp"
)

// decimal is a number that people write out. Exponents are left out: a few bytes
// of them would make a number of gigabytes.
var decimal = regexp.MustCompile(`^-?[0-9]{1,40}(\.[0-9]{1,40})?$`)

// Compare is the order of two decimals: -1, 0 or +1. ok is false when one of them
// is none.
func Compare(a, b string) (order int, ok bool) {
	if !decimal.MatchString(a) || !decimal.MatchString(b) {
		return 0, false
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x.Cmp(y), true
}
