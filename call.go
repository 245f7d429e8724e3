// Package sallyport is the vocabulary of the gateway: what a call is, who
// makes it, what is known about it, what was decided, and what the log keeps.
// It holds no behaviour that a stranger would have to trust.
package sallyport

import (
	"regexp"
	"time"
)

// Call is one thing that an agent asks for, or (Ask, Answer) one thing that a
// server asks back under a ticket. Tools, resources, prompts and completions
// are all one Call with a Kind, so that no path can forget a step.
type Call struct {
	ID     string // minted by the gateway, "c_…"
	Kind   Kind
	Server string // as configured; never contains "__"
	Name   string // tool or prompt name, resource URI, or method of an ask or of an act on a task
	Method string // method on the wire, for example "tools/call"

	// Args is what policy judges: a tool's arguments, a prompt's arguments,
	// {"uri": …} of a resource, the params of an ask, the result of an answer.
	// An act on a task is judged as the call that opened the task; here are its
	// params.
	Args Value
	// Params is the whole params object as the agent sent it and as it goes on.
	Params Value

	Principal Principal
	Run       Run
	Parent    string // ticket under which a server asks back, or a task is acted on
	Door      string // "mcp/2026-07-28 http", for the log
	Session   string // the door's session, "" where there is none
	Revision  string // MCP revision the agent speaks
	Trace     string // W3C traceparent, "" when the agent sent none
}

// Kind says what sort of call it is. The zero Kind is refused.
type Kind uint8

// The kinds of call.
const (
	KindUnknown    Kind = iota
	KindTool            // tools/call
	KindResource        // resources/read
	KindSubscribe       // resources/subscribe, subscriptions/listen
	KindPrompt          // prompts/get
	KindCompletion      // completion/complete
	KindAsk             // server to client: elicitation, sampling, roots
	KindAnswer          // the client's answer to an ask
	KindTask            // tasks/update, tasks/cancel: an act on an open task
)

var kindNames = [...]string{"unknown", "tool", "resource", "subscribe", "prompt", "completion", "ask", "answer", "task"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

// KindOf is the inverse of Kind.String; unknown names give KindUnknown.
func KindOf(name string) Kind {
	for i, n := range kindNames {
		if n == name {
			return Kind(i)
		}
	}
	return KindUnknown
}

// Action is the policy action that stands for the call: one per tool and per
// prompt, one for reading all resources of a server. A completion is judged as
// the prompt or resource it completes, a subscription as reading. An act on a
// task has none of its own: it is judged as the call that opened the task.
func (c *Call) Action() string { return c.Server + "/" + c.actionName() }

func (c *Call) actionName() string {
	switch c.Kind {
	case KindTool:
		return "tool:" + c.Name
	case KindPrompt:
		return "prompt:" + c.Name
	case KindResource, KindSubscribe:
		return "resource:read"
	case KindCompletion:
		if c.Args.Get("ref").Get("type").IsText("ref/prompt") {
			return "prompt:" + c.Name
		}
		return "resource:read"
	case KindAsk, KindAnswer:
		return c.Kind.String() + ":" + askName(c.Name)
	case KindTask:
		return c.Name
	default:
		return "unknown"
	}
}

// askName turns "elicitation/create" into "elicitation": the part that people
// write in policies.
func askName(method string) string {
	for i := range method {
		if method[i] == '/' {
			return method[:i]
		}
	}
	return method
}

// Principal is who asks and for whom. It comes from a credential, never from
// what a message says.
type Principal struct {
	Agent      string
	Role       string // the agent's role
	User       string // for whom the agent acts
	Roles      []string
	Groups     []string
	Tenant     string
	Attributes map[string]string // of the user, for policy
}

var agentName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// ValidAgent reports whether an agent, or a source of runs, may be called so.
func ValidAgent(name string) bool { return agentName.MatchString(name) }

// Credential is what a door found to identify the caller.
type Credential struct {
	Token    string // bearer token, "" when none was sent
	Listener string // agent to which the listener is bound, "" when it is not
}

// Effect is what a tool does to the world.
type Effect string

// The effects, mildest first. An unknown effect counts as the strictest, Exec.
const (
	Read   Effect = "read"
	Write  Effect = "write"
	Send   Effect = "send"
	Pay    Effect = "pay"
	Delete Effect = "delete"
	Access Effect = "access"
	Exec   Effect = "exec"
)

// Effects lists every effect, mildest first.
var Effects = [...]Effect{Read, Write, Send, Pay, Delete, Access, Exec}

// Definition is one pinned item of a server's manifest.
type Definition struct {
	Server  string
	Kind    Kind // KindTool, KindPrompt, KindResource (a template) or KindUnknown (the server's own words)
	Name    string
	Effects []Effect // from the operator's configuration; never empty for a tool
	// Undeclared admits arguments that the schema does not declare.
	Undeclared bool
	Raw        Value // the item exactly as the server sent it
	Digest     Digest
	Since      time.Time
}

// Action is the policy action of the definition.
func (d *Definition) Action() string {
	switch d.Kind {
	case KindTool:
		return d.Server + "/tool:" + d.Name
	case KindPrompt:
		return d.Server + "/prompt:" + d.Name
	default:
		return d.Server + "/resource:read"
	}
}
