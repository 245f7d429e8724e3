// Package config reads sallyport.yaml strictly and says what a changed one
// would loosen. Whoever wires the gateway cuts it up; nobody else sees it.
package config

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml/ast"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/policy/source"
)

// Config is sallyport.yaml. Unknown keys, keys given twice, anchors and
// aliases are refused. Paths are relative to the file's directory.
type Config struct {
	// Listen is where agents with a token connect, HOST:PORT.
	// Default 127.0.0.1:7717. An address that others can reach needs TLS:
	// tokens would be readable on the way.
	Listen string `yaml:"listen"`
	// TLS is the certificate for Listen; without it plain HTTP is served.
	TLS *TLS `yaml:"tls"`
	// Dir is the directory of the state: log, keys, pins, credentials.
	// Default: .sallyport beside the file; the flag --dir counts before it.
	Dir string `yaml:"dir"`
	// Mode is "enforce" (default) or "observe": then policy verdicts are
	// recorded and not enforced. Everything else still refuses.
	Mode Mode `yaml:"mode"`
	// Pin is "ask" (default): what a server offers is looked at by a human
	// before it can be used. "trust-first-use" takes the first sight as
	// accepted, without anybody looking: for tests.
	Pin PinMode `yaml:"pin"`
	// Inspect is "on" (default) or "off": then no scanner looks at anything,
	// policies find no findings, and nothing is masked.
	Inspect Inspect `yaml:"inspect"`
	// Judge names models that look at what passes, too.
	Judge Judging `yaml:"judge"`
	// Policy lists *.cedar files and directories of them. Default: policy.
	Policy []string `yaml:"policy"`
	// Servers are the MCP servers behind the gateway, by name: a-z, 0-9 and -.
	Servers map[string]Server `yaml:"servers"`

	// Tenants, Roles and Users declare who there is; agents can only be given
	// what is declared.
	Tenants []string        `yaml:"tenants"`
	Roles   []string        `yaml:"roles"`
	Users   map[string]User `yaml:"users"`
	// Agents declares agents. They get a token by "sallyport agents add NAME",
	// or a listener.
	Agents map[string]Agent `yaml:"agents"`
	// Sources are who may begin runs, or say what users said, without a human.
	// They get a token by "sallyport sources add NAME".
	Sources map[string]Source `yaml:"sources"`
	// Listeners are loopback ports bound to one agent each, for clients that
	// can't send a token: whoever can connect is that agent.
	Listeners []Listener `yaml:"listeners"`

	// Hosts and Origins are admitted in the headers of those names besides
	// the addresses that are listened on.
	Hosts   []string `yaml:"hosts"`
	Origins []string `yaml:"origins"`

	Runs      Runs      `yaml:"runs"`
	Approvals Approvals `yaml:"approvals"`
	// Limits say how much there may be of what calls do, by name.
	Limits    map[string]Limit `yaml:"limits"`
	Breakers  []Breaker        `yaml:"breakers"`
	Notify    []Notify         `yaml:"notify"`
	Sizes     Sizes            `yaml:"sizes"`
	Telemetry Telemetry        `yaml:"telemetry"`
	// Retention is how long payloads (arguments and results) are kept; the
	// entries stay. Default 90d.
	Retention Duration `yaml:"retention"`
}

// Runs are what is remembered of agents.
type Runs struct {
	// Standing is how long a standing run stands before another takes its place,
	// which remembers nothing (DESIGN: a clock that the operator sets). 0, the
	// default, is until a human ends it. At least an hour.
	Standing Duration `yaml:"standing"`
}

// Approvals are questions to people.
type Approvals struct {
	// Expire is the time from a question until neither an answer nor the use of a
	// yes is possible any more. Default 1h. Silence denies.
	Expire Duration `yaml:"expire"`
	// Escalate lets others answer in the place of those who are asked.
	Escalate *Escalate `yaml:"escalate"`
	// Classes raises the class of what has an effect: 1 to 3.
	Classes map[string]int `yaml:"classes"`
	// Large is the amount from which on a payment is of class 3.
	Large string `yaml:"large"`
	// Form are groups in whose name the user of an agent may answer in a form
	// that the agent's own client shows. Default none: whoever has taken over the
	// client can answer, too.
	Form []string `yaml:"form"`
	// Load is how many questions may reach one person on a day.
	Load Load `yaml:"load"`
	// Quiet are hours in which users are not told of questions, by name:
	// "22:00-07:00 Europe/Berlin". An escalation to people who all have them waits.
	Quiet map[string]string `yaml:"quiet"`
}

// Load is what a person can be asked on a day (UTC) and still look at.
type Load struct {
	// Cap is the number of questions. Default 20. Beyond it the operator is told.
	Cap int `yaml:"cap"`
	// Beyond is "ask" (default) or "deny": then a call is refused about which
	// nobody could be asked who is not beyond the cap. Nothing is ever let through.
	Beyond string `yaml:"beyond"`
}

// DefaultLoad is how many questions may reach a person on a day where nobody says.
const DefaultLoad = 20

// The values of Load.Beyond.
const (
	BeyondAsk  = "ask"
	BeyondDeny = "deny"
)

// Escalate is who may answer, too, when those who are asked do not.
type Escalate struct {
	After Duration `yaml:"after"`
	To    []string `yaml:"to"` // groups
}

// TLS names files in PEM.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Server is one MCP server: exactly one of builtin, command and url.
type Server struct {
	// Builtin is a demo server inside the gateway, "desk" or "cloud", or
	// "claude-code": the tools that Claude Code carries out itself, decided by
	// "sallyport hook".
	Builtin string `yaml:"builtin"`

	// Command starts a server that speaks stdio.
	Command string          `yaml:"command"`
	Args    []Text          `yaml:"args"`
	Env     map[string]Text `yaml:"env"` // it gets these and no other variables of ours
	Cwd     string          `yaml:"cwd"`

	// URL of a remote server.
	URL Text `yaml:"url"`
	// Transport is "http" (Streamable HTTP) or "sse" (HTTP+SSE of
	// 2024-11-05). Default: the first, and where that fails the other.
	Transport string          `yaml:"transport"`
	Headers   map[string]Text `yaml:"headers"`
	// AllowAddresses admits link-local and metadata addresses, which are
	// otherwise refused: addresses or CIDR prefixes.
	AllowAddresses []string `yaml:"allow_addresses"`

	// Trust says how far the server is trusted not to lie about what it assigns
	// itself: community (nothing of it; the default), vetted (identifiers) or
	// first-party (also dates, numbers and states; the default of builtin).
	Trust string `yaml:"trust"`
	// Readers are who may read what it returns: private (the user, and whom the
	// user tells; the default), internal (the organisation) or public.
	Readers string `yaml:"readers"`
	// Serialised promises that it makes its texts by a serialiser (YAML, CSV) and
	// never by pasting texts together: then their fields can be trusted.
	Serialised bool `yaml:"serialised"`
	// Memory says that it keeps what agents write and gives it to other runs.
	Memory bool `yaml:"memory"`
	// Results says of fields what trust and readers say of the server. The first
	// that fits decides.
	Results []Result `yaml:"results"`
	// Arguments says what arguments are for. The first that fits decides.
	Arguments []Argument `yaml:"arguments"`
	// Audience is who can read what is sent to each tool, by name or pattern as
	// in effects: private (the user alone), internal or public.
	Audience map[string]string `yaml:"audience"`

	// Effects says what each tool does, by name or by pattern (* and ?). Of
	// several patterns the one with the most letters counts. A tool without
	// an effect counts as exec, the strictest.
	Effects map[string]EffectList `yaml:"effects"`
	// Undeclared lists tools that take arguments which their schema does not
	// declare. Policy can't know such arguments.
	Undeclared []string `yaml:"undeclared"`
}

// Reach is the server without what is said of its tools: which one it is, and
// how it is started or reached.
func (s Server) Reach() Server {
	s.Effects, s.Undeclared = nil, nil
	s.Trust, s.Readers, s.Serialised, s.Memory, s.Results, s.Arguments, s.Audience = "", "", false, false, nil, nil, nil
	return s
}

// TrustClasses are the values of trust, least trusted first.
var TrustClasses = [...]string{"community", "vetted", "first-party"}

// Program identifies what answers under the server's name: another command,
// URL or built-in server is another program, whatever it says of itself. What
// is only given to it (environment, headers, values of secrets) is not part.
func (s Server) Program() sallyport.Digest {
	var text []byte
	for _, part := range []string{s.Builtin, s.Command, s.Cwd, s.URL.Value, s.URL.Secret, s.Transport} {
		text = sallyport.AppendString(text, part)
	}
	for _, arg := range s.Args {
		text = sallyport.AppendString(sallyport.AppendString(text, arg.Value), arg.Secret)
	}
	return sallyport.DigestOf(text)
}

// User is a person for whom agents act.
type User struct {
	Roles      []string          `yaml:"roles"`
	Groups     []string          `yaml:"groups"`
	Tenant     string            `yaml:"tenant"`
	Attributes map[string]string `yaml:"attributes"` // for policies
}

// Agent is a program that acts for a user.
type Agent struct {
	Role   string `yaml:"role"`
	For    string `yaml:"for"`
	Tenant string `yaml:"tenant"` // default: the user's
}

// Source is a program that speaks for users: it may begin runs, and say what
// they were told.
type Source struct {
	// Kind is "orchestrator" (begins, tells and ends runs), "launcher" (begins
	// and ends them) or "hook" (tells them alone).
	Kind   string   `yaml:"kind"`
	Agents []string `yaml:"agents"` // whose runs it reaches
	Users  []string `yaml:"users"`  // for whom besides the agents' own users
}

// Listener is a loopback port bound to one agent.
type Listener struct {
	Address string `yaml:"address"` // HOST:PORT; port 0 picks a free one
	Agent   string `yaml:"agent"`
}

// Sizes bounds what is read. They are like 8MiB.
type Sizes struct {
	Body   Size `yaml:"body"`   // of a message from an agent; default 8MiB
	Result Size `yaml:"result"` // of an answer from a server; default 32MiB
}

// Telemetry says where metadata of calls goes. Arguments and results never do.
type Telemetry struct {
	OTLP string `yaml:"otlp"` // base URL of a collector (OTLP over HTTP)
}

// Mode says what a policy verdict does.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	Observe Mode = "observe"
)

// PinMode says how the first sight of a server is accepted.
type PinMode string

// The ways to accept a first sight.
const (
	PinAsk           PinMode = "ask"
	PinTrustFirstUse PinMode = "trust-first-use"
)

// EffectList is one effect or a list of them.
type EffectList []sallyport.Effect

// UnmarshalYAML reads "read" as well as [read, write].
func (l *EffectList) UnmarshalYAML(node ast.Node) error {
	names, err := scalars(node)
	if err != nil {
		return err
	}
	for _, name := range names {
		*l = append(*l, sallyport.Effect(name))
	}
	return nil
}

// Text is a string, or the name of a secret that the state directory keeps.
type Text struct {
	Value  string
	Secret string
}

// UnmarshalYAML reads "text" as well as {secret: NAME}.
func (t *Text) UnmarshalYAML(node ast.Node) error {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		text, err := scalar(node)
		t.Value = text
		return err
	}
	if len(mapping.Values) == 1 && mapping.Values[0].Key.GetToken().Value == "secret" {
		name, err := scalar(mapping.Values[0].Value)
		t.Secret = name
		return err
	}
	return problemAt(node, "write a text or {secret: NAME}")
}

// Size is a number of bytes.
type Size int64

// UnmarshalYAML reads 8388608 as well as 8MiB.
func (s *Size) UnmarshalYAML(node ast.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<40 {
		return problemAt(node, "%q is not a size: write it like 8MiB", text)
	}
	*s = Size(n)
	return nil
}

// Duration is a time span.
type Duration time.Duration

// UnmarshalYAML reads 90d as well as 36h.
func (d *Duration) UnmarshalYAML(node ast.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	span, err := ParseDuration(text)
	if err != nil {
		return problemAt(node, "%v", err)
	}
	*d = Duration(span)
	return nil
}

// ParseDuration is time.ParseDuration with whole days (90d) besides.
func ParseDuration(text string) (time.Duration, error) {
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && fmt.Sprintf("%dd", days) == text && days >= 0 && days < 36_500 {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	span, err := time.ParseDuration(text)
	if err != nil || span < 0 {
		return 0, fmt.Errorf("%q is not a time span: write it like 90d or 12h", text)
	}
	return span, nil
}

// defaults fills in what the file left out. base is the file's directory.
func (c *Config) defaults(base string) {
	set(&c.Listen, "127.0.0.1:7717")
	set(&c.Mode, Enforce)
	set(&c.Pin, PinAsk)
	set(&c.Inspect, On)
	c.Judge.defaults()
	for i := range c.Breakers {
		c.Breakers[i].defaults()
	}
	set(&c.Sizes.Body, 8<<20)
	set(&c.Sizes.Result, 32<<20)
	set(&c.Approvals.Expire, Duration(time.Hour))
	set(&c.Approvals.Load.Cap, DefaultLoad)
	set(&c.Approvals.Load.Beyond, BeyondAsk)
	set(&c.Retention, Duration(90*24*time.Hour))
	set(&c.Dir, ".sallyport")
	if c.Policy == nil {
		c.Policy = []string{"policy"}
	}
	c.Dir = below(base, c.Dir)
	for i := range c.Policy {
		c.Policy[i] = below(base, c.Policy[i])
	}
	if c.TLS != nil {
		c.TLS.Cert, c.TLS.Key = below(base, c.TLS.Cert), below(base, c.TLS.Key)
	}
	for name, s := range c.Servers {
		s.Cwd = below(base, s.Cwd)
		c.Servers[name] = s
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func below(base, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, name)
}

// Settings is what the operator said of a tool: its effects, and whether it
// takes undeclared arguments. It satisfies pin.Settings.
func (c *Config) Settings(server, tool string) (effects []sallyport.Effect, undeclared bool) {
	s := c.Servers[server]
	for _, pattern := range s.Undeclared {
		undeclared = undeclared || matches(pattern, tool)
	}
	known := s.clientTool(tool)
	undeclared = undeclared || known.Undeclared
	if list, _ := nearest(s.Effects, tool, strictest); len(list) > 0 {
		return list, undeclared
	}
	if len(known.Effects) > 0 {
		return known.Effects, undeclared
	}
	return []sallyport.Effect{sallyport.Exec}, undeclared
}

// nearest is what is said of a tool by name, else by the pattern with the most
// letters that fits, and of several such the one with the highest rank.
func nearest[T any](said map[string]T, tool string, rank func(T) int) (found T, ok bool) {
	if exact, ok := said[tool]; ok {
		return exact, true
	}
	letters := -1
	for pattern, value := range said {
		n := len(pattern) - strings.Count(pattern, "*") - strings.Count(pattern, "?")
		if !matches(pattern, tool) || n < letters {
			continue
		}
		if n > letters || rank(value) > rank(found) {
			letters, found = n, value
		}
	}
	return found, letters >= 0
}

// matches is path.Match in which * also matches "/", which tool names may
// contain.
func matches(pattern, name string) bool {
	flat := strings.NewReplacer("/", "\x00", "[", `\[`, "]", `\]`)
	ok, err := path.Match(flat.Replace(pattern), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

// strictest is the rank of the strictest effect of a list.
func strictest(list EffectList) int {
	rank := -1
	for i, effect := range sallyport.Effects {
		for _, e := range list {
			if e == effect {
				rank = max(rank, i)
			}
		}
	}
	return rank
}

// Declares reports an error when a role or a tenant is not declared: no policy
// could speak about it. Empty ones are nobody's business.
func (c *Config) Declares(role, tenant string) error {
	if role != "" && !slices.Contains(c.Roles, role) {
		return fmt.Errorf("no role %q is declared in the configuration%s", role, source.Meant(role, c.Roles))
	}
	if tenant != "" && !slices.Contains(c.Tenants, tenant) {
		return fmt.Errorf("no tenant %q is declared in the configuration%s", tenant, source.Meant(tenant, c.Tenants))
	}
	return nil
}

// Declared is what policies may name, for the package that decides.
func (c *Config) Declared() policy.Declared {
	attributes := map[string]bool{}
	for _, user := range c.Users {
		for name := range user.Attributes {
			attributes[name] = true
		}
	}
	return policy.Declared{
		Servers: slices.Sorted(maps.Keys(c.Servers)), Agents: slices.Sorted(maps.Keys(c.Agents)),
		Users: slices.Sorted(maps.Keys(c.Users)), Roles: c.Roles, Tenants: c.Tenants,
		Groups: c.groups(), Attributes: slices.Sorted(maps.Keys(attributes)),
		Findings: c.findingNames(),
	}
}

// groups are all that users are in, in order.
func (c *Config) groups() []string {
	groups := map[string]bool{}
	for _, user := range c.Users {
		for _, group := range user.Groups {
			groups[group] = true
		}
	}
	return slices.Sorted(maps.Keys(groups))
}

// loopback reports whether only this machine can reach an address. A name
// other than localhost could come to mean anything.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
