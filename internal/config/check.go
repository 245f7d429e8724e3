package config

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/hookdoor/table"
	"sallyport/internal/policy/source"
)

// serverName can't contain "__", which parts server and tool in /mcp.
var serverName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// plainName is what roles, users, groups and tenants may be called.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func (r *reader) check() {
	r.checkWords()
	r.checkListen()
	r.checkInspect()
	r.checkJudges()
	for _, name := range slices.Sorted(maps.Keys(r.config.Servers)) {
		r.checkServer(name, r.config.Servers[name])
	}
	r.checkClient()
	r.checkPeople()
	r.checkApprovals()
	r.checkBreakers()
	r.checkNotify()
	r.checkSources()
	r.checkListeners()
	r.checkLimits()
}

func (r *reader) checkWords() {
	c := r.config
	if c.Mode != Enforce && c.Mode != Observe {
		r.problem([]any{"mode"}, "mode is enforce or observe, not %q%s", c.Mode, source.Meant(string(c.Mode), []string{"enforce", "observe"}))
	}
	if c.Pin != PinAsk && c.Pin != PinTrustFirstUse {
		r.problem([]any{"pin"}, "pin is ask or trust-first-use, not %q", c.Pin)
	}
	if c.Sizes.Body < 1<<10 {
		r.problem([]any{"sizes", "body"}, "a body below 1KiB refuses every call")
	}
	if c.Sizes.Result < 1<<10 {
		r.problem([]any{"sizes", "result"}, "a result below 1KiB refuses every answer")
	}
	if s := time.Duration(c.Runs.Standing); s != 0 && s < time.Hour {
		r.problem([]any{"runs", "standing"}, "standing runs stand for an hour at least, not %s", s)
	}
	if u, err := url.Parse(c.Telemetry.OTLP); c.Telemetry.OTLP != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		r.problem([]any{"telemetry", "otlp"}, "%q is not an http or https URL", c.Telemetry.OTLP)
	}
	for i, origin := range c.Origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			r.problem([]any{"origins", i}, "%q is not an origin: write it like https://app.example", origin)
		}
	}
}

func (r *reader) checkListen() {
	c := r.config
	host, ok := hostOf(c.Listen)
	switch {
	case !ok:
		r.problem([]any{"listen"}, "%q is not an address: write it like 127.0.0.1:7717", c.Listen)
	case c.TLS != nil && (c.TLS.Cert == "" || c.TLS.Key == ""):
		r.problem([]any{"tls"}, "tls needs both cert and key")
	case c.TLS == nil && !loopback(host):
		r.problem([]any{"listen"}, "others can reach %s: tokens would be readable on the way without tls: {cert, key}", c.Listen)
	}
}

// hostOf is the host of HOST:PORT, for a port that is one.
func hostOf(address string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, err == nil
}

func (r *reader) checkServer(name string, s Server) {
	at := func(path ...any) []any { return append([]any{"servers", name}, path...) }
	if !serverName.MatchString(name) {
		r.problem(at(), "%q can't be a server's name: use a-z, 0-9, and - behind the first, at most 64", name)
	}
	ways := 0
	for _, given := range []bool{s.Builtin != "", s.Command != "", s.URL != Text{}} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		r.problem(at(), "server %s needs exactly one of builtin, command and url", name)
	}
	if s.Builtin != "" && !slices.Contains(builtins, s.Builtin) {
		r.problem(at("builtin"), "there is no built-in server %q%s", s.Builtin, source.Meant(s.Builtin, builtins))
	}
	if s.Command == "" && (s.Args != nil || s.Env != nil || s.Cwd != "") {
		r.problem(at(), "args, env and cwd belong to a command")
	}
	if s.URL == (Text{}) && (s.Transport != "" || s.Headers != nil || s.AllowAddresses != nil) {
		r.problem(at(), "transport, headers and allow_addresses belong to a url")
	}
	if s.Trust != "" && !slices.Contains(TrustClasses[:], s.Trust) {
		r.problem(at("trust"), "there is no trust %q%s", s.Trust, source.Meant(s.Trust, TrustClasses[:]))
	}
	r.checkURL(s, at)
	r.checkOrigins(s, at)
	for _, pattern := range slices.Sorted(maps.Keys(s.Effects)) {
		if len(s.Effects[pattern]) == 0 {
			r.problem(at("effects", pattern), "%s has no effect: leave it out, then it counts as exec", pattern)
		}
		for _, effect := range s.Effects[pattern] {
			if !slices.Contains(sallyport.Effects[:], effect) {
				r.problem(at("effects", pattern), "there is no effect %q%s", effect, source.Meant(string(effect), effectNames()))
			}
		}
	}
}

// builtins are the servers inside the gateway.
var builtins = []string{table.ClaudeCode, "cloud", "desk"}

func effectNames() []string {
	var names []string
	for _, e := range sallyport.Effects {
		names = append(names, string(e))
	}
	return names
}

func (r *reader) checkURL(s Server, at func(...any) []any) {
	if s.URL.Value != "" {
		u, err := url.Parse(s.URL.Value)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			r.problem(at("url"), "this is not an http or https URL") // not quoted: it may hold a credential
		}
	}
	if s.Transport != "" && s.Transport != "http" && s.Transport != "sse" {
		r.problem(at("transport"), "transport is http or sse, not %q", s.Transport)
	}
	for i, text := range s.AllowAddresses {
		_, addressErr := netip.ParseAddr(text)
		_, prefixErr := netip.ParsePrefix(text)
		if addressErr != nil && prefixErr != nil {
			r.problem(at("allow_addresses", i), "%q is neither an address nor a prefix like 169.254.0.0/16", text)
		}
	}
}

func (r *reader) checkPeople() {
	c := r.config
	for i, role := range c.Roles {
		r.checkName([]any{"roles", i}, role)
	}
	for i, tenant := range c.Tenants {
		r.checkName([]any{"tenants", i}, tenant)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Users)) {
		user, at := c.Users[name], []any{"users", name}
		r.checkName(at, name)
		r.declared(append(at, "tenant"), "tenant", user.Tenant, c.Tenants)
		for i, role := range user.Roles {
			r.declared(append(at, "roles", i), "role", role, c.Roles)
		}
		for i, group := range user.Groups {
			r.checkName(append(at, "groups", i), group)
		}
	}
	users := slices.Sorted(maps.Keys(c.Users))
	for _, name := range slices.Sorted(maps.Keys(c.Agents)) {
		agent, at := c.Agents[name], []any{"agents", name}
		if !sallyport.ValidAgent(name) {
			r.problem(at, "%q can't be an agent's name: use a-z, 0-9, and . _ @ - behind the first letter", name)
		}
		r.declared(append(at, "role"), "role", agent.Role, c.Roles)
		r.declared(append(at, "tenant"), "tenant", agent.Tenant, c.Tenants)
		r.declared(append(at, "for"), "user", agent.For, users)
		switch user := c.Users[agent.For]; {
		case agent.For == "":
			r.problem(at, "agent %s acts for nobody: say for whom with for: USER", name)
		case agent.Tenant != "" && user.Tenant != "" && agent.Tenant != user.Tenant:
			r.problem(append(at, "tenant"), "agent %s is of tenant %s, but its user %s is of tenant %s", name, agent.Tenant, agent.For, user.Tenant)
		}
	}
}

func (r *reader) checkApprovals() {
	a, at := r.config.Approvals, []any{"approvals"}
	if e := a.Escalate; e != nil {
		if e.After <= 0 || e.After >= a.Expire || len(e.To) == 0 {
			r.problem(append(at, "escalate"), "an escalation needs groups in to:, and an after: before the question expires (%s)", time.Duration(a.Expire))
		}
		for i, group := range e.To {
			r.declared(append(at, "escalate", "to", i), "group", group, r.config.groups())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Quiet)) {
		r.declared(append(at, "quiet", name), "user", name, slices.Sorted(maps.Keys(r.config.Users)))
		if _, err := asking.ParseQuiet(a.Quiet[name]); err != nil {
			r.problem(append(at, "quiet", name), "%v", err)
		}
	}
	if a.Load.Cap < 1 {
		r.problem(append(at, "load", "cap"), "a load is a number of questions, at least 1: %d", a.Load.Cap)
	}
	if a.Load.Beyond != BeyondAsk && a.Load.Beyond != BeyondDeny {
		r.problem(append(at, "load", "beyond"), "beyond a load calls are asked about (ask) or refused (deny), not %q", a.Load.Beyond)
	}
	for i, group := range a.Form {
		r.declared(append(at, "form", i), "group", group, r.config.groups())
	}
	for _, effect := range slices.Sorted(maps.Keys(a.Classes)) {
		if !slices.Contains(sallyport.Effects[:], sallyport.Effect(effect)) {
			r.problem(append(at, "classes", effect), "there is no effect %q%s", effect, source.Meant(effect, effectNames()))
		}
		if c := a.Classes[effect]; c < int(sallyport.ClassTap) || c > int(sallyport.ClassPair) {
			r.problem(append(at, "classes", effect), "a class is 1, 2 or 3, not %d", c)
		}
	}
	if _, ok := asking.Compare(a.Large, "0"); a.Large != "" && !ok {
		r.problem(append(at, "large"), "%q is not an amount: write it like 1000 or 99.50", a.Large)
	}
}

// checkSources leaves open whether the agents exist: some are added by command.
func (r *reader) checkSources() {
	kinds := []string{string(sallyport.StrengthOrchestrator), string(sallyport.StrengthLauncher), string(sallyport.StrengthHook)}
	users := slices.Sorted(maps.Keys(r.config.Users))
	for _, name := range slices.Sorted(maps.Keys(r.config.Sources)) {
		one, at := r.config.Sources[name], []any{"sources", name}
		if !sallyport.ValidAgent(name) {
			r.problem(at, "%q can't be a source's name: use a-z, 0-9, and . _ @ - behind the first letter", name)
		}
		if !slices.Contains(kinds, one.Kind) {
			r.problem(append(at, "kind"), "a source is an orchestrator, a launcher or a hook, not %q%s", one.Kind, source.Meant(one.Kind, kinds))
		}
		if len(one.Agents) == 0 {
			r.problem(at, "source %s reaches no agent: say whose runs with agents: [NAME]", name)
		}
		for i, agent := range one.Agents {
			if !sallyport.ValidAgent(agent) {
				r.problem(append(at, "agents", i), "%q can't be an agent's name", agent)
			}
		}
		for i, user := range one.Users {
			r.declared(append(at, "users", i), "user", user, users)
		}
	}
}

func (r *reader) checkName(at []any, name string) {
	if !plainName.MatchString(name) {
		r.problem(at, "%q can't be a name: use letters, digits, and . _ @ - behind the first, at most 64", name)
	}
}

func (r *reader) declared(at []any, what, name string, known []string) {
	if name != "" && !slices.Contains(known, name) {
		r.problem(at, "no %s %q is declared%s", what, name, source.Meant(name, known))
	}
}

func (r *reader) checkListeners() {
	agents := slices.Sorted(maps.Keys(r.config.Agents))
	bound := map[string]bool{}
	for i, l := range r.config.Listeners {
		host, ok := hostOf(l.Address)
		switch {
		case !ok:
			r.problem([]any{"listeners", i, "address"}, "%q is not an address: write it like 127.0.0.1:7718", l.Address)
		case !loopback(host):
			r.problem([]any{"listeners", i, "address"}, "others can reach %s: a listener that stands for an agent must be on loopback", l.Address)
		}
		if l.Agent == "" {
			r.problem([]any{"listeners", i}, "a listener needs the agent that it is bound to")
		}
		r.declared([]any{"listeners", i, "agent"}, "agent", l.Agent, agents)
		if bound[l.Agent] {
			r.problem([]any{"listeners", i, "agent"}, "agent %s has a listener already", l.Agent)
		}
		bound[l.Agent] = true
		if l.Address == r.config.Listen && !strings.HasSuffix(l.Address, ":0") {
			r.problem([]any{"listeners", i, "address"}, "%s is taken by listen", l.Address)
		}
	}
}
