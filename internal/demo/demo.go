// Package demo is what the demo MCP servers desk and cloud are built on: one MCP server over newline-delimited
// JSON-RPC, one lock around its state, a clock that only moves when something changes, and a journal of what arrived
// and what was really done, so that a test can say "nothing happened here" at the far end instead of at the door.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Epoch is the moment at which every demo server starts. Its clock advances one minute per effect and by nothing
// else, so the same calls always leave the same records.
var Epoch = time.Date(2026, time.November, 20, 9, 0, 0, 0, time.UTC)

// requestsKept bounds the memory of a demo server that is left running: older requests are forgotten.
const requestsKept = 1000

// An Effect is one change that a demo server really made.
type Effect struct {
	Tool    string    `json:"tool"`             // the tool that made it
	Tenant  string    `json:"tenant,omitempty"` // whose data changed
	Target  string    `json:"target"`           // id of the record that changed
	Summary string    `json:"summary"`
	At      time.Time `json:"at"`
	Record  any       `json:"record"` // what was stored: the mail, the refund, the instance
}

// A Request is one thing that a demo server was asked, whether it did it or not.
type Request struct {
	Method string          // "tools/call", "resources/read", …
	Params json.RawMessage // as the server understood them
}

// Server is a demo MCP server without tools. The zero value is not usable; see New.
type Server struct {
	mcp     *mcp.Server
	schemas map[reflect.Type]*jsonschema.Schema

	mu       sync.Mutex // guards what follows and the state of the server built on top
	now      time.Time
	effects  []Effect
	requests []Request
}

// New makes a server. The schemas say how Go types of tool inputs and outputs are shown; all other types get what
// jsonschema.For infers. Subscribing is allowed to resources for which readable reports true. complete may be nil.
func New(impl mcp.Implementation, instructions string, schemas map[reflect.Type]*jsonschema.Schema,
	readable func(uri string) bool, complete func(*mcp.CompleteParams) []string) *Server {
	s := &Server{now: Epoch, schemas: schemas}
	opts := &mcp.ServerOptions{
		Instructions: instructions,
		Capabilities: &mcp.ServerCapabilities{}, // nothing beyond what the features below imply
		SubscribeHandler: func(_ context.Context, r *mcp.SubscribeRequest) error {
			return s.subscribable(r.Params.URI, readable)
		},
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		SetCacheable: func(_ context.Context, r mcp.Request, c *mcp.Cacheable) {
			// Records belong to whoever asked; the SDK's default of "public" would let a shared cache hand them on.
			if _, read := r.(*mcp.ReadResourceRequest); read {
				*c = mcp.Cacheable{CacheScope: "private"}
			}
		},
	}
	if complete != nil {
		opts.CompletionHandler = func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return completion(complete(r.Params)), nil
		}
	}
	s.mcp = mcp.NewServer(&impl, opts)
	s.mcp.AddReceivingMiddleware(s.remember)
	return s
}

func (s *Server) subscribable(uri string, readable func(string) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !readable(uri) {
		return mcp.ResourceNotFoundError(uri)
	}
	return nil
}

// completion cuts values at 100, the most that completion/complete may carry.
func completion(values []string) *mcp.CompleteResult {
	details := mcp.CompletionResultDetails{Total: len(values), HasMore: len(values) > 100, Values: values}
	if details.HasMore {
		details.Values = values[:100]
	}
	if details.Values == nil {
		details.Values = []string{}
	}
	return &mcp.CompleteResult{Completion: details}
}

// Completing picks the candidates that begin with what was typed.
func Completing(typed string, candidates []string) []string {
	var found []string
	for _, c := range candidates {
		if strings.HasPrefix(c, typed) {
			found = append(found, c)
		}
	}
	return found
}

// Serve speaks newline-delimited JSON-RPC (MCP's stdio transport, both the initialize and the server/discover era)
// on in and out until in ends or ctx is done. Several Serve calls may share one server and its state. Serve owns in
// and out: whichever is an io.Closer is closed when it returns, so that the peer sees the end.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	err := s.mcp.Run(ctx, &mcp.IOTransport{Reader: readCloser(in), Writer: writeCloser(out)})
	for _, ended := range []error{context.Canceled, io.EOF, io.ErrClosedPipe} { // the ways in which a peer leaves
		if errors.Is(err, ended) {
			return nil
		}
	}
	return err
}

func readCloser(r io.Reader) io.ReadCloser {
	if rc, ok := r.(io.ReadCloser); ok {
		return rc
	}
	return io.NopCloser(r)
}

func writeCloser(w io.Writer) io.WriteCloser {
	if wc, ok := w.(io.WriteCloser); ok {
		return wc
	}
	return struct {
		io.Writer
		io.Closer
	}{w, io.NopCloser(nil)}
}

// Effects lists what has changed since the server was made, oldest first.
func (s *Server) Effects() []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Effect(nil), s.effects...)
}

// Requests lists the last requests and notifications that arrived, refused ones too, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

func (s *Server) remember(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
		params, err := json.Marshal(r.GetParams())
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", method, err)
		}
		s.mu.Lock()
		s.requests = append(s.requests, Request{Method: method, Params: params})
		s.requests = s.requests[max(0, len(s.requests)-requestsKept):]
		s.mu.Unlock()
		return next(ctx, method, r)
	}
}

// A Call is one tools/call while it runs, with the server's state locked.
type Call struct {
	*mcp.CallToolRequest
	Now time.Time // moves by a minute with Did

	server  *Server
	changed []string
}

// Did records an effect and the URIs of the resources that it changed, whose subscribers are told when the call ends.
func (c *Call) Did(e Effect, changed ...string) {
	e.Tool, e.At = c.Params.Name, c.Now
	c.server.effects = append(c.server.effects, e)
	c.Now = c.Now.Add(time.Minute)
	c.server.now = c.Now
	c.Changed(changed...)
}

// Changed names resources whose subscribers are told when the call ends.
func (c *Call) Changed(uris ...string) { c.changed = append(c.changed, uris...) }

// CanAsk reports whether the client can put a form before a person.
func (c *Call) CanAsk() bool {
	caps := c.ClientCapabilities()
	return caps != nil && caps.Elicitation != nil && (caps.Elicitation.Form != nil || caps.Elicitation.URL == nil)
}

// Answer is what a person answered to the question key; ok is false when nobody was asked yet.
func (c *Call) Answer(key string) (answer *mcp.ElicitResult, ok bool) {
	answer, ok = c.Params.InputResponses[key].(*mcp.ElicitResult)
	return answer, ok
}

// A Question ends a tool handler whose work needs a person's answer first: the client is asked and calls again.
type Question struct {
	Key  string
	Form *mcp.ElicitParams
}

func (q *Question) Error() string { return q.Form.Message }

// AddTool adds a tool whose handler runs alone, with the state of the server locked. Schemas are made from In and Out;
// In's struct tags `jsonschema:"…"` are the descriptions. An error of the handler becomes an isError result.
func AddTool[In, Out any](s *Server, t mcp.Tool, handle func(*Call, In) (Out, error)) {
	t.InputSchema = schemaOf[In](s.schemas)
	t.OutputSchema = schemaOf[Out](s.schemas)
	mcp.AddTool(s.mcp, &t, func(ctx context.Context, r *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		s.mu.Lock()
		c := &Call{CallToolRequest: r, Now: s.now, server: s}
		out, err := handle(c, in)
		s.mu.Unlock()
		// Told after the lock is gone: a subscriber reads the resource at once.
		for _, uri := range c.changed {
			_ = s.mcp.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri})
		}
		var q *Question
		if errors.As(err, &q) {
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{q.Key: q.Form}}, out, nil
		}
		return nil, out, err
	})
}

// AddResource adds a resource that read returns as a value to be shown as JSON.
func (s *Server) AddResource(r mcp.Resource, read func() any) {
	r.MIMEType = "application/json"
	s.mcp.AddResource(&r, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return JSONResource(req.Params.URI, read())
	})
}

// AddTemplate adds a family of resources; read reports false for a URI that names nothing.
func (s *Server) AddTemplate(t mcp.ResourceTemplate, read func(uri string) (any, bool)) {
	t.MIMEType = "application/json"
	s.mcp.AddResourceTemplate(&t, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		v, ok := read(req.Params.URI)
		if !ok {
			return nil, mcp.ResourceNotFoundError(req.Params.URI)
		}
		return JSONResource(req.Params.URI, v)
	})
}

// AddPrompt adds a prompt whose messages are made with the state of the server locked.
func (s *Server) AddPrompt(p mcp.Prompt, get func(args map[string]string) (*mcp.GetPromptResult, error)) {
	s.mcp.AddPrompt(&p, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return get(r.Params.Arguments)
	})
}

// JSONResource shows v as the one content of a resource.
func JSONResource(uri string, v any) (*mcp.ReadResourceResult, error) {
	contents, err := JSONContents(uri, v)
	if err != nil {
		return nil, err
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{contents}}, nil
}

// JSONContents shows v as indented JSON, characters of HTML unescaped: people read it.
func JSONContents(uri string, v any) (*mcp.ResourceContents, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("showing %s: %w", uri, err)
	}
	return &mcp.ResourceContents{URI: uri, MIMEType: "application/json", Text: text.String()}, nil
}

// EffectsOf lists the effects on one tenant's data. It is for resources, which run with the state locked.
func (s *Server) EffectsOf(tenant string) []Effect {
	found := []Effect{}
	for _, e := range s.effects {
		if e.Tenant == tenant {
			found = append(found, e)
		}
	}
	return found
}

// schemaOf makes the JSON Schema of T. It panics on a type that JSON can't show: a mistake in the demo itself.
func schemaOf[T any](types map[reflect.Type]*jsonschema.Schema) *jsonschema.Schema {
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: types})
	if err != nil {
		panic(err)
	}
	neverNull(schema)
	return schema
}

// neverNull drops the "null" that inference adds to slices. A union of types is opaque to policy, and no demo tool
// takes or gives null.
func neverNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	neverNull(s.Items)
	for _, p := range s.Properties {
		neverNull(p)
	}
}

// Money is an amount in hundredths of its currency, never negative: no sum passes through binary fractions.
type Money int64

// MoneySchema shows Money as a JSON number of at most max units of the currency. (No multipleOf: validators that
// divide floats refuse 0.07 as a multiple of 0.01. UnmarshalJSON is exact.)
func MoneySchema(max float64) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "number", ExclusiveMinimum: jsonschema.Ptr(0.0), Maximum: &max}
}

// String shows the amount with two decimals.
func (m Money) String() string { return fmt.Sprintf("%d.%02d", m/100, m%100) }

// MarshalJSON shows the amount as a number with two decimals.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalJSON takes a JSON number of at least 0 with at most two decimals.
func (m *Money) UnmarshalJSON(text []byte) error {
	amount, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return fmt.Errorf("%s is not an amount", text)
	}
	cents := amount.Mul(amount, big.NewRat(100, 1))
	if !cents.IsInt() || !cents.Num().IsInt64() || cents.Sign() < 0 {
		return fmt.Errorf("%s is not an amount with at most two decimals", text)
	}
	*m = Money(cents.Num().Int64())
	return nil
}
