package limits

import "time"

// Shown is one limit as people see it. Amounts are exact decimals, and so texts.
type Shown struct {
	Name    string   `json:"name"`
	Place   string   `json:"place"` // where it is written
	Unit    string   `json:"unit"`
	Cap     string   `json:"cap"`
	Window  string   `json:"window"`
	Per     []string `json:"per"`
	Within  string   `json:"within,omitempty"` // the limit of which it is a part
	Groups  []string `json:"groups,omitempty"` // that are asked about calls beyond it; none: they are refused
	Applies string   `json:"applies"`
	// Accounts counts those of which something is taken now, Fullest says how much
	// of the one with the least left, in percent.
	Accounts int   `json:"accounts"`
	Fullest  int64 `json:"fullest"`
}

// Spent is what calls took of a unit, once for a call whatever limits count it,
// and the limits that count it, the fullest first.
type Spent struct {
	Unit     string  `json:"unit"`
	Calls    int     `json:"calls"`
	Estimate string  `json:"estimate"` // what was reserved before
	Settled  string  `json:"settled"`  // what it came to
	Limits   []Shown `json:"limits"`
}

// ShownAll is a limit with all of its accounts, the fullest first.
type ShownAll struct {
	Limit    Shown          `json:"limit"`
	Accounts []ShownAccount `json:"accounts"`
}

// ShownAccount is what is taken on one account.
type ShownAccount struct {
	Account  string `json:"account"`
	Key      string `json:"key"` // the account as the log has it
	Cap      string `json:"cap"` // of a new one that is ramped, a part of the limit's
	Used     string `json:"used"`
	Reserved string `json:"reserved"` // by calls that are under way
	Left     string `json:"left"`
	Percent  int64  `json:"percent"` // that is taken
	// Resets is when some of it stops to count, Empty when all of it has.
	Resets time.Time `json:"resets"`
	Empty  time.Time `json:"empty"`
}
