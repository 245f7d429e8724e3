package policytest

import (
	"fmt"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/policy/source"
)

// World is what suites can name besides what they bring themselves.
type World struct {
	Pinned []sallyport.Definition
	Roles  []string
	Users  map[string]User
}

// Report is the outcome of running suites.
type Report struct {
	Results  []Result // in the order of the files and of what is in them
	Coverage []Coverage
}

// Passed reports whether no test failed.
func (r *Report) Passed() bool {
	return !slices.ContainsFunc(r.Results, func(r Result) bool { return !r.Passed })
}

// Result is the outcome of one test, one cell of a matrix or one invariant.
type Result struct {
	File   string
	Line   int
	Suite  string
	Name   string
	Passed bool
	Detail string // what went wrong; of an invariant that holds, how that is known
}

// Coverage says how often tests made a rule matter.
type Coverage struct {
	Rule   sallyport.Rule
	Fired  int // it decided, or would have
	Judged int // it was in scope
}

// tried bounds the arguments generated for one tool and one caller.
const tried = 200

// Run runs suites in the order of their names. The error is policy.Problems:
// suites that can't be read, or name what does not exist.
func Run(rules *policy.Rules, world World, files []policy.File) (*Report, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b policy.File) int { return strings.Compare(a.Name, b.Name) })
	r := runner{rules: rules, world: world, fired: map[string]int{}, judged: map[string]int{}, definitions: map[string]*sallyport.Definition{}}
	for i := range world.Pinned {
		d := &world.Pinned[i]
		r.definitions[d.Action()] = d
		r.servers = append(r.servers, d.Server)
	}
	slices.Sort(r.servers)
	r.servers = slices.Compact(r.servers)
	var problems policy.Problems
	for _, file := range files {
		s, problem := parse(file)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		r.suite = s
		r.run()
	}
	if problems = append(problems, r.problems...); len(problems) > 0 {
		return nil, problems.Sorted()
	}
	report := &Report{Results: r.results}
	for _, rule := range rules.All() {
		report.Coverage = append(report.Coverage, Coverage{rule, r.fired[rule.ID], r.judged[rule.ID]})
	}
	return report, nil
}

type runner struct {
	rules       *policy.Rules
	world       World
	definitions map[string]*sallyport.Definition
	servers     []string

	suite    *suite
	results  []Result
	problems policy.Problems

	fired, judged map[string]int // by rule
}

func (r *runner) run() {
	for _, t := range r.suite.Tests {
		r.test(t.line, t.it)
	}
	for _, m := range r.suite.Matrix {
		r.matrix(m.line, m.it)
	}
	for _, n := range r.suite.Never {
		r.never(n.line, n.it)
	}
}

func (r *runner) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, policy.Problem{File: r.suite.file, Line: line, Column: 1, Text: fmt.Sprintf(format, args...)})
}

func (r *runner) result(line int, name string, failures []string, detail string) {
	if len(failures) > 0 {
		detail = strings.Join(failures, "\n")
	}
	r.results = append(r.results, Result{r.suite.file, line, r.suite.Suite, name, len(failures) == 0, detail})
}

// test runs one call, or several in order.
func (r *runner) test(line int, t test) {
	steps := t.Steps
	flat := step{t.Call, t.Expect, t.Result, t.Found, t.Release}
	if empty := flat.Call == nil && flat.Expect == nil && flat.Result == nil && flat.Found == nil && flat.Release == nil; t.Name == "" || empty == (steps == nil) {
		r.problem(line, "a test needs a name, and either call with expect, or steps")
		return
	}
	if steps == nil {
		steps = []placed[step]{{line, flat}}
	}
	principal, ok := r.agent(line, t.As)
	if !ok {
		return
	}
	var failures []string
	for i, s := range steps {
		if failure := r.step(s.line, principal, s.it); failure != "" {
			if len(steps) > 1 {
				failure = fmt.Sprintf("step %d: %s", i+1, failure)
			}
			failures = append(failures, failure)
		}
	}
	r.result(line, t.Name, failures, "")
}

func (r *runner) step(line int, principal sallyport.Principal, s step) string {
	if s.Call == nil || s.Expect == nil || (s.Result == nil) != (s.Release == nil) || s.Result == nil && s.Found != nil {
		r.problem(line, "a step needs call and expect, result only together with release, and found only with result")
		return ""
	}
	if s.Expect.changes() {
		r.problem(line, "only what comes back is masked or neutralised: say so in release")
		return ""
	}
	facts, ok := r.facts(line, principal, s.Call)
	if !ok || !r.knows(line, s.Expect) || s.Release != nil && !r.knows(line, s.Release) {
		return ""
	}
	e := policy.Explain(r.rules, facts)
	r.cover(e)
	if !s.Expect.meets(e.Decision) {
		return unexpected(s.Expect, e.Decision)
	}
	if s.Result == nil {
		return ""
	}
	facts.Result = s.Result.Value
	if text, ok := s.Result.Text(); ok {
		facts.Result = sallyport.MustParse(`{"content":[{"type":"text","text":` + string(sallyport.AppendString(nil, text)) + `}]}`)
	}
	facts.Findings, ok = r.found(line, s.Found)
	if !ok {
		return ""
	}
	if e.Decision.Verdict == sallyport.Allow { // else nobody knows by which rules it would go out
		facts.Permits = []string{}
		for _, rule := range e.Decision.Rules {
			facts.Permits = append(facts.Permits, rule.ID)
		}
	}
	e = policy.ExplainResult(r.rules, facts)
	r.cover(e)
	if !s.Release.meets(e.Decision) {
		return "release: " + unexpected(s.Release, e.Decision)
	}
	return ""
}

func unexpected(want *expect, got sallyport.Decision) string {
	text := fmt.Sprintf("expected %s, got %s", want.text, got.Verdict)
	if want.changes() {
		text += " " + change(got.Mask, got.Neutralise)
	}
	if got.Asks != nil {
		text += fmt.Sprintf(" for %q", got.Asks)
	}
	var ids []string
	for _, rule := range got.Rules {
		ids = append(ids, rule.ID)
	}
	if ids != nil {
		text += " by " + strings.Join(ids, ", ")
	}
	if got.Reason != "" {
		text += ": " + got.Reason
	}
	return text
}

func (r *runner) cover(e policy.Explanation) {
	for _, j := range e.Rules {
		r.judged[j.Rule.ID]++
		if j.Outcome == policy.Applies || j.Outcome == policy.Failed {
			r.fired[j.Rule.ID]++
		}
	}
}

// knows checks that the rule of an expectation exists.
func (r *runner) knows(line int, e *expect) bool {
	if e.rule == "" || slices.ContainsFunc(r.rules.All(), func(rule sallyport.Rule) bool { return rule.ID == e.rule }) {
		return true
	}
	r.problem(line, "there is no rule %q", e.rule)
	return false
}

// agent is a caller of the suite.
func (r *runner) agent(line int, name string) (sallyport.Principal, bool) {
	a, ok := r.suite.Agents[name]
	if !ok {
		r.problem(line, "there is no agent %q in this suite", name)
		return sallyport.Principal{}, false
	}
	if a.Role != "" && !slices.Contains(r.world.Roles, a.Role) {
		r.problem(line, "agent %q has the role %q, which is not declared", name, a.Role)
		return sallyport.Principal{}, false
	}
	user, ok := r.user(a.For)
	if a.For != "" && !ok {
		r.problem(line, "agent %q acts for %q, who is neither in this suite nor in the configuration", name, a.For)
		return sallyport.Principal{}, false
	}
	return principal(name, a.Role, a.For, a.Tenant, user), true
}

func (r *runner) user(name string) (User, bool) {
	if u, ok := r.suite.Users[name]; ok {
		return u, true
	}
	u, ok := r.world.Users[name]
	return u, ok
}

func principal(name, role, user, tenant string, u User) sallyport.Principal {
	if tenant == "" {
		tenant = u.Tenant
	}
	return sallyport.Principal{
		Agent: name, Role: role, User: user, Tenant: tenant,
		Roles: u.Roles, Groups: u.Groups, Attributes: u.Attributes,
	}
}

// methods are the wire's names of what servers ask.
var methods = map[string]string{"elicitation": "elicitation/create", "sampling": "sampling/createMessage", "roots": "roots/list"}

// facts makes the call that a step describes.
func (r *runner) facts(line int, principal sallyport.Principal, c *call) (*sallyport.Facts, bool) {
	out := &sallyport.Call{Server: c.Server, Principal: principal}
	parts := 0
	for _, p := range []struct {
		kind sallyport.Kind
		name string
	}{
		{sallyport.KindTool, c.Tool}, {sallyport.KindPrompt, c.Prompt}, {sallyport.KindResource, c.Resource},
		{sallyport.KindAsk, methods[c.Ask]}, {sallyport.KindAnswer, methods[c.Answer]},
	} {
		if p.name != "" {
			out.Kind, out.Name = p.kind, p.name
			parts++
		}
	}
	if parts != 1 || c.Server == "" {
		r.problem(line, "a call needs a server and one of tool, prompt, resource, ask or answer (elicitation, sampling, roots)")
		return nil, false
	}
	if c.Args != nil {
		out.Args = c.Args.Value
	}
	if out.Kind == sallyport.KindResource {
		out.Args = sallyport.MustParse(`{"uri":` + string(sallyport.AppendString(nil, c.Resource)) + `}`)
	}
	for _, path := range slices.Concat(c.Untrusted, c.Unknown, c.Private, c.Critical, c.Unlinked, c.Exposed) {
		if !sends(out.Args, path) {
			r.problem(line, "the call sends nothing at %s", path)
			return nil, false
		}
	}
	findings, ok := r.found(line, c.Found)
	if _, known := r.found(line, c.Run.Found); !ok || !known {
		return nil, false
	}
	facts := &sallyport.Facts{Call: out, Tool: r.definitions[out.Action()], Flow: c.flow(), Findings: findings}
	if needs := out.Kind == sallyport.KindTool || out.Kind == sallyport.KindPrompt; needs && facts.Tool == nil {
		r.problem(line, "%s is not pinned", out.Action())
		return nil, false
	}
	return facts, r.serves(line, c.Server)
}

// found are findings by their names.
func (r *runner) found(line int, names []string) ([]sallyport.Finding, bool) {
	var all []sallyport.Finding
	for _, name := range names {
		if !slices.Contains(r.rules.FindingNames(), name) || !strings.Contains(name, "/") {
			r.problem(line, "there is no finding %q%s", name, source.Meant(name, r.rules.FindingNames()))
			return nil, false
		}
		all = append(all, sallyport.FindingOf(name))
	}
	return all, true
}

// sends reports whether there is a value at a path, or below it.
func sends(args sallyport.Value, path string) bool {
	for leaf := range args.Leaves() {
		if rest, ok := strings.CutPrefix(string(leaf), path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func (r *runner) serves(line int, server string) bool {
	if !slices.Contains(r.servers, server) {
		r.problem(line, "there is no server %q", server)
		return false
	}
	return true
}
