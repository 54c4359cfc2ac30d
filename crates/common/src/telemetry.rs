//! Logs, traces and metrics: `tracing` to standard output (JSON unless a person is reading), W3C trace
//! context over HTTP and the bus, Prometheus metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
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

/// Warnings and errors for whoever typed a command: on standard error, beside what it prints.
pub fn init_for_a_person() {
    let lines = tracing_subscriber::fmt::layer().compact().with_writer(std::io::stderr);
    let warnings = EnvFilter::new("warn,common::bus::listen=error,async_nats=error");
    // It fails only where logging was set up before.
    drop(tracing_subscriber::registry().with(warnings).with(lines).try_init());
}

/// The process's metrics, in Prometheus' text format through [`PrometheusHandle::render`].
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
        // Another recorder can only be there if a test installed one; ours then counts for nobody.
        drop(metrics::set_global_recorder(recorder));
        handle
    })
}

/// The present span as a `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let flags = span.trace_flags().to_u8();
    span.is_valid().then(|| format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}

/// Makes `span` the child of the span that a `traceparent` names, and notes the trace's id in the
/// span's field `trace_id`, so that each log line has it.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(parse_traceparent) {
        let context = opentelemetry::Context::new().with_remote_span_context(parent);
        // It fails only when tracing is off (in tests), where there is nothing to connect.
        drop(span.set_parent(context));
    }
    let context = span.context();
    let trace_id = context.span().span_context().trace_id();
    if trace_id != TraceId::INVALID {
        span.record("trace_id", tracing::field::display(trace_id));
    }
}

fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let version = u8::from_str_radix(parts.next()?, 16).ok()?;
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    (version != 0xff && context.is_valid()).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_specification_writes_it() {
        let context =
            parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for wrong in ["", "00-0-0-00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
            assert!(parse_traceparent(wrong).is_none(), "{wrong}");
        }
    }
}
