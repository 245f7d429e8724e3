package app

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/app/halt"
	"sallyport/internal/app/ruling"
	"sallyport/internal/app/watch"
	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/install"
	"sallyport/internal/manifest"
	"sallyport/internal/policy"
)

// Servers implements control.Servers.
func (a *App) Servers() []control.Server {
	c := a.config()
	all := []control.Server{}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := control.Server{Name: name}
		s.Kind, s.Address = describe(c.Servers[name])
		a.declared(&s, c)
		var err error
		if s.State, err = a.watch.StateOf(name); err != nil {
			s.Error = err.Error()
		}
		for _, pin := range a.pins.All() {
			switch {
			case pin.Server != name:
			case pin.Raw == nil:
				s.New++
			case pin.Seen != nil:
				s.Quarantined++
			default:
				s.Pinned++
			}
		}
		all = append(all, s)
	}
	return all
}

// declared fills in what the configuration says of where a server's values
// come from.
func (a *App) declared(s *control.Server, c *config.Config) {
	d, configured := c.Declaration(s.Name), c.Servers[s.Name]
	s.Trust, s.Readers, s.Memory = config.TrustClasses[d.Trust], d.Readers.String(), configured.Memory
	s.Results = []control.Result{}
	for _, r := range d.Rules {
		s.Results = append(s.Results, control.Result{Tool: r.Tool, Field: r.Field, Kind: r.Kind, Writer: r.Origin.Writer.String(), Readers: r.Origin.Readers.String()})
	}
	var tools []sallyport.Definition
	for _, d := range a.pins.Definitions() {
		if d.Server == s.Name && d.Kind == sallyport.KindTool {
			tools = append(tools, d)
		}
	}
	if s.Unfit = []string{}; tools != nil { // else nobody has looked at it yet
		s.Unfit = append(s.Unfit, configured.Unfit(tools)...)
	}
}

// describe says how a server is reached, without what may be secret.
func describe(s config.Server) (kind, address string) {
	switch {
	case s.Builtin != "":
		return "builtin", s.Builtin
	case s.Command != "":
		words := []string{s.Command}
		for _, arg := range s.Args {
			if arg.Secret != "" {
				arg.Value = "(secret " + arg.Secret + ")"
			}
			words = append(words, arg.Value)
		}
		return "stdio", strings.Join(words, " ")
	case s.URL.Secret != "":
		return "http", "(secret " + s.URL.Secret + ")"
	default:
		u, err := url.Parse(s.URL.Value)
		if err != nil {
			return "http", ""
		}
		kind = "http"
		if s.Transport != "" {
			kind = s.Transport
		}
		return kind, u.Scheme + "://" + u.Host + u.Path // a query may hold a key
	}
}

// Tools implements control.Servers.
func (a *App) Tools() []control.Tool {
	c := a.config()
	rules := a.rules.Load()
	all := []control.Tool{}
	for _, pin := range a.pins.All() {
		kind, name := pin.Key.Split()
		if _, configured := c.Servers[pin.Server]; !configured || kind != sallyport.KindTool {
			continue
		}
		tool := control.Tool{Server: pin.Server, Name: name, State: "pinned", Effects: []string{}, Allowed: []string{}, Asked: []string{}}
		tool.Effects = append(tool.Effects, a.effects(pin.Server, name)...)
		_, tool.Undeclared = c.Settings(pin.Server, name)
		if audience, said := c.Audience(pin.Server, name); said {
			tool.Audience = audience.String()
		}
		tool.Means = c.Meanings(pin.Server, name)
		raw, err := sallyport.Parse(pin.Raw)
		switch {
		case pin.Raw == nil:
			tool.State = "new"
		case pin.Seen != nil || err != nil:
			tool.State = "quarantined"
		}
		if err == nil {
			tool.Title, _ = raw.Get("title").Text()
			tool.Digest = manifest.NewItem(pin.Key, raw).Digest.Short()
		}
		if tool.State == "pinned" {
			a.outlook(&tool, rules)
		}
		all = append(all, tool)
	}
	return all
}

// outlook fills in for whom a tool is not refused whatever its arguments.
func (a *App) outlook(tool *control.Tool, rules *policy.Rules) {
	definition := a.pins.Tool(tool.Server, tool.Name)
	if definition == nil {
		return
	}
	for _, s := range a.identities.List() {
		principal, known := a.identities.Principal(s.Name)
		if !known {
			continue
		}
		call := &sallyport.Call{Kind: sallyport.KindTool, Server: tool.Server, Name: tool.Name, Principal: principal}
		switch policy.Decide(rules, &sallyport.Facts{Call: call, Tool: definition, Partial: true}).Verdict {
		case sallyport.Allow:
			tool.Allowed = append(tool.Allowed, s.Name)
		case sallyport.Hold:
			tool.Asked = append(tool.Asked, s.Name)
		}
	}
}

// Doctor implements control.Doctor.
func (a *App) Doctor(ctx context.Context) control.Report {
	report := control.Report{Version: a.options.Version, Dir: a.options.Dir, Running: a.running, Listen: a.Addresses().Listen}
	add := func(level control.Level, do, what string, args ...any) {
		report.Checks = append(report.Checks, control.Check{Level: level, What: fmt.Sprintf(what, args...), Do: do})
	}
	for _, o := range a.halt.Kills() {
		add(control.Broken, "sallyport resume "+o.ID, "%s", halt.Headline(o))
	}
	a.examineMode(add)
	a.examineRestart(add)
	a.examinePolicy(add)
	if a.human.Enrolled() {
		add(control.OK, "", "a human has enrolled")
	} else {
		add(control.Warning, "sallyport enroll", "no human has enrolled: nothing can be accepted, loosened or added, and whoever enrolls first is the human")
	}
	a.examineServers(add)
	a.examineAgents(add)
	a.examineHooks(add)
	a.examineLog(ctx, add)
	told := func(bad bool, do, what string, args ...any) {
		add(map[bool]control.Level{true: control.Warning, false: control.OK}[bad], do, what, args...)
	}
	a.herald.Examine(told)
	a.attend.Examine(ctx, told)
	inForce := a.inForce()
	install.Examine(a.options.Dir, append(inForce.Paths(), a.configPath), told)
	return report
}

// examineRestart says what was changed and waits for the next start.
func (a *App) examineRestart(add examiner) {
	if !a.running {
		return
	}
	if keys := config.NeedsRestart(a.began, a.config()); len(keys) > 0 {
		add(control.Warning, "restart the gateway", "changed, and not in effect before the next start: %s", strings.Join(keys, ", "))
	}
}

// inForce is a copy of the ruling in force.
func (a *App) inForce() ruling.Ruling {
	a.changing.Lock()
	defer a.changing.Unlock()
	return *a.law.inForce
}

type examiner func(level control.Level, do, what string, args ...any)

func (a *App) examineMode(add examiner) {
	if a.observe.Load() {
		add(control.Warning, "start without --observe and with mode: enforce", "OBSERVE MODE: policy verdicts are recorded and NOT enforced")
	} else {
		add(control.OK, "", "policy verdicts are enforced")
	}
	if a.config().Inspect == config.Off {
		add(control.Warning, "set inspect: on", "no scanner looks at what passes: policies get no findings, and @mask masks nothing (inspect: off)")
	}
	for _, told := range a.config().Judge.Told() {
		add(control.Note, "", "%s", told)
	}
	if a.config().Pin == config.PinTrustFirstUse {
		add(control.Warning, "set pin: ask", "what a new server offers is accepted without anybody looking (pin: trust-first-use)")
	}
}

func (a *App) examinePolicy(add examiner) {
	status := a.PolicyStatus()
	switch {
	case a.rules.Load() == nil:
		add(control.Broken, "sallyport policy check", "no policy is in force: every call is refused")
	case status.Rules == 0:
		add(control.Warning, "write one; docs/policy.md says how", "the policy in force has no rules: every call is refused")
	default:
		add(control.OK, "", "%d rules are in force, %s", status.Rules, a.rules.Load().Digest().Short())
	}
	inForce := a.inForce()
	if _, late := inForce.Ready(a.pins.All()); len(late) > 0 {
		add(control.Warning, "sallyport servers pin NAME", "%d rules wait until somebody has looked at %s", len(late), strings.Join(inForce.Unseen(a.pins.All()), ", "))
	}
	if status.Broken != "" {
		add(control.Broken, "correct the files; the old ones stay in force", "the configuration or policy files are refused: %s", status.Broken)
	}
	if status.Pending != nil {
		add(control.Warning, "sallyport policy status, then sallyport policy accept", "changed files wait for a human: %s", strings.Join(status.Pending.Reasons, "; "))
	}
}

func (a *App) examineServers(add examiner) {
	for _, s := range a.Servers() {
		switch {
		case s.State == watch.Unreachable:
			add(control.Broken, "look at how the configuration says that it is started or reached; it is tried again by itself", "server %s can't be reached: %s", s.Name, s.Error)
		case s.Pinned+s.Quarantined == 0:
			add(control.Warning, "sallyport servers pin "+s.Name, "server %s waits to be looked at: nothing of it can be used", s.Name)
		case s.Quarantined+s.New > 0:
			add(control.Warning, "sallyport servers diff "+s.Name, "server %s: %d items changed and %d are new; they can't be used", s.Name, s.Quarantined, s.New)
		default:
			add(control.OK, "", "server %s: %d items pinned", s.Name, s.Pinned)
		}
		if len(s.Unfit) > 0 {
			add(control.Warning, "correct the configuration: it says nothing so", "what is declared of server %s is about nothing that it offers: %s", s.Name, strings.Join(s.Unfit, "; "))
		}
		if s.Kind == "stdio" {
			add(control.Warning, "use it only when you trust its program", "server %s runs without a sandbox, with your rights and your network: %s", s.Name, s.Address)
		}
	}
}

func (a *App) examineAgents(add examiner) {
	for _, agent := range a.Agents() {
		switch {
		case agent.Listener != "" && agent.State != "revoked":
			add(control.Note, "", "whoever can connect to %s is agent %s", agent.Listener, agent.Name)
		case agent.State == "active" && time.Until(agent.Expires) < 7*24*time.Hour:
			add(control.Warning, "sallyport agents rotate "+agent.Name, "the token of agent %s expires on %s", agent.Name, agent.Expires.Format(time.DateOnly))
		case agent.State != "active" && agent.State != "no token":
			add(control.Note, "", "agent %s: %s", agent.Name, agent.State)
		}
	}
}

func (a *App) examineLog(ctx context.Context, add examiner) {
	if err := a.store.Health(); err != nil {
		add(control.Broken, "calls are refused until it can be written; is the disk full?", "the log: %v", err)
		return
	}
	checkpoint, _, err := a.store.Checkpoint()
	if err != nil {
		add(control.Broken, "sallyport log verify", "the log's checkpoint: %v", err)
		return
	}
	size, err := a.store.Size(ctx)
	if err != nil {
		add(control.Broken, "sallyport log verify", "the log: %v", err)
		return
	}
	add(control.OK, "", "the log is written: %d entries, checkpoint over %d", size, checkpoint.Size)
}
