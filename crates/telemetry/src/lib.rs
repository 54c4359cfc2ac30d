//! Logs, traces and metrics: `tracing` to standard output (JSON unless it is a terminal), W3C trace context over HTTP
//! and the bus, Prometheus metrics.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TraceId, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts logging. `filter` is `tracing_subscriber`'s directive syntax, such as `info,orders=debug`.
pub fn init(service: &'static str, filter: &str) -> anyhow::Result<()> {
    let json = !std::io::stdout().is_terminal();
    let lines = tracing_subscriber::fmt::layer();
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.compact().boxed()
    };
    let tracer = SdkTracerProvider::builder().build().tracer(service);
    tracing_subscriber::registry()
        .with(EnvFilter::try_new(filter)?)
        .with(lines)
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .try_init()?;
    Ok(())
}

/// Logs warnings and errors of an admin command to standard error, beside what it prints.
pub fn init_for_command() {
    let lines = tracing_subscriber::fmt::layer().compact().with_writer(std::io::stderr);
    let warnings = EnvFilter::new("warn,bus::consume=error,async_nats=error");
    // It fails only where logging was set up before.
    drop(tracing_subscriber::registry().with(warnings).with(lines).try_init());
}

/// How often what histograms have recorded is added up. Until then, each sample is kept.
const UPKEEP: Duration = Duration::from_secs(1);

/// The process's metrics, in Prometheus' text format through [`PrometheusHandle::render`]. The recorder's upkeep runs
/// with it: otherwise, without a scraper, histograms would keep every sample indefinitely.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let buckets =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &buckets)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // A recorder is installed already only if a test did that; then ours isn't used.
        drop(metrics::set_global_recorder(recorder));
        let upkeep = handle.clone();
        // A thread, as the recorder must not depend on a runtime, which in a test ends before the process does.
        let thread = std::thread::Builder::new().name("metrics-upkeep".to_owned());
        let started = thread.spawn(move || {
            loop {
                std::thread::sleep(UPKEEP);
                upkeep.run_upkeep();
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for the upkeep of metrics");
        }
        handle
    })
}

/// The name of the header that carries the trace, over HTTP and over the bus
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub const TRACEPARENT: &str = "traceparent";

/// The current span as a `traceparent`; none outside of a trace.
pub fn traceparent() -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    headers.remove(TRACEPARENT)
}

/// Makes `span` the child of the span that a `traceparent` names, and records the trace's id in the span's field
/// `trace_id`, so that each log line has it.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent {
        let headers = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
        let context = TraceContextPropagator::new().extract(&headers);
        if context.span().span_context().is_valid() {
            // It fails only when tracing is off (in tests), where there is nothing to connect.
            drop(span.set_parent(context));
        }
    }
    let context = span.context();
    let trace_id = context.span().span_context().trace_id();
    if trace_id != TraceId::INVALID {
        span.record("trace_id", tracing::field::display(trace_id));
    }
}
