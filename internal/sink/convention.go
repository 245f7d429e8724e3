package sink

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"sallyport"
)

// This file alone knows OpenTelemetry's names for generative AI and MCP. They
// are in Development (repository semantic-conventions-genai, 2026), so they
// stand in one place. Conventions is the version of this mapping.
const Conventions = "genai-mcp-2026-08"

const (
	operationDuration = "mcp.server.operation.duration"

	serviceName    = attribute.Key("service.name")
	serviceVersion = attribute.Key("service.version")
	methodName     = attribute.Key("mcp.method.name")
	toolName       = attribute.Key("gen_ai.tool.name")
	promptName     = attribute.Key("gen_ai.prompt.name")
	operationName  = attribute.Key("gen_ai.operation.name")
	errorTypeKey   = attribute.Key("error.type")
	agentName      = attribute.Key("gen_ai.agent.name")

	serverKey  = attribute.Key("sallyport.server")
	verdictKey = attribute.Key("sallyport.verdict")
	causeKey   = attribute.Key("sallyport.cause")
	callKey    = attribute.Key("sallyport.call")
	runKey     = attribute.Key("sallyport.run")
)

var methods = map[sallyport.Kind]string{
	sallyport.KindTool: "tools/call", sallyport.KindPrompt: "prompts/get",
	sallyport.KindResource: "resources/read", sallyport.KindSubscribe: "resources/subscribe",
	sallyport.KindCompletion: "completion/complete",
}

func method(entry *sallyport.Entry) string {
	if name, known := methods[entry.Kind]; known {
		return name
	}
	return entry.Name // of an ask: its method
}

// spanName is "{mcp.method.name} {gen_ai.tool.name}".
func spanName(entry *sallyport.Entry) string {
	if entry.Kind == sallyport.KindTool || entry.Kind == sallyport.KindPrompt {
		return method(entry) + " " + entry.Name
	}
	return method(entry)
}

func spanAttributes(entry *sallyport.Entry, failure string) []attribute.KeyValue {
	attributes := append(named(entry), callKey.String(entry.Call), runKey.String(entry.Run),
		agentName.String(entry.Principal.Agent))
	if entry.Kind == sallyport.KindTool {
		attributes = append(attributes, operationName.String("execute_tool"))
	}
	if failure != "" {
		attributes = append(attributes, errorTypeKey.String(failure))
	}
	return attributes
}

// nameless reports whether an entry names what nobody pinned. Such names are
// left out: an agent that invents names must not grow our metrics.
func nameless(entry *sallyport.Entry) bool {
	switch entry.Cause {
	case sallyport.CauseUnknown, sallyport.CausePin, sallyport.CauseServer, sallyport.CauseMethod:
		return true
	default:
		return false
	}
}

// named are the attributes of bounded number.
func named(entry *sallyport.Entry) []attribute.KeyValue {
	attributes := []attribute.KeyValue{methodName.String(method(entry)), serverKey.String(entry.Server)}
	if nameless(entry) {
		return attributes[:1]
	}
	switch entry.Kind {
	case sallyport.KindTool:
		attributes = append(attributes, toolName.String(entry.Name))
	case sallyport.KindPrompt:
		attributes = append(attributes, promptName.String(entry.Name))
	}
	return attributes
}

// seriesCache remembers the attributes of each series of a metric: making and
// sorting them costs more than counting. It is as large as the metrics are.
type seriesCache struct{ known sync.Map } // series → metric.MeasurementOption

// series is what tells one series from another.
type series struct {
	entryType            sallyport.EntryType
	method, server, name string
	verdict              sallyport.Verdict
	cause                sallyport.Cause
	outcome              sallyport.Outcome
}

func (c *seriesCache) of(entry *sallyport.Entry) metric.MeasurementOption {
	key := series{entry.Type, method(entry), entry.Server, entry.Name, entry.Verdict, entry.Cause, entry.Outcome}
	switch {
	case nameless(entry):
		key.server, key.name = "", ""
	case entry.Kind != sallyport.KindTool && entry.Kind != sallyport.KindPrompt:
		key.name = ""
	}
	if option, known := c.known.Load(key); known {
		return option.(metric.MeasurementOption)
	}
	attributes := named(entry)
	if entry.Type == sallyport.Closed {
		if entry.Outcome != sallyport.OutcomeOK {
			attributes = append(attributes, errorTypeKey.String(errorType(entry.Outcome)))
		}
	} else {
		attributes = append(attributes, verdictKey.String(entry.Verdict.String()))
		if entry.Cause != "" {
			attributes = append(attributes, causeKey.String(string(entry.Cause)))
		}
	}
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	c.known.Store(key, option)
	return option
}

// errorType is "tool_error" where the tool itself said isError.
func errorType(outcome sallyport.Outcome) string {
	if outcome == sallyport.OutcomeToolErr {
		return "tool_error"
	}
	return string(outcome)
}

func setStatus(span trace.Span, failure string) {
	if failure != "" {
		span.SetStatus(codes.Error, failure)
	}
}

// parent puts the agent's W3C trace context in force.
func parent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
