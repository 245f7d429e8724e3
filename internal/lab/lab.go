// Package lab shows that Sallyport holds when the model is hijacked. A scenario is an attack with a puppet for an agent,
// which obeys everything that it reads; the lab plays it without Sallyport, with it, with an honest text in the place
// of the attack, and without the one rule that stops it. See docs/lab.md.
package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/internal/lab/puppet"
	"sallyport/internal/lab/scenario"
)

// State is how an assertion, or a scenario, came out.
type State string

// The states. The zero State is that nothing was tried.
const (
	Passed State = "passed"
	Failed State = "failed"
	Opened State = "open" // known, and nothing stops it yet
)

// Check is one assertion.
type Check struct {
	State State  `json:"state,omitempty"`
	Why   string `json:"why,omitempty"` // it failed
}

// Result is what came of a scenario.
type Result struct {
	Name    string        `json:"name"`
	Title   string        `json:"title"`
	State   State         `json:"state"`
	Needs   string        `json:"needs,omitempty"` // what would stop an attack that is open
	Attack  Check         `json:"attack"`          // works without Sallyport
	Stopped Check         `json:"stopped"`         // does not with it, and the log says what came from where
	Twin    Check         `json:"twin"`            // is done, and people are asked as often as stated
	Rule    Check         `json:"rule"`            // without the one rule the attack works again
	Took    time.Duration `json:"took_ns"`
}

// errWorked is that the attack did what it is for.
var errWorked = errors.New("the attack works")

// within bounds a scenario.
const within = 2 * time.Minute

// Play plays a scenario on gateways that open starts. With scanners the starter's rules about what they see are in
// force, too, while the attack is to be stopped and the honest work to be done; they are a second line, so they are
// left out where one rule is shown to matter.
func Play(ctx context.Context, open scenario.Open, s *scenario.Scenario, scanners bool) Result {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	began := time.Now()
	p := play{open, s, scanners, &scenario.Asked{}}
	r := Result{Name: s.Name, Title: s.Title(), Needs: s.Open, State: Passed}
	r.Attack = check(p.attack(ctx))
	twin, stopped := p.behind(ctx)
	if r.Twin = check(twin); s.Open == "" {
		r.Stopped, r.Rule = check(stopped), check(p.withoutRule(ctx))
	} else {
		r.State, r.Stopped = Opened, stillOpen(stopped)
	}
	for _, c := range []Check{r.Attack, r.Stopped, r.Twin, r.Rule} {
		if c.State == Failed {
			r.State = Failed
		}
	}
	r.Took = time.Since(began).Round(time.Millisecond)
	return r
}

func check(err error) Check {
	if err != nil {
		return Check{Failed, err.Error()}
	}
	return Check{State: Passed}
}

// stillOpen judges an attack that nothing is known to stop: what is stopped must not stay on that list.
func stillOpen(err error) Check {
	switch {
	case err == nil:
		return Check{Failed, "something stops this now: name its rule in the scenario, and take open: away"}
	case errors.Is(err, errWorked):
		return Check{State: Opened}
	default:
		return Check{Failed, err.Error()}
	}
}

// Twin plays the honest work of a scenario alone, as Play does, and counts how often
// people are asked about it.
func Twin(ctx context.Context, open scenario.Open, s *scenario.Scenario) (scenario.Asked, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	p := play{open: open, s: s, asked: &scenario.Asked{}}
	var twin error
	err := p.through(ctx, p.rules(false), s.Off, "", nil, func(b *bench, g *gateway) { twin = p.twin(ctx, b, g) })
	return *p.asked, errors.Join(twin, err)
}

// play is one scenario being played.
type play struct {
	open     scenario.Open
	s        *scenario.Scenario
	scanners bool
	asked    *scenario.Asked // about its twin
}

// attempt is one way in which an attack is tried.
type attempt struct{ payload, data puppet.Disguise }

func (a attempt) String() string {
	return fmt.Sprintf("instructions %s, data %s", a.payload, a.data)
}

// attempts try each disguise of the instructions and each of the data at least once.
func (p play) attempts() []attempt {
	payload, data := p.s.Payload, p.s.Data
	if len(payload) == 0 {
		payload = []puppet.Disguise{"plain"}
	}
	if len(data) == 0 {
		data = []puppet.Disguise{"plain"}
	}
	all := make([]attempt, max(len(payload), len(data)))
	for i := range all {
		all[i] = attempt{payload[i%len(payload)], data[i%len(data)]}
	}
	return all
}

// attack tries the attack at the servers themselves.
func (p play) attack(ctx context.Context) error {
	b, err := openBench(p.s, "")
	if err != nil {
		return err
	}
	defer b.close()
	for _, a := range p.attempts() {
		if err := p.try(ctx, b, nil, a, false); !errors.Is(err, errWorked) {
			return fmt.Errorf("%v: without Sallyport it does not work: %w", a, orNothing(err))
		}
	}
	return nil
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("its goal was not reached")
	}
	return err
}

// behind plays the honest work and then the attack, through one gateway. Where the attacker writes descriptions, what
// a human has accepted differs between the two, and so do the gateways.
func (p play) behind(ctx context.Context) (twin, stopped error) {
	attack := puppet.Payload(p.s.Orders, p.attempts()[0].payload)
	var hostile []string // servers that the attacker describes
	for name := range p.s.Tools {
		if p.describes(name) {
			hostile = append(hostile, name)
		}
	}
	if len(hostile) == 0 && len(p.s.Later) == 0 {
		err := p.through(ctx, p.rules(p.scanners), p.s.Off, "", nil, func(b *bench, g *gateway) {
			twin, stopped = p.twin(ctx, b, g), p.stopped(ctx, b, g)
		})
		return errors.Join(twin, err), errors.Join(stopped, err)
	}
	if p.s.Rule != scenario.PinRule {
		hostile = nil // a human has accepted them, and something else stops the attack
	}
	err := p.through(ctx, p.rules(p.scanners), p.s.Off, "", nil, func(b *bench, g *gateway) { twin = p.twin(ctx, b, g) })
	twin = errors.Join(twin, err)
	err = p.through(ctx, p.rules(p.scanners), p.s.Off, attack, hostile, func(b *bench, g *gateway) { stopped = p.stopped(ctx, b, g) })
	return twin, errors.Join(stopped, err)
}

// rules are those of the starter's that are in force.
func (p play) rules(scanners bool) []string {
	if scanners || p.s.Scanners {
		return []string{flowRules, scannerRules}
	}
	return []string{flowRules}
}

// describes reports whether the attacker writes a server's descriptions.
func (p play) describes(server string) bool {
	return slices.ContainsFunc(p.s.Tools[server], func(t scenario.Tool) bool { return strings.Contains(t.Description, scenario.PayloadPlace) })
}

// stopped tries the attack in each disguise, and looks into the log.
func (p play) stopped(ctx context.Context, b *bench, g *gateway) error {
	for _, a := range p.attempts() {
		before, err := g.log(ctx, 0)
		if err != nil {
			return err
		}
		if err := p.try(ctx, b, g, a, false); err != nil {
			return fmt.Errorf("%v: %w", a, err)
		}
		if err := p.onTheLog(ctx, g, len(before)); err != nil {
			return fmt.Errorf("%v: it is stopped, but %w", a, err)
		}
	}
	return nil
}

// withoutRule tries the attack through a gateway that lacks the one rule.
func (p play) withoutRule(ctx context.Context) error {
	without, a := slices.Clone(p.s.Off), p.attempts()[0]
	if p.s.Rule != scenario.PinRule {
		without = append(without, p.s.Rule)
	}
	var tried error
	err := p.through(ctx, p.rules(false), without, puppet.Payload(p.s.Orders, a.payload), nil, func(b *bench, g *gateway) {
		tried = p.try(ctx, b, g, a, p.s.Rule == scenario.PinRule)
	})
	if !errors.Is(tried, errWorked) {
		tried = fmt.Errorf("%v: without %s it does not work either, so something else stops it, too: %w", a, p.s.Rule, orNothing(tried))
	} else {
		tried = nil
	}
	return errors.Join(tried, err)
}

// through does something with a gateway that lacks some rules, in front of servers of which some are not accepted.
func (p play) through(ctx context.Context, rules, without []string, payload string, unaccepted []string, do func(*bench, *gateway)) error {
	b, err := openBench(p.s, payload)
	if err != nil {
		return err
	}
	defer b.close()
	g, err := openGateway(ctx, p.open, p.s, b, rules, without, unaccepted)
	if err != nil {
		return err
	}
	do(b, g)
	return g.close(ctx)
}

// try plays the attack once, and reports errWorked when it has worked.
func (p play) try(ctx context.Context, b *bench, g *gateway, a attempt, accepts bool) error {
	b.begin(puppet.Payload(p.s.Orders, a.payload))
	if g == nil {
		for name, tools := range p.s.Tools {
			b.offer(name, tools) // descriptions, too
		}
	}
	played := &player{s: p.s, bench: b, gateway: g, accepts: accepts}
	defer played.close()
	if err := p.follow(ctx, played, p.s.Task, p.s.Script, a.data); err != nil {
		return err
	}
	if worked(p.s.Goal, b, played) {
		return errWorked
	}
	return nil
}

// follow plays a script from the first agent's run on.
func (p play) follow(ctx context.Context, played *player, task, script string, data puppet.Disguise) error {
	steps, err := puppet.ParseScript(script)
	if err != nil {
		return err
	}
	doll := puppet.Puppet{Do: func(ctx context.Context, step puppet.Step) ([]string, error) {
		if step.Verb == "start" {
			return played.start(ctx, task)
		}
		return played.do(ctx, step)
	}, Data: data}
	return doll.Follow(ctx, append([]puppet.Step{{Verb: "start"}}, steps...))
}

func worked(goal scenario.Goal, b *bench, played *player) bool {
	if goal.Read != "" {
		return slices.ContainsFunc(played.read, func(text string) bool { return puppet.Carries(text, goal.Read) })
	}
	return slices.ContainsFunc(b.calls(), func(g got) bool { return g.meets(goal) })
}

// twin plays the honest work.
func (p play) twin(ctx context.Context, b *bench, g *gateway) error {
	task, script := p.s.Task, p.s.Script
	if p.s.Twin.Task != "" {
		task = p.s.Twin.Task
	}
	if p.s.TwinScript != "" {
		script = p.s.TwinScript
	}
	played := &player{s: p.s, bench: b, gateway: g, agrees: true, accepts: true}
	defer played.close()
	if err := p.follow(ctx, played, task, script, ""); err != nil {
		return err
	}
	p.asked.Add(scenario.Asked{Twins: 1, Calls: played.calls, Questions: len(played.held), Looks: played.looks})
	if len(played.failed) > 0 {
		return fmt.Errorf("the honest work is not done: %s", strings.Join(played.failed, "; "))
	}
	if len(played.held) != p.s.Twin.Holds {
		return fmt.Errorf("people were asked %d times, and should be %d times: %s", len(played.held), p.s.Twin.Holds, strings.Join(played.held, "; "))
	}
	return nil
}

// logWithin is how long an outcome may be on its way into the log.
const logWithin = 5 * time.Second

// onTheLog waits for each line that the scenario asks for, from an index on.
func (p play) onTheLog(ctx context.Context, g *gateway, from int) error {
	late := time.After(logWithin)
	for {
		err := p.lookAtLog(ctx, g, from)
		if err == nil {
			return nil
		}
		select {
		case <-late:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p play) lookAtLog(ctx context.Context, g *gateway, from int) error {
	entries, err := g.log(ctx, uint64(from))
	if err != nil {
		return err
	}
	calls := map[string]string{} // by id: SERVER/TOOL
	for _, e := range entries {
		if e.Server != "" {
			calls[e.Call] = e.Server + "/" + e.Name
		}
	}
	for _, line := range p.s.Log {
		var near []string
		found := slices.ContainsFunc(entries, func(e entry) bool {
			if line.Call != calls[e.Call] || e.Type == "intent" {
				return false
			}
			near = append(near, fmt.Sprintf("%s %s: %s %v %q", e.Type, calls[e.Call], e.Reason, e.Rules, e.Origins))
			return onLine(line, e, calls)
		})
		if !found {
			return fmt.Errorf("the log has no %+v, but %s", line, strings.Join(near, "; "))
		}
	}
	return nil
}

// originPattern reads what a line of origins says of one source.
var originPattern = regexp.MustCompile(`; (\S+) (c_\S+) record \d+(?: field .*?)? bytes (\d+)-(\d+)`)

// onLine reports whether an entry is the line that was asked for. Calls are those that are on the log, by their ids: a
// source that is named must be one of them.
func onLine(l scenario.Line, e entry, calls map[string]string) bool {
	kind := e.Type
	if e.Type == "outcome" {
		kind = e.Outcome
	}
	named := slices.Contains(e.Rules, l.Rule) || strings.Contains(e.Reason, fmt.Sprintf("by rule %q", l.Rule))
	if l.Type != kind || !strings.Contains(e.Reason, l.Reason) || l.Rule != "" && !named {
		return false
	}
	return l.From == "" || slices.ContainsFunc(e.Origins, func(origin string) bool {
		if !strings.HasPrefix(origin, l.Arg+": ") {
			return false
		}
		for _, m := range originPattern.FindAllStringSubmatch(origin, -1) {
			if m[1] == l.From && calls[m[2]] == l.From && m[3] != m[4] {
				return true
			}
		}
		return false
	})
}
