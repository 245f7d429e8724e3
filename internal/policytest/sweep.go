package policytest

import (
	"fmt"
	"maps"
	"slices"

	"sallyport"
	"sallyport/internal/policy"
)

// anyone stands for agents that no suite names.
const anyone = "anyone"

// sweep is what all arguments and several callers get for one action.
type sweep struct {
	proved   bool // the strictest claim below holds whatever the arguments are
	highest  sallyport.Verdict
	held     bool
	example  string // of the highest verdict
	attempts int
}

// sweep asks every caller, with the arguments unknown first: a refusal then
// binds all arguments. Only what that leaves open is tried.
func (r *runner) sweep(facts *sallyport.Facts, callers []sallyport.Principal, fixed sallyport.Value, enough sallyport.Verdict) sweep {
	out := sweep{proved: true}
	var samples []sallyport.Value
	for _, caller := range callers {
		c := *facts.Call
		c.Principal = caller
		asked := *facts
		asked.Call, asked.Partial = &c, true
		before := policy.Decide(r.rules, &asked)
		if before.Verdict != sallyport.Allow { // else its rules are those that may apply
			r.count(before)
		}
		if before.Verdict <= enough {
			out.note(before.Verdict, &c)
			continue
		}
		out.proved = false
		asked.Partial = false
		if samples == nil {
			samples = r.rules.Arguments(c.Action(), fixed, tried)
		}
		for _, c.Args = range samples {
			d := policy.Decide(r.rules, &asked)
			r.count(d)
			out.attempts++
			out.note(d.Verdict, &c)
		}
	}
	return out
}

func (s *sweep) note(v sallyport.Verdict, c *sallyport.Call) {
	s.held = s.held || v == sallyport.Hold
	if s.example == "" || v > s.highest {
		s.highest = v
		s.example = fmt.Sprintf("%s (role %s, for %s) %s %s", c.Principal.Agent, or(c.Principal.Role, "none"), or(c.Principal.User, "nobody"), c.Action(), c.Args.Raw())
	}
}

func or(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}

func (r *runner) count(d sallyport.Decision) {
	for _, rule := range d.Rules {
		r.fired[rule.ID]++
		r.judged[rule.ID]++
	}
}

// matrix checks what a role may do, by effect: one result a cell.
func (r *runner) matrix(line int, m matrix) {
	if !slices.Contains(r.world.Roles, m.Role) {
		r.problem(line, "role %q is not declared", m.Role)
		return
	}
	callers := []sallyport.Principal{principal(anyone, m.Role, "", "", User{})}
	for _, name := range slices.Sorted(maps.Keys(r.suite.Agents)) {
		if r.suite.Agents[name].Role == m.Role {
			if p, ok := r.agent(line, name); ok {
				callers = append(callers, p)
			}
		}
	}
	for _, server := range slices.Sorted(maps.Keys(m.Servers)) {
		if !r.serves(line, server) {
			continue
		}
		for effect := range m.Servers[server] {
			if !slices.Contains(sallyport.Effects[:], effect) {
				r.problem(line, "there is no effect %q", effect)
			}
		}
		for _, effect := range sallyport.Effects {
			if want, ok := m.Servers[server][effect]; ok {
				r.cell(line, m.Role, server, effect, want, callers)
			}
		}
	}
}

func (r *runner) cell(line int, role, server string, effect sallyport.Effect, want string, callers []sallyport.Principal) {
	if !slices.Contains([]string{"allow", "hold", "deny"}, want) {
		r.problem(line, "%s %s: expected allow, hold or deny, not %q", server, effect, want)
		return
	}
	var failures []string
	tools := 0
	for _, facts := range r.targets(target{Server: server, Effect: effect}) {
		if facts.Call.Kind != sallyport.KindTool {
			continue
		}
		tools++
		s := r.sweep(facts, callers, sallyport.Value{}, sallyport.Deny)
		switch {
		case want == "deny" && !s.proved && s.highest == sallyport.Deny:
			failures = append(failures, fmt.Sprintf("%s: nothing tried was let through, but some arguments may be", facts.Call.Action()))
		case want == "deny" && s.highest > sallyport.Deny,
			want == "hold" && s.highest == sallyport.Allow:
			failures = append(failures, fmt.Sprintf("%s: expected %s, got %s: %s", facts.Call.Action(), want, s.highest, s.example))
		case want == "hold" && !s.held, want == "allow" && s.highest != sallyport.Allow:
			failures = append(failures, fmt.Sprintf("%s: expected %s, got at most %s", facts.Call.Action(), want, s.highest))
		}
	}
	if tools == 0 {
		r.problem(line, "no tool of %s has the effect %s", server, effect)
		return
	}
	r.result(line, fmt.Sprintf("%s on %s: %s %s", role, server, effect, want), failures, "")
}

// never checks that nobody gets through, whatever the arguments are.
func (r *runner) never(line int, n invariant) {
	if n.Name == "" {
		r.problem(line, "an invariant needs a name")
		return
	}
	targets := r.targets(n.Call)
	if len(targets) == 0 {
		r.problem(line, "%q is about nothing: no pinned tool or prompt fits its call", n.Name)
		return
	}
	enough := sallyport.Deny
	if n.Unless != nil && n.Unless.Held {
		enough = sallyport.Hold
	}
	var fixed sallyport.Value
	if n.Call.Where != nil {
		fixed = n.Call.Where.Value
	}
	callers := r.everybody(line, n.Unless)
	var failures []string
	attempts, proved := 0, 0
	for _, facts := range targets {
		s := r.sweep(facts, callers, fixed, enough)
		attempts += s.attempts
		if s.proved {
			proved++
		}
		if s.highest > enough {
			failures = append(failures, fmt.Sprintf("%s: %s", s.highest, s.example))
		}
	}
	detail := fmt.Sprintf("proved for %d of %d actions and %d callers", proved, len(targets), len(callers))
	if attempts > 0 {
		detail += fmt.Sprintf("; %d calls tried", attempts)
	}
	r.result(line, n.Name, failures, detail)
}

// targets are the actions that fit, as calls without a caller and of arguments
// about which nothing is suspect.
func (r *runner) targets(t target) []*sallyport.Facts {
	var out []*sallyport.Facts
	for _, action := range slices.Sorted(maps.Keys(r.definitions)) {
		d := r.definitions[action]
		c := &sallyport.Call{Kind: d.Kind, Server: d.Server, Name: d.Name}
		named := t.Tool == "" && t.Prompt == "" || d.Kind == sallyport.KindTool && d.Name == t.Tool || d.Kind == sallyport.KindPrompt && d.Name == t.Prompt
		kind := d.Kind == sallyport.KindTool || d.Kind == sallyport.KindPrompt
		if kind && named && (t.Server == "" || t.Server == d.Server) && (t.Effect == "" || slices.Contains(effectsOf(d), t.Effect)) {
			out = append(out, &sallyport.Facts{Call: c, Tool: d, Flow: new(sallyport.Flow)})
		}
	}
	for _, server := range r.servers {
		if t.Tool == "" && t.Prompt == "" && (t.Server == "" || t.Server == server) && (t.Effect == "" || t.Effect == sallyport.Read) {
			out = append(out, &sallyport.Facts{Call: &sallyport.Call{Kind: sallyport.KindResource, Server: server}, Flow: new(sallyport.Flow)})
		}
	}
	return out
}

func effectsOf(d *sallyport.Definition) []sallyport.Effect {
	switch {
	case d.Kind == sallyport.KindPrompt:
		return []sallyport.Effect{sallyport.Read}
	case len(d.Effects) == 0:
		return []sallyport.Effect{sallyport.Exec}
	default:
		return d.Effects
	}
}

// everybody is each agent of the suite, and an agent of each declared role and
// of none, acting for each known user and for nobody, but for the exceptions.
func (r *runner) everybody(line int, unless *exception) []sallyport.Principal {
	var out []sallyport.Principal
	add := func(p sallyport.Principal) {
		if !unless.excepts(p) {
			out = append(out, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.suite.Agents)) {
		if p, ok := r.agent(line, name); ok {
			add(p)
		}
	}
	users := slices.Collect(maps.Keys(r.world.Users))
	users = append(slices.AppendSeq(users, maps.Keys(r.suite.Users)), "")
	slices.Sort(users)
	users = slices.Compact(users)
	for _, role := range append([]string{""}, slices.Sorted(slices.Values(r.world.Roles))...) {
		for _, name := range users {
			u, _ := r.user(name)
			add(principal(anyone, role, name, "", u))
		}
	}
	return out
}

// excepts reports whether everything that the exception names fits.
func (e *exception) excepts(p sallyport.Principal) bool {
	if e == nil || *e == (exception{Held: e.Held}) {
		return false
	}
	fits := func(want, got string) bool { return want == "" || want == got }
	return fits(e.Role, p.Role) && fits(e.Agent, p.Agent) && fits(e.User, p.User) && fits(e.Tenant, p.Tenant) &&
		(e.Group == "" || slices.Contains(p.Groups, e.Group))
}
