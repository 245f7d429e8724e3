package shim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint is a server that a test can swap and that remembers requests.
type endpoint struct {
	url     string
	handler atomic.Pointer[http.HandlerFunc]
	mu      sync.Mutex
	seen    []*http.Request
}

func listen(t *testing.T, handler http.HandlerFunc) *endpoint {
	e := &endpoint{}
	e.handler.Store(&handler)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.seen = append(e.seen, r)
		e.mu.Unlock()
		(*e.handler.Load())(w, r)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *endpoint) header(i int, name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.seen[i].Header.Values(name), "|")
}

// client is the client's end of the pipes.
type client struct {
	t     *testing.T
	in    *io.PipeWriter
	out   *bufio.Reader
	ended chan error
}

func run(t *testing.T, url string) *client {
	theirIn, in := io.Pipe()
	out, theirOut := io.Pipe()
	c := &client{t, in, bufio.NewReader(out), make(chan error, 1)}
	go func() {
		c.ended <- Run(context.Background(), theirIn, theirOut, url, "secret")
		theirOut.Close()
	}()
	t.Cleanup(func() { in.Close(); out.Close(); <-c.ended })
	return c
}

func (c *client) say(text string) {
	if _, err := io.WriteString(c.in, text+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear() string {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (c *client) want(expected string) {
	c.t.Helper()
	if got := c.hear(); got != expected {
		c.t.Errorf("got  %s\nwant %s", got, expected)
	}
}

func json(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

const claim = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func TestBytesPass(t *testing.T) {
	var body atomic.Value
	e := listen(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body.Store(string(text))
		json(w, http.StatusOK, "{\"jsonrpc\":\"2.0\",\r\n \"id\":1,\"result\":{\"n\":9007199254740993}}")
	})
	c := run(t, e.url)
	c.say(`{"jsonrpc":"2.0",  "id":1,"method":"tools/call","params":{"name":"Zürich","arguments":{"n":9007199254740993},` + claim + `}}`)
	c.want(`{"jsonrpc":"2.0",   "id":1,"result":{"n":9007199254740993}}`)
	if got := body.Load().(string); !strings.HasPrefix(got, `{"jsonrpc":"2.0",  "id":1,`) {
		t.Errorf("the gateway got %s", got)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer secret", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call",
		"Mcp-Name": "=?base64?WsO8cmljaA==?=", "Mcp-Session-Id": "",
	} {
		if got := e.header(0, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	c.say(`{"jsonrpc":"2.0","id":1,"id":2}`) // what is malformed is the gateway's to refuse
	c.hear()
}

func TestParamHeaders(t *testing.T) {
	e := listen(t, func(w http.ResponseWriter, r *http.Request) {
		json(w, http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"properties":{"where":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"Count"}}}}]}}`)
	})
	c := run(t, e.url)
	c.say(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + claim + `}}`)
	c.hear()
	c.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"where":" eu","n":null},` + claim + `}}`)
	c.hear()
	if got := e.header(1, "Mcp-Param-Region") + e.header(1, "Mcp-Param-Count"); got != "=?base64?IGV1?=" {
		t.Errorf("headers: %q", got)
	}
}

func TestErrorsAreAnswers(t *testing.T) {
	e := listen(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Mcp-Name") {
		case "redirect":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusTemporaryRedirect)
		case "html":
			w.Header().Set("Content-Type", "text/html")
		case "refused":
			json(w, http.StatusUnauthorized, `{"jsonrpc":"2.0","id":1,"error":{"code":-31001,"message":"no"}}`)
		}
	})
	c := run(t, e.url)
	for _, name := range []string{"redirect", "html"} {
		c.say(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + name + `",` + claim + `}}`)
		if got := c.hear(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":7,"error":{"code":-31002,"message":"the gateway answered HTTP`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	c.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refused",` + claim + `}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"error":{"code":-31001,"message":"no"}}`)
	gone := run(t, "http://127.0.0.1:1/mcp")
	gone.say(`{"jsonrpc":"2.0","id":8,"method":"ping"}`)
	if got := gone.hear(); !strings.Contains(got, `"id":8`) || !strings.Contains(got, "can't be reached") {
		t.Errorf("nobody there: %s", got)
	}
}

// A stream that breaks off is resumed; cancelling in the stateless era closes
// the stream.
func TestStreams(t *testing.T) {
	closed := make(chan struct{})
	e := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			return
		}
		if r.Method == http.MethodGet && r.Header.Get("Last-Event-Id") == "" {
			http.Error(w, "", http.StatusMethodNotAllowed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		switch {
		case r.Method == http.MethodGet:
			fmt.Fprintf(w, ": hi\n\nid: 3\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{\"after\":%q}}\n\n", r.Header.Get("Last-Event-Id"))
		case strings.Contains(string(body), `"initialize"`):
			w.Header().Set("Mcp-Session-Id", "s1")
			fmt.Fprint(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"2025-11-25\"}}\n\n")
		case strings.Contains(string(body), `"slow"`):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(closed)
		default:
			fmt.Fprint(w, "id: 1\ndata: \n\nid: 2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n")
		}
	})
	c := run(t, e.url)
	c.say(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`)
	c.want(`{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}`)
	c.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`)
	c.want(`{"jsonrpc":"2.0","method":"notifications/progress"}`)
	c.want(`{"jsonrpc":"2.0", "id":1,"result":{"after":"2"}}`)

	s := run(t, e.url)
	s.say(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"slow",` + claim + `}}`)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		e.mu.Lock()
		n := len(e.seen)
		e.mu.Unlock()
		if n > 4 || time.Now().After(end) {
			break
		}
	}
	s.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}`)
	<-closed
}

// After a restart of the gateway the session begins anew, and the client
// notices nothing.
func TestRestart(t *testing.T) {
	build := func() http.HandlerFunc {
		server := mcp.NewServer(&mcp.Implementation{Name: "s", Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(in["x"])}}}, nil, nil
		})
		t.Cleanup(func() {
			for session := range server.Sessions() {
				session.Close()
			}
		})
		return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil).ServeHTTP
	}
	e := listen(t, build())
	theirIn, in := io.Pipe()
	out, theirOut := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Run(context.Background(), theirIn, theirOut, e.url, ""); theirOut.Close() }()
	t.Cleanup(func() { in.Close(); out.Close() })
	session, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(),
		&mcp.IOTransport{Reader: out, Writer: in}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"x": "y"}})
		if err != nil || r.Content[0].(*mcp.TextContent).Text != "y" {
			t.Fatalf("%v %+v", err, r)
		}
		restarted := build()
		e.handler.Store(&restarted)
	}
	session.Close()
	if err := <-ended; err != nil {
		t.Errorf("exit: %v", err)
	}
}
