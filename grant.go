package sallyport

import "time"

// Grant is a yes to more calls than one: to those that are what people agreed to
// in Approval, but for what is Free.
type Grant struct {
	ID, Approval        string // "g_…", "a_…"
	Agent, Server, Name string
	Run                 string // the only one in which it counts, "" for any
	Free                []Free
	Made, Until, Last   time.Time // Last is its latest use
	Count, Used         int
	Revoked, Question   string // by whom; of a use, the digest of the question that it answers
}

// Free is an argument that may be another: up to Most, like Like, or any.
type Free struct{ Path, Most, Like string }
