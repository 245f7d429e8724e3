package mcpdoor

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport"
	"sallyport/internal/shim"
	"sallyport/internal/wire"
)

// withToken adds the agent's token to requests.
type withToken string

func (token withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

// over connects a client by one of the transports.
func (w *world) over(t *testing.T, transport, server string) mcp.Transport {
	endpoint := strings.TrimSuffix(w.url+"/mcp/"+server, "/")
	if transport == "http" {
		return &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: withToken(anaToken)}}
	}
	theirIn, in := io.Pipe()
	out, theirOut := io.Pipe()
	served := make(chan error, 1)
	go func() {
		defer theirOut.Close()
		if transport == "shim" {
			served <- shim.Run(context.Background(), theirIn, theirOut, endpoint, anaToken)
			return
		}
		served <- w.door.ServeStdio(context.Background(), theirIn, theirOut, sallyport.Credential{Token: anaToken}, server)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", transport, err)
		}
	})
	return &mcp.IOTransport{Reader: out, Writer: in}
}

// A real client, in both eras, by each transport, on one server and on all.
func TestRealClient(t *testing.T) {
	w := serve(t, Options{})
	for _, revision := range []string{wire.Revision20250618, wire.Revision20251125, wire.Stateless} {
		for _, server := range []string{"desk", ""} {
			for _, transport := range []string{"http", "stdio", "shim"} {
				t.Run(revision+" "+transport+" /"+server, func(t *testing.T) {
					realClient(t, w, w.over(t, transport, server), revision, server == "")
				})
			}
		}
	}
}

func realClient(t *testing.T, w *world, over mcp.Transport, revision string, all bool) {
	var progress, changed atomic.Int32
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"really": "yes"}}, nil
		},
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { progress.Add(1) },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { changed.Add(1) },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	session, err := client.Connect(ctx, over, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if got := session.InitializeResult().ProtocolVersion; got != revision {
		t.Errorf("speaks %s, want %s", got, revision)
	}
	prefix := ""
	if all {
		prefix = "desk__"
	}
	count := 0
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if !strings.HasPrefix(tool.Name, prefix) && !strings.HasPrefix(tool.Name, "cloud__") {
			t.Errorf("tool %s", tool.Name)
		}
	}
	if wanted := len(tools["desk"]) + len(tools["cloud"]); count != wanted && count != len(tools["desk"]) {
		t.Errorf("%d tools", count)
	}
	call := func(tool string, args map[string]any, meta mcp.Meta) *mcp.CallToolResult {
		t.Helper()
		if args == nil {
			args = map[string]any{}
		}
		r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: prefix + tool, Arguments: args, Meta: meta})
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		return r
	}
	if r := call("echo", map[string]any{"text": "hi"}, nil); r.IsError || r.StructuredContent.(map[string]any)["text"] != "hi" {
		t.Errorf("echo: %+v", r)
	}
	if r := call("refund", map[string]any{"amount": 500}, nil); !r.IsError || !strings.Contains(r.Content[0].(*mcp.TextContent).Text, "small-refunds") {
		t.Errorf("refund: %+v", r)
	}
	call("count", nil, mcp.Meta{"progressToken": "p"})
	w.until(func() bool { return progress.Load() == 3 })
	if r := call("ask", map[string]any{"of": "elicitation/create"}, nil); r.IsError || r.StructuredContent.(map[string]any)["action"] != "accept" {
		t.Errorf("ask: %+v", r)
	}
	if r := call("region", map[string]any{"where": "Zürich"}, nil); r.IsError {
		t.Errorf("region: %+v", r)
	}
	if _, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: prefix + "draft"}); err != nil {
		t.Errorf("prompt: %v", err)
	}
	uri := "desk://a"
	if all {
		uri = "sallyport:desk/" + uri
	}
	if r, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri}); err != nil || r.Contents[0].URI != uri {
		t.Errorf("resource: %v %+v", err, r)
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "nowhere"}); all && err == nil {
		t.Error("a tool that is nowhere was called")
	}
	slow, stop := context.WithTimeout(ctx, 30*time.Millisecond)
	defer stop()
	if _, err := session.CallTool(slow, &mcp.CallToolParams{Name: prefix + "slow"}); err == nil {
		t.Error("the slow tool answered")
	}
	if r := call("echo", nil, nil); r.IsError {
		t.Error("nothing works after a cancelled call")
	}
}

// The Go SDK's client hears that people are asked in every way that it declares,
// by each transport, in both eras, and gets the tool's own result.
func TestRealClientWaitsForPeople(t *testing.T) {
	for _, revision := range []string{wire.Revision20251125, wire.Stateless} {
		for _, transport := range []string{"http", "stdio", "shim"} {
			for _, way := range []string{"progress", "page", "form", "neither"} {
				t.Run(revision+" "+transport+" "+way, func(t *testing.T) {
					w := serve(t, patient(t, "20s"))
					w.forbid(t, asks)
					waits(t, w, w.over(t, transport, "desk"), revision, way)
				})
			}
		}
	}
}

func waits(t *testing.T, w *world, over mcp.Transport, revision, way string) {
	var progress, pages atomic.Int32
	options := &mcp.ClientOptions{ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { progress.Add(1) }}
	if way == "page" {
		options.Capabilities = &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}}
		options.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if strings.HasPrefix(r.Params.URL, "https://gate.example/console/approvals/a_") {
				pages.Add(1)
			}
			return &mcp.ElicitResult{Action: "accept"}, nil
		}
	}
	if way == "form" {
		w.forms = forms{w, "WRITE with desk / echo?"}
		options.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"approve": r.Params.Message == w.forms.text}}, nil
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	session, err := client.Connect(ctx, over, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call := func() *mcp.CallToolResult {
		params := &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"n": 12}}
		if way == "progress" {
			params.Meta = mcp.Meta{"progressToken": "p"}
		}
		result, err := session.CallTool(ctx, params)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	agreed := make(chan struct{})
	go func() {
		defer close(agreed)
		if way != "form" {
			w.say(sallyport.Approved)
		}
	}()
	r := call()
	<-agreed
	if way == "neither" {
		if r.StructuredContent != nil || r.IsError {
			t.Errorf("not told to wait: %+v", r)
		}
		r = call()
	}
	if r.StructuredContent == nil {
		t.Errorf("got %+v", r)
	}
	want(t, "server", w.seen(), `desk tools/call echo {"n":12}`)
	if (progress.Load() > 0) != (way == "progress") || (pages.Load() == 1) != (way == "page") {
		t.Errorf("heard of %d, shown %d pages", progress.Load(), pages.Load())
	}
}
