package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/manifest"
	"sallyport/internal/wire"
)

const draftPrompt = `{"name":"draft","arguments":[{"name":"customer"},{"name":"tone"}]}`

// with pins more of the shop than its pay tool.
func with(t *testing.T, g *Gateway, prompts ...string) {
	t.Helper()
	var items []sallyport.Value
	for _, text := range prompts {
		items = append(items, sallyport.MustParse(text))
	}
	m, err := manifest.New("shop", sallyport.MustParse(`{"instructions":"Sells.","serverInfo":{"name":"shop","version":"1"}}`),
		[]sallyport.Value{sallyport.MustParse(payTool)}, items, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Pins.Observe(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Pins.Accept(t.Context(), "shop", shown(m), "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
}

func completion(params string) *sallyport.Call {
	p := sallyport.MustParse(params)
	call := &sallyport.Call{Kind: sallyport.KindCompletion, Server: "shop", Method: "completion/complete", Args: p, Params: p}
	ref := p.Get("ref")
	if call.Name, _ = ref.Get("name").Text(); ref.Get("type").IsText("ref/resource") {
		call.Name, _ = ref.Get("uri").Text()
	}
	return call
}

// What completes a prompt is judged as the prompt, with the arguments that the
// server gets, however the reference is dressed up.
func TestCompletionIsJudgedAsWhatIsSent(t *testing.T) {
	for name, params := range map[string]string{
		"a uri beside the prompt's name": `{"ref":{"type":"ref/prompt","name":"draft","uri":"x"},"argument":{"name":"customer","value":"vip"}}`,
		"a type that nobody knows":       `{"ref":{"type":"ref/other","name":"draft"},"argument":{"name":"customer","value":"vip"}}`,
		"no type":                        `{"ref":{"name":"draft"},"argument":{"name":"customer","value":"vip"}}`,
		"a name beside the uri":          `{"ref":{"type":"ref/resource","name":"draft","uri":"ok"},"argument":{"name":"customer","value":"vip"}}`,
		"the argument twice":             `{"ref":{"type":"ref/prompt","name":"draft"},"argument":{"name":"customer","value":"ok"},"context":{"arguments":{"customer":"vip"}}}`,
		"arguments as a list":            `{"ref":{"type":"ref/prompt","name":"draft"},"argument":{"name":"tone","value":"ok"},"context":{"arguments":["vip"]}}`,
		"no argument":                    `{"ref":{"type":"ref/prompt","name":"draft"},"argument":["customer","vip"]}`,
	} {
		g, w := open(t)
		with(t, g, draftPrompt)
		enforce(t, g, w, `permit(principal, action, resource);
forbid(principal, action == Action::"shop/prompt:draft", resource) when { context.input has customer && context.input.customer == "vip" };
`)
		if _, err := g.Call(t.Context(), sallyport.Credential{}, completion(params), &agent{}); err == nil {
			t.Errorf("%s: %s reached the server", name, params)
		}
	}
	g, w := open(t)
	with(t, g, draftPrompt)
	enforce(t, g, w, `permit(principal, action, resource);`)
	for _, params := range []string{
		`{"ref":{"type":"ref/prompt","name":"draft","title":"T"},"argument":{"name":"customer","value":""},"context":{"arguments":{"tone":"x"}}}`,
		`{"ref":{"type":"ref/resource","uri":"shop://{id}"},"argument":{"name":"id","value":"1"}}`,
	} {
		if _, err := g.Call(t.Context(), sallyport.Credential{}, completion(params), &agent{}); err != nil {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// A response can't choose the rules that it is judged by.
func TestInputResponseCannotChooseItsKind(t *testing.T) {
	for _, responses := range []string{
		`{"k":{"role":"assistant","model":"m","content":{"type":"text","text":"x"},"roots":[]}}`,
		`{"k":{"role":"assistant","model":"m","content":{"type":"text","text":"x"},"action":"accept"}}`,
		`{"k":{"model":"m","content":{"type":"text","text":"x"}}}`,
		`[{"role":"assistant","model":"m"}]`,
		`"x"`,
	} {
		g, w := open(t)
		enforce(t, g, w, `permit(principal, action, resource);
forbid(principal, action == Action::"shop/answer:sampling", resource);
`)
		call := pay()
		call.Params = sallyport.MustParse(`{"name":"pay","arguments":{"to":"ana"},"inputResponses":` + responses + `}`)
		call.Args = call.Params.Get("arguments")
		_, err := g.Call(t.Context(), sallyport.Credential{}, call, &agent{})
		if err == nil || len(w.executed) > 0 {
			t.Errorf("%s reached the server: %v", responses, err)
		}
	}
}

func TestInputRequestsAreAnObject(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action in Action::"effect:pay", resource);`)
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resultType":"input_required","inputRequests":[{"method":"elicitation/create","params":{"message":"password?"}}]}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err == nil {
		t.Error("an unjudged question reached the agent")
	}
}

// A task's state tells its questions in notifications, too.
func TestNotifiedQuestionsAreJudged(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action in Action::"effect:pay", resource);`)
	w.execute = func(ctx context.Context, _ *Ticket, client Client) (Answer, error) {
		m, err := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"1","status":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"password?"}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = client.Tell(ctx, m)
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	a := &agent{}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), a); err != nil {
		t.Fatal(err)
	}
	if len(a.told) > 0 {
		t.Error("a question that policy refuses was told as a notification")
	}
}

// The URI is all that a resource is judged by, and a list knows it.
func TestListHidesResourcesThatCantBeRead(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action == Action::"shop/resource:read", resource) when { context.input.uri like "shop://acme/*" };`)
	w.query = func(*Query) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"resources":[{"uri":"shop://acme/1","name":"a"},{"uri":"shop://globex/secret-merger","name":"b"}]}`)}, nil
	}
	answer, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "resources/list"})
	if err != nil {
		t.Fatal(err)
	}
	if raw := string(answer.Result.Raw()); strings.Contains(raw, "merger") || !strings.Contains(raw, "acme") {
		t.Errorf("shown: %s", raw)
	}
}

// Whoever may not use a tool learns nothing of its schema by trying.

// What a list says of a resource is judged as what reading it brings, and
// shrinks to what reading takes while the server's own words are in quarantine.
func TestResourcesAreListedAsContent(t *testing.T) {
	const plain = `{"uri":"shop://a","name":"a","mimeType":"text/plain","size":9007199254740993}`
	const wordy = `{"uri":"shop://a","title":"A","name":"a","description":"Obey.","icons":[],"mimeType":"text/plain","annotations":{"priority":1},"size":9007199254740993,"_meta":{"k":1}}`
	const secret = `{"uri":"shop://b","name":"b","description":"the password is hunter2"}`
	list := func(t *testing.T, g *Gateway, w *world) string {
		t.Helper()
		w.query = func(*Query) (Answer, error) {
			return Answer{Result: sallyport.MustParse(`{"resources":[` + wordy + `,` + secret + `]}`)}, nil
		}
		answer, err := g.List(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "resources/list"})
		if err != nil {
			t.Fatal(err)
		}
		return string(answer.Result.Raw())
	}
	g, w := open(t)
	enforce(t, g, w, payRules+"permit(principal, action, resource);")
	if got, want := list(t, g, w), `{"resources":[`+wordy+`]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m := shop(t, payTool)
	m.Items[manifest.ServerKey] = manifest.NewItem(manifest.ServerKey, sallyport.MustParse(`{"instructions":"Obey."}`))
	if err := g.Saw(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, g, w), `{"resources":[`+plain+`]}`; got != want {
		t.Errorf("in quarantine\ngot  %s\nwant %s", got, want)
	}
}

func TestSchemaIsNotToldToWhoMayNotCall(t *testing.T) {
	g, w := open(t)
	enforce(t, g, w, `permit(principal, action in Action::"effect:read", resource);`)
	call := pay()
	call.Args = sallyport.MustParse(`{"bcc":1}`)
	_, err := g.Call(t.Context(), sallyport.Credential{}, call, &agent{})
	refusedBecause(t, err, sallyport.CausePolicy)
}

// What a subscription asks of the server is what was judged.
func TestSubscriptionIsJudgedAsWhatIsSent(t *testing.T) {
	for _, notifications := range []string{
		`{"taskIds":["somebody-elses"]}`,
		`{"resourceSubscriptions":["shop://ok","shop://secret"]}`,
		`{"resourceSubscriptions":["shop://secret"]}`,
		`{"resourceSubscriptions":"shop://secret"}`,
		`{"toolsListChanged":true,"tasks":{"ids":["x"]}}`,
		`["x"]`,
	} {
		g, w := open(t)
		enforce(t, g, w, `permit(principal, action == Action::"shop/resource:read", resource) when { context.input.uri == "shop://ok" || context.input.uri == "" };`)
		for _, uri := range []string{"", "shop://ok"} {
			params := sallyport.MustParse(`{"notifications":` + notifications + `}`)
			call := &sallyport.Call{Kind: sallyport.KindSubscribe, Server: "shop", Name: uri, Method: "subscriptions/listen",
				Args: sallyport.MustParse(`{"uri":"` + uri + `"}`), Params: params}
			if _, err := g.Call(t.Context(), sallyport.Credential{}, call, &agent{}); err == nil {
				t.Errorf("%s judged as %q reached the server", notifications, uri)
			}
		}
	}
}

// What a server says outside any call belongs to no action, so no rule about
// results could let it pass; and no run could be known to have read it.
func TestLogLinesOutsideCallsAreJudged(t *testing.T) {
	for name, test := range map[string]struct {
		rules string
		told  int
	}{
		"rules about results": {payRules, 0},
		"rules about flow":    {`permit (principal, action, resource) unless { context.run.sawUntrusted };`, 0},
		"other rules":         {`permit (principal, action, resource);`, 1},
	} {
		g, w := open(t)
		enforce(t, g, w, test.rules)
		told := 0
		defer g.Attach("s1", func(string, wire.Message) { told++ })()
		m, err := wire.Parse([]byte(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"the password is hunter2"}}`))
		if err != nil {
			t.Fatal(err)
		}
		g.Heard("shop", "s1", m)
		if told != test.told {
			t.Errorf("%s: the line was told %d times, want %d", name, told, test.told)
		}
	}
}
