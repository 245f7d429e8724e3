package sink

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sallyport"
)

// collector is a small OTLP/HTTP collector.
type collector struct {
	mu      sync.Mutex
	spans   []*traces.Span
	metrics []string
	bodies  bytes.Buffer
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies.Write(body)
	switch r.URL.Path {
	case "/v1/traces":
		var request collecttraces.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	case "/v1/metrics":
		var request collectmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, resource := range request.ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				for _, metric := range scope.Metrics {
					c.metrics = append(c.metrics, metric.Name)
				}
			}
		}
	default:
		http.NotFound(w, r)
	}
}

func TestSinkTells(t *testing.T) {
	peer := &collector{}
	server := httptest.NewServer(peer)
	defer server.Close()
	var lines bytes.Buffer
	var told []string
	s, err := New(t.Context(), Config{
		OTLP: server.URL, Version: "test",
		Log:  slog.New(slog.NewJSONHandler(&lines, nil)),
		Line: func(e *sallyport.Entry) { told = append(told, e.Call) },
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := sallyport.Entry{
		Time: time.Now(), Type: sallyport.Intent, Call: "c_1", Kind: sallyport.KindTool, Server: "desk",
		Name: "get_ticket", Action: "desk/tool:get_ticket", Verdict: sallyport.Allow, Run: "r_1",
		Principal: sallyport.Principal{Agent: "bot", User: "ana"},
		Trace:     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	s.Decided(&entry)
	outcome := entry
	outcome.Type, outcome.Outcome, outcome.Took = sallyport.Closed, sallyport.OutcomeToolErr, 3*time.Millisecond
	s.Ended(&outcome)
	refusal := entry
	refusal.Type, refusal.Call, refusal.Name = sallyport.Refusal, "c_2", "made_up_by_the_agent"
	refusal.Verdict, refusal.Cause = sallyport.Deny, sallyport.CausePin
	s.Decided(&refusal)

	page := httptest.NewRecorder()
	s.Metrics().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}

	peer.mu.Lock()
	defer peer.mu.Unlock()
	if len(peer.spans) != 2 {
		t.Fatalf("%d spans arrived, want one per ended call: 2", len(peer.spans))
	}
	span := peer.spans[0]
	if span.Name != "tools/call get_ticket" || span.Kind != traces.Span_SPAN_KIND_SERVER {
		t.Errorf("span %q of kind %v", span.Name, span.Kind)
	}
	if took := time.Duration(span.EndTimeUnixNano - span.StartTimeUnixNano); took != 3*time.Millisecond {
		t.Errorf("span took %v", took)
	}
	if got := bytes.Compare(span.ParentSpanId, []byte("\xb7\xad\x6b\x71\x69\x20\x33\x31")); got != 0 {
		t.Errorf("parent span is %x: the agent's trace is lost", span.ParentSpanId)
	}
	attributes := map[string]string{}
	for _, a := range span.Attributes {
		attributes[a.Key] = a.Value.GetStringValue()
	}
	if attributes["error.type"] != "tool_error" || attributes["gen_ai.tool.name"] != "get_ticket" {
		t.Errorf("attributes %v", attributes)
	}
	if !strings.Contains(strings.Join(peer.metrics, " "), operationDuration) {
		t.Errorf("metrics arrived: %v", peer.metrics)
	}
	text := page.Body.String()
	if !strings.Contains(text, "mcp_server_operation_duration_seconds_count") || !strings.Contains(text, `sallyport_cause="pin"`) {
		t.Errorf("/metrics lacks a series:\n%s", text)
	}
	if strings.Contains(text, "made_up_by_the_agent") {
		t.Error("a name that the agent made up became a metric label: memory without bound")
	}
	if len(told) != 2 {
		t.Errorf("console lines for %v", told)
	}
	if strings.Count(lines.String(), "\n") != 2 || !strings.Contains(lines.String(), `"cause":"pin"`) {
		t.Errorf("structured lines:\n%s", lines.String())
	}
}
