package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/granting"
)

// Granting is a yes to a question and to calls like it.
type Granting struct {
	ID     string       `json:"id"` // of the question
	By     string       `json:"by"`
	Digest string       `json:"digest"` // of what was shown
	Free   []Free       `json:"free"`   // arguments that may be others
	Run    bool         `json:"run"`    // in this run alone
	For    int64        `json:"for"`    // seconds
	Count  int          `json:"count"`  // of calls
	Proof  asking.Proof `json:"proof"`
}

// Free is an argument that may be another: from 0 up to Most, like a pattern, or
// any.
type Free struct {
	Path string `json:"path"`
	Most string `json:"most,omitempty"`
	Like string `json:"like,omitempty"`
}

// Grant is a grant as people see it.
type Grant struct {
	ID       string    `json:"id"`
	State    string    `json:"state"` // live, or why it answers nothing any more
	Text     string    `json:"text"`
	Rules    []string  `json:"rules"` // that it answers, and no others
	By       string    `json:"by"`    // who agreed
	Approval string    `json:"approval"`
	Agent    string    `json:"agent"`
	Server   string    `json:"server"`
	Name     string    `json:"name"`
	Run      string    `json:"run,omitempty"`
	Free     []Free    `json:"free"`
	Count    int       `json:"count"`
	Used     int       `json:"used"`
	Made     time.Time `json:"made"`
	Until    time.Time `json:"until"`
	Last     time.Time `json:"last,omitzero"`
}

// Forecast is what a grant would have done to the questions that are kept.
type Forecast struct {
	Text  string `json:"text"`  // what it would be for
	Asked int    `json:"asked"` // by the same agent about the same thing, this question apart
	Saved int    `json:"saved"` // that nobody would have been asked
	// Refused are those that people said no to and the grant would have let through.
	Refused int `json:"refused"`
}

// Live is the state of a grant that answers.
const Live = "live"

// Grants lists the grants, the oldest first, with all also those that are over. One
// whose time is not, and which answers nothing all the same, is always among them and
// says why: or people would be asked again and nobody knew what for.
func (i *Inbox) Grants(ctx context.Context, all bool) ([]Grant, error) {
	kept, err := i.Store.Grants(ctx, "", "", "")
	if err != nil {
		return nil, err
	}
	list := []Grant{}
	for _, g := range kept {
		if all || granting.Live(&g, i.Now()) == nil {
			list = append(list, i.grant(ctx, &g))
		}
	}
	return list, nil
}

func (i *Inbox) grant(ctx context.Context, g *sallyport.Grant) Grant {
	shown := Grant{
		ID: g.ID, State: Live, Text: card.Exact(granting.Text(g)), Rules: []string{}, Approval: g.Approval,
		Agent: g.Agent, Server: g.Server, Name: card.Exact(g.Name), Run: g.Run, Free: []Free{}, Count: g.Count, Used: g.Used,
		Made: g.Made, Until: g.Until, Last: g.Last,
	}
	for _, free := range g.Free {
		shown.Free = append(shown.Free, Free(free))
	}
	a, err := i.Store.OpenApproval(ctx, g.Approval)
	for _, rule := range a.Rules {
		shown.Rules = append(shown.Rules, rule.ID)
	}
	shown.By = a.Approver()
	if err != nil {
		err = fmt.Errorf("what was agreed to can't be read, so it answers nothing: %w", err)
	}
	if over := granting.Live(g, i.Now()); over != nil {
		err = over
	}
	if terms := i.Terms(); err == nil {
		if a = terms.Standing(a, a.Class); !a.Complete() {
			err = errors.New("who agreed may not any more")
		}
	}
	if err != nil {
		shown.State = err.Error()
	}
	return shown
}

// Forecast says what a grant would have done, and refuses one that can't be made.
func (i *Inbox) Forecast(ctx context.Context, wanted Granting) (Forecast, error) {
	asked, err := i.Store.OpenApproval(ctx, wanted.ID)
	if err != nil {
		return Forecast{}, err
	}
	g := i.wanted(wanted, &asked)
	if err := granting.Check(&g, &asked, asked.Question); err != nil {
		return Forecast{}, err
	}
	f := Forecast{Text: card.Exact(granting.Text(&g))}
	kept, _, err := i.Store.Approvals(ctx)
	if err != nil {
		return f, err
	}
	for _, a := range kept {
		if a.ID == asked.ID || a.Principal.Agent != asked.Principal.Agent || a.Server != asked.Server || a.Name != asked.Name || a.Kind != asked.Kind {
			continue
		}
		f.Asked++
		opened, err := i.Store.OpenApproval(ctx, a.ID)
		if err != nil || slices.ContainsFunc(a.Rules, func(r sallyport.Rule) bool { return !answers(&asked, &r) }) || granting.Fits(&g, asked.Question, opened.Question) != nil {
			continue
		}
		f.Saved++
		if a.State == sallyport.Refused {
			f.Refused++
		}
	}
	return f, nil
}

// answers reports whether a question is of a rule, too.
func answers(a *sallyport.Approval, rule *sallyport.Rule) bool {
	return slices.ContainsFunc(a.Rules, func(r sallyport.Rule) bool { return r.ID == rule.ID && r.Digest == rule.Digest })
}

func (i *Inbox) wanted(wanted Granting, asked *sallyport.Approval) sallyport.Grant {
	now := i.Now().Truncate(time.Millisecond)
	g := sallyport.Grant{
		ID: "g_" + strings.TrimPrefix(asked.ID, "a_"), Approval: asked.ID, Agent: asked.Principal.Agent, Server: asked.Server, Name: asked.Name,
		Made: now, Until: now.Add(time.Duration(min(wanted.For, int64(granting.Longest/time.Second)+1)) * time.Second), Count: wanted.Count,
	}
	for _, free := range wanted.Free {
		g.Free = append(g.Free, sallyport.Free(free))
	}
	if wanted.Run {
		g.Run = asked.Run
	}
	return g
}

// Grant agrees to a question, and to calls like it for a while. It takes a yes that
// is enough by itself.
func (i *Inbox) Grant(ctx context.Context, given Granting) (Grant, error) {
	asked, proof, err := i.look(ctx, given.ID, given.By, given.Digest, given.Proof, true, itself)
	if err != nil {
		return Grant{}, err
	}
	if len(asked.Answers) > 0 { // whoever gave them agreed to one call
		err = errors.New("somebody has agreed to this one call already: a grant takes one person who may answer for all")
		return Grant{}, i.failed(ctx, &asked, given.By, err)
	}
	now := i.Now()
	g := i.wanted(given, &asked)
	if err := granting.Check(&g, &asked, asked.Question); err != nil {
		return Grant{}, i.failed(ctx, &asked, given.By, err)
	}
	next, err := i.agree(ctx, asked, given.By, proof, given.Proof, now)
	switch {
	case err != nil:
	case next.State != sallyport.Approved:
		err = fmt.Errorf("a grant takes one person who may answer for %s", strings.Join(asked.Groups(), " and "))
	default:
		err = i.Gateway.Grant(ctx, next, g, given.By)
	}
	if err != nil {
		return Grant{}, i.failed(ctx, &asked, given.By, moved(asked.ID, err))
	}
	return i.grant(ctx, &g), nil
}

// giving is a grant that answers, with the question that people agreed to.
type giving struct {
	grant sallyport.Grant
	of    sallyport.Approval
}

// live are the grants that answer now. What can't be read answers nothing: then
// its questions are shown as if nobody had.
func (i *Inbox) live(ctx context.Context) (all []giving) {
	kept, _ := i.Store.Grants(ctx, "", "", "")
	terms, now := i.Terms(), i.Now()
	for _, g := range kept {
		if granting.Live(&g, now) != nil {
			continue
		}
		of, err := i.Store.OpenApproval(ctx, g.Approval)
		// What a person or a kill ended is no yes any more: see gateway.granted.
		ended := of.State == sallyport.Pending || of.State == sallyport.Refused || of.State == sallyport.Expired && of.Reason != ""
		if of = terms.Standing(of, of.Class); err == nil && !ended && of.Complete() {
			all = append(all, giving{g, of})
		}
	}
	return all
}

// grantOf is the grant that lets the call of a question through, as the gateway
// will find when it comes again; "" for none. asked is what is asked.
func (i *Inbox) grantOf(grants []giving, a *sallyport.Approval, asked string) string {
	for _, g := range grants {
		about := g.grant.Agent == a.Principal.Agent && g.grant.Server == a.Server && g.grant.Name == a.Name
		other := func(r sallyport.Rule) bool { return !answers(&g.of, &r) }
		if about && a.Class.Known() <= g.of.Class.Known() && !slices.ContainsFunc(a.Rules, other) && granting.Fits(&g.grant, g.of.Question, []byte(asked)) == nil {
			return g.grant.ID
		}
	}
	return ""
}

// Revoke ends a grant at once. It only tightens: whoever has enrolled may do it.
func (i *Inbox) Revoke(ctx context.Context, id, by, reason string, proof asking.Proof) (Grant, error) {
	if _, err := i.Prove(ctx, by, sallyport.ClassTap, sallyport.Digest{}, proof); err != nil {
		return Grant{}, err
	}
	kept, err := i.Store.Grants(ctx, "", "", "") // one that is damaged keeps none from its end
	at := slices.IndexFunc(kept, func(g sallyport.Grant) bool { return g.ID == id })
	if at < 0 {
		return Grant{}, cmp.Or(err, fmt.Errorf("there is no grant %s", id))
	}
	// The yes that it was made with lets one call through by itself: who ends the
	// grant does not mean to leave that behind.
	if of, _ := i.Store.OpenApproval(ctx, kept[at].Approval); of.State == sallyport.Approved {
		ended, err := of.End(by, "the grant "+id+" was revoked", i.Now())
		if err == nil {
			err = i.Gateway.Answer(ctx, ended, by)
		}
		if err != nil && !errors.Is(err, sallyport.ErrOvertaken) { // a call has used it
			return Grant{}, err
		}
	}
	err = i.Gateway.Revoke(ctx, kept[at], by, reason)
	if errors.Is(err, sallyport.ErrOvertaken) {
		return Grant{}, fmt.Errorf("%s was revoked already", id)
	}
	kept[at].Revoked = by
	return i.grant(ctx, &kept[at]), err
}
