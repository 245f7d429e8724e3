package sink

import (
	"context"

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

// named are the attributes of bounded number. The name of a tool that nobody
// pinned is left out: an agent that invents names must not grow our metrics.
func named(entry *sallyport.Entry) []attribute.KeyValue {
	attributes := []attribute.KeyValue{methodName.String(method(entry)), serverKey.String(entry.Server)}
	if entry.Cause == sallyport.CauseUnknown || entry.Cause == sallyport.CausePin || entry.Cause == sallyport.CauseServer || entry.Cause == sallyport.CauseMethod {
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

func operationAttributes(entry *sallyport.Entry) metric.MeasurementOption {
	attributes := named(entry)
	if entry.Outcome != sallyport.OutcomeOK {
		attributes = append(attributes, errorTypeKey.String(errorType(entry.Outcome)))
	}
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

func decisionAttributes(entry *sallyport.Entry) metric.MeasurementOption {
	attributes := append(named(entry), verdictKey.String(entry.Verdict.String()))
	if entry.Cause != "" {
		attributes = append(attributes, causeKey.String(string(entry.Cause)))
	}
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
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
