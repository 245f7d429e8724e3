package control

import (
	"encoding/json"
	"time"

	"sallyport/internal/scope"
)

// Address is where agents connect.
type Address struct {
	URL string `json:"url"` // all servers as one; below it one server each
}

// Report is what doctor found.
type Report struct {
	Version string  `json:"version"`
	Dir     string  `json:"dir"`
	Running bool    `json:"running"`
	Listen  string  `json:"listen,omitempty"`
	Checks  []Check `json:"checks"`
}

// Check is one finding of doctor.
type Check struct {
	Level Level  `json:"level"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// Level says how much a check matters.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Note    Level = "note"    // known and chosen
	Warning Level = "warning" // open to something
	Broken  Level = "broken"  // does not work
)

// Server is a server behind the gateway.
type Server struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`    // builtin, stdio, http, sse
	Address     string `json:"address"` // command or origin, without secrets
	State       string `json:"state"`   // stopped, connecting, ready, unreachable, gone
	Error       string `json:"error,omitempty"`
	Pinned      int    `json:"pinned"`      // items in use
	Quarantined int    `json:"quarantined"` // changed since they were accepted
	New         int    `json:"new"`         // seen and never accepted

	Trust   string   `json:"trust"`            // community, vetted, first-party
	Readers string   `json:"readers"`          // of what it returns: private, internal, public
	Memory  bool     `json:"memory,omitempty"` // it keeps what agents write, for other runs
	Results []Result `json:"results"`          // what is declared of fields, the first that fits decides
	Unfit   []string `json:"unfit"`            // what is declared of it and fits no pinned tool
}

// Result is what is declared of the origin of some fields.
type Result struct {
	Tool    string `json:"tool,omitempty"`  // every one when left out
	Field   string `json:"field,omitempty"` // every one when left out
	Kind    string `json:"kind,omitempty"`
	Writer  string `json:"writer"`
	Readers string `json:"readers"`
}

// Tool is one tool behind the gateway.
type Tool struct {
	Server     string   `json:"server"`
	Name       string   `json:"name"`
	Title      string   `json:"title,omitempty"`
	Effects    []string `json:"effects"`
	Undeclared bool     `json:"undeclared,omitempty"`
	// Audience is who can read what is sent to it, where that is declared.
	Audience string                `json:"audience,omitempty"`
	Means    map[string]scope.Role `json:"means,omitempty"`  // what arguments are for, where that is declared
	Digest   string                `json:"digest,omitempty"` // of the accepted definition
	State    string                `json:"state"`            // pinned, quarantined, new
	// Allowed and Asked are the agents for whom policy does not refuse the
	// tool whatever the arguments; for Asked a human is asked at least.
	Allowed []string `json:"allowed"`
	Asked   []string `json:"asked"`
}

// Changes is what a server says now and nobody has accepted.
type Changes struct {
	Server string `json:"server"`
	// Digest covers all changes: accepting names it, so that nothing is
	// accepted that was not shown.
	Digest  string   `json:"digest"`
	Changes []Change `json:"changes"`
}

// Change is one item of a manifest that differs from what was accepted.
type Change struct {
	Key    string          `json:"key"`
	Before json.RawMessage `json:"before,omitempty"` // accepted; none for a new item
	After  json.RawMessage `json:"after"`
	// Effects of a tool, as they will count once it is accepted.
	Effects []string `json:"effects,omitempty"`
	// Findings are what scanners see in it; Grave are those of them that hardly
	// any honest server has.
	Findings []string `json:"findings,omitempty"`
	Grave    []string `json:"grave,omitempty"`
}

// Accept accepts what was shown.
type Accept struct {
	Secret string `json:"secret"`
	Digest string `json:"digest"`
	Item   string `json:"item,omitempty"` // one key only; the digest is then still that of all changes
}

// Accepted says what was accepted.
type Accepted struct {
	Items []string `json:"items"`
}

// Agent is an agent as people see it.
type Agent struct {
	Name     string    `json:"name"`
	Role     string    `json:"role,omitempty"`
	For      string    `json:"for,omitempty"`
	Tenant   string    `json:"tenant,omitempty"`
	Declared bool      `json:"declared"`
	State    string    `json:"state"`
	Expires  time.Time `json:"expires,omitzero"`
	Listener string    `json:"listener,omitempty"`
}

// NewAgent asks for an agent, or for a new token of one.
type NewAgent struct {
	Secret   string        `json:"secret"`
	Name     string        `json:"name"`
	Role     string        `json:"role,omitempty"`
	For      string        `json:"for,omitempty"`
	Tenant   string        `json:"tenant,omitempty"`
	Lifetime time.Duration `json:"lifetime"`
	// Unless is a token that is kept, and no new one made, while it is good.
	Unless string `json:"unless,omitempty"`
}

// Token is a fresh token, shown once.
type Token struct {
	Agent   string    `json:"agent"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// Enrolment sets a person's secret.
type Enrolment struct {
	As     string `json:"as,omitempty"` // a declared user; "" is the operator
	Secret string `json:"secret"`
	// Current is the operator's, or the one that is replaced; none for the first.
	Current string `json:"current,omitempty"`
}

// Enrolled says whether the operator has enrolled, and who has.
type Enrolled struct {
	Enrolled bool     `json:"enrolled"`
	People   []string `json:"people"`
}

// Erasure asks for the payloads of a run to be erased for good.
type Erasure struct {
	Secret string `json:"secret"`
	Run    string `json:"run"`
}

// PolicyStatus is what is in force and what waits.
type PolicyStatus struct {
	Digest  string   `json:"digest"`            // of the policy in force
	Rules   int      `json:"rules"`             // in force
	Mode    string   `json:"mode"`              // enforce or observe
	Broken  string   `json:"broken,omitempty"`  // why the files can't be taken; what was in force stays
	Pending *Pending `json:"pending,omitempty"` // waits for a human
}

// Pending is a changed configuration or policy that is not provably tighter.
type Pending struct {
	Digest  string   `json:"digest"`
	Reasons []string `json:"reasons"` // why it is not provably tighter
	Diff    string   `json:"diff"`
}

// File is a file that the command line read.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// problem is an answer that is none.
type problem struct {
	Error string `json:"error"`
	Code  Code   `json:"code,omitempty"`
}

// Code tells the command line which exit code an error has.
type Code string

// The codes. Anything else is a plain error.
const (
	Denied Code = "denied" // the human's credential is missing or wrong
	Failed Code = "failed" // a test or a verification failed
)

// CodedError is an error with a code.
type CodedError struct {
	Code Code
	Text string
}

func (e *CodedError) Error() string { return e.Text }
