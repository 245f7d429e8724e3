package policyhistory

// Use is one rule in force, and how often it has decided, by the log.
type Use struct {
	Rule  string   `json:"rule"`
	File  string   `json:"file"`
	Line  int      `json:"line"`
	Asks  []string `json:"asks,omitempty"`
	Calls int      `json:"calls"`          // by whatever text that had its name
	Last  *uint64  `json:"last,omitempty"` // entry, null for none
}
