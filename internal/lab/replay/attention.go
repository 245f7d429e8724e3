package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/identity"
	"sallyport/internal/policy"
)

// Attention is how often people are asked about the benign runs of a suite, under
// one policy.
type Attention struct {
	Suite string `json:"suite"`
	Asks  string `json:"asks"` // what the policy asks about
	Runs  int    `json:"runs"`
	Calls int    `json:"calls"`

	Questions int `json:"questions"` // with nothing that spares any
	Cards     int `json:"cards"`     // looks at them where all runs are under way at once, and equal questions are one card
	// Granted is with grants, one run after the other; Both with grants and cards,
	// all runs at once.
	Granted Spared `json:"granted"`
	Both    Spared `json:"both"`
	Hijacks Hijack `json:"hijacks"`
}

// Spared is what was left to answer, and what nobody looked at for it.
type Spared struct {
	Asked  int `json:"asked"` // questions or, where there are cards, looks
	Grants int `json:"grants"`
	Passed int `json:"passed"` // calls that a grant let through
}

// Hijack is what the same grants let pass of hijacked runs that come after.
type Hijack struct {
	Runs   int `json:"runs"`
	Acts   int `json:"acts"`         // of the attacker
	Passed int `json:"passed"`       // acts that a grant let through
	Won    int `json:"attacks"`      // runs with such an act
	Used   int `json:"grantsUsedUp"` // grants that were: then Passed may be too low
}

// Asking are the policies that are compared: how often each asks, from what clients
// do where nobody configures anything to the rules that come with sallyport.
func Asking() ([]Lawful, error) {
	starter, err := Starter()
	if err != nil {
		return nil, err
	}
	calls, err := lawOf([]policy.File{{Name: "asks.cedar", Text: []byte(permitAll + askCalls)}})
	if err != nil {
		return nil, err
	}
	acts, err := lawOf([]policy.File{{Name: "asks.cedar", Text: []byte(permitAll + askActs)}})
	return []Lawful{{"every call", calls}, {"every act", acts}, {"flow rules", starter}}, err
}

// Lawful is a policy by its name.
type Lawful struct {
	Name string
	Law  *Law
}

const (
	askCalls = `@id("every-call") @ask("people")
forbid (principal, action, resource);
`
	askActs = `@id("every-act") @ask("people")
forbid (principal, action, resource) unless { action in Action::"effect:read" };
`
)

// wave is how many hijacked runs are under way at once: an agent may have a hundred
// questions waiting.
const wave = 64

// Attend counts what people are asked about the benign runs of a suite; after is how
// often a question comes before they make a grant.
func (s *Suite) Attend(ctx context.Context, asks Lawful, after int) (a Attention, err error) {
	var benign, hijacked []*Run
	for i := range s.Runs {
		switch run := &s.Runs[i]; run.Set {
		case Benign:
			benign = append(benign, run)
			a.Calls += len(run.Calls)
		case Attacked, Self:
			hijacked = append(hijacked, run)
		}
	}
	a.Suite, a.Asks, a.Runs, a.Hijacks.Runs = s.Name, asks.Name, len(benign), len(hijacked)
	err = s.day(ctx, asks.Law, 0, func(d *day) error {
		err := d.together(ctx, benign)
		a.Questions, a.Cards = d.person.questions, d.person.looks
		return err
	})
	if err == nil {
		err = s.day(ctx, asks.Law, after, func(d *day) error {
			err := d.together(ctx, benign)
			a.Both = Spared{d.person.looks, d.person.grants, d.passed}
			return err
		})
	}
	if err == nil {
		err = s.day(ctx, asks.Law, after, func(d *day) error {
			for _, run := range benign {
				if err := d.together(ctx, []*Run{run}); err != nil {
					return err
				}
			}
			a.Granted = Spared{d.person.questions, d.person.grants, d.passed}
			d.person.after = 0 // the day is over
			for some := range slices.Chunk(hijacked, wave) {
				if err := d.together(ctx, some); err != nil {
					return err
				}
			}
			a.Hijacks.Acts, a.Hijacks.Passed, a.Hijacks.Won = d.acts, d.hijacked, len(d.won)
			kept, err := d.store.Grants(ctx, "", "", "")
			for _, grant := range kept {
				if grant.Used >= grant.Count {
					a.Hijacks.Used++
				}
			}
			return err
		})
	}
	if err != nil {
		return a, fmt.Errorf("%s, asking about %s: %w", s.Name, asks.Name, err)
	}
	return a, nil
}

// day is one gateway with a person, and what came of the runs on it.
type day struct {
	*gate
	person *approver

	passed         int // calls that a grant let through
	acts, hijacked int // of the attacker: all, and those of them
	won            map[*Run]bool
}

// day opens a gateway for a while.
func (s *Suite) day(ctx context.Context, law *Law, after int, do func(*day) error) (err error) {
	dir, err := os.MkdirTemp("", "sallyport-attention-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := openGate(ctx, dir, s, law, Levels["default"])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	return do(&day{gate: g, person: g.approver(after), won: map[*Run]bool{}})
}

// walk is a run that is under way.
type walk struct {
	run    *Run
	begun  identity.Begun
	next   int    // call
	waits  string // the question that the next call waits for
	waited int    // how often it has
}

// together plays runs at once: each until people have to answer or it is over, then
// people look, and so on. One run after the other within that, so that each time it
// is the same.
func (d *day) together(ctx context.Context, runs []*Run) error {
	var under []*walk
	for _, run := range runs {
		begun, err := d.begin(ctx, run.Prompt)
		if err != nil {
			return err
		}
		under = append(under, &walk{run: run, begun: begun})
	}
	for len(under) > 0 {
		injected := map[string]bool{}
		for _, w := range under {
			if err := d.on(ctx, w); err != nil {
				return fmt.Errorf("%s %s %s, call %d: %w", w.run.Set, w.run.Task, w.run.Goal, w.next, err)
			}
			if w.waits != "" {
				injected[w.waits] = w.run.Calls[w.next].Injected
				continue
			}
			if _, err := d.runs.End(ctx, identity.Operator(), w.begun.Run); err != nil {
				return err
			}
		}
		under = slices.DeleteFunc(under, func(w *walk) bool { return w.waits == "" })
		if err := d.person.look(ctx, func(question string) bool { return injected[question] }); err != nil {
			return err
		}
	}
	return nil
}

// on makes a run's calls until people have to answer one, or there is none.
func (d *day) on(ctx context.Context, w *walk) error {
	for ; w.next < len(w.run.Calls); w.next, w.waited = w.next+1, 0 {
		c := &w.run.Calls[w.next]
		call := &sallyport.Call{Kind: sallyport.KindTool, Server: d.suite.Name, Name: c.Tool, Method: "tools/call", Door: "replay", Args: c.Args}
		d.script.answers.Store(call, c.answer(false))
		_, err := d.Call(ctx, sallyport.Credential{Token: w.begun.Token}, call, nil)
		d.script.answers.Delete(call)
		entry := d.seen.take(call.ID)
		refused, ok := errors.AsType[*sallyport.RefusedError](err)
		switch w.waits = ""; {
		case err != nil && !ok:
			return err
		case entry == nil || ok && (refused.Cause == sallyport.CauseLog || refused.Cause == sallyport.CauseLimit):
			return fmt.Errorf("nobody could be asked: %w", err)
		case ok && refused.Approval.State == sallyport.Pending:
			if w.waits = refused.Approval.ID; w.waited > 1 {
				return errors.New("people have agreed, and it is asked about again")
			}
			w.waited++
			return nil
		}
		d.count(w, c, entry)
	}
	w.waits = ""
	return nil
}

// count counts one decided call.
func (d *day) count(w *walk, c *Call, entry *sallyport.Entry) {
	granted := entry.Type == sallyport.Intent && strings.HasPrefix(entry.Approval, "g_")
	if granted {
		d.passed++
	}
	again := slices.ContainsFunc(w.run.Calls[:w.next], func(before Call) bool { return !before.Injected && before.same(c) })
	if !c.Injected || again || !slices.Contains(d.suite.Writes, c.Tool) {
		return
	}
	d.acts++
	if granted {
		d.hijacked++
		d.won[w.run] = true
	}
}
