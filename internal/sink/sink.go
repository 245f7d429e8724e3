// Package sink tells the outside what happens: traces and metrics
// (OpenTelemetry), Prometheus, and one structured line per decision. None of
// it is audit: it may be sampled, dropped or switched off, and it carries no
// argument, no result and no credential.
package sink

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"sallyport"
)

// Config says where to tell.
type Config struct {
	// OTLP is the base URL of an OpenTelemetry collector (OTLP over HTTP),
	// "" for none.
	OTLP string
	// Version of this program, for resource attributes.
	Version string
	Log     *slog.Logger
	// Line is called once per decided call, for a person at a terminal; nil
	// for none. It must not block.
	Line func(entry *sallyport.Entry)
}

// Sink implements the gateway's Watcher.
type Sink struct {
	log      *slog.Logger
	line     func(*sallyport.Entry)
	tracer   trace.Tracer // nil when nobody collects traces
	duration metric.Float64Histogram
	decided  metric.Int64Counter
	registry *prometheus.Registry
	series   seriesCache
	stop     []func(context.Context) error
}

// New makes a sink. An error means that telemetry is misconfigured; nothing
// was started.
func New(ctx context.Context, config Config) (*Sink, error) {
	s := &Sink{log: config.Log, line: config.Line, registry: prometheus.NewRegistry()}
	about := resource.NewSchemaless(serviceName.String("sallyport"), serviceVersion.String(config.Version))
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(s.registry))
	if err != nil {
		return nil, err
	}
	options := []sdkmetric.Option{sdkmetric.WithReader(reader), sdkmetric.WithResource(about)}
	if config.OTLP != "" {
		traces, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(config.OTLP+"/v1/traces"))
		if err != nil {
			return nil, err
		}
		metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(config.OTLP+"/v1/metrics"))
		if err != nil {
			return nil, errors.Join(err, traces.Shutdown(ctx))
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(traces), sdktrace.WithResource(about))
		s.tracer = provider.Tracer(scope)
		s.stop = append(s.stop, provider.Shutdown)
	}
	provider := sdkmetric.NewMeterProvider(options...)
	s.stop = append(s.stop, provider.Shutdown)
	return s, s.instrument(provider.Meter(scope))
}

const scope = "sallyport"

func (s *Sink) instrument(meter metric.Meter) (err error) {
	s.duration, err = meter.Float64Histogram(operationDuration, metric.WithUnit("s"),
		metric.WithDescription("Time from intent to outcome of a call."),
		metric.WithExplicitBucketBoundaries(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300))
	if err != nil {
		return err
	}
	s.decided, err = meter.Int64Counter("sallyport.decisions", metric.WithUnit("{decision}"),
		metric.WithDescription("Decided calls by verdict and cause of refusal."))
	return err
}

// Metrics serves Prometheus' text format.
func (s *Sink) Metrics() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

// Close flushes what is buffered.
func (s *Sink) Close(ctx context.Context) error {
	var errs []error
	for _, stop := range s.stop {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

// Decided implements gateway.Watcher.
func (s *Sink) Decided(entry *sallyport.Entry) {
	s.decided.Add(context.Background(), 1, s.series.of(entry))
	if entry.Type != sallyport.Intent {
		s.span(entry, entry.Time.Add(-entry.Took), string(entry.Cause))
	}
	level := slog.LevelInfo
	if entry.Type != sallyport.Intent {
		level = slog.LevelWarn
	}
	if s.log.Enabled(context.Background(), level) {
		s.log.LogAttrs(context.Background(), level, string(entry.Type), lineAttributes(entry)...)
	}
	if s.line != nil {
		s.line(entry)
	}
}

// Ended implements gateway.Watcher.
func (s *Sink) Ended(entry *sallyport.Entry) {
	s.duration.Record(context.Background(), entry.Took.Seconds(), s.series.of(entry))
	failure := ""
	if entry.Outcome != sallyport.OutcomeOK {
		failure = errorType(entry.Outcome)
	}
	s.span(entry, entry.Time.Add(-entry.Took), failure)
}

func lineAttributes(entry *sallyport.Entry) []slog.Attr {
	attributes := []slog.Attr{
		slog.String("call", entry.Call), slog.String("action", entry.Action),
		slog.String("agent", entry.Principal.Agent), slog.String("user", entry.Principal.User),
		slog.String("tenant", entry.Principal.Tenant), slog.String("run", entry.Run),
		slog.String("verdict", entry.Verdict.String()), slog.String("policy", entry.Policy.Short()),
	}
	if entry.Observed {
		attributes = append(attributes, slog.Bool("observed", true))
	}
	if entry.Cause != "" {
		attributes = append(attributes, slog.String("cause", string(entry.Cause)))
	}
	if len(entry.Rules) > 0 {
		attributes = append(attributes, slog.Any("rules", entry.Rules))
	}
	if entry.Trace != "" {
		attributes = append(attributes, slog.String("traceparent", entry.Trace))
	}
	return attributes
}

// span writes a server span after the fact, under the agent's trace when it
// sent one.
func (s *Sink) span(entry *sallyport.Entry, start time.Time, failure string) {
	if s.tracer == nil {
		return
	}
	ctx := parent(context.Background(), entry.Trace)
	_, span := s.tracer.Start(ctx, spanName(entry), trace.WithTimestamp(start),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(spanAttributes(entry, failure)...))
	setStatus(span, failure)
	span.End(trace.WithTimestamp(entry.Time))
}
