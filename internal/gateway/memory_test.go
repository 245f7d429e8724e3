package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// Flow, Did and Saw make world the memories: it remembers what it was told.
func (w *world) Flow(context.Context, *sallyport.Call, *sallyport.Definition) *sallyport.Flow {
	return w.flow
}

func (w *world) Did(call *sallyport.Call, _ *sallyport.Definition, flow *sallyport.Flow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remembered = append(w.remembered, "did "+call.Name)
}

func (w *world) Saw(_ *sallyport.Call, result sallyport.Value, found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remembered = append(w.remembered, strings.Join(append([]string{"saw " + string(result.Raw())}, found...), " "))
}

func (w *world) Heard(_ context.Context, call *sallyport.Call, text sallyport.Value, found []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf {
		return errors.New("disk full")
	}
	w.remembered = append(w.remembered, strings.Join(append([]string{"heard from " + call.Server + " " + string(text.Raw())}, found...), " "))
	return nil
}

func (w *world) memory() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.remembered = nil }()
	return strings.Join(w.remembered, "; ")
}

func flowRules(t *testing.T, g *Gateway, text string) {
	t.Helper()
	rules, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte(text)}}, g.Pins.Definitions(), policy.Declared{Agents: []string{"bot"}, Groups: []string{"finance"}})
	if err != nil {
		t.Fatal(err)
	}
	g.Rules = func() *policy.Rules { return rules }
}

// What is decided on is what the memory says, and without one the worst.
func TestFlowIsDecidedOn(t *testing.T) {
	g, w := open(t)
	w.observe = false
	flowRules(t, g, `permit (principal, action, resource);
forbid (principal, action == Action::"shop/tool:pay", resource) when { context.run.sawUntrusted };`)
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
	if got := w.memory(); got != "" {
		t.Errorf("a refused call is remembered as one that was made: %s", got)
	}
	w.flow = &sallyport.Flow{}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	w.flow = &sallyport.Flow{Run: sallyport.Labels{SawUntrusted: true}}
	_, err = g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
}

// Whatever reaches an agent is remembered, and what is withheld is not.
func TestWhatReachesTheAgentIsRemembered(t *testing.T) {
	g, w := open(t)
	w.execute = func(ctx context.Context, ticket *Ticket, client Client) (Answer, error) {
		client.Tell(ctx, wire.Message{Method: "notifications/progress", Params: sallyport.MustParse(`{"message":"half"}`)})
		client.Ask(ctx, wire.Message{Method: "elicitation/create", Params: sallyport.MustParse(`{"message":"who?"}`)})
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.memory(), `did pay; heard from shop {"message":"half"} scanner/unasked; did elicitation/create; saw {"message":"who?"}`; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `saw {"content":[]} scanner/unasked`) {
		t.Errorf("remembered %s", got)
	}
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Error: sallyport.MustParse(`{"code":1,"message":"obey me"}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	if got := w.memory(); !strings.Contains(got, "obey me") {
		t.Errorf("an error was read and is not remembered: %s", got)
	}
	flowRules(t, g, `permit (principal, action, resource);
@on("result") forbid (principal, action, resource) when { context.result.text like "*secret*" };`)
	w.observe = false
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"content":[{"type":"text","text":"secret"}]}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); !errors.As(err, new(*sallyport.RefusedError)) {
		t.Fatal(err)
	}
	if got := w.memory(); got != "did pay" {
		t.Errorf("remembered %s", got)
	}
}

// The log names the source of what matters, without a value, and no name makes
// an entry too long for it.
func TestOriginsOnTheRecord(t *testing.T) {
	g, w := open(t)
	w.observe = false
	flowRules(t, g, `permit (principal, action, resource);
forbid (principal, action == Action::"shop/tool:pay", resource) when { context.untrusted.contains("to") };`)
	w.flow = &sallyport.Flow{Unlinked: []string{"to"}, Traces: []sallyport.Trace{
		{Path: "to", Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}, Critical: true, Through: []string{"base64"},
			Sources: []sallyport.Source{{Call: "c_9", Server: "mail", Tool: "read_mail", Record: 2, Field: "body", Start: 40, End: 62}}},
		{Path: "note", Origin: sallyport.Origin{Writer: sallyport.WriterUser}, Sources: []sallyport.Source{{Strength: "launcher"}}},
		{Path: "id", Origin: sallyport.Origin{Writer: sallyport.WriterUser}, Critical: true, Sources: []sallyport.Source{{Strength: "launcher"}}},
	}}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
	got := w.records[len(w.records)-1].Entry.Origins
	want := "to: untrusted, not linked to the task; mail/read_mail c_9 record 2 field body bytes 40-62; through base64\nid: user; the user's words (launcher)"
	if strings.Join(got, "\n") != want {
		t.Errorf("on the record:\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	flood := &sallyport.Flow{}
	for range 100 {
		flood.Traces = append(flood.Traces, sallyport.Trace{Path: strings.Repeat("\x01", 5000), Critical: true})
	}
	entry := sallyport.Entry{Type: sallyport.Intent, Origins: origins(flood)}
	if n := len(entry.AppendCanonical(nil)); n > sallyport.MaxEntry/2 {
		t.Errorf("an entry of %d bytes", n)
	}
}

// What is on no record reaches no agent before the record says that there was
// something: a restart would wash it off.
func TestWhatIsOnNoRecordIsHeard(t *testing.T) {
	g, w := open(t)
	w.query = func(q *Query) (Answer, error) {
		switch q.Method {
		case "resources/list":
			return Answer{Result: sallyport.MustParse(`{"resources":[{"uri":"shop://a","name":"obey"}]}`)}, nil
		case "tools/list":
			return Answer{Error: sallyport.MustParse(`{"code":-32000,"message":"obey"}`)}, nil
		case "prompts/list":
			return Answer{Error: sallyport.MustParse(`{"code":-32601,"message":"obey"}`)}, nil
		case "logging/setLevel":
			return Answer{Result: sallyport.MustParse(`{"resultType":"complete","_meta":{"note":"obey"}}`)}, nil
		default:
			return Answer{Result: sallyport.MustParse(`{"resultType":"complete"}`)}, nil
		}
	}
	reads := func(method string) string {
		q := &Query{Server: "shop", Method: method, Params: sallyport.MustParse(`{}`)}
		ask := g.Query
		if strings.HasSuffix(method, "/list") {
			ask = g.List
		}
		answer, err := ask(t.Context(), sallyport.Credential{}, q)
		if err != nil {
			return "withheld"
		}
		return string(answer.Result.Raw()) + string(answer.Error.Raw())
	}
	for _, test := range []struct{ method, heard, deaf string }{
		{"resources/list", `heard from shop {"uri":"shop://a","name":"obey"} scanner/unasked`, `{"resources":[]}`},
		{"tools/list", `heard from shop {"code":-32000,"message":"obey"} scanner/unasked`, "withheld"},
		{"prompts/list", "", `{"code":-32601,"message":"Method not found"}`},
		{"logging/setLevel", `heard from shop {"resultType":"complete","_meta":{"note":"obey"}} scanner/unasked`, "withheld"},
		{"resources/unsubscribe", "", `{"resultType":"complete"}`},
	} {
		w.deaf = false
		reads(test.method)
		if got := w.memory(); got != test.heard {
			t.Errorf("%s: remembered %q, want %q", test.method, got, test.heard)
		}
		w.deaf = true
		if got := reads(test.method); got != test.deaf {
			t.Errorf("%s: when it can't be recorded the agent gets %s, want %s", test.method, got, test.deaf)
		}
	}
	for result, want := range map[string]bool{
		`{}`: false, `{"tasks":[],"_meta":{}}`: false, `{"obey_mallory":1}`: true, `{"obey":{}}`: true, `{"_meta":{"obey":true}}`: true, `"obey"`: true, `["obey"]`: true,
	} {
		if says(sallyport.MustParse(result)) != want {
			t.Errorf("%s says something: %v", result, !want)
		}
	}
	told := &agent{}
	w.execute = func(ctx context.Context, ticket *Ticket, client Client) (Answer, error) {
		client.Tell(ctx, wire.Message{Method: "notifications/progress", Params: sallyport.MustParse(`{"message":"obey"}`)})
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), told); err != nil || len(told.told) > 0 {
		t.Errorf("the agent was told %v, %v", told.told, err)
	}
}
