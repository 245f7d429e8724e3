package identity

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/store/runs"
)

// RunPrefix begins the token of a run.
const RunPrefix = TokenPrefix + "run_"

// RunLifetime is how long a run can go on, unless its parent ends before.
const RunLifetime = 24 * time.Hour

// Bounds of what is kept in memory, and of what one agent can fill it with.
const (
	maxRuns     = 100_000
	maxOfAgent  = 4096 // that an agent has begun itself
	maxDepth    = 16
	maxText     = 64 << 10 // bytes of one message
	maxMessages = 1024     // of one run
)

// RunStore keeps runs durably.
type RunStore interface {
	// OpenRuns loads the rows that were saved as open.
	OpenRuns(ctx context.Context) ([]runs.Row, error)
	// RunRow loads one row; its record is nil when there is none.
	RunRow(ctx context.Context, id string) (runs.Row, error)
	// ChildRuns names the runs that began below another.
	ChildRuns(ctx context.Context, parent string) ([]string, error)
	// SaveRuns writes rows durably, all or none. An error means that they
	// must not be taken as saved.
	SaveRuns(ctx context.Context, rows []runs.Row) error
}

// RunLog is the log, as far as runs need it.
type RunLog interface {
	// RecordRun puts a change on the record and says where it stands.
	RecordRun(ctx context.Context, change gateway.RunChange) (index uint64, err error)
	// Words are those of a change. An error means that they are not there any
	// more.
	Words(ctx context.Context, index uint64) ([]byte, error)
	// Calls counts those of a run, and how many of them were refused or held.
	Calls(ctx context.Context, run string) (calls, refused int, err error)
}

// run is one run as it is kept. A *run is never changed, but replaced.
type run struct {
	ID       string           `json:"id"`
	Parent   string           `json:"parent,omitempty"`
	Standing bool             `json:"standing,omitempty"`
	Memory   string           `json:"memory,omitempty"` // as of sallyport.Run
	First    string           `json:"first,omitempty"`  // of a standing run: the one that was there before any was ended
	Agent    string           `json:"agent"`
	User     string           `json:"user"`
	Tenant   string           `json:"tenant,omitempty"`
	By       string           `json:"by,omitempty"` // who began it
	Token    sallyport.Digest `json:"token,omitzero"`
	Began    time.Time        `json:"began,omitzero"`
	Expires  time.Time        `json:"expires,omitzero"` // zero for a standing run
	Ended    time.Time        `json:"ended,omitzero"`
	EndedBy  string           `json:"ended_by,omitempty"`
	Words    []said           `json:"words,omitempty"`
}

// said is where the log keeps what the user said.
type said struct {
	Index    uint64             `json:"index"`
	Time     time.Time          `json:"time"`
	By       string             `json:"by"`
	Strength sallyport.Strength `json:"strength"`
}

func (r *run) ref() sallyport.Run {
	return sallyport.Run{ID: r.ID, Parent: r.Parent, Standing: r.Standing, Memory: r.Memory}
}

// over says why nothing may happen in the run any more, nil while it goes on.
func (r *run) over(now time.Time) error {
	switch {
	case !r.Ended.IsZero():
		return fmt.Errorf("run %s has ended: begin another", r.ID)
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		return fmt.Errorf("run %s expired on %s: begin another", r.ID, r.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// slot is where a run stands in memory.
type slot struct {
	saving sync.Mutex // so that of two changes the later one is the one that is kept
	now    atomic.Pointer[run]
}

// Runs knows every run that goes on, and with Identities who is in it. It
// satisfies gateway.Identifier.
type Runs struct {
	*Identities
	store RunStore
	now   func() time.Time
	// Log must be set before anything begins, is told or ended.
	Log RunLog
	// Kills keeps runs from beginning; nil where nothing can be killed.
	Kills *kill.Switch

	// ending is held for reading while an intent is committed, and for writing
	// while runs end: so no intent of a run stands behind its end.
	ending sync.RWMutex

	mu      sync.RWMutex
	byID    map[string]*slot
	byToken map[sallyport.Digest]*slot
	stands  map[string]string // standing run by the first one of its identity, where that was ended
	resets  sync.Mutex        // one standing run is ended at a time
}

// LoadRuns reads the runs from their store.
func LoadRuns(ctx context.Context, identities *Identities, store RunStore, now func() time.Time) (*Runs, error) {
	rows, err := store.OpenRuns(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading runs: %w", err)
	}
	r := &Runs{Identities: identities, store: store, now: now,
		byID: map[string]*slot{}, byToken: map[sallyport.Digest]*slot{}, stands: map[string]string{}}
	for _, row := range rows {
		one := &run{}
		if err := json.Unmarshal(row.Record, one); err != nil || one.ID != row.ID {
			return nil, fmt.Errorf("the record of run %s is damaged", row.ID)
		}
		r.place(one)
	}
	return r, nil
}

// place puts a run where it can be found. The caller holds mu, or is alone.
func (r *Runs) place(one *run) *slot {
	s := &slot{}
	s.now.Store(one)
	r.byID[one.ID] = s
	if one.Ended.IsZero() && !one.Token.IsZero() {
		r.byToken[one.Token] = s
	}
	if one.Standing && one.Ended.IsZero() && one.First != one.ID {
		r.stands[one.First] = one.ID
	}
	return s
}

// ErrUnknownRun says that a run's token is good for nothing.
var ErrUnknownRun = errors.New("this run credential is not known here: its run has ended or has expired; begin another (sallyport run, or POST /v1/runs)")

// Identify says who a credential stands for, and in which run: that of a run
// names agent and run, an agent's own falls into its standing run. Nothing else
// about a request has a say in it.
func (r *Runs) Identify(ctx context.Context, credential sallyport.Credential) (sallyport.Principal, sallyport.Run, error) {
	if !strings.HasPrefix(credential.Token, RunPrefix) {
		if strings.HasPrefix(credential.Token, SourcePrefix) {
			return sallyport.Principal{}, sallyport.Run{}, errors.New("this is the token of a source, which begins runs and calls nothing: give the agent the token of its run")
		}
		principal, standing, err := r.Identities.Identify(ctx, credential)
		if err == nil {
			standing.ID = r.standing(standing.ID)
		}
		return principal, standing, err
	}
	r.mu.RLock()
	s := r.byToken[hashToken(credential.Token)]
	r.mu.RUnlock()
	if s == nil {
		return sallyport.Principal{}, sallyport.Run{}, ErrUnknownRun
	}
	one := s.now.Load()
	principal, err := r.principal(one)
	if err != nil {
		return sallyport.Principal{}, sallyport.Run{}, err
	}
	return principal, one.ref(), nil
}

// Acting implements gateway.Identifier.
func (r *Runs) Acting(id string) (sallyport.Principal, sallyport.Run, error) {
	one := r.find(id)
	if one == nil {
		return sallyport.Principal{}, sallyport.Run{}, noRun(id)
	}
	principal, err := r.principal(one)
	return principal, one.ref(), err
}

// principal is who acts in a run, as that is declared now.
func (r *Runs) principal(one *run) (sallyport.Principal, error) {
	if err := one.over(r.now()); err != nil {
		return sallyport.Principal{}, err
	}
	principal, err := r.actingFor(one.Agent, one.User)
	if err == nil && principal.Tenant != one.Tenant {
		err = fmt.Errorf("run %s began for tenant %q, and its agent or user are of tenant %q now: begin another", one.ID, one.Tenant, principal.Tenant)
	}
	if err != nil {
		return sallyport.Principal{}, err
	}
	return principal, nil
}

// standing is the standing run of an identity whose first one is named.
func (r *Runs) standing(first string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if now, ended := r.stands[first]; ended {
		return now
	}
	return first
}

// Hold implements gateway.Identifier.
func (r *Runs) Hold(held sallyport.Run) (release func(), err error) {
	r.ending.RLock()
	r.mu.RLock()
	s := r.byID[held.ID]
	r.mu.RUnlock()
	switch {
	case s != nil:
		err = s.now.Load().over(r.now())
	case !held.Standing:
		err = fmt.Errorf("run %s has ended: begin another", held.ID)
	} // a standing run of which nothing was ever kept goes on
	if err != nil {
		r.ending.RUnlock()
		return nil, err
	}
	return r.ending.RUnlock, nil
}

// NewRun asks for a run.
type NewRun struct {
	Agent  string
	User   string // "" for the agent's own
	Task   string // the user's words
	Parent string // "" for a fresh run or, where an agent asks, for its own
}

// Begun is a run that began. The token is not kept, and not shown again.
type Begun struct {
	Run     string    `json:"run"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// Begin begins a run. It is on the record and kept before its token is given
// out; whoever never got it, because the gateway died before it answered, can
// begin another.
func (r *Runs) Begin(ctx context.Context, caller Caller, wanted NewRun) (Begun, error) {
	principal, parent, err := r.mayBegin(caller, wanted)
	if err == nil {
		err = r.stopped(principal, parent)
	}
	if err != nil {
		return Begun{}, err
	}
	token := newToken(RunPrefix)
	now := r.now()
	next := &run{ID: newRunID(), Agent: principal.Agent, User: principal.User, Tenant: principal.Tenant,
		By: caller.By(), Began: now, Expires: now.Add(RunLifetime)}
	if parent != nil {
		next.Parent = parent.ID
		if caller.kind == agentCaller { // or it would read in one run and act in the other
			next.Memory = parent.ref().RememberedIn()
		}
		if !parent.Expires.IsZero() && parent.Expires.Before(next.Expires) {
			next.Expires = parent.Expires
		}
	}
	// It stands in memory first, where the end of its parent or of its agent
	// finds it; its token is good last, when all is durable.
	s, err := r.admit(next, parent, caller)
	if err != nil {
		return Begun{}, err
	}
	if err := r.begin(ctx, s, caller, principal, wanted.Task, hashToken(token)); err != nil {
		r.forget(next)
		return Begun{}, err
	}
	return Begun{next.ID, token, next.Expires}, nil
}

// stopped says that whoever would act has been killed: a credential that was given out
// meanwhile would be good when the kill is lifted.
func (r *Runs) stopped(principal sallyport.Principal, parent *run) error {
	if r.Kills == nil {
		return nil
	}
	target := kill.Target{Principal: principal}
	if parent != nil {
		target.Run, target.Parent = parent.ID, parent.Parent
	}
	if err := r.Kills.Stops(target); err != nil {
		return forbidden("%v", err)
	}
	return nil
}

func (r *Runs) begin(ctx context.Context, s *slot, caller Caller, principal sallyport.Principal, task string, token sallyport.Digest) error {
	next := s.now.Load()
	words, err := r.record(ctx, "run begun", next.ref(), principal, caller, task)
	if err != nil {
		return err
	}
	err = r.change(ctx, s, func(now run) run {
		now.Token = token
		now.Words = words
		return now
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := s.now.Load().over(r.now()); err != nil {
		return err
	}
	r.byToken[token] = s
	return nil
}

// admit makes room for a run, below a parent that still goes on.
func (r *Runs) admit(next, parent *run, caller Caller) (*slot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.actingFor(next.Agent, next.User); err != nil {
		return nil, err // revoked since: what ends its runs has been here, or comes after us
	}
	if len(r.byID) >= maxRuns {
		return nil, errors.New("as many runs go on as this gateway holds: end some first (sallyport runs end)")
	}
	if caller.kind == agentCaller {
		own := 0
		for _, s := range r.byID {
			if s.now.Load().By == next.By {
				own++
			}
		}
		if own >= maxOfAgent {
			return nil, fmt.Errorf("agent %s has begun as many runs as it may: end some first (POST /v1/runs/ID/end)", next.Agent)
		}
	}
	depth := 0
	for id := next.Parent; id != ""; depth++ {
		s := r.byID[id]
		if s == nil && parent.Standing {
			break // of which nothing is kept
		}
		if s == nil { // it ended since
			return nil, fmt.Errorf("run %s has ended: begin another", id)
		}
		parent = s.now.Load()
		if err := parent.over(r.now()); err != nil {
			return nil, err
		}
		id = parent.Parent
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("runs below runs go at most %d deep", maxDepth)
	}
	return r.place(next), nil
}

// forget takes a run out of memory.
func (r *Runs) forget(one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.byID[one.ID]; s != nil {
		delete(r.byToken, s.now.Load().Token)
		delete(r.byID, one.ID)
	}
}

func newRunID() string {
	var random [16]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return "r_" + encoding.EncodeToString(random[:])
}

// Say passes on what the user said to a run.
func (r *Runs) Say(ctx context.Context, caller Caller, id, text string) error {
	target, err := r.reach(caller, id)
	switch {
	case err != nil:
		return err
	case !caller.may(say):
		return caller.mayNot("say what the user said")
	}
	if err := checkText(text); err != nil {
		return err
	}
	principal, err := r.principal(target)
	if err != nil {
		return err
	}
	s := r.slotOf(target)
	if s == nil {
		return noRun(id)
	}
	if len(s.now.Load().Words) >= maxMessages {
		return fmt.Errorf("run %s was told as much as it may be (%d messages): begin another", id, maxMessages)
	}
	words, err := r.record(ctx, "run told", target.ref(), principal, caller, text)
	if err != nil {
		return err
	}
	return r.change(ctx, s, func(now run) run {
		now.Words = append(slices.Clip(now.Words), words...)
		return now
	})
}

// slotOf is the slot of a run, made for a standing run of which nothing was
// kept; nil for any other that is not there: it has ended since it was found.
func (r *Runs) slotOf(one *run) *slot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.byID[one.ID]; s != nil || !one.Standing {
		return s
	}
	return r.place(one)
}

// record puts a change of a run on the record, with what was said.
func (r *Runs) record(ctx context.Context, what string, ref sallyport.Run, principal sallyport.Principal, caller Caller, text string) ([]said, error) {
	change := gateway.RunChange{What: what, Run: ref, Principal: principal, By: caller.By()}
	if text != "" {
		words, err := json.Marshal(payload{caller.strength(), text})
		if err != nil {
			return nil, err
		}
		change.Words = words
	}
	index, err := r.Log.RecordRun(ctx, change)
	if err != nil {
		return nil, &runError{ErrUnrecorded, "nothing was done, since it can't be recorded: " + err.Error()}
	}
	if text == "" {
		return nil, nil
	}
	return []said{{index, r.now(), caller.By(), caller.strength()}}, nil
}

// payload is what the log keeps of words.
type payload struct {
	Strength sallyport.Strength `json:"strength"`
	Text     string             `json:"text"`
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("the user's words are missing")
	case !utf8.ValidString(text):
		return errors.New("the user's words must be UTF-8")
	case len(text) > maxText:
		return fmt.Errorf("the user's words have at most %d bytes here; these have %d", maxText, len(text))
	}
	return nil
}

// change replaces a run and keeps it. When it can't be kept nothing changed,
// but for an end, which stays: losing that would loosen.
func (r *Runs) change(ctx context.Context, s *slot, by func(run) run) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	before := r.replace(s, by)
	err := r.save(ctx, s)
	if err != nil {
		r.replace(s, func(now run) run {
			kept := *before
			kept.Ended, kept.EndedBy = now.Ended, now.EndedBy
			return kept
		})
	}
	return err
}

func (r *Runs) replace(s *slot, by func(run) run) (before *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = s.now.Load()
	next := by(*before)
	s.now.Store(&next)
	return before
}

// keep is save for who does not hold the slots: what is being kept of them at
// the moment must not come after this.
func (r *Runs) keep(ctx context.Context, slots ...*slot) error {
	for _, s := range slots {
		s.saving.Lock()
		defer s.saving.Unlock()
	}
	return r.save(ctx, slots...)
}

// save keeps runs as they are now, all or none.
func (r *Runs) save(ctx context.Context, slots ...*slot) error {
	rows := make([]runs.Row, len(slots))
	for i, s := range slots {
		one := s.now.Load()
		record, err := json.Marshal(one)
		if err != nil {
			return err
		}
		rows[i] = runs.Row{ID: one.ID, Parent: one.Parent, Open: one.Standing || one.Ended.IsZero(), Record: record}
	}
	if err := r.store.SaveRuns(ctx, rows); err != nil {
		return &runError{ErrUnrecorded, "the run can't be kept: " + err.Error()}
	}
	return nil
}

// End ends a run and all below it: from the moment that it returns nothing more
// is committed in them. The end of a standing run begins another one, whose
// name is returned.
func (r *Runs) End(ctx context.Context, caller Caller, id string) (instead string, err error) {
	target, err := r.reach(caller, id)
	switch {
	case err != nil:
		return "", err
	case target.Standing && !caller.may(reset):
		return "", caller.mayNot("end a standing run, which clears what is remembered of it")
	case !caller.may(end):
		return "", caller.mayNot("end runs")
	case !target.Ended.IsZero():
		return "", nil
	case target.Standing:
		return r.reset(ctx, caller, target)
	}
	ended := r.stop(caller.By(), func(one *run) bool { return one.ID == id })
	return "", r.finish(ctx, caller, ended, target)
}

// EndOf ends every run of an agent that was revoked, but its standing one, whose
// memory stays. The log's entry about the agent says it for all of them.
func (r *Runs) EndOf(ctx context.Context, agent string) error {
	ended := r.stop("agent revoked", func(one *run) bool { return one.Agent == agent && !one.Standing })
	return r.finish(ctx, Caller{}, ended)
}

// EndBegunBy ends the runs that an agent has begun itself, whose token is
// another now: whoever stole the old one may have begun some.
func (r *Runs) EndBegunBy(ctx context.Context, agent string) error {
	begun := Caller{kind: agentCaller, name: agent}.By()
	ended := r.stop("agent rotated", func(one *run) bool { return one.By == begun })
	return r.finish(ctx, Caller{}, ended)
}

// Sweep ends what has expired.
func (r *Runs) Sweep(ctx context.Context) error {
	now := r.now()
	ended := r.stop(expiry.By(), func(one *run) bool { return one.Ended.IsZero() && one.over(now) != nil })
	roots := make([]*run, len(ended))
	for i, s := range ended {
		roots[i] = s.now.Load()
	}
	return r.finish(ctx, expiry, ended, roots...)
}

// Renew ends the standing runs that have stood for so long, which clears what is
// remembered of them: the operator's clock (configuration, runs: standing). Of
// one of which nothing is kept the time counts from now.
func (r *Runs) Renew(ctx context.Context, after time.Duration) error {
	var errs []error
	for _, k := range r.current.Load().everyone {
		one := r.find(r.standing(k.run.ID))
		switch {
		case one == nil || !one.Ended.IsZero():
		case one.Began.IsZero():
			s := r.slotOf(one)
			r.replace(s, func(now run) run { now.Began = r.now(); return now })
			errs = append(errs, r.keep(ctx, s))
		case r.now().Sub(one.Began) >= after:
			_, err := r.reset(ctx, renewal, one)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stop marks runs as ended, with all that are below them.
func (r *Runs) stop(by string, which func(*run) bool) (ended []*slot) {
	r.ending.Lock()
	defer r.ending.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		for one := s.now.Load(); one != nil; one = r.parentOf(one) {
			if which(one) {
				ended = append(ended, s)
				break
			}
		}
	}
	now := r.now()
	ended = slices.DeleteFunc(ended, func(s *slot) bool {
		next := *s.now.Load()
		if !next.Ended.IsZero() {
			return true
		}
		next.Ended, next.EndedBy = now, by
		s.now.Store(&next)
		return false
	})
	return ended
}

// parentOf is a run's parent, nil when none is kept. The caller holds mu.
func (r *Runs) parentOf(one *run) *run {
	if s := r.byID[one.Parent]; s != nil {
		return s.now.Load()
	}
	return nil
}

// finish puts the end of runs on the record and keeps it. They have ended
// whatever becomes of that, until the next start.
func (r *Runs) finish(ctx context.Context, caller Caller, ended []*slot, recorded ...*run) error {
	ctx = context.WithoutCancel(ctx) // half of it would come back to life with the next start
	var errs []error
	for _, one := range recorded {
		principal := sallyport.Principal{Agent: one.Agent, User: one.User, Tenant: one.Tenant}
		_, err := r.record(ctx, "run ended", one.ref(), principal, caller, "")
		errs = append(errs, err)
	}
	if len(ended) > 0 {
		errs = append(errs, r.keep(ctx, ended...))
	}
	if err := errors.Join(errs...); err != nil {
		return &runError{ErrUnrecorded, "it has ended, but that is not kept and will be forgotten at the next start: " + err.Error()}
	}
	for _, s := range ended {
		if one := s.now.Load(); !one.Standing {
			r.forget(one)
		}
	}
	return nil
}

// reset ends a standing run and begins the one that takes its place. It clears
// a memory: until all is durable, nothing happens in either.
func (r *Runs) reset(ctx context.Context, caller Caller, target *run) (instead string, err error) {
	r.resets.Lock()
	defer r.resets.Unlock()
	old := r.slotOf(target)
	if target = old.now.Load(); !target.Ended.IsZero() {
		return "", nil
	}
	below := r.stop(caller.By(), func(one *run) bool { return one.ID == target.ID })
	below = slices.DeleteFunc(below, func(s *slot) bool { return s == old })
	next := &run{ID: newRunID(), Standing: true, First: target.First, Agent: target.Agent, User: target.User, Tenant: target.Tenant,
		By: caller.By(), Began: r.now()}
	fresh := &slot{}
	fresh.now.Store(next)
	principal := sallyport.Principal{Agent: target.Agent, User: target.User, Tenant: target.Tenant}
	if _, err = r.record(ctx, "run ended", target.ref(), principal, caller, ""); err == nil {
		_, err = r.record(ctx, "run begun", next.ref(), principal, caller, "")
	}
	if err == nil {
		err = r.keep(ctx, append(below, old, fresh)...)
	}
	if err != nil {
		r.replace(old, func(now run) run { now.Ended, now.EndedBy = time.Time{}, ""; return now })
		return "", errors.Join(err, r.finish(ctx, caller, below))
	}
	r.mu.Lock()
	r.place(next)
	r.mu.Unlock()
	for _, s := range below {
		r.forget(s.now.Load())
	}
	return next.ID, nil
}
