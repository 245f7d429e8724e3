package mcpdoor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/gateway"
	"sallyport/internal/inspect"
	"sallyport/internal/kill"
	"sallyport/internal/limits"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
	"sallyport/internal/policy"
	"sallyport/internal/store/ledger"
	"sallyport/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the gateway, real, with servers, log and identities in memory.
type world struct {
	t       testing.TB
	gateway *gateway.Gateway
	door    *Door
	url     string

	mu        sync.Mutex
	saw       []string // what reached a server: "SERVER METHOD NAME ARGS"
	notes     []string // what servers were told by notification
	records   int
	ids       int
	greeted   int
	revoked   string // token
	begunAnew bool   // ana's token stands for another run
	left      []string
	changes   chan wire.Message // told under open listens
	down      map[string]bool
	execute   func(ctx context.Context, ticket *gateway.Ticket, client gateway.Client) (gateway.Answer, error)
	pinsSave  []pin.Pin
	pins      *pin.Pins
	rules     atomic.Pointer[policy.Rules]
	asked     sallyport.Approval // the last question
	forms     forms
}

const (
	anaToken = "token-of-ana"
	// The same agent in another run.
	anaRunToken = "token-of-a-run-of-ana"
	bobToken    = "token-of-bob"
	eveToken    = "token-of-eve"
)

var tools = map[string][]string{
	"desk": {
		`{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"},"n":{"type":"integer"}}}}`,
		`{"name":"refund","inputSchema":{"type":"object","properties":{"amount":{"type":"integer"}}}}`,
		`{"name":"count","inputSchema":{"type":"object"}}`,
		`{"name":"ask","inputSchema":{"type":"object","properties":{"of":{"type":"string"}}}}`,
		`{"name":"slow","inputSchema":{"type":"object"},"outputSchema":{"type":"object","required":["took"]}}`,
		`{"name":"big","inputSchema":{"type":"object"}}`,
		`{"name":"fail","inputSchema":{"type":"object"}}`,
		`{"name":"link","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://desk/card"}}}`,
		`{"name":"job","inputSchema":{"type":"object"}}`,
		`{"name":"region","inputSchema":{"type":"object","properties":{"where":{"type":"string","x-mcp-header":"Region"}}}}`,
		`{"name":"cloud__echo","inputSchema":{"type":"object"}}`,
		`{"name":"poll","inputSchema":{"type":"object","properties":{"lost":{"type":"string"}}}}`,
		`{"name":"stream","inputSchema":{"type":"object"}}`,
	},
	"cloud": {`{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`},
}

const rules = `
permit (principal, action, resource);
@id("small-refunds") @because("Refunds above 100 need a person.")
forbid (principal, action == Action::"desk/tool:refund", resource) when { context.input has amount && context.input.amount > 100 };
@id("no-bob") forbid (principal == Agent::"bob", action == Action::"cloud/resource:read", resource);
@id("no-eve") forbid (principal == Agent::"eve", action in Action::"server:cloud", resource);
`

func newWorld(t testing.TB, options Options) *world {
	w := &world{t: t, changes: make(chan wire.Message, 16), down: map[string]bool{}}
	pins, err := pin.Load(context.Background(), w, func(string, string) ([]sallyport.Effect, bool) { return []sallyport.Effect{sallyport.Write}, false })
	if err != nil {
		t.Fatal(err)
	}
	w.pins = pins
	w.gateway, err = gateway.New(gateway.Parts{
		Identifier: w, Pins: pins, Rules: w.rules.Load, Log: w, Upstream: w, Watcher: w, Limits: limits.None, Ledger: ledger.Book{}, Alert: func(sallyport.Charge, int64) {},
		Now: time.Now, Observe: func() bool { return false }, Deadline: time.Minute, NewID: w.newID,
		Approvals: w, Memories: w, Kills: &kill.Switch{}, Inspector: w, Asking: func() *asking.Terms { return &asking.Terms{Expire: time.Hour, Alone: "operator"} },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range w.servers() {
		var items []sallyport.Value
		for _, tool := range tools[server] {
			items = append(items, sallyport.MustParse(tool))
		}
		m, err := manifest.New(server, hellos[server], items, []sallyport.Value{prompt}, []sallyport.Value{template})
		if err != nil {
			t.Fatal(err)
		}
		digests := map[manifest.Key]sallyport.Digest{}
		for key, item := range m.Items {
			digests[key] = item.Digest
		}
		if _, err := pins.Observe(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		if _, err := pins.Accept(context.Background(), server, digests, "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.forbid(t, "")
	w.door, err = New(Parts{
		Gateway: w.gateway, Identifier: w, Guests: w, Servers: w.serversFor, Tool: pins.Tool, Kills: w.gateway.Kills, Now: time.Now, Version: "1",
		Approval: w.Approval, Question: w.question, TaskOf: w.gateway.TaskOf, Withdraw: w.gateway.Answer, Forms: &w.forms, Page: func(id string) string { return "https://gate.example/console/approvals/" + id },
	}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.door.Close)
	return w
}

// forbid takes the rules into force, with more.
func (w *world) forbid(t testing.TB, more string) {
	loaded, err := policy.Load([]policy.File{{Name: "t.cedar", Text: []byte(rules + more)}}, w.pins.Definitions(), policy.Declared{
		Servers: w.servers(), Agents: []string{"ana", "bob", "eve"}, Users: []string{"ana", "bob", "eve"}, Tenants: []string{"acme"}, Groups: []string{"finance"}})
	if err != nil {
		t.Fatal(err)
	}
	w.rules.Store(loaded)
}

// serve opens the door over HTTP.
func serve(t testing.TB, options Options) *world {
	w := newWorld(t, options)
	server := httptest.NewUnstartedServer(w.door)
	server.Config = Server(w.door)
	server.Start()
	t.Cleanup(func() {
		w.door.Drain()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	w.url = server.URL
	return w
}

func (w *world) servers() []string { return []string{"desk", "cloud"} }

func (w *world) serversFor(principal sallyport.Principal) []string {
	return slices.DeleteFunc(w.servers(), func(name string) bool { return !w.gateway.Reveals(principal, name) })
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprint("c_", w.ids)
}

func (w *world) Identify(_ context.Context, c sallyport.Credential) (sallyport.Principal, sallyport.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := ""
	switch {
	case c.Token != "" && c.Token == w.revoked:
		return sallyport.Principal{}, sallyport.Run{}, errors.New("revoked")
	case c.Listener != "":
		name = c.Listener
	case c.Token == anaToken, c.Token == anaRunToken:
		name = "ana"
	case c.Token == bobToken:
		name = "bob"
	case c.Token == eveToken:
		name = "eve"
	default:
		return sallyport.Principal{}, sallyport.Run{}, errors.New("no token, no call")
	}
	run := sallyport.Run{ID: "r_" + name, Standing: true}
	if c.Token == anaRunToken || w.begunAnew {
		run = sallyport.Run{ID: "r_1"}
	}
	return sallyport.Principal{Agent: name, User: name, Tenant: "acme"}, run, nil
}

func (w *world) Acting(string) (sallyport.Principal, sallyport.Run, error) {
	return sallyport.Principal{}, sallyport.Run{}, errors.New("nobody acts here")
}

func (w *world) Grants(context.Context, string, string, string) ([]sallyport.Grant, error) {
	return nil, nil
}

func (w *world) OpenApproval(context.Context, string) (sallyport.Approval, error) {
	return sallyport.Approval{}, errors.New("nothing is kept here")
}

func (w *world) Hold(sallyport.Run) (release func(), err error) { return func() {}, nil }

func (w *world) Commit(ctx context.Context, r *sallyport.Record) error {
	w.mu.Lock()
	if r.Approval != nil {
		w.asked = *r.Approval
	}
	w.mu.Unlock()
	return w.Append(ctx, r)
}

func (w *world) Approval(_ context.Context, digest sallyport.Digest) (sallyport.Approval, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked.Digest != digest {
		return sallyport.Approval{}, nil
	}
	return w.asked, nil
}

func (w *world) question(_ context.Context, id string) (sallyport.Approval, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked.ID != id {
		return sallyport.Approval{}, errors.New("no such question")
	}
	return w.asked, nil
}

func (w *world) Append(context.Context, *sallyport.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records++
	return nil
}
func (w *world) Pins(context.Context) ([]pin.Pin, error) { return nil, nil }
func (w *world) SavePins(_ context.Context, pins []pin.Pin) error {
	w.pinsSave = append(w.pinsSave, pins...)
	return nil
}
func (w *world) Decided(*sallyport.Entry) {}
func (w *world) Ended(*sallyport.Entry)   {}

func (w *world) Greet(string, sallyport.Value) { w.mu.Lock(); w.greeted++; w.mu.Unlock() }
func (w *world) Leave(session string)          { w.mu.Lock(); w.left = append(w.left, session); w.mu.Unlock() }

// seen is what reached the servers, and forgets it.
func (w *world) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := strings.Join(w.saw, "\n")
	w.saw = nil
	return seen
}

var hellos = map[string]sallyport.Value{
	"desk":  sallyport.MustParse(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"serverInfo":{"name":"desk","version":"1"},"instructions":"Be kind."}`),
	"cloud": sallyport.MustParse(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":false},"resources":{"listChanged":true}},"serverInfo":{"name":"cloud","version":"1"},"instructions":"Spend little."}`),
}

var (
	prompt   = sallyport.MustParse(`{"name":"draft","arguments":[{"name":"to"}]}`)
	template = sallyport.MustParse(`{"uriTemplate":"desk://tickets/{id}","name":"ticket"}`)
)

func answer(text string, args ...any) (gateway.Answer, error) {
	v, err := sallyport.Parse(fmt.Appendf(nil, text, args...))
	return gateway.Answer{Result: v}, err
}

func message(method, params string) wire.Message {
	m, err := wire.Parse(wire.AppendRequest(nil, nil, method, []byte(params)))
	if err != nil {
		panic(err)
	}
	return m
}

// Execute is what the servers do.
func (w *world) Execute(ctx context.Context, ticket *gateway.Ticket, client gateway.Client) (gateway.Answer, error) {
	call := ticket.Call
	w.mu.Lock()
	w.saw = append(w.saw, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", call.Server, call.Method, call.Name, call.Args.Raw())))
	execute := w.execute
	w.mu.Unlock()
	if execute != nil {
		return execute(ctx, ticket, client)
	}
	complete := ""
	if wire.IsStateless(call.Revision) {
		complete = `,"resultType":"complete"`
	}
	switch call.Method {
	case "resources/read":
		return answer(`{"contents":[{"uri":%s,"text":"x"}]%s}`, call.Params.Get("uri").Raw(), complete)
	case "prompts/get":
		return answer(`{"messages":[{"role":"user","content":{"type":"resource_link","uri":"desk://a","name":"a"}}]%s}`, complete)
	case "completion/complete":
		return answer(`{"completion":{"values":["x"]}%s}`, complete)
	case "resources/subscribe":
		return answer(`{}`)
	case "subscriptions/listen":
		return w.listen(ctx, call, client)
	}
	switch call.Name {
	case "echo":
		return answer(`{"content":[{"type":"text","text":"echo"}],"structuredContent":%s,"beyond":9007199254740993%s}`, orEmpty(call.Args), complete)
	case "count":
		for i := range 3 {
			if err := client.Tell(ctx, message("notifications/progress", fmt.Sprintf(`{"progressToken":%s,"progress":%d}`, call.Params.Get("_meta").Get("progressToken").Raw(), i))); err != nil {
				return gateway.Answer{}, err
			}
		}
		return answer(`{"content":[]%s}`, complete)
	case "ask":
		method, _ := call.Args.Get("of").Text()
		said, err := client.Ask(ctx, message(method, `{"message":"Really?","requestedSchema":{"type":"object"}}`))
		if err != nil {
			return gateway.Answer{}, err
		}
		if said.Error.Type() != sallyport.Absent {
			return answer(`{"content":[{"type":"text","text":"unable"}]%s}`, complete)
		}
		return answer(`{"content":[],"structuredContent":%s%s}`, said.Result.Raw(), complete)
	case "slow":
		<-ctx.Done()
		return gateway.Answer{}, fmt.Errorf("%w: %w", context.Cause(ctx), gateway.ErrUnanswered)
	case "poll":
		client.(gateway.Poller).Poll(500*time.Millisecond, !call.Args.Get("lost").IsText("yes"))
		time.Sleep(20 * time.Millisecond)
		return answer(`{"content":[]%s}`, complete)
	case "stream":
		a, err := answer(`{"content":[]%s}`, complete)
		a.Streamed = true
		return a, err
	case "big":
		return answer(`{"content":[{"type":"text","text":"%s"}]%s}`, strings.Repeat("x", 64<<10), complete)
	case "fail":
		return gateway.Answer{}, fmt.Errorf("server desk: broke: %w", gateway.ErrUnanswered)
	case "link":
		return answer(`{"content":[{"type":"resource_link","uri":"desk://a","name":"a"},{"type":"resource","resource":{"uri":"desk://b","text":""}},{"type":"text","text":"desk://c"}]%s}`, complete)
	case "job":
		if complete != "" {
			return answer(`{"resultType":"task","taskId":"t__1","status":"working"}`)
		}
		return answer(`{"task":{"taskId":"t__1","status":"working"}}`)
	}
	return answer(`{"content":[]%s}`, complete)
}

func orEmpty(v sallyport.Value) []byte {
	if v.Type() == sallyport.Absent {
		return []byte("{}")
	}
	return v.Raw()
}

// listen acknowledges what is asked for and then tells what changes says.
func (w *world) listen(ctx context.Context, call *sallyport.Call, client gateway.Client) (gateway.Answer, error) {
	wants := call.Params.Get("notifications")
	ack := fmt.Sprintf(`{"_meta":{"io.modelcontextprotocol/subscriptionId":77},"notifications":%s}`, wants.Raw())
	if err := client.Tell(ctx, message("notifications/subscriptions/acknowledged", ack)); err != nil {
		return gateway.Answer{}, err
	}
	for {
		select {
		case m := <-w.changes:
			if err := client.Tell(ctx, m); err != nil {
				return gateway.Answer{}, err
			}
		case <-ctx.Done():
			return gateway.Answer{}, ctx.Err()
		}
	}
}

// Query is what the servers answer without a ticket.
func (w *world) Query(_ context.Context, q *gateway.Query) (gateway.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[q.Server] {
		return gateway.Answer{}, errors.New("can't be reached")
	}
	if strings.HasPrefix(q.Method, "notifications/") {
		w.notes = append(w.notes, q.Server+" "+q.Method)
		return gateway.Answer{}, nil
	}
	switch q.Method {
	case "initialize":
		return gateway.Answer{Result: hellos[q.Server]}, nil
	case "server/discover":
		if q.Params.Get("_meta").Type() != sallyport.Object || q.Params.Get("arguments").Type() != sallyport.Absent {
			return answer(`{}`) // as of servers that know no such request
		}
		h := hellos[q.Server]
		return answer(`{"supportedVersions":["2026-07-28"],"capabilities":%s,"instructions":%s,"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":%s}}`,
			h.Get("capabilities").Raw(), h.Get("instructions").Raw(), h.Get("serverInfo").Raw())
	case "tools/list":
		half := (len(tools[q.Server]) + 1) / 2 // two pages
		if q.Params.Get("cursor").Type() == sallyport.Absent && half > 1 {
			return answer(`{"tools":[%s],"nextCursor":"more","ttlMs":60000,"cacheScope":"public"}`, strings.Join(tools[q.Server][:half], ","))
		}
		if half == 1 {
			half = 0
		}
		return answer(`{"tools":[%s],"ttlMs":30000,"cacheScope":"public"}`, strings.Join(tools[q.Server][half:], ","))
	case "prompts/list":
		return answer(`{"prompts":[%s]}`, prompt.Raw())
	case "resources/list":
		return answer(`{"resources":[{"uri":"%s://a","name":"a"}]}`, q.Server)
	case "resources/templates/list":
		return answer(`{"resourceTemplates":[%s]}`, template.Raw())
	case "tasks/get":
		return answer(`{"resultType":"complete","taskId":%s,"status":"completed","result":{"content":[{"type":"resource_link","uri":"desk://a"}]}}`, q.Params.Get("taskId").Raw())
	case "tasks/list":
		return answer(`{"tasks":[{"taskId":"t__1","status":"working"}]}`)
	}
	return answer(`{}`)
}

// reply is what an agent got by HTTP.
type got struct {
	status  int
	kind    string
	header  http.Header
	body    string   // of plain answers
	events  []string // data of an event stream, in order
	ids     []string // of the events
	lastErr error
}

// last is the answer, however it came.
func (g got) last() string {
	if len(g.events) > 0 {
		return g.events[len(g.events)-1]
	}
	return g.body
}

func (g got) value(t testing.TB) sallyport.Value {
	t.Helper()
	v, err := sallyport.Parse([]byte(g.last()))
	if err != nil {
		t.Fatalf("%v in %+v", err, g)
	}
	return v
}

// agent is an agent as thin as can be.
type agent struct {
	w       *world
	path    string
	token   string
	session string
	headers map[string]string
}

func (a *agent) request(ctx context.Context, method, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, a.w.url+a.path, strings.NewReader(body))
	if err != nil {
		a.w.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.session != "" {
		r.Header.Set("Mcp-Session-Id", a.session)
	}
	for name, value := range a.headers {
		if value == "" {
			r.Header.Del(name)
		} else {
			r.Header.Set(name, value)
		}
	}
	return r
}

func (a *agent) do(r *http.Request) got {
	a.w.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return got{lastErr: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	g := got{status: response.StatusCode, kind: response.Header.Get("Content-Type"), header: response.Header, body: string(text), lastErr: err}
	if g.kind == "text/event-stream" {
		for block := range strings.SplitSeq(g.body, "\n\n") {
			for line := range strings.SplitSeq(block, "\n") {
				if data, ok := strings.CutPrefix(line, "data: "); ok && data != "" {
					g.events = append(g.events, data)
				}
				if id, ok := strings.CutPrefix(line, "id: "); ok {
					g.ids = append(g.ids, id)
				}
			}
		}
	}
	return g
}

func (a *agent) post(body string) got {
	return a.do(a.request(context.Background(), http.MethodPost, body))
}

// rpc sends a request of the session era.
func (a *agent) rpc(id, method, params string) got {
	return a.post(string(wire.AppendRequest(nil, []byte(id), method, []byte(params))))
}

// connect begins a session on a path.
func (w *world) connect(path, token, capabilities string) *agent {
	w.t.Helper()
	a := &agent{w: w, path: path, token: token}
	g := a.rpc("0", "initialize", `{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`,"clientInfo":{"name":"t","version":"1"}}`)
	if a.session = g.header.Get("Mcp-Session-Id"); g.status != 200 || a.session == "" {
		w.t.Fatalf("initialize: %+v", g)
	}
	if g := a.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); g.status != 202 {
		w.t.Fatalf("initialized: %+v", g)
	}
	return a
}

// modern sends a request of the stateless era with all that belongs to it.
func (w *world) modern(path, token, capabilities string) *agent {
	return &agent{w: w, path: path, token: token, headers: map[string]string{"Mcp-Protocol-Version": "2026-07-28", "x-capabilities": capabilities}}
}

func (a *agent) meta() string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` + a.headers["x-capabilities"] + `}`
}

// ask sends a request of the stateless era; params are members without braces.
func (a *agent) ask(ctx context.Context, id, method, name, params string) *http.Request {
	if params != "" {
		params += ","
	}
	r := a.request(ctx, http.MethodPost, string(wire.AppendRequest(nil, []byte(id), method, []byte("{"+params+a.meta()+"}"))))
	r.Header.Set("Mcp-Method", method)
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	return r
}

func (a *agent) modernCall(tool, arguments string) got {
	return a.do(a.ask(context.Background(), "1", "tools/call", tool, `"name":"`+tool+`","arguments":`+arguments))
}

func want(t testing.TB, what, got, expected string) {
	t.Helper()
	if got != expected {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, expected)
	}
}

// The runs of these tests have no memory.
func (w *world) Flow(context.Context, *sallyport.Call, *sallyport.Definition) *sallyport.Flow {
	return nil
}
func (w *world) Did(*sallyport.Call, *sallyport.Definition, *sallyport.Flow) {}
func (w *world) Saw(*sallyport.Call, sallyport.Value, []string)              {}
func (w *world) Heard(context.Context, *sallyport.Call, sallyport.Value, []string) error {
	return nil
}
func (w *world) Arguments(_ context.Context, call *sallyport.Call, _ *sallyport.Definition) []sallyport.Finding {
	return inspect.Value(call.Args).Findings
}
func (w *world) Result(_ context.Context, _ *sallyport.Call, result sallyport.Value) *inspect.Seen {
	return inspect.Value(result)
}
