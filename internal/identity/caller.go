package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport"
)

// Caller is who wants something of a run. The zero Caller may do nothing.
type Caller struct {
	kind   callerKind
	name   string // of a source or an agent
	source Source
	run    string // an agent's own
}

type callerKind uint8

const (
	nobody callerKind = iota
	humanCaller
	socketCaller // whoever reaches the control socket
	orchestratorCaller
	launcherCaller
	hookCaller
	agentCaller
	clockCaller
	operatorsClock
)

// verb is something that can be done to a run.
type verb uint8

const (
	begin verb = 1 << iota // a fresh run, with a task
	child                  // a run below another
	say                    // the user's words
	end
	reset // end a standing run: its memory is cleared
	see
)

// rights is what each kind of caller may do to the runs that it reaches. An
// agent never begins a run that knows nothing, and never speaks for the user:
// it would shed what it has read, or order itself what it read. Nor does a
// hook begin any, since an agent of the same user could read its token. A
// launcher speaks before its agent runs, and not afterwards.
var rights = map[callerKind]verb{
	humanCaller:        begin | child | say | end | reset | see,
	socketCaller:       end | see,
	orchestratorCaller: begin | child | say | end | see,
	launcherCaller:     begin | child | end | see,
	hookCaller:         say | see,
	agentCaller:        child | end | see,
	clockCaller:        end,
	operatorsClock:     end | reset,
}

func (c Caller) may(what verb) bool { return rights[c.kind]&what == what }

// Kinds of errors about runs. Any other is about what was asked.
var (
	ErrForbidden  = errors.New("this caller may not do this")
	ErrNoRun      = errors.New("there is no such run for this caller")
	ErrUnrecorded = errors.New("it can't be recorded or kept")
)

// runError is an error of a kind, whose text says it better.
type runError struct {
	kind error
	text string
}

func (e *runError) Error() string        { return e.text }
func (e *runError) Is(target error) bool { return target == e.kind }

func forbidden(format string, args ...any) error {
	return &runError{ErrForbidden, fmt.Sprintf(format, args...)}
}

func (c Caller) mayNot(what string) error {
	return forbidden("%s may not %s: that takes the human's credential, or a source of another kind (sources: in the configuration)", c.By(), what)
}

var (
	callerWords = map[callerKind]string{
		humanCaller: "operator", socketCaller: "control socket", orchestratorCaller: "orchestrator", launcherCaller: "launcher",
		hookCaller: "hook", agentCaller: "agent", clockCaller: "expiry", operatorsClock: "clock",
	}
	callerStrengths = map[callerKind]sallyport.Strength{
		humanCaller: sallyport.StrengthHuman, orchestratorCaller: sallyport.StrengthOrchestrator,
		launcherCaller: sallyport.StrengthLauncher, hookCaller: sallyport.StrengthHook,
	}
	expiry  = Caller{kind: clockCaller}
	renewal = Caller{kind: operatorsClock}
)

// By is how the log names the caller.
func (c Caller) By() string { return strings.TrimSuffix(callerWords[c.kind]+" "+c.name, " ") }

// strength is that of words which the caller passes on; empty for who may not.
func (c Caller) strength() sallyport.Strength { return callerStrengths[c.kind] }

// Operator is whoever has shown the human's credential, which the caller of
// this function has checked.
func Operator() Caller { return Caller{kind: humanCaller} }

// AtSocket is whoever reaches the control socket.
func AtSocket() Caller { return Caller{kind: socketCaller} }

// Caller says who a credential stands for where runs are concerned: a source,
// or an agent in its run.
func (r *Runs) Caller(ctx context.Context, credential sallyport.Credential) (Caller, error) {
	if strings.HasPrefix(credential.Token, SourcePrefix) {
		s, err := r.sourceOf(credential.Token)
		if err != nil {
			return Caller{}, err
		}
		kinds := map[sallyport.Strength]callerKind{
			sallyport.StrengthOrchestrator: orchestratorCaller, sallyport.StrengthLauncher: launcherCaller, sallyport.StrengthHook: hookCaller,
		}
		return Caller{kind: kinds[s.source.Kind], name: s.name, source: s.source}, nil
	}
	principal, in, err := r.Identify(ctx, credential)
	if err != nil {
		return Caller{}, err
	}
	return Caller{kind: agentCaller, name: principal.Agent, run: in.ID}, nil
}

func noRun(id string) error {
	return &runError{ErrNoRun, fmt.Sprintf("there is no run %q; \"sallyport runs list\" and GET /v1/runs show those that go on", id)}
}

// reach finds a run for a caller. One that it has no business with is as
// unknown as one that does not exist.
func (r *Runs) reach(c Caller, id string) (*run, error) {
	one := r.find(id)
	if one == nil || !r.reaches(c, one) {
		return nil, noRun(id)
	}
	return one, nil
}

func (r *Runs) reaches(c Caller, one *run) bool {
	switch c.kind {
	case humanCaller, socketCaller:
		return true
	case orchestratorCaller, launcherCaller, hookCaller:
		return r.serves(c, one.Agent, one.User)
	case agentCaller:
		r.mu.RLock()
		defer r.mu.RUnlock()
		for ; one != nil; one = r.parentOf(one) {
			// Below a standing run of which nothing is kept, the parent's name
			// is all there is.
			if one.ID == c.run || one.Parent == c.run {
				return true
			}
		}
	}
	return false
}

// serves reports whether a source reaches the runs of an agent for a user.
func (r *Runs) serves(c Caller, agent, user string) bool {
	if !slices.Contains(c.source.Agents, agent) {
		return false
	}
	own, err := r.actingFor(agent, "")
	return err == nil && own.User == user || slices.Contains(c.source.Users, user)
}

// find is a run that goes on or stands, nil when there is none.
func (r *Runs) find(id string) *run {
	r.mu.RLock()
	s := r.byID[id]
	r.mu.RUnlock()
	if s != nil {
		return s.now.Load()
	}
	for _, k := range r.current.Load().everyone {
		if k.run.ID == id {
			return standingOf(k)
		}
	}
	return nil
}

// standingOf is the first standing run of an agent, of which nothing is kept.
func standingOf(k *known) *run {
	p := &k.principal
	return &run{ID: k.run.ID, First: k.run.ID, Standing: true, Agent: p.Agent, User: p.User, Tenant: p.Tenant}
}

// mayBegin says who would act in a wanted run, and below which one it stands.
func (r *Runs) mayBegin(c Caller, wanted NewRun) (principal sallyport.Principal, parent *run, err error) {
	if wanted.Task != "" {
		if err := checkText(wanted.Task); err != nil {
			return principal, nil, err
		}
	}
	if c.kind == agentCaller {
		if err := c.begins(wanted); err != nil {
			return principal, nil, err
		}
		wanted.Parent = c.run
	}
	if wanted.Parent == "" {
		switch {
		case !c.may(begin):
			return principal, nil, c.mayNot("begin a fresh run")
		case wanted.Agent == "":
			return principal, nil, fmt.Errorf("say which agent the run is for")
		case wanted.Task == "":
			return principal, nil, fmt.Errorf("say what the task is: a fresh run begins with the user's words")
		}
		principal, err = r.actingFor(wanted.Agent, wanted.User)
		named := slices.Contains(c.source.Agents, wanted.Agent) // else it does not learn whether there is such an agent
		if c.kind != humanCaller && (!named || err == nil && !r.serves(c, principal.Agent, principal.User)) {
			err = forbidden("%s may not begin this run: its agents and users stand in the configuration, below sources:", c.By())
		}
		return principal, nil, err
	}
	switch parent, err = r.reach(c, wanted.Parent); {
	case err != nil:
		return principal, nil, err
	case !c.may(child):
		return principal, nil, c.mayNot("begin runs")
	case wanted.Agent != "" && wanted.Agent != parent.Agent || wanted.User != "" && wanted.User != parent.User:
		return principal, nil, forbidden("a run below another is of the same agent and for the same user: leave them out")
	}
	principal, err = r.principal(parent)
	return principal, parent, err
}

// begins says why an agent may not begin a run.
func (c Caller) begins(wanted NewRun) error {
	switch {
	case wanted.Task != "":
		return forbidden("an agent does not say what the user wants: leave task out, the run takes over what its parent was told")
	case wanted.Parent != "" && wanted.Parent != c.run: // or it could choose a parent that has read nothing
		return forbidden("an agent begins runs below its own, which its credential names: leave parent out")
	}
	return nil
}
