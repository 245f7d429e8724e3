package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/kill"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// world is everything around a gateway, in memory, with faults to inject.
type world struct {
	mu         sync.Mutex
	records    []sallyport.Record
	commitErr  error
	appendErr  error
	saveErr    error
	saved      []pin.Pin
	unknown    bool // the identifier knows nobody
	run        sallyport.Run
	runEnded   bool
	committing func()
	held       int // runs that are kept from ending now
	principal  sallyport.Principal
	executed   []string
	asked      questions
	terms      *asking.Terms
	execute    func(ctx context.Context, ticket *Ticket, client Client) (Answer, error)
	query      func(query *Query) (Answer, error)
	observe    bool
	ids        int
	decided    int
	ended      int
	flow       *sallyport.Flow
	remembered []string
	deaf       bool // Heard fails
	blind      bool // scanners fail
	intentSeen bool // the log held the intent when the upstream acted
	taken      ledger
}

func (w *world) Identify(context.Context, sallyport.Credential) (sallyport.Principal, sallyport.Run, error) {
	if w.unknown {
		return sallyport.Principal{}, sallyport.Run{}, errors.New("nobody is known by this token")
	}
	return w.principal, w.run, nil
}

// Acting is who identifies: there is nobody else here.
func (w *world) Acting(id string) (sallyport.Principal, sallyport.Run, error) {
	principal, run, err := w.Identify(context.Background(), sallyport.Credential{})
	run.ID = id
	return principal, run, err
}

// asking has the operator answer for everybody, unless a test says otherwise.
func (w *world) asking() *asking.Terms {
	if w.terms != nil {
		return w.terms
	}
	return &asking.Terms{Expire: time.Hour, Alone: "operator"}
}

func (w *world) Hold(sallyport.Run) (release func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runEnded {
		return nil, errors.New("this run has ended")
	}
	w.held++
	return func() { w.mu.Lock(); w.held--; w.mu.Unlock() }, nil
}

func (w *world) Commit(_ context.Context, record *sallyport.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.commitErr != nil {
		return w.commitErr
	}
	if w.committing != nil && record.Entry.Type == sallyport.Intent {
		w.committing()
	}
	if err := w.taken.apply(record); err != nil {
		return err
	}
	if err := w.asked.apply(record); err != nil {
		return err
	}
	w.records = append(w.records, *record)
	return nil
}

func (w *world) Append(_ context.Context, record *sallyport.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.appendErr != nil {
		return w.appendErr
	}
	if err := w.taken.apply(record); err != nil {
		return err
	}
	w.records = append(w.records, *record)
	return nil
}

func (w *world) Pins(context.Context) ([]pin.Pin, error) { return w.saved, nil }

func (w *world) SavePins(_ context.Context, pins []pin.Pin) error {
	if w.saveErr != nil {
		return w.saveErr
	}
	w.saved = append(w.saved, pins...)
	return nil
}

func (w *world) Execute(ctx context.Context, ticket *Ticket, client Client) (Answer, error) {
	w.mu.Lock()
	w.executed = append(w.executed, ticket.Call.Name)
	for _, r := range w.records {
		w.intentSeen = w.intentSeen || r.Entry.Type == sallyport.Intent && r.Entry.Call == ticket.Call.ID
	}
	w.mu.Unlock()
	if w.execute != nil {
		return w.execute(ctx, ticket, client)
	}
	return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
}

func (w *world) Query(_ context.Context, query *Query) (Answer, error) { return w.query(query) }

func (w *world) Decided(*sallyport.Entry) { w.mu.Lock(); w.decided++; w.mu.Unlock() }
func (w *world) Ended(*sallyport.Entry)   { w.mu.Lock(); w.ended++; w.mu.Unlock() }

// entries are the log in short.
func (w *world) entries() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, r := range w.records {
		e := r.Entry
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s%s %s%s", e.Type, e.Action, e.Subject, e.Cause, e.Outcome)))
	}
	return strings.Join(lines, "\n")
}

// agent is the agent's end: it remembers what it was told and asked.
type agent struct {
	told  []string
	asked []string
	reply Answer
}

func (a *agent) Tell(_ context.Context, m wire.Message) error {
	a.told = append(a.told, m.Method)
	return nil
}

func (a *agent) Ask(_ context.Context, m wire.Message) (Answer, error) {
	a.asked = append(a.asked, m.Method)
	return a.reply, nil
}

// hello is what the shop answers to initialize.
func hello(capabilities string) string {
	return `{"protocolVersion":"2025-11-25","capabilities":` + capabilities + `,"instructions":"Sells.","serverInfo":{"name":"shop","version":"1"}}`
}

const payTool = `{"name":"pay","inputSchema":{"type":"object","properties":{"to":{"type":"string"}}}}`

func shop(t testing.TB, tools ...string) manifest.Manifest {
	t.Helper()
	var items []sallyport.Value
	for _, text := range tools {
		items = append(items, sallyport.MustParse(text))
	}
	m, err := manifest.New("shop", sallyport.MustParse(hello(`{"tools":{},"resources":{"subscribe":true}}`)), items, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// open makes a gateway in observe mode with the shop's pay tool pinned.
func open(t testing.TB) (*Gateway, *world) {
	t.Helper()
	w := &world{observe: true, principal: sallyport.Principal{Agent: "bot", User: "ana", Tenant: "acme"}, run: sallyport.Run{ID: "r_1", Standing: true}}
	effects := func(server, tool string) ([]sallyport.Effect, bool) { return []sallyport.Effect{sallyport.Pay}, false }
	pins, err := pin.Load(t.Context(), w, effects)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Parts{
		Identifier: w, Pins: pins, Rules: func() *policy.Rules { return nil }, Log: w, Upstream: w, Watcher: w, Limits: w.taken.limits, Ledger: &w.taken, Alert: w.taken.alert,
		Now: time.Now, Observe: func() bool { return w.observe }, Deadline: time.Minute,
		Approvals: w, Memories: w, Kills: &kill.Switch{}, Inspector: w, Asking: w.asking,
		NewID: func() string { w.mu.Lock(); defer w.mu.Unlock(); w.ids++; return fmt.Sprint("c_", w.ids) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pins.Observe(t.Context(), shop(t, payTool)); err != nil {
		t.Fatal(err)
	}
	if _, err := pins.Accept(t.Context(), "shop", shown(shop(t, payTool)), "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	return g, w
}

func shown(m manifest.Manifest) map[manifest.Key]sallyport.Digest {
	digests := map[manifest.Key]sallyport.Digest{}
	for key, item := range m.Items {
		digests[key] = item.Digest
	}
	return digests
}

func pay() *sallyport.Call {
	params := sallyport.MustParse(`{"name":"pay","arguments":{"to":"ana"}}`)
	return &sallyport.Call{Kind: sallyport.KindTool, Server: "shop", Name: "pay", Method: "tools/call",
		Args: params.Get("arguments"), Params: params, Session: "s1"}
}

func refusedBecause(t *testing.T, err error, cause sallyport.Cause) {
	t.Helper()
	refused, ok := errors.AsType[*sallyport.RefusedError](err)
	if !ok {
		t.Fatalf("got %v, want a refusal", err)
	}
	if refused.Cause != cause {
		t.Errorf("cause %q (%v), want %q", refused.Cause, err, cause)
	}
	if refused.Error() == "" {
		t.Error("a refusal without a reason")
	}
}

func TestIntentIsDurableBeforeTheAct(t *testing.T) {
	g, w := open(t)
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	if !w.intentSeen {
		t.Error("the server acted before the intent was in the log")
	}
	if got, want := w.entries(), "intent shop/tool:pay\noutcome  ok"; got != want {
		t.Errorf("log:\n%s\nwant\n%s", got, want)
	}
	if w.decided != 1 || w.ended != 1 {
		t.Errorf("the watcher was told of %d decisions and %d ends", w.decided, w.ended)
	}
}

func TestNothingMissing(t *testing.T) {
	if _, err := New(Parts{}); err == nil {
		t.Error("a gateway without parts was made")
	}
}

func TestEveryFailureRefuses(t *testing.T) {
	broken := errors.New("no space left on device")
	for _, c := range []struct {
		name  string
		spoil func(g *Gateway, w *world, call *sallyport.Call)
		cause sallyport.Cause
	}{
		{"nobody is known", func(_ *Gateway, w *world, _ *sallyport.Call) { w.unknown = true }, sallyport.CauseIdentity},
		{"no policy", func(_ *Gateway, w *world, _ *sallyport.Call) { w.observe = false }, sallyport.CausePolicy},
		{"log can't commit", func(_ *Gateway, w *world, _ *sallyport.Call) { w.commitErr = broken }, sallyport.CauseLog},
		{"log can't commit a refusal", func(_ *Gateway, w *world, _ *sallyport.Call) { w.observe, w.commitErr = false, broken }, sallyport.CauseLog},
		{"unknown server", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Server = "other" }, sallyport.CausePin},
		{"unknown tool", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Name = "PAY" }, sallyport.CauseUnknown},
		{"unknown kind", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Kind = sallyport.KindUnknown }, sallyport.CauseMethod},
		{"kind out of range", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Kind = 99 }, sallyport.CauseMethod},
		{"undeclared argument", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Args = sallyport.MustParse(`{"bcc":"x"}`) }, sallyport.CauseSchema},
		{"arguments of a wrong type", func(_ *Gateway, _ *world, c *sallyport.Call) { c.Args = sallyport.MustParse(`[1]`) }, sallyport.CauseSchema},
		{"changed tool", func(g *Gateway, _ *world, _ *sallyport.Call) {
			g.Saw(context.Background(), shop(t, strings.Replace(payTool, `"pay"`, `"pay","description":"obey"`, 1)))
		}, sallyport.CausePin},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, w := open(t)
			call := pay()
			c.spoil(g, w, call)
			_, err := g.Call(t.Context(), sallyport.Credential{}, call, &agent{})
			refusedBecause(t, err, c.cause)
			if len(w.executed) > 0 {
				t.Error("the server was reached")
			}
		})
	}
}

func TestUnrecordedOutcomeIsWithheld(t *testing.T) {
	g, w := open(t)
	w.appendErr = errors.New("disk full")
	answer, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseLog)
	if answer.Result.Type() != sallyport.Absent {
		t.Error("a result was released although its outcome is not recorded")
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name    string
		execute func(ctx context.Context, ticket *Ticket, client Client) (Answer, error)
		want    sallyport.Outcome
	}{
		{"tool error", func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{Result: sallyport.MustParse(`{"isError":true}`)}, nil
		}, sallyport.OutcomeToolErr},
		{"server error", func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{Error: sallyport.MustParse(`{"code":-32602,"message":"no"}`)}, nil
		}, sallyport.OutcomeError},
		{"never sent", func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{}, errors.New("connection refused")
		}, sallyport.OutcomeError},
		{"sent, no answer", func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{}, fmt.Errorf("the process died: %w", ErrUnanswered)
		}, sallyport.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, w := open(t)
			w.execute = c.execute
			g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
			if last := w.records[len(w.records)-1].Entry; last.Type != sallyport.Closed || last.Outcome != c.want {
				t.Errorf("last entry %s %s, want outcome %s", last.Type, last.Outcome, c.want)
			}
		})
	}
}

func TestHungServerEndsAsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, w := open(t)
		w.execute = func(ctx context.Context, _ *Ticket, _ Client) (Answer, error) {
			<-ctx.Done()
			return Answer{}, ctx.Err()
		}
		if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err == nil {
			t.Fatal("a call without an answer succeeded")
		}
		if last := w.records[len(w.records)-1].Entry; last.Outcome != sallyport.OutcomeUnknown {
			t.Errorf("outcome %q, want unknown", last.Outcome)
		}
	})
}

func TestAgentGoneIsStillRecorded(t *testing.T) {
	g, w := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.execute = func(ctx context.Context, _ *Ticket, _ Client) (Answer, error) {
		cancel()
		return Answer{}, ctx.Err()
	}
	g.Call(ctx, sallyport.Credential{}, pay(), &agent{})
	if last := w.records[len(w.records)-1].Entry; last.Type != sallyport.Closed {
		t.Errorf("last entry is %s: the outcome is lost", last.Type)
	}
}

func TestAskIsACallOfItsOwn(t *testing.T) {
	g, w := open(t)
	w.execute = func(ctx context.Context, _ *Ticket, client Client) (Answer, error) {
		ask, _ := wire.Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Sure?"}}`))
		answer, err := client.Ask(ctx, ask)
		if err != nil {
			return Answer{}, err
		}
		if action, _ := answer.Result.Get("action").Text(); action != "accept" {
			t.Errorf("the server got %s", answer.Result.Raw())
		}
		exec, _ := wire.Parse([]byte(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}`))
		if _, err := client.Ask(ctx, exec); err == nil {
			t.Error("a server could make the agent's client call a tool")
		}
		odd, _ := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/made_up"}`))
		client.Tell(ctx, odd)
		progress, _ := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":{}}`))
		client.Tell(ctx, progress)
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	a := &agent{reply: Answer{Result: sallyport.MustParse(`{"action":"accept"}`)}}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), a); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.asked, []string{"elicitation/create"}) || !slices.Equal(a.told, []string{"notifications/progress"}) {
		t.Errorf("asked %v, told %v", a.asked, a.told)
	}
	want := "intent shop/tool:pay\nintent shop/ask:elicitation\noutcome  ok\nintent shop/answer:elicitation\noutcome  ok\noutcome  ok"
	if got := w.entries(); got != want {
		t.Errorf("log:\n%s\nwant\n%s", got, want)
	}
	if parent := w.records[1].Entry.Parent; parent != w.records[0].Entry.Call {
		t.Errorf("the ask's parent is %q", parent)
	}
}

func TestInputRequiredIsJudgedBothWays(t *testing.T) {
	g, w := open(t)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{}},"b":{"method":"tools/call","params":{}}}}`)}, nil
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseMethod)

	g, w = open(t)
	retry := pay()
	retry.Params = sallyport.MustParse(`{"name":"pay","arguments":{},"inputResponses":{"a":{"action":"accept","content":{}}},"requestState":"x"}`)
	if _, err := g.Call(t.Context(), sallyport.Credential{}, retry, &agent{}); err != nil {
		t.Fatal(err)
	}
	if got := w.entries(); !strings.Contains(got, "intent shop/answer:elicitation") {
		t.Errorf("the input response was not judged:\n%s", got)
	}
}

func TestListShowsWhatIsAcceptedOnly(t *testing.T) {
	g, w := open(t)
	page := `{"tools":[` + payTool + `,{"name":"new","inputSchema":{"type":"object"}}],"nextCursor":"n","cacheScope":"public","extra":9007199254740993}`
	w.query = func(*Query) (Answer, error) { return Answer{Result: sallyport.MustParse(page)}, nil }
	answer, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"tools":[` + payTool + `],"nextCursor":"n","cacheScope":"private","extra":9007199254740993}`
	if got := string(answer.Result.Raw()); got != want {
		t.Errorf("list\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(w.entries(), "change quarantine shop tool:new") {
		t.Errorf("the new tool is not on the record:\n%s", w.entries())
	}
	// A definition that differs is taken out of use even for who saw the old one.
	page = strings.Replace(page, `"name":"pay"`, `"name":"pay","title":"Pay Mallory"`, 1)
	if answer, err = g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(answer.Result.Raw()), "Mallory") {
		t.Errorf("a changed tool is listed: %s", answer.Result.Raw())
	}
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePin)

	// Without a policy, and not observing, nothing is listed.
	g, w = open(t)
	w.observe = false
	w.query = func(*Query) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"tools":[` + payTool + `]}`)}, nil
	}
	if answer, err = g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/list"}); err != nil {
		t.Fatal(err)
	}
	if got := string(answer.Result.Raw()); got != `{"tools":[]}` {
		t.Errorf("without a policy the list is %s", got)
	}
	if _, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tools/call"}); err == nil {
		t.Error("a call passed as a list")
	}
}

func TestQuarantineHoldsWhenItCannotBeSaved(t *testing.T) {
	g, w := open(t)
	w.saveErr = errors.New("disk full")
	if err := g.Saw(t.Context(), shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"x"`, 1))); err == nil {
		t.Error("a quarantine that could not be saved was not reported")
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePin)
}

func TestAcceptanceThatCannotBeSavedIsNone(t *testing.T) {
	g, w := open(t)
	changed := shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"x"`, 1))
	if err := g.Saw(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	w.saveErr = errors.New("disk full")
	if _, err := g.Pins.Accept(t.Context(), "shop", shown(changed), "ana", time.Now()); err == nil {
		t.Error("an acceptance that could not be saved was not reported")
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePin)
}

// A server that changes while a human looks must not be accepted unseen.
func TestOnlyWhatWasShownIsAccepted(t *testing.T) {
	g, _ := open(t)
	looked := shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"x"`, 1))
	for _, m := range []manifest.Manifest{looked, shop(t, strings.Replace(payTool, `"pay"`, `"pay","title":"y"`, 1))} {
		if err := g.Saw(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if accepted, err := g.Pins.Accept(t.Context(), "shop", shown(looked), "ana", time.Now()); err != nil || len(accepted) != 0 {
		t.Errorf("accepted %v (%v), which nobody was shown", accepted, err)
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePin)
}

// Resources have no pin of their own: those of a server that was only seen
// must not be readable.
func TestSeenIsNotAccepted(t *testing.T) {
	g, w := open(t)
	w.observe = true
	seen := shop(t, payTool)
	seen.Server = "other"
	if err := g.Saw(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	args := sallyport.MustParse(`{"uri":"other://x"}`)
	_, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{
		Kind: sallyport.KindResource, Server: "other", Name: "other://x", Method: "resources/read", Args: args, Params: args,
	}, &agent{})
	refusedBecause(t, err, sallyport.CausePin)
}

func TestHeardOutsideCalls(t *testing.T) {
	g, _ := open(t)
	told := map[string][]string{}
	for _, id := range []string{"s1", "s2"} {
		detach := g.Attach(id, func(server string, m wire.Message) { told[id] = append(told[id], m.Method) })
		defer detach()
	}
	hear := func(session, text string) {
		m, err := wire.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		g.Heard("shop", session, m)
	}
	updated := `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"shop://a"}}`
	hear("s1", updated)
	hear("s1", `{"jsonrpc":"2.0","method":"notifications/progress","params":{}}`)
	hear("s1", `{"jsonrpc":"2.0","method":"notifications/made_up"}`)
	hear("s3", `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
	if len(told) > 0 {
		t.Errorf("without a subscription or ticket sessions heard %v", told)
	}
	subscribe := &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop", Name: "shop://a", Method: "resources/subscribe",
		Args: sallyport.MustParse(`{"uri":"shop://a"}`), Params: sallyport.MustParse(`{"uri":"shop://a"}`), Session: "s1"}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, subscribe, &agent{}); err != nil {
		t.Fatal(err)
	}
	hear("s1", updated)
	hear("s2", updated)
	hear("s1", strings.Replace(updated, "shop://a", "shop://b", 1))
	if len(told["s1"]) != 1 || len(told["s2"]) != 0 {
		t.Errorf("after one subscription sessions heard %v", told)
	}
	again := func(uri string) error {
		params := sallyport.MustParse(`{"uri":"` + uri + `"}`)
		_, err := g.Call(t.Context(), sallyport.Credential{}, &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop", Name: uri,
			Method: "resources/subscribe", Args: params, Params: params, Session: "s1"}, &agent{})
		return err
	}
	limited := func(err error) bool {
		refused, ok := errors.AsType[*sallyport.RefusedError](err)
		return ok && refused.Cause == sallyport.CauseLimit
	}
	if err := again("shop://" + strings.Repeat("x", maxSubscriptionBytes)); !limited(err) {
		t.Errorf("a subscription of a mebibyte: %v", err)
	}
	for i := range maxSubscriptions - 1 {
		if err := errors.Join(again(fmt.Sprint("shop://", i)), again(fmt.Sprint("shop://", i))); err != nil {
			t.Fatalf("subscription %d, and again: %v", i, err)
		}
	}
	if err := again("shop://last"); !limited(err) {
		t.Errorf("one too many: %v", err)
	}
	g.sessions.unsubscribed(&Query{Server: "shop", Params: sallyport.MustParse(`{"uri":"shop://0"}`), Session: "s1"})
	if err := again("shop://last"); err != nil {
		t.Errorf("after one was given up: %v", err)
	}
}
