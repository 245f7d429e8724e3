package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

// childMode is the environment variable that makes the test binary a server.
const childMode = "UPSTREAM_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		beChild(mode)
		return
	}
	goleak.VerifyTestMain(m)
}

// seen is what a test server was asked, in order. With a file it is shared
// between processes.
type seen struct {
	mu   sync.Mutex
	file string
	all  []asked
}

type asked struct {
	Method, Session, Params string
	Header                  http.Header
}

func (s *seen) note(method, session, params string, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := asked{method, session, params, header}
	s.all = append(s.all, a)
	if s.file == "" {
		return
	}
	f, err := os.OpenFile(s.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(a); err != nil {
		panic(err)
	}
}

func (s *seen) calls() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == "" {
		return slices.Clone(s.all)
	}
	var all []asked
	text, _ := os.ReadFile(s.file)
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var a asked
		if d.Decode(&a) != nil {
			break // half written
		}
		all = append(all, a)
	}
	return all
}

func (s *seen) methods() string {
	var all []string
	for _, a := range s.calls() {
		all = append(all, a.Method)
	}
	return strings.Join(all, " ")
}

func (s *seen) count(method string) int {
	n := 0
	for _, a := range s.calls() {
		if a.Method == method {
			n++
		}
	}
	return n
}

func (s *seen) last(method string) (last asked) {
	for _, a := range s.calls() {
		if a.Method == method {
			last = a
		}
	}
	return last
}

func (s *seen) sessions() int {
	all := map[string]bool{}
	for _, a := range s.calls() {
		all[a.Session] = true
	}
	return len(all)
}

var (
	oldRevisions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}
	newRevisions = []string{"2026-07-28"}
	allRevisions = append(slices.Clone(newRevisions), oldRevisions...)
)

type echoArgs struct {
	Text string `json:"text"`
}

// newPeer makes an SDK server with a tool for each thing that can happen under a call.
func newPeer(revisions []string, log *seen) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "peer", Version: "1"}, &mcp.ServerOptions{
		Instructions:              "be kind",
		SupportedProtocolVersions: revisions,
		SubscribeHandler:          func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler:        func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{r.Params.Argument.Value + "!"}}}, nil
		},
		PageSize: 3,
	})
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			params, _ := json.Marshal(r.GetParams())
			var header http.Header
			if extra := r.GetExtra(); extra != nil {
				header = extra.Header
			}
			log.note(method, r.GetSession().ID(), string(params), header)
			return next(ctx, method, r)
		}
	})
	text := func(format string, args ...any) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
	}
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
		return text("%s", in.Text), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "count"}, func(ctx context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		for i := range 3 {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i + 1), Total: 3})
		}
		return text("counted"), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "log"}, func(ctx context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		//lint:ignore SA1019 servers of the session era still log this way
		_ = r.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: "working"})
		return text("logged"), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "ask"}, func(_ context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		answer, ok := r.Params.InputResponses["name"].(*mcp.ElicitResult)
		if !ok {
			return &mcp.CallToolResult{RequestState: "st\u00e4te", InputRequests: mcp.InputRequestMap{"name": &mcp.ElicitParams{
				Message: "Your name?", RequestedSchema: &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{"name": {Type: "string"}}},
			}}}, nil, nil
		}
		return text("%s %v %s", answer.Action, answer.Content["name"], r.Params.RequestState), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "sample"}, func(_ context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		//lint:ignore SA1019 deprecated, and alive for a year
		answer, ok := r.Params.InputResponses["text"].(*mcp.CreateMessageWithToolsResult)
		if !ok {
			//lint:ignore SA1019 the same
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"text": &mcp.CreateMessageParams{MaxTokens: 9, Messages: []*mcp.SamplingMessage{
				{Role: "user", Content: &mcp.TextContent{Text: "Say hi."}}}}}}, nil, nil
		}
		return text("%s %s", answer.Model, answer.Content[0].(*mcp.TextContent).Text), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "roots"}, func(_ context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		//lint:ignore SA1019 deprecated, and alive for a year
		answer, ok := r.Params.InputResponses["roots"].(*mcp.ListRootsResult)
		if !ok {
			//lint:ignore SA1019 the same
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"roots": &mcp.ListRootsParams{}}}, nil, nil
		}
		return text("%s", answer.Roots[0].URI), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "touch"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		return text("touched"), nil, server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "test://r"})
	})
	mcp.AddTool(server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		select {
		case <-ctx.Done():
			log.note("wait cancelled", "", "", nil)
		case <-time.After(20 * time.Second):
		}
		return nil, nil, ctx.Err()
	})
	mcp.AddTool(server, &mcp.Tool{Name: "grow"}, func(_ context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		mcp.AddTool(server, &mcp.Tool{Name: "zgrown"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return text("grown"), nil, nil
		})
		return text("grew"), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "region", InputSchema: json.RawMessage(`{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"object","properties":{"level":{"type":"integer","x-mcp-header":"Level"}}}}}`)},
		func(_ context.Context, r *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			return text("%s", r.Params.Arguments), nil, nil
		})
	server.AddPrompt(&mcp.Prompt{Name: "greet"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "hi"}}}}, nil
	})
	server.AddResource(&mcp.Resource{Name: "r", URI: "test://r"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "test://r", Text: "content"}}}, nil
	})
	server.AddResourceTemplate(&mcp.ResourceTemplate{Name: "t", URITemplate: "test://t/{id}"}, func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return nil, mcp.ResourceNotFoundError(r.Params.URI)
	})
	return server
}

// ways are the transports and eras in which a peer is reached.
var ways = map[string]func(t testing.TB, peer func([]string) *mcp.Server) Server{
	"http old": func(t testing.TB, peer func([]string) *mcp.Server) Server {
		return Server{URL: serve(t, streamable(peer(oldRevisions), false))}
	},
	"http new": func(t testing.TB, peer func([]string) *mcp.Server) Server {
		return Server{URL: serve(t, streamable(peer(newRevisions), true))}
	},
	"http both": func(t testing.TB, peer func([]string) *mcp.Server) Server {
		return Server{URL: serve(t, bothEras(peer(oldRevisions), peer(newRevisions)))}
	},
	"sse": func(t testing.TB, peer func([]string) *mcp.Server) Server {
		server := peer(oldRevisions)
		return Server{URL: serve(t, mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return server }, nil))}
	},
	"inside old": func(_ testing.TB, peer func([]string) *mcp.Server) Server { return inProcess(peer, oldRevisions) },
	"inside new": func(_ testing.TB, peer func([]string) *mcp.Server) Server { return inProcess(peer, newRevisions) },
	"inside both": func(_ testing.TB, peer func([]string) *mcp.Server) Server {
		return inProcess(peer, allRevisions)
	},
	"stdio old": func(_ testing.TB, peer func([]string) *mcp.Server) Server { return childServer("old") },
	"stdio new": func(_ testing.TB, peer func([]string) *mcp.Server) Server { return childServer("new") },
}

// childServer is the test binary as a server.
func childServer(mode string) Server {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Server{Command: self, Env: map[string]string{childMode: mode}}
}

func streamable(server *mcp.Server, stateless bool) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: stateless, PropagateRequestCancellation: true})
}

// bothEras serves both eras on one URL, as the TypeScript SDK does.
func bothEras(old, stateless *mcp.Server) http.Handler {
	legacy, modern := streamable(old, false), streamable(stateless, true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") != wire.Stateless {
			legacy.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Mcp-Method") != "server/discover" {
			modern.ServeHTTP(w, r)
			return
		}
		record := httptest.NewRecorder()
		modern.ServeHTTP(record, r)
		maps.Copy(w.Header(), record.Header())
		w.WriteHeader(record.Code)
		body := record.Body.String()
		_, _ = io.WriteString(w, strings.Replace(body, `"2026-07-28"]`, `"2026-07-28","2025-11-25"]`, 1))
	})
}

func serve(t testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func inProcess(peer func([]string) *mcp.Server, revisions []string) Server {
	server := peer(revisions)
	return Server{Serve: func(ctx context.Context, in io.Reader, out io.Writer) error {
		return server.Run(ctx, &mcp.IOTransport{Reader: io.NopCloser(in), Writer: nopCloser{out}})
	}}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// heard is one thing that was said outside any call.
type heard struct {
	server, session, user string
	message               wire.Message
}

type hall struct {
	*Servers
	heard chan heard
	logs  *logBuffer
	kills kill.Switch
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newHall wires Servers for a test and closes them at its end.
func newHall(t testing.TB, servers ...Server) *hall {
	h := &hall{heard: make(chan heard, 256), logs: &logBuffer{}}
	h.Servers = New(Options{
		Version: "0", Kills: &h.kills,
		Log: slog.New(slog.NewJSONHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Heard: func(server, session string, p sallyport.Principal, m wire.Message) {
			select {
			case h.heard <- heard{server, session, p.User, m}:
			default:
			}
		},
	})
	h.grace = 300 * time.Millisecond
	t.Cleanup(h.Close)
	for i := range servers {
		if servers[i].Name == "" {
			servers[i].Name = "peer"
		}
	}
	if err := h.Configure(servers); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hall) waitHeard(t testing.TB, method string) heard {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case x := <-h.heard:
			if x.message.Method == method {
				return x
			}
		case <-late:
			t.Fatalf("%s was never heard", method)
		}
	}
}

// agent is one end of the tests: who calls, from which session, in which era.
type agent struct {
	revision, session, user string
	server                  string
}

func (a agent) principal() sallyport.Principal {
	return sallyport.Principal{Agent: "bot", User: a.user, Tenant: "acme"}
}

func (a agent) serverName() string {
	if a.server == "" {
		return "peer"
	}
	return a.server
}

const declared2026 = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bot","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}},"sampling":{},"roots":{}}`

const declaredOld = `{"protocolVersion":"2025-11-25","clientInfo":{"name":"bot","version":"1"},"capabilities":{"elicitation":{"form":{}},"sampling":{},"roots":{}}}`

// params completes an object's text with what the agent's era demands.
func (a agent) params(text string) sallyport.Value {
	v := sallyport.MustParse(text)
	if !wire.IsStateless(a.revision) {
		return v
	}
	meta := v.Get("_meta")
	inner := "{" + declared2026
	for name, value := range meta.Members() {
		inner += "," + string(sallyport.AppendString(nil, name)) + ":" + string(value.Raw())
	}
	inner += "}"
	if meta.Type() != sallyport.Absent {
		return sallyport.MustParse(string(v.Splice(sallyport.Edit{Target: meta, With: []byte(inner)})))
	}
	if v.Len() > 0 {
		inner += ","
	}
	return sallyport.MustParse(`{"_meta":` + inner + text[1:])
}

func (a agent) execute(ctx context.Context, h *hall, method, params string, client gateway.Client) (gateway.Answer, error) {
	if client == nil {
		client = &clientEnd{}
	}
	call := &sallyport.Call{
		Server: a.serverName(), Method: method, Params: a.params(params),
		Principal: a.principal(), Session: a.session, Revision: a.revision,
	}
	return h.Execute(ctx, &gateway.Ticket{Call: call}, client)
}

func (a agent) query(ctx context.Context, h *hall, method, params string) (gateway.Answer, error) {
	return h.Query(ctx, &gateway.Query{
		Server: a.serverName(), Method: method, Params: a.params(params),
		Principal: a.principal(), Session: a.session, Revision: a.revision,
	})
}

// tool calls a tool and gives the text of its answer.
func (a agent) tool(t testing.TB, h *hall, name, arguments string, client gateway.Client) string {
	t.Helper()
	answer, err := a.execute(context.Background(), h, "tools/call", `{"name":"`+name+`","arguments":`+arguments+`}`, client)
	return textOf(t, answer, err)
}

func textOf(t testing.TB, answer gateway.Answer, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if answer.Error.Type() != sallyport.Absent {
		t.Fatalf("error answer: %s", answer.Error.Raw())
	}
	for _, item := range answer.Result.Get("content").Items() {
		text, _ := item.Get("text").Text()
		return text
	}
	t.Fatalf("no text in %s", answer.Result.Raw())
	return ""
}

// clientEnd is an agent's end of a call that keeps what it is told.
type clientEnd struct {
	mu     sync.Mutex
	told   []wire.Message
	asked  []wire.Message
	polls  []any
	answer func(ctx context.Context, m wire.Message) (gateway.Answer, error)
}

func (c *clientEnd) Tell(_ context.Context, m wire.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, m)
	return nil
}

func (c *clientEnd) Ask(ctx context.Context, m wire.Message) (gateway.Answer, error) {
	c.mu.Lock()
	c.asked = append(c.asked, m)
	c.mu.Unlock()
	if c.answer == nil {
		return gateway.Answer{}, errors.New("asked unexpectedly")
	}
	return c.answer(ctx, m)
}

func (c *clientEnd) Poll(retry time.Duration, resumable bool) {
	c.polls = append(c.polls, retry, resumable)
}

func (c *clientEnd) methods() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, m := range c.told {
		all = append(all, m.Method)
	}
	return all
}

type mcpServer = mcp.Server

var discard = slog.New(slog.DiscardHandler)
